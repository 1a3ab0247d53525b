//! From parsed SQL to typed expressions: names are resolved, types checked, conversions added, constants folded.

mod calls;
mod literals;
mod names;
mod predicates;

use std::fmt;

use sqlparser::ast::{self, BinaryOperator, CastKind, UnaryOperator};

use self::literals::{cast_type, integer_literal, literal, number_literal, text_literal};
use super::arithmetic::{self, Op};
use super::cast::{self, OnFailure, type_name};
use super::clock::Now;
use super::compare::Comparison;
use super::expr::{Expr, Frame, Kind};
use super::functions;
use crate::row::{DataType, TableSchema};

/// Levels of a bound expression: evaluation goes as deep.
const DEPTH_MAX: usize = 128;
/// Levels of recursion while binding.
const RECURSION_MAX: usize = 64;

/// Why an expression cannot be bound.
#[derive(Debug)]
pub(super) struct Refusal {
    pub message: String,
    pub help: Option<String>,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { message, help: None }
    }
}

impl From<&str> for Refusal {
    fn from(message: &str) -> Self {
        Self { message: message.into(), help: None }
    }
}

type Bound = Result<Expr, Refusal>;

/// Binds expressions over one table.
pub(super) struct Binder<'a> {
    table: &'a TableSchema,
    /// The name behind `FROM`, which may stand before a column's name.
    from: &'a str,
    /// How deep the recursion is.
    level: usize,
    /// Whether the part that is bound may never be evaluated (a branch of `CASE`): constants in it that fail must
    /// not fail the query.
    lazy: bool,
}

fn unsupported(what: impl fmt::Display) -> Refusal {
    Refusal::from(format!("Unsupported SQL syntax: {what} is not supported by the Sql transform"))
}

impl<'a> Binder<'a> {
    pub(super) fn new(table: &'a TableSchema, from: &'a str) -> Self {
        Self { table, from, level: 0, lazy: false }
    }

    /// Binds an expression of any type.
    pub(super) fn bind(&mut self, expr: &ast::Expr) -> Bound {
        if self.level >= RECURSION_MAX {
            return Err(
                format!("the query is nested too deeply; at most about {RECURSION_MAX} levels are allowed").into()
            );
        }
        self.level += 1;
        let bound = self.bind_unfolded(expr).and_then(|bound| self.finish(bound));
        self.level -= 1;
        bound
    }

    /// Binds an expression that is true or false.
    pub(super) fn condition(&mut self, expr: &ast::Expr, place: &str) -> Bound {
        let bound = self.bind(expr)?;
        as_condition(bound, place)
    }

