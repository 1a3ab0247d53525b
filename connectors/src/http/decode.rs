//! What an answer says: its text, the records in it, the rows of those.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use egret_runtime::json_path::{Json, JsonPath, PathSyntaxError};
use egret_runtime::row::{BATCH_BYTES, BATCH_ROWS, TableSchema};
use memchr::memchr;

use crate::format::{ValueRules, decode_objects, objects_in};

/// How answers are read.
#[derive(Debug)]
pub(super) struct Decoding {
    pub format: Format,
    /// Whether each line is an answer of its own.
    pub multi_lines: bool,
    /// Where the cursor of the next page stands.
    pub cursor: Option<JsonPath>,
}

/// What stands in an answer.
#[derive(Debug)]
pub(super) enum Format {
    /// Text: one column.
    Text,
    /// An object or a list of objects.
    Json,
    /// Objects that a path finds (`content_field`).
    Content(ContentPath),
    /// Values that paths find, each for a field; the first of each make the first row (`json_field`).
    Fields(Vec<(String, JsonPath)>),
}

/// The path of `content_field`. A `.*` or `[*]` at its end is taken off and done here: what a path may find is bounded, the
/// items of a list that it finds are not.
#[derive(Debug)]
pub(super) struct ContentPath {
    path: JsonPath,
    children: bool,
}

impl ContentPath {
    pub fn parse(text: &str) -> Result<Self, PathSyntaxError> {
        let whole = JsonPath::parse(text)?;
        let trimmed = text.trim_end();
        let parent = trimmed.strip_suffix(".*").or_else(|| trimmed.strip_suffix("[*]"));
        // `$..*` looks at every depth.
        let parent = parent.filter(|parent| !parent.is_empty() && !parent.ends_with('.'));
        Ok(match parent.map(JsonPath::parse) {
            Some(Ok(path)) => Self { path, children: true },
            _ => Self { path: whole, children: false },
        })
    }
}

/// The records of an answer, cut but not decoded.
#[derive(Debug, Default)]
pub(super) struct Records {
    text: Vec<u8>,
    places: Vec<Range<usize>>,
    next: usize,
    /// How many there are, as paging counts them.
    pub count: usize,
    /// What the answer names as the next page.
    pub cursor: Option<String>,
    /// Whether the text held bytes that are none of its encoding.
    pub broken_text: bool,
}

impl Decoding {
    /// Cuts an answer. Takes its time with large ones, but needs nothing but the CPU.
    ///
    /// # Errors
    /// When it is not what the options say.
    pub fn records(&self, body: Vec<u8>, content_type: &str) -> Result<Records, String> {
        let (text, broken_text) = text_of(body, content_type)?;
        let mut records = Records { broken_text, ..Records::default() };
        if text.is_empty() {
            return Ok(records);
        }
        if let Some(path) = &self.cursor {
            records.cursor = cursor(&text, path)?;
        }
        let whole = std::iter::once(0..text.len());
        let lines: Vec<Range<usize>> = if self.multi_lines { lines_of(&text) } else { whole.collect() };
        match &self.format {
            Format::Text => {
                records.count = match (&lines[..], self.multi_lines) {
                    ([_], false) => size_of_text(&text),
                    _ => lines.len(),
                };
                records.places = lines;
                records.text = text.into_bytes();
                return Ok(records);
            }
            Format::Json => {
                for line in lines.into_iter().filter(|line| !text[line.clone()].trim().is_empty()) {
                    let found = objects_in(&text.as_bytes()[line.clone()])
                        .map_err(|wrong| at_byte(line.start + wrong.at, wrong.what))?;
                    let moved = found.into_iter().map(|place| place.start + line.start..place.end + line.start);
                    records.places.extend(moved);
                }
                records.text = text.into_bytes();
            }
            Format::Content(path) => {
                for line in lines.into_iter().filter(|line| !text[line.clone()].trim().is_empty()) {
                    content(&text[line], path, &mut records)?;
                }
            }
            Format::Fields(fields) => {
                for line in lines.into_iter().filter(|line| !text[line.clone()].trim().is_empty()) {
                    zip(&text[line], fields, &mut records)?;
                }
            }
        }
        records.count = records.places.len();
        Ok(records)
    }
}

impl Records {
    fn push(&mut self, write: impl FnOnce(&mut String)) {
        let mut text = String::new();
        write(&mut text);
        let start = self.text.len();
        self.text.extend_from_slice(text.as_bytes());
        self.places.push(start..self.text.len());
    }

