//! Which bucket a duration falls into: 64 buckets for each power of two of nanoseconds, so that a duration is known to
//! within 1/128, two significant digits.

/// Bits of a duration that tell the buckets of a row apart.
const SUB_BITS: u32 = 6;
/// Buckets of a row.
pub(super) const ROW: usize = 1 << SUB_BITS;
/// Largest duration told apart: 2^41 ns, some 36 minutes. Longer ones count as this.
pub(super) const MAX: u64 = (1 << 41) - 1;
/// Rows: one for durations below 64 ns, and one for each power of two from there on.
pub(super) const ROWS: usize = 41 - SUB_BITS as usize + 1;
/// All buckets.
pub(super) const BUCKETS: usize = ROWS * ROW;

/// The bucket of a duration of at most [`MAX`] nanoseconds.
#[inline]
pub(super) fn index_of(nanos: u64) -> usize {
    if nanos < ROW as u64 {
        return nanos as usize;
    }
    let exponent = 63 - nanos.leading_zeros() - SUB_BITS;
    ((exponent as usize) << SUB_BITS) + (nanos >> exponent) as usize
}

/// The duration that stands for a bucket: its middle, which is off by 1/128 at most.
pub(super) fn middle_of(index: usize) -> u64 {
    let (row, column) = (index / ROW, (index % ROW) as u64);
    if row == 0 {
        return column;
    }
    let exponent = row - 1;
    let width = 1u64 << exponent;
    ((column + ROW as u64) << exponent) + (width - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_near_the_middle_of_its_bucket() {
        let powers = (0..41).map(|power| 1u64 << power);
        for nanos in powers.flat_map(|power| [power - 1, power, power + power / 3, power * 2 - 1]) {
            let middle = middle_of(index_of(nanos));
            assert!(middle.abs_diff(nanos) <= nanos / 128, "{nanos} {middle}");
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        assert_eq!((index_of(0), index_of(MAX)), (0, BUCKETS - 1));
        for index in 0..BUCKETS {
            assert_eq!(index_of(middle_of(index)), index);
            assert!(index == 0 || middle_of(index) > middle_of(index - 1), "{index}");
        }
    }
}
