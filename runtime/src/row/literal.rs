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
mod tests;
