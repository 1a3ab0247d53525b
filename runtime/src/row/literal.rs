//! Values written in a config (rows of the fake source, expected values of Assert, defaults of columns) as cells.
//!
//! They convert as JSON input does: numbers and booleans also from text, dates and times from text, bytes from base64
//! text, rows from lists in the order of their fields or from objects by name, missing parts as null.

use std::fmt;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
use arrow::error::ArrowError;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{Local, NaiveDateTime};

use super::text::{DecimalError, days_of, parse_date, parse_decimal, parse_time, parse_timestamp};
use super::{Column, ColumnBuilder, DataType, Field, ListColumn, MapColumn, RowColumn, TableSchema};
use crate::config::{Object, Position, Problem, Problems, Value, ValueKind, nearest, render_json_value};

pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Words that stand for the moment at which a literal is read (contract D.1).
pub const CURRENT_DATE: &str = "CURRENT_DATE";
/// See [`CURRENT_DATE`].
pub const CURRENT_TIME: &str = "CURRENT_TIME";
/// See [`CURRENT_DATE`].
pub const CURRENT_TIMESTAMP: &str = "CURRENT_TIMESTAMP";

/// A value that does not fit the type of its column.
#[derive(Clone, Debug, PartialEq)]
pub struct LiteralError {
    /// The column, and the way to the part that does not fit: `c_row.c_int`, `c_array[2]`.
    pub column: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// Where it stands.
    pub position: Position,
}

/// `column 'age': expected INT, found 'old'`
impl fmt::Display for LiteralError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column '{}': expected {}, found {}", self.column, self.expected, self.found)
    }
}

impl std::error::Error for LiteralError {}

impl From<LiteralError> for Problem {
    fn from(error: LiteralError) -> Self {
        Problem::error(error.position.clone(), error.to_string())
    }
}

/// Reads literals; all that one reader reads see the same current time.
#[derive(Debug)]
pub struct Literals {
    now: NaiveDateTime,
    warnings: Problems,
    digits_lost: u64,
}

impl Default for Literals {
    fn default() -> Self {
        Self::at(Local::now().naive_local())
    }
}

impl Literals {
    /// A reader for which it is this time, on the clock of the server's zone.
    pub fn at(now: NaiveDateTime) -> Self {
        Self { now, warnings: Problems::default(), digits_lost: 0 }
    }

    /// What was read but looks like a mistake: values for columns that do not exist.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// How many values had more digits behind the point than their type holds: timestamps finer than a microsecond,
    /// decimals beyond their scale.
    pub fn digits_lost(&self) -> u64 {
        self.digits_lost
    }

    /// Reads one value as a column of one row.
    ///
    /// # Errors
    /// When the value does not fit the type.
    pub fn cell(&mut self, column: &str, data_type: &DataType, value: &Value) -> Result<ArrayRef, LiteralError> {
        let mut builder = ColumnBuilder::new(data_type, 1);
        self.append(&mut builder, column, data_type, value)?;
        Ok(builder.finish())
    }

    /// Reads rows of a table, each a list in the order of the columns or an object by name. All that do not fit are
    /// reported, one problem each.
    ///
    /// # Errors
    /// When a value does not fit its column.
    pub fn rows(&mut self, table: &TableSchema, rows: &[&Value]) -> Result<RecordBatch, Problems> {
        let mut problems = Problems::default();
        let mut builders: Vec<ColumnBuilder> =
            table.columns.iter().map(|column| ColumnBuilder::new(&column.data_type, rows.len())).collect();
        for row in rows {
            let parts = self.parts(row, &names(&table.columns), "");
            let Some(parts) = parts else {
                let found = found(row);
                let message = format!("expected a list of values or an object of names and values, found {found}");
                problems.push(Problem::error(row.position.clone(), message));
                continue;
            };
            for ((part, column), builder) in parts.into_iter().zip(table.columns.iter()).zip(&mut builders) {
                let appended = match part {
                    Some(value) => self.append(builder, &column.name, &column.data_type, value),
                    None => {
                        builder.append_null();
                        Ok(())
                    }
                };
                if let Err(error) = appended {
                    problems.push(error.into());
                    // A fresh one: the failed value may have left half a list behind. The rows are lost anyway.
                    *builder = ColumnBuilder::new(&column.data_type, 0);
                }
            }
        }
        if problems.has_errors() {
            return Err(problems);
        }
        let columns = builders.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(table.arrow().clone(), columns, &options)
            .map_err(|error: ArrowError| Problem::error(None, error.to_string()).into())
    }

