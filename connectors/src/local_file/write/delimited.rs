//! text and csv. Null is nothing between two separators; nested values take a separator for each level, as reading
//! them says.

use std::sync::Arc;

use arrow::array::RecordBatch;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::Column;
use memchr::memmem;

use super::super::patterns::Patterns;
use super::Encoder;
use super::cells::{Cells, Scribe};

/// Which texts stand in quotes (`csv_string_quote_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// None: text always, and csv if so wanted.
    None,
    /// Those that hold a separator, a quote or an end of line, and the empty text.
    Minimal,
    /// All of them.
    All,
}

/// How rows are written.
#[derive(Clone, Debug)]
pub struct DelimitedStyle {
    /// Between fields.
    pub separator: Box<[u8]>,
    /// Between rows.
    pub row_delimiter: Box<[u8]>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Which texts stand in quotes.
    pub quotes: Quotes,
    /// Dates, times and datetimes.
    pub patterns: Patterns,
}

/// Writes text and csv.
pub struct DelimitedEncoder {
    style: DelimitedStyle,
    columns: Arc<[Column]>,
    scribe: Scribe,
    /// Bytes that a field may need quotes for: a field without them is as it should be.
    special: Box<[bool; 256]>,
    started: bool,
    /// Whether the last row took no byte: a reader would not see it without a delimiter behind it.
    last_is_empty: bool,
}

impl DelimitedEncoder {
    /// Begins a file.
    pub fn new(style: DelimitedStyle, columns: Arc<[Column]>) -> Self {
        let scribe = Scribe::new(style.patterns, b' ');
        let mut special = Box::new([false; 256]);
        let quotes = if style.quotes == Quotes::None { &[][..] } else { b"\"\n\r" };
        for byte in quotes.iter().chain(style.separator.first()).chain(style.row_delimiter.first()) {
            special[usize::from(*byte)] = true;
        }
        Self { style, columns, scribe, special, started: false, last_is_empty: false }
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.style.separator);
            }
            let start = out.len();
            out.extend_from_slice(column.name.as_bytes());
            if self.style.quotes != Quotes::None {
                self.quote(start, out);
            }
        }
        out.extend_from_slice(&self.style.row_delimiter);
    }

    fn is_special(&self, field: &[u8]) -> bool {
        field.iter().any(|byte| self.special[usize::from(*byte)])
    }

    /// Puts what was written since `start` into quotes if it may need them.
    fn quote(&self, start: usize, out: &mut Vec<u8>) {
        let field = &out[start..];
        if self.style.quotes == Quotes::Minimal && !field.is_empty() && !self.is_special(field) {
            return;
        }
        let plain = out.split_off(start);
        out.push(b'"');
        for byte in plain {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }
        out.push(b'"');
    }

    fn holds_delimiter(&self, field: &[u8]) -> bool {
        let holds = |delimiter: &[u8]| match delimiter {
            [] => false,
            [byte] => memchr::memchr(*byte, field).is_some(),
            several => memmem::find(field, several).is_some(),
        };
        holds(&self.style.separator) || holds(&self.style.row_delimiter)
    }

    fn write_field(&mut self, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>) {
        if cells.is_null(row) {
            return;
        }
        let start = out.len();
        if !self.scribe.write(cells, row, out) {
            write_nested(cells, row, 1, out, &mut self.scribe);
        } else if !matches!(cells, Cells::String(_) | Cells::Bytes(_)) {
            return;
        }
        if self.style.quotes != Quotes::None {
            self.quote(start, out);
        } else if self.is_special(&out[start..]) && self.holds_delimiter(&out[start..]) {
            // Text has no quotes: this row will be read back otherwise. The reference engine writes it all the same.
            self.scribe.lost += 1;
        }
    }
}

impl Encoder for DelimitedEncoder {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        let columns = self.columns.iter().zip(rows.columns());
        let cells =
            columns.map(|(column, array)| Cells::new(&column.data_type, array)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            if self.started {
                out.extend_from_slice(&self.style.row_delimiter);
            } else {
                self.started = true;
                if self.style.header {
                    self.write_header(out);
                }
            }
            let start = out.len();
            for (index, cells) in cells.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(&self.style.separator);
                }
                self.write_field(cells, row, out);
            }
            self.last_is_empty = out.len() == start;
        }
        Ok(std::mem::take(&mut self.scribe.lost))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        if !self.started && self.style.header {
            self.write_header(out);
        }
        if self.last_is_empty {
            out.extend_from_slice(&self.style.row_delimiter);
        }
        Ok(())
    }
}

fn write_nested(cells: &Cells<'_>, row: usize, level: u8, out: &mut Vec<u8>, scribe: &mut Scribe) {
    if cells.is_null(row) || scribe.write(cells, row, out) {
        return;
    }
    let separator = level + 1;
    match cells {
        Cells::List(lists, items) => {
            let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
            for item in range.clone() {
                if item > range.start {
                    out.push(separator);
                }
                write_nested(items, item, level + 1, out, scribe);
            }
        }
        Cells::Map(maps, keys, values) => {
            let range = maps.value_offsets()[row] as usize..maps.value_offsets()[row + 1] as usize;
            for entry in range.clone() {
                if entry > range.start {
                    out.push(separator);
                }
                write_nested(keys, entry, level + 1, out, scribe);
                out.push(separator + 1);
                write_nested(values, entry, level + 1, out, scribe);
            }
        }
        Cells::Row(_, fields) => {
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(separator);
                }
                write_nested(field, row, level + 1, out, scribe);
            }
        }
        _ => {}
    }
}
