//! xml: each element of a name is a row, read as the text comes. Its fields are its attributes, or the elements in it.
//!
//! A row is parsed when it is in memory as a whole; what is between rows is only stepped over. Entities are the five of
//! XML and those of numbers: a document type's own are not looked at.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{BATCH_BYTES, BATCH_ROWS, Column};
use egret_runtime::shard::give_way;
use egret_runtime::task::TaskProbe;
use memchr::memchr_iter;
use quick_xml::errors::SyntaxError;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion};

use super::bytes::ByteStream;
use super::cells::{Cell, CellRules, Rows};
use super::{FileReader, Place, guarded};

/// A byte order mark, which is no text.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What the config says about an xml file.
#[derive(Clone, Debug)]
pub struct XmlFormat {
    /// Name of the elements that are rows.
    pub row_tag: Box<str>,
    /// Whether fields are attributes; otherwise they are elements.
    pub attributes: bool,
    /// The columns that are read.
    pub columns: Arc<[Column]>,
    /// Longest row.
    pub row_bytes_max: usize,
}

/// Reads one xml file.
pub struct XmlReader {
    format: Arc<XmlFormat>,
    rules: CellRules,
    stream: Box<dyn ByteStream>,
    about: Box<str>,
    /// Text in memory, from `used` on; always whole characters.
    window: Vec<u8>,
    used: usize,
    /// A parse that found no whole row tries again only when there is so much text.
    enough: usize,
    ended: bool,
    /// Lines before the window, and whether it is not the first one.
    lines: u64,
    begun: bool,
    rows: Rows,
    /// Rows that were read, and those of them that are to be passed over because another reader gave them out.
    done: u64,
    skip: u64,
    /// Elements that are open where the window begins.
    depth: usize,
    probe: Rc<TaskProbe>,
}

/// How far a parse came.
struct Parsed {
    /// Bytes behind the last whole row, or of what is between rows.
    used: usize,
    /// Elements that are open there.
    depth: usize,
    /// Rows that are still to be passed over.
    skip: u64,
    /// Whether the text ended in the middle of something.
    cut: bool,
}

impl XmlReader {
    /// Reads on from a place; `stream` gives UTF-8, from the start of the file on. `about` names the file.
    pub fn new(
        format: Arc<XmlFormat>,
        schema: SchemaRef,
        rules: CellRules,
        stream: Box<dyn ByteStream>,
        about: &str,
        place: Place,
        probe: Rc<TaskProbe>,
    ) -> Self {
        let rows = Rows::new(&format.columns, schema);
        Self {
            format,
            rules,
            stream,
            about: about.into(),
            window: Vec::new(),
            used: 0,
            enough: 0,
            ended: false,
            lines: 0,
            begun: false,
            rows,
            done: place.offset,
            skip: place.offset,
            depth: 0,
            probe,
        }
    }

    fn text(&self) -> Result<&str, TaskError> {
        std::str::from_utf8(&self.window[self.used..])
            .map_err(|_| TaskError::permanent(format!("{}: the text is not UTF-8", self.about)))
    }

    fn failure(&self, at: usize, why: impl std::fmt::Display) -> TaskError {
        let text = &self.window[self.used..];
        let line = self.lines + memchr_iter(b'\n', &text[..at.min(text.len())]).count() as u64 + 1;
        TaskError::permanent(format!("{}: line {line}: {why}", self.about))
    }

    /// Steps over the text, from row to row, as far as a batch goes.
    fn parse(&mut self) -> Result<Parsed, TaskError> {
        let mut rows = std::mem::replace(&mut self.rows, Rows::new(&[], Arc::new(arrow::datatypes::Schema::empty())));
        let parsed = guarded(|| self.parse_into(&mut rows));
        self.rows = rows;
        parsed.map_err(|why| self.failure(0, why))?
    }