    /// Appends a value. After an error the builder may hold a part of the value and must be thrown away.
    ///
    /// # Errors
    /// When the value does not fit the type.
    pub fn append(
        &mut self,
        builder: &mut ColumnBuilder,
        column: &str,
        data_type: &DataType,
        value: &Value,
    ) -> Result<(), LiteralError> {
        if value.is_null() {
            builder.append_null();
            return Ok(());
        }
        let wrong = || LiteralError {
            column: column.into(),
            expected: expected(data_type),
            found: found(value),
            position: value.position.clone(),
        };
        match builder {
            ColumnBuilder::Null(rows) => {
                self.warn(value, format!("column '{column}' is of type null: the value has no effect"));
                *rows += 1;
            }
            ColumnBuilder::Boolean(builder) => builder.append_value(value.to_boolean().ok_or_else(wrong)?),
            ColumnBuilder::TinyInt(builder) => builder.append_value(integer(value).ok_or_else(wrong)?),
            ColumnBuilder::SmallInt(builder) => builder.append_value(integer(value).ok_or_else(wrong)?),
            ColumnBuilder::Int(builder) => builder.append_value(integer(value).ok_or_else(wrong)?),
            ColumnBuilder::BigInt(builder) => builder.append_value(integer(value).ok_or_else(wrong)?),
            ColumnBuilder::Float(builder) => builder.append_value(float(value).ok_or_else(wrong)?),
            ColumnBuilder::Double(builder) => builder.append_value(double(value).ok_or_else(wrong)?),
            ColumnBuilder::Decimal { builder, precision, scale } => {
                let text = number_text(value).ok_or_else(wrong)?;
                let unscaled = parse_decimal(text, *precision, *scale).map_err(|error| LiteralError {
                    found: match error {
                        DecimalError::TooLarge => format!("{}, which has more digits", found(value)),
                        DecimalError::NotANumber => found(value),
                    },
                    ..wrong()
                })?;
                self.digits_lost += u64::from(digits_behind_point(text) > i64::from(*scale));
                builder.append_value(unscaled);
            }
            ColumnBuilder::String(builder) => match value.to_text() {
                Some(text) => builder.append_value(text),
                // A list or object: its JSON.
                None => builder.append_value(render_json_value(value, false)),
            },
            ColumnBuilder::Bytes(builder) => builder.append_value(bytes(data_type, value).ok_or_else(wrong)?),
            ColumnBuilder::Date(_) | ColumnBuilder::Time(_) | ColumnBuilder::Timestamp(_) => {
                self.append_moment(builder, value).ok_or_else(wrong)?;
            }
            ColumnBuilder::List(list) => self.append_list(list, column, data_type, value)?,
            ColumnBuilder::Map(map) => self.append_map(map, column, data_type, value)?,
            ColumnBuilder::Row(row) => self.append_row(row, column, data_type, value)?,
        }
        Ok(())
    }

