//! The chunks of a compressed stream, looked at before the library unpacks them: it takes the memory that they ask for.
//!
//! Each begins with three bytes: its length, and a bit that says whether it is stored as it is.

use std::io::Read;

use orc_rust::proto::CompressionKind;

use super::super::codec::lzo;

/// Largest chunk, packed or not: what the 23 bits of its length can tell.
pub const CHUNK_BYTES_MAX: usize = 1 << 23;

/// How much larger deflate can make a byte.
const DEFLATE_GROWTH: usize = 1032;

/// Plain bytes of a block of zstd at most.
const ZSTD_BLOCK_BYTES_MAX: usize = 128 << 10;

/// Bytes of a stream that is not compressed that are looked at together.
const PIECE_BYTES: usize = 64 << 10;

/// How the streams of a file are compressed.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    pub kind: CompressionKind,
    /// Plain bytes of a chunk at most, as the file says.
    pub chunk_bytes: usize,
}

impl Packing {
    /// Unpacks a chunk into `plain`.
    fn unpack(self, packed: &[u8], plain: &mut Vec<u8>) -> Result<(), String> {
        plain.clear();
        let broken = |error: &dyn std::fmt::Display| format!("a broken chunk: {error}");
        match self.kind {
            CompressionKind::None => plain.extend_from_slice(packed),
            CompressionKind::Zlib => expand(flate2::bufread::DeflateDecoder::new(packed), plain)?,
            CompressionKind::Zstd => {
                expand(zstd::Decoder::with_buffer(packed).map_err(|error| broken(&error))?, plain)?;
            }
            CompressionKind::Snappy => {
                plain.resize(bounded(snap::raw::decompress_len(packed).map_err(|error| broken(&error))?)?, 0);
                snap::raw::Decoder::new().decompress(packed, plain).map_err(|error| broken(&error))?;
            }
            CompressionKind::Lz4 => {
                plain.resize(self.chunk_bytes, 0);
                let bytes = lz4_flex::block::decompress_into(packed, plain).map_err(|error| broken(&error))?;
                plain.truncate(bytes);
            }
            CompressionKind::Lzo => *plain = lzo::unpack(packed, CHUNK_BYTES_MAX)?,
        }
        bounded(plain.len()).map(drop)
    }

    /// Whether a chunk is known to fit without being unpacked.
    fn surely_fits(self, packed: &[u8]) -> bool {
        match self.kind {
            // The library unpacks lz4 into as much room as the file's own bound says.
            CompressionKind::None | CompressionKind::Lz4 => true,
            CompressionKind::Zlib => packed.len() <= CHUNK_BYTES_MAX / DEFLATE_GROWTH,
            CompressionKind::Zstd => zstd_bytes_at_most(packed).is_some_and(|bytes| bytes <= CHUNK_BYTES_MAX),
            CompressionKind::Snappy => snap::raw::decompress_len(packed).is_ok_and(|bytes| bytes <= CHUNK_BYTES_MAX),
            CompressionKind::Lzo => lzo::plain_bytes(packed).is_some_and(|bytes| bytes <= CHUNK_BYTES_MAX),
        }
    }

    /// Takes the first chunk off a stream.
    fn split<'a>(self, stream: &mut &'a [u8]) -> Result<Option<Chunk<'a>>, String> {
        if stream.is_empty() {
            return Ok(None);
        }
        if self.kind == CompressionKind::None {
            let (piece, rest) = stream.split_at(stream.len().min(PIECE_BYTES));
            *stream = rest;
            return Ok(Some(Chunk::Plain(piece)));
        }
        let cut = || "a chunk that its stream does not hold".to_owned();
        let (head, behind) = stream.split_first_chunk::<3>().ok_or_else(cut)?;
        let word = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        let (chunk, rest) = behind.split_at_checked((word >> 1) as usize).ok_or_else(cut)?;
        *stream = rest;
        Ok(Some(if word & 1 == 1 { Chunk::Plain(chunk) } else { Chunk::Packed(chunk) }))
    }

    /// Prepares to look at the chunks of a stream, of which `room` bytes may be kept unpacked.
    pub fn chunks(self, stream: &[u8], room: usize) -> Chunks<'_> {
        Chunks { packing: self, whole: stream, left: stream, scratch: Vec::new(), kept: Vec::new(), room }
    }

    /// Reads a stream.
    pub fn plain(self, stream: &[u8]) -> Plain<'_> {
        Plain { packing: self, left: stream, held: Vec::new(), at: 0, scratch: Vec::new() }
    }

    /// Bytes as a stream that the library reads like one of the file: in chunks that are stored as they are.
    pub fn stored(self, plain: &[u8]) -> Vec<u8> {
        if self.kind == CompressionKind::None {
            return plain.to_vec();
        }
        let mut stream = Vec::with_capacity(plain.len() + 3);
        store(plain, &mut stream);
        stream
    }
}

