//! Rules about the values of a column.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Scalar};
use arrow::compute::kernels::cmp::eq;
use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use egret_runtime::plugin::TaskError;
use egret_runtime::row::DataType;
use egret_runtime::row::show::{is_null, write_value};

/// What holds for every value of a column.
#[derive(Debug)]
pub(super) enum Check {
    NotNull,
    Null,
    Min(f64),
    Max(f64),
    MinLength(f64),
    MaxLength(f64),
    /// An array of one cell, of the column's type.
    EqualsTo(ArrayRef),
    /// A decimal has at most so many digits.
    Digits(u8),
}

/// A rule about one column.
#[derive(Debug)]
pub(super) struct FieldRule {
    /// Position of the column.
    pub(super) column: usize,
    pub(super) data_type: DataType,
    pub(super) check: Check,
    /// The rule as the config says it: `field 'age' MAX 100`.
    pub(super) text: String,
}

impl FieldRule {
    /// The first row for which the rule does not hold.
    pub(super) fn first_failure(&self, array: &ArrayRef) -> Result<Option<usize>, TaskError> {
        let rows = array.len();
        Ok(match &self.check {
            // The common case is told by a look at the count.
            Check::NotNull if array.logical_null_count() == 0 => None,
            Check::NotNull => (0..rows).find(|row| is_null(array.as_ref(), *row)),
            Check::Null if array.logical_null_count() == rows => None,
            Check::Null => (0..rows).find(|row| !is_null(array.as_ref(), *row)),
            Check::Min(least) => numbers_outside(array, &self.data_type, |number| number >= *least),
            Check::Max(most) => numbers_outside(array, &self.data_type, |number| number <= *most),
            Check::MinLength(least) => lengths_outside(array, &self.data_type, |length| length >= *least),
            Check::MaxLength(most) => lengths_outside(array, &self.data_type, |length| length <= *most),
            Check::EqualsTo(expected) => unequal(array, &self.data_type, expected)?,
            Check::Digits(digits) => {
                let limit = 10i128.pow(u32::from(*digits));
                let decimals = array.as_primitive::<Decimal128Type>();
                (0..rows).find(|row| decimals.is_valid(*row) && decimals.value(*row).abs() >= limit)
            }
        })
    }
}

/// The first row whose number does not pass; null does not.
fn numbers_outside(array: &ArrayRef, data_type: &DataType, pass: impl Fn(f64) -> bool) -> Option<usize> {
    fn outside<T: ArrowPrimitiveType>(
        array: &ArrayRef,
        pass: impl Fn(f64) -> bool,
        number: impl Fn(T::Native) -> f64,
    ) -> Option<usize> {
        let array = array.as_primitive::<T>();
        if array.null_count() == 0 {
            return array.values().iter().position(|value| !pass(number(*value)));
        }
        array.iter().position(|value| !value.is_some_and(|value| pass(number(value))))
    }
    match data_type {
        DataType::TinyInt => outside::<Int8Type>(array, pass, f64::from),
        DataType::SmallInt => outside::<Int16Type>(array, pass, f64::from),
        DataType::Int => outside::<Int32Type>(array, pass, f64::from),
        DataType::BigInt => outside::<Int64Type>(array, pass, |number| number as f64),
        DataType::Float => outside::<Float32Type>(array, pass, f64::from),
        DataType::Double => outside::<Float64Type>(array, pass, |number| number),
        DataType::Decimal { scale, .. } => {
            let factor = 10f64.powi(i32::from(*scale));
            outside::<Decimal128Type>(array, pass, |unscaled| unscaled as f64 / factor)
        }
        _ => (!array.is_empty()).then_some(0),
    }
}

/// The first row whose text has a length, in UTF-16 units, that does not pass; the text of null is empty.
fn lengths_outside(array: &ArrayRef, data_type: &DataType, pass: impl Fn(f64) -> bool) -> Option<usize> {
    let length = |text: &str| if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
    if *data_type == DataType::String {
        let texts = array.as_string::<i32>();
        return texts.iter().position(|text| !pass(text.map_or(0, length) as f64));
    }
    let mut text = String::new();
    (0..array.len()).find(|row| {
        text.clear();
        if !is_null(array.as_ref(), *row) {
            write_value(&mut text, array.as_ref(), data_type, *row);
        }
        !pass(length(&text) as f64)
    })
}

/// The first row that is neither the expected one nor null.
fn unequal(array: &ArrayRef, data_type: &DataType, expected: &ArrayRef) -> Result<Option<usize>, TaskError> {
    let nested = matches!(
        data_type,
        DataType::Array(_)
            | DataType::Map(..)
            | DataType::Row(_)
            | DataType::FloatVector
            | DataType::SparseFloatVector
            | DataType::Null
    );
    if nested {
        let other = |row: &usize| !is_null(array.as_ref(), *row) && !same(data_type, array, *row, expected, 0);
        return Ok((0..array.len()).find(other));
    }
    // Floats compare as in Java's `equals`: NaN is NaN, and -0.0 is not 0.0.
    let equal = eq(array, &Scalar::new(expected))?;
    if equal.true_count() + equal.null_count() == equal.len() {
        return Ok(None);
    }
    Ok(equal.iter().position(|equal| equal == Some(false)))
}

/// Whether two cells are the same; maps in any order.
fn same(data_type: &DataType, left: &ArrayRef, l: usize, right: &ArrayRef, r: usize) -> bool {
    match (is_null(left.as_ref(), l), is_null(right.as_ref(), r)) {
        (true, true) => return true,
        (false, false) => {}
        _ => return false,
    }
    match data_type {
        DataType::Array(item) => same_lists(item, &left.as_list::<i32>().value(l), &right.as_list::<i32>().value(r)),
        DataType::FloatVector => {
            same_lists(&DataType::Float, &left.as_list::<i32>().value(l), &right.as_list::<i32>().value(r))
        }
        DataType::Map(key, value) => same_maps(key, value, left, l, right, r),
        DataType::SparseFloatVector => same_maps(&DataType::Int, &DataType::Float, left, l, right, r),
        DataType::Row(fields) => {
            let (left, right) = (left.as_struct().columns(), right.as_struct().columns());
            left.iter()
                .zip(right)
                .zip(fields.iter())
                .all(|((left, right), field)| same(&field.data_type, left, l, right, r))
        }
        _ => left.slice(l, 1).to_data() == right.slice(r, 1).to_data(),
    }
}

fn same_lists(item: &DataType, left: &ArrayRef, right: &ArrayRef) -> bool {
    left.len() == right.len() && (0..left.len()).all(|index| same(item, left, index, right, index))
}

fn same_maps(key: &DataType, value: &DataType, left: &ArrayRef, l: usize, right: &ArrayRef, r: usize) -> bool {
    let (left, right) = (left.as_map().value(l), right.as_map().value(r));
    let in_left = |entry: usize| {
        (0..left.len()).any(|other| {
            same(key, left.column(0), other, right.column(0), entry)
                && same(value, left.column(1), other, right.column(1), entry)
        })
    };
    left.len() == right.len() && (0..right.len()).all(in_left)
}
