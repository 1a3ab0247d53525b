//! Job ids.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// 2024-01-01T00:00:00Z in milliseconds: ids of 18 digits until 2038.
const EPOCH_MS: u64 = 1_704_067_200_000;
/// Bits below the milliseconds: two million ids a millisecond.
const SEQUENCE_BITS: u32 = 21;

/// Makes ids that rise with time and never repeat within a process, positive and of 18 digits (contract A.3).
#[derive(Debug, Default)]
pub struct JobIds {
    last: AtomicU64,
}

impl JobIds {
    /// A new id.
    pub fn next(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let now = u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(EPOCH_MS) << SEQUENCE_BITS;
        let previous = self
            .last
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some((last + 1).max(now)))
            .unwrap_or_else(|last| last);
        i64::try_from((previous + 1).max(now)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_have_18_digits() {
        let ids = JobIds::default();
        let made: Vec<i64> = (0..10_000).map(|_| ids.next()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.iter().all(|id| id.to_string().len() == 18), "{}", made[0]);
    }
}
