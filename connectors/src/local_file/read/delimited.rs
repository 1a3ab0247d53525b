//! text and csv: a line is a row, cut at a separator.
//!
//! Nested values use a separator for each level: `\001` or the option's for columns, then `\002`, `\003` and so on. A
//! map's entries are parted by one level's separator and key and value by the next; a nested value inside a map uses
//! the separator that also parts key and value, so only the first one parts them. These are the reference engine's
//! rules, save that it cannot read such maps back.

use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{BATCH_ROWS, Column, ColumnBuilder, DataType};
use egret_runtime::task::TaskProbe;

use super::lines::LineInput;
use super::tokens::{Separator, Span, Tokens};
use super::values::{self, BadValue, Field, Fields, ValueRules};
use super::{FileReader, Place};

/// What the config says about a delimited file.
#[derive(Clone, Debug)]
pub struct DelimitedFormat {
    /// How lines are cut.
    pub separator: Separator,
    /// Columns of the file, in its order.
    pub columns: Arc<[Column]>,
    /// Which of them are read, in the order of the output.
    pub wanted: Vec<usize>,
    /// Lines to skip at the start of each file.
    pub skip_rows: u64,
}

/// Reads one text or csv file.
pub struct DelimitedReader {
    format: Arc<DelimitedFormat>,
    schema: SchemaRef,
    input: LineInput,
    tokens: Tokens,
    rules: ValueRules,
    to_skip: u64,
    probe: Rc<TaskProbe>,
}

impl DelimitedReader {
    /// Reads on from where the input stands. `schema` is that of the wanted columns.
    pub fn new(
        format: Arc<DelimitedFormat>,
        schema: SchemaRef,
        input: LineInput,
        rules: ValueRules,
        probe: Rc<TaskProbe>,
    ) -> Self {
        let to_skip = format.skip_rows.saturating_sub(input.place().line);
        Self { format, schema, input, tokens: Tokens::default(), rules, to_skip, probe }
    }

    /// Cuts rows; answers how many bytes they take. No rows when no row ends in the window.
    fn cut(&mut self, rows_max: usize) -> Result<usize, TaskError> {
        let stride = self.format.wanted.iter().max().map_or(0, |last| last + 1);
        self.tokens.clear(stride);
        let (text, ended) = self.input.text();
        let cut = self.format.separator.cut(text, ended, rows_max, &mut self.tokens);
        cut.map_err(|malformed| self.input.failure(malformed.at, malformed.what))
    }

    fn decode(&self) -> Result<RecordBatch, TaskError> {
        let (text, _) = self.input.text();
        let rows = self.tokens.rows.len();
        let mut columns = Vec::with_capacity(self.format.wanted.len());
        for wanted in &self.format.wanted {
            let column = &self.format.columns[*wanted];
            let cells = Cells { text, tokens: &self.tokens, column: *wanted };
            let decoded = decode_column(&column.data_type, &cells, &self.rules);
            columns.push(decoded.map_err(|bad| self.bad_value(column, &bad))?);
        }
        self.probe.warn(self.rules.lost());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn bad_value(&self, column: &Column, bad: &BadValue) -> TaskError {
        let at = self.tokens.rows.get(bad.row).map_or(0, |start| *start as usize);
        self.input.failure(at, bad_value_message(column, bad))
    }
}

/// `column 'age': 'x' is not of type INT`
pub fn bad_value_message(column: &Column, bad: &BadValue) -> String {
    let why = bad.why.map_or(String::new(), |why| format!(" ({why})"));
    format!("column '{}': '{}' is not of type {}{why}", column.name, bad.shown, column.data_type)
}

#[async_trait(?Send)]
impl FileReader for DelimitedReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        loop {
            self.input.prepare().await?;
            let rows_max =
                if self.to_skip > 0 { usize::try_from(self.to_skip).unwrap_or(usize::MAX) } else { BATCH_ROWS };
            let bytes = self.cut(rows_max.min(BATCH_ROWS))?;
            let rows = self.tokens.rows.len();
            if rows == 0 {
                if self.input.text().1 {
                    return Ok(None);
                }
                self.input.extend().await?;
            } else if self.to_skip > 0 {
                self.to_skip -= rows as u64;
                self.input.consume(bytes);
            } else {
                let batch = self.decode()?;
                self.input.consume(bytes);
                return Ok(Some(batch));
            }
        }
    }

    fn place(&self) -> Place {
        self.input.place()
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.input.close().await
    }
}

