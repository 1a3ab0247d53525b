//! binary: a file as rows of `data`, `relativePath`, `partIndex`, from which a sink makes the file again.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{Column, DataType};

use super::bytes::ByteStream;
use super::{FileReader, Place};

/// Bytes of a row; every row of a file but the last has so many.
pub const PART_BYTES: usize = 256 << 10;

/// The columns of binary files.
pub fn columns() -> Vec<Column> {
    vec![
        Column::new("data", DataType::Bytes),
        Column::new("relativePath", DataType::String),
        Column::new("partIndex", DataType::BigInt),
    ]
}

/// Reads one file, a row at a time: rows are large, and those of a file stay in order.
pub struct BinaryReader {
    stream: Box<dyn ByteStream>,
    schema: SchemaRef,
    /// Which of the columns are read.
    wanted: Vec<usize>,
    relative: Box<str>,
    buffer: Vec<u8>,
    /// Bytes that were given out.
    offset: u64,
    ended: bool,
}

impl BinaryReader {
    /// Reads on from a place, where `stream` stands already.
    pub fn new(
        stream: Box<dyn ByteStream>,
        schema: SchemaRef,
        wanted: Vec<usize>,
        relative: &str,
        place: Place,
    ) -> Self {
        let offset = place.offset;
        Self { stream, schema, wanted, relative: relative.into(), buffer: Vec::new(), offset, ended: false }
    }
}

#[async_trait(?Send)]
impl FileReader for BinaryReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        while !self.ended && self.buffer.len() < PART_BYTES {
            self.ended = self.stream.fill(&mut self.buffer).await? == 0;
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let bytes = self.buffer.len().min(PART_BYTES);
        let part = i64::try_from(self.offset / PART_BYTES as u64).unwrap_or(i64::MAX);
        let all: [ArrayRef; 3] = [
            Arc::new(BinaryArray::from_vec(vec![&self.buffer[..bytes]])),
            Arc::new(StringArray::from(vec![self.relative.as_ref()])),
            Arc::new(Int64Array::from(vec![part])),
        ];
        let columns = self.wanted.iter().map(|index| Arc::clone(&all[*index])).collect();
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.buffer.drain(..bytes);
        self.offset += bytes as u64;
        Ok(Some(rows))
    }

    fn place(&self) -> Place {
        Place { offset: self.offset, line: self.offset / PART_BYTES as u64, entry: 0 }
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.stream.close().await
    }
}
