//! LZ4's own frames.

use std::hash::Hasher as _;

use twox_hash::XxHash32;

use super::super::bytes::{Decoder, Step};

const MAGIC: u32 = 0x184d_2204;
/// Bytes that a block may refer back to.
const WINDOW_BYTES: usize = 64 << 10;

fn little_u32(input: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(input.get(at..at + 4)?.try_into().ok()?))
}

fn is_skippable(magic: u32) -> bool {
    magic & 0xffff_fff0 == 0x184d_2a50
}

/// Whether bytes begin as a frame does, or one to be skipped.
pub fn begins(head: &[u8]) -> bool {
    little_u32(head, 0).is_some_and(|magic| magic == MAGIC || is_skippable(magic))
}

/// What the head of a frame says.
struct Frame {
    linked: bool,
    block_checksums: bool,
    block_bytes_max: usize,
    checksum: Option<twox_hash::xxhash32::Hasher>,
    window: Vec<u8>,
}

/// Frames one after the other.
#[derive(Default)]
pub struct Lz4Frames {
    frame: Option<Frame>,
    /// Bytes of a frame to be skipped that are still to come.
    skip: usize,
}

impl Lz4Frames {
    fn begin(&mut self, input: &[u8]) -> Result<Step, String> {
        let Some(magic) = little_u32(input, 0) else { return Ok(Step::NeedsInput) };
        if is_skippable(magic) {
            let Some(bytes) = little_u32(input, 4) else { return Ok(Step::NeedsInput) };
            self.skip = bytes as usize;
            return Ok(Step::Used(8));
        }
        if magic != MAGIC {
            return Err("broken lz4 data: a frame is expected".into());
        }
        let (Some(flags), Some(size)) = (input.get(4), input.get(5)) else { return Ok(Step::NeedsInput) };
        let has = |bit: u8| flags & bit != 0;
        let head = 7 + if has(8) { 8 } else { 0 } + if has(1) { 4 } else { 0 };
        if input.len() < head {
            return Ok(Step::NeedsInput);
        }
        if flags >> 6 != 1 || has(1) {
            return Err("lz4 data of another version, or with a dictionary, cannot be read".into());
        }
        let block_bytes_max = match size >> 4 & 7 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err("broken lz4 data: no such size of blocks".into()),
        };
        let checksum = has(4).then(|| twox_hash::xxhash32::Hasher::with_seed(0));
        let linked = !has(0x20);
        self.frame = Some(Frame { linked, block_checksums: has(0x10), block_bytes_max, checksum, window: Vec::new() });
        Ok(Step::Used(head))
    }
}

impl Decoder for Lz4Frames {
    fn step(&mut self, input: &[u8], _last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        if self.skip > 0 {
            let skipped = self.skip.min(input.len());
            self.skip -= skipped;
            return Ok(if skipped == 0 { Step::NeedsInput } else { Step::Used(skipped) });
        }
        let Some(frame) = &mut self.frame else { return self.begin(input) };
        let Some(length) = little_u32(input, 0) else { return Ok(Step::NeedsInput) };
        if length == 0 {
            let Some(checksum) = &frame.checksum else {
                self.frame = None;
                return Ok(Step::Used(4));
            };
            let Some(told) = little_u32(input, 4) else { return Ok(Step::NeedsInput) };
            if checksum.finish_32() != told {
                return Err("broken lz4 data: the checksum does not match".into());
            }
            self.frame = None;
            return Ok(Step::Used(8));
        }
        let bytes = (length & 0x7fff_ffff) as usize;
        if bytes > frame.block_bytes_max {
            return Err("broken lz4 data: a block is larger than the frame says".into());
        }
        let behind = 4 + bytes + if frame.block_checksums { 4 } else { 0 };
        let Some(block) = input.get(4..4 + bytes).filter(|_| input.len() >= behind) else {
            return Ok(Step::NeedsInput);
        };
        if frame.block_checksums && little_u32(input, 4 + bytes) != Some(XxHash32::oneshot(0, block)) {
            return Err("broken lz4 data: the checksum of a block does not match".into());
        }
        frame.unpack(block, length >> 31 == 1, output)?;
        Ok(Step::Used(behind))
    }
}

impl Frame {
    fn unpack(&mut self, block: &[u8], stored: bool, output: &mut Vec<u8>) -> Result<(), String> {
        let before = output.len();
        if stored {
            output.extend_from_slice(block);
        } else {
            output.resize(before + self.block_bytes_max, 0);
            let unpacked = lz4_flex::block::decompress_into_with_dict(block, &mut output[before..], &self.window)
                .map_err(|error| format!("broken lz4 data: {error}"))?;
            output.truncate(before + unpacked);
        }
        let plain = &output[before..];
        if let Some(checksum) = &mut self.checksum {
            checksum.write(plain);
        }
        if self.linked {
            self.window.extend_from_slice(&plain[plain.len().saturating_sub(WINDOW_BYTES)..]);
            let surplus = self.window.len().saturating_sub(WINDOW_BYTES);
            self.window.drain(..surplus);
        }
        Ok(())
    }
}