/// One column of cut rows.
struct Cells<'a> {
    text: &'a [u8],
    tokens: &'a Tokens,
    column: usize,
}

impl Cells<'_> {
    #[inline]
    fn span(&self, row: usize) -> Span {
        self.tokens.spans[row * self.tokens.stride + self.column]
    }
}

impl Fields for Cells<'_> {
    fn rows(&self) -> usize {
        self.tokens.rows.len()
    }

    #[inline]
    fn text(&self, row: usize) -> Field<'_> {
        let span = self.span(row);
        if span.is_empty() && !span.is_quoted() {
            Field::Null
        } else if span.is_escaped() {
            Field::Escaped(span.of(self.text))
        } else {
            Field::Plain(span.of(self.text))
        }
    }

    fn unescape(&self, value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        let mut rest = value;
        while let Some(quote) = memchr::memchr(b'"', rest) {
            out.extend_from_slice(&rest[..=quote]);
            // The second of the two.
            rest = rest.get(quote + 2..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
        Ok(())
    }
}

fn decode_column(data_type: &DataType, cells: &Cells<'_>, rules: &ValueRules) -> Result<ArrayRef, BadValue> {
    if let Some(column) = values::scalars(data_type, cells, rules) {
        return column;
    }
    if *data_type == DataType::Bytes {
        return values::binaries(cells);
    }
    let mut builder = ColumnBuilder::new(data_type, cells.rows());
    let mut scratch = Vec::new();
    for row in 0..cells.rows() {
        let text = match cells.text(row) {
            Field::Null => {
                builder.append_null();
                continue;
            }
            Field::Plain(text) => text,
            Field::Escaped(text) => {
                scratch.clear();
                let bad = |why| BadValue { row, shown: values::shown(text), why: Some(why) };
                cells.unescape(text, &mut scratch).map_err(bad)?;
                scratch.as_slice()
            }
        };
        let bad = |()| BadValue { row, shown: values::shown(text), why: None };
        append_nested(&mut builder, text, 1, rules).map_err(bad)?;
    }
    Ok(builder.finish())
}

/// The separator of a level: `\002` for 1, and so on.
fn separator_of(level: u8) -> u8 {
    level + 1
}

fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    text.split(move |byte| *byte == separator)
}

/// Appends one value whose parts are cut at the separator of `level`.
fn append_nested(builder: &mut ColumnBuilder, text: &[u8], level: u8, rules: &ValueRules) -> Result<(), ()> {
    let is_text = matches!(builder, ColumnBuilder::String(_) | ColumnBuilder::Bytes(_));
    if text.is_empty() || (!is_text && values::is_blank(text)) {
        builder.append_null();
        return Ok(());
    }
    if values::append_scalar(builder, text, rules)? {
        return Ok(());
    }
    let separator = separator_of(level);
    match builder {
        ColumnBuilder::Bytes(builder) => builder.append_value(text),
        ColumnBuilder::List(list) => {
            for part in parts(text, separator) {
                append_nested(&mut list.items, part, level + 1, rules)?;
            }
            list.append(true);
        }
        ColumnBuilder::Map(map) => {
            for entry in parts(text, separator) {
                let (key, value) = match memchr::memchr(separator_of(level + 1), entry) {
                    Some(at) => (&entry[..at], &entry[at + 1..]),
                    None => (entry, &b""[..]),
                };
                append_key(&mut map.keys, key, level + 1, rules)?;
                append_nested(&mut map.values, value, level + 1, rules)?;
            }
            map.append(true);
        }
        ColumnBuilder::Row(row) => {
            let mut values = parts(text, separator);
            for field in &mut row.fields {
                append_nested(field, values.next().unwrap_or_default(), level + 1, rules)?;
            }
            row.append(true);
        }
        _ => return Err(()),
    }
    Ok(())
}

/// Appends a map's key, which may not be null: an empty one is the empty text where it can be.
fn append_key(keys: &mut ColumnBuilder, key: &[u8], level: u8, rules: &ValueRules) -> Result<(), ()> {
    match keys {
        ColumnBuilder::String(keys) => keys.append_value(rules.utf8(key)),
        ColumnBuilder::Bytes(keys) => keys.append_value(key),
        ColumnBuilder::Null(_) => return Err(()),
        _ if values::is_blank(key) => return Err(()),
        keys => append_nested(keys, key, level, rules)?,
    }
    Ok(())
}
