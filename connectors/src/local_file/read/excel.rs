//! excel: xls and xlsx workbooks, told apart by how they begin. One is read whole, and its sheet is read on a thread
//! that may block, for the library knows no other way; `max_workbook_bytes` bounds the file and what it unpacks to.

use std::collections::VecDeque;
use std::future::Future;
use std::io::Cursor;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::Bytes;
use calamine::{Data, DataRef, ExcelDateTime, Reader as _, SheetType, Xls, Xlsx};
use egret_runtime::config::nearest;
use egret_runtime::file::blocking;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{BATCH_BYTES, BATCH_ROWS, Column, text};
use egret_runtime::task::TaskProbe;

use super::super::patterns::Patterns;
use super::archive::inflated_bytes;
use super::bytes::{ByteStream, read_all};
use super::cells::{Cell, CellRules, Rows};
use super::tokens::Separator;
use super::values::ValueRules;
use super::workbook_size::xls_bytes;
use super::{FileReader, Place, guarded};

/// Largest workbook unless `max_workbook_bytes` says otherwise.
pub const WORKBOOK_BYTES_MAX: usize = 256 << 20;

/// How the two kinds of workbooks begin.
const XLSX: &[u8] = b"PK\x03\x04";
const XLS: &[u8] = b"\xd0\xcf\x11\xe0";

/// What the config says about workbooks.
#[derive(Clone, Debug)]
pub struct ExcelFormat {
    /// Name of the sheet; the first one unless given.
    pub sheet: Option<Box<str>>,
    /// Rows to skip at its start.
    pub skip_rows: u64,
    /// The columns that are read, and where each stands.
    pub columns: Vec<(usize, Column)>,
    /// What parts the fields of a row in a cell.
    pub separator: Separator,
    /// Dates and times.
    pub patterns: Patterns,
    /// Largest file, and most bytes that it may unpack to.
    pub bytes_max: usize,
}

/// What a sheet holds, behind the rows that were read before.
struct Sheet {
    batches: VecDeque<RecordBatch>,
    lost: u64,
}

type Decoding = Pin<Box<dyn Future<Output = Result<Result<Sheet, String>, TaskError>>>>;

enum Stage {
    Bytes(Vec<u8>),
    Decoding(Decoding),
    Rows(VecDeque<RecordBatch>),
}

/// Reads one workbook.
pub struct ExcelReader {
    stream: Box<dyn ByteStream>,
    format: Arc<ExcelFormat>,
    schema: SchemaRef,
    about: Box<str>,
    stage: Stage,
    rows: u64,
    probe: Rc<TaskProbe>,
}

impl ExcelReader {
    /// Reads on from a row. `schema` is that of the columns, `about` names the file.
    pub fn new(
        stream: Box<dyn ByteStream>,
        format: Arc<ExcelFormat>,
        schema: SchemaRef,
        about: &str,
        place: Place,
        probe: Rc<TaskProbe>,
    ) -> Self {
        let stage = Stage::Bytes(Vec::new());
        Self { stream, format, schema, about: about.into(), stage, rows: place.offset, probe }
    }

    fn decoding(&self, bytes: Vec<u8>) -> Decoding {
        let (format, schema, done) = (Arc::clone(&self.format), Arc::clone(&self.schema), self.rows);
        let path = PathBuf::from(self.about.as_ref());
        if cfg!(feature = "fuzzing") {
            // No executor, no other threads.
            return Box::pin(async move {
                Ok(guarded(|| sheet(bytes.into(), &format, &schema, done)).and_then(|sheet| sheet))
            });
        }
        Box::pin(async move {
            let decode = move || Ok(guarded(|| sheet(bytes.into(), &format, &schema, done)).and_then(|sheet| sheet));
            blocking("reading", &path, decode).await
        })
    }
}

