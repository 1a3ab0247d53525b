//! xml: an element for each row within a root element, its columns as elements or as attributes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::Column;

use super::super::patterns::Patterns;
use super::Encoder;
use super::cells::{Cells, Scribe};
use super::flat::Flattener;

/// How rows are written.
#[derive(Clone, Debug)]
pub struct XmlStyle {
    /// `xml_root_tag`
    pub root: Box<str>,
    /// `xml_row_tag`
    pub row: Box<str>,
    /// `xml_use_attr_format`: columns are attributes of the row's element.
    pub attributes: bool,
    /// Name of the encoding, for the first line.
    pub encoding: Box<str>,
    /// Between the fields of a nested row.
    pub separator: Box<[u8]>,
    /// Dates, times and datetimes.
    pub patterns: Patterns,
}

/// Writes xml.
pub struct XmlEncoder {
    style: XmlStyle,
    columns: Arc<[Column]>,
    flattener: Flattener,
    scribe: Scribe,
    value: Vec<u8>,
    started: bool,
    rows: bool,
}

/// Whether a text can be the name of an element or an attribute. Names with a colon are left to namespaces.
pub fn is_name(text: &str) -> bool {
    let mut symbols = text.chars();
    let starts = |symbol: char| symbol == '_' || symbol.is_alphabetic();
    symbols.next().is_some_and(starts)
        && symbols.all(|symbol| starts(symbol) || symbol.is_alphanumeric() || matches!(symbol, '-' | '.' | '\u{b7}'))
}

impl XmlEncoder {
    /// Begins a file.
    pub fn new(style: XmlStyle, columns: Arc<[Column]>) -> Self {
        let flattener = Flattener::new(&columns, &style.separator);
        let scribe = Scribe::new(style.patterns, b'T');
        Self { style, columns, flattener, scribe, value: Vec::new(), started: false, rows: false }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let head = format!("<?xml version=\"1.0\" encoding=\"{}\"?>\n\n<{}", self.style.encoding, self.style.root);
        out.extend_from_slice(head.as_bytes());
    }

    fn write_row(&mut self, cells: &[Cells<'_>], row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n\t<");
        out.extend_from_slice(self.style.row.as_bytes());
        let attributes = self.style.attributes;
        if !attributes {
            out.push(b'>');
        }
        for (index, cells) in cells.iter().enumerate() {
            self.value.clear();
            self.flattener.write(index, cells, row, &mut self.value, &mut self.scribe);
            let name = self.columns[index].name.as_bytes();
            if attributes {
                out.push(b' ');
                out.extend_from_slice(name);
                out.extend_from_slice(b"=\"");
                self.scribe.lost += escape(&self.value, true, out);
                out.push(b'"');
                continue;
            }
            out.extend_from_slice(b"\n\t\t<");
            out.extend_from_slice(name);
            if self.value.is_empty() {
                out.extend_from_slice(b"/>");
                continue;
            }
            out.push(b'>');
            self.scribe.lost += escape(&self.value, false, out);
            out.extend_from_slice(b"</");
            out.extend_from_slice(name);
            out.push(b'>');
        }
        if attributes {
            out.extend_from_slice(b"/>");
        } else {
            out.extend_from_slice(b"\n\t</");
            out.extend_from_slice(self.style.row.as_bytes());
            out.push(b'>');
        }
    }
}

impl Encoder for XmlEncoder {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        self.start(out);
        let columns = Arc::clone(&self.columns);
        let arrays = columns.iter().zip(rows.columns());
        let cells =
            arrays.map(|(column, array)| Cells::new(&column.data_type, array)).collect::<Result<Vec<_>, _>>()?;
        if rows.num_rows() > 0 && !std::mem::replace(&mut self.rows, true) {
            out.push(b'>');
        }
        for row in 0..rows.num_rows() {
            self.write_row(&cells, row, out);
        }
        Ok(std::mem::take(&mut self.scribe.lost))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.start(out);
        let end = if self.rows { format!("\n</{}>\n", self.style.root) } else { "/>\n".to_owned() };
        out.extend_from_slice(end.as_bytes());
        Ok(())
    }
}

/// Appends text with what xml wants escaped. Control characters, which xml 1.0 does not have, are written as numbers as
/// the reference engine does, and NUL as U+FFFD; answers how many of them there were.
fn escape(text: &[u8], attribute: bool, out: &mut Vec<u8>) -> u64 {
    let mut lost = 0;
    let mut plain = 0;
    for (at, byte) in text.iter().enumerate() {
        let number;
        let entity: &[u8] = match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'"' if attribute => b"&quot;",
            b'\r' => b"&#13;",
            b'\n' if attribute => b"&#10;",
            b'\t' if attribute => b"&#9;",
            b'\n' | b'\t' => continue,
            0 => {
                lost += 1;
                "\u{fffd}".as_bytes()
            }
            control if *control < b' ' => {
                lost += 1;
                number = format!("&#{control};");
                number.as_bytes()
            }
            _ => continue,
        };
        out.extend_from_slice(&text[plain..at]);
        out.extend_from_slice(entity);
        plain = at + 1;
    }
    out.extend_from_slice(&text[plain..]);
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_wants_escaped_is() {
        let escaped = |text: &str, attribute| {
            let mut out = Vec::new();
            let lost = escape(text.as_bytes(), attribute, &mut out);
            (String::from_utf8(out).expect("text"), lost)
        };
        assert_eq!(escaped("a<b>&\"\n\r\té", false), ("a&lt;b&gt;&amp;\"\n&#13;\té".into(), 0));
        assert_eq!(escaped("\"\n\t", true), ("&quot;&#10;&#9;".into(), 0));
        assert_eq!(escaped("a\u{1}b\u{0}", false), ("a&#1;b\u{fffd}".into(), 2));
    }

    #[test]
    fn names_of_elements_are_told_from_others() {
        for name in ["a", "_1", "größe", "a-b.c", "名"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "a b", "-a", "a<", "a:b", "a\"", "a/"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