    /// Binds a part that may never be evaluated.
    fn lazily<T>(&mut self, bind: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.lazy, true);
        let bound = bind(self);
        self.lazy = before;
        bound
    }

    /// Checks the depth of a new node and evaluates it now if it is constant.
    fn finish(&self, expr: Expr) -> Bound {
        if expr.depth > DEPTH_MAX {
            return Err(format!("an expression has more than {DEPTH_MAX} levels").into());
        }
        let mut constant = !expr.volatile && !matches!(expr.kind, Kind::Column(_) | Kind::Literal(_));
        expr.for_each_part(&mut |part| constant &= part.as_literal().is_some());
        if !constant {
            return Ok(expr);
        }
        let now = Now { micros: 0 };
        let value = expr.evaluate(&Frame { columns: &[], rows: 1, now: &now });
        match value.and_then(|value| value.into_array(1)) {
            Ok(array) => Ok(Expr::literal(array, expr.data_type)),
            Err(_) if self.lazy => Ok(expr),
            Err(error) => Err(error.message.into()),
        }
    }

    fn bind_unfolded(&mut self, expr: &ast::Expr) -> Bound {
        match expr {
            ast::Expr::Identifier(name) => self.column(std::slice::from_ref(name)),
            ast::Expr::CompoundIdentifier(names) => self.column(names),
            ast::Expr::CompoundFieldAccess { root, access_chain } => self.subscripts(root, access_chain),
            ast::Expr::Nested(inner) => self.bind(inner),
            ast::Expr::Value(value) => literal(&value.value),
            ast::Expr::TypedString(typed) => {
                let text = typed.value.value.clone().into_string().ok_or_else(|| unsupported(typed))?;
                let data_type = cast_type(&typed.data_type)?;
                if !matches!(data_type, DataType::Date | DataType::Time | DataType::Timestamp) {
                    return Err(unsupported(typed));
                }
                Ok(text_literal(&text).cast_to(&data_type, OnFailure::Fail))
            }
            ast::Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            ast::Expr::BinaryOp { .. } => self.chain(expr),
            ast::Expr::IsNull(value) => self.is_null(value, false),
            ast::Expr::IsNotNull(value) => self.is_null(value, true),
            ast::Expr::IsTrue(value) => self.is_truth(value, true, false),
            ast::Expr::IsNotTrue(value) => self.is_truth(value, true, true),
            ast::Expr::IsFalse(value) => self.is_truth(value, false, false),
            ast::Expr::IsNotFalse(value) => self.is_truth(value, false, true),
            ast::Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            ast::Expr::Between { expr, negated, low, high } => self.between(expr, low, high, *negated),
            ast::Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(expr, pattern, escape_char.as_deref(), *negated)
            }
            ast::Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            ast::Expr::Cast { kind, expr, data_type, format: None } => {
                let on_failure = match kind {
                    CastKind::TryCast | CastKind::SafeCast => OnFailure::Null,
                    CastKind::Cast | CastKind::DoubleColon => OnFailure::Fail,
                };
                let to = cast_type(data_type)?;
                let value = self.bind(expr)?;
                if !cast::is_possible(&value.data_type, &to) {
                    return Err(format!("cannot cast {} to {}", type_name(&value.data_type), type_name(&to)).into());
                }
                Ok(value.cast_to(&to, on_failure))
            }
            ast::Expr::Function(function) => self.function(function),
            ast::Expr::Extract { field, expr, .. } => {
                let field = text_literal(&field.to_string());
                let value = self.bind(expr)?;
                self.call("EXTRACT", vec![field, value])
            }
            ast::Expr::Ceil { expr, field } => self.ceil_or_floor("CEIL", expr, field),
            ast::Expr::Floor { expr, field } => self.ceil_or_floor("FLOOR", expr, field),
            ast::Expr::Position { expr, r#in } => {
                let args = vec![self.bind(expr)?, self.bind(r#in)?];
                self.call("POSITION", args)
            }
            ast::Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut args = vec![self.bind(expr)?];
                match (substring_from, substring_for) {
                    (Some(from), _) => args.push(self.bind(from)?),
                    (None, Some(_)) => args.push(integer_literal(1)),
                    (None, None) => {}
                }
                if let Some(length) = substring_for {
                    args.push(self.bind(length)?);
                }
                self.call("SUBSTRING", args)
            }
            ast::Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                self.trim(*trim_where, trim_what.as_deref(), expr, trim_characters.as_deref())
            }
            ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => {
                Err(unsupported("a subquery"))
            }
            ast::Expr::Interval(_) => {
                Err(Refusal { help: Some("use DATEADD(value, count, 'DAY')".into()), ..unsupported("INTERVAL") })
            }
            other => Err(unsupported(format_args!("'{other}'"))),
        }
    }

    // --------------------------------------------------------------------------------------- operators

    fn unary(&mut self, op: UnaryOperator, expr: &ast::Expr) -> Bound {
        match op {
            UnaryOperator::Minus => {
                if let ast::Expr::Value(value) = expr
                    && let ast::Value::Number(text, long) = &value.value
                {
                    return number_literal(&format!("-{text}"), *long);
                }
                let value = self.bind(expr)?;
                let data_type = value.data_type.clone();
                match data_type {
                    DataType::Null => Ok(value),
                    _ if data_type.is_numeric() => Ok(Expr::new(Kind::Negate(Box::new(value)), data_type, false)),
                    other => Err(format!("'-' needs a number, not {}", type_name(&other)).into()),
                }
            }
            UnaryOperator::Plus => {
                let value = self.bind(expr)?;
                if value.data_type.is_numeric() || value.data_type == DataType::Null {
                    return Ok(value);
                }
                Err(format!("'+' needs a number, not {}", type_name(&value.data_type)).into())
            }
            UnaryOperator::Not => {
                let value = self.condition(expr, "NOT")?;
                Ok(Expr::new(Kind::Not(Box::new(value)), DataType::Boolean, false))
            }
            other => Err(unsupported(format_args!("the operator '{other}'"))),
        }
    }

    /// Binds a chain of operators from the left without recursion: chains may be long.
    fn chain(&mut self, expr: &ast::Expr) -> Bound {
        let mut steps = Vec::new();
        let mut first = expr;
        while let ast::Expr::BinaryOp { left, op, right } = first {
            steps.push((op, right));
            first = left;
        }
        let mut value = self.bind(first)?;
        for (op, right) in steps.into_iter().rev() {
            let right = if matches!(op, BinaryOperator::And | BinaryOperator::Or) {
                self.lazily(|binder| binder.bind(right))?
            } else {
                self.bind(right)?
            };
            value = self.binary(op, value, right)?;
            value = self.finish(value)?;
        }
        Ok(value)
    }

    fn binary(&mut self, op: &BinaryOperator, left: Expr, right: Expr) -> Bound {
        let comparison = match op {
            BinaryOperator::Plus => return arithmetic(Op::Add, left, right),
            BinaryOperator::Minus => return arithmetic(Op::Subtract, left, right),
            BinaryOperator::Multiply => return arithmetic(Op::Multiply, left, right),
            BinaryOperator::Divide => return arithmetic(Op::Divide, left, right),
            BinaryOperator::Modulo => return arithmetic(Op::Modulo, left, right),
            BinaryOperator::And => {
                let (left, right) = (as_condition(left, "AND")?, as_condition(right, "AND")?);
                let parts = match left.kind {
                    Kind::And(mut parts) => {
                        parts.push(right);
                        parts
                    }
                    kind => vec![Expr { kind, ..left }, right],
                };
                return Ok(Expr::new(Kind::And(parts), DataType::Boolean, false));
            }
            BinaryOperator::Or => {
                let (left, right) = (as_condition(left, "OR")?, as_condition(right, "OR")?);
                let parts = match left.kind {
                    Kind::Or(mut parts) => {
                        parts.push(right);
                        parts
                    }
                    kind => vec![Expr { kind, ..left }, right],
                };
                return Ok(Expr::new(Kind::Or(parts), DataType::Boolean, false));
            }
            BinaryOperator::StringConcat => return functions::concat_operator(left, right),
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            other => return Err(unsupported(format_args!("the operator '{other}'"))),
        };
        self.compare(comparison, left, right)
    }
}

