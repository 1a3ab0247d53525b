//! Values of excel and xml: texts, numbers and the like that the schema gives a type.
//!
//! Rows within a row are cut at the separator, arrays and maps are JSON, bytes are those of the text.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use egret_runtime::row::{Column, ColumnBuilder, DataType, text};

use super::json;
use super::tokens::Separator;
use super::values::{self, ValueRules};

/// Whole numbers up to here have a text without an exponent or a loss.
const WHOLE_MAX: f64 = 1e15;

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Empty,
    /// Text.
    Text(&'a str),
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// A date and time, in microseconds.
    Timestamp(i64),
}

impl Cell<'_> {
    /// The value for a message.
    pub fn shown(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Empty => {}
            Self::Text(text) => out = values::shown(text.as_bytes()),
            Self::Number(number) => out = number_text(*number),
            Self::Boolean(value) => out = value.to_string(),
            Self::Timestamp(micros) => text::write_timestamp(&mut out, *micros),
        }
        out
    }
}

/// How cells are read.
#[derive(Debug)]
pub struct CellRules {
    /// Dates, times, and what was lost.
    pub values: ValueRules,
    /// What parts the fields of a row in a cell.
    pub separator: Separator,
}

/// A number as a table shows it: whole ones without a point.
fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < WHOLE_MAX {
        return itoa::Buffer::new().format(number as i64).to_owned();
    }
    number.to_string()
}

/// What is wrong with a value beyond its type, if known.
pub type Wrong = Option<&'static str>;

/// Appends a cell to a column.
///
/// # Errors
/// When it is not of the column's type.
pub fn append(
    builder: &mut ColumnBuilder,
    data_type: &DataType,
    cell: Cell<'_>,
    rules: &CellRules,
) -> Result<(), Wrong> {
    match cell {
        Cell::Empty => builder.append_null(),
        Cell::Text(text) => return append_text(builder, data_type, text, rules),
        Cell::Number(number) => match (builder, data_type) {
            (ColumnBuilder::Double(builder), _) => builder.append_value(number),
            (ColumnBuilder::Float(builder), _) => builder.append_value(number as f32),
            (ColumnBuilder::Boolean(builder), _) if number == 0.0 || number == 1.0 => {
                builder.append_value(number != 0.0);
            }
            (ColumnBuilder::Date(_) | ColumnBuilder::Time(_) | ColumnBuilder::Timestamp(_), _) => {
                return Err(Some("the cell is a number without a format of dates"));
            }
            (builder, data_type) if is_whole(data_type) => append_whole(builder, number, rules)?,
            (builder, _) => return append_text(builder, data_type, &number_text(number), rules),
        },
        Cell::Boolean(value) => match builder {
            ColumnBuilder::Boolean(builder) => builder.append_value(value),
            builder => return append_text(builder, data_type, if value { "true" } else { "false" }, rules),
        },
        Cell::Timestamp(micros) => match builder {
            ColumnBuilder::Date(builder) => {
                let days = i32::try_from(micros.div_euclid(text::DAY_NANOS / 1000)).map_err(|_| None)?;
                builder.append_value(days);
            }
            ColumnBuilder::Time(builder) => builder.append_value(micros.rem_euclid(text::DAY_NANOS / 1000) * 1000),
            ColumnBuilder::Timestamp(builder) => builder.append_value(micros),
            builder => {
                let mut out = Vec::new();
                rules.values.patterns.write_datetime(&mut out, micros, b'T');
                let text = String::from_utf8_lossy(&out);
                return append_text(builder, data_type, &text, rules);
            }
        },
    }
    Ok(())
}

fn is_whole(data_type: &DataType) -> bool {
    matches!(data_type, DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt)
}

/// Appends a number to a column of whole ones. A fraction is cut off, as the reference engine does, and counted.
fn append_whole(builder: &mut ColumnBuilder, number: f64, rules: &CellRules) -> Result<(), Wrong> {
    // Bounds that a double holds exactly.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        return Err(None);
    }
    if number.fract() != 0.0 {
        rules.values.digits_lost.set(rules.values.digits_lost.get() + 1);
    }
    let text = itoa::Buffer::new().format(number as i64).to_owned();
    values::append_scalar(builder, text.as_bytes(), &rules.values).map_err(|()| None)?;
    Ok(())
}

