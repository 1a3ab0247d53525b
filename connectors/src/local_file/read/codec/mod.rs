//! Compressed files (option `compress_codec`), decoded as they come.
//!
//! The reference engine reads `lzo` alone and takes files for plain text whatever else the option says. So where a
//! file does not begin as its codec demands it is read as it is, with a warning: jobs of that engine go on as before.

mod blocks;
mod lz4;
pub mod lzo;
mod lzop;
mod stream;

use std::cell::Cell;
use std::rc::Rc;

use super::bytes::{Decoder, Step};

pub use stream::{Deflate, Gzip};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// lzop files, as Hadoop's LzopCodec writes them.
    Lzo,
    /// Snappy: its own frames, or Hadoop's blocks.
    Snappy,
    /// LZ4: its own frames, or Hadoop's blocks.
    Lz4,
    /// Zlib streams.
    Zlib,
    /// Gzip, of one member or several.
    Gzip,
    /// Bzip2, of one stream or several.
    Bzip2,
    /// Brotli.
    Brotli,
    /// Zstandard, of one frame or several.
    Zstd,
}

/// Words of `compress_codec`.
pub const CODECS: &[&str] = &["none", "lzo", "snappy", "lz4", "zlib", "gzip", "gz", "bzip2", "bz2", "brotli", "zstd"];

/// Bytes that tell whether a file begins as it should.
const HEAD_BYTES: usize = 10;

impl Codec {
    /// The codec of a word of [`CODECS`]; none for `none`.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "lzo" => Self::Lzo,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zlib" => Self::Zlib,
            "gzip" | "gz" => Self::Gzip,
            "bzip2" | "bz2" => Self::Bzip2,
            "brotli" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// A decoder for one file, which `about` names; a file that is plain after all counts one in `plain`.
    pub fn decoder(self, about: &str, plain: &Rc<Cell<u64>>) -> Box<dyn Decoder> {
        Box::new(Sniffed { codec: self, chosen: None, about: about.into(), plain: Rc::clone(plain) })
    }

    /// The decoder of a file that begins so; none when it is not compressed.
    fn by_head(self, head: &[u8]) -> Result<Option<Box<dyn Decoder>>, String> {
        // A plain text does not begin with a zero byte, which the length of a block of Hadoop does.
        let blocks = head.first() == Some(&0);
        Ok(match self {
            Self::Lzo => Some(Box::new(lzop::Lzop::default())),
            Self::Snappy if head.starts_with(blocks::SNAPPY_FRAMES) => Some(Box::new(blocks::SnappyFrames)),
            Self::Snappy if blocks => Some(Box::new(blocks::Hadoop::snappy())),
            Self::Lz4 if lz4::begins(head) => Some(Box::new(lz4::Lz4Frames::default())),
            Self::Lz4 if blocks => Some(Box::new(blocks::Hadoop::lz4())),
            Self::Zlib if is_zlib(head) => Some(Box::new(Deflate::zlib())),
            Self::Gzip if head.starts_with(&[0x1f, 0x8b]) => Some(Box::<Gzip>::default()),
            Self::Bzip2 if head.starts_with(b"BZh") => Some(Box::<stream::Bzip2>::default()),
            Self::Brotli => Some(Box::<stream::Brotli>::default()),
            Self::Zstd if stream::is_zstd(head) => Some(Box::new(stream::Zstd::new()?)),
            _ => None,
        })
    }
}

/// The first two bytes of a zlib stream: deflate, no dictionary, and a check.
fn is_zlib(head: &[u8]) -> bool {
    matches!(head, [first, second, ..]
        if first & 0x8f == 8 && second & 0x20 == 0 && (u16::from(*first) << 8 | u16::from(*second)) % 31 == 0)
}

/// Looks at the start of a file before it decides how to read on.
struct Sniffed {
    codec: Codec,
    chosen: Option<Box<dyn Decoder>>,
    about: Box<str>,
    plain: Rc<Cell<u64>>,
}

impl Decoder for Sniffed {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        if let Some(chosen) = &mut self.chosen {
            return chosen.step(input, last, output);
        }
        if input.len() < HEAD_BYTES && !last {
            return Ok(Step::NeedsInput);
        }
        let chosen = self.codec.by_head(input)?.unwrap_or_else(|| {
            tracing::warn!(file = %self.about, "is not compressed as compress_codec says: it is read as it is");
            self.plain.set(self.plain.get() + 1);
            Box::new(Plain)
        });
        self.chosen.insert(chosen).step(input, last, output)
    }
}

/// Bytes as they are.
pub struct Plain;

impl Decoder for Plain {
    fn step(&mut self, input: &[u8], _last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let piece = &input[..input.len().min(super::bytes::STEP_BYTES)];
        output.extend_from_slice(piece);
        Ok(if piece.is_empty() { Step::NeedsInput } else { Step::Used(piece.len()) })
    }
}

#[cfg(test)]
mod tests;
