//! orc. A stripe gathers in memory, encoded and compressed chunk by chunk, until it has enough bytes.
//!
//! ```text
//! "ORC" | stripes | footer | postscript | length of the postscript (one byte)
//! stripe: streams of the columns | stripe footer
//! ```
//!
//! Footers are protocol buffers, written by hand: they are few. There are no row indexes and no dictionaries.

mod column;
mod footer;
mod streams;

use std::sync::Arc;

use arrow::array::RecordBatch;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{Column, DataType};

use super::Encoder;
use super::cells::Cells;
use super::lzo::Lzo;
use column::ColumnWriter;

const MAGIC: &[u8] = b"ORC";

/// Bytes of a stripe.
const STRIPE_BYTES: usize = 32 << 20;

/// Plain bytes of a compressed chunk.
const CHUNK_BYTES: usize = 256 << 10;

/// Rows between two looks at the size of a stripe.
const STEP_ROWS: usize = 1024;

/// Compression of the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrcCodec {
    /// `none`
    None,
    /// `zlib`: deflate without a head.
    Zlib,
    /// `snappy`
    Snappy,
    /// `lzo`
    Lzo,
    /// `lz4`
    Lz4,
    /// `zstd`
    Zstd,
}

impl OrcCodec {
    /// By the name of an option; `None` for a codec that orc does not have.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "zlib" => Self::Zlib,
            "snappy" => Self::Snappy,
            "lzo" => Self::Lzo,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Its number in the postscript.
    fn number(self) -> u64 {
        self as u64
    }

    /// Appends a chunk behind its length, compressed where that makes it smaller.
    fn write_chunk(self, plain: &[u8], lzo: &mut Lzo, out: &mut Vec<u8>) -> Result<(), TaskError> {
        let head = out.len();
        out.extend_from_slice(&[0; 3]);
        self.compress(plain, lzo, out)?;
        let mut length = (out.len() - head - 3) << 1;
        if length >> 1 >= plain.len() {
            out.truncate(head + 3);
            out.extend_from_slice(plain);
            length = plain.len() << 1 | 1;
        }
        out[head..head + 3].copy_from_slice(&(length as u32).to_le_bytes()[..3]);
        Ok(())
    }