/// Appends bytes in chunks that are stored as they are.
fn store(plain: &[u8], stream: &mut Vec<u8>) {
    for chunk in plain.chunks(CHUNK_BYTES_MAX - 1) {
        stream.extend_from_slice(&((chunk.len() as u32) << 1 | 1).to_le_bytes()[..3]);
        stream.extend_from_slice(chunk);
    }
}

enum Chunk<'a> {
    Plain(&'a [u8]),
    Packed(&'a [u8]),
}

fn bounded(bytes: usize) -> Result<usize, String> {
    if bytes > CHUNK_BYTES_MAX {
        return Err(format!("a chunk with more than {CHUNK_BYTES_MAX} plain bytes"));
    }
    Ok(bytes)
}

/// Reads to the end, or to one byte beyond the bound.
fn expand(packed: impl Read, plain: &mut Vec<u8>) -> Result<(), String> {
    let read = packed.take(CHUNK_BYTES_MAX as u64 + 1).read_to_end(plain);
    read.map(drop).map_err(|error| format!("a broken chunk: {error}"))
}

/// Plain bytes that a chunk of zstd has at most, from the heads of its blocks; none where they cannot be followed.
fn zstd_bytes_at_most(mut packed: &[u8]) -> Option<usize> {
    let mut bytes = 0usize;
    while !packed.is_empty() {
        let (magic, behind) = packed.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*magic) != 0xfd2f_b528 {
            return None;
        }
        let (&[flags], behind) = behind.split_first_chunk()?;
        let is_single_segment = flags & 0x20 != 0;
        let window = usize::from(!is_single_segment);
        let dictionary = [0, 1, 2, 4][usize::from(flags & 3)];
        let content = [usize::from(is_single_segment), 2, 4, 8][usize::from(flags >> 6)];
        packed = behind.get(window + dictionary + content..)?;
        loop {
            let (head, behind) = packed.split_first_chunk::<3>()?;
            let word = u32::from_le_bytes([head[0], head[1], head[2], 0]);
            let size = (word >> 3) as usize;
            let (plain, stored) = match word >> 1 & 3 {
                0 => (size, size),
                1 => (size, 1),
                2 => (ZSTD_BLOCK_BYTES_MAX, size),
                _ => return None,
            };
            bytes = bytes.checked_add(plain)?;
            packed = behind.get(stored..)?;
            if word & 1 == 1 {
                break;
            }
        }
        let checksum = if flags & 4 != 0 { 4 } else { 0 };
        packed = packed.get(checksum..)?;
    }
    Some(bytes)
}

/// The chunks of a stream, one at a time: unpacking them may take a while. Some have to be unpacked to know that they
/// fit (those of deflate, but for small ones); that is not done twice, as far as there is room to keep them so.
pub struct Chunks<'a> {
    packing: Packing,
    whole: &'a [u8],
    left: &'a [u8],
    scratch: Vec<u8>,
    /// The stream as far as it was looked at; empty while no chunk was unpacked.
    kept: Vec<u8>,
    room: usize,
}

