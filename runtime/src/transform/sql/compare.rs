//! Comparisons. Null on either side gives false, so that no comparison is ever null (contract E.1).

use std::cmp::Ordering;

use arrow::array::AsArray;
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp;
use arrow::datatypes::Float64Type;

use super::arithmetic::Decimals;
use super::value::{Numbers, RowError, Value, null_is_false};
use crate::row::DataType;

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// How two types are compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ground {
    /// Both sides as this type, by Arrow's kernels.
    Same(DataType),
    /// Both sides as doubles.
    Doubles,
    /// Exact numbers of different scales.
    Decimals,
}

/// On what ground values of two types are compared; `None` when they are not.
///
/// Integers and decimals compare exactly among themselves (two long ids that are equal as doubles are not equal),
/// with a float or a double beside them as doubles.
pub(super) fn ground(left: &DataType, right: &DataType) -> Option<Ground> {
    use DataType::{Boolean, Bytes, Date, Decimal, Double, Float, Null, String, Time, Timestamp};
    let same = |data_type: &DataType| Some(Ground::Same(data_type.clone()));
    match (left, right) {
        (Null, Null) => same(&DataType::Int),
        (Null, other) | (other, Null) => ground(other, other),
        (Float | Double, other) | (other, Float | Double) if other.is_numeric() => Some(Ground::Doubles),
        (Decimal { .. }, other) | (other, Decimal { .. }) if other.is_numeric() => {
            if left == right {
                same(left)
            } else {
                Some(Ground::Decimals)
            }
        }
        (left, right) if left.is_integer() && right.is_integer() => same(wider_integer(left, right)),
        (Date, Timestamp) | (Timestamp, Date) => same(&Timestamp),
        (String | Boolean | Bytes | Date | Time | Timestamp, _) if left == right => same(left),
        _ => None,
    }
}

/// The integer type that holds the values of both.
pub(super) fn wider_integer<'a>(left: &'a DataType, right: &'a DataType) -> &'a DataType {
    let width = |data_type: &DataType| match data_type {
        DataType::TinyInt => 1,
        DataType::SmallInt => 2,
        DataType::Int => 4,
        _ => 8,
    };
    if width(left) >= width(right) { left } else { right }
}

/// Compares values that stand on common ground: for [`Ground::Same`] and [`Ground::Doubles`] both sides have that
/// type already.
pub(super) fn evaluate(
    comparison: Comparison,
    ground: &Ground,
    left: &Value,
    right: &Value,
    rows: usize,
) -> Result<BooleanBuffer, RowError> {
    match ground {
        Ground::Same(_) => {
            let (left, right) = (left.datum(), right.datum());
            let (left, right) = (left.as_ref(), right.as_ref());
            let compared = match comparison {
                Comparison::Equal => cmp::eq(left, right),
                Comparison::NotEqual => cmp::neq(left, right),
                Comparison::Less => cmp::lt(left, right),
                Comparison::LessOrEqual => cmp::lt_eq(left, right),
                Comparison::Greater => cmp::gt(left, right),
                Comparison::GreaterOrEqual => cmp::gt_eq(left, right),
            };
            compared.map(|truths| null_is_false(&truths)).map_err(|error| RowError::from_kernel(&error))
        }
        Ground::Doubles => Ok(doubles(comparison, left, right, rows)),
        Ground::Decimals => {
            let (left, right) = (Decimals::of(left), Decimals::of(right));
            let mut failed = None;
            let truths = BooleanBuffer::collect_bool(rows, |row| match (left.get(row), right.get(row)) {
                (Ok(Some(left)), Ok(Some(right))) => holds(comparison, left.compare(right)),
                (Err(message), _) | (_, Err(message)) => {
                    failed.get_or_insert(RowError::new(row, message));
                    false
                }
                _ => false,
            });
            failed.map_or(Ok(truths), Err)
        }
    }
}

fn holds(comparison: Comparison, ordering: Ordering) -> bool {
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    }
}

/// IEEE comparison: NaN equals nothing, the zeros equal each other. (Arrow's kernels order doubles totally instead.)
fn doubles(comparison: Comparison, left: &Value, right: &Value, rows: usize) -> BooleanBuffer {
    let plain = |compare: fn(&f64, &f64) -> bool| {
        let nullable = left.array.null_count() + right.array.null_count() > 0;
        let (one, two) = (left.array.as_primitive::<Float64Type>(), right.array.as_primitive::<Float64Type>());
        let (one, two) = (one.values(), two.values());
        match (nullable, left.constant, right.constant) {
            (false, false, false) => BooleanBuffer::collect_bool(rows, |row| compare(&one[row], &two[row])),
            (false, false, true) => BooleanBuffer::collect_bool(rows, |row| compare(&one[row], &two[0])),
            _ => {
                let (one, two) = (Numbers::<Float64Type>::of(left), Numbers::<Float64Type>::of(right));
                BooleanBuffer::collect_bool(rows, |row| {
                    one.get(row).zip(two.get(row)).is_some_and(|(one, two)| compare(&one, &two))
                })
            }
        }
    };
    match comparison {
        Comparison::Equal => plain(f64::eq),
        Comparison::NotEqual => plain(f64::ne),
        Comparison::Less => plain(f64::lt),
        Comparison::LessOrEqual => plain(f64::le),
        Comparison::Greater => plain(f64::gt),
        Comparison::GreaterOrEqual => plain(f64::ge),
    }
}
