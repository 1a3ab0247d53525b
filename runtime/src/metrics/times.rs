//! Durations added up for a reader: from any number of buckets, of tasks and cores that go on meanwhile.

use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;

use super::layout::{BUCKETS, MAX, ROW, ROWS, middle_of};
use super::{Buckets, Folded};

/// The quantiles that are published, beside the maximum.
pub const QUANTILES: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999];

/// Durations of any number of [`Buckets`] and [`Folded`]: their count, sum, maximum and quantiles, in nanoseconds.
///
/// All readers go by this type. It takes 18 KiB; one that is emptied serves for the next.
#[derive(Clone)]
pub struct Times {
    counts: Box<[u64; BUCKETS]>,
    /// Rows that are not empty, a bit each.
    used: u64,
    count: u64,
    sum: u64,
    max: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), used: 0, count: 0, sum: 0, max: 0 }
    }
}

impl Times {
    /// Adds what these buckets have counted so far.
    pub fn add(&mut self, buckets: &Buckets) {
        for (number, row) in buckets.rows() {
            self.used |= 1 << number;
            let counts = &mut self.counts[number * ROW..][..ROW];
            let mut sum = self.count;
            for (into, count) in counts.iter_mut().zip(row) {
                let count = count.load(Ordering::Relaxed);
                *into = into.saturating_add(count);
                sum = sum.saturating_add(count);
            }
            self.count = sum;
        }
        self.add_extremes(buckets.sum(), buckets.max());
    }

    /// Adds what is folded.
    pub fn add_folded(&mut self, folded: &Folded) {
        for (index, count) in folded.counts() {
            self.used |= 1 << (index / ROW);
            self.counts[index] = self.counts[index].saturating_add(count);
            self.count = self.count.saturating_add(count);
        }
        self.add_extremes(folded.sum, folded.max);
    }

    fn add_extremes(&mut self, sum: u64, max: u64) {
        self.sum = self.sum.saturating_add(sum);
        self.max = self.max.max(max);
    }

    /// Empties it.
    pub fn clear(&mut self) {
        let used = self.used;
        (0..ROWS).filter(|number| (used >> number) & 1 == 1).for_each(|number| {
            self.counts[number * ROW..][..ROW].fill(0);
        });
        (self.used, self.count, self.sum, self.max) = (0, 0, 0, 0);
    }

    /// Folds it, to be kept.
    pub fn fold(&self) -> Folded {
        Folded::pack(self.counts(), self.sum, self.max)
    }

    /// Durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the durations, in nanoseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The longest duration, in nanoseconds; 0 where there is none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The durations, in nanoseconds, which these shares of all (0 to 1) do not exceed; 0 where there is none.
    pub fn quantiles<const N: usize>(&self, quantiles: &[f64; N]) -> [u64; N] {
        if self.count == 0 {
            return [0; N];
        }
        let mut histogram = histogram();
        self.counts().for_each(|(index, count)| histogram.saturating_record_n(middle_of(index), count));
        // The middle of a bucket may lie beyond the longest duration in it.
        quantiles.map(|quantile| histogram.value_at_quantile(quantile).min(self.max))
    }

    /// The buckets that are not empty, with their counts.
    fn counts(&self) -> impl Iterator<Item = (usize, u64)> {
        let rows = (0..ROWS).filter(|number| (self.used >> number) & 1 == 1);
        let buckets = rows.flat_map(|number| number * ROW..(number + 1) * ROW);
        buckets.map(|index| (index, self.counts[index])).filter(|(_, count)| *count > 0)
    }
}

/// An empty histogram of the range and precision of the buckets.
fn histogram() -> Histogram<u64> {
    // The bounds are constants that hdrhistogram accepts: 1 <= low, high >= 2 * low, 2 digits.
    Histogram::new_with_bounds(1, MAX, 2).unwrap_or_else(|error| unreachable!("constant bounds: {error}"))
}

impl std::fmt::Debug for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, sum, max, .. } = self;
        f.debug_struct("Times").field("count", count).field("sum", sum).field("max", max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
