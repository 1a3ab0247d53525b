//! parquet. A row group gathers in memory, encoded and compressed, until it has enough rows or bytes.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use egret_runtime::plugin::TaskError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::Encoder;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 122_880;

/// The compression of a codec's name; `None` for one that the format or its library lacks.
pub fn compression(codec: &str) -> Option<Compression> {
    Some(match codec {
        "none" => Compression::UNCOMPRESSED,
        "snappy" => Compression::SNAPPY,
        "gzip" => Compression::GZIP(GzipLevel::default()),
        "zstd" => Compression::ZSTD(ZstdLevel::default()),
        "lz4" => Compression::LZ4_RAW,
        "brotli" => Compression::BROTLI(BrotliLevel::default()),
        _ => return None,
    })
}

/// Writes parquet.
pub struct ParquetEncoder {
    writer: Option<ArrowWriter<Vec<u8>>>,
    schema: SchemaRef,
}

fn failed(error: ParquetError) -> TaskError {
    TaskError::permanent(format!("encoding parquet: {error}"))
}

impl ParquetEncoder {
    /// Begins a file.
    ///
    /// # Errors
    /// When a column's type cannot be written.
    pub fn new(schema: SchemaRef, compression: Compression) -> Result<Self, TaskError> {
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by(concat!("egret ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).map_err(failed)?;
        Ok(Self { writer: Some(writer), schema })
    }

    fn drain(writer: &mut ArrowWriter<Vec<u8>>, out: &mut Vec<u8>) {
        // The writer counts its bytes by itself, so what it gave may be taken away.
        let written = writer.inner_mut();
        out.append(written);
    }
}

impl Encoder for ParquetEncoder {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        let Some(writer) = &mut self.writer else { return Err(TaskError::permanent("the parquet file has ended")) };
        // The batch's own schema may name the columns otherwise.
        let rows = rows.clone().with_schema(SchemaRef::clone(&self.schema))?;
        writer.write(&rows).map_err(failed)?;
        Self::drain(writer, out);
        Ok(0)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        if let Some(writer) = self.writer.take() {
            out.append(&mut writer.into_inner().map_err(failed)?);
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, ArrowWriter::memory_size)
    }

    fn release(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        if let Some(writer) = &mut self.writer {
            writer.flush().map_err(failed)?;
            Self::drain(writer, out);
        }
        Ok(())
    }
}
