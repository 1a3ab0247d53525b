//! `+ - * / %` and the unary minus.
//!
//! Integers wrap as Java's do; dividing one by zero is an error, as it is for decimals. Doubles follow IEEE 754.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Decimal128Array};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{
    ArrowNativeTypeOp, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};

use super::decimal::{Decimal, calculate, check_precision};
use super::value::{Numbers, RowError, Value, number_rows, some};
use crate::row::DataType;

/// A binary operator on numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// The type of `left op right`, `None` when one of them is not a number (contract E.1).
pub(super) fn result_type(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{BigInt, Decimal, Double, Int, Null};
    match (left, right) {
        (Null, other) | (other, Null) if other.is_numeric() => return result_type(other, other),
        (Null, Null) => return Some(Int),
        _ => {}
    }
    if !left.is_numeric() || !right.is_numeric() {
        return None;
    }
    Some(match (left, right) {
        (Decimal { precision: p, scale: s }, Decimal { precision: q, scale: t }) => {
            Decimal { precision: *p.max(q), scale: *s.max(t) }
        }
        (Decimal { .. }, _) => left.clone(),
        (_, Decimal { .. }) => right.clone(),
        _ if !left.is_integer() || !right.is_integer() => Double,
        _ if *left == BigInt || *right == BigInt => BigInt,
        _ => Int,
    })
}

/// Evaluates an operation whose operands are of the result's type already, or for decimals any numbers.
pub(super) fn evaluate(
    op: Op,
    left: &Value,
    right: &Value,
    result: &DataType,
    rows: usize,
) -> Result<ArrayRef, RowError> {
    let by_kernel = |kernel: fn(
        &dyn arrow::array::Datum,
        &dyn arrow::array::Datum,
    ) -> Result<ArrayRef, arrow::error::ArrowError>| {
        kernel(left.datum().as_ref(), right.datum().as_ref()).map_err(|error| RowError::from_kernel(&error))
    };
    match (result, op) {
        (DataType::Decimal { precision, scale }, _) => decimals(op, left, right, *precision, *scale, rows),
        (_, Op::Add) => by_kernel(numeric::add_wrapping),
        (_, Op::Subtract) => by_kernel(numeric::sub_wrapping),
        (_, Op::Multiply) => by_kernel(numeric::mul_wrapping),
        (DataType::Double, Op::Divide) => by_kernel(numeric::div),
        (DataType::Double, Op::Modulo) => by_kernel(numeric::rem),
        (DataType::Int, _) => divide::<Int32Type>(op, left, right, rows),
        (_, _) => divide::<Int64Type>(op, left, right, rows),
    }
}

fn divide<T: ArrowPrimitiveType>(op: Op, left: &Value, right: &Value, rows: usize) -> Result<ArrayRef, RowError> {
    let (left, right) = (Numbers::<T>::of(left), Numbers::<T>::of(right));
    number_rows::<T>(rows, |row| {
        let (left, right) = (some!(left.get(row)), some!(right.get(row)));
        if right.is_zero() {
            return Err("division by zero".into());
        }
        Ok(Some(if op == Op::Divide { left.div_wrapping(right) } else { left.mod_wrapping(right) }))
    })
}

/// Reads numbers of any type as decimals.
pub(super) enum Decimals<'a> {
    Decimal(Numbers<'a, Decimal128Type>, i32),
    TinyInt(Numbers<'a, Int8Type>),
    SmallInt(Numbers<'a, Int16Type>),
    Int(Numbers<'a, Int32Type>),
    BigInt(Numbers<'a, Int64Type>),
    Float(Numbers<'a, Float32Type>),
    Double(Numbers<'a, Float64Type>),
}

impl<'a> Decimals<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        use arrow::datatypes::DataType as Arrow;
        match value.array.data_type() {
            Arrow::Int8 => Self::TinyInt(Numbers::of(value)),
            Arrow::Int16 => Self::SmallInt(Numbers::of(value)),
            Arrow::Int32 => Self::Int(Numbers::of(value)),
            Arrow::Int64 => Self::BigInt(Numbers::of(value)),
            Arrow::Float32 => Self::Float(Numbers::of(value)),
            Arrow::Float64 => Self::Double(Numbers::of(value)),
            other => {
                let scale = if let Arrow::Decimal128(_, scale) = other { i32::from(*scale) } else { 0 };
                Self::Decimal(Numbers::of(value), scale)
            }
        }
    }

    /// The number of a row.
    ///
    /// # Errors
    /// For NaN and the infinities, which are no decimals.
    pub(super) fn get(&self, row: usize) -> Result<Option<Decimal>, String> {
        let whole = |value: Option<i64>| Ok(value.map(|value| Decimal::new(i128::from(value), 0)));
        match self {
            Self::Decimal(numbers, scale) => Ok(numbers.get(row).map(|value| Decimal::new(value, *scale))),
            Self::TinyInt(numbers) => whole(numbers.get(row).map(i64::from)),
            Self::SmallInt(numbers) => whole(numbers.get(row).map(i64::from)),
            Self::Int(numbers) => whole(numbers.get(row).map(i64::from)),
            Self::BigInt(numbers) => whole(numbers.get(row)),
            Self::Float(numbers) => {
                let value = some!(numbers.get(row));
                Decimal::of_float(value).map(Some).ok_or_else(|| format!("{value} is not a decimal"))
            }
            Self::Double(numbers) => {
                let value = some!(numbers.get(row));
                Decimal::of_double(value).map(Some).ok_or_else(|| format!("{value} is not a decimal"))
            }
        }
    }
}

fn decimals(op: Op, left: &Value, right: &Value, precision: u8, scale: i8, rows: usize) -> Result<ArrayRef, RowError> {
    let (left, right) = (Decimals::of(left), Decimals::of(right));
    let array = number_rows::<Decimal128Type>(rows, |row| {
        let (left, right) = (some!(left.get(row)?), some!(right.get(row)?));
        let value = calculate(op, left, right, i32::from(scale))?;
        check_precision(value, precision, scale).map(Some)
    })?;
    as_decimals(&array, precision, scale)
}

/// Gives an array of unscaled values its precision and scale.
pub(super) fn as_decimals(array: &ArrayRef, precision: u8, scale: i8) -> Result<ArrayRef, RowError> {
    let array: Decimal128Array = array.as_primitive::<Decimal128Type>().clone();
    match array.with_precision_and_scale(precision, scale) {
        Ok(array) => Ok(Arc::new(array)),
        Err(error) => Err(RowError::from_kernel(&error)),
    }
}

/// `-value`, of the value's type.
pub(super) fn negate(value: &Value) -> Result<ArrayRef, RowError> {
    let array: &dyn Array = value.array.as_ref();
    numeric::neg_wrapping(array).map_err(|error| RowError::from_kernel(&error))
}