    /// The next rows; `None` behind the last.
    ///
    /// # Errors
    /// When a record does not fit the schema.
    pub fn next_rows(
        &mut self,
        schema: &TableSchema,
        text: bool,
        rules: &ValueRules,
    ) -> Result<Option<RecordBatch>, String> {
        let left = &self.places[self.next..];
        let mut bytes = 0;
        let enough = left.iter().take(BATCH_ROWS).position(|place| {
            bytes += place.len();
            bytes >= BATCH_BYTES
        });
        let taken = &left[..enough.map_or(left.len().min(BATCH_ROWS), |last| last + 1)];
        if taken.is_empty() {
            return Ok(None);
        }
        let rows = if text {
            let values = taken.iter().map(|place| String::from_utf8_lossy(&self.text[place.clone()]));
            let column: ArrayRef = Arc::new(StringArray::from_iter_values(values));
            RecordBatch::try_new(Arc::clone(schema.arrow()), vec![column]).map_err(|error| error.to_string())?
        } else {
            decode_objects(&self.text, taken, &schema.columns, schema.arrow(), rules).map_err(|(at, message)| {
                let record = self.places.iter().position(|place| place.end > at).unwrap_or(0) + 1;
                format!("record {record}: {message}")
            })?
        };
        self.next += taken.len();
        Ok(Some(rows))
    }

    /// Whether all rows were given out.
    pub fn is_done(&self) -> bool {
        self.next == self.places.len()
    }
}

fn at_byte(at: usize, what: impl std::fmt::Display) -> String {
    format!("byte {at}: {what}")
}

/// The text of a body by the charset of its `Content-Type`, UTF-8 when there is none; and whether bytes of it were none
/// of that encoding.
fn text_of(body: Vec<u8>, content_type: &str) -> Result<(String, bool), String> {
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    let label = charset.as_deref().unwrap_or("utf-8");
    let encoding = encoding_rs::Encoding::for_label(label.as_bytes())
        .ok_or_else(|| format!("its Content-Type names the charset '{label}', which is not known"))?;
    if encoding == encoding_rs::UTF_8 && !body.starts_with(b"\xef\xbb\xbf") {
        return Ok(match String::from_utf8(body) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        });
    }
    let (text, _, broken) = encoding.decode(&body);
    Ok((text.into_owned(), broken))
}

/// Lines without their ends; what stands behind the last end is a line if it is not empty.
fn lines_of(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut lines, mut start) = (Vec::new(), 0);
    while start < bytes.len() {
        let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |length| start + length);
        let without_return = if end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
        lines.push(start..without_return);
        start = end + 1;
    }
    lines
}

/// The records of an answer that is kept as text: the items of a JSON list, else the members of an object, else one.
fn size_of_text(text: &str) -> usize {
    match Json::read(text) {
        Ok(Json::List(items)) => items.len(),
        Ok(Json::Object(entries)) => entries.len(),
        _ => 1,
    }
}

fn json(text: &str) -> Result<Json<'_>, String> {
    Json::read(text).map_err(|error| error.to_string())
}

fn list<'j, 't>(path: &JsonPath, document: &'j Json<'t>) -> Result<Vec<Cow<'j, Json<'t>>>, String> {
    path.list(document).map_err(|error| format!("{}: {error}", path.text()))
}

fn cursor(text: &str, path: &JsonPath) -> Result<Option<String>, String> {
    let document = json(text)?;
    Ok(match list(path, &document)?.first().map(AsRef::as_ref) {
        Some(Json::Text(text) | Json::Number(text)) => Some(text.to_string()),
        _ => None,
    })
}

/// `content_field`: what the path finds; lists that it finds stand for their items.
fn content(text: &str, wanted: &ContentPath, records: &mut Records) -> Result<(), String> {
    let document = json(text)?;
    for found in list(&wanted.path, &document)? {
        match found.as_ref() {
            found if !wanted.children => push_objects(found, wanted, records)?,
            Json::List(items) => items.iter().try_for_each(|item| push_objects(item, wanted, records))?,
            Json::Object(members) => members.iter().try_for_each(|(_, value)| push_objects(value, wanted, records))?,
            _ => {}
        }
    }
    Ok(())
}

