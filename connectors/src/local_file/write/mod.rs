//! Writing rows in each of the formats: into memory, from where a file takes the bytes.

pub mod cells;
pub mod delimited;
pub mod json;
pub mod parquet;

use arrow::array::RecordBatch;
use egret_runtime::plugin::TaskError;

/// Turns the rows of one file into bytes. Further formats are further implementations.
pub trait Encoder {
    /// Appends rows; answers how many values lost digits, or will not be read back as they were.
    ///
    /// # Errors
    /// When a row cannot be written in the format.
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError>;

    /// Appends what ends the file.
    ///
    /// # Errors
    /// When the file cannot be ended.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError>;

    /// Bytes that the encoder holds back.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Appends what is held back.
    ///
    /// # Errors
    /// When it cannot be written.
    fn release(&mut self, _out: &mut Vec<u8>) -> Result<(), TaskError> {
        Ok(())
    }
}
