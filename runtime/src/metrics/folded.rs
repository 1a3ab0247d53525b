//! What buckets counted, folded into a few bytes once nothing more is recorded.

use super::layout::BUCKETS;

/// Counts of durations that are over: two or three bytes for each bucket that is not empty, up to 16,383 durations in it.
///
/// The bytes are numbers in LEB128, two for each of those buckets in their order: how many buckets lie between it and
/// the one before, and its count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    packed: Box<[u8]>,
    pub(super) sum: u64,
    pub(super) max: u64,
}

/// Bytes of the largest number.
const NUMBER_BYTES_MAX: usize = u64::BITS.div_ceil(7) as usize;

impl Folded {
    /// Bytes that it takes at most: when each bucket holds more than 2^63 durations. With less than 2^28 in each, and
    /// buckets of ten powers of two, it is 3.2 KiB.
    pub const BYTES_MAX: usize = size_of::<Self>() + BUCKETS * (1 + NUMBER_BYTES_MAX);

    /// Packs the counts of the buckets that are not empty, in their order.
    pub(super) fn pack(counts: impl Iterator<Item = (usize, u64)>, sum: u64, max: u64) -> Self {
        let mut packed = Vec::new();
        let mut next = 0;
        for (index, count) in counts {
            write(&mut packed, (index - next) as u64);
            write(&mut packed, count);
            next = index + 1;
        }
        Self { packed: packed.into(), sum, max }
    }

    /// The buckets that are not empty, with their counts.
    pub(super) fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        let mut rest = self.packed.iter().copied();
        let mut next = 0;
        std::iter::from_fn(move || {
            let index = next + read(&mut rest)? as usize;
            next = index + 1;
            Some((index, read(&mut rest)?))
        })
    }

    /// Bytes that it takes, itself included.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.packed.len()
    }
}

fn write(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::super::layout::ROW;
    use super::*;

    fn packed(counts: &[(usize, u64)]) -> Folded {
        Folded::pack(counts.iter().copied(), 1, 2)
    }

    #[test]
    fn counts_come_back_as_they_were_packed() {
        let cases: [&[(usize, u64)]; 5] = [
            &[],
            &[(0, 1)],
            &[(BUCKETS - 1, u64::MAX)],
            &[(0, 127), (1, 128), (200, 16_383), (201, 16_384)],
            &[(5, u64::MAX), (6, 1), (ROW, 1 << 63)],
        ];
        for counts in cases {
            assert_eq!(packed(counts).counts().collect::<Vec<_>>(), counts);
        }
    }

    #[test]
    fn a_bucket_takes_two_or_three_bytes_and_all_of_them_the_stated_bound() {
        let bare = packed(&[]).bytes();
        assert_eq!(packed(&[(7, 100)]).bytes(), bare + 2);
        assert_eq!(packed(&[(7, 100), (9, 16_383)]).bytes(), bare + 5);
        let full: Vec<_> = (0..BUCKETS).map(|index| (index, u64::MAX)).collect();
        assert_eq!(packed(&full).bytes(), Folded::BYTES_MAX);
    }
}
