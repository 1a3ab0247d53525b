//! Read limits (contract B.9): how many rows and bytes a second a source task may send.
//!
//! A limit is a bucket that fills at the rate of the limit and holds what comes in [`BURST`]. It is empty at the start,
//! so that at no time more has gone out than the rate allows since then, and never more than 5 % above it in any
//! second. Batches are cut so that what goes out at once is worth [`PIECE`]: a limit of one row a second sends a row
//! each second, not a batch each hour.

use std::time::{Duration, Instant};

/// What a bucket holds: time that a task lost (its core was busy) may be made up for within this.
const BURST: Duration = Duration::from_millis(50);
/// What goes out at once, if that is a row or more.
const PIECE: Duration = Duration::from_millis(10);
/// Longest wait for one piece; limits are at least one a second, and a row has less than this many bytes.
const WAIT_SECONDS_MAX: f64 = 31_536_000.0;

/// What `env` says, for each source task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadLimits {
    /// `read_limit.rows_per_second`
    pub rows_per_second: Option<u64>,
    /// `read_limit.bytes_per_second`, bytes as the metrics count them (contract A.6).
    pub bytes_per_second: Option<u64>,
}

/// Paces one task.
pub(super) struct Pace {
    rows: Option<Bucket>,
    bytes: Option<Bucket>,
}

/// Tells when so many units may go, one time after the other.
struct Bucket {
    per_second: f64,
    /// What has gone is paid for up to this moment.
    paid_until: Option<Instant>,
}

impl Bucket {
    fn new(per_second: u64) -> Self {
        Self { per_second: per_second.max(1) as f64, paid_until: None }
    }

    fn time_of(&self, units: u64) -> Duration {
        Duration::from_secs_f64((units as f64 / self.per_second).min(WAIT_SECONDS_MAX))
    }

    /// Pays for units; gives the moment at which they may go.
    fn pay(&mut self, units: u64, now: Instant) -> Instant {
        let oldest = now.checked_sub(BURST).unwrap_or(now);
        let until = self.paid_until.unwrap_or(now).max(oldest) + self.time_of(units);
        self.paid_until = Some(until);
        until
    }

    /// Units that go out at once.
    fn piece(&self) -> f64 {
        self.per_second * PIECE.as_secs_f64()
    }
}

impl Pace {
    /// `None` without a limit.
    pub fn new(limits: ReadLimits) -> Option<Self> {
        let pace =
            Self { rows: limits.rows_per_second.map(Bucket::new), bytes: limits.bytes_per_second.map(Bucket::new) };
        (pace.rows.is_some() || pace.bytes.is_some()).then_some(pace)
    }

    /// Whether bytes count.
    pub fn counts_bytes(&self) -> bool {
        self.bytes.is_some()
    }

    /// How many rows of about this size to send at once.
    pub fn rows_at_once(&self, row_bytes: f64) -> usize {
        let by_rows = self.rows.as_ref().map_or(f64::MAX, Bucket::piece);
        let by_bytes = self.bytes.as_ref().map_or(f64::MAX, |bytes| bytes.piece() / row_bytes.max(1.0));
        // A cast of a float stops at the bounds of the integer.
        (by_rows.min(by_bytes) as usize).max(1)
    }

    /// Pays for rows; gives the moment at which they may go.
    pub fn pay(&mut self, rows: u64, bytes: u64, now: Instant) -> Instant {
        let by_rows = self.rows.as_mut().map_or(now, |bucket| bucket.pay(rows, now));
        let by_bytes = self.bytes.as_mut().map_or(now, |bucket| bucket.pay(bytes, now));
        by_rows.max(by_bytes)
    }

    /// How long it takes to send so much.
    pub fn time_of(&self, rows: u64, bytes: u64) -> Duration {
        let of =
            |bucket: &Option<Bucket>, units| bucket.as_ref().map_or(Duration::ZERO, |bucket| bucket.time_of(units));
        of(&self.rows, rows).max(of(&self.bytes, bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace(rows: Option<u64>, bytes: Option<u64>) -> Pace {
        Pace::new(ReadLimits { rows_per_second: rows, bytes_per_second: bytes }).expect("a limit")
    }

    #[test]
    fn low_limits_flow_evenly() {
        let (begin, mut slow) = (Instant::now(), pace(Some(1), None));
        assert_eq!(slow.rows_at_once(8.0), 1);
        for second in 1..=5 {
            assert_eq!(slow.pay(1, 0, begin), begin + Duration::from_secs(second));
        }
        let mut few = pace(None, Some(100));
        assert_eq!(few.rows_at_once(1000.0), 1);
        assert_eq!(few.pay(1, 250, begin), begin + Duration::from_millis(2500));
    }

    #[test]
    fn the_narrower_of_two_limits_counts() {
        let both = pace(Some(1000), Some(8000));
        assert_eq!((both.rows_at_once(1.0), both.rows_at_once(40.0)), (10, 2));
        assert_eq!(both.time_of(500, 40_000), Duration::from_secs(5));
        assert!(Pace::new(ReadLimits::default()).is_none());
    }

    #[test]
    fn a_task_that_keeps_up_sends_at_the_rate_exactly() {
        let (begin, mut pace) = (Instant::now(), pace(Some(12_345), None));
        let mut now = begin;
        let mut sent = 0;
        while now < begin + Duration::from_secs(10) {
            let rows = pace.rows_at_once(8.0) as u64;
            now = now.max(pace.pay(rows, 0, now));
            sent += rows;
        }
        let rate = sent as f64 / now.duration_since(begin).as_secs_f64();
        assert!((rate - 12_345.0).abs() < 1.0, "{rate}");
    }

    proptest! {
        #[test]
        fn no_second_sends_more_than_a_twentieth_above_the_limit(
            limit in 1_u64..100_000,
            late_ms in prop::collection::vec(0_u64..400, 1..200),
        ) {
            let (begin, mut pace) = (Instant::now(), pace(Some(limit), None));
            let mut now = begin;
            let mut sent: Vec<(Instant, u64)> = Vec::new();
            for late in late_ms {
                let rows = pace.rows_at_once(8.0) as u64;
                let due = pace.pay(rows, 0, now);
                // Awake late, or busy with the rows.
                now = now.max(due) + Duration::from_millis(if late < 300 { 0 } else { late });
                sent.push((now, rows));
            }
            for (index, (from, _)) in sent.iter().enumerate() {
                let window = sent[index..].iter().take_while(|(at, _)| *at <= *from + Duration::from_secs(1));
                let (count, last): (u64, u64) = window.fold((0, 0), |(sum, _), (_, rows)| (sum + rows, *rows));
                // What is due at either end of the window belongs to the seconds beside it.
                prop_assert!((count - last) as f64 <= limit as f64 * 1.05 + 2.0 * last as f64, "{} of {}", count, limit);
            }
            let elapsed = now.duration_since(begin).as_secs_f64();
            let all: u64 = sent.iter().map(|(_, rows)| rows).sum();
            prop_assert!(all as f64 <= limit as f64 * elapsed + 1.0, "{} in {}", all, elapsed);
        }
    }
}
