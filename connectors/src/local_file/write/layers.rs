//! What stands between an encoder and the file: another encoding of the text, then compression.

use arrow::array::RecordBatch;
use egret_runtime::plugin::TaskError;

use super::super::charset::Charset;
use super::Encoder;
use super::compress::Compressor;
use super::text::{TextEncoder, as_text};

/// Turns the UTF-8 that an encoder writes into another encoding.
pub struct Transcoded {
    inner: Box<dyn Encoder>,
    encoder: TextEncoder,
    /// Bytes that the file begins with.
    mark: &'static [u8],
    /// Whether characters that the encoding lacks can be written as `&#n;`.
    references: bool,
    text: Vec<u8>,
}

impl Transcoded {
    /// Begins a file. With `references`, for xml, nothing is lost.
    pub fn new(inner: Box<dyn Encoder>, charset: Charset, references: bool) -> Self {
        let (encoder, mark) = (TextEncoder::new(charset), TextEncoder::mark(charset));
        Self { inner, encoder, mark, references, text: Vec::new() }
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> u64 {
        if self.text.is_empty() {
            return 0;
        }
        out.extend_from_slice(std::mem::take(&mut self.mark));
        let text = as_text(&self.text);
        let lost = if self.references {
            self.encoder.encode_with(&text, out, &mut |symbol, out| {
                out.extend_from_slice(format!("&#{};", symbol as u32).as_bytes());
            });
            0
        } else {
            self.encoder.encode(&text, out)
        };
        self.text.clear();
        lost
    }
}

impl Encoder for Transcoded {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        let lost = self.inner.write(rows, &mut self.text)?;
        Ok(lost + self.flush(out))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.inner.finish(&mut self.text)?;
        // What ends a file holds names at most, and those of columns in a header.
        self.flush(out);
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.inner.held_bytes()
    }
}

/// Compresses what an encoder writes.
pub struct Compressed {
    inner: Box<dyn Encoder>,
    compressor: Compressor,
    plain: Vec<u8>,
}

impl Compressed {
    /// Begins a file.
    pub fn new(inner: Box<dyn Encoder>, compressor: Compressor) -> Self {
        Self { inner, compressor, plain: Vec::new() }
    }
}

impl Encoder for Compressed {
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError> {
        self.plain.clear();
        let lost = self.inner.write(rows, &mut self.plain)?;
        self.compressor.write(&self.plain, out)?;
        Ok(lost)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.plain.clear();
        self.inner.finish(&mut self.plain)?;
        self.compressor.write(&self.plain, out)?;
        self.compressor.finish(out)
    }

    fn held_bytes(&self) -> usize {
        self.inner.held_bytes()
    }
}
