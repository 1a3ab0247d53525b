//! Compression of whole files: text, csv, json and xml (contract D.4, `compress_codec`).

use std::io::{self, Write};

use egret_runtime::plugin::TaskError;

use super::lzo::{self, Lzo};

/// What brotli holds back of a file at most, as a power of two, and how hard it tries: 5 of 11.
const BROTLI_WINDOW_BITS: u32 = 20;
const BROTLI_QUALITY: u32 = 5;
const BROTLI_BUFFER_BYTES: usize = 64 << 10;

/// Compresses the bytes of one file.
pub enum Compressor {
    /// `gzip`
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    /// `zlib`
    Zlib(flate2::write::ZlibEncoder<Vec<u8>>),
    /// `bzip2`
    Bzip2(bzip2::write::BzEncoder<Vec<u8>>),
    /// `zstd`, a frame.
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// `lz4`, a frame.
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
    /// `snappy`, in the framing format; and whether it was given any bytes.
    Snappy(Box<snap::write::FrameEncoder<Vec<u8>>>, bool),
    /// `brotli`
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    /// `lzo`, as lzop writes it.
    Lzo {
        /// Finds what repeats.
        lzo: Lzo,
        /// Bytes of the next block.
        plain: Vec<u8>,
        /// Whether the head of the file is written.
        started: bool,
    },
}

fn failed(error: io::Error) -> TaskError {
    TaskError::permanent(format!("compressing: {error}"))
}

impl Compressor {
    /// For a codec's name; `None` for `none`.
    ///
    /// # Errors
    /// When the codec cannot begin.
    pub fn new(codec: &str) -> Result<Option<Self>, TaskError> {
        Ok(Some(match codec {
            "gzip" => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default())),
            "zlib" => Self::Zlib(flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default())),
            "bzip2" => Self::Bzip2(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default())),
            "zstd" => Self::Zstd(
                zstd::stream::write::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL).map_err(failed)?,
            ),
            "lz4" => Self::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(Vec::new()))),
            "snappy" => Self::Snappy(Box::new(snap::write::FrameEncoder::new(Vec::new())), false),
            "brotli" => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_BITS,
            ))),
            "lzo" => Self::Lzo { lzo: Lzo::default(), plain: Vec::new(), started: false },
            _ => return Ok(None),
        }))
    }

    /// Takes plain bytes; appends what is compressed so far.
    ///
    /// # Errors
    /// When the library fails.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TaskError> {
        match self {
            Self::Gzip(encoder) => step(encoder, |encoder| encoder.get_mut(), plain, out),
            Self::Zlib(encoder) => step(encoder, |encoder| encoder.get_mut(), plain, out),
            Self::Bzip2(encoder) => step(encoder, |encoder| encoder.get_mut(), plain, out),
            Self::Zstd(encoder) => step(encoder, |encoder| encoder.get_mut(), plain, out),
            Self::Lz4(encoder) => step(encoder.as_mut(), |encoder| encoder.get_mut(), plain, out),
            Self::Snappy(encoder, any) => {
                *any |= !plain.is_empty();
                step(encoder.as_mut(), |encoder| encoder.get_mut(), plain, out)
            }
            Self::Brotli(encoder) => step(encoder.as_mut(), |encoder| encoder.get_mut(), plain, out),
            Self::Lzo { lzo, plain: held, started } => {
                write_blocks(lzo, held, started, plain, out);
                Ok(())
            }
        }
    }

    /// Appends the rest.
    ///
    /// # Errors
    /// When the library fails.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        match self {
            Self::Gzip(encoder) => {
                encoder.try_finish().map_err(failed)?;
                out.append(encoder.get_mut());
            }
            Self::Zlib(encoder) => {
                encoder.try_finish().map_err(failed)?;
                out.append(encoder.get_mut());
            }
            Self::Bzip2(encoder) => {
                encoder.try_finish().map_err(failed)?;
                out.append(encoder.get_mut());
            }
            Self::Zstd(encoder) => {
                encoder.do_finish().map_err(failed)?;
                out.append(encoder.get_mut());
            }
            Self::Lz4(encoder) => {
                encoder.try_finish().map_err(|error| failed(error.into()))?;
                out.append(encoder.get_mut());
            }
            Self::Snappy(encoder, any) => {
                encoder.flush().map_err(failed)?;
                if !*any {
                    // The library writes the head of a stream with its first bytes.
                    out.extend_from_slice(b"\xff\x06\x00\x00sNaPpY");
                }
                out.append(encoder.get_mut());
            }
            Self::Brotli(encoder) => {
                let empty = brotli::CompressorWriter::new(Vec::new(), 1, BROTLI_QUALITY, BROTLI_WINDOW_BITS);
                out.append(&mut std::mem::replace(encoder.as_mut(), empty).into_inner());
            }
            Self::Lzo { lzo, plain: held, started } => {
                write_blocks(lzo, held, started, &[], out);
                if !held.is_empty() {
                    lzo::write_block(lzo, held, out);
                    held.clear();
                }
                out.extend_from_slice(&lzo::END);
            }
        }
        Ok(())
    }
}

