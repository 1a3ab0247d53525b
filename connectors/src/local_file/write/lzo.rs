//! LZO1X, and the files of `lzop` that hold it.
//!
//! A block of LZO1X is a row of instructions: literals, and matches by length and distance. The low two bits of a
//! match's last byte but one count up to three literals behind it.
//!
//! | instruction | bytes |
//! |---|---|
//! | literals at the start, up to 238 | `17 + n` |
//! | literals, 4 to 18 | `n - 3` |
//! | literals, 19 and more | `0`, then `n - 18` as zeros for 255 each and the rest |
//! | match of 3 to 8, up to 2 KiB back | `(n - 1) << 5 \| (d & 7) << 2`, `d >> 3` |
//! | match, up to 16 KiB back | `32 \| n - 2`, a length beyond 33 as above; `(d & 63) << 2`, `d >> 6` |
//! | match, up to 48 KiB back | `16 \| far << 3 \| n - 2`, a length beyond 9 as above; two bytes as above |
//! | end | `17`, `0`, `0` |

/// Plain bytes of a block: what lzop itself takes.
pub const BLOCK_BYTES: usize = 256 << 10;

const MAGIC: [u8; 9] = [0x89, b'L', b'Z', b'O', 0, b'\r', b'\n', 0x1a, b'\n'];
/// Version of lzop that is written as, of the library, and the oldest that can read it.
const VERSIONS: [u16; 3] = [0x1030, 0x2080, 0x0940];
const METHOD_LZO1X_1: u8 = 1;
const LEVEL: u8 = 3;
/// Made on Unix; each block has the Adler-32 of its plain bytes.
const FLAGS: u32 = 0x0300_0001;
const MODE: u32 = 0o100_644;

const HASH_BITS: u32 = 14;
const MATCH_MIN: usize = 4;
const NEAR_MAX: usize = 0x800;
const MIDDLE_MAX: usize = 0x4000;
const FAR_MAX: usize = 0xbfff;

/// Compresses blocks; keeps its table between them.
pub struct Lzo {
    /// Place behind the one where four bytes with a hash were last seen; 0 for none.
    seen: Box<[u32]>,
}

impl Default for Lzo {
    fn default() -> Self {
        Self { seen: vec![0; 1 << HASH_BITS].into() }
    }
}

impl Lzo {
    /// Appends a block; `plain` is far below 4 GiB.
    pub fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.seen.fill(0);
        let start = out.len();
        let (mut at, mut literals) = (0, 0);
        while at + MATCH_MIN <= plain.len() {
            let Some(from) = self.find(plain, at) else {
                // Bytes that do not compress are passed faster and faster.
                at += 1 + ((at - literals) >> 5);
                continue;
            };
            let length = common_length(plain, from, at);
            write_literals(&plain[literals..at], out.len() == start, out);
            write_match(length, at - from, out);
            at += length;
            literals = at;
        }
        write_literals(&plain[literals..], out.len() == start, out);
        out.extend_from_slice(&[17, 0, 0]);
    }

    /// Where the four bytes at a place stood before.
    fn find(&mut self, plain: &[u8], at: usize) -> Option<usize> {
        let four = plain.get(at..at + MATCH_MIN)?;
        let hash = u32::from_le_bytes(four.try_into().ok()?).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS);
        let seen = std::mem::replace(&mut self.seen[hash as usize], at as u32 + 1);
        let from = (seen as usize).checked_sub(1)?;
        (at - from <= FAR_MAX && plain[from..from + MATCH_MIN] == *four).then_some(from)
    }
}

fn common_length(plain: &[u8], from: usize, at: usize) -> usize {
    plain[from..].iter().zip(&plain[at..]).take_while(|(one, other)| one == other).count()
}

/// What is beyond an instruction's own count: zeros for 255 each, then 1 to 255.
fn write_more(mut count: usize, out: &mut Vec<u8>) {
    while count > 255 {
        out.push(0);
        count -= 255;
    }
    out.push(count as u8);
}

fn write_literals(literals: &[u8], first: bool, out: &mut Vec<u8>) {
    match literals.len() {
        0 => return,
        count if first && count <= 238 => out.push(17 + count as u8),
        count @ 1..=3 => {
            let behind_match = out.len() - 2;
            out[behind_match] |= count as u8;
        }
        count @ 4..=18 => out.push(count as u8 - 3),
        count => {
            out.push(0);
            write_more(count - 18, out);
        }
    }
    out.extend_from_slice(literals);
}

