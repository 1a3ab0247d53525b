//! excel: an xlsx file of one sheet, names in its first row. It is streamed: texts stand in their cells, so that no row
//! is held.

mod zip;

use std::sync::Arc;

use arrow::array::RecordBatch;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::Column;

use super::super::patterns::Patterns;
use super::Encoder;
use super::cells::{Cells, Scribe};
use super::flat::Flattener;
use zip::ZipStream;

/// Rows of a sheet, the names among them.
pub const SHEET_ROWS_MAX: u64 = 1_048_576;
/// Columns of a sheet.
pub const SHEET_COLUMNS_MAX: usize = 16_384;
/// UTF-16 units of a cell's text.
const CELL_TEXT_MAX: usize = 32_767;
/// UTF-16 units of a sheet's name.
const SHEET_NAME_MAX: usize = 31;

/// Integers beyond this are not all numbers of a sheet.
const EXACT_MAX: u64 = 1 << 53;
/// Digits of a decimal that a number of a sheet keeps in any case.
const EXACT_DIGITS: u64 = 1_000_000_000_000_000;

/// Days from 1899-12-30, where a sheet counts from, to 1970-01-01.
const EPOCH_DAYS: i64 = 25_569;
/// 1900-01-01 and 1900-03-01 since 1970-01-01. A sheet believes that 1900 was a leap year.
const FIRST_DAY: i64 = -25_567;
const MARCH_1900: i64 = -25_508;
const DAY_MICROS: i64 = 86_400_000_000;

/// Styles of cells, by their place in `styles.xml`.
const TEXT: u8 = b'1';
const DATE: u8 = b'2';
const DATETIME: u8 = b'3';
const TIME: u8 = b'4';
const GENERAL: u8 = b'0';

/// How rows are written.
#[derive(Clone, Debug)]
pub struct ExcelStyle {
    /// `sheet_name`
    pub sheet: Box<str>,
    /// `date_format`, `datetime_format` and `time_format` as they are shown in cells.
    pub formats: [Box<str>; 3],
    /// Between the fields of a nested row.
    pub separator: Box<[u8]>,
    /// Dates, times and datetimes within nested values.
    pub patterns: Patterns,
}

impl ExcelStyle {
    /// Java's patterns as Excel's; the default where there is none.
    pub fn formats(given: [Option<String>; 3]) -> [Box<str>; 3] {
        let defaults = ["yyyy-MM-dd", "yyyy-MM-dd HH:mm:ss", "HH:mm:ss"];
        let [date, datetime, time] = given;
        let mut formats = [date, datetime, time].into_iter().zip(defaults).map(|(given, default)| {
            let java = given.unwrap_or_else(|| default.to_owned());
            // Milliseconds are the finest that Excel shows.
            let java = java.split_once(".SSS").map_or(java.clone(), |(whole, _)| format!("{whole}.000"));
            java.replace("MM", "mm").replace("HH", "hh").replace('\'', "\"").into_boxed_str()
        });
        std::array::from_fn(|_| formats.next().unwrap_or_default())
    }
}

/// Why a text cannot name a sheet.
pub fn sheet_name_problem(name: &str) -> Option<String> {
    if name.is_empty() || name.encode_utf16().count() > SHEET_NAME_MAX {
        return Some(format!("the name of a sheet has 1 to {SHEET_NAME_MAX} characters"));
    }
    let barred = |symbol: char| matches!(symbol, '[' | ']' | ':' | '*' | '?' | '/' | '\\') || symbol.is_control();
    if name.contains(barred) || name.starts_with('\'') || name.ends_with('\'') {
        return Some("the name of a sheet has none of []:*?/\\ and no ' at either end".into());
    }
    None
}

/// Writes xlsx.
pub struct ExcelEncoder {
    style: ExcelStyle,
    columns: Arc<[Column]>,
    /// `A`, `B`, ...: the names of the sheet's columns.
    letters: Vec<Box<str>>,
    flattener: Flattener,
    scribe: Scribe,
    zip: ZipStream,
    sheet: Vec<u8>,
    value: Vec<u8>,
    rows: u64,
}

