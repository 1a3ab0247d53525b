//! Reading one file in each of the formats.

pub mod archive;
pub mod binary;
pub mod bytes;
pub mod cells;
pub mod codec;
pub mod convert;
pub mod delimited;
pub mod excel;
pub mod json;
pub mod json_text;
pub mod lines;
pub mod orc;
pub mod parquet;
mod scan;
mod thrift;
pub mod tokens;
pub mod transcode;
pub mod values;
pub mod workbook_size;
pub mod xml;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use egret_runtime::plugin::TaskError;

/// How far a file was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes (of the text in UTF-8) before the next row; rows, where the format has no such place.
    pub offset: u64,
    /// Lines before that place, for messages.
    pub line: u64,
    /// Which file of an archive, by its number in it.
    pub entry: u32,
}

/// Calls a decoder of others, which a broken file may bring to a panic rather than an error.
///
/// # Errors
/// With a text when it panics.
pub fn guarded<T>(decode: impl FnOnce() -> T) -> Result<T, String> {
    #[cfg(feature = "fuzzing")]
    let is_within = GUARDED.replace(true);
    let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode));
    #[cfg(feature = "fuzzing")]
    GUARDED.set(is_within);
    decoded.map_err(|_| "the file is broken: its decoder gave up".to_owned())
}

#[cfg(feature = "fuzzing")]
thread_local! {
    /// Whether a panic would be caught: the fuzz targets let such ones be.
    pub static GUARDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Reads one file. Further formats are further implementations.
#[async_trait(?Send)]
pub trait FileReader {
    /// The next rows, none at the end of the file. A dropped future loses nothing.
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError>;

    /// The place behind the last row that [`next`](Self::next) gave.
    fn place(&self) -> Place;

    /// Lets go of the file.
    async fn close(self: Box<Self>) -> Result<(), TaskError>;
}
