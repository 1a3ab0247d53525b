//! When to try again.

use std::time::Duration;

/// How often a request is tried again, and how long to wait before: the multiplier times 1, 1, 2, 3, 5, 8 ... (Fibonacci,
/// as the reference engine's client), up to a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    pub retries: u64,
    pub multiplier: Duration,
    pub pause_max: Duration,
}

impl RetryPolicy {
    /// The pause after so many failed tries; `None` when there is no further one.
    pub fn pause_after(&self, failed: u64) -> Option<Duration> {
        if failed > self.retries {
            return None;
        }
        let (mut factor, mut next) = (1u32, 1u32);
        for _ in 1..failed {
            if self.multiplier.saturating_mul(factor) >= self.pause_max {
                break;
            }
            (factor, next) = (next, factor.saturating_add(next));
        }
        Some(self.multiplier.saturating_mul(factor).min(self.pause_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_limit_and_end() {
        let ms = Duration::from_millis;
        let policy = RetryPolicy { retries: 8, multiplier: ms(100), pause_max: ms(600) };
        let pauses: Vec<u128> =
            (1..=8).filter_map(|failed| policy.pause_after(failed)).map(|p| p.as_millis()).collect();
        assert_eq!(pauses, [100, 100, 200, 300, 500, 600, 600, 600]);
        assert_eq!(policy.pause_after(9), None);
        assert_eq!(RetryPolicy::default().pause_after(1), None);
        let most = RetryPolicy { retries: u64::MAX, multiplier: ms(1), pause_max: Duration::MAX };
        assert!(most.pause_after(1_000).is_some());
        let none = RetryPolicy { retries: 1, multiplier: ms(0), pause_max: ms(600) };
        assert_eq!(none.pause_after(1), Some(ms(0)));
    }
}