fn append_text(builder: &mut ColumnBuilder, data_type: &DataType, text: &str, rules: &CellRules) -> Result<(), Wrong> {
    if let ColumnBuilder::String(builder) = builder {
        builder.append_value(text);
        return Ok(());
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        builder.append_null();
        return Ok(());
    }
    match (builder, data_type) {
        (ColumnBuilder::Bytes(builder), _) => builder.append_value(text.as_bytes()),
        (ColumnBuilder::Row(row), DataType::Row(fields)) => {
            let mut parts = split(&rules.separator, text).into_iter();
            for (builder, field) in row.fields.iter_mut().zip(fields.iter()) {
                let cell = parts.next().map_or(Cell::Empty, Cell::Text);
                append(builder, &field.data_type, cell, rules)?;
            }
            row.append(true);
        }
        (builder @ (ColumnBuilder::List(_) | ColumnBuilder::Map(_)), _) => {
            json::append_text(builder, data_type, text.as_bytes(), &rules.values)?;
        }
        (builder, data_type) => {
            if values::append_scalar(builder, trimmed.as_bytes(), &rules.values) == Ok(true) {
                return Ok(());
            }
            match values::double(trimmed.as_bytes()) {
                Some(number) if is_whole(data_type) => append_whole(builder, number, rules)?,
                _ => return Err(None),
            }
        }
    }
    Ok(())
}

/// Cuts a text at a separator.
fn split<'a>(separator: &Separator, text: &'a str) -> Vec<&'a str> {
    match separator {
        Separator::None => vec![text],
        Separator::Byte(byte) | Separator::Quoted(byte) => text.split(char::from(*byte)).collect(),
        Separator::Literal(literal) => match std::str::from_utf8(literal) {
            Ok(literal) => text.split(literal).collect(),
            Err(_) => vec![text],
        },
        Separator::Pattern(pattern) => {
            let (mut parts, mut start) = (Vec::new(), 0);
            for found in pattern.find_iter(text.as_bytes()).filter(|found| !found.is_empty()) {
                parts.extend(text.get(start..found.start()));
                start = found.end();
            }
            parts.extend(text.get(start..));
            parts
        }
    }
}

/// Gathers rows.
pub struct Rows {
    columns: Vec<(Column, ColumnBuilder)>,
    schema: SchemaRef,
    rows: usize,
    /// Bytes of text so far, about.
    bytes: usize,
}

impl Rows {
    /// No rows of these columns, which `schema` describes.
    pub fn new(columns: &[Column], schema: SchemaRef) -> Self {
        let builder = |column: &Column| (column.clone(), ColumnBuilder::new(&column.data_type, 0));
        Self { columns: columns.iter().map(builder).collect(), schema, rows: 0, bytes: 0 }
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Bytes so far, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a row; `cell` gives the value of each column.
    ///
    /// # Errors
    /// With a message about the value that is not of its column's type.
    pub fn push<'a>(&mut self, cell: impl Fn(usize) -> Cell<'a>, rules: &CellRules) -> Result<(), String> {
        for (index, (column, builder)) in self.columns.iter_mut().enumerate() {
            let cell = cell(index);
            self.bytes += match cell {
                Cell::Text(text) => text.len(),
                _ => 8,
            };
            append(builder, &column.data_type, cell, rules).map_err(|why| {
                let bad = values::BadValue { row: 0, shown: cell.shown(), why };
                super::delimited::bad_value_message(column, &bad)
            })?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows so far as a batch; begins anew.
    ///
    /// # Errors
    /// When the columns do not make a batch.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let columns = self.columns.iter_mut().map(|(_, builder)| builder.finish()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(std::sync::Arc::clone(&self.schema), columns, &options)
    }
}
