//! Stalls: steps that use too much CPU time. `docs/thread-dump.md`, "Stalls", has the design.
//!
//! A stall is counted by its executor at its end ([`Judge`]), and caught in the act by the watchdog ([`Watcher`]), which
//! is woken by timers on the executors' CPU clocks ([`alarm`]). What it finds is logged, each place now and then
//! ([`places`]).

mod alarm;
mod clock;
mod judge;
mod log;
mod places;
#[cfg(test)]
mod tests;
mod watcher;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::stats::Side;

pub(super) use alarm::{Alarm, Alerts, Woken, pair as alarm_pair};
pub(super) use clock::CpuClock;
pub(super) use judge::Judge;
pub(super) use watcher::Watcher;

/// What a step may use of CPU time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StallSettings {
    /// On the front side. Default: 5 ms.
    pub front: Duration,
    /// On the work side, without passing the token. Default: 500 ms.
    pub work: Duration,
    /// How often stalls at one place are logged. Default: 1 min.
    pub log_interval: Duration,
}

impl StallSettings {
    /// The shortest limit: the kernel looks at its timers some hundred times a second.
    pub const LIMIT_MIN: Duration = Duration::from_millis(1);

    /// The limit of a side.
    pub(super) fn limit(&self, side: Side) -> Duration {
        match side {
            Side::Front => self.front,
            Side::Work => self.work,
        }
    }
}

impl Default for StallSettings {
    fn default() -> Self {
        Self {
            front: Duration::from_millis(5),
            work: Duration::from_millis(500),
            log_interval: Duration::from_secs(60),
        }
    }
}

/// Takes the stacks of threads for the shards, which know nothing of unwinding.
pub trait StackSource: Send + Sync {
    /// The stack of a thread of this process, by its id in the kernel, as it is now. Called by the watchdog while the thread
    /// runs: a matter of microseconds, and not longer than a few milliseconds. `None` when there is none to be had.
    fn capture(&self, thread: i32) -> Option<Box<dyn NamedLater>>;
}

/// A stack without names yet.
pub trait NamedLater: Send {
    /// Has the names looked up, elsewhere and later, and `then` called with them.
    fn name(self: Box<Self>, then: WithLines);
}

/// Takes the lines of a stack, innermost first; none when the names could not be looked up.
pub type WithLines = Box<dyn FnOnce(&[Arc<str>]) + Send>;

/// Where the shards get stacks from.
#[derive(Clone)]
pub struct StackHook(pub Arc<dyn StackSource>);

impl fmt::Debug for StackHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StackHook")
    }
}