fn step<W: Write>(
    encoder: &mut W,
    written: impl FnOnce(&mut W) -> &mut Vec<u8>,
    plain: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), TaskError> {
    encoder.write_all(plain).map_err(failed)?;
    out.append(written(encoder));
    Ok(())
}

/// Gathers whole blocks, writes them, keeps the rest.
fn write_blocks(lzo: &mut Lzo, held: &mut Vec<u8>, started: &mut bool, mut plain: &[u8], out: &mut Vec<u8>) {
    if !std::mem::replace(started, true) {
        lzo::write_head(out);
    }
    while held.len() + plain.len() >= lzo::BLOCK_BYTES {
        let (now, later) = plain.split_at(lzo::BLOCK_BYTES - held.len());
        if held.is_empty() {
            lzo::write_block(lzo, now, out);
        } else {
            held.extend_from_slice(now);
            lzo::write_block(lzo, held, out);
            held.clear();
        }
        plain = later;
    }
    held.extend_from_slice(plain);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compressed(codec: &str, pieces: &[&[u8]]) -> Vec<u8> {
        let mut compressor = Compressor::new(codec).expect("a codec").expect("a codec");
        let mut out = Vec::new();
        for piece in pieces {
            compressor.write(piece, &mut out).expect("compressed");
        }
        compressor.finish(&mut out).expect("ended");
        out
    }

    fn plain(codec: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let result = match codec {
            "gzip" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
            "zlib" => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out),
            "bzip2" => bzip2::read::BzDecoder::new(bytes).read_to_end(&mut out),
            "zstd" => zstd::stream::read::Decoder::new(bytes).expect("a frame").read_to_end(&mut out),
            "lz4" => lz4_flex::frame::FrameDecoder::new(bytes).read_to_end(&mut out),
            "snappy" => snap::read::FrameDecoder::new(bytes).read_to_end(&mut out),
            "brotli" => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            _ => return plain_lzop(bytes),
        };
        result.expect(codec);
        out
    }

    /// Reads an lzop file as the format says.
    fn plain_lzop(bytes: &[u8]) -> Vec<u8> {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
        assert_eq!(&bytes[..9], b"\x89LZO\0\r\n\x1a\n");
        let mut at = 9 + 6 + 2 + 16 + 1 + 4;
        let mut out = Vec::new();
        loop {
            let plain = number(at);
            if plain == 0 {
                assert_eq!(at + 4, bytes.len());
                return out;
            }
            let length = number(at + 4);
            let block = &bytes[at + 12..at + 12 + length];
            if length == plain {
                out.extend_from_slice(block);
            } else {
                out.extend(lzokay_native::decompress_all(block, Some(plain)).expect("a block"));
            }
            at += 12 + length;
        }
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let text = "some line with a number 12345, and another\n".repeat(20_000);
        let noise: Vec<u8> = (0..700_000u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect();
        for codec in ["gzip", "zlib", "bzip2", "zstd", "lz4", "snappy", "brotli", "lzo"] {
            let bytes = compressed(codec, &[text.as_bytes(), b"", &noise[..10], &noise[10..]]);
            let expected = [text.as_bytes(), &noise].concat();
            assert!(plain(codec, &bytes) == expected, "{codec}");
            assert!(bytes.len() < expected.len() * 3 / 4, "{codec}: {}", bytes.len());
            assert!(plain(codec, &compressed(codec, &[])).is_empty(), "{codec}: nothing");
        }
    }

    #[test]
    fn there_is_no_compressor_for_none() {
        assert!(Compressor::new("none").expect("no failure").is_none());
    }
}
