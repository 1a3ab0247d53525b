//! Snappy's frames, and the blocks that Hadoop cuts snappy and lz4 into.

use std::io::Read;

use super::super::bytes::{Decoder, Step};

/// The chunk that begins a stream of snappy frames.
pub const SNAPPY_FRAMES: &[u8] = b"\xff\x06\0\0sNaPpY";

/// Largest block, packed or not.
pub const BLOCK_BYTES_MAX: usize = 8 << 20;

/// Four bytes at a place, the highest first.
pub fn big_u32(input: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(input.get(at..at + 4)?.try_into().ok()?))
}

/// A length that a file tells, if it is not absurd.
pub fn bounded(bytes: u32) -> Result<usize, String> {
    match usize::try_from(bytes) {
        Ok(bytes) if bytes <= BLOCK_BYTES_MAX => Ok(bytes),
        _ => Err(format!("a compressed block of {bytes} bytes: the file is broken, or not of this codec")),
    }
}

/// Chunks of Snappy's own frames. Each stands for itself, so each is decoded as a stream of one chunk.
pub struct SnappyFrames;

impl Decoder for SnappyFrames {
    fn step(&mut self, input: &[u8], _last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let Some(head) = input.get(..4) else { return Ok(Step::NeedsInput) };
        let length = usize::from(head[1]) | usize::from(head[2]) << 8 | usize::from(head[3]) << 16;
        let Some(chunk) = input.get(..4 + length) else { return Ok(Step::NeedsInput) };
        if head[0] <= 0x7f {
            snap::read::FrameDecoder::new(SNAPPY_FRAMES.chain(chunk))
                .read_to_end(output)
                .map_err(|error| format!("broken snappy data: {error}"))?;
        }
        Ok(Step::Used(chunk.len()))
    }
}

type Unpack = fn(&[u8], &mut [u8]) -> Result<usize, String>;

/// Hadoop's blocks: the length of the plain bytes, then pieces, each behind its packed length.
pub struct Hadoop {
    unpack: Unpack,
    /// Plain bytes of the block that are still to come.
    left: usize,
}

impl Hadoop {
    /// Blocks of snappy.
    pub fn snappy() -> Self {
        Self { unpack: unpack_snappy, left: 0 }
    }

    /// Blocks of lz4.
    pub fn lz4() -> Self {
        let unpack: Unpack =
            |packed, plain| lz4_flex::block::decompress_into(packed, plain).map_err(|error| error.to_string());
        Self { unpack, left: 0 }
    }
}

fn unpack_snappy(packed: &[u8], plain: &mut [u8]) -> Result<usize, String> {
    let bytes = snap::raw::decompress_len(packed).map_err(|error| error.to_string())?;
    let room = plain.get_mut(..bytes).ok_or("a piece is larger than its block")?;
    snap::raw::Decoder::new().decompress(packed, room).map_err(|error| error.to_string())
}

impl Decoder for Hadoop {
    fn step(&mut self, input: &[u8], _last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let Some(length) = big_u32(input, 0) else { return Ok(Step::NeedsInput) };
        let length = bounded(length)?;
        if self.left == 0 {
            self.left = length;
            return Ok(Step::Used(4));
        }
        let Some(packed) = input.get(4..4 + length) else { return Ok(Step::NeedsInput) };
        let before = output.len();
        output.resize(before + self.left, 0);
        let unpacked = (self.unpack)(packed, &mut output[before..]).map_err(|why| format!("broken block: {why}"))?;
        output.truncate(before + unpacked);
        self.left -= unpacked.min(self.left);
        Ok(Step::Used(4 + length))
    }
}