#[async_trait(?Send)]
impl FileReader for ExcelReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        loop {
            match &mut self.stage {
                Stage::Bytes(bytes) => {
                    let bytes_max = self.format.bytes_max;
                    read_all(self.stream.as_mut(), bytes, bytes_max, "max_workbook_bytes", &self.about).await?;
                    let bytes = std::mem::take(bytes);
                    self.stage = Stage::Decoding(self.decoding(bytes));
                }
                Stage::Decoding(decoding) => {
                    let sheet = decoding.as_mut().await?;
                    let sheet = sheet.map_err(|why| TaskError::permanent(format!("{}: {why}", self.about)))?;
                    self.probe.warn(sheet.lost);
                    self.stage = Stage::Rows(sheet.batches);
                }
                Stage::Rows(batches) => {
                    let rows = batches.pop_front();
                    self.rows += rows.as_ref().map_or(0, |rows| rows.num_rows() as u64);
                    return Ok(rows);
                }
            }
        }
    }

    fn place(&self) -> Place {
        Place { offset: self.rows, line: self.rows, entry: 0 }
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.stream.close().await
    }
}

/// The rows of a workbook's sheet, without the first `done`.
fn sheet(bytes: Bytes, format: &ExcelFormat, schema: &SchemaRef, done: u64) -> Result<Sheet, String> {
    let rules = CellRules {
        values: ValueRules { patterns: format.patterns, ..ValueRules::default() },
        separator: format.separator.clone(),
    };
    let mut rows = SheetRows::new(format, Arc::clone(schema), &rules, done);
    let too_large =
        || format!("the workbook is broken, or unpacks to more than max_workbook_bytes = {}", format.bytes_max);
    if bytes.starts_with(XLSX) {
        inflated_bytes(&bytes, format.bytes_max as u64).ok_or_else(too_large)?;
        read_xlsx(bytes, format, &mut rows)?;
    } else if bytes.starts_with(XLS) {
        xls_bytes(&bytes).filter(|bytes| *bytes <= format.bytes_max as u64).ok_or_else(too_large)?;
        read_xls(bytes, format, &mut rows)?;
    } else {
        return Err("is no excel workbook: it begins neither as xlsx nor as xls files do".into());
    }
    let batches = rows.end()?;
    Ok(Sheet { batches, lost: rules.values.lost() })
}

fn sheet_name(sheets: &[calamine::Sheet], wanted: Option<&str>) -> Result<String, String> {
    let Some(wanted) = wanted else {
        let first = sheets.iter().find(|sheet| sheet.typ == SheetType::WorkSheet).or(sheets.first());
        return first.map(|sheet| sheet.name.clone()).ok_or_else(|| "the workbook has no sheet".into());
    };
    // As in Excel, case does not matter.
    if let Some(sheet) = sheets.iter().find(|sheet| sheet.name.to_lowercase() == wanted.to_lowercase()) {
        return Ok(sheet.name.clone());
    }
    let names = sheets.iter().map(|sheet| sheet.name.as_str());
    let near = nearest(wanted, names.clone()).map(|near| format!(": did you mean '{near}'?"));
    let hint = near.unwrap_or_else(|| format!(": there are {}", names.collect::<Vec<_>>().join(", ")));
    Err(format!("there is no sheet '{wanted}' in the workbook{hint}"))
}

fn read_xlsx(bytes: Bytes, format: &ExcelFormat, rows: &mut SheetRows<'_>) -> Result<(), String> {
    let broken = |error: calamine::XlsxError| format!("the workbook is broken: {error}");
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(broken)?;
    let name = sheet_name(book.sheets_metadata(), format.sheet.as_deref())?;
    let mut cells = book.worksheet_cells_reader(&name).map_err(broken)?;
    while let Some(cell) = cells.next_cell().map_err(broken)? {
        let (row, column) = cell.get_position();
        rows.cell(row, column, Found::of_ref(cell.get_value()))?;
    }
    Ok(())
}

fn read_xls(bytes: Bytes, format: &ExcelFormat, rows: &mut SheetRows<'_>) -> Result<(), String> {
    let broken = |error: calamine::XlsError| format!("the workbook is broken: {error}");
    let mut book = Xls::new(Cursor::new(bytes)).map_err(broken)?;
    let name = sheet_name(book.sheets_metadata(), format.sheet.as_deref())?;
    let range = book.worksheet_range(&name).map_err(broken)?;
    let Some((first_row, first_column)) = range.start() else { return Ok(()) };
    for (row, column, value) in range.used_cells() {
        rows.cell(first_row + row as u32, first_column + column as u32, Found::of(value))?;
    }
    Ok(())
}

