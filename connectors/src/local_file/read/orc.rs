//! orc: a stripe at a time is read over the ring and decoded from memory, so the library never waits for a disk.
//!
//! Memory follows the file's stripes. A position is a number of rows.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use bytes::{Buf, Bytes};
use egret_runtime::file::{ReadFile, failure};
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{BATCH_ROWS, Column};
use egret_runtime::shard::give_way;
use egret_runtime::task::TaskProbe;
use orc_rust::arrow_reader::{ArrowReader, ArrowReaderBuilder};
use orc_rust::projection::ProjectionMask;
use orc_rust::reader::ChunkReader;
use orc_rust::schema::TimestampPrecision;

use super::{FileReader, Place, convert, guarded, orc_types};

/// Bytes at the end of a file that are read first: its footer is there, if it is not a large one.
const TAIL_BYTES: u64 = 16 << 10;

/// Largest footer, and largest stripe.
const PIECE_BYTES_MAX: u64 = 1 << 30;

fn broken(path: &Path, why: impl std::fmt::Display) -> TaskError {
    TaskError::permanent(format!("reading {} as orc: {why}", path.display()))
}

/// Reads the footer.
fn open<R: ChunkReader>(file: R) -> Result<ArrowReaderBuilder<R>, String> {
    orc_types::check(&file).map_err(|error| error.to_string())?;
    ArrowReaderBuilder::try_new(file).map_err(|error| error.to_string())
}

/// The columns that a file's footer tells of. Blocks: for plan time.
///
/// # Errors
/// When the file is not orc, or has a column of a type that nothing here can hold.
pub fn columns_of(path: &Path) -> Result<Vec<Column>, TaskError> {
    let failed = |error: io::Error| failure("opening", path, &error);
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let builder = guarded(|| open(OnDisk { file, length }));
    let builder = builder.map_err(|why| broken(path, why))?.map_err(|error| broken(path, error))?;
    let schema = guarded(|| builder.schema()).map_err(|why| broken(path, why))?;
    let fields = schema.fields().iter();
    fields
        .map(|field| {
            let data_type = convert::type_of(field.data_type()).ok_or_else(|| {
                let (name, found) = (field.name(), field.data_type());
                broken(path, format_args!("column '{name}' has the type {found}, which has no counterpart here"))
            })?;
            Ok(Column::new(field.name(), data_type))
        })
        .collect()
}

/// A file that is read where it lies.
struct OnDisk {
    file: File,
    length: u64,
}

impl ChunkReader for OnDisk {
    type T = bytes::buf::Reader<Bytes>;

    fn len(&self) -> u64 {
        self.length
    }

    fn get_read(&self, offset: u64) -> io::Result<Self::T> {
        self.get_bytes(offset, self.length.saturating_sub(offset)).map(Buf::reader)
    }

    fn get_bytes(&self, offset: u64, length: u64) -> io::Result<Bytes> {
        within(self.length, offset, length)?;
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes.into())
    }
}

/// Checks a range before memory is taken for it: it may come from a broken file.
fn within(file: u64, offset: u64, length: u64) -> io::Result<()> {
    if length > PIECE_BYTES_MAX || offset.checked_add(length).is_none_or(|end| end > file) {
        return Err(io::Error::other("it points beyond its end, or to more than 1 GiB at once"));
    }
    Ok(())
}

/// What of a file is in memory, and what was asked for and is not.
#[derive(Default)]
struct Pieces {
    held: Vec<(u64, Bytes)>,
    missing: Option<(u64, u64)>,
}

/// The file as the decoder sees it.
#[derive(Clone)]
struct InMemory {
    pieces: Arc<Mutex<Pieces>>,
    length: u64,
}

