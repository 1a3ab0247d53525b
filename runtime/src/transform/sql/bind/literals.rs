//! Literals, and the types that `CAST` names.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use sqlparser::ast::{self, DataType as AstType, ExactNumberInfo};

use super::{Bound, Refusal, unsupported};
use crate::row::DataType;
use crate::transform::sql::expr::Expr;

/// A text.
pub(super) fn text_literal(text: &str) -> Expr {
    Expr::literal(Arc::new(StringArray::from(vec![text])), DataType::String)
}

pub(super) fn integer_literal(number: i32) -> Expr {
    Expr::literal(Arc::new(Int32Array::from(vec![number])), DataType::Int)
}

pub(super) fn literal(value: &ast::Value) -> Bound {
    match value {
        ast::Value::Number(text, long) => number_literal(text, *long),
        ast::Value::SingleQuotedString(text) | ast::Value::NationalStringLiteral(text) => Ok(text_literal(text)),
        ast::Value::Boolean(truth) => Ok(Expr::literal(Arc::new(BooleanArray::from(vec![*truth])), DataType::Boolean)),
        ast::Value::Null => Ok(Expr::null()),
        other => Err(unsupported(format_args!("the literal {other}"))),
    }
}

/// An int if it fits, else a bigint; with a point or an exponent a double.
pub(super) fn number_literal(text: &str, long: bool) -> Bound {
    if text.contains(['.', 'e', 'E']) {
        let number: f64 = text.parse().map_err(|_| format!("'{text}' is not a number"))?;
        return Ok(Expr::literal(Arc::new(Float64Array::from(vec![number])), DataType::Double));
    }
    let number: i64 = text.parse().map_err(|_| Refusal {
        message: format!("the number {text} does not fit bigint"),
        help: Some(format!("write CAST('{text}' AS DECIMAL(38, 0))")),
    })?;
    match i32::try_from(number) {
        Ok(number) if !long => Ok(integer_literal(number)),
        _ => Ok(Expr::literal(Arc::new(Int64Array::from(vec![number])), DataType::BigInt)),
    }
}

/// The number, if the expression is an integer literal that is not null.
pub(super) fn literal_integer(value: &Expr) -> Option<i64> {
    let array: &ArrayRef = value.as_literal().filter(|array| value.data_type.is_integer() && array.is_valid(0))?;
    let wide = arrow::compute::cast(array, &arrow::datatypes::DataType::Int64).ok()?;
    Some(wide.as_primitive::<Int64Type>().value(0))
}

/// Whether a literal is an integer that the type holds.
pub(super) fn fits_integer(value: &Expr, data_type: &DataType) -> bool {
    let Some(number) = literal_integer(value) else {
        return false;
    };
    match data_type {
        DataType::TinyInt => i8::try_from(number).is_ok(),
        DataType::SmallInt => i16::try_from(number).is_ok(),
        DataType::Int => i32::try_from(number).is_ok(),
        DataType::BigInt => true,
        _ => false,
    }
}

/// The type that `CAST` names (contract E.1).
pub(super) fn cast_type(data_type: &AstType) -> Result<DataType, Refusal> {
    Ok(match data_type {
        AstType::Varchar(_) | AstType::String(_) | AstType::Text | AstType::Char(_) => DataType::String,
        AstType::Int(_) | AstType::Integer(_) => DataType::Int,
        AstType::TinyInt(_) => DataType::TinyInt,
        AstType::SmallInt(_) => DataType::SmallInt,
        AstType::BigInt(_) => DataType::BigInt,
        AstType::Float(_) => DataType::Float,
        AstType::Double(_) | AstType::DoublePrecision => DataType::Double,
        AstType::Boolean | AstType::Bool => DataType::Boolean,
        AstType::Bytes(_) | AstType::Binary(_) => DataType::Bytes,
        AstType::Date => DataType::Date,
        AstType::Time(..) => DataType::Time,
        AstType::Timestamp(..) | AstType::Datetime(_) => DataType::Timestamp,
        AstType::Decimal(info) | AstType::Numeric(info) => decimal_type(info)?,
        AstType::Custom(name, arguments) if arguments.is_empty() => match name.to_string().to_uppercase().as_str() {
            "LONG" => DataType::BigInt,
            "BYTE" => DataType::TinyInt,
            "SHORT" => DataType::SmallInt,
            "STRING" => DataType::String,
            _ => return Err(unknown_type(data_type)),
        },
        other => return Err(unknown_type(other)),
    })
}

fn unknown_type(data_type: &AstType) -> Refusal {
    Refusal {
        message: format!("CAST to {data_type} is not supported"),
        help: Some(
            "the types are STRING, BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), BYTES, \
             DATE, TIME and TIMESTAMP"
                .into(),
        ),
    }
}

fn decimal_type(info: &ExactNumberInfo) -> Result<DataType, Refusal> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Err("DECIMAL needs a precision and a scale, as in DECIMAL(10, 2)".into()),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale @ 0..)) if scale.unsigned_abs() <= precision => {
            Ok(DataType::Decimal { precision, scale })
        }
        _ => {
            Err(format!("DECIMAL({precision}, {scale}): the precision is 1 to 38, the scale 0 to the precision").into())
        }
    }
}
