//! json: one object on each line, columns found by name.
//!
//! A line is first cut into the raw texts of the wanted members, then each column is decoded in one go. Numbers are
//! read from their text by the column's type: decimals keep every digit, which a parser that turns numbers into
//! doubles first cannot do.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use base64::Engine as _;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{BATCH_ROWS, Column, ColumnBuilder, DataType, Field as RowField};
use egret_runtime::task::TaskProbe;
use memchr::memchr;

use super::delimited::bad_value_message;
use super::json_text::{items, members, skip_blank, unescape, value_at};
use super::lines::LineInput;
use super::tokens::{Malformed, Span, Tokens};
use super::values::{self, BadValue, Field, Fields, ValueRules};
use super::{FileReader, Place};

/// Reads one file of JSON lines.
pub struct JsonReader {
    columns: Arc<[Column]>,
    schema: SchemaRef,
    input: LineInput,
    tokens: Tokens,
    rules: ValueRules,
    to_skip: u64,
    probe: Rc<TaskProbe>,
}

impl JsonReader {
    /// Reads on from where the input stands. `columns` are those wanted, `schema` is theirs.
    pub fn new(
        columns: Arc<[Column]>,
        schema: SchemaRef,
        skip_rows: u64,
        input: LineInput,
        rules: ValueRules,
        probe: Rc<TaskProbe>,
    ) -> Self {
        let to_skip = skip_rows.saturating_sub(input.place().line);
        Self { columns, schema, input, tokens: Tokens::default(), rules, to_skip, probe }
    }

    /// Cuts lines into members; answers how many bytes they take and how many lines there were.
    fn cut(&mut self) -> Result<(usize, usize), TaskError> {
        self.tokens.clear(self.columns.len());
        let (text, ended) = self.input.text();
        let (mut start, mut lines) = (0, 0);
        while start < text.len() && self.tokens.rows.len() < BATCH_ROWS {
            let (end, next) = match memchr(b'\n', &text[start..]) {
                Some(length) => (start + length, start + length + 1),
                None if ended => (text.len(), text.len()),
                None => break,
            };
            lines += 1;
            if self.to_skip > 0 {
                self.to_skip -= 1;
            } else if !values::is_blank(&text[start..end]) {
                cut_line(text, start, end, &self.columns, &mut self.tokens)
                    .map_err(|malformed| self.input.failure(malformed.at, malformed.what))?;
            }
            start = next;
        }
        Ok((start, lines))
    }

    fn decode(&self) -> Result<RecordBatch, TaskError> {
        let (text, _) = self.input.text();
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let members = Members { text, tokens: &self.tokens, column: index };
            columns.push(decode_column(&column.data_type, &members, &self.rules).map_err(|bad| {
                let at = self.tokens.rows.get(bad.row).map_or(0, |start| *start as usize);
                self.input.failure(at, bad_value_message(column, &bad))
            })?);
        }
        self.probe.warn(self.rules.lost());
        let options = RecordBatchOptions::new().with_row_count(Some(self.tokens.rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

#[async_trait(?Send)]
impl FileReader for JsonReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        loop {
            self.input.prepare().await?;
            let (bytes, lines) = self.cut()?;
            if lines == 0 {
                if self.input.text().1 {
                    return Ok(None);
                }
                self.input.extend().await?;
                continue;
            }
            let batch = if self.tokens.rows.is_empty() { None } else { Some(self.decode()?) };
            self.input.consume(bytes);
            if batch.is_some() {
                return Ok(batch);
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

/// Cuts the object on one line into the wanted members. Of a name that is there twice the last one counts.
fn cut_line(text: &[u8], start: usize, end: usize, columns: &[Column], tokens: &mut Tokens) -> Result<(), Malformed> {
    let line = &text[..end];
    let first = tokens.spans.len();
    tokens.spans.resize(first + columns.len(), Span::MISSING);
    let mut names = Names { expected: 0, count: columns.len() };
    let behind = members(line, skip_blank(line, start), |key, value| {
        if let Some(index) = names.find(key.of(line), key.is_escaped(), |index| columns[index].name.as_bytes()) {
            tokens.spans[first + index] = value;
        }
    })?;
    let rest = skip_blank(line, behind);
    if rest < end {
        return Err(Malformed { at: rest, what: "text follows the JSON object: one object a line is expected" });
    }
    tokens.rows.push(start as u32);
    Ok(())
}

/// Finds names, guessing that they come in the order of the columns.
struct Names {
    expected: usize,
    count: usize,
}

impl Names {
    fn find<'a>(&mut self, key: &[u8], escaped: bool, name: impl Fn(usize) -> &'a [u8]) -> Option<usize> {
        let key = if escaped {
            let mut plain = Vec::with_capacity(key.len());
            unescape(key, &mut plain).ok()?;
            Cow::Owned(plain)
        } else {
            Cow::Borrowed(key)
        };
        if self.expected < self.count && name(self.expected) == key.as_ref() {
            self.expected += 1;
            return Some(self.expected - 1);
        }
        let found = (0..self.count).find(|index| name(*index) == key.as_ref())?;
        self.expected = found + 1;
        Some(found)
    }
}

/// One member of all rows.
struct Members<'a> {
    text: &'a [u8],
    tokens: &'a Tokens,
    column: usize,
}

impl Members<'_> {
    fn span(&self, row: usize) -> Span {
        self.tokens.spans[row * self.tokens.stride + self.column]
    }
}

fn is_null(span: Span, text: &[u8]) -> bool {
    !span.is_quoted() && (span.is_empty() || span.of(text) == b"null")
}

impl Fields for Members<'_> {
    fn rows(&self) -> usize {
        self.tokens.rows.len()
    }

    fn text(&self, row: usize) -> Field<'_> {
        let span = self.span(row);
        if is_null(span, self.text) {
            Field::Null
        } else if span.is_escaped() {
            Field::Escaped(span.of(self.text))
        } else {
            Field::Plain(span.of(self.text))
        }
    }

