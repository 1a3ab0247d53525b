//! `CASE` and functions.

use sqlparser::ast::{self, CeilFloorKind, FunctionArg, FunctionArgExpr, FunctionArguments, TrimWhereField};

use super::literals::literal;
use super::{Binder, Bound, Refusal, as_condition, unsupported};
use crate::config::nearest;
use crate::row::DataType;
use crate::transform::sql::cast::{self, OnFailure, type_name};
use crate::transform::sql::compare::Comparison;
use crate::transform::sql::expr::{Expr, Kind};
use crate::transform::sql::functions::{self, Args};

impl Binder<'_> {
    pub(super) fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
    ) -> Bound {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let mut whens = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for when in conditions {
            let condition = match &operand {
                None => self.lazily(|binder| binder.condition(&when.condition, "WHEN"))?,
                Some(operand) => {
                    let value = self.lazily(|binder| binder.bind(&when.condition))?;
                    let compared = self.compare(Comparison::Equal, operand.clone(), value)?;
                    self.lazily(|binder| binder.finish(compared))?
                }
            };
            whens.push(condition);
            results.push(self.lazily(|binder| binder.bind(&when.result))?);
        }
        let has_otherwise = otherwise.is_some();
        if let Some(otherwise) = otherwise {
            results.push(self.lazily(|binder| binder.bind(otherwise))?);
        }
        let (data_type, mut results) = self.lazily(|binder| binder.alike(results, "CASE"))?;
        let otherwise = if has_otherwise { results.pop().map(Box::new) } else { None };
        let whens = whens.into_iter().zip(results).collect();
        Ok(Expr::new(Kind::Case { whens, otherwise }, data_type, false))
    }

    /// Brings values to the type that holds them all.
    fn alike(&self, values: Vec<Expr>, place: &str) -> Result<(DataType, Vec<Expr>), Refusal> {
        let mut data_type = DataType::Null;
        for value in &values {
            data_type = common_type(&data_type, &value.data_type).ok_or_else(|| {
                format!(
                    "{place} has results of types that do not go together: {} and {}",
                    type_name(&data_type),
                    type_name(&value.data_type)
                )
            })?;
        }
        let values = values
            .into_iter()
            .map(|value| self.finish(value.cast_to(&data_type, OnFailure::Fail)))
            .collect::<Result<_, _>>()?;
        Ok((data_type, values))
    }

    pub(super) fn function(&mut self, function: &ast::Function) -> Bound {
        let name = match function.name.0.as_slice() {
            [part] => part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone()),
            _ => return Err(unknown_function(&function.name.to_string())),
        };
        if ["COUNT", "SUM", "AVG", "MIN", "MAX"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
            return Err(unsupported(format_args!("the aggregate function {}", name.to_uppercase())));
        }
        let plain = function.over.is_none()
            && function.filter.is_none()
            && function.null_treatment.is_none()
            && function.within_group.is_empty()
            && !function.uses_odbc_syntax
            && matches!(function.parameters, FunctionArguments::None);
        if !plain {
            return Err(unsupported(format_args!("'{function}' (a clause behind a function)")));
        }
        let list: &[FunctionArg] = match &function.args {
            FunctionArguments::None => &[],
            FunctionArguments::Subquery(_) => return Err(unsupported("a subquery")),
            FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
                &list.args
            }
            FunctionArguments::List(list) => return Err(unsupported(format_args!("'{name}({list})'"))),
        };
        // Arguments that may not be evaluated may hold constants that fail.
        let lazy = functions::is_lazy(&name);
        let mut args = Vec::with_capacity(list.len());
        for (place, arg) in list.iter().enumerate() {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg else {
                return Err(unsupported(format_args!("the argument '{arg}' of {name}")));
            };
            args.push(if lazy && place > 0 { self.lazily(|binder| binder.bind(arg))? } else { self.bind(arg)? });
        }
        self.call(&name, args)
    }

    pub(super) fn call(&mut self, name: &str, args: Vec<Expr>) -> Bound {
        let Some(function) = functions::find(name) else {
            return Err(unknown_function(name));
        };
        let given = args.len();
        if !(function.min..=function.max).contains(&given) {
            return Err(Refusal {
                message: format!("{} takes {}, {given} given", name.to_uppercase(), function.arguments()),
                help: Some(function.usage.to_owned()),
            });
        }
        let args = Args::new(args);
        let bind = function.bind;
        let bound = if functions::is_lazy(name) { self.lazily(|binder| bind(args, binder)) } else { bind(args, self) };
        bound.map_err(|mut refusal: Refusal| {
            refusal.message = format!("{}: {}", name.to_uppercase(), refusal.message);
            refusal
        })
    }

    /// Brings a value to another type, evaluating it now if it is constant.
    pub(in super::super) fn convert(&self, value: Expr, to: &DataType) -> Bound {
        if !cast::is_possible(&value.data_type, to) {
            return Err(format!("cannot cast {} to {}", type_name(&value.data_type), type_name(to)).into());
        }
        self.finish(value.cast_to(to, OnFailure::Fail))
    }

    /// Conditions and results in turn, as `MULTI_IF` has them.
    pub(in super::super) fn choice(&self, whens: Vec<(Expr, Expr)>, otherwise: Expr) -> Bound {
        let (mut conditions, mut results) = (Vec::new(), Vec::new());
        for (condition, result) in whens {
            conditions.push(as_condition(condition, "a condition")?);
            results.push(result);
        }
        results.push(otherwise);
        let (data_type, mut results) = self.alike(results, "the list")?;
        let otherwise = results.pop().map(Box::new);
        let whens = conditions.into_iter().zip(results).collect();
        Ok(Expr::new(Kind::Case { whens, otherwise }, data_type, false))
    }

    pub(super) fn ceil_or_floor(&mut self, name: &str, expr: &ast::Expr, field: &CeilFloorKind) -> Bound {
        let mut args = vec![self.bind(expr)?];
        match field {
            CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => {}
            CeilFloorKind::DateTimeField(field) => return Err(unsupported(format_args!("{name}(... TO {field})"))),
            CeilFloorKind::Scale(scale) => args.push(literal(&scale.value)?),
        }
        self.call(name, args)
    }

    pub(super) fn trim(
        &mut self,
        place: Option<TrimWhereField>,
        what: Option<&ast::Expr>,
        expr: &ast::Expr,
        characters: Option<&[ast::Expr]>,
    ) -> Bound {
        let mut args = vec![self.bind(expr)?];
        for letters in what.into_iter().chain(characters.into_iter().flatten()) {
            args.push(self.bind(letters)?);
        }
        let name = match place {
            Some(TrimWhereField::Leading) => "LTRIM",
            Some(TrimWhereField::Trailing) => "RTRIM",
            Some(TrimWhereField::Both) | None => "TRIM",
        };
        self.call(name, args)
    }
}

fn unknown_function(name: &str) -> Refusal {
    let help = nearest(name, functions::names()).map(|near| format!("did you mean {near}?"));
    Refusal { message: format!("unknown function '{name}'"), help }
}

/// The type that holds values of both, `None` when there is none (contract E.1): the wider number, decimals being
/// the widest.
fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{BigInt, Decimal, Double, Float, Int, Null, SmallInt, TinyInt};
    match (left, right) {
        (Null, other) | (other, Null) => return Some(other.clone()),
        _ if left == right => return Some(left.clone()),
        _ if !left.is_numeric() || !right.is_numeric() => return None,
        (Decimal { precision: p, scale: s }, Decimal { precision: q, scale: t }) => {
            return Some(Decimal { precision: *p.max(q), scale: *s.max(t) });
        }
        (Decimal { .. }, _) => return Some(left.clone()),
        (_, Decimal { .. }) => return Some(right.clone()),
        _ => {}
    }
    let order = [TinyInt, SmallInt, Int, BigInt, Float, Double];
    order.into_iter().rev().find(|candidate| candidate == left || candidate == right)
}
