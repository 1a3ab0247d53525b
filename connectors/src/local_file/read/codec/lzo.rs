//! Blocks of LZO1X. The library that unpacks them takes what memory they ask for, and may panic on broken ones: so
//! their instructions are walked first, which tells how many bytes they make.

use super::super::guarded;

/// Unpacks a block.
///
/// # Errors
/// When it is broken, or makes more than `bytes_max` bytes.
pub fn unpack(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, String> {
    let bytes = plain_bytes(packed).ok_or("broken lzo data: a block without an end")?;
    if bytes > bytes_max {
        return Err(format!("broken lzo data: a block of {bytes} bytes, more than {bytes_max}"));
    }
    let unpacked = guarded(|| lzokay_native::decompress_all(packed, Some(bytes)))?;
    unpacked.map_err(|error| format!("broken lzo data: {error}"))
}

/// Bytes that a block makes; none when it has no end.
pub fn plain_bytes(packed: &[u8]) -> Option<usize> {
    let mut walk = Walk { packed, at: 0 };
    let mut bytes = 0;
    // Literals behind the last copy: 4 stands for a long row of them.
    let mut literals = 0;
    let first = usize::from(*packed.first()?);
    if first >= 18 {
        walk.at = first - 16;
        bytes = first - 17;
        literals = bytes.min(4);
    }
    loop {
        let code = usize::from(walk.byte()?);
        let copied = match code {
            64.. => {
                walk.byte()?;
                literals = code & 3;
                (code >> 5) + 1
            }
            32.. => {
                let copied = walk.length(code & 31, 31)? + 2;
                literals = walk.word()? & 3;
                copied
            }
            16.. => {
                let copied = walk.length(code & 7, 7)? + 2;
                let word = walk.word()?;
                if code & 8 == 0 && word >> 2 == 0 {
                    return (walk.at <= packed.len()).then_some(bytes);
                }
                literals = word & 3;
                copied
            }
            _ if literals == 0 => {
                let row = walk.length(code, 15)? + 3;
                walk.at = walk.at.checked_add(row)?;
                bytes += row;
                literals = 4;
                continue;
            }
            _ => {
                walk.byte()?;
                let copied = if literals == 4 { 3 } else { 2 };
                literals = code & 3;
                copied
            }
        };
        walk.at += literals;
        bytes += copied + literals;
    }
}

struct Walk<'a> {
    packed: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.packed.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self) -> Option<usize> {
        Some(usize::from(self.byte()?) | usize::from(self.byte()?) << 8)
    }

    /// A length: as its instruction says, or in the bytes behind, with 255 for each that is zero.
    fn length(&mut self, short: usize, most: usize) -> Option<usize> {
        if short != 0 {
            return Some(short);
        }
        let mut length = most;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Some(length + usize::from(last)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_that_grows_beyond_its_bound_is_refused() {
        let packed = lzokay_native::compress(&[7; 1 << 20]).expect("packed");
        assert_eq!(unpack(&packed, 1 << 20).map(|plain| plain.len()), Ok(1 << 20));
        let error = unpack(&packed, (1 << 20) - 1).expect_err("too large");
        assert_eq!(error, "broken lzo data: a block of 1048576 bytes, more than 1048575");
        assert!(unpack(&packed[..packed.len() - 1], 1 << 20).expect_err("cut").contains("without an end"));
        assert!(unpack(&[], 10).is_err());
    }

    proptest! {
        #[test]
        fn blocks_make_as_many_bytes_as_they_are_said_to(
            words in prop::collection::vec((any::<u8>(), 1usize..600, any::<bool>()), 1..60),
        ) {
            let mut plain = Vec::new();
            for (byte, times, is_mixed) in words {
                plain.extend((0..times).map(|at| if is_mixed { byte.wrapping_mul(at as u8) ^ at as u8 } else { byte }));
            }
            let packed = lzokay_native::compress(&plain).expect("packed");
            prop_assert_eq!(plain_bytes(&packed), Some(plain.len()));
            prop_assert_eq!(unpack(&packed, plain.len()), Ok(plain));
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(packed in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(plain) = unpack(&packed, 1 << 20) {
                prop_assert_eq!(plain_bytes(&packed), Some(plain.len()));
            }
        }
    }
}
