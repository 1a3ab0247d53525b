//! How long things take on an executor.

use super::{ShardId, Side};
use crate::metrics::Buckets;

/// What an executor is timed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorTime {
    /// From the moment at which another thread wakes the sleeping executor until it runs.
    WakeUp = 0,
    /// From the moment at which its tick is due until it runs, when it sleeps and nothing else wakes it before. Every
    /// timer of a sleeping executor, and every request that reaches one, waits as long.
    Tick = 1,
    /// A slice: one poll of one task.
    Slice = 2,
    /// A reactor turn between two slices, in which I/O is submitted and reaped while tasks are ready.
    Turn = 3,
    /// From the moment at which a task is ready (started, or woken) until it is polled.
    TokenWait = 4,
    /// From the sending of a message until it is taken from the mailbox.
    Mailbox = 5,
}

impl ExecutorTime {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::WakeUp, Self::Tick, Self::Slice, Self::Turn, Self::TokenWait, Self::Mailbox];
}

/// Times of one executor since the start. Its thread records; any thread reads.
#[derive(Debug, Default)]
pub struct ExecutorTimes([Buckets; ExecutorTime::ALL.len()]);

impl ExecutorTimes {
    /// What was recorded.
    pub fn of(&self, of: ExecutorTime) -> &Buckets {
        &self.0[of as usize]
    }

    /// Counts a duration in nanoseconds. Only the executor's thread may call this.
    #[inline]
    pub(super) fn record(&self, of: ExecutorTime, nanos: u64) {
        self.0[of as usize].record(nanos);
    }
}

/// The times of an executor, with whose they are.
#[derive(Clone, Copy, Debug)]
pub struct TimedExecutor<'s> {
    /// Name of its thread, like `egret-front-0`.
    pub name: &'s str,
    /// Its shard.
    pub shard: ShardId,
    /// Its side.
    pub side: Side,
    /// Its times.
    pub times: &'s ExecutorTimes,
}