impl Chunks<'_> {
    /// Checks that the next chunk fits; `false` when there is none.
    ///
    /// # Errors
    /// When it is larger than [`CHUNK_BYTES_MAX`], or broken.
    pub fn check_next(&mut self) -> Result<bool, String> {
        let before = self.left;
        match self.packing.split(&mut self.left)? {
            None => return Ok(false),
            Some(Chunk::Packed(packed)) if !self.packing.surely_fits(packed) => {
                self.packing.unpack(packed, &mut self.scratch)?;
                if self.kept.len() + self.scratch.len() <= self.room {
                    if self.kept.is_empty() {
                        self.kept.extend_from_slice(&self.whole[..self.whole.len() - before.len()]);
                    }
                    store(&self.scratch, &mut self.kept);
                    return Ok(true);
                }
            }
            Some(_) => {}
        }
        if !self.kept.is_empty() {
            self.kept.extend_from_slice(&before[..before.len() - self.left.len()]);
        }
        Ok(true)
    }

    /// The stream with what was unpacked, if anything was.
    pub fn kept(self) -> Option<Vec<u8>> {
        (!self.kept.is_empty()).then_some(self.kept)
    }
}

/// The plain bytes of a stream, in the memory of a chunk or two.
pub struct Plain<'a> {
    packing: Packing,
    left: &'a [u8],
    held: Vec<u8>,
    at: usize,
    scratch: Vec<u8>,
}

