//! Comparisons, sets, ranges, patterns and tests for null.

use std::sync::Arc;

use sqlparser::ast;

use super::literals::{fits_integer, literal_integer};
use super::{Binder, Bound, Refusal, widen};
use crate::row::DataType;
use crate::transform::sql::cast::{OnFailure, type_name};
use crate::transform::sql::compare::{self, Comparison, Ground};
use crate::transform::sql::expr::{Expr, Kind};
use crate::transform::sql::functions;
use crate::transform::sql::like::Like;

impl Binder<'_> {
    /// Compares two values on common ground.
    pub(in super::super) fn compare(&self, comparison: Comparison, left: Expr, right: Expr) -> Bound {
        let (left, right) = self.read_moments(left, right)?;
        let Some(mut ground) = compare::ground(&left.data_type, &right.data_type) else {
            return Err(not_comparable(&left.data_type, &right.data_type));
        };
        // An integer literal takes the column's type when it fits: the column then needs no conversion.
        if let Ground::Same(common) = &ground
            && common.is_integer()
        {
            for (value, other) in [(&left, &right), (&right, &left)] {
                if fits_integer(value, &other.data_type) {
                    ground = Ground::Same(other.data_type.clone());
                    break;
                }
            }
        }
        let left = self.finish(on_ground(left, &ground))?;
        let right = self.finish(on_ground(right, &ground))?;
        Ok(Expr::new(
            Kind::Compare(comparison, ground.clone(), Box::new(left), Box::new(right)),
            DataType::Boolean,
            ground == Ground::Decimals,
        ))
    }

    /// A literal text beside a date, a time or a timestamp is read as one.
    fn read_moments(&self, left: Expr, right: Expr) -> Result<(Expr, Expr), Refusal> {
        let is_moment = |expr: &Expr| matches!(expr.data_type, DataType::Date | DataType::Time | DataType::Timestamp);
        // A text with a time beside a date makes the comparison one of timestamps.
        let read = |text: Expr, moment: &Expr| {
            let mut to = moment.data_type.clone();
            if to == DataType::Date && text.as_literal_text().is_some_and(|text| text.trim().len() > 10) {
                to = DataType::Timestamp;
            }
            self.finish(text.cast_to(&to, OnFailure::Fail))
        };
        if is_moment(&left) && right.as_literal_text().is_some() {
            let right = read(right, &left)?;
            return Ok((left, right));
        }
        if is_moment(&right) && left.as_literal_text().is_some() {
            let left = read(left, &right)?;
            return Ok((left, right));
        }
        Ok((left, right))
    }

    pub(super) fn is_null(&mut self, value: &ast::Expr, negated: bool) -> Bound {
        let value = Box::new(self.bind(value)?);
        Ok(Expr::new(Kind::IsNull { value, negated }, DataType::Boolean, false))
    }

    pub(super) fn is_truth(&mut self, value: &ast::Expr, truth: bool, negated: bool) -> Bound {
        let value = Box::new(self.condition(value, "IS TRUE or IS FALSE")?);
        Ok(Expr::new(Kind::IsTruth { value, truth, negated }, DataType::Boolean, false))
    }

    pub(super) fn between(&mut self, expr: &ast::Expr, low: &ast::Expr, high: &ast::Expr, negated: bool) -> Bound {
        let (value, low) = (self.bind(expr)?, self.bind(low)?);
        let (below, above) = if negated {
            (Comparison::Less, Comparison::Greater)
        } else {
            (Comparison::GreaterOrEqual, Comparison::LessOrEqual)
        };
        let first = self.compare(below, value.clone(), low)?;
        let high = self.bind(high)?;
        let parts = vec![self.finish(first)?, self.compare(above, value, high).and_then(|part| self.finish(part))?];
        Ok(Expr::new(if negated { Kind::Or(parts) } else { Kind::And(parts) }, DataType::Boolean, false))
    }

    pub(super) fn in_list(&mut self, expr: &ast::Expr, list: &[ast::Expr], negated: bool) -> Bound {
        let value = self.bind(expr)?;
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            let item = self.bind(item)?;
            let is_moment = matches!(value.data_type, DataType::Date | DataType::Time | DataType::Timestamp);
            items.push(if is_moment && item.as_literal_text().is_some() {
                self.finish(item.cast_to(&value.data_type, OnFailure::Fail))?
            } else {
                item
            });
        }
        if value.data_type == DataType::String
            && let Some(texts) = items.iter().map(|item| item.as_literal_text().map(Box::from)).collect()
        {
            let value = Box::new(value);
            return Ok(Expr::new(Kind::InTexts { value, list: Arc::new(texts), negated }, DataType::Boolean, false));
        }
        if value.data_type.is_integer()
            && let Some(integers) = items.iter().map(literal_integer).collect()
        {
            let value = Box::new(value.cast_to(&DataType::BigInt, OnFailure::Fail));
            return Ok(Expr::new(
                Kind::InIntegers { value, list: Arc::new(integers), negated },
                DataType::Boolean,
                false,
            ));
        }
        // One ground for the value and all items.
        let mut ground = None;
        for item in &items {
            let next = compare::ground(&value.data_type, &item.data_type)
                .ok_or_else(|| not_comparable(&value.data_type, &item.data_type))?;
            ground = Some(match (ground, next) {
                (None, next) => next,
                (Some(Ground::Doubles), _) | (_, Ground::Doubles) => Ground::Doubles,
                (Some(Ground::Decimals), _) | (_, Ground::Decimals) => Ground::Decimals,
                (Some(Ground::Same(one)), Ground::Same(two)) if one == two => Ground::Same(one),
                (Some(Ground::Same(one)), Ground::Same(two)) if one.is_integer() && two.is_integer() => {
                    Ground::Same(compare::wider_integer(&one, &two).clone())
                }
                (Some(Ground::Same(one)), Ground::Same(two)) => {
                    compare::ground(&one, &two).ok_or_else(|| not_comparable(&one, &two))?
                }
            });
        }
        let ground = ground.unwrap_or(Ground::Same(DataType::Int));
        let value = Box::new(self.finish(on_ground(value, &ground))?);
        let list =
            items.into_iter().map(|item| self.finish(on_ground(item, &ground))).collect::<Result<Vec<_>, _>>()?;
        let fallible = ground == Ground::Decimals;
        Ok(Expr::new(Kind::In { value, ground, list, negated }, DataType::Boolean, fallible))
    }

    pub(super) fn like(
        &mut self,
        expr: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        negated: bool,
    ) -> Bound {
        let value = functions::as_text(self.bind(expr)?, "LIKE")?;
        let pattern = functions::as_text(self.bind(pattern)?, "LIKE")?;
        let escape = match escape {
            None => None,
            Some(ast::Expr::Value(value)) => {
                let text = value.value.clone().into_string().unwrap_or_default();
                let mut letters = text.chars();
                match (letters.next(), letters.next()) {
                    (Some(letter), None) => Some(letter),
                    _ => return Err("ESCAPE needs one character".into()),
                }
            }
            Some(other) => return Err(format!("ESCAPE needs one character, not {other}").into()),
        };
        let value = Box::new(self.finish(value)?);
        let pattern = self.finish(pattern)?;
        let Some(text) = pattern.as_literal_text() else {
            let kind = Kind::LikeExpr { value, pattern: Box::new(pattern), escape, negated };
            return Ok(Expr::new(kind, DataType::Boolean, escape.is_some()));
        };
        let pattern = Arc::new(Like::compile(text, escape)?);
        Ok(Expr::new(Kind::Like { value, pattern, negated }, DataType::Boolean, false))
    }
}

fn not_comparable(left: &DataType, right: &DataType) -> Refusal {
    Refusal {
        message: format!("{} and {} cannot be compared", type_name(left), type_name(right)),
        help: Some("convert one of them with CAST".into()),
    }
}

/// Brings a value to the type in which it is compared.
fn on_ground(value: Expr, ground: &Ground) -> Expr {
    match ground {
        Ground::Same(data_type) => value.cast_to(data_type, OnFailure::Fail),
        Ground::Doubles => widen(value),
        Ground::Decimals if value.data_type == DataType::Null => value.cast_to(&DataType::Int, OnFailure::Fail),
        Ground::Decimals => value,
    }
}