fn write_match(length: usize, distance: usize, out: &mut Vec<u8>) {
    if length <= 8 && distance <= NEAR_MAX {
        let distance = distance - 1;
        out.push(((length - 1) << 5 | (distance & 7) << 2) as u8);
        out.push((distance >> 3) as u8);
        return;
    }
    let (kind, own_max, distance) = if distance <= MIDDLE_MAX {
        (32, 33, distance - 1)
    } else {
        let distance = distance - MIDDLE_MAX;
        (16 | (distance & 0x4000) >> 11, 9, distance & 0x3fff)
    };
    if length <= own_max {
        out.push((kind | (length - 2)) as u8);
    } else {
        out.push(kind as u8);
        write_more(length - own_max, out);
    }
    out.push(((distance & 63) << 2) as u8);
    out.push((distance >> 6) as u8);
}

/// Appends the head of an lzop file, without a name and a time.
pub fn write_head(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    let start = out.len();
    for version in VERSIONS {
        out.extend_from_slice(&version.to_be_bytes());
    }
    out.extend_from_slice(&[METHOD_LZO1X_1, LEVEL]);
    for number in [FLAGS, MODE, 0, 0] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.push(0);
    let checksum = adler32(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}

/// Appends a block of an lzop file; one that does not become smaller stays plain.
pub fn write_block(lzo: &mut Lzo, plain: &[u8], out: &mut Vec<u8>) {
    debug_assert!(!plain.is_empty() && plain.len() <= BLOCK_BYTES);
    out.extend_from_slice(&(plain.len() as u32).to_be_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&adler32(plain).to_be_bytes());
    let start = out.len();
    lzo.compress(plain, out);
    if out.len() - start >= plain.len() {
        out.truncate(start);
        out.extend_from_slice(plain);
    }
    let length = (out.len() - start) as u32;
    out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

/// What ends an lzop file.
pub const END: [u8; 4] = [0; 4];

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    // The longest run whose sums stay below 2^32.
    const RUN: usize = 5552;
    let (mut low, mut high) = (1, 0);
    for run in bytes.chunks(RUN) {
        for byte in run {
            low += u32::from(*byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(plain: &[u8]) {
        let mut out = Vec::new();
        Lzo::default().compress(plain, &mut out);
        let back = lzokay_native::decompress_all(&out, Some(plain.len())).expect("what was compressed");
        assert!(back == plain, "{} bytes came back as {}", plain.len(), back.len());
    }

    #[test]
    fn lengths_and_distances_of_every_instruction_come_back() {
        for literals in [1, 3, 4, 18, 19, 238, 239, 300, 1000] {
            let noise: Vec<u8> = (0..literals).map(|at| (at * 7919 % 251) as u8 ^ (at / 251) as u8).collect();
            for length in [3, 4, 8, 9, 10, 33, 34, 300, 600] {
                for distance in [1, 7, 0x7ff, 0x800, 0x801, 0x4000, 0x4001, 0x8000, 0xbfff, 0xc000] {
                    let mut plain = noise.clone();
                    plain.extend_from_slice(b"unique start of a match that is long enough to be found ");
                    plain.extend(
                        (0..distance as u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()).take(distance),
                    );
                    let from = plain.len() - distance;
                    for at in 0..length {
                        plain.push(plain[from + at]);
                    }
                    plain.extend_from_slice(b"!?");
                    round_trip(&plain);
                }
            }
        }
        round_trip(b"");
        round_trip(b"a");
        round_trip(&[0; 100_000]);
    }

    #[test]
    fn what_repeats_becomes_small() {
        let text = "a line that is there again and again, with a number\n".repeat(1000);
        let mut out = Vec::new();
        Lzo::default().compress(text.as_bytes(), &mut out);
        assert!(out.len() < text.len() / 50, "{}", out.len());
    }

    #[test]
    fn checksums_are_adler_32() {
        assert_eq!(adler32(b""), 1);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(&[0xff; 100_000]), 0x149a_302c);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(plain in proptest::collection::vec(0u8..4, 0..2000)) {
            round_trip(&plain);
        }

        #[test]
        fn every_mix_comes_back(pieces in proptest::collection::vec((any::<u16>(), 0usize..400), 1..60)) {
            let mut plain = Vec::new();
            for (seed, length) in pieces {
                if seed % 2 == 0 || plain.len() < 8 {
                    plain.extend((0..length as u32).map(|at| (at.wrapping_mul(u32::from(seed)) >> 3) as u8));
                } else {
                    let from = usize::from(seed) % plain.len();
                    for at in 0..length {
                        plain.push(plain[from + at]);
                    }
                }
            }
            round_trip(&plain);
        }
    }
}