    /// A date, time or timestamp; empty text is null.
    fn append_moment(&mut self, builder: &mut ColumnBuilder, value: &Value) -> Option<()> {
        let text = value.to_text()?.trim();
        if text.is_empty() {
            builder.append_null();
            return Some(());
        }
        let now = self.now.and_utc();
        match builder {
            ColumnBuilder::Date(builder) if text.eq_ignore_ascii_case(CURRENT_DATE) => {
                let date = self.now.date();
                let (month, day) = (chrono::Datelike::month(&date), chrono::Datelike::day(&date));
                builder.append_value(days_of(chrono::Datelike::year(&date), month, day)?);
            }
            ColumnBuilder::Date(builder) => builder.append_value(parse_date(text)?),
            ColumnBuilder::Time(builder) if text.eq_ignore_ascii_case(CURRENT_TIME) => {
                let since_midnight = self.now.time() - chrono::NaiveTime::MIN;
                builder.append_value(since_midnight.num_nanoseconds()?);
            }
            ColumnBuilder::Time(builder) => builder.append_value(parse_time(text)?),
            ColumnBuilder::Timestamp(builder) if text.eq_ignore_ascii_case(CURRENT_TIMESTAMP) => {
                builder.append_value(now.timestamp_micros());
            }
            ColumnBuilder::Timestamp(builder) => {
                let (micros, lost) = parse_timestamp(text)?;
                self.digits_lost += u64::from(lost);
                builder.append_value(micros);
            }
            _ => return None,
        }
        Some(())
    }

    fn append_list(
        &mut self,
        list: &mut ListColumn,
        column: &str,
        data_type: &DataType,
        value: &Value,
    ) -> Result<(), LiteralError> {
        let item = match data_type {
            DataType::Array(item) => item.as_ref(),
            _ => &DataType::Float,
        };
        let Some(values) = value.as_list() else { return Err(mismatch(column, data_type, value)) };
        for (index, value) in values.iter().enumerate() {
            self.append(&mut list.items, &format!("{column}[{index}]"), item, value)?;
        }
        list.append(true);
        Ok(())
    }

    fn append_map(
        &mut self,
        map: &mut MapColumn,
        column: &str,
        data_type: &DataType,
        value: &Value,
    ) -> Result<(), LiteralError> {
        let (key, item) = match data_type {
            DataType::Map(key, item) => (key.as_ref(), item.as_ref()),
            _ => (&DataType::Int, &DataType::Float),
        };
        let Some(object) = value.as_object() else { return Err(mismatch(column, data_type, value)) };
        for entry in object.entries() {
            let name = Value { kind: ValueKind::Text(entry.key.as_ref().into()), position: entry.key_position.clone() };
            let path = format!("{column}.{}", entry.key);
            if matches!(key, DataType::Null) || entry.key.is_empty() && !matches!(key, DataType::String) {
                return Err(mismatch(&path, key, &name));
            }
            self.append(&mut map.keys, &path, key, &name)?;
            self.append(&mut map.values, &path, item, &entry.value)?;
        }
        map.append(true);
        Ok(())
    }

    fn append_row(
        &mut self,
        row: &mut RowColumn,
        column: &str,
        data_type: &DataType,
        value: &Value,
    ) -> Result<(), LiteralError> {
        let DataType::Row(fields) = data_type else { return Err(mismatch(column, data_type, value)) };
        let Some(parts) = self.parts(value, &field_names(fields), column) else {
            return Err(mismatch(column, data_type, value));
        };
        for ((part, field), builder) in parts.into_iter().zip(fields.iter()).zip(&mut row.fields) {
            match part {
                Some(value) => {
                    self.append(builder, &format!("{column}.{}", field.name), &field.data_type, value)?;
                }
                None => builder.append_null(),
            }
        }
        row.append(true);
        Ok(())
    }