impl Plain<'_> {
    /// Adds the next chunk to what is held; `false` when there is none.
    fn grow(&mut self) -> Result<bool, String> {
        match self.packing.split(&mut self.left)? {
            None => return Ok(false),
            Some(Chunk::Plain(plain)) => self.held.extend_from_slice(plain),
            Some(Chunk::Packed(packed)) => {
                self.packing.unpack(packed, &mut self.scratch)?;
                self.held.extend_from_slice(&self.scratch);
            }
        }
        Ok(true)
    }

    /// The next bytes, none when the stream does not hold as many.
    ///
    /// # Errors
    /// When a chunk is too large, or broken.
    pub fn take(&mut self, bytes: usize) -> Result<Option<&[u8]>, String> {
        while self.held.len() - self.at < bytes {
            self.held.drain(..self.at);
            self.at = 0;
            if !self.grow()? {
                return Ok(None);
            }
        }
        let start = self.at;
        self.at += bytes;
        Ok(Some(&self.held[start..self.at]))
    }

    /// The next byte.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn byte(&mut self) -> Result<Option<u8>, String> {
        Ok(self.take(1)?.map(|bytes| bytes[0]))
    }

    /// All bytes, if they are no more than a bound.
    ///
    /// # Errors
    /// When they are more, or a chunk is too large or broken.
    pub fn all(mut self, bytes_max: usize) -> Result<Vec<u8>, String> {
        while self.grow()? {
            if self.held.len() > bytes_max {
                return Err(format!("more than {bytes_max} bytes"));
            }
        }
        Ok(self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [CompressionKind; 5] = [
        CompressionKind::Zlib,
        CompressionKind::Snappy,
        CompressionKind::Lzo,
        CompressionKind::Lz4,
        CompressionKind::Zstd,
    ];

    fn packed(kind: CompressionKind, plain: &[u8]) -> Vec<u8> {
        match kind {
            CompressionKind::None => plain.to_vec(),
            CompressionKind::Zlib => {
                let mut packed = Vec::new();
                flate2::bufread::DeflateEncoder::new(plain, flate2::Compression::default())
                    .read_to_end(&mut packed)
                    .expect("deflate");
                packed
            }
            CompressionKind::Snappy => snap::raw::Encoder::new().compress_vec(plain).expect("snappy"),
            CompressionKind::Lzo => lzokay_native::compress(plain).expect("lzo"),
            CompressionKind::Lz4 => lz4_flex::block::compress(plain),
            CompressionKind::Zstd => zstd::bulk::compress(plain, 3).expect("zstd"),
        }
    }

    fn chunk(packed: &[u8], is_plain: bool) -> Vec<u8> {
        let mut stream = ((packed.len() as u32) << 1 | u32::from(is_plain)).to_le_bytes()[..3].to_vec();
        stream.extend_from_slice(packed);
        stream
    }

    fn check(packing: Packing, stream: &[u8]) -> Result<usize, String> {
        let mut chunks = packing.chunks(stream, 0);
        let mut count = 0;
        while chunks.check_next()? {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn streams_are_read_across_their_chunks() {
        let plain: Vec<u8> = (0..100_000u32).flat_map(|number| (number / 3).to_le_bytes()).collect();
        for kind in KINDS {
            let packing = Packing { kind, chunk_bytes: 256 << 10 };
            let mut stream = Vec::new();
            for (number, part) in plain.chunks(70_001).enumerate() {
                let as_it_is = number % 2 == 1;
                stream.extend(chunk(&if as_it_is { part.to_vec() } else { packed(kind, part) }, as_it_is));
            }
            assert_eq!(check(packing, &stream), Ok(6), "{kind:?}");
            assert_eq!(packing.plain(&stream).all(1 << 20).as_deref(), Ok(plain.as_slice()), "{kind:?}");
            let mut reader = packing.plain(&stream);
            for part in plain.chunks(7) {
                assert_eq!(reader.take(part.len()), Ok(Some(part)));
            }
            assert_eq!(reader.byte(), Ok(None));
            assert!(check(packing, &stream[..stream.len() - 1]).expect_err("cut").contains("does not hold"));
            assert_eq!(packing.plain(&packing.stored(&plain)).all(1 << 20).as_deref(), Ok(plain.as_slice()));
        }
        let none = Packing { kind: CompressionKind::None, chunk_bytes: 0 };
        assert_eq!(none.plain(&plain).all(1 << 20).as_deref(), Ok(plain.as_slice()));
        assert_eq!(none.plain(&plain).all(1 << 10), Err("more than 1024 bytes".to_owned()));
    }

    #[test]
    fn chunks_that_had_to_be_unpacked_are_kept_so() {
        let packing = Packing { kind: CompressionKind::Zlib, chunk_bytes: 256 << 10 };
        let plain: Vec<u8> = (0..100_000u32).flat_map(|number| (number / 3).to_le_bytes()).collect();
        let (small, large) = plain.split_at(1000);
        let stream =
            [chunk(&packed(packing.kind, small), false), chunk(&packed(packing.kind, large), false)].concat().repeat(2);
        for (room, expected) in [(0, 0), (500_000, 1), (1 << 20, 2)] {
            let mut chunks = packing.chunks(&stream, room);
            while chunks.check_next().expect("a chunk") {}
            let kept = chunks.kept();
            // Small chunks stay packed, and large ones where there is no room.
            let unpacked = kept.as_ref().map_or(0, |kept| kept.len().div_ceil(large.len()) - 1);
            assert_eq!(unpacked, expected, "{room}");
            let kept = kept.unwrap_or_else(|| stream.clone());
            assert_eq!(packing.plain(&kept).all(1 << 20).as_deref(), Ok(plain.repeat(2).as_slice()));
        }
    }

    #[test]
    fn chunks_that_grow_beyond_the_bound_are_refused() {
        let large = vec![0; CHUNK_BYTES_MAX + 1];
        for kind in KINDS {
            let packing = Packing { kind, chunk_bytes: CHUNK_BYTES_MAX };
            let fits = chunk(&packed(kind, &large[1..]), false);
            assert_eq!(check(packing, &fits), Ok(1), "{kind:?}");
            let stream = chunk(&packed(kind, &large), false);
            // lz4 is bounded where it is unpacked.
            let error = match kind {
                CompressionKind::Lz4 => packing.plain(&stream).all(1 << 30).map(drop),
                _ => check(packing, &stream).map(drop),
            };
            let error = error.expect_err("too large");
            assert!(error.contains("chunk") || error.contains("lzo"), "{kind:?}: {error}");
        }
    }

    #[test]
    fn zstd_is_bounded_by_the_heads_of_its_blocks() {
        let text: Vec<u8> = (0..1_000_000u32).map(|number| (number % 251 * (number / 1000)) as u8).collect();
        for plain in [&text[..], &text[..10], &[], &[7; 1 << 20]] {
            let bytes = zstd_bytes_at_most(&packed(CompressionKind::Zstd, plain)).expect("blocks");
            assert!((plain.len()..=CHUNK_BYTES_MAX).contains(&bytes), "{bytes} for {}", plain.len());
        }
        let mut twice = packed(CompressionKind::Zstd, &text);
        twice.extend_from_within(..);
        assert!(zstd_bytes_at_most(&twice).expect("two frames") >= 2_000_000);
        assert_eq!(zstd_bytes_at_most(b"no zstd"), None);
    }
}