    fn unescape(&self, value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
        unescape(value, out)
    }
}

fn decode_column(data_type: &DataType, members: &Members<'_>, rules: &ValueRules) -> Result<ArrayRef, BadValue> {
    let whole = matches!(data_type, DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt);
    if let Some(column) = values::scalars(data_type, members, rules) {
        // `1.0` and `1e3` are whole numbers in JSON: read again, one by one.
        if !whole || column.is_ok() {
            return column;
        }
    }
    let mut builder = ColumnBuilder::new(data_type, members.rows());
    for row in 0..members.rows() {
        let span = members.span(row);
        append(&mut builder, data_type, span, members.text, rules).map_err(|why| BadValue {
            row,
            shown: values::shown(span.of(members.text)),
            why,
        })?;
    }
    Ok(builder.finish())
}

type Wrong = Option<&'static str>;

/// Appends one value of any type.
fn append(
    builder: &mut ColumnBuilder,
    data_type: &DataType,
    span: Span,
    text: &[u8],
    rules: &ValueRules,
) -> Result<(), Wrong> {
    let blank = || *data_type != DataType::String && values::is_blank(span.of(text));
    if is_null(span, text) || blank() {
        builder.append_null();
        return Ok(());
    }
    let mut scratch = Vec::new();
    let value = if span.is_escaped() {
        unescape(span.of(text), &mut scratch).map_err(Some)?;
        scratch.as_slice()
    } else {
        span.of(text)
    };
    match (builder, data_type) {
        (ColumnBuilder::List(list), DataType::Array(_) | DataType::FloatVector) => {
            let item_type = match data_type {
                DataType::Array(item) => item.as_ref(),
                _ => &DataType::Float,
            };
            let mut spans = Vec::new();
            nested(span, value, b'[', "a JSON array is expected")?;
            items(value, 0, |item| spans.push(item)).map_err(|malformed| Some(malformed.what))?;
            for item in spans {
                append(&mut list.items, item_type, item, value, rules)?;
            }
            list.append(true);
        }
        (ColumnBuilder::Map(map), DataType::Map(key_type, value_type)) => {
            nested(span, value, b'{', "a JSON object is expected")?;
            let mut entries: Vec<(Span, Span)> = Vec::new();
            members(value, 0, |key, value| entries.push((key, value))).map_err(|malformed| Some(malformed.what))?;
            for (key, entry) in entries {
                if **key_type != DataType::String && (**key_type == DataType::Null || values::is_blank(key.of(value))) {
                    return Err(Some("a map's key may not be null"));
                }
                append(&mut map.keys, key_type, key, value, rules)?;
                append(&mut map.values, value_type, entry, value, rules)?;
            }
            map.append(true);
        }
        (ColumnBuilder::Row(row), DataType::Row(fields)) => {
            for (index, member) in row_members(span, value, fields)?.into_iter().enumerate() {
                append(&mut row.fields[index], &fields[index].data_type, member, value, rules)?;
            }
            row.append(true);
        }
        (ColumnBuilder::Bytes(builder), _) => {
            let standard = base64::engine::general_purpose::STANDARD.decode(value);
            builder.append_value(standard.map_err(|_| Some("bytes are written in base64"))?);
        }
        (builder, _) => scalar(builder, data_type, span, value, rules)?,
    }
    Ok(())
}

/// Appends a value from its JSON text.
///
/// # Errors
/// When the text is no JSON, or not of the type.
pub fn append_text(
    builder: &mut ColumnBuilder,
    data_type: &DataType,
    text: &[u8],
    rules: &ValueRules,
) -> Result<(), Wrong> {
    let (span, behind) = value_at(text, skip_blank(text, 0)).map_err(|malformed| Some(malformed.what))?;
    if skip_blank(text, behind) < text.len() {
        return Err(Some("text follows the JSON value"));
    }
    append(builder, data_type, span, text, rules)
}

