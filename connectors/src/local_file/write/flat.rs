//! Nested values in one text, as the reference engine puts them into xml and excel: the fields of a row side by side
//! with the separator between, lists and maps as JSON.

use egret_runtime::row::Column;

use super::cells::{Cells, Scribe};
use super::json::{Names, write_value};
use super::text::as_text;

/// Writes values of any type as one text.
pub struct Flattener {
    names: Vec<Names>,
    separator: Box<[u8]>,
}

impl Flattener {
    /// For the columns of a table.
    pub fn new(columns: &[Column], separator: &[u8]) -> Self {
        let names = columns.iter().map(|column| Names::new(&column.name, &column.data_type)).collect();
        Self { names, separator: separator.into() }
    }

    /// Appends the value of a column; null is nothing.
    pub fn write(&self, column: usize, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>, scribe: &mut Scribe) {
        self.write_named(&self.names[column], cells, row, out, scribe);
    }

    fn write_named(&self, names: &Names, cells: &Cells<'_>, row: usize, out: &mut Vec<u8>, scribe: &mut Scribe) {
        if cells.is_null(row) {
            return;
        }
        match cells {
            Cells::Row(_, fields) => {
                for (index, (field, names)) in fields.iter().zip(&names.inner).enumerate() {
                    if index > 0 {
                        out.extend_from_slice(&self.separator);
                    }
                    self.write_named(names, field, row, out, scribe);
                }
            }
            Cells::List(..) | Cells::Map(..) => write_value(cells, &names.inner, row, out, scribe),
            Cells::Bytes(column) => {
                let text = as_text(column.value(row));
                scribe.lost += u64::from(matches!(text, std::borrow::Cow::Owned(_)));
                out.extend_from_slice(text.as_bytes());
            }
            scalar => {
                scribe.write(scalar, row, out);
            }
        }
    }
}
