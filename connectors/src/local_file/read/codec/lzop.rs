//! Files of lzop, which Hadoop's LzopCodec writes: a head, then blocks of LZO1X, each with its checksums.

use super::super::bytes::{Decoder, Step};
use super::blocks::{big_u32, bounded};
use super::lzo;

const MAGIC: &[u8] = b"\x89LZO\0\r\n\x1a\n";

const ADLER_PLAIN: u32 = 1;
const ADLER_PACKED: u32 = 2;
const EXTRA: u32 = 0x40;
const CRC_PLAIN: u32 = 0x100;
const CRC_PACKED: u32 = 0x200;
const FILTER: u32 = 0x800;

/// One file of lzop, or several one behind the other.
#[derive(Default)]
pub struct Lzop {
    /// What the head says, once it is read.
    flags: Option<u32>,
}

/// Reads numbers of a head; `None` when there is not enough of it yet.
struct Head<'a> {
    input: &'a [u8],
    at: usize,
}

impl Head<'_> {
    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let bytes = self.input.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(bytes)
    }

    fn number(&mut self, bytes: usize) -> Option<u32> {
        Some(self.bytes(bytes)?.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }
}

/// Flags and method of a head, and its length.
fn head(input: &[u8]) -> Option<(u32, u32, usize)> {
    let mut head = Head { input, at: MAGIC.len() };
    let version = head.number(2)?;
    head.number(2)?;
    let modern = version >= 0x0940;
    if modern {
        head.number(2)?;
    }
    let method = head.number(1)?;
    if modern {
        head.number(1)?;
    }
    let flags = head.number(4)?;
    if flags & FILTER != 0 {
        head.number(4)?;
    }
    head.bytes(if modern { 12 } else { 8 })?;
    let name = head.number(1)? as usize;
    head.bytes(name)?;
    head.number(4)?;
    if flags & EXTRA != 0 {
        let extra = head.number(4)? as usize;
        head.bytes(extra)?;
        head.number(4)?;
    }
    Some((flags, method, head.at))
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1u32, 0u32);
    // So many additions cannot overflow.
    for piece in bytes.chunks(5552) {
        for byte in piece {
            low += u32::from(*byte);
            high += low;
        }
        low %= 65521;
        high %= 65521;
    }
    high << 16 | low
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

impl Lzop {
    fn begin(&mut self, input: &[u8], last: bool) -> Result<Step, String> {
        if input.is_empty() || (input.len() < MAGIC.len() && !last) {
            return Ok(Step::NeedsInput);
        }
        if !input.starts_with(MAGIC) {
            return Err("is no lzop file".into());
        }
        let Some((flags, method, bytes)) = head(input) else {
            return if input.len() > 64 << 10 { Err("its lzop head is broken".into()) } else { Ok(Step::NeedsInput) };
        };
        if !(1..=3).contains(&method) || flags & FILTER != 0 {
            return Err("its lzop method cannot be read".into());
        }
        self.flags = Some(flags);
        Ok(Step::Used(bytes))
    }

    /// A block: lengths, checksums, data.
    fn block(input: &[u8], flags: u32, output: &mut Vec<u8>) -> Result<Option<usize>, String> {
        let Some(plain_bytes) = big_u32(input, 0) else { return Ok(None) };
        let Some(packed_bytes) = big_u32(input, 4) else { return Ok(None) };
        let (plain_bytes, packed_bytes) = (bounded(plain_bytes)?, bounded(packed_bytes)?);
        if packed_bytes > plain_bytes {
            return Err("broken lzo data: a block is larger than what it holds".into());
        }
        let is_packed = packed_bytes < plain_bytes;
        let mut at = 8;
        let mut sums = [None; 4];
        for (sum, flag) in sums.iter_mut().zip([ADLER_PLAIN, CRC_PLAIN, ADLER_PACKED, CRC_PACKED]) {
            let of_packed = flag == ADLER_PACKED || flag == CRC_PACKED;
            if flags & flag != 0 && (is_packed || !of_packed) {
                let Some(told) = big_u32(input, at) else { return Ok(None) };
                *sum = Some(told);
                at += 4;
            }
        }
        let Some(packed) = input.get(at..at + packed_bytes) else { return Ok(None) };
        let before = output.len();
        if is_packed {
            output.extend_from_slice(&lzo::unpack(packed, plain_bytes)?);
        } else {
            output.extend_from_slice(packed);
        }
        let plain = &output[before..];
        let differs = |told: Option<u32>, found: fn(&[u8]) -> u32, bytes| told.is_some_and(|told| told != found(bytes));
        if plain.len() != plain_bytes
            || differs(sums[0], adler32, plain)
            || differs(sums[1], crc32, plain)
            || differs(sums[2], adler32, packed)
            || differs(sums[3], crc32, packed)
        {
            return Err("broken lzo data: a block's length or checksum does not match".into());
        }
        Ok(Some(at + packed_bytes))
    }
}

impl Decoder for Lzop {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let Some(flags) = self.flags else { return self.begin(input, last) };
        match big_u32(input, 0) {
            None => Ok(Step::NeedsInput),
            Some(0) => {
                self.flags = None;
                Ok(Step::Used(4))
            }
            Some(_) => Ok(Self::block(input, flags, output)?.map_or(Step::NeedsInput, Step::Used)),
        }
    }
}
