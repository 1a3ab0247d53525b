//! `CAST`: every conversion between types, with SeaTunnel's rules (contract E.1).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BinaryBuilder, new_null_array};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64NanosecondType, TimestampMicrosecondType,
};

use super::arithmetic::{Decimals, as_decimals};
use super::cast_times::{to_date, to_time, to_timestamp};
use super::decimal::{Decimal, Rounding, check_precision};
use super::value::{Numbers, RowError, Texts, Value, boolean_rows, number_rows, some, text_rows};
use crate::row::DataType;
use crate::row::text::{write_date, write_decimal, write_double, write_float, write_time, write_timestamp};

/// What becomes of a value that has no counterpart in the other type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// The row is an error: `CAST`.
    Fail,
    /// The row is null: `TRY_CAST`.
    Null,
}

/// Whether there is a conversion at all.
pub(super) fn is_possible(from: &DataType, to: &DataType) -> bool {
    use DataType::{BigInt, Boolean, Bytes, Date, Int, Null, String, Time, Timestamp};
    if from == to || *from == Null {
        return true;
    }
    match to {
        String => is_scalar(from),
        Bytes => is_scalar(from),
        Boolean => from.is_numeric() || *from == String,
        to if to.is_numeric() => from.is_numeric() || matches!(from, String | Boolean),
        Date => matches!(from, Timestamp | String | Int | BigInt),
        Time => matches!(from, Timestamp | String | Int | BigInt),
        Timestamp => from.is_integer() || matches!(from, Date | String),
        _ => false,
    }
}

/// Whether a type is not made of other types.
pub(super) fn is_scalar(data_type: &DataType) -> bool {
    use DataType::{Boolean, Bytes, Date, Null, String, Time, Timestamp};
    data_type.is_numeric() || matches!(data_type, Null | Boolean | String | Bytes | Date | Time | Timestamp)
}

/// Whether the conversion can fail for some value.
pub(super) fn is_fallible(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        BigInt, Boolean, Bytes, Date, Double, Float, Int, Null, SmallInt, String, Time, Timestamp, TinyInt,
    };
    let rank = |data_type: &DataType| match data_type {
        TinyInt => 1,
        SmallInt => 2,
        Int => 3,
        BigInt => 4,
        _ => 0,
    };
    match (from, to) {
        _ if from == to || *from == Null => false,
        (Bytes, _) => true,
        (_, String | Bytes) => false,
        (_, Double | Float) => *from == String,
        (Timestamp, Date | Time) | (Date, Timestamp) => false,
        (Boolean, to) if to.is_integer() => false,
        (from, to) if from.is_integer() && to.is_integer() => rank(from) > rank(to),
        _ => true,
    }
}

/// The name of a type in messages: `int`, `decimal(10, 2)`.
pub(super) fn type_name(data_type: &DataType) -> String {
    data_type.to_string().to_lowercase()
}

/// Converts a value. The caller has asked [`is_possible`].
pub(super) fn evaluate(
    value: &Value,
    from: &DataType,
    to: &DataType,
    on_failure: OnFailure,
) -> Result<ArrayRef, RowError> {
    if from == to {
        return Ok(value.array.clone());
    }
    let rows = value.array.len();
    if *from == DataType::Null {
        return Ok(new_null_array(&to.arrow(), rows));
    }
    // The value's own rows are converted, also when they are but one.
    let value = &Value::column(value.array.clone());
    match to {
        DataType::String => to_text(value, from, on_failure),
        DataType::Bytes => to_bytes(value, from, on_failure),
        DataType::Boolean => to_boolean(value, from, on_failure),
        DataType::TinyInt => to_integer::<Int8Type>(value, from, to, on_failure),
        DataType::SmallInt => to_integer::<Int16Type>(value, from, to, on_failure),
        DataType::Int => to_integer::<Int32Type>(value, from, to, on_failure),
        DataType::BigInt => to_integer::<Int64Type>(value, from, to, on_failure),
        DataType::Float => to_float(value, from, on_failure),
        DataType::Double => to_double(value, from, on_failure),
        DataType::Decimal { precision, scale } => to_decimal(value, from, *precision, *scale, on_failure),
        DataType::Date => to_date(value, from, on_failure),
        DataType::Time => to_time(value, from, on_failure),
        DataType::Timestamp => to_timestamp(value, from, on_failure),
        other => Err(RowError::new(0, format!("cannot cast {} to {}", type_name(from), type_name(other)))),
    }
}

/// Turns a refusal into an error or null.
pub(super) fn settle<T>(result: Result<T, String>, on_failure: OnFailure) -> Result<Option<T>, String> {
    match (result, on_failure) {
        (Ok(value), _) => Ok(Some(value)),
        (Err(_), OnFailure::Null) => Ok(None),
        (Err(message), OnFailure::Fail) => Err(message),
    }
}