    /// Appends bytes, compressed.
    fn compress(self, plain: &[u8], lzo: &mut Lzo, out: &mut Vec<u8>) -> Result<(), TaskError> {
        let failed = |error: &dyn std::fmt::Display| TaskError::permanent(format!("compressing orc: {error}"));
        match self {
            Self::None => out.extend_from_slice(plain),
            Self::Zlib => {
                use std::io::Write as _;
                let mut encoder = flate2::write::DeflateEncoder::new(&mut *out, flate2::Compression::default());
                encoder.write_all(plain).and_then(|()| encoder.try_finish()).map_err(|error| failed(&error))?;
            }
            Self::Snappy => {
                let bytes = snap::raw::Encoder::new().compress_vec(plain).map_err(|error| failed(&error))?;
                out.extend_from_slice(&bytes);
            }
            Self::Lzo => lzo.compress(plain, out),
            Self::Lz4 => out.extend_from_slice(&lz4_flex::block::compress(plain)),
            Self::Zstd => {
                let level = zstd::DEFAULT_COMPRESSION_LEVEL;
                let bytes = zstd::bulk::compress(plain, level).map_err(|error| failed(&error))?;
                out.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }
}

/// Where a stripe is.
struct Stripe {
    offset: u64,
    data: u64,
    footer: u64,
    rows: u64,
}

/// A stream of a stripe.
struct Packed {
    column: u64,
    kind: u64,
    bytes: Vec<u8>,
}

/// Writes orc.
pub struct OrcEncoder {
    columns: Arc<[Column]>,
    writers: Vec<ColumnWriter>,
    codec: OrcCodec,
    lzo: Lzo,
    stripe_bytes: usize,
    stripes: Vec<Stripe>,
    /// Streams of the stripe under way, as far as they are compressed: in the order of the writers' own.
    packed: Vec<Packed>,
    /// Bytes that the stripe takes, compressed and not.
    held: usize,
    /// Rows of the stripe under way.
    rows: u64,
    /// Bytes that were handed out.
    written: u64,
}

/// Why orc cannot hold a type.
pub fn unwritable(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Null => Some("orc has no type for null"),
        DataType::Row(fields) if fields.is_empty() => Some("orc has no rows without fields"),
        _ => None,
    }
}

impl OrcEncoder {
    /// Begins a file.
    pub fn new(columns: Arc<[Column]>, codec: OrcCodec) -> Self {
        let writers = columns.iter().map(|column| ColumnWriter::new(&column.data_type)).collect();
        Self {
            columns,
            writers,
            codec,
            lzo: Lzo::default(),
            stripe_bytes: STRIPE_BYTES,
            stripes: Vec::new(),
            packed: Vec::new(),
            held: 0,
            rows: 0,
            written: 0,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.written == 0 {
            out.extend_from_slice(MAGIC);
            self.written = MAGIC.len() as u64;
        }
    }

    /// Appends a footer; answers how many bytes that took.
    fn write_footer(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<u64, TaskError> {
        let start = out.len();
        if self.codec == OrcCodec::None {
            out.extend_from_slice(plain);
        } else {
            for chunk in plain.chunks(CHUNK_BYTES) {
                self.codec.write_chunk(chunk, &mut self.lzo, out)?;
            }
        }
        let written = (out.len() - start) as u64;
        self.written += written;
        Ok(written)
    }

    /// Compresses what makes whole chunks, or with `all` whatever there is.
    fn pack(&mut self, all: bool) -> Result<(), TaskError> {
        let Self { writers, packed, codec, lzo, .. } = self;
        let (mut number, mut at, mut held, mut failed) = (1, 0, 0, None);
        let mut visit = |column: u64, kind: u64, plain: &mut Vec<u8>| {
            if packed.len() == at {
                packed.push(Packed { column, kind, bytes: Vec::new() });
            }
            let stream = &mut packed[at];
            at += 1;
            if *codec == OrcCodec::None {
                if all || plain.len() >= CHUNK_BYTES {
                    stream.bytes.append(plain);
                }
            } else {
                let whole = if all { plain.len() } else { plain.len() / CHUNK_BYTES * CHUNK_BYTES };
                for chunk in plain[..whole].chunks(CHUNK_BYTES) {
                    if let Err(error) = codec.write_chunk(chunk, lzo, &mut stream.bytes) {
                        failed.get_or_insert(error);
                    }
                }
                plain.drain(..whole);
            }
            held += stream.bytes.len() + plain.len();
        };
        for writer in writers.iter_mut() {
            writer.streams(&mut number, &mut visit);
        }
        self.held = held;
        failed.map_or(Ok(()), Err)
    }

    fn end_stripe(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        if self.rows == 0 {
            return Ok(());
        }
        self.writers.iter_mut().for_each(ColumnWriter::flush);
        self.pack(true)?;
        let offset = self.written;
        let mut lengths = Vec::with_capacity(self.packed.len());
        for stream in self.packed.drain(..) {
            lengths.push((stream.column, stream.kind, stream.bytes.len() as u64));
            self.written += stream.bytes.len() as u64;
            out.extend_from_slice(&stream.bytes);
        }
        let data = self.written - offset;
        let columns = 1 + self.writers.iter().map(ColumnWriter::columns).sum::<u64>();
        let footer = footer::stripe(&lengths, columns);
        let footer = self.write_footer(&footer, out)?;
        self.stripes.push(Stripe { offset, data, footer, rows: std::mem::take(&mut self.rows) });
        self.held = 0;
        Ok(())
    }
}

impl Encoder for OrcEncoder {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        self.start(out);
        let columns = Arc::clone(&self.columns);
        let arrays = columns.iter().zip(rows.columns());
        let cells =
            arrays.map(|(column, array)| Cells::new(&column.data_type, array)).collect::<Result<Vec<_>, _>>()?;
        let mut lost = 0;
        for from in (0..rows.num_rows()).step_by(STEP_ROWS) {
            let range = from..(from + STEP_ROWS).min(rows.num_rows());
            for (writer, cells) in self.writers.iter_mut().zip(&cells) {
                lost += writer.write(cells, range.clone());
            }
            self.rows += range.len() as u64;
            self.pack(false)?;
            if self.held >= self.stripe_bytes {
                self.end_stripe(out)?;
            }
        }
        Ok(lost)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.start(out);
        self.end_stripe(out)?;
        let footer = footer::file(&self.columns, &self.writers, &self.stripes, self.written);
        let footer = self.write_footer(&footer, out)?;
        let postscript = footer::postscript(footer, self.codec.number(), CHUNK_BYTES as u64);
        out.extend_from_slice(&postscript);
        out.push(postscript.len() as u8);
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.held
    }

    fn release(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.start(out);
        self.end_stripe(out)
    }
}

#[cfg(test)]
mod tests;