    /// The parts of a row in the order of `names`; `None` where one is missing. Parts that no name fits are warned
    /// about.
    fn parts<'a>(&mut self, value: &'a Value, names: &[&str], column: &str) -> Option<Vec<Option<&'a Value>>> {
        let of = if column.is_empty() { String::new() } else { format!(" of '{column}'") };
        match &value.kind {
            ValueKind::List(items) => {
                if items.len() > names.len() {
                    let message =
                        format!("{} values for {} columns{of}: the last have no effect", items.len(), names.len());
                    self.warn(value, message);
                }
                Some((0..names.len()).map(|index| items.get(index)).collect())
            }
            ValueKind::Object(object) => {
                self.warn_of_unknown(object, names, &of);
                Some(names.iter().map(|name| object.get(name)).collect())
            }
            _ => None,
        }
    }

    fn warn_of_unknown(&mut self, object: &Object, names: &[&str], of: &str) {
        for entry in object.entries() {
            let key = entry.key.as_ref();
            // `a { b = 1 }` may stand for the column `a.b`, and `a.b = 1` for the part `b` of `a`.
            let known = |name: &&str| {
                *name == key
                    || name.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'))
                    || key.strip_prefix(*name).is_some_and(|rest| rest.starts_with('.'))
            };
            if names.iter().any(known) {
                continue;
            }
            let mut problem =
                Problem::warning(entry.key_position.clone(), format!("'{key}' is not a column{of} and has no effect"));
            if let Some(name) = nearest(key, names.iter().copied()) {
                problem = problem.with_help(format!("did you mean '{name}'?"));
            }
            self.warnings.push(problem);
        }
    }

    fn warn(&mut self, value: &Value, message: String) {
        self.warnings.push(Problem::warning(value.position.clone(), message));
    }
}

/// Whether a value holds one of the words for the current time, so that it means something else at another moment.
pub fn depends_on_time(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Text(text) => {
            [CURRENT_DATE, CURRENT_TIME, CURRENT_TIMESTAMP].iter().any(|word| text.trim().eq_ignore_ascii_case(word))
        }
        ValueKind::List(items) => items.iter().any(depends_on_time),
        ValueKind::Object(object) => object.entries().iter().any(|entry| depends_on_time(&entry.value)),
        _ => false,
    }
}

fn names(columns: &[Column]) -> Vec<&str> {
    columns.iter().map(|column| column.name.as_ref()).collect()
}

fn field_names(fields: &[Field]) -> Vec<&str> {
    fields.iter().map(|field| field.name.as_ref()).collect()
}

fn mismatch(column: &str, data_type: &DataType, value: &Value) -> LiteralError {
    LiteralError {
        column: column.into(),
        expected: expected(data_type),
        found: found(value),
        position: value.position.clone(),
    }
}

pub(crate) fn expected(data_type: &DataType) -> String {
    match data_type {
        DataType::TinyInt => "TINYINT (a whole number from -128 to 127)".into(),
        DataType::SmallInt => "SMALLINT (a whole number from -32768 to 32767)".into(),
        DataType::Int => "INT (a whole number of 32 bits)".into(),
        DataType::BigInt => "BIGINT (a whole number of 64 bits)".into(),
        DataType::Bytes => "BYTES (base64 text)".into(),
        DataType::Date => "DATE (text like 2024-01-31)".into(),
        DataType::Time => "TIME (text like 23:59:59)".into(),
        DataType::Timestamp => "TIMESTAMP (text like 2024-01-31T23:59:59)".into(),
        DataType::Array(_) => format!("{data_type} (a list)"),
        DataType::Map(..) => format!("{data_type} (an object)"),
        DataType::Row(_) => format!("{data_type} (a list or an object)"),
        DataType::FloatVector => "FLOAT_VECTOR (a list of numbers)".into(),
        DataType::Float16Vector | DataType::BFloat16Vector => {
            format!("{data_type} (a list of numbers, or base64 text)")
        }
        DataType::BinaryVector => "BINARY_VECTOR (a list of bytes, or base64 text)".into(),
        DataType::SparseFloatVector => "SPARSE_FLOAT_VECTOR (an object of dimensions and numbers)".into(),
        _ => data_type.to_string(),
    }
}

fn found(value: &Value) -> String {
    const SHOWN_MAX: usize = 60;
    match value.to_text() {
        Some(text) if text.chars().count() <= SHOWN_MAX => format!("'{text}'"),
        Some(text) => format!("'{}...'", text.chars().take(SHOWN_MAX).collect::<String>()),
        None => value.kind_name().into(),
    }
}