fn as_condition(value: Expr, place: &str) -> Bound {
    match &value.data_type {
        DataType::Boolean => Ok(value),
        DataType::Null => Ok(value.cast_to(&DataType::Boolean, OnFailure::Fail)),
        other => Err(format!("{place} needs a condition, not {}", type_name(other)).into()),
    }
}

/// To double by value.
fn widen(value: Expr) -> Expr {
    match value.data_type {
        DataType::Double => value,
        DataType::Null => value.cast_to(&DataType::Double, OnFailure::Fail),
        _ => Expr::new(Kind::Widen(Box::new(value)), DataType::Double, false),
    }
}

/// An operation on numbers, its operands converted as the result's type asks (contract E.1).
pub(super) fn arithmetic(op: Op, left: Expr, right: Expr) -> Bound {
    let Some(result) = arithmetic::result_type(&left.data_type, &right.data_type) else {
        let (left, right) = (type_name(&left.data_type), type_name(&right.data_type));
        return Err(Refusal {
            message: format!("arithmetic needs numbers, not {left} and {right}"),
            help: Some("convert with CAST, or join texts with ||".into()),
        });
    };
    let operand = |value: Expr| match (&result, &value.data_type) {
        (DataType::Double, _) => widen(value),
        (DataType::Decimal { .. }, from) if from.is_numeric() => value,
        _ => value.cast_to(&result, OnFailure::Fail),
    };
    let (left, right) = (operand(left), operand(right));
    let fallible = matches!(result, DataType::Decimal { .. })
        || (matches!(op, Op::Divide | Op::Modulo) && result != DataType::Double);
    Ok(Expr::new(Kind::Arithmetic(op, Box::new(left), Box::new(right)), result, fallible))
}