fn nested(span: Span, value: &[u8], open: u8, what: &'static str) -> Result<(), Wrong> {
    if span.is_quoted() || value.first() != Some(&open) { Err(Some(what)) } else { Ok(()) }
}

/// A row is an object with the names of its fields, or a list in their order.
fn row_members(span: Span, value: &[u8], fields: &[RowField]) -> Result<Vec<Span>, Wrong> {
    let mut spans = vec![Span::MISSING; fields.len()];
    if !span.is_quoted() && value.first() == Some(&b'[') {
        let mut found = Vec::new();
        items(value, 0, |item| found.push(item)).map_err(|malformed| Some(malformed.what))?;
        if found.len() > fields.len() {
            return Err(Some("the list has more items than the row has fields"));
        }
        spans[..found.len()].copy_from_slice(&found);
        return Ok(spans);
    }
    nested(span, value, b'{', "a JSON object or a list is expected")?;
    let mut names = Names { expected: 0, count: fields.len() };
    members(value, 0, |key, member| {
        if let Some(index) = names.find(key.of(value), key.is_escaped(), |index| fields[index].name.as_bytes()) {
            spans[index] = member;
        }
    })
    .map_err(|malformed| Some(malformed.what))?;
    Ok(spans)
}

fn scalar(
    builder: &mut ColumnBuilder,
    data_type: &DataType,
    span: Span,
    value: &[u8],
    rules: &ValueRules,
) -> Result<(), Wrong> {
    if let Ok(true) = values::append_scalar(builder, value, rules) {
        return Ok(());
    }
    // A whole number in another spelling: 1.0, 1e3.
    let whole = matches!(data_type, DataType::TinyInt | DataType::SmallInt | DataType::Int | DataType::BigInt);
    if whole
        && !span.is_quoted()
        && let Some(number) = values::decimal(value, 38, 9)
    {
        let unit = 1_000_000_000;
        if number % unit == 0
            && let Ok(true) = values::append_scalar(builder, (number / unit).to_string().as_bytes(), rules)
        {
            return Ok(());
        }
    }
    Err(None)
}

/// Rows of objects that [`objects_in`](super::json_text::objects_in) found in a text, columns found by name.
///
/// # Errors
/// With the place and a message when one is not an object of the columns.
pub(crate) fn decode_objects(
    text: &[u8],
    objects: &[Range<usize>],
    columns: &[Column],
    schema: &SchemaRef,
    rules: &ValueRules,
) -> Result<RecordBatch, (usize, String)> {
    let mut tokens = Tokens::default();
    tokens.clear(columns.len());
    for object in objects {
        cut_line(text, object.start, object.end, columns, &mut tokens)
            .map_err(|malformed| (malformed.at, malformed.what.to_owned()))?;
    }
    let mut arrays = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let members = Members { text, tokens: &tokens, column: index };
        arrays.push(decode_column(&column.data_type, &members, rules).map_err(|bad| {
            let at = objects.get(bad.row).map_or(0, |object| object.start);
            (at, bad_value_message(column, &bad))
        })?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(objects.len()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|error| (0, error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_that_are_no_objects_are_told_with_their_place() {
        let columns = [Column::new("a", DataType::Int)];
        for (line, at) in [
            ("[1]", 0),
            ("{\"a\":1", 6),
            ("{\"a\" 1}", 5),
            ("{a:1}", 1),
            ("{\"a\":}", 5),
            ("{\"a\":1}x", 7),
            ("{\"a\":\"x}", 5),
        ] {
            let mut tokens = Tokens::default();
            tokens.clear(1);
            let malformed = cut_line(line.as_bytes(), 0, line.len(), &columns, &mut tokens).expect_err(line);
            assert_eq!(malformed.at, at, "{line}: {malformed:?}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        let mut tokens = Tokens::default();
        assert!(cut_line(deep.as_bytes(), 0, deep.len(), &columns, &mut tokens).is_err());
    }

    proptest! {
        #[test]
        fn no_line_brings_the_reader_down(line in "[{}\\[\\]\":,a\\\\u0-9 ]{0,40}") {
            let columns = [Column::new("a", DataType::Array(Box::new(DataType::Int)))];
            let mut tokens = Tokens::default();
            tokens.clear(1);
            if cut_line(line.as_bytes(), 0, line.len(), &columns, &mut tokens).is_ok() {
                let members = Members { text: line.as_bytes(), tokens: &tokens, column: 0 };
                let _ = decode_column(&columns[0].data_type, &members, &ValueRules::default());
            }
        }
    }
}