/// A number's text, also of text.
fn number_text(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Number(text) => Some(text.trim()),
        ValueKind::Text(text) => Some(text.trim()),
        _ => None,
    }
}

fn integer<T: TryFrom<i64>>(value: &Value) -> Option<T> {
    value.to_integer().and_then(|number| T::try_from(number).ok())
}

/// Also `NaN` and `Infinity`, as Java reads them.
fn double(value: &Value) -> Option<f64> {
    number_text(value)?.parse().ok()
}

fn float(value: &Value) -> Option<f32> {
    number_text(value)?.parse().ok()
}

/// Digits behind the point that a number needs; negative when it ends in zeros before the point.
pub(crate) fn digits_behind_point(text: &str) -> i64 {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let zeros = if fraction.is_empty() { whole.len() - whole.trim_end_matches('0').len() } else { 0 };
    fraction.len() as i64 - zeros as i64 - exponent.parse::<i64>().unwrap_or(0)
}

fn bytes(data_type: &DataType, value: &Value) -> Option<Vec<u8>> {
    match (&value.kind, data_type) {
        (ValueKind::Text(text), _) => BASE64.decode(text.trim()).ok(),
        (ValueKind::Number(text), _) => BASE64.decode(text.trim()).ok(),
        (ValueKind::List(items), DataType::BinaryVector) => {
            let byte = |item: &Value| match item.to_integer()? {
                number @ -128..=255 => Some(number as u8),
                _ => None,
            };
            items.iter().map(byte).collect()
        }
        (ValueKind::List(items), DataType::Float16Vector) => {
            let half = |item: &Value| {
                Some(<Float16Type as ArrowPrimitiveType>::Native::from_f32(float(item)?).to_bits().to_be_bytes())
            };
            items.iter().map(half).collect::<Option<Vec<_>>>().map(|pairs| pairs.concat())
        }
        (ValueKind::List(items), DataType::BFloat16Vector) => {
            let brain = |item: &Value| Some(((float(item)?.to_bits() >> 16) as u16).to_be_bytes());
            items.iter().map(brain).collect::<Option<Vec<_>>>().map(|pairs| pairs.concat())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Array as _;
    use proptest::prelude::*;

    use super::super::show::write_value;
    use super::super::{TablePath, show};
    use super::*;

    fn at() -> Position {
        Position { file: Arc::from("job.conf"), line: 1, column: 1 }
    }

    fn of(kind: ValueKind) -> Value {
        Value { kind, position: at() }
    }

    fn text(text: &str) -> Value {
        of(ValueKind::Text(text.into()))
    }

    fn number(text: &str) -> Value {
        of(ValueKind::Number(text.into()))
    }

    fn list(items: Vec<Value>) -> Value {
        of(ValueKind::List(items))
    }

    fn object(entries: Vec<(&str, Value)>) -> Value {
        let mut object = Object::default();
        for (key, value) in entries {
            object.insert(key, at(), value);
        }
        of(ValueKind::Object(object))
    }

    fn row_type(fields: &[(&str, DataType)]) -> DataType {
        DataType::Row(
            fields
                .iter()
                .map(|(name, data_type)| Field { name: (*name).into(), data_type: data_type.clone() })
                .collect(),
        )
    }

    fn shown(data_type: &DataType, value: &Value) -> Result<String, LiteralError> {
        let cell = Literals::default().cell("c", data_type, value)?;
        assert_eq!(cell.data_type(), &data_type.arrow());
        let mut out = String::new();
        write_value(&mut out, cell.as_ref(), data_type, 0);
        Ok(out)
    }

    #[test]
    fn values_convert_as_json_input_does() {
        let decimal = DataType::Decimal { precision: 30, scale: 8 };
        let array = DataType::Array(Box::new(DataType::Int));
        let row = row_type(&[("a", DataType::Int), ("b", DataType::String)]);
        let map = |value: &DataType| DataType::Map(Box::new(DataType::String), Box::new(value.clone()));
        let dates = DataType::Map(Box::new(DataType::Date), Box::new(DataType::String));
        for (data_type, value, expected) in [
            (&DataType::Boolean, text("TRUE"), "true"),
            (&DataType::TinyInt, text(" 7 "), "7"),
            (&DataType::SmallInt, number("-32768"), "-32768"),
            (&DataType::Int, number("1e3"), "1000"),
            (&DataType::BigInt, number("9223372036854775807"), "9223372036854775807"),
            (&DataType::Float, number("3.1"), "3.1"),
            (&DataType::Double, text("9.33333"), "9.33333"),
            (&DataType::Double, text("NaN"), "NaN"),
            (&decimal, number("99999.99999999"), "99999.99999999"),
            (&decimal, number("1234567890123456789012.00000001"), "1234567890123456789012.00000001"),
            (&DataType::String, number("007"), "007"),
            (&DataType::String, list(vec![number("1"), text("a\"b")]), "[1,\"a\\\"b\"]"),
            (&DataType::Bytes, text("bWlJWmo="), "[109, 105, 73, 90, 106]"),
            (&DataType::Bytes, text("bWlJWmo"), "[109, 105, 73, 90, 106]"),
            (&DataType::Date, text("2012-12-21"), "2012-12-21"),
            (&DataType::Time, text("12:34:56"), "12:34:56"),
            (&DataType::Timestamp, text("2012-12-21T12:34:56"), "2012-12-21T12:34:56"),
            (&DataType::Timestamp, text("2012-12-21 12:34:56"), "2012-12-21T12:34:56"),
            (&DataType::Date, text(""), "null"),
            (&array, list(vec![number("0"), of(ValueKind::Null), text("2")]), "[0, null, 2]"),
            (&row, list(vec![number("1"), text("x")]), "[1, x]"),
            (&row, list(vec![number("1")]), "[1, null]"),
            (&row, object(vec![("b", text("x")), ("a", number("1"))]), "[1, x]"),
            (
                &map(&row),
                object(vec![("k1", list(vec![number("123"), text("BBB-BB")]))]),
                "{\"k1\":{\"a\":123,\"b\":\"BBB-BB\"}}",
            ),
            (&dates, object(vec![("2024-01-26", text("v0"))]), "{\"2024-01-26\":\"v0\"}"),
            (&DataType::FloatVector, list(vec![number("1"), number("2.5")]), "[1.0, 2.5]"),
            (&DataType::Float16Vector, list(vec![number("1"), number("2.5")]), "[1.0, 2.5]"),
            (&DataType::BFloat16Vector, list(vec![number("1"), number("2.5")]), "[1.0, 2.5]"),
            (&DataType::BinaryVector, list(vec![number("255"), number("-2")]), "[-1, -2]"),
            (&DataType::SparseFloatVector, object(vec![("3", number("0.5"))]), "{\"3\":0.5}"),
            (&DataType::Null, text("x"), "null"),
            (&DataType::Int, of(ValueKind::Null), "null"),
        ] {
            assert_eq!(shown(data_type, &value).as_deref(), Ok(expected), "{data_type} {value:?}");
        }
    }

    #[test]
    fn what_does_not_fit_names_column_value_and_type() {
        let row = row_type(&[("a", DataType::Array(Box::new(DataType::Int)))]);
        let error = shown(&row, &object(vec![("a", list(vec![number("1"), text("old")]))])).expect_err("text");
        assert_eq!(error.to_string(), "column 'c.a[1]': expected INT (a whole number of 32 bits), found 'old'");
        for (data_type, value) in [
            (DataType::Boolean, text("yes")),
            (DataType::TinyInt, number("128")),
            (DataType::Int, number("1.5")),
            (DataType::BigInt, number("9223372036854775808")),
            (DataType::Decimal { precision: 4, scale: 2 }, number("100")),
            (DataType::Decimal { precision: 4, scale: 2 }, text("x")),
            (DataType::Bytes, text("not base64!")),
            (DataType::Date, text("2024-02-30")),
            (DataType::Time, text("25:00:00")),
            (DataType::Timestamp, text("yesterday")),
            (DataType::Array(Box::new(DataType::Int)), number("1")),
            (DataType::Map(Box::new(DataType::Int), Box::new(DataType::Int)), object(vec![("a", number("1"))])),
            (DataType::Map(Box::new(DataType::Date), Box::new(DataType::Int)), object(vec![("", number("1"))])),
            (DataType::Map(Box::new(DataType::Null), Box::new(DataType::Int)), object(vec![("a", number("1"))])),
            (row_type(&[("a", DataType::Int)]), text("x")),
            (DataType::FloatVector, text("x")),
            (DataType::BinaryVector, list(vec![number("256")])),
        ] {
            assert!(shown(&data_type, &value).is_err(), "{data_type} {value:?}");
        }
    }

    #[test]
    fn the_words_for_now_mean_one_moment() {
        let now = NaiveDateTime::parse_from_str("2024-05-06T07:08:09.123456", "%Y-%m-%dT%H:%M:%S%.f").expect("a time");
        let table = TableSchema::new(
            TablePath::bare("t"),
            vec![
                Column::new("d", DataType::Date),
                Column::new("t", DataType::Time),
                Column::new("ts", DataType::Timestamp),
                Column::new("s", DataType::String),
            ],
        );
        let words = [CURRENT_DATE, "current_time", CURRENT_TIMESTAMP, CURRENT_DATE].map(text).to_vec();
        let row = list(words);
        assert!(depends_on_time(&row));
        let rows = Literals::at(now).rows(&table, &[&row]).expect("rows");
        let mut out = String::new();
        show::write_row(&mut out, &rows, &table.columns, 0);
        assert_eq!(out, "2024-05-06, 07:08:09.123456, 2024-05-06T07:08:09.123456, CURRENT_DATE");
        assert!(!depends_on_time(&list(vec![text("2024-05-06")])));
    }

    #[test]
    fn rows_report_every_value_that_does_not_fit() {
        let table = TableSchema::new(
            TablePath::bare("t"),
            vec![Column::new("id", DataType::Int), Column::new("tags", DataType::Array(Box::new(DataType::Int)))],
        );
        let good = object(vec![("id", number("1")), ("tags", list(vec![number("1")]))]);
        let bad = list(vec![text("x"), list(vec![number("1"), text("y")])]);
        let problems = Literals::default().rows(&table, &[&good, &bad, &text("z"), &good]).expect_err("three problems");
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("column 'id'"), "{told:?}");
        assert!(told[1].contains("column 'tags[1]'"), "{told:?}");
        assert!(told[2].contains("expected a list of values"), "{told:?}");
        assert_eq!(Literals::default().rows(&table, &[&good, &good]).expect("rows").num_rows(), 2);
    }

    #[test]
    fn values_without_a_column_are_warned_about() {
        let table = TableSchema::new(TablePath::bare("t"), vec![Column::new("name", DataType::String)]);
        let mut literals = Literals::default();
        let rows = [object(vec![("nmae", text("x"))]), list(vec![text("x"), text("y")])];
        let rows = literals.rows(&table, &[&rows[0], &rows[1]]).expect("rows");
        assert_eq!((rows.num_rows(), rows.column(0).null_count()), (2, 1));
        let told: Vec<String> = literals.warnings().iter().map(ToString::to_string).collect();
        assert!(told[0].contains("did you mean 'name'?"), "{told:?}");
        assert!(told[1].contains("2 values for 1 columns"), "{told:?}");
    }

    #[test]
    fn lost_digits_are_counted() {
        let mut literals = Literals::default();
        let decimal = DataType::Decimal { precision: 10, scale: 2 };
        for (data_type, value, lost) in [
            (&decimal, "12.40", 0),
            (&decimal, "12.400", 0),
            (&decimal, "1200e-4", 0),
            (&decimal, "12.405", 1),
            (&decimal, "1e-3", 2),
            (&DataType::Timestamp, "2024-01-01T00:00:00.123456", 2),
            (&DataType::Timestamp, "2024-01-01T00:00:00.1234567", 3),
        ] {
            literals.cell("c", data_type, &text(value)).expect(value);
            assert_eq!(literals.digits_lost(), lost, "{value}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(of(ValueKind::Null)),
            any::<bool>().prop_map(|boolean| of(ValueKind::Boolean(boolean))),
            any::<i64>().prop_map(|integer| number(&integer.to_string())),
            "-?[0-9]{0,40}(\\.[0-9]{0,12})?(e-?[0-9]{1,3})?".prop_map(|digits| number(&digits)),
            "\\PC{0,12}".prop_map(|letters| text(&letters)),
            "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?([0-9:.]{0,12})".prop_map(|date| text(&date)),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(list),
                prop::collection::vec(("[a-c]{0,1}|[0-9]{1,2}", inner), 0..4).prop_map(|entries| object(
                    entries.iter().map(|(key, value)| (key.as_str(), value.clone())).collect()
                )),
            ]
        })
    }

    fn any_type() -> impl Strategy<Value = DataType> {
        let leaf = prop::sample::select(vec![
            DataType::Null,
            DataType::Boolean,
            DataType::TinyInt,
            DataType::Int,
            DataType::Double,
            DataType::Decimal { precision: 12, scale: 3 },
            DataType::String,
            DataType::Bytes,
            DataType::Date,
            DataType::Time,
            DataType::Timestamp,
            DataType::FloatVector,
            DataType::BinaryVector,
            DataType::Float16Vector,
            DataType::SparseFloatVector,
        ]);
        leaf.prop_recursive(2, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|item| DataType::Array(Box::new(item))),
                (inner.clone(), inner.clone()).prop_map(|(key, value)| DataType::Map(Box::new(key), Box::new(value))),
                prop::collection::vec(inner, 1..3).prop_map(|types| {
                    let field = |(index, data_type): (usize, DataType)| Field {
                        name: ["a", "b", "c"][index].into(),
                        data_type,
                    };
                    DataType::Row(types.into_iter().enumerate().map(field).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_fits_any_type_or_is_refused_with_its_column(data_type in any_type(), value in any_value()) {
            match shown(&data_type, &value) {
                Ok(_) => {}
                Err(error) => prop_assert!(error.column.starts_with('c'), "{}", error),
            }
        }

        #[test]
        fn whole_numbers_and_decimals_come_back_as_written(integer in any::<i64>(), fraction in 0u32..1000) {
            let written = integer.to_string();
            prop_assert_eq!(shown(&DataType::BigInt, &number(&written)).expect("fits"), written.clone());
            let written = format!("{integer}.{fraction:03}");
            let decimal = DataType::Decimal { precision: 38, scale: 3 };
            prop_assert_eq!(shown(&decimal, &text(&written)).expect("fits"), written);
        }

        #[test]
        fn moments_come_back_as_written(days in -719_162i32..2_932_896, nanos in 0i64..86_400_000_000_000) {
            use super::super::text::{write_date, write_time, write_timestamp};
            let (mut date, mut time, mut timestamp) = (String::new(), String::new(), String::new());
            write_date(&mut date, days);
            prop_assert_eq!(shown(&DataType::Date, &text(&date)).expect("fits"), date);
            write_time(&mut time, nanos);
            prop_assert_eq!(shown(&DataType::Time, &text(&time)).expect("fits"), time);
            write_timestamp(&mut timestamp, i64::from(days) * 86_400_000_000 + nanos / 1000);
            prop_assert_eq!(shown(&DataType::Timestamp, &text(&timestamp)).expect("fits"), timestamp);
        }
    }
}
