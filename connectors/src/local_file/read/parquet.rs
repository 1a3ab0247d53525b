//! parquet: the decoder asks for ranges, which are read over the ring; it never blocks the executor.
//!
//! A row group's wanted columns are read at once, so memory follows the file's row groups. A position is a number of
//! rows.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use bytes::Bytes;
use egret_runtime::file::{ReadFile, failure};
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{BATCH_BYTES, BATCH_ROWS, Column};
use egret_runtime::task::TaskProbe;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, ParquetMetaDataReader, RowGroupMetaData,
};

use super::{FileReader, Place, convert};

/// Length of the metadata and the magic word at the end of a file.
const FOOTER_BYTES: usize = 8;

fn broken(path: &Path, error: &ParquetError) -> TaskError {
    TaskError::permanent(format!("reading {} as parquet: {error}", path.display()))
}

/// The columns that a file's header tells of. Blocks: for plan time.
///
/// # Errors
/// When the file is not parquet, or has a column of a type that nothing here can hold.
pub fn columns_of(path: &Path) -> Result<Vec<Column>, TaskError> {
    let file = File::open(path).map_err(|error| failure("opening", path, &error))?;
    let metadata =
        guarded(|| ParquetMetaDataReader::new().parse_and_finish(&file)).map_err(|error| broken(path, &error))?;
    let metadata = reader_metadata(Arc::new(metadata)).map_err(|error| broken(path, &error))?;
    metadata
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let data_type = convert::type_of(field.data_type()).ok_or_else(|| {
                TaskError::permanent(format!(
                    "{}: column '{}' has the type {}, which has no counterpart here: leave it out with read_columns \
                     or give a schema without it",
                    path.display(),
                    field.name(),
                    field.data_type()
                ))
            })?;
            Ok(Column::new(field.name(), data_type))
        })
        .collect()
}

/// Reads INT96 times as microseconds, in which every year fits; nanoseconds would overflow outside 1677 to 2262.
fn reader_metadata(metadata: Arc<ParquetMetaData>) -> Result<ArrowReaderMetadata, ParquetError> {
    let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), ArrowReaderOptions::new())?;
    let descriptor = metadata.file_metadata().schema_descr();
    if !descriptor.columns().iter().any(|column| column.physical_type() == PhysicalType::INT96) {
        return Ok(plain);
    }
    let old = |root: usize| {
        let leaves = (0..descriptor.num_columns()).filter(|leaf| descriptor.get_column_root_idx(*leaf) == root);
        leaves.map(|leaf| descriptor.column(leaf)).any(|column| column.physical_type() == PhysicalType::INT96)
    };
    let fields: Vec<ArrowField> = plain
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(root, field)| match field.data_type() {
            data_type if old(root) => field.as_ref().clone().with_data_type(micros(data_type)),
            _ => field.as_ref().clone(),
        })
        .collect();
    let schema = Arc::new(ArrowSchema::new_with_metadata(fields, plain.schema().metadata().clone()));
    ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new().with_schema(schema))
}

fn micros(found: &ArrowType) -> ArrowType {
    let inner = |field: &Arc<ArrowField>| Arc::new(field.as_ref().clone().with_data_type(micros(field.data_type())));
    match found {
        ArrowType::Timestamp(TimeUnit::Nanosecond, zone) => ArrowType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        ArrowType::List(item) => ArrowType::List(inner(item)),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(inner).collect()),
        ArrowType::Map(entries, sorted) => ArrowType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

/// Rows of a batch: fewer where rows are large.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let row_bytes = |group: &RowGroupMetaData| group.total_byte_size().max(0) / group.num_rows().max(1);
    let largest = metadata.row_groups().iter().map(row_bytes).max().unwrap_or_default();
    (BATCH_BYTES / usize::try_from(largest).unwrap_or(usize::MAX).max(1)).clamp(1, BATCH_ROWS)
}

fn guarded<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    super::guarded(decode).map_err(ParquetError::General).and_then(|decoded| decoded)
}

/// Checks the end of a file: its metadata must lie within it. The decoder takes that for granted.
fn check_footer(footer: &[u8], file_bytes: u64) -> Result<(), ParquetError> {
    let bytes = match footer {
        [b0, b1, b2, b3, b'P', b'A', b'R', b'1'] => u32::from_le_bytes([*b0, *b1, *b2, *b3]),
        _ => return Err(ParquetError::General("the file does not end with PAR1: it is cut off, or no parquet".into())),
    };
    if u64::from(bytes) + FOOTER_BYTES as u64 > file_bytes {
        return Err(ParquetError::General(format!("its metadata would be {bytes} bytes, more than there are")));
    }
    Ok(())
}

enum Stage {
    /// The last bytes are still to be checked.
    Footer,
    Metadata(Box<ParquetMetaDataPushDecoder>),
    Rows(Box<ParquetPushDecoder>),
    Ended,
}

/// Reads one parquet file.
pub struct ParquetReader {
    file: ReadFile,
    columns: Arc<[Column]>,
    schema: SchemaRef,
    rows: u64,
    stage: Stage,
    /// Ranges that the decoder waits for, and those of them that were read.
    wanted: Vec<Range<u64>>,
    found: Vec<Bytes>,
    probe: Rc<TaskProbe>,
}

