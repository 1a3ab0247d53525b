//! Finds the bytes that structure a line, 64 at a time.

/// Bytes that one step looks at.
const BLOCK: usize = 64;

/// Walks over the places of either of two bytes, in order.
pub struct Scanner<'a> {
    bytes: &'a [u8],
    wanted: [u8; 2],
    /// Start of the block that `mask` tells of.
    block: usize,
    /// A bit for each wanted byte of the block that was not passed yet.
    mask: u64,
}

impl<'a> Scanner<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8], wanted: [u8; 2]) -> Self {
        let mut scanner = Self { bytes, wanted, block: 0, mask: 0 };
        scanner.mask = scanner.load(0);
        scanner
    }

    /// Goes on from a place, which is not before the last one found.
    pub fn seek(&mut self, at: usize) {
        let block = at / BLOCK * BLOCK;
        if block != self.block {
            self.block = block;
            self.mask = self.load(block);
        }
        self.mask &= u64::MAX << (at % BLOCK);
    }

    /// The next place, behind the last one found.
    #[inline]
    pub fn next_place(&mut self) -> Option<usize> {
        while self.mask == 0 {
            if self.block + BLOCK >= self.bytes.len() {
                return None;
            }
            self.block += BLOCK;
            self.mask = self.load(self.block);
        }
        let place = self.block + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(place)
    }

    #[inline]
    fn load(&self, block: usize) -> u64 {
        match self.bytes.get(block..block + BLOCK).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => places(bytes, self.wanted),
            None => {
                let rest = self.bytes.get(block..).unwrap_or_default();
                let mut padded = [0; BLOCK];
                padded[..rest.len()].copy_from_slice(rest);
                // The padding must not be taken for wanted zero bytes.
                places(&padded, self.wanted) & !(u64::MAX.checked_shl(rest.len() as u32).unwrap_or(0))
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn places(bytes: &[u8; BLOCK], wanted: [u8; 2]) -> u64 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8};
    let mut mask = 0;
    // SAFETY: SSE2 is part of every x86_64; each load reads the 16 bytes of its chunk, with no demand on alignment.
    unsafe {
        let first = _mm_set1_epi8(wanted[0] as i8);
        let second = _mm_set1_epi8(wanted[1] as i8);
        for (index, chunk) in bytes.chunks_exact(16).enumerate() {
            let lane = _mm_loadu_si128(chunk.as_ptr().cast());
            let found = _mm_or_si128(_mm_cmpeq_epi8(lane, first), _mm_cmpeq_epi8(lane, second));
            mask |= u64::from(_mm_movemask_epi8(found) as u16) << (16 * index);
        }
    }
    mask
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn places(bytes: &[u8; BLOCK], wanted: [u8; 2]) -> u64 {
    bytes
        .iter()
        .enumerate()
        .fold(0, |mask, (index, byte)| mask | u64::from(*byte == wanted[0] || *byte == wanted[1]) << index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_is_found_from_every_start(
            bytes in proptest::collection::vec(prop_oneof![Just(b','), Just(b'\n'), Just(0u8), any::<u8>()], 0..300),
            start in 0usize..300,
            wanted in prop_oneof![Just([b',', b'\n']), Just([0, b'\n'])],
        ) {
            let start = start.min(bytes.len());
            let mut scanner = Scanner::new(&bytes, wanted);
            scanner.seek(start);
            let found: Vec<usize> = std::iter::from_fn(|| scanner.next_place()).collect();
            let expected: Vec<usize> = (start..bytes.len()).filter(|at| wanted.contains(&bytes[*at])).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