/// A cell's value that outlives the library's.
#[derive(Clone, Debug, Default)]
enum Found {
    #[default]
    Empty,
    Text(String),
    Number(f64),
    Boolean(bool),
    Timestamp(i64),
}

impl Found {
    fn of(value: &Data) -> Self {
        match value {
            Data::Int(number) => Self::Number(*number as f64),
            Data::Float(number) => Self::Number(*number),
            Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => Self::Text(text.clone()),
            Data::Bool(value) => Self::Boolean(*value),
            Data::DateTime(time) => Self::of_time(time),
            _ => Self::Empty,
        }
    }

    fn of_ref(value: &DataRef<'_>) -> Self {
        match value {
            DataRef::SharedString(text) => Self::Text((*text).to_owned()),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Self::Text(text.clone()),
            DataRef::Int(number) => Self::Number(*number as f64),
            DataRef::Float(number) => Self::Number(*number),
            DataRef::Bool(value) => Self::Boolean(*value),
            DataRef::DateTime(time) => Self::of_time(time),
            DataRef::Error(_) | DataRef::Empty => Self::Empty,
        }
    }

    fn of_time(time: &ExcelDateTime) -> Self {
        let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
        let Some(days) = text::days_of(i32::from(year), u32::from(month), u32::from(day)) else {
            return Self::Number(time.as_f64());
        };
        let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
        Self::Timestamp(i64::from(days) * (text::DAY_NANOS / 1000) + seconds * 1_000_000 + i64::from(milli) * 1000)
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Empty => Cell::Empty,
            Self::Text(text) => Cell::Text(text),
            Self::Number(number) => Cell::Number(*number),
            Self::Boolean(value) => Cell::Boolean(*value),
            Self::Timestamp(micros) => Cell::Timestamp(*micros),
        }
    }
}

/// Gathers the cells of a row, then the rows. Rows without a value are no rows.
struct SheetRows<'r> {
    format: &'r ExcelFormat,
    rules: &'r CellRules,
    rows: Rows,
    batches: VecDeque<RecordBatch>,
    /// Rows of the sheet that are to be passed over still.
    done: u64,
    row: u32,
    /// The wanted cells of the current row, and whether it has any cell at all.
    cells: Vec<Found>,
    any: bool,
}

impl<'r> SheetRows<'r> {
    fn new(format: &'r ExcelFormat, schema: SchemaRef, rules: &'r CellRules, done: u64) -> Self {
        let columns: Vec<Column> = format.columns.iter().map(|(_, column)| column.clone()).collect();
        let cells = vec![Found::Empty; columns.len()];
        let rows = Rows::new(&columns, schema);
        Self { format, rules, rows, batches: VecDeque::new(), done, row: 0, cells, any: false }
    }

    fn cell(&mut self, row: u32, column: u32, value: Found) -> Result<(), String> {
        if u64::from(row) < self.format.skip_rows || matches!(value, Found::Empty) {
            return Ok(());
        }
        if row != self.row {
            self.end_row()?;
            self.row = row;
        }
        self.any = true;
        for (cell, _) in self.cells.iter_mut().zip(&self.format.columns).filter(|(_, (at, _))| *at == column as usize) {
            *cell = value.clone();
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), String> {
        if !std::mem::replace(&mut self.any, false) {
            return Ok(());
        }
        let cells: Vec<Found> = self.cells.iter_mut().map(std::mem::take).collect();
        if self.done > 0 {
            self.done -= 1;
            return Ok(());
        }
        let pushed = self.rows.push(|index| cells[index].cell(), self.rules);
        pushed.map_err(|why| format!("row {}: {why}", self.row + 1))?;
        if self.rows.len() == BATCH_ROWS || self.rows.bytes() >= BATCH_BYTES {
            self.batches.push_back(self.rows.finish().map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    fn end(mut self) -> Result<VecDeque<RecordBatch>, String> {
        self.end_row()?;
        if self.rows.len() > 0 {
            self.batches.push_back(self.rows.finish().map_err(|error| error.to_string())?);
        }
        Ok(self.batches)
    }
}