impl InMemory {
    fn with<R>(&self, use_them: impl FnOnce(&mut Pieces) -> R) -> R {
        use_them(&mut self.pieces.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ChunkReader for InMemory {
    type T = bytes::buf::Reader<Bytes>;

    fn len(&self) -> u64 {
        self.length
    }

    fn get_read(&self, offset: u64) -> io::Result<Self::T> {
        self.get_bytes(offset, self.length.saturating_sub(offset)).map(Buf::reader)
    }

    fn get_bytes(&self, offset: u64, length: u64) -> io::Result<Bytes> {
        within(self.length, offset, length)?;
        self.with(|pieces| {
            for (start, bytes) in &pieces.held {
                if let Some(skip) = offset.checked_sub(*start)
                    && skip + length <= bytes.len() as u64
                {
                    return Ok(bytes.slice(skip as usize..(skip + length) as usize));
                }
            }
            pieces.missing = Some((offset, length));
            Err(io::Error::other("it points to what no stripe holds"))
        })
    }
}

/// A stripe of the file.
#[derive(Clone, Copy, Debug)]
struct Stripe {
    offset: u64,
    bytes: u64,
    rows: u64,
}

type Decoder = ArrowReader<InMemory>;

/// Reads one orc file.
pub struct OrcReader {
    file: ReadFile,
    memory: InMemory,
    columns: Arc<[Column]>,
    schema: SchemaRef,
    /// The stripes that are still to be decoded, the next one last; none before the footer is read.
    stripes: Option<Vec<Stripe>>,
    decoder: Option<Box<Decoder>>,
    /// Rows of the current stripe that the decoder still holds.
    left: u64,
    /// Rows to be passed over, because they were read before.
    skip: u64,
    rows: u64,
    probe: Rc<TaskProbe>,
}

impl OrcReader {
    /// Reads on from a row. `columns` are those wanted, `schema` is theirs.
    pub fn new(file: ReadFile, columns: Arc<[Column]>, schema: SchemaRef, place: Place, probe: Rc<TaskProbe>) -> Self {
        let memory = InMemory { pieces: Arc::default(), length: file.len() };
        let (skip, rows) = (place.offset, place.offset);
        Self { file, memory, columns, schema, stripes: None, decoder: None, left: 0, skip, rows, probe }
    }

    fn broken(&self, why: impl std::fmt::Display) -> TaskError {
        broken(self.file.path(), why)
    }

    async fn read(&self, offset: u64, length: u64) -> Result<(), TaskError> {
        let length = usize::try_from(length).map_err(|_| self.broken("a piece is too large"))?;
        let bytes = self.file.read_at(offset, length).await?;
        self.memory.with(|pieces| pieces.held.push((offset, bytes)));
        Ok(())
    }

    /// Reads the footer: what the decoder asks for, until it has all.
    async fn footer(&mut self) -> Result<(), TaskError> {
        let tail = self.file.len().min(TAIL_BYTES);
        self.memory.with(|pieces| pieces.held.clear());
        self.read(self.file.len() - tail, tail).await?;
        let builder = loop {
            let memory = self.memory.clone();
            match guarded(|| open(memory)).map_err(|why| self.broken(why))? {
                Ok(builder) => break builder,
                Err(error) => match self.memory.with(|pieces| pieces.missing.take()) {
                    Some((offset, length)) => self.read(offset, length).await?,
                    None => return Err(self.broken(error)),
                },
            }
        };
        let (stripes, before, decoder) = guarded(|| self.decoder(builder)).map_err(|why| self.broken(why))?;
        self.memory.with(|pieces| pieces.held.clear());
        self.skip -= before;
        (self.stripes, self.decoder) = (Some(stripes), Some(decoder));
        Ok(())
    }

    /// The stripes that are wanted, the first one last, the rows before them, and a decoder of them.
    fn decoder(&self, builder: ArrowReaderBuilder<InMemory>) -> (Vec<Stripe>, u64, Box<Decoder>) {
        let metadata = builder.file_metadata();
        let all = metadata.stripe_metadatas().iter().map(|stripe| Stripe {
            offset: stripe.offset(),
            bytes: stripe.index_length().saturating_add(stripe.data_length()).saturating_add(stripe.footer_length()),
            rows: stripe.number_of_rows(),
        });
        let mut stripes: Vec<Stripe> = all.collect();
        let (mut before, mut first) = (0u64, 0);
        while first < stripes.len() && before.saturating_add(stripes[first].rows) <= self.skip {
            before += stripes[first].rows;
            first += 1;
        }
        let start = stripes.get(first).map_or(usize::MAX, |stripe| stripe.offset as usize);
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_ref()).collect();
        let projection = ProjectionMask::named_roots(metadata.root_data_type(), &names);
        let builder = builder
            .with_batch_size(BATCH_ROWS)
            .with_projection(projection)
            .with_timestamp_precision(TimestampPrecision::Microsecond)
            .with_file_byte_range(start..usize::MAX);
        stripes.drain(..first);
        stripes.reverse();
        (stripes, before, Box::new(builder.build()))
    }

    /// Brings the next stripe with rows into memory (those without stay: the decoder looks at them too); `false` when
    /// there is none.
    async fn stripe(&mut self) -> Result<bool, TaskError> {
        let Some(stripe) = self.stripes.as_ref().and_then(|stripes| stripes.last()).copied() else { return Ok(false) };
        within(self.file.len(), stripe.offset, stripe.bytes).map_err(|error| self.broken(error))?;
        self.read(stripe.offset, stripe.bytes).await?;
        if let Some(stripes) = &mut self.stripes {
            stripes.pop();
        }
        self.left = stripe.rows;
        Ok(true)
    }

    fn shape(&self, found: &RecordBatch) -> Result<RecordBatch, TaskError> {
        let mut lost = 0;
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in self.columns.iter() {
            columns.push(match found.column_by_name(&column.name) {
                None => new_null_array(&column.data_type.arrow(), found.num_rows()),
                Some(values) => convert::column(values, &column.data_type, &mut lost).map_err(|why| {
                    self.broken(format_args!("rows from {}: column '{}': {why}", self.rows + 1, column.name))
                })?,
            });
        }
        self.probe.warn(lost);
        let options = RecordBatchOptions::new().with_row_count(Some(found.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

#[async_trait(?Send)]
impl FileReader for OrcReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        loop {
            if self.decoder.is_none() {
                self.footer().await?;
            }
            if self.left == 0 {
                if !self.stripe().await? {
                    return Ok(None);
                }
                continue;
            }
            let Some(decoder) = &mut self.decoder else { continue };
            let found = match guarded(|| decoder.next()).map_err(|why| self.broken(why))? {
                Some(found) => found.map_err(|error| self.broken(error))?,
                None => return Err(self.broken("it holds fewer rows than it says")),
            };
            let rows = found.num_rows() as u64;
            self.left = self.left.saturating_sub(rows);
            if self.left == 0 {
                self.memory.with(|pieces| pieces.held.clear());
            }
            let skip = self.skip.min(rows);
            self.skip -= skip;
            if skip < rows {
                let batch = self.shape(&found.slice(skip as usize, (rows - skip) as usize))?;
                self.rows += rows - skip;
                return Ok(Some(batch));
            }
            give_way().await;
        }
    }

    fn place(&self) -> Place {
        Place { offset: self.rows, line: self.rows, entry: 0 }
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.file.close().await
    }
}
