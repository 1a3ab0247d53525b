//! json: an object for each row, all columns in it, those that are null too (as the reference engine's). Decimals are
//! numbers with every digit, bytes are base64, timestamps ISO text unless `datetime_format` says otherwise.

use std::sync::Arc;

use arrow::array::RecordBatch;
use base64::Engine as _;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{Column, DataType};

use super::super::patterns::Patterns;
use super::Encoder;
use super::cells::{Cells, Scribe};

/// Writes json.
pub struct JsonEncoder {
    columns: Arc<[Column]>,
    /// `"name":` of each column.
    names: Vec<Names>,
    row_delimiter: Box<[u8]>,
    scribe: Scribe,
    started: bool,
}

/// The name of a value within its object, and those of the values within it.
pub(super) struct Names {
    /// `"name":`
    own: Vec<u8>,
    /// Of the fields of a row, the items of a list, the values of a map.
    pub(super) inner: Vec<Names>,
}

impl Names {
    /// The names of a column or field.
    pub(super) fn new(name: &str, data_type: &DataType) -> Self {
        let mut own = Vec::new();
        write_string(name.as_bytes(), &mut own);
        own.push(b':');
        let inner = match data_type {
            DataType::Row(fields) => fields.iter().map(|field| Self::new(&field.name, &field.data_type)).collect(),
            DataType::Array(item) => vec![Self::new("", item)],
            DataType::Map(_, value) => vec![Self::new("", value)],
            _ => Vec::new(),
        };
        Self { own, inner }
    }
}

impl JsonEncoder {
    /// Begins a file.
    pub fn new(columns: Arc<[Column]>, row_delimiter: Box<[u8]>, patterns: Patterns) -> Self {
        let names = columns.iter().map(|column| Names::new(&column.name, &column.data_type)).collect();
        Self { columns, names, row_delimiter, scribe: Scribe::new(patterns, b'T'), started: false }
    }
}

impl Encoder for JsonEncoder {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        let columns = self.columns.iter().zip(rows.columns());
        let cells =
            columns.map(|(column, array)| Cells::new(&column.data_type, array)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            if std::mem::replace(&mut self.started, true) {
                out.extend_from_slice(&self.row_delimiter);
            }
            write_object(&cells, &self.names, row, out, &mut self.scribe);
        }
        Ok(std::mem::take(&mut self.scribe.lost))
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), TaskError> {
        Ok(())
    }
}

fn write_object(cells: &[Cells<'_>], names: &[Names], row: usize, out: &mut Vec<u8>, scribe: &mut Scribe) {
    out.push(b'{');
    for (index, (cells, names)) in cells.iter().zip(names).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&names.own);
        write_value(cells, &names.inner, row, out, scribe);
    }
    out.push(b'}');
}

/// Writes a value; `names` are those within it.
pub(super) fn write_value(cells: &Cells<'_>, names: &[Names], row: usize, out: &mut Vec<u8>, scribe: &mut Scribe) {
    if cells.is_null(row) {
        out.extend_from_slice(b"null");
        return;
    }
    match cells {
        Cells::String(column) => write_string(column.value(row).as_bytes(), out),
        Cells::Bytes(column) => {
            out.push(b'"');
            out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(column.value(row)).as_bytes());
            out.push(b'"');
        }
        Cells::Float(column) if !column.value(row).is_finite() => write_quoted(cells, row, out, scribe),
        Cells::Double(column) if !column.value(row).is_finite() => write_quoted(cells, row, out, scribe),
        Cells::Date(_) | Cells::Time(_) | Cells::Timestamp(_) => write_quoted(cells, row, out, scribe),
        Cells::List(lists, items) => {
            let inner = names.first().map_or(&[][..], |names| &names.inner);
            let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
            out.push(b'[');
            for item in range.clone() {
                if item > range.start {
                    out.push(b',');
                }
                write_value(items, inner, item, out, scribe);
            }
            out.push(b']');
        }
        Cells::Map(maps, keys, values) => {
            let inner = names.first().map_or(&[][..], |names| &names.inner);
            let range = maps.value_offsets()[row] as usize..maps.value_offsets()[row + 1] as usize;
            out.push(b'{');
            for entry in range.clone() {
                if entry > range.start {
                    out.push(b',');
                }
                write_key(keys, entry, out, scribe);
                out.push(b':');
                write_value(values, inner, entry, out, scribe);
            }
            out.push(b'}');
        }
        Cells::Row(_, fields) => write_object(fields, names, row, out, scribe),
        scalar => {
            scribe.write(scalar, row, out);
        }
    }
}

/// A map's key: text always.
fn write_key(keys: &Cells<'_>, row: usize, out: &mut Vec<u8>, scribe: &mut Scribe) {
    match keys {
        Cells::String(_) | Cells::Bytes(_) => write_value(keys, &[], row, out, scribe),
        Cells::List(..) | Cells::Map(..) | Cells::Row(..) => {
            // A key of a nested type: its JSON as text.
            let mut inner = Vec::new();
            write_value(keys, &[], row, &mut inner, scribe);
            write_string(&inner, out);
        }
        _ => write_quoted(keys, row, out, scribe),
    }
}

fn write_quoted(cells: &Cells<'_>, row: usize, out: &mut Vec<u8>, scribe: &mut Scribe) {
    out.push(b'"');
    scribe.write(cells, row, out);
    out.push(b'"');
}

/// A string in quotes, with escapes where they are due.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = first_special(rest) {
        out.extend_from_slice(&rest[..at]);
        write_escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// The first byte that needs an escape: a quote, a backslash, a control character.
#[inline]
fn first_special(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut chunks = text.chunks_exact(8);
    let mut at = 0;
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        // A borrow may mark bytes behind a true one; the lowest mark is right.
        let marks = control | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = chunks.remainder();
    rest.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\').map(|place| at + place)
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        control => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let (high, low) = (usize::from(control >> 4), usize::from(control & 15));
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', DIGITS[high], DIGITS[low]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_that_needs_an_escape_is_found(
            text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), 0x1eu8..0x24, b'a'..b'd'], 0..40)
        ) {
            let expected = text.iter().position(|byte| *byte < b' ' || *byte == b'"' || *byte == b'\\');
            prop_assert_eq!(first_special(&text), expected);
        }
    }
}