    fn parse_into(&self, rows: &mut Rows) -> Result<Parsed, TaskError> {
        let text = self.text()?;
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        // The window may begin in the middle of the document.
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = false;
        let mut parsed = Parsed { used: 0, depth: self.depth, skip: self.skip, cut: false };
        while rows.len() < BATCH_ROWS && rows.bytes() < BATCH_BYTES {
            let at = reader.buffer_position() as usize;
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) if !self.ended && may_be_cut(&error) => {
                    parsed.cut = true;
                    return Ok(parsed);
                }
                Err(error) => return Err(self.failure(at, format_args!("is no XML: {error}"))),
            };
            match event {
                Event::Eof => {
                    parsed.cut = true;
                    if self.ended && parsed.depth > 0 {
                        return Err(self.failure(at, "the document is cut off: an element is not closed"));
                    }
                    return Ok(parsed);
                }
                Event::Start(tag) if self.is_row(&tag) => {
                    let Some(fields) = self.fields(&mut reader, &tag, at)? else {
                        parsed.cut = true;
                        return Ok(parsed);
                    };
                    self.push(rows, &fields, &mut parsed.skip, at)?;
                }
                Event::Empty(tag) if self.is_row(&tag) => {
                    let fields = if self.format.attributes { self.attributes(&tag, at)? } else { HashMap::new() };
                    self.push(rows, &fields, &mut parsed.skip, at)?;
                }
                Event::Start(_) => parsed.depth += 1,
                Event::End(_) => parsed.depth = parsed.depth.saturating_sub(1),
                Event::Text(text) if parsed.depth == 0 && !text.trim().is_empty() => {
                    return Err(self.failure(at, "is no XML: text stands outside of the document's element"));
                }
                // The rest of it may be still to come.
                Event::Text(_) if reader.buffer_position() as usize == text.len() && !self.ended => {
                    parsed.cut = true;
                    return Ok(parsed);
                }
                _ => {}
            }
            parsed.used = reader.buffer_position() as usize;
        }
        Ok(parsed)
    }

    fn is_row(&self, tag: &BytesStart<'_>) -> bool {
        tag.name().as_ref() == self.format.row_tag.as_ref()
    }

    /// Rows without a single field of the schema are no rows, as in the reference engine.
    fn push(
        &self,
        rows: &mut Rows,
        fields: &HashMap<usize, String>,
        skip: &mut u64,
        at: usize,
    ) -> Result<(), TaskError> {
        if fields.is_empty() {
            return Ok(());
        }
        if *skip > 0 {
            *skip -= 1;
            return Ok(());
        }
        let cell = |index| fields.get(&index).map_or(Cell::Empty, |text| Cell::Text(text));
        rows.push(cell, &self.rules).map_err(|why| self.failure(at, why))
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.format.columns.iter().position(|column| column.name.as_ref() == name)
    }

    fn attributes(&self, tag: &BytesStart<'_>, at: usize) -> Result<HashMap<usize, String>, TaskError> {
        let mut fields = HashMap::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.failure(at, format_args!("is no XML: {error}")))?;
            if let Some(index) = self.column(attribute.key.as_ref()) {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                let value = value.map_err(|error| self.failure(at, format_args!("is no XML: {error}")))?;
                fields.insert(index, value.into_owned());
            }
        }
        Ok(fields)
    }

    /// The fields of the row whose tag was just read, up to its end; none when the text ends before.
    fn fields(
        &self,
        reader: &mut Reader<&[u8]>,
        row: &BytesStart<'_>,
        at: usize,
    ) -> Result<Option<HashMap<usize, String>>, TaskError> {
        let mut fields = if self.format.attributes { self.attributes(row, at)? } else { HashMap::new() };
        let (mut depth, mut open): (usize, Option<(usize, String)>) = (0, None);
        loop {
            let event = match reader.read_event() {
                Ok(Event::Eof) if self.ended => {
                    return Err(self.failure(at, "the document is cut off: a row is not closed"));
                }
                Ok(Event::Eof) => return Ok(None),
                Ok(event) => event,
                Err(error) if !self.ended && may_be_cut(&error) => return Ok(None),
                Err(error) => return Err(self.failure(at, format_args!("is no XML: {error}"))),
            };
            // A field's text is what stands in it directly.
            let text_of = open.as_mut().filter(|_| depth == 1).map(|(_, text)| text);
            match event {
                Event::Start(tag) => {
                    depth += 1;
                    if depth == 1 && !self.format.attributes {
                        open = self.column(tag.name().as_ref()).map(|index| (index, String::new()));
                    }
                }
                Event::Empty(tag) if depth == 0 && !self.format.attributes => {
                    if let Some(index) = self.column(tag.name().as_ref()) {
                        fields.insert(index, String::new());
                    }
                }
                Event::End(_) if depth == 0 => return Ok(Some(fields)),
                Event::End(_) => {
                    depth -= 1;
                    if depth == 0
                        && let Some((index, text)) = open.take()
                    {
                        fields.insert(index, text);
                    }
                }
                Event::Text(text) => {
                    if let Some(field) = text_of {
                        field.push_str(&text.xml10_content());
                    }
                }
                Event::CData(text) => {
                    if let Some(field) = text_of {
                        field.push_str(&text.xml10_content());
                    }
                }
                Event::GeneralRef(name) => {
                    if let Some(field) = text_of {
                        let symbol = entity(&name).ok_or_else(|| {
                            self.failure(at, format_args!("'&{};' is an entity that nothing declares", &*name))
                        })?;
                        field.push_str(&symbol);
                    }
                }
                _ => {}
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        let text = &self.window[self.used..self.used + bytes];
        self.lines += memchr_iter(b'\n', text).count() as u64;
        self.used += bytes;
    }

    async fn read_more(&mut self) -> Result<(), TaskError> {
        self.window.drain(..self.used);
        self.used = 0;
        if self.window.len() > self.format.row_bytes_max {
            let why = format!("a row is longer than max_line_bytes = {}", self.format.row_bytes_max);
            return Err(self.failure(0, why));
        }
        self.ended = self.stream.fill(&mut self.window).await? == 0;
        Ok(())
    }
}

/// Whether an error may come of a text that goes on.
fn may_be_cut(error: &Error) -> bool {
    matches!(
        error,
        Error::Syntax(
            SyntaxError::UnclosedTag
                | SyntaxError::UnclosedComment
                | SyntaxError::UnclosedCData
                | SyntaxError::UnclosedDoctype
                | SyntaxError::UnclosedPI
                | SyntaxError::UnclosedXmlDecl
                | SyntaxError::InvalidBangMarkup
                | SyntaxError::UnclosedSingleQuotedAttributeValue
                | SyntaxError::UnclosedDoubleQuotedAttributeValue
        ) | Error::IllFormed(quick_xml::errors::IllFormedError::UnclosedReference)
    )
}

fn entity(name: &BytesRef<'_>) -> Option<String> {
    match name.resolve_char_ref() {
        Ok(Some(symbol)) => Some(symbol.into()),
        Ok(None) => resolve_predefined_entity(name).map(Into::into),
        Err(_) => None,
    }
}

#[async_trait(?Send)]
impl FileReader for XmlReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        loop {
            while !self.ended && self.window.len() - self.used < self.enough.max(MARK.len()) {
                self.read_more().await?;
            }
            if !std::mem::replace(&mut self.begun, true) && self.window.starts_with(MARK) {
                self.consume(MARK.len());
            }
            let parsed = self.parse()?;
            (self.depth, self.skip) = (parsed.depth, parsed.skip);
            self.consume(parsed.used);
            // Long rows are parsed again only after the text has doubled.
            let left = self.window.len() - self.used;
            self.enough = if parsed.cut { (left * 2).max(left + 1) } else { 0 };
            if self.rows.len() > 0 {
                self.probe.warn(self.rules.values.lost());
                self.done += self.rows.len() as u64;
                return Ok(Some(self.rows.finish()?));
            }
            if self.ended && parsed.cut {
                return Ok(None);
            }
            give_way().await;
        }
    }

    fn place(&self) -> Place {
        Place { offset: self.done, line: self.lines, entry: 0 }
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.stream.close().await
    }
}
