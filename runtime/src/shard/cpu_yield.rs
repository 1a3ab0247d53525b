//! When a work executor's thread yields its CPU.
//!
//! A thread that has used more than its share for a moment, as a front thread has behind a large answer, is passed over
//! when it wakes or is interrupted. It has made up for that after some 100 us, but the kernel looks again at its tick
//! alone. A yield is such a look.
//!
//! A thread that yields forfeits the rest of its own share to whoever waits for the CPU. That is meant for the front
//! thread, not for other programs; so a work thread yields only while its front executor has something to do.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;

/// Time after which a front thread has made up for a large answer, and is chosen as soon as it wakes: two ticks of the
/// kernel, and some.
const FRONT_IS_PAST: Duration = Duration::from_millis(10);

/// The yields of a work executor.
#[derive(Debug)]
pub(super) struct CpuYield {
    /// The executor that shares the CPU.
    front: Arc<Core>,
    period: Duration,
    due: Cell<Option<Instant>>,
    /// Progress of the front executor at the last look.
    seen: Cell<u64>,
    /// Until when the front executor counts as one that has something to do.
    until: Cell<Option<Instant>>,
}

impl CpuYield {
    pub(super) fn new(front: Arc<Core>, period: Duration) -> Self {
        let seen = Cell::new(front.counters.progress.get());
        Self { front, period, due: Cell::new(None), seen, until: Cell::new(None) }
    }

    /// Whether to yield. Looks at the front executor once in a period.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        if self.due.get().is_some_and(|due| now < due) {
            return false;
        }
        self.due.set(Some(now + self.period));
        let progress = self.front.counters.progress.get();
        if self.seen.replace(progress) != progress || self.front.is_awake() {
            self.until.set(Some(now + FRONT_IS_PAST));
        }
        self.until.get().is_some_and(|until| now < until)
    }
}
