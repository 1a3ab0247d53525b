//! `CAST` to dates, times and timestamps (contract E.1).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Date32Type, Int64Type, Time64NanosecondType, TimestampMicrosecondType};

use super::cast::{OnFailure, cannot, integers, settle};
use super::value::{Numbers, RowError, Texts, Value, number_rows, some};
use crate::row::DataType;
use crate::row::text::{DAY_MICROS, days_of, parse_date, parse_time, parse_timestamp};

pub(super) fn to_date(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    let rows = value.array.len();
    match from {
        DataType::Timestamp => {
            let micros = Numbers::<TimestampMicrosecondType>::of(value);
            number_rows::<Date32Type>(rows, |row| Ok(micros.get(row).map(day_of)))
        }
        DataType::String => {
            let texts = Texts::of(value);
            number_rows::<Date32Type>(rows, |row| {
                let text = some!(texts.get(row));
                settle(read_date(text).ok_or_else(|| cannot(text, &DataType::Date)), on_failure)
            })
        }
        _ => {
            let numbers = integers(value)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            number_rows::<Date32Type>(rows, |row| {
                if numbers.is_null(row) {
                    return Ok(None);
                }
                let number = numbers.value(row);
                settle(date_of_digits(number).ok_or_else(|| cannot(number, &DataType::Date)), on_failure)
            })
        }
    }
}

/// The day on which a timestamp lies.
pub(super) fn day_of(micros: i64) -> i32 {
    let days = micros.div_euclid(DAY_MICROS);
    i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX })
}

/// `20230625` is 2023-06-25.
fn date_of_digits(number: i64) -> Option<i32> {
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    if !(0..=99_999_999).contains(&number) {
        return None;
    }
    days_of(i32::try_from(year).ok()?, month as u32, day as u32)
}

/// A date, or the date of a timestamp, or `yyyyMMdd`.
fn read_date(text: &str) -> Option<i32> {
    parse_date(text).or_else(|| parse_timestamp(text).map(|(micros, _)| day_of(micros))).or_else(|| {
        let digits = text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_digit());
        digits.then(|| text.parse().ok().and_then(date_of_digits)).flatten()
    })
}

pub(super) fn to_time(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    let rows = value.array.len();
    match from {
        DataType::Timestamp => {
            let micros = Numbers::<TimestampMicrosecondType>::of(value);
            number_rows::<Time64NanosecondType>(rows, |row| {
                Ok(micros.get(row).map(|micros| micros.rem_euclid(DAY_MICROS) * 1000))
            })
        }
        DataType::String => {
            let texts = Texts::of(value);
            number_rows::<Time64NanosecondType>(rows, |row| {
                let text = some!(texts.get(row));
                settle(read_time(text).ok_or_else(|| cannot(text, &DataType::Time)), on_failure)
            })
        }
        _ => {
            let numbers = integers(value)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            number_rows::<Time64NanosecondType>(rows, |row| {
                if numbers.is_null(row) {
                    return Ok(None);
                }
                let number = numbers.value(row);
                settle(time_of_digits(number).ok_or_else(|| cannot(number, &DataType::Time)), on_failure)
            })
        }
    }
}

/// `235109` is 23:51:09.
fn time_of_digits(number: i64) -> Option<i64> {
    let (hour, minute, second) = (number / 10_000, number / 100 % 100, number % 100);
    let valid = (0..=23).contains(&hour) && (0..=59).contains(&minute) && (0..=59).contains(&second);
    valid.then_some((hour * 3600 + minute * 60 + second) * 1_000_000_000)
}

/// A time, or the time of a timestamp.
fn read_time(text: &str) -> Option<i64> {
    parse_time(text).or_else(|| parse_timestamp(text).map(|(micros, _)| micros.rem_euclid(DAY_MICROS) * 1000))
}

pub(super) fn to_timestamp(value: &Value, from: &DataType, on_failure: OnFailure) -> Result<ArrayRef, RowError> {
    let rows = value.array.len();
    match from {
        DataType::Date => {
            let days = Numbers::<Date32Type>::of(value);
            number_rows::<TimestampMicrosecondType>(rows, |row| {
                Ok(days.get(row).map(|days| i64::from(days) * DAY_MICROS))
            })
        }
        DataType::String => {
            let texts = Texts::of(value);
            number_rows::<TimestampMicrosecondType>(rows, |row| {
                let text = some!(texts.get(row));
                let read = parse_timestamp(text).map(|(micros, _)| micros);
                settle(read.ok_or_else(|| cannot(text, &DataType::Timestamp)), on_failure)
            })
        }
        // Milliseconds since 1970 (UTC).
        _ => {
            let numbers = integers(value)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            number_rows::<TimestampMicrosecondType>(rows, |row| {
                if numbers.is_null(row) {
                    return Ok(None);
                }
                let millis = numbers.value(row);
                let micros = millis.checked_mul(1000).ok_or_else(|| cannot(millis, &DataType::Timestamp));
                settle(micros, on_failure)
            })
        }
    }
}
