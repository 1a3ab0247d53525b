//! orc: a stripe at a time is read over the ring and decoded from memory, so the library never waits for a disk.
//!
//! Memory follows the file's stripes, and what a file says of itself is not believed before it is checked: the end of
//! the file (`tail`), the chunks of a stripe (`chunks`), the memory that its lengths ask for (`stripe`). The
//! library sees one checked stripe at a time (`decoder`). A position is a number of rows.

mod chunks;
mod decoder;
mod lengths;
mod stripe;
mod tail;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use egret_runtime::file::{ReadFile, failure};
use egret_runtime::plugin::TaskError;
use egret_runtime::row::Column;
use egret_runtime::shard::give_way;
use egret_runtime::task::TaskProbe;
use orc_rust::arrow_reader::ArrowReader;
use orc_rust::proto::StripeInformation;

use super::{FileReader, Place, convert, guarded};
use decoder::StripeFile;
use stripe::Stripe;
use tail::{Found, Tail};

/// Bytes at the end of a file that are read first: its footer is there, if it is not a large one.
const TAIL_BYTES: u64 = 16 << 10;

/// Largest stripe.
const STRIPE_BYTES_MAX: u64 = 1 << 30;

fn broken(path: &Path, why: impl std::fmt::Display) -> TaskError {
    TaskError::permanent(format!("reading {} as orc: {why}", path.display()))
}

/// The columns that a file's footer tells of. Blocks: for plan time.
///
/// # Errors
/// When the file is not orc, or has a column of a type that nothing here can hold.
pub fn columns_of(path: &Path) -> Result<Vec<Column>, TaskError> {
    let tail = tail_on_disk(path).map_err(|error| failure("opening", path, &error))?;
    let tail = tail.map_err(|why| broken(path, why))?;
    let schema = guarded(|| decoder::schema(&tail)).and_then(|schema| schema).map_err(|why| broken(path, why))?;
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

/// Reads the end of a file where it lies.
fn tail_on_disk(path: &Path) -> io::Result<Result<Tail, String>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut wanted = length.min(TAIL_BYTES);
    loop {
        let mut last = vec![0; wanted as usize];
        file.read_exact_at(&mut last, length - wanted)?;
        match Tail::read(&last, length) {
            Ok(Found::Needs(bytes)) => wanted = bytes,
            Ok(Found::Tail(tail)) => return Ok(Ok(tail)),
            Err(why) => return Ok(Err(why)),
        }
    }
}

/// Where a stripe is, and how long: both may come from a broken file.
fn place_of(stripe: &StripeInformation, file: u64) -> Result<(u64, usize), String> {
    let parts = [stripe.index_length(), stripe.data_length(), stripe.footer_length()];
    let bytes = parts.into_iter().fold(0, u64::saturating_add);
    if bytes > STRIPE_BYTES_MAX || stripe.offset().checked_add(bytes).is_none_or(|end| end > file) {
        return Err(format!("it has {bytes} bytes, beyond the end of the file or {STRIPE_BYTES_MAX}"));
    }
    Ok((stripe.offset(), bytes as usize))
}

/// Reads one orc file.
pub struct OrcReader {
    file: ReadFile,
    columns: Arc<[Column]>,
    schema: SchemaRef,
    /// None before it is read.
    tail: Option<Rc<Tail>>,
    /// The stripe to be decoded next.
    next: usize,
    /// Of the stripe before, until all its rows are given out.
    decoder: Option<Box<ArrowReader<StripeFile>>>,
    /// Rows of that stripe that the decoder still holds.
    left: u64,
    /// Rows to be passed over, because they were read before.
    skip: u64,
    rows: u64,
    probe: Rc<TaskProbe>,
}

impl OrcReader {
    /// Reads on from a row. `columns` are those wanted, `schema` is theirs.
    pub fn new(file: ReadFile, columns: Arc<[Column]>, schema: SchemaRef, place: Place, probe: Rc<TaskProbe>) -> Self {
        let (skip, rows) = (place.offset, place.offset);
        Self { file, columns, schema, tail: None, next: 0, decoder: None, left: 0, skip, rows, probe }
    }

    fn broken(&self, why: impl std::fmt::Display) -> TaskError {
        broken(self.file.path(), why)
    }

    /// Reads the end of the file, and passes over the stripes that were read before.
    async fn tail(&mut self) -> Result<Rc<Tail>, TaskError> {
        if let Some(tail) = &self.tail {
            return Ok(Rc::clone(tail));
        }
        let length = self.file.len();
        let mut wanted = length.min(TAIL_BYTES);
        let tail = loop {
            let last = self.file.read_at(length - wanted, wanted as usize).await?;
            match Tail::read(&last, length).map_err(|why| self.broken(why))? {
                Found::Needs(bytes) => wanted = bytes,
                Found::Tail(tail) => break Rc::new(tail),
            }
        };
        for stripe in &tail.stripes {
            if stripe.number_of_rows() > self.skip {
                break;
            }
            self.skip -= stripe.number_of_rows();
            self.next += 1;
        }
        self.tail = Some(Rc::clone(&tail));
        Ok(tail)
    }

    /// Brings the next stripe with rows into memory; `false` when there is none.
    async fn stripe(&mut self) -> Result<bool, TaskError> {
        let tail = self.tail().await?;
        while tail.stripes.get(self.next).is_some_and(|about| about.number_of_rows() == 0) {
            self.next += 1;
        }
        let Some(about) = tail.stripes.get(self.next) else { return Ok(false) };
        let number = self.next + 1;
        let broken = |why: String| self.broken(format_args!("stripe {number}: {why}"));
        let (offset, length) = place_of(about, self.file.len()).map_err(broken)?;
        let bytes = self.file.read_at(offset, length).await?;
        let mut stripe = Stripe::open(&tail, about, &bytes, &self.columns).map_err(broken)?;
        for key in stripe.keys() {
            let mut chunks = stripe.chunks(key);
            while chunks.check_next().map_err(|why| broken(stripe.about(key, why)))? {
                give_way().await;
            }
            if let Some(stream) = chunks.kept() {
                stripe.replace(key, stream);
            }
        }
        let batch_rows = stripe.batch_rows().map_err(broken)?;
        let decoder = guarded(|| decoder::decoder(&tail, stripe, &self.columns, batch_rows));
        let decoder = decoder.and_then(|decoder| decoder).map_err(broken)?;
        (self.decoder, self.left) = (Some(decoder), about.number_of_rows());
        self.next += 1;
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
            let Some(decoder) = &mut self.decoder else {
                if !self.stripe().await? {
                    return Ok(None);
                }
                continue;
            };
            let found = match guarded(|| decoder.next()).map_err(|why| self.broken(why))? {
                Some(found) => found.map_err(|error| self.broken(error))?,
                None => return Err(self.broken("it holds fewer rows than it says")),
            };
            let rows = found.num_rows() as u64;
            self.left = self.left.saturating_sub(rows);
            if self.left == 0 {
                self.decoder = None;
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

#[cfg(test)]
mod tests;
