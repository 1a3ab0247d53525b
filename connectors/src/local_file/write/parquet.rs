//! parquet. A row group gathers in memory, encoded and compressed, until it has enough rows or bytes.
//!
//! The first rows of a file tell which columns get a dictionary: those that repeat their values often enough. For the
//! others a dictionary costs more time than all else, and the file is not smaller for it.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::row::{RowConverter, SortField};
use egret_runtime::plugin::TaskError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use rustc_hash::FxHashSet;

use super::{Encoder, int96};

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 122_880;

/// Bytes of a column's dictionary; the rest of its values in a row group goes without.
const DICTIONARY_BYTES: usize = 256 << 10;

/// Rows that are looked at to see whether a column repeats its values; fewer tell nothing.
const SAMPLE_ROWS: usize = 4096;
const SAMPLE_ROWS_MIN: usize = 512;

/// A column gets a dictionary when a row group has so many rows for each of its values at least.
const ROWS_A_VALUE: usize = 8;

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
    /// Made with the first rows.
    writer: Option<ArrowWriter<Vec<u8>>>,
    schema: SchemaRef,
    /// The schema of what is written, where timestamps are written as INT96.
    int96: Option<SchemaRef>,
    compression: Compression,
}

fn failed(error: ParquetError) -> TaskError {
    TaskError::permanent(format!("encoding parquet: {error}"))
}

impl ParquetEncoder {
    /// Begins a file; `int96` says how timestamps are written.
    pub fn new(schema: SchemaRef, compression: Compression, int96: bool) -> Self {
        let int96 = int96.then(|| int96::schema_of(&schema));
        Self { writer: None, schema, int96, compression }
    }

    /// The writer, made by what the first rows tell.
    fn writer(&mut self, first: Option<&RecordBatch>) -> Result<&mut ArrowWriter<Vec<u8>>, TaskError> {
        if self.writer.is_none() {
            let mut properties = WriterProperties::builder()
                .set_compression(self.compression)
                .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                .set_dictionary_page_size_limit(DICTIONARY_BYTES)
                .set_created_by(concat!("egret ", env!("CARGO_PKG_VERSION")).to_owned());
            let schema = self.int96.as_ref().unwrap_or(&self.schema);
            for (index, field) in schema.fields().iter().enumerate() {
                if let Some(rows) = first
                    && !field.data_type().is_nested()
                    && !repeats(rows.column(index))
                {
                    let path = ColumnPath::new(vec![field.name().clone()]);
                    properties = properties.set_column_dictionary_enabled(path, false);
                }
            }
            // The types of Arrow would contradict INT96.
            let options = ArrowWriterOptions::new()
                .with_properties(properties.build())
                .with_skip_arrow_metadata(self.int96.is_some());
            let writer = ArrowWriter::try_new_with_options(Vec::new(), SchemaRef::clone(schema), options);
            self.writer = Some(writer.map_err(failed)?);
        }
        self.writer.as_mut().ok_or_else(|| TaskError::permanent("the parquet file has ended"))
    }

    fn drain(writer: &mut ArrowWriter<Vec<u8>>, out: &mut Vec<u8>) {
        // The writer counts its bytes by itself, so what it gave may be taken away.
        let written = writer.inner_mut();
        out.append(written);
    }
}

/// Whether a dictionary is worth its while, as far as the first rows tell. Too few of them do not: then it is tried.
fn repeats(column: &ArrayRef) -> bool {
    let sample = column.slice(0, column.len().min(SAMPLE_ROWS));
    let rows = sample.len() - sample.null_count();
    if rows < SAMPLE_ROWS_MIN {
        return true;
    }
    let Ok(converter) = RowConverter::new(vec![SortField::new(sample.data_type().clone())]) else { return true };
    let Ok(values) = converter.convert_columns(&[sample]) else { return true };
    let distinct: FxHashSet<&[u8]> = values.iter().map(|value| value.data()).collect();
    values_in_all(distinct.len(), rows) * ROWS_A_VALUE <= ROW_GROUP_ROWS
}

/// How many values there are in all when so many rows drawn from them have so many different ones: N of which
/// `rows` draws are expected to hit N * (1 - e^(-rows / N)).
fn values_in_all(distinct: usize, rows: usize) -> usize {
    let expected = |all: f64| all * (1.0 - (-(rows as f64) / all).exp());
    let (mut low, mut high) = (distinct as f64, 1e9);
    while high - low > 1.0 {
        let middle = (low + high) / 2.0;
        if expected(middle) < distinct as f64 { low = middle } else { high = middle }
    }
    high as usize
}

impl Encoder for ParquetEncoder {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        // The batch's own schema may name the columns otherwise.
        let mut rows = rows.clone().with_schema(SchemaRef::clone(&self.schema))?;
        if let Some(schema) = &self.int96 {
            rows = int96::rows_of(&rows, schema)?;
        }
        let writer = self.writer(Some(&rows))?;
        writer.write(&rows).map_err(failed)?;
        Self::drain(writer, out);
        Ok(0)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.writer(None)?;
        if let Some(writer) = self.writer.take() {
            let mut end = writer.into_inner().map_err(failed)?;
            if self.int96.is_some() {
                int96::retype(&mut end).map_err(failed)?;
            }
            out.append(&mut end);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn values_that_repeat_get_a_dictionary() {
        let numbers = |count: i64| -> ArrayRef {
            let mut random = fastrand::Rng::with_seed(7);
            Arc::new(Int64Array::from_iter_values((0..4096).map(|_| random.i64(0..count))))
        };
        for (count, expected) in [(10, true), (1000, true), (10_000, true), (1_000_003, false), (i64::MAX, false)] {
            assert_eq!(repeats(&numbers(count)), expected, "{count}");
        }
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..4096).map(|row| format!("text {row}"))));
        assert!(!repeats(&texts));
        assert!(repeats(&texts.slice(0, 100)), "a few rows tell nothing");
        let nulls: ArrayRef = Arc::new(StringArray::new_null(4096));
        assert!(repeats(&nulls));
    }

    #[test]
    fn values_in_all_are_guessed_from_those_that_came_twice() {
        for all in [100, 5_000, 50_000] {
            let expected = all as f64 * (1.0 - (-4096.0 / all as f64).exp());
            let guessed = values_in_all(expected.round() as usize, 4096);
            assert!(guessed.abs_diff(all) <= all / 20, "{all}: {guessed}");
        }
    }
}
