//! parquet: the decoder asks for ranges, which are read over the ring; it never blocks the executor.
//!
//! A row group's wanted columns are read at once, so memory follows the file's row groups. A position is a number of
//! rows.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
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
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use super::{FileReader, Place, convert, thrift};

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
    let bytes = metadata_bytes(path)?;
    let metadata = guarded(|| parse_metadata(&bytes)).map_err(|error| broken(path, &error))?;
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

/// Reads the metadata at the end of a file. Blocks.
fn metadata_bytes(path: &Path) -> Result<Vec<u8>, TaskError> {
    let failed = |error: io::Error| failure("reading", path, &error);
    let file = File::open(path).map_err(|error| failure("opening", path, &error))?;
    let file_bytes = file.metadata().map_err(failed)?.len();
    let mut footer = [0; FOOTER_BYTES];
    let footer_at = file_bytes.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| too_short(path))?;
    file.read_exact_at(&mut footer, footer_at).map_err(failed)?;
    let range = metadata_range(&footer, file_bytes).map_err(|error| broken(path, &error))?;
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, range.start).map_err(failed)?;
    Ok(bytes)
}

fn parse_metadata(bytes: &[u8]) -> Result<ParquetMetaData, ParquetError> {
    thrift::check_metadata(bytes)?;
    ParquetMetaDataReader::decode_metadata(bytes)
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

fn too_short(path: &Path) -> TaskError {
    broken(path, &ParquetError::General("the file is too short".into()))
}

/// Where the metadata stands that the last bytes of a file tell of.
fn metadata_range(footer: &[u8], file_bytes: u64) -> Result<Range<u64>, ParquetError> {
    let bytes = match footer {
        [b0, b1, b2, b3, b'P', b'A', b'R', b'1'] => u32::from_le_bytes([*b0, *b1, *b2, *b3]),
        _ => return Err(ParquetError::General("the file does not end with PAR1: it is cut off, or no parquet".into())),
    };
    let end = file_bytes.saturating_sub(FOOTER_BYTES as u64);
    let start = end
        .checked_sub(u64::from(bytes))
        .ok_or_else(|| ParquetError::General(format!("its metadata would be {bytes} bytes, more than there are")))?;
    Ok(start..end)
}

enum Stage {
    /// The last bytes are wanted, which tell where the metadata stands.
    Footer,
    Metadata,
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
            return Err(too_short(file.path()));
        }
        let footer = Range { start: file.len() - FOOTER_BYTES as u64, end: file.len() };
        let wanted = Vec::from([footer]);
        Ok(Self { file, columns, schema, rows: place.offset, stage: Stage::Footer, wanted, found: Vec::new(), probe })
    }

    fn broken(&self, error: &ParquetError) -> TaskError {
        broken(self.file.path(), error)
    }

    /// Reads what is wanted and hands it over. A dropped future loses at most the range under way.
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
        guarded(|| self.take(ranges, bytes)).map_err(|error| self.broken(&error))
    }

    /// Goes on with what was read; what is broken ends the file.
    fn take(&mut self, ranges: Vec<Range<u64>>, bytes: Vec<Bytes>) -> Result<(), ParquetError> {
        let first = bytes.first().map_or(&[][..], |bytes| bytes.as_ref());
        self.stage = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Footer => {
                self.wanted.push(metadata_range(first, self.file.len())?);
                Stage::Metadata
            }
            Stage::Metadata => self.rows_stage(parse_metadata(first)?)?,
            Stage::Rows(mut decoder) => {
                // Each is the whole of a column's pages.
                bytes.iter().try_for_each(|bytes| thrift::check_pages(bytes))?;
                decoder.push_ranges(ranges, bytes)?;
                Stage::Rows(decoder)
            }
            Stage::Ended => Stage::Ended,
        };
        Ok(())
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
                // Fed, they become the next stage.
                Stage::Footer | Stage::Metadata => {}
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