impl ExcelEncoder {
    /// Begins a file.
    pub fn new(style: ExcelStyle, columns: Arc<[Column]>) -> Self {
        let flattener = Flattener::new(&columns, &style.separator);
        let scribe = Scribe::new(style.patterns, b' ');
        let letters = (0..columns.len()).map(letters).collect();
        Self {
            style,
            columns,
            letters,
            flattener,
            scribe,
            zip: ZipStream::default(),
            sheet: Vec::new(),
            value: Vec::new(),
            rows: 0,
        }
    }

    /// Everything in front of the first row, and the row of names.
    fn start(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        if self.rows > 0 {
            return Ok(());
        }
        self.zip.add("[Content_Types].xml", CONTENT_TYPES.as_bytes(), out)?;
        self.zip.add("_rels/.rels", RELATIONS.as_bytes(), out)?;
        let mut sheet = Vec::new();
        escape(self.style.sheet.as_bytes(), &mut sheet);
        self.zip.add("xl/workbook.xml", &[WORKBOOK.0.as_bytes(), &sheet, WORKBOOK.1.as_bytes()].concat(), out)?;
        self.zip.add("xl/_rels/workbook.xml.rels", WORKBOOK_RELATIONS.as_bytes(), out)?;
        self.zip.add("xl/styles.xml", &styles(&self.style.formats), out)?;
        self.zip.begin("xl/worksheets/sheet1.xml", out);
        self.sheet.extend_from_slice(SHEET.0.as_bytes());
        self.rows = 1;
        self.sheet.extend_from_slice(b"<row r=\"1\">");
        for index in 0..self.columns.len() {
            let column = self.columns[index].name.clone();
            self.write_text(index, column.as_bytes(), GENERAL)?;
        }
        self.sheet.extend_from_slice(b"</row>");
        Ok(())
    }

    fn open_cell(&mut self, column: usize, style: u8, kind: &str) {
        let sheet = &mut self.sheet;
        sheet.extend_from_slice(b"<c r=\"");
        sheet.extend_from_slice(self.letters[column].as_bytes());
        sheet.extend_from_slice(itoa::Buffer::new().format(self.rows).as_bytes());
        sheet.extend_from_slice(&[b'"', b' ', b's', b'=', b'"', style, b'"']);
        sheet.extend_from_slice(kind.as_bytes());
        sheet.push(b'>');
    }

    fn write_text(&mut self, column: usize, text: &[u8], style: u8) -> Result<(), TaskError> {
        let units = || String::from_utf8_lossy(text).encode_utf16().count();
        if text.len() > CELL_TEXT_MAX && units() > CELL_TEXT_MAX {
            let message = format!(
                "column '{}': a text of {} characters does not fit into a cell, which has {CELL_TEXT_MAX}",
                self.columns[column].name,
                units()
            );
            return Err(TaskError::permanent(message));
        }
        self.open_cell(column, style, " t=\"inlineStr\"");
        self.sheet.extend_from_slice(b"<is><t xml:space=\"preserve\">");
        self.scribe.lost += escape(text, &mut self.sheet);
        self.sheet.extend_from_slice(b"</t></is></c>");
        Ok(())
    }

    fn write_number(&mut self, column: usize, digits: &[u8], style: u8, kind: &str) {
        self.open_cell(column, style, kind);
        self.sheet.extend_from_slice(b"<v>");
        self.sheet.extend_from_slice(digits);
        self.sheet.extend_from_slice(b"</v></c>");
    }

