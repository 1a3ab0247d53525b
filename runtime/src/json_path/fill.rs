//! JSON values as cells of a column.

use std::fmt;

use base64::Engine as _;

use super::Json;
use crate::row::literal::{BASE64, digits_behind_point, expected};
use crate::row::text::{DecimalError, parse_date, parse_decimal, parse_time, parse_timestamp};
use crate::row::{ColumnBuilder, DataType};

/// Characters of a value that a message shows.
const SHOWN_MAX: usize = 60;

/// A value that does not fit the type of its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillError {
    /// The way to the part that does not fit: `.a[2]`; empty for the value itself.
    pub part: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for FillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)?;
        if self.part.is_empty() { Ok(()) } else { write!(f, " at {}", self.part) }
    }
}

impl std::error::Error for FillError {}

/// Appends a value to a column. Numbers and booleans are read from text too, dates and times from text (empty text is
/// null), bytes from base64 text, rows from lists in the order of their fields or from objects by name; lists and
/// objects become text as their JSON. Answers how many values had digits that their type does not hold: they are cut
/// off (whole numbers, timestamps) or rounded (decimals).
///
/// # Errors
/// When the value does not fit. The column is then as it was.
pub fn fill(builder: &mut ColumnBuilder, data_type: &DataType, value: &Json<'_>) -> Result<u64, FillError> {
    // A nested value that fails in its middle must leave nothing behind.
    if matches!(builder, ColumnBuilder::List(_) | ColumnBuilder::Map(_) | ColumnBuilder::Row(_)) {
        append(&mut ColumnBuilder::new(data_type, 1), data_type, value)?;
    }
    append(builder, data_type, value)
}

fn append(builder: &mut ColumnBuilder, data_type: &DataType, value: &Json<'_>) -> Result<u64, FillError> {
    if matches!(value, Json::Null) {
        builder.append_null();
        return Ok(0);
    }
    let wrong = || mismatch(data_type, value);
    match builder {
        ColumnBuilder::Null(rows) => *rows += 1,
        ColumnBuilder::Boolean(builder) => builder.append_value(boolean(value).ok_or_else(wrong)?),
        ColumnBuilder::TinyInt(builder) => {
            return integer(value, |number| builder.append_value(number)).ok_or_else(wrong);
        }
        ColumnBuilder::SmallInt(builder) => {
            return integer(value, |number| builder.append_value(number)).ok_or_else(wrong);
        }
        ColumnBuilder::Int(builder) => return integer(value, |number| builder.append_value(number)).ok_or_else(wrong),
        ColumnBuilder::BigInt(builder) => {
            return integer(value, |number| builder.append_value(number)).ok_or_else(wrong);
        }
        ColumnBuilder::Float(builder) => builder.append_value(number(value).ok_or_else(wrong)?),
        ColumnBuilder::Double(builder) => builder.append_value(number(value).ok_or_else(wrong)?),
        ColumnBuilder::Decimal { builder, precision, scale } => {
            let text = scalar(value).ok_or_else(wrong)?;
            let unscaled = parse_decimal(text, *precision, *scale).map_err(|error| {
                let mut wrong = wrong();
                if error == DecimalError::TooLarge {
                    wrong.found.push_str(", which has more digits");
                }
                wrong
            })?;
            builder.append_value(unscaled);
            return Ok(u64::from(digits_behind_point(text.trim()) > i64::from(*scale)));
        }
        ColumnBuilder::String(builder) => match value {
            Json::Text(text) | Json::Number(text) => builder.append_value(text),
            other => builder.append_value(other.to_string()),
        },
        ColumnBuilder::Bytes(builder) => match (value, data_type) {
            (Json::Text(text), _) => builder.append_value(BASE64.decode(text.trim()).map_err(|_| wrong())?),
            _ => return Err(wrong()),
        },
        ColumnBuilder::Date(_) | ColumnBuilder::Time(_) | ColumnBuilder::Timestamp(_) => {
            return moment(builder, scalar(value).ok_or_else(wrong)?.trim()).ok_or_else(wrong);
        }
        ColumnBuilder::List(list) => {
            let item = match data_type {
                DataType::Array(item) => item.as_ref(),
                _ => &DataType::Float,
            };
            let mut lost = 0;
            for (index, value) in value.as_list().ok_or_else(wrong)?.iter().enumerate() {
                lost += append(&mut list.items, item, value).map_err(|error| error.within(&format!("[{index}]")))?;
            }
            list.append(true);
            return Ok(lost);
        }
        ColumnBuilder::Map(map) => {
            let (key_type, value_type) = match data_type {
                DataType::Map(key, value) => (key.as_ref(), value.as_ref()),
                _ => (&DataType::Int, &DataType::Float),
            };
            let Json::Object(entries) = value else { return Err(wrong()) };
            let mut lost = 0;
            for (key, value) in entries {
                let within = |error: FillError| error.within(&format!(".{key}"));
                let name = Json::Text(key.as_ref().into());
                // Keys are never null: an empty date would be one.
                if *key_type == DataType::Null || key.trim().is_empty() && *key_type != DataType::String {
                    return Err(within(mismatch(key_type, &name)));
                }
                lost += append(&mut map.keys, key_type, &name).map_err(within)?;
                lost += append(&mut map.values, value_type, value).map_err(within)?;
            }
            map.append(true);
            return Ok(lost);
        }
        ColumnBuilder::Row(row) => {
            let DataType::Row(fields) = data_type else { return Err(wrong()) };
            if !matches!(value, Json::List(_) | Json::Object(_)) {
                return Err(wrong());
            }
            let mut lost = 0;
            for (index, (field, builder)) in fields.iter().zip(&mut row.fields).enumerate() {
                let part = match value {
                    Json::List(items) => items.get(index),
                    object => object.get(&field.name),
                };
                let part = part.unwrap_or(&Json::Null);
                lost += append(builder, &field.data_type, part)
                    .map_err(|error| error.within(&format!(".{}", field.name)))?;
            }
            row.append(true);
            return Ok(lost);
        }
    }
    Ok(0)
}

