//! Codecs whose libraries take any piece of input: gzip, zlib, bzip2, zstd, brotli.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{Decoder as RawZstd, InBuffer, Operation, OutBuffer};

use super::super::bytes::{Decoder, STEP_BYTES, Step};

/// One stream of deflate, bare or with zlib's head.
pub struct Deflate {
    inflate: Decompress,
}

impl Deflate {
    /// With a head and a checksum.
    pub fn zlib() -> Self {
        Self { inflate: Decompress::new(true) }
    }

    /// Without.
    pub fn bare() -> Self {
        Self { inflate: Decompress::new(false) }
    }

    fn gzip() -> Self {
        Self { inflate: Decompress::new_gzip(15) }
    }
}

impl Decoder for Deflate {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        output.reserve(STEP_BYTES);
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress_vec(input, output, FlushDecompress::None)
            .map_err(|error| format!("broken compressed data: {error}"))?;
        let used = (self.inflate.total_in() - read) as usize;
        Ok(match status {
            Status::StreamEnd => Step::Ended(used),
            _ if used > 0 || self.inflate.total_out() > written => Step::Used(used),
            _ if last => return Err("the compressed data is cut off".into()),
            _ => Step::NeedsInput,
        })
    }
}

/// Members of gzip one after the other. What follows the last one and is none is left alone, as Java does.
pub struct Gzip {
    member: Option<Deflate>,
    first: bool,
}

impl Default for Gzip {
    fn default() -> Self {
        Self { member: None, first: true }
    }
}

impl Decoder for Gzip {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let Some(member) = &mut self.member else {
            if input.len() < 2 && !last {
                return Ok(Step::NeedsInput);
            }
            if input.starts_with(&[0x1f, 0x8b]) {
                self.first = false;
                self.member = Some(Deflate::gzip());
                return Ok(Step::Used(0));
            }
            return if self.first { Err("is no gzip file".into()) } else { Ok(Step::Ended(input.len())) };
        };
        match member.step(input, last, output)? {
            Step::Ended(used) => {
                self.member = None;
                Ok(Step::Used(used))
            }
            step => Ok(step),
        }
    }
}

/// Streams of bzip2 one after the other.
#[derive(Default)]
pub struct Bzip2 {
    stream: Option<bzip2::Decompress>,
}

impl Decoder for Bzip2 {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let Some(stream) = &mut self.stream else {
            if input.len() < 3 && !last {
                return Ok(Step::NeedsInput);
            }
            if !input.starts_with(b"BZh") {
                return Ok(Step::Ended(input.len()));
            }
            self.stream = Some(bzip2::Decompress::new(false));
            return Ok(Step::Used(0));
        };
        output.reserve(STEP_BYTES);
        let (read, written) = (stream.total_in(), stream.total_out());
        let status = stream.decompress_vec(input, output).map_err(|error| format!("broken bzip2 data: {error}"))?;
        let used = (stream.total_in() - read) as usize;
        let moved = used > 0 || stream.total_out() > written;
        if status == bzip2::Status::StreamEnd {
            self.stream = None;
            return Ok(Step::Used(used));
        }
        match moved {
            true => Ok(Step::Used(used)),
            false if last => Err("the compressed data is cut off".into()),
            false => Ok(Step::NeedsInput),
        }
    }
}

/// Whether bytes begin as Zstandard does, with a frame or one to be skipped.
pub fn is_zstd(head: &[u8]) -> bool {
    matches!(head, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// Frames of Zstandard one after the other.
pub struct Zstd {
    raw: RawZstd<'static>,
    in_frame: bool,
}

impl Zstd {
    /// A decoder; it takes memory of its own.
    ///
    /// # Errors
    /// When the library cannot have it.
    pub fn new() -> Result<Self, String> {
        Ok(Self { raw: RawZstd::new().map_err(|error| error.to_string())?, in_frame: false })
    }
}

impl Decoder for Zstd {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        if input.is_empty() && !self.in_frame {
            return Ok(Step::NeedsInput);
        }
        let before = output.len();
        output.resize(before + STEP_BYTES, 0);
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around(&mut output[before..]);
        let hint = self.raw.run(&mut source, &mut target).map_err(|error| format!("broken zstd data: {error}"));
        let (used, written) = (source.pos(), target.pos());
        output.truncate(before + written);
        let hint = hint?;
        if used > 0 || written > 0 {
            self.in_frame = hint != 0;
            return Ok(Step::Used(used));
        }
        if last { Err("the compressed data is cut off".into()) } else { Ok(Step::NeedsInput) }
    }
}

/// One stream of Brotli.
pub struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
}

impl Default for Brotli {
    fn default() -> Self {
        let alloc = StandardAlloc::default;
        // Strict: without the windows of up to 1 GiB that are no part of the standard.
        Self { state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())) }
    }
}

impl Decoder for Brotli {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let before = output.len();
        output.resize(before + STEP_BYTES, 0);
        let (mut left, mut used, mut room, mut written, mut total) = (input.len(), 0, STEP_BYTES, 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut used,
            input,
            &mut room,
            &mut written,
            &mut output[before..],
            &mut total,
            &mut self.state,
        );
        output.truncate(before + written);
        match result {
            BrotliResult::ResultSuccess => Ok(Step::Ended(used)),
            BrotliResult::ResultFailure => Err("is no brotli file, or a broken one".into()),
            _ if used > 0 || written > 0 => Ok(Step::Used(used)),
            _ if last => Err("the compressed data is cut off".into()),
            _ => Ok(Step::NeedsInput),
        }
    }
}