    /// A moment as days since the start of 1900; before that as text, for the sheet has no such days.
    fn write_moment(&mut self, column: usize, micros: i64, style: u8, text: &[u8]) -> Result<(), TaskError> {
        let (day, rest) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
        if day < FIRST_DAY {
            return self.write_text(column, text, TEXT);
        }
        let day = day + EPOCH_DAYS - i64::from(day < MARCH_1900);
        let mut buffer = ryu::Buffer::new();
        if rest == 0 {
            let mut buffer = itoa::Buffer::new();
            self.write_number(column, buffer.format(day).as_bytes(), style, "");
        } else {
            let digits = buffer.format_finite(day as f64 + rest as f64 / DAY_MICROS as f64);
            self.write_number(column, digits.as_bytes(), style, "");
        }
        Ok(())
    }

    fn write_cell(&mut self, column: usize, cells: &Cells<'_>, row: usize) -> Result<(), TaskError> {
        if cells.is_null(row) {
            return Ok(());
        }
        let mut value = std::mem::take(&mut self.value);
        value.clear();
        if let Cells::Bytes(bytes) = cells {
            write_byte_list(bytes.value(row), &mut value);
        } else {
            self.flattener.write(column, cells, row, &mut value, &mut self.scribe);
        }
        match cells {
            Cells::Boolean(booleans) => {
                self.write_number(column, if booleans.value(row) { b"1" } else { b"0" }, GENERAL, " t=\"b\"");
            }
            Cells::TinyInt(_) | Cells::SmallInt(_) | Cells::Int(_) => self.write_number(column, &value, GENERAL, ""),
            Cells::BigInt(numbers) => {
                self.scribe.lost += u64::from(numbers.value(row).unsigned_abs() > EXACT_MAX);
                self.write_number(column, &value, GENERAL, "");
            }
            Cells::Decimal(numbers, _) => {
                self.scribe.lost += u64::from(numbers.value(row).unsigned_abs() >= u128::from(EXACT_DIGITS));
                self.write_number(column, &value, GENERAL, "");
            }
            Cells::Float(numbers) if numbers.value(row).is_finite() => self.write_number(column, &value, GENERAL, ""),
            Cells::Double(numbers) if numbers.value(row).is_finite() => self.write_number(column, &value, GENERAL, ""),
            Cells::Date(days) => self.write_moment(column, i64::from(days.value(row)) * DAY_MICROS, DATE, &value)?,
            Cells::Timestamp(micros) => self.write_moment(column, micros.value(row), DATETIME, &value)?,
            Cells::Time(nanos) => {
                let part = nanos.value(row) as f64 / (DAY_MICROS as f64 * 1000.0);
                self.write_number(column, ryu::Buffer::new().format_finite(part).as_bytes(), TIME, "");
            }
            _ => self.write_text(column, &value, TEXT)?,
        }
        self.value = value;
        Ok(())
    }
}

impl Encoder for ExcelEncoder {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        self.start(out)?;
        let columns = Arc::clone(&self.columns);
        let arrays = columns.iter().zip(rows.columns());
        let cells =
            arrays.map(|(column, array)| Cells::new(&column.data_type, array)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            if self.rows == SHEET_ROWS_MAX {
                let message = format!("a sheet has {SHEET_ROWS_MAX} rows: make batch_size smaller");
                return Err(TaskError::permanent(message));
            }
            self.rows += 1;
            self.sheet.extend_from_slice(b"<row r=\"");
            self.sheet.extend_from_slice(itoa::Buffer::new().format(self.rows).as_bytes());
            self.sheet.extend_from_slice(b"\">");
            for (column, cells) in cells.iter().enumerate() {
                self.write_cell(column, cells, row)?;
            }
            self.sheet.extend_from_slice(b"</row>");
        }
        self.zip.write(&self.sheet, out)?;
        self.sheet.clear();
        Ok(std::mem::take(&mut self.scribe.lost))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.start(out)?;
        self.sheet.extend_from_slice(SHEET.1.as_bytes());
        self.zip.write(&self.sheet, out)?;
        self.zip.end(out)?;
        self.zip.finish(out)
    }
}

/// The name of a sheet's column: `A` to `Z`, `AA`, ...
fn letters(mut column: usize) -> Box<str> {
    let mut name = Vec::new();
    loop {
        name.push(b'A' + (column % 26) as u8);
        if column < 26 {
            break;
        }
        column = column / 26 - 1;
    }
    name.reverse();
    name.into_iter().map(char::from).collect()
}