impl FillError {
    fn within(mut self, part: &str) -> Self {
        self.part.insert_str(0, part);
        self
    }
}

fn mismatch(data_type: &DataType, value: &Json<'_>) -> FillError {
    let found = match scalar(value) {
        Some(text) if text.chars().count() <= SHOWN_MAX => format!("'{text}'"),
        Some(text) => format!("'{}...'", text.chars().take(SHOWN_MAX).collect::<String>()),
        None => value.kind_name().to_owned(),
    };
    FillError { part: String::new(), expected: expected(data_type), found }
}

fn scalar<'a>(value: &'a Json<'_>) -> Option<&'a str> {
    match value {
        Json::Text(text) | Json::Number(text) => Some(text),
        Json::Boolean(true) => Some("true"),
        Json::Boolean(false) => Some("false"),
        Json::Null | Json::List(_) | Json::Object(_) => None,
    }
}

fn boolean(value: &Json<'_>) -> Option<bool> {
    let text = scalar(value)?.trim();
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn number<T: std::str::FromStr>(value: &Json<'_>) -> Option<T> {
    scalar(value)?.trim().parse().ok()
}

/// A whole number; the fraction of one that is not is cut off. Answers whether there was one.
fn integer<T: TryFrom<i128>>(value: &Json<'_>, append: impl FnOnce(T)) -> Option<u64> {
    let text = scalar(value)?.trim();
    let (whole, lost) = match text.parse::<i128>() {
        Ok(whole) => (whole, 0),
        Err(_) if matches!(value, Json::Number(_)) => {
            // Far beyond every type of whole numbers, so that what follows cannot overflow.
            let number = text.parse::<f64>().ok().filter(|number| number.abs() < 1e20)?;
            (number as i128, u64::from(number.fract() != 0.0))
        }
        Err(_) => return None,
    };
    append(T::try_from(whole).ok()?);
    Some(lost)
}

/// A date, time or timestamp; empty text is null.
fn moment(builder: &mut ColumnBuilder, text: &str) -> Option<u64> {
    if text.is_empty() {
        builder.append_null();
        return Some(0);
    }
    match builder {
        ColumnBuilder::Date(builder) => builder.append_value(parse_date(text)?),
        ColumnBuilder::Time(builder) => builder.append_value(parse_time(text)?),
        ColumnBuilder::Timestamp(builder) => {
            let (micros, lost) = parse_timestamp(text)?;
            builder.append_value(micros);
            return Some(u64::from(lost));
        }
        _ => return None,
    }
    Some(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::parse_type_text;
    use crate::row::show::write_value;

    fn filled(data_type: &str, json: &str) -> Result<(String, u64), FillError> {
        let data_type = parse_type_text(data_type).expect(data_type);
        let mut builder = ColumnBuilder::new(&data_type, 1);
        let lost = fill(&mut builder, &data_type, &Json::read(json).expect(json))?;
        let mut shown = String::new();
        write_value(&mut shown, builder.finish().as_ref(), &data_type, 0);
        Ok((shown, lost))
    }

    #[test]
    fn values_become_cells_of_every_type() {
        for (data_type, json, expected) in [
            ("null", "1", "null"),
            ("boolean", "\" TRUE \"", "true"),
            ("tinyint", "-128", "-128"),
            ("smallint", "\"7\"", "7"),
            ("int", "42", "42"),
            ("int", "1e3", "1000"),
            ("bigint", "9223372036854775807", "9223372036854775807"),
            ("float", "3.14", "3.14"),
            ("double", "\"3.14\"", "3.14"),
            ("decimal(30,20)", "1234567890.12345678901234567890", "1234567890.12345678901234567890"),
            ("string", "1.50", "1.50"),
            ("string", "[1, {\"a\": \"x\"}]", r#"[1,{"a":"x"}]"#),
            ("string", "true", "true"),
            ("bytes", "\"bWlJWmo=\"", "[109, 105, 73, 90, 106]"),
            ("date", "\"2024-01-31\"", "2024-01-31"),
            ("date", "\"\"", "null"),
            ("time", "\"16:12:43.459\"", "16:12:43.459"),
            ("timestamp", "\"2024-01-31T01:02:03\"", "2024-01-31T01:02:03"),
            ("array<int>", "[1, null, \"3\"]", "[1, null, 3]"),
            ("map<string, map<string, int>>", r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
            ("map<int, string>", r#"{"7":"x"}"#, r#"{"7":"x"}"#),
            ("{a = int, b = \"array<string>\"}", r#"{"b":["x"],"c":1}"#, "[null, [x]]"),
            ("{a = int, b = string}", "[1]", "[1, null]"),
            ("float_vector", "[1, 2.5]", "[1.0, 2.5]"),
            ("int", "null", "null"),
        ] {
            assert_eq!(filled(data_type, json), Ok((expected.to_owned(), 0)), "{data_type} {json}");
        }
    }

    #[test]
    fn digits_that_do_not_fit_are_counted() {
        for (data_type, json, expected) in [
            ("int", "3.99", "3"),
            ("decimal(10,2)", "1.005", "1.01"),
            ("timestamp", "\"2024-01-31T01:02:03.1234567\"", "2024-01-31T01:02:03.123456"),
            ("array<bigint>", "[1, -2.5]", "[1, -2]"),
        ] {
            assert_eq!(filled(data_type, json), Ok((expected.to_owned(), 1)), "{data_type} {json}");
        }
    }

    #[test]
    fn what_does_not_fit_names_its_part() {
        for (data_type, json, expected) in [
            ("boolean", "1", "expected BOOLEAN, found '1'"),
            ("tinyint", "128", "expected TINYINT (a whole number from -128 to 127), found '128'"),
            ("int", "\"1.5\"", "expected INT (a whole number of 32 bits), found '1.5'"),
            ("bigint", "1e30", "expected BIGINT (a whole number of 64 bits), found '1e30'"),
            ("decimal(4,2)", "100", "expected Decimal(4, 2), found '100', which has more digits"),
            ("date", "\"2024-02-30\"", "expected DATE (text like 2024-01-31), found '2024-02-30'"),
            ("bytes", "\"???\"", "expected BYTES (base64 text), found '???'"),
            ("array<int>", "1", "expected ARRAY<INT> (a list), found '1'"),
            ("array<int>", "[1,\"x\"]", "expected INT (a whole number of 32 bits), found 'x' at [1]"),
            ("{a = \"map<date, int>\"}", r#"{"a":{"":1}}"#, "expected DATE (text like 2024-01-31), found '' at .a."),
            ("{a = int}", "\"x\"", "expected ROW<a INT> (a list or an object), found 'x'"),
        ] {
            let error = filled(data_type, json).expect_err(json);
            assert_eq!(error.to_string(), expected, "{data_type} {json}");
        }
    }

    proptest! {
        #[test]
        fn a_value_that_fails_leaves_the_column_as_it_was(json in r#"(\[|\{"a":)?(\[|\{"b":)?("?[0-9x.]{0,3}"?)[\]}]{0,2}"#) {
            for data_type in ["array<array<int>>", "map<string, array<int>>", "{a = {b = int}}", "int"] {
                let data_type = parse_type_text(data_type).or_else(|_| parse_type_text("array<int>")).expect("a type");
                let Ok(value) = Json::read(&json) else { continue };
                let mut builder = ColumnBuilder::new(&data_type, 1);
                let expected = usize::from(fill(&mut builder, &data_type, &value).is_ok());
                prop_assert_eq!(builder.len(), expected);
                builder.append_null();
                prop_assert_eq!(builder.finish().len(), expected + 1);
            }
        }
    }
}
