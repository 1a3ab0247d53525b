//! Histogram buckets with one writer, poured into an hdrhistogram when asked.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use hdrhistogram::Histogram;

/// Buckets for each power of two: a value is known to 1/64, two significant digits.
const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
/// Largest value told apart: 2^41 ns, some 36 minutes. Larger ones count as this.
const MAX: u64 = (1 << 41) - 1;
const BUCKETS: usize = ((41 - SUB_BITS as usize) + 1) * SUB as usize;

/// Counts of durations in nanoseconds, from 1 ns to 36 minutes, with two significant digits; 9 KiB.
///
/// One thread records; any thread reads.
pub struct Buckets {
    counts: Box<[AtomicU32; BUCKETS]>,
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            counts: Box::new(std::array::from_fn(|_| AtomicU32::new(0))),
            sum: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }
}

fn index_of(value: u64) -> usize {
    if value < SUB {
        return value as usize;
    }
    let exponent = 63 - value.leading_zeros() - SUB_BITS;
    ((u64::from(exponent) << SUB_BITS) + (value >> exponent)) as usize
}

/// Largest value that falls into a bucket.
fn upper_of(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB {
        return index;
    }
    let exponent = (index >> SUB_BITS) - 1;
    let sub = (index & (SUB - 1)) | SUB;
    ((sub + 1) << exponent) - 1
}

impl Buckets {
    /// Bytes that one set of buckets takes.
    pub const BYTES: usize = BUCKETS * 4 + 16;

    /// Counts a duration. Only one thread may call this.
    #[inline]
    pub fn record(&self, nanos: u64) {
        let nanos = nanos.min(MAX);
        let slot = &self.counts[index_of(nanos)];
        slot.store(slot.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        self.sum.store(self.sum.load(Ordering::Relaxed).saturating_add(nanos), Ordering::Relaxed);
        if nanos > self.max.load(Ordering::Relaxed) {
            self.max.store(nanos, Ordering::Relaxed);
        }
    }

    /// Sum of all durations, in nanoseconds.
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    /// The longest duration, in nanoseconds.
    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Adds the counts to a histogram made by [`Buckets::histogram`].
    pub fn pour(&self, into: &mut Histogram<u64>) {
        for (index, count) in self.counts.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                into.saturating_record_n(upper_of(index).max(1), u64::from(count));
            }
        }
    }

    /// Adds how many durations were up to each of the bounds, which are nanoseconds in rising order, and behind them how
    /// many were over all; none counts twice. A duration that is less than 1/64 under a bound may count as over it.
    pub fn count_up_to(&self, bounds: &[u64], counts: &mut [u64]) {
        let mut place = 0;
        // Nothing is recorded behind the longest duration.
        for (index, count) in self.counts.iter().enumerate().take(index_of(self.max()) + 1) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                while bounds.get(place).is_some_and(|bound| *bound < upper_of(index)) {
                    place += 1;
                }
                if let Some(into) = counts.get_mut(place) {
                    *into += u64::from(count);
                }
            }
        }
    }

    /// An empty histogram of the range and precision of the buckets.
    pub fn histogram() -> Histogram<u64> {
        // The bounds are constants that hdrhistogram accepts: 1 <= low, high >= 2 * low, 2 digits.
        Histogram::new_with_bounds(1, MAX, 2).unwrap_or_else(|error| unreachable!("constant bounds: {error}"))
    }
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buckets").field("sum", &self.sum()).field("max", &self.max()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lands_in_a_bucket_that_is_true_to_two_digits() {
        let mut value = 1u64;
        while value < MAX {
            for value in [value - 1, value, value + value / 3] {
                let upper = upper_of(index_of(value.min(MAX)));
                assert!(upper >= value.min(MAX) && upper - value.min(MAX) <= value / 64, "{value} {upper}");
            }
            value *= 2;
        }
        assert_eq!(index_of(MAX), BUCKETS - 1);
    }

    #[test]
    fn durations_are_counted_by_bounds() {
        let buckets = Buckets::default();
        [500, 900, 1_000, 1_100, 70_000, 5_000_000].into_iter().for_each(|nanos| buckets.record(nanos));
        let mut counts = [0, 0, 0, 1];
        buckets.count_up_to(&[1_015, 100_000, 1_000_000], &mut counts);
        assert_eq!(counts, [3, 2, 0, 2]);
        Buckets::default().count_up_to(&[1_015], &mut counts);
        assert_eq!(counts, [3, 2, 0, 2]);
    }

    #[test]
    fn quantiles_come_out_as_they_went_in() {
        let buckets = Buckets::default();
        (1..=1000).for_each(|micros| buckets.record(micros * 1000));
        buckets.record(u64::MAX);
        let mut histogram = Buckets::histogram();
        buckets.pour(&mut histogram);
        assert_eq!(histogram.len(), 1001);
        let median = histogram.value_at_quantile(0.5) as f64;
        assert!((median - 500_000.0).abs() < 500_000.0 / 50.0, "{median}");
        assert_eq!(buckets.max(), MAX);
    }
}
