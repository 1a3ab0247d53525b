//! Reading one file in each of the formats.

pub mod convert;
pub mod delimited;
pub mod json;
pub mod lines;
pub mod parquet;
mod scan;
pub mod tokens;
pub mod values;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use egret_runtime::plugin::TaskError;

/// How far a file was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Bytes behind the last row that was given out; rows, where the format has no place for each row.
    pub offset: u64,
    /// Lines before that place, for messages.
    pub line: u64,
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