fn push_objects(found: &Json<'_>, wanted: &ContentPath, records: &mut Records) -> Result<(), String> {
    let items = match found {
        Json::List(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    for item in items {
        match item {
            Json::Null => {}
            Json::Object(_) => records.push(|out| item.write(out)),
            other => {
                let (path, kind) = (wanted.path.text(), other.kind_name());
                return Err(format!("content_field {path} finds {kind} where objects are expected"));
            }
        }
    }
    Ok(())
}

/// `json_field`: the lists that the paths find, zipped.
fn zip(text: &str, fields: &[(String, JsonPath)], records: &mut Records) -> Result<(), String> {
    let document = json(text)?;
    let lists = fields.iter().map(|(_, path)| list(path, &document)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = lists.first() else { return Ok(()) };
    if let Some(other) = lists.iter().position(|list| list.len() != first.len()) {
        return Err(format!(
            "[{}]({}) and [{}]({}) the number of parsing records is inconsistent.",
            fields[0].1.text(),
            first.len(),
            fields[other].1.text(),
            lists[other].len()
        ));
    }
    for row in 0..first.len() {
        records.push(|out| {
            out.push('{');
            for (index, ((name, _), values)) in fields.iter().zip(&lists).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                Json::Text(Cow::Borrowed(name)).write(out);
                out.push(':');
                values[row].write(out);
            }
            out.push('}');
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use egret_runtime::json_path::FOUND_MAX;
    use egret_runtime::row::show::write_row;
    use egret_runtime::row::{Column, DataType, TablePath};
    use proptest::prelude::*;

    use super::*;

    const STORE: &str = r#"{"store":{"book":[{"t":"a","p":8.950},{"t":"b","p":12.99,"n":[1,2]}],
        "bicycle":{"t":"c"}},"next":"abc","codes":[1,2,3]}"#;

    fn path(text: &str) -> JsonPath {
        JsonPath::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn content_path(text: &str) -> ContentPath {
        ContentPath::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn schema(columns: &[(&str, DataType)]) -> TableSchema {
        let columns = columns.iter().map(|(name, data_type)| Column::new(name, data_type.clone())).collect();
        TableSchema::new(TablePath::bare("t"), columns)
    }

    fn decoding(format: Format) -> Decoding {
        Decoding { format, multi_lines: false, cursor: None }
    }

    fn rows(decoding: &Decoding, body: &str, schema: &TableSchema) -> Result<Vec<String>, String> {
        let mut records = decoding.records(body.into(), "application/json")?;
        let is_text = matches!(decoding.format, Format::Text);
        let mut lines = Vec::new();
        while let Some(batch) = records.next_rows(schema, is_text, &ValueRules::default())? {
            for row in 0..batch.num_rows() {
                let mut line = String::new();
                write_row(&mut line, &batch, &schema.columns, row);
                lines.push(line);
            }
        }
        assert!(records.is_done());
        Ok(lines)
    }

    fn books() -> TableSchema {
        schema(&[("t", DataType::String), ("p", DataType::Decimal { precision: 10, scale: 3 })])
    }

    #[test]
    fn an_object_is_a_row_and_a_list_one_for_each_item() {
        let json = decoding(Format::Json);
        assert_eq!(rows(&json, r#" {"t":"a","p":1.5,"x":0} "#, &books()).expect("rows"), ["a, 1.500"]);
        let list = r#"[{"p":"7","t":null}, null ,{"t":"ü\n"}]"#;
        assert_eq!(rows(&json, list, &books()).expect("rows"), [", 7.000", "ü\n, "]);
        for empty in ["", "[]", " [ ] ", "null"] {
            assert_eq!(rows(&json, empty, &books()).expect("rows"), Vec::<String>::new(), "{empty}");
        }
        for wrong in ["1", "[1]", "[{}", "{} {}", "<html>", "[{},]x", "[{} {}]"] {
            assert!(rows(&json, wrong, &books()).is_err(), "{wrong}");
        }
        let error = rows(&json, r#"[{"t":"a"},{"t":"b","p":"x"}]"#, &books()).expect_err("no number");
        assert!(error.contains("record 2") && error.contains("'x'"), "{error}");
    }

    #[test]
    fn lines_are_answers_of_their_own() {
        let lines = Decoding { multi_lines: true, ..decoding(Format::Json) };
        let body = "{\"t\":\"a\"} \r\n\n {\"t\":\"b\",\"p\":1}\n[{\"t\":\"c\"}]";
        assert_eq!(rows(&lines, body, &books()).expect("rows"), ["a, ", "b, 1.000", "c, "]);
        let text = Decoding { multi_lines: true, ..decoding(Format::Text) };
        let content = schema(&[("content", DataType::String)]);
        assert_eq!(rows(&text, "a\r\n\nb", &content).expect("rows"), ["a", "", "b"]);
        assert_eq!(rows(&decoding(Format::Text), "a\nb\n", &content).expect("rows"), ["a\nb\n"]);
    }

    #[test]
    fn content_field_finds_objects_and_lists_of_them() {
        for found in ["$.store.book.*", "$.store.book[*]", "$.store.book", "$..book"] {
            let content = decoding(Format::Content(content_path(found)));
            assert_eq!(rows(&content, STORE, &books()).expect("rows"), ["a, 8.950", "b, 12.990"], "{found}");
        }
        let members = decoding(Format::Content(content_path("$.store.*")));
        assert_eq!(rows(&members, STORE, &books()).expect("rows"), ["a, 8.950", "b, 12.990", "c, "]);
        let many = format!("{{\"l\":[{}]}}", vec!["{}"; FOUND_MAX + 1].join(","));
        let all = decoding(Format::Content(content_path("$.l[*]")));
        assert_eq!(all.records(many.into(), "").expect("records").count, FOUND_MAX + 1);
        let one = decoding(Format::Content(content_path("$.store.bicycle")));
        assert_eq!(rows(&one, STORE, &books()).expect("rows"), ["c, "]);
        let none = decoding(Format::Content(content_path("$.nowhere[*]")));
        assert_eq!(rows(&none, STORE, &books()).expect("rows"), Vec::<String>::new());
        let wrong = decoding(Format::Content(content_path("$.codes")));
        assert!(rows(&wrong, STORE, &books()).expect_err("numbers").contains("$.codes"));
    }

    #[test]
    fn json_field_zips_what_its_paths_find() {
        let fields = |pairs: &[(&str, &str)]| {
            decoding(Format::Fields(pairs.iter().map(|(name, text)| ((*name).to_owned(), path(text))).collect()))
        };
        let zipped = fields(&[("p", "$.store.book[*].p"), ("t", "$.store.book[*].t")]);
        let text = schema(&[("t", DataType::String), ("p", DataType::String), ("n", DataType::String)]);
        assert_eq!(rows(&zipped, STORE, &text).expect("rows"), ["a, 8.950, ", "b, 12.99, "]);
        // A name that is missing at the end is null, and lists become text.
        let nested = fields(&[("n", "$.store.book[*].n"), ("t", "$.store.book[*].t")]);
        assert_eq!(rows(&nested, STORE, &text).expect("rows"), ["a, , ", "b, , [1,2]"]);
        let uneven = fields(&[("t", "$.store.book[*].t"), ("p", "$.codes[*]")]);
        assert_eq!(
            rows(&uneven, STORE, &text).expect_err("uneven"),
            "[$.store.book[*].t](2) and [$.codes[*]](3) the number of parsing records is inconsistent."
        );
    }

    #[test]
    fn paging_learns_the_number_of_records_and_the_cursor() {
        let count = |decoding: &Decoding, body: &str| decoding.records(body.into(), "").expect("records").count;
        assert_eq!(count(&decoding(Format::Json), "[{},{},{}]"), 3);
        assert_eq!(count(&decoding(Format::Text), "[1,2]"), 2);
        assert_eq!(count(&decoding(Format::Text), "plain text"), 1);
        assert_eq!(count(&decoding(Format::Json), ""), 0);
        let with_cursor =
            Decoding { cursor: Some(path("$.next")), ..decoding(Format::Content(content_path("$.store.book"))) };
        let records = with_cursor.records(STORE.into(), "").expect("records");
        assert_eq!(records.cursor.as_deref(), Some("abc"));
        let records = with_cursor.records(r#"{"next":null}"#.into(), "").expect("records");
        assert_eq!(records.cursor, None);
    }

    #[test]
    fn the_charset_of_the_answer_is_heeded() {
        let text = |body: &[u8], content_type: &str| text_of(body.to_vec(), content_type);
        assert_eq!(text(b"\xe4", "text/plain; charset=ISO-8859-1"), Ok(("ä".into(), false)));
        assert_eq!(text(b"\xc4\xe3", "text/plain;Charset=\"gbk\""), Ok(("你".into(), false)));
        assert_eq!(text(b"\xef\xbb\xbfa", "application/json"), Ok(("a".into(), false)));
        assert_eq!(text(b"a\xff", ""), Ok(("a\u{fffd}".into(), true)));
        assert!(text(b"a", "text/plain; charset=klingon").expect_err("unknown").contains("klingon"));
    }

    #[test]
    fn a_large_answer_comes_in_batches() {
        let body = format!("[{}]", vec!["{\"t\":\"x\"}"; BATCH_ROWS + 1].join(","));
        let mut records = decoding(Format::Json).records(body.into(), "").expect("records");
        let rules = ValueRules::default();
        let mut sizes = Vec::new();
        while let Some(batch) = records.next_rows(&books(), false, &rules).expect("rows") {
            sizes.push(batch.num_rows());
        }
        assert_eq!(sizes, [BATCH_ROWS, 1]);
    }

    proptest! {
        #[test]
        fn no_answer_brings_the_decoder_down(body in "[{}\\[\\]\":,tp\\\\n0-9 \n.]{0,60}", lines in any::<bool>()) {
            for format in [Format::Json, Format::Text, Format::Content(content_path("$..*")), Format::Fields(vec![("t".into(), path("$.t"))])] {
                let decoding = Decoding { multi_lines: lines, ..decoding(format) };
                let _ = rows(&decoding, &body, &books());
            }
        }
    }
}