pub(super) fn cannot(shown: impl std::fmt::Display, to: &DataType) -> String {
    let shown = shown.to_string();
    // Long values would drown the message.
    let short: String = shown.chars().take(100).collect();
    let dots = if short.len() < shown.len() { "..." } else { "" };
    format!("cannot cast '{short}{dots}' to {}", type_name(to))
}

// ---------------------------------------------------------------------------------------------------- texts

/// Appends the text of one value, which is not null.
fn write_scalar(out: &mut String, array: &dyn Array, from: &DataType, row: usize) {
    use std::fmt::Write as _;
    let _ = match from {
        DataType::Boolean => write!(out, "{}", array.as_boolean().value(row)),
        DataType::TinyInt => write!(out, "{}", array.as_primitive::<Int8Type>().value(row)),
        DataType::SmallInt => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
        DataType::Int => {
            out.push_str(itoa::Buffer::new().format(array.as_primitive::<Int32Type>().value(row)));
            Ok(())
        }
        DataType::BigInt => {
            out.push_str(itoa::Buffer::new().format(array.as_primitive::<Int64Type>().value(row)));
            Ok(())
        }
        _ => Ok(()),
    };
    match from {
        DataType::Float => write_float(out, array.as_primitive::<Float32Type>().value(row)),
        DataType::Double => write_double(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal { scale, .. } => {
            write_decimal(out, array.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        DataType::Date => write_date(out, array.as_primitive::<Date32Type>().value(row)),
        DataType::Time => write_time(out, array.as_primitive::<Time64NanosecondType>().value(row)),
        DataType::Timestamp => write_timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::String => out.push_str(array.as_string::<i32>().value(row)),
        _ => {}
    }
}

/// The text of one value for messages.
fn shown(value: &Value, from: &DataType, row: usize) -> String {
    let mut out = String::new();
    write_scalar(&mut out, value.array.as_ref(), from, row);
    out
}

fn to_text(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    let array = &value.array;
    let rows = array.len();
    if *from == DataType::Bytes {
        let bytes: &BinaryArray = array.as_binary::<i32>();
        return text_rows(rows, bytes.values().len(), |row, out| {
            if bytes.is_null(row) {
                return Ok(None);
            }
            let text = std::str::from_utf8(bytes.value(row))
                .map_err(|error| format!("cannot cast bytes to string: they are not UTF-8 ({error})"));
            let text = some!(settle(text, on_failure)?);
            out.push(text).map(Some)
        });
    }
    let mut text = String::new();
    text_rows(rows, rows * 12, |row, out| {
        if array.is_null(row) {
            return Ok(None);
        }
        text.clear();
        write_scalar(&mut text, array.as_ref(), from, row);
        out.push(&text).map(Some)
    })
}

fn to_bytes(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    let texts = if *from == DataType::String { value.array.clone() } else { to_text(value, from, on_failure)? };
    let texts = texts.as_string::<i32>();
    let mut out = BinaryBuilder::with_capacity(texts.len(), texts.values().len());
    texts.iter().for_each(|text| out.append_option(text));
    Ok(Arc::new(out.finish()))
}

fn to_boolean(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    let rows = value.array.len();
    if *from == DataType::String {
        let texts = Texts::of(value);
        return boolean_rows(rows, |row| {
            let text = some!(texts.get(row));
            let read = match text {
                "1" => Ok(true),
                "0" => Ok(false),
                _ if text.eq_ignore_ascii_case("true") => Ok(true),
                _ if text.eq_ignore_ascii_case("false") => Ok(false),
                _ => Err(cannot(text, &DataType::Boolean)),
            };
            settle(read, on_failure)
        });
    }
    let numbers = Decimals::of(value);
    boolean_rows(rows, |row| {
        let read = match numbers.get(row) {
            Ok(None) => return Ok(None),
            Ok(Some(number)) => match number.rescale(0, Rounding::Down) {
                Ok(0) => Ok(false),
                Ok(1) => Ok(true),
                _ => Err(cannot(shown(value, from, row), &DataType::Boolean)),
            },
            Err(_) => Err(cannot(shown(value, from, row), &DataType::Boolean)),
        };
        settle(read, on_failure)
    })
}

// -------------------------------------------------------------------------------------------------- numbers

fn to_integer<T>(value: &Value, from: &DataType, to: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64> + TryFrom<i128> + std::str::FromStr + From<bool>,
{
    let rows = value.array.len();
    if from.is_integer() && !is_fallible(from, to) {
        return arrow::compute::cast(&value.array, &to.arrow()).map_err(|error| RowError::from_kernel(&error));
    }
    match from {
        DataType::Boolean => {
            let booleans = value.array.as_boolean();
            number_rows::<T>(rows, |row| Ok(booleans.is_valid(row).then(|| T::Native::from(booleans.value(row)))))
        }
        DataType::String => {
            let texts = Texts::of(value);
            number_rows::<T>(rows, |row| {
                let text = some!(texts.get(row));
                settle(text.parse().map_err(|_| cannot(text, to)), on_failure)
            })
        }
        _ => {
            let numbers = Decimals::of(value);
            number_rows::<T>(rows, |row| {
                let whole = match numbers.get(row) {
                    Ok(None) => return Ok(None),
                    Ok(Some(number)) => number.rescale(0, Rounding::Down).ok(),
                    Err(_) => None,
                };
                let fitting = whole.and_then(|whole| T::Native::try_from(whole).ok());
                settle(fitting.ok_or_else(|| cannot(shown(value, from, row), to) + ": out of range"), on_failure)
            })
        }
    }
}

/// Reads a double as Java's `Double.parseDouble` does, hexadecimal forms aside.
pub(super) fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        _ => {}
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()
}

fn to_double(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    let rows = value.array.len();
    match from {
        DataType::String => {
            let texts = Texts::of(value);
            number_rows::<Float64Type>(rows, |row| {
                let text = some!(texts.get(row));
                settle(parse_double(text).ok_or_else(|| cannot(text, &DataType::Double)), on_failure)
            })
        }
        // As in Java a cast goes by the text: 1.23 stays 1.23.
        DataType::Float => {
            let floats = Numbers::<Float32Type>::of(value);
            number_rows::<Float64Type>(rows, |row| {
                let float = some!(floats.get(row));
                if !float.is_finite() || float.fract() == 0.0 {
                    return Ok(Some(f64::from(float)));
                }
                Ok(ryu::Buffer::new().format_finite(float).parse().ok())
            })
        }
        DataType::Decimal { .. } => {
            let numbers = Decimals::of(value);
            number_rows::<Float64Type>(rows, |row| Ok(numbers.get(row)?.map(Decimal::to_double)))
        }
        _ => by_kernel(value, from, &DataType::Double),
    }
}

/// The conversions that Arrow's kernel does as Java does.
fn by_kernel(value: &Value, from: &DataType, to: &DataType) -> Result<ArrayRef, RowError> {
    let array = match from {
        DataType::Boolean => to_integer::<Int32Type>(value, from, &DataType::Int, OnFailure::Fail)?,
        _ => value.array.clone(),
    };
    arrow::compute::cast(&array, &to.arrow()).map_err(|error| RowError::from_kernel(&error))
}

/// Widens numbers to doubles by their value, as arithmetic does.
pub(super) fn widen(value: &Value, from: &DataType) -> Result<ArrayRef, RowError> {
    match from {
        DataType::Float => by_kernel(value, from, &DataType::Double),
        _ => evaluate(value, from, &DataType::Double, OnFailure::Fail),
    }
}

fn to_float(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    match from {
        DataType::String | DataType::Decimal { .. } | DataType::Double => {
            let doubles = to_double_array(value, from, on_failure)?;
            let doubles = doubles.as_primitive::<Float64Type>();
            Ok(Arc::new(doubles.unary::<_, Float32Type>(|double| double as f32)))
        }
        _ => by_kernel(value, from, &DataType::Float),
    }
}

fn to_double_array(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    if *from == DataType::Double { Ok(value.array.clone()) } else { to_double(value, from, on_failure) }
}

fn to_decimal(
    value: &Value,
    from: &DataType,
    precision: u8,
    scale: i8,
    on_failure: OnFailure,
) -> Result<ArrayRef, RowError> {
    let rows = value.array.len();
    let to = DataType::Decimal { precision, scale };
    let fit = |number: Decimal| {
        number
            .rescale(i32::from(scale), Rounding::Ceiling)
            .ok()
            .and_then(|unscaled| check_precision(unscaled, precision, scale).ok())
    };
    let array = match from {
        DataType::String => {
            let texts = Texts::of(value);
            number_rows::<Decimal128Type>(rows, |row| {
                let text = some!(texts.get(row));
                settle(Decimal::parse(text).and_then(fit).ok_or_else(|| cannot(text, &to)), on_failure)
            })
        }
        DataType::Boolean => {
            let booleans = value.array.as_boolean();
            number_rows::<Decimal128Type>(rows, |row| {
                if booleans.is_null(row) {
                    return Ok(None);
                }
                let number = Decimal::new(i128::from(booleans.value(row)), 0);
                settle(fit(number).ok_or_else(|| cannot(shown(value, from, row), &to)), on_failure)
            })
        }
        _ => {
            let numbers = Decimals::of(value);
            number_rows::<Decimal128Type>(rows, |row| {
                let fitting = match numbers.get(row) {
                    Ok(None) => return Ok(None),
                    Ok(Some(number)) => fit(number),
                    Err(_) => None,
                };
                settle(fitting.ok_or_else(|| cannot(shown(value, from, row), &to)), on_failure)
            })
        }
    }?;
    as_decimals(&array, precision, scale)
}

/// The integers of a value as 64 bits.
pub(super) fn integers(value: &Value) -> Result<ArrayRef, RowError> {
    by_kernel(value, &DataType::BigInt, &DataType::BigInt)
}
