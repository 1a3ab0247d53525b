//! Histogram buckets with one writer, which grow as they are used.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::{MAX, ROW, ROWS, index_of};

/// The buckets of a power of two.
type Row = [AtomicU64; ROW];

/// Counts of durations in nanoseconds, up to 36 minutes, with two significant digits.
///
/// One thread records; any thread reads. The buckets of a power of two (512 bytes) are allocated when the first
/// duration falls into them, so what lasts between 10 and 100 us each time takes 2.6 KiB.
///
/// A reader that looks on while a duration is recorded may find it in some of count, sum and maximum only.
pub struct Buckets {
    rows: [OnceLock<Box<Row>>; ROWS],
    sum: AtomicU64,
    max: AtomicU64,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { rows: [const { OnceLock::new() }; ROWS], sum: AtomicU64::new(0), max: AtomicU64::new(0) }
    }
}

impl Buckets {
    /// Bytes that a set of buckets takes at most: when durations of every power of two were recorded.
    pub const BYTES_MAX: usize = size_of::<Self>() + ROWS * size_of::<Row>();

    /// Counts a duration. Only one thread may call this.
    #[inline]
    pub fn record(&self, nanos: u64) {
        let nanos = nanos.min(MAX);
        let index = index_of(nanos);
        let row = self.rows[index / ROW].get_or_init(|| Box::new([const { AtomicU64::new(0) }; ROW]));
        add(&row[index % ROW], 1);
        add(&self.sum, nanos);
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

    /// Bytes that it takes now, itself included.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.rows().count() * size_of::<Row>()
    }

    /// The rows that there are, with their numbers.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.rows.iter().enumerate().filter_map(|(number, row)| Some((number, &**row.get()?)))
    }
}

/// Adds to a number of which this thread is the only writer: no locked instruction is needed.
#[inline]
fn add(number: &AtomicU64, amount: u64) {
    number.store(number.load(Ordering::Relaxed).saturating_add(amount), Ordering::Relaxed);
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
    fn memory_is_taken_for_the_powers_of_two_that_occur() {
        let buckets = Buckets::default();
        let empty = buckets.bytes();
        (10_000..100_000).step_by(7).for_each(|nanos| buckets.record(nanos));
        assert_eq!(buckets.bytes(), empty + 4 * 512);
        assert!(buckets.bytes() < 2_700, "{}", buckets.bytes());
        (0..41).for_each(|power| buckets.record(1 << power));
        assert_eq!(buckets.bytes(), Buckets::BYTES_MAX);
    }
}