impl ParquetReader {
    /// Reads on from a row. `columns` are those wanted, `schema` is theirs.
    pub fn new(
        file: ReadFile,
        columns: Arc<[Column]>,
        schema: SchemaRef,
        place: Place,
        probe: Rc<TaskProbe>,
    ) -> Result<Self, TaskError> {
        if file.len() < FOOTER_BYTES as u64 {
            let error = ParquetError::General("the file is too short".into());
            return Err(broken(file.path(), &error));
        }
        let footer = Range { start: file.len() - FOOTER_BYTES as u64, end: file.len() };
        let wanted = Vec::from([footer]);
        Ok(Self { file, columns, schema, rows: place.offset, stage: Stage::Footer, wanted, found: Vec::new(), probe })
    }

    fn metadata_stage(&self, footer: &[u8]) -> Result<Stage, ParquetError> {
        check_footer(footer, self.file.len())?;
        let decoder = ParquetMetaDataPushDecoder::try_new(self.file.len())?;
        Ok(Stage::Metadata(Box::new(decoder.with_page_index_policy(PageIndexPolicy::Skip))))
    }

    fn broken(&self, error: &ParquetError) -> TaskError {
        broken(self.file.path(), error)
    }

    /// Reads what the decoder waits for and hands it over. A dropped future loses at most the range under way.
    async fn feed(&mut self) -> Result<(), TaskError> {
        while let Some(range) = self.wanted.get(self.found.len()) {
            let length = usize::try_from(range.end - range.start)
                .map_err(|_| TaskError::permanent(format!("{}: a range is too large", self.file.path().display())))?;
            let bytes = self.file.read_at(range.start, length).await?;
            self.found.push(bytes);
        }
        let (ranges, bytes) = (std::mem::take(&mut self.wanted), std::mem::take(&mut self.found));
        if ranges.is_empty() {
            return Ok(());
        }
        let pushed = match &mut self.stage {
            Stage::Footer => {
                let footer = bytes.first().map_or(&[][..], |bytes| bytes.as_ref());
                self.stage = self.metadata_stage(footer).map_err(|error| self.broken(&error))?;
                return Ok(());
            }
            Stage::Metadata(decoder) => decoder.push_ranges(ranges, bytes),
            Stage::Rows(decoder) => decoder.push_ranges(ranges, bytes),
            Stage::Ended => Ok(()),
        };
        pushed.map_err(|error| self.broken(&error))
    }

    fn rows_stage(&self, metadata: ParquetMetaData) -> Result<Stage, ParquetError> {
        let metadata = reader_metadata(Arc::new(metadata))?;
        let roots: Vec<usize> = (metadata.schema().fields().iter().enumerate())
            .filter(|(_, field)| self.columns.iter().any(|column| column.name.as_ref() == field.name()))
            .map(|(root, _)| root)
            .collect();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let rows = batch_rows(metadata.metadata());
        let builder = ParquetPushDecoderBuilder::new_with_metadata(metadata)
            .with_batch_size(rows)
            .with_projection(mask)
            .with_offset(usize::try_from(self.rows).unwrap_or(usize::MAX));
        Ok(Stage::Rows(Box::new(builder.build()?)))
    }

    fn shape(&self, found: &RecordBatch) -> Result<RecordBatch, TaskError> {
        let mut lost = 0;
        let columns = self
            .columns
            .iter()
            .map(|column| match found.column_by_name(&column.name) {
                // Files of one folder may differ: a column that one of them lacks is null in its rows.
                None => Ok(new_null_array(&column.data_type.arrow(), found.num_rows())),
                Some(values) => convert::column(values, &column.data_type, &mut lost).map_err(|why| {
                    let path = self.file.path().display();
                    let message = format!("{path}: rows from {}: column '{}': {why}", self.rows + 1, column.name);
                    TaskError::permanent(message)
                }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.probe.warn(lost);
        let options = RecordBatchOptions::new().with_row_count(Some(found.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

#[async_trait(?Send)]
impl FileReader for ParquetReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        loop {
            self.feed().await?;
            match &mut self.stage {
                Stage::Ended => return Ok(None),
                Stage::Footer => unreachable!("the footer is wanted from the start"),
                Stage::Metadata(decoder) => match guarded(|| decoder.try_decode()) {
                    Err(error) => return Err(self.broken(&error)),
                    Ok(DecodeResult::NeedsData(ranges)) => self.wanted = ranges,
                    Ok(DecodeResult::Data(metadata)) => {
                        let stage = guarded(|| self.rows_stage(metadata));
                        self.stage = stage.map_err(|error| self.broken(&error))?;
                    }
                    Ok(DecodeResult::Finished) => self.stage = Stage::Ended,
                },
                Stage::Rows(decoder) => match guarded(|| decoder.try_decode()) {
                    Err(error) => return Err(self.broken(&error)),
                    Ok(DecodeResult::NeedsData(ranges)) => self.wanted = ranges,
                    Ok(DecodeResult::Data(found)) => {
                        let batch = self.shape(&found)?;
                        self.rows += batch.num_rows() as u64;
                        return Ok(Some(batch));
                    }
                    Ok(DecodeResult::Finished) => self.stage = Stage::Ended,
                },
            }
        }
    }

    fn place(&self) -> Place {
        Place { offset: self.rows, line: self.rows, entry: 0 }
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.file.close().await
    }
}