/// Bytes as the reference engine shows them: `[1, -2]`.
fn write_byte_list(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(itoa::Buffer::new().format(*byte as i8).as_bytes());
    }
    out.push(b']');
}

/// Appends text with what xml wants escaped; control characters, which it does not have, as Excel writes them:
/// `_x0001_`. Answers how many of them there were.
fn escape(text: &[u8], out: &mut Vec<u8>) -> u64 {
    let mut lost = 0;
    for byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\r' => out.extend_from_slice(b"&#13;"),
            b'\n' | b'\t' => out.push(*byte),
            control if *control < b' ' => {
                lost += 1;
                out.extend_from_slice(format!("_x{control:04X}_").as_bytes());
            }
            _ => out.push(*byte),
        }
    }
    lost
}

const CONTENT_TYPES: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n",
    "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">",
    "<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>",
    "<Default Extension=\"xml\" ContentType=\"application/xml\"/>",
    "<Override PartName=\"/xl/workbook.xml\" ContentType=",
    "\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>",
    "<Override PartName=\"/xl/styles.xml\" ContentType=",
    "\"application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml\"/>",
    "<Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=",
    "\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/></Types>",
);

const RELATIONS: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n",
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" ",
    "Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" ",
    "Target=\"xl/workbook.xml\"/></Relationships>",
);

const WORKBOOK: (&str, &str) = (
    concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n",
        "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" ",
        "xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"",
    ),
    "\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>",
);

const WORKBOOK_RELATIONS: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n",
    "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" ",
    "Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" ",
    "Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" ",
    "Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" Target=\"styles.xml\"/>",
    "</Relationships>",
);

const SHEET: (&str, &str) = (
    concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n",
        "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>",
    ),
    "</sheetData></worksheet>",
);

/// Formats 164 to 166 are the first that a file may define; 49 is text.
fn styles(formats: &[Box<str>; 3]) -> Vec<u8> {
    let mut out = concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n",
        "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><numFmts count=\"3\">",
    )
    .as_bytes()
    .to_vec();
    for (number, format) in (164..).zip(formats) {
        out.extend_from_slice(format!("<numFmt numFmtId=\"{number}\" formatCode=\"").as_bytes());
        escape(format.as_bytes(), &mut out);
        out.extend_from_slice(b"\"/>");
    }
    out.extend_from_slice(
        concat!(
            "</numFmts><fonts count=\"1\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font></fonts>",
            "<fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill>",
            "<fill><patternFill patternType=\"gray125\"/></fill></fills>",
            "<borders count=\"1\"><border><left/><right/><top/><bottom/><diagonal/></border></borders>",
            "<cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs>",
            "<cellXfs count=\"5\">",
        )
        .as_bytes(),
    );
    for number in [0, 49, 164, 165, 166] {
        let style = format!(
            "<xf numFmtId=\"{number}\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>"
        );
        out.extend_from_slice(style.as_bytes());
    }
    out.extend_from_slice(b"</cellXfs></styleSheet>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_by_letters() {
        for (column, name) in [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")] {
            assert_eq!(letters(column).as_ref(), name);
        }
    }

    #[test]
    fn patterns_become_formats_of_cells() {
        let given = [None, Some("yyyy/MM/dd'T'HH:mm:ss.SSSSSS".to_owned()), Some("HH:mm:ss".to_owned())];
        let formats = ExcelStyle::formats(given);
        assert_eq!(formats.map(String::from), ["yyyy-mm-dd", "yyyy/mm/dd\"T\"hh:mm:ss.000", "hh:mm:ss"]);
    }

    #[test]
    fn names_of_sheets_are_checked() {
        assert_eq!(sheet_name_problem("Test 1"), None);
        for name in ["", "a/b", "a[", "'a", &"x".repeat(32)] {
            assert!(sheet_name_problem(name).is_some(), "{name}");
        }
    }
}
