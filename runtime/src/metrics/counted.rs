//! Durations counted up to some bounds, as scrapers are told them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Buckets;
use super::layout::{MAX, ROW, index_of};

/// Durations of any number of [`Buckets`]: how many are at most each of some bounds, how many there are, and their sum.
///
/// What is not asked for, the maximum and the shape between the bounds, costs nothing: buckets are walked through once,
/// and nothing of them is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted<const N: usize> {
    at_most: [u64; N],
    count: u64,
    sum: u64,
}

impl<const N: usize> Counted<N> {
    /// Counts what these buckets hold up to each of the bounds, which are in nanoseconds and rise. A bound is as exact as
    /// the buckets are.
    pub fn of<'b>(bounds: &[u64; N], buckets: impl IntoIterator<Item = &'b Buckets>) -> Self {
        let ends = bounds.map(|bound| index_of(bound.min(MAX)) + 1);
        let mut counted = Self { at_most: [0; N], count: 0, sum: 0 };
        buckets.into_iter().for_each(|buckets| counted.add(&ends, buckets));
        counted
    }

    /// Adds the counts of the buckets before each of these ends.
    fn add(&mut self, ends: &[usize; N], buckets: &Buckets) {
        let (mut seen, mut next) = (0, 0);
        for (number, row) in buckets.rows() {
            let (begin, mut from) = (number * ROW, 0);
            while next < N && ends[next] <= begin + ROW {
                // A bound before this row lies in one that is empty.
                let end = ends[next].saturating_sub(begin).max(from);
                seen += total(&row[from..end]);
                from = end;
                self.at_most[next] += seen;
                next += 1;
            }
            seen += total(&row[from..]);
        }
        self.at_most[next..].iter_mut().for_each(|count| *count += seen);
        self.count += seen;
        self.sum = self.sum.saturating_add(buckets.sum());
    }

    /// How many durations are at most each of the bounds.
    pub fn at_most(&self) -> &[u64; N] {
        &self.at_most
    }

    /// Durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the durations, in nanoseconds.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

/// Each count grows by one for a duration: no sum of them comes near 2^64.
fn total(counts: &[AtomicU64]) -> u64 {
    counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// As long as anything may take; short ones are as likely as long ones.
    fn nanos() -> impl Strategy<Value = u64> {
        (0u32..41, any::<u64>()).prop_map(|(power, bits)| (1 << power) | (bits & ((1 << power) - 1)))
    }

    fn recorded(durations: &[u64]) -> Buckets {
        let buckets = Buckets::default();
        durations.iter().for_each(|nanos| buckets.record(*nanos));
        buckets
    }

    proptest! {
        /// However durations are spread over buckets and rows, those up to a bound are counted, within two digits.
        #[test]
        fn durations_up_to_each_bound_are_counted_within_two_digits(
            buckets in vec(vec(nanos(), 0..60), 0..4),
            mut bounds in [nanos(), nanos(), nanos(), nanos(), nanos()],
        ) {
            bounds.sort_unstable();
            let recorded: Vec<_> = buckets.iter().map(|durations| recorded(durations)).collect();
            let counted = Counted::of(&bounds, &recorded);
            let all = buckets.concat();
            let up_to = |bound: u64| all.iter().filter(|nanos| **nanos <= bound).count() as u64;
            for (bound, seen) in bounds.into_iter().zip(counted.at_most()) {
                prop_assert!((up_to(bound - bound / 50)..=up_to(bound + bound / 50)).contains(seen), "{} {}", bound, seen);
            }
            prop_assert_eq!((counted.count(), counted.sum()), (all.len() as u64, all.iter().sum()));
        }
    }

    #[test]
    fn a_duration_at_a_bound_counts_as_within_it() {
        let counted =
            Counted::of(&[999, 1_000, 1_000_000, 10_000_000], [&recorded(&[1_000, 1_000_000, 2_000_000, MAX])]);
        assert_eq!((counted.at_most(), counted.count()), (&[0, 1, 2, 3], 4));
        let beyond = Counted::of(&[u64::MAX], [&recorded(&[5, u64::MAX])]);
        assert_eq!((beyond.at_most(), beyond.count()), (&[2], 2));
    }

    #[test]
    fn nothing_is_counted_where_nothing_was_recorded() {
        assert_eq!(Counted::of(&[1, 1_000], []), Counted { at_most: [0, 0], count: 0, sum: 0 });
        assert_eq!(Counted::of(&[1], [&Buckets::default()]).count(), 0);
    }
}
