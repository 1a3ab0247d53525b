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

/// hdrhistogram's own recording with two digits.
fn directly(durations: &[u64]) -> Histogram<u64> {
    let mut histogram = histogram();
    durations.iter().for_each(|nanos| histogram.record(*nanos).expect("in range"));
    histogram
}

proptest! {
    /// However durations are spread over tasks that still run and tasks that were folded, what is read is what direct
    /// recording would have given, within two digits.
    #[test]
    fn poured_and_folded_equal_direct_recording(tasks in vec((vec(nanos(), 0..50), any::<bool>()), 1..8)) {
        let (mut times, mut folded) = (Times::default(), Folded::default());
        for (durations, ended) in &tasks {
            let buckets = recorded(durations);
            if *ended {
                let mut scratch = Times::default();
                scratch.add_folded(&folded);
                scratch.add(&buckets);
                folded = scratch.fold();
            } else {
                times.add(&buckets);
            }
        }
        times.add_folded(&folded);
        let all: Vec<u64> = tasks.iter().flat_map(|(durations, _)| durations.iter().copied()).collect();
        prop_assert_eq!(times.count(), all.len() as u64);
        prop_assert_eq!(times.sum(), all.iter().sum::<u64>());
        prop_assert_eq!(times.max(), all.iter().copied().max().unwrap_or_default());
        let direct = directly(&all);
        for (quantile, seen) in QUANTILES.iter().zip(times.quantiles(&QUANTILES)) {
            let expected = direct.value_at_quantile(*quantile);
            // Either is off by a hundredth at most.
            prop_assert!(seen.abs_diff(expected) <= expected / 50 + 1, "{}: {} is not {}", quantile, seen, expected);
            prop_assert!(seen <= times.max());
        }
    }

    #[test]
    fn what_is_emptied_is_as_new(durations in vec(nanos(), 0..50)) {
        let mut times = Times::default();
        times.add(&recorded(&durations));
        times.clear();
        prop_assert_eq!((times.count(), times.sum(), times.max(), times.fold()), (0, 0, 0, Folded::default()));
    }
}

#[test]
fn quantiles_come_out_as_they_went_in() {
    let micros: Vec<u64> = (1..=1000).map(|micros| micros * 1000).chain([u64::MAX]).collect();
    let mut times = Times::default();
    times.add(&recorded(&micros));
    let [median, most] = times.quantiles(&[0.5, 1.0]);
    assert!(median.abs_diff(501_000) <= 501_000 / 64, "{median}");
    assert!(times.max() == MAX && most.abs_diff(MAX) <= MAX / 64, "{most}");
}

#[test]
fn nothing_has_no_quantiles() {
    let times = Times::default();
    assert_eq!(times.quantiles(&QUANTILES), [0; 7]);
}
