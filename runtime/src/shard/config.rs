//! Every bound of the shards, with its name and default.

use std::time::Duration;

use super::cpus::CpuList;
use super::stall::{StackHook, StallSettings};
use super::watchdog::FatalAction;

/// How the shards are set up. `docs/core-time.md` says why the defaults are what they are.
#[derive(Clone, Debug)]
pub struct ShardsConfig {
    /// CPUs to use, a shard each; `None` for all that [`allowed_cpus`](super::allowed_cpus) gives.
    pub cpus: Option<CpuList>,
    /// Nice value of the work executors and of the blocking threads, 0 to 19. At 0 jobs hold the CPU for milliseconds
    /// against a flood of requests, at 19 requests alone can starve them.
    pub work_nice: i32,
    /// Entries of each io_uring of an executor (three rings each), 1 to 4096.
    pub ring_depth: usize,
    /// Bytes that an executor pins for direct file access (three times over, by its three rings), at least 64 KiB.
    pub io_memory: usize,
    /// Messages that an executor's mailbox holds; the next one is refused.
    pub mailbox_capacity: usize,
    /// Tasks of an executor from which on it leaves messages in its mailbox.
    pub tasks_max: usize,
    /// Longest time an executor runs without looking at its I/O if a driver forgot to; at least 100 ms, because a
    /// shorter one lets the executor sleep with work in its queue.
    pub preempt_timer: Duration,
    /// Longest sleep of an executor that has just had something to do: the guard against one that sleeps although it has
    /// work.
    pub tick: Duration,
    /// The same for a work executor that has tasks. When a tick has found nothing, its next one comes after `tick`.
    pub tick_with_tasks: Duration,
    /// Longest sleep of any other executor whose last tick has found nothing.
    pub tick_idle: Duration,
    /// Time that a task on the work side keeps the token, and that a job of weight 1 gets in a round.
    pub work_slice: Duration,
    /// Time after which a task on the front side gives way, where it asks.
    pub front_slice: Duration,
    /// Time that the watchdog lets an executor sleep although it has work, before it wakes it.
    pub watchdog_wake: Duration,
    /// Time without progress from which on an executor is logged.
    pub watchdog_warn: Duration,
    /// Time without progress, although there is work, after which the process ends.
    pub watchdog_abort: Duration,
    /// Time that a single step of a task may take on the work side before the process ends. On the front side
    /// `watchdog_abort` is the limit of a step, too.
    pub work_step_max: Duration,
    /// What steps may use of CPU time.
    pub stalls: StallSettings,
    /// What takes the stacks of stalls; `None` logs them without.
    pub stacks: Option<StackHook>,
    /// What the watchdog does when it gives up; `None` writes the report to stderr and exits with 70.
    pub fatal: Option<FatalAction>,
    /// Threads for closures that block.
    pub blocking_threads: usize,
    /// Closures that wait for such a thread; the next one is refused.
    pub blocking_queue: usize,
}

impl Default for ShardsConfig {
    fn default() -> Self {
        Self {
            cpus: None,
            work_nice: 10,
            ring_depth: 256,
            io_memory: Self::IO_MEMORY_MIN,
            mailbox_capacity: 4096,
            tasks_max: 65_536,
            preempt_timer: Self::PREEMPT_TIMER_MIN,
            tick: Duration::from_millis(100),
            tick_with_tasks: Duration::from_millis(5),
            tick_idle: Duration::from_secs(1),
            work_slice: Duration::from_millis(2),
            front_slice: Duration::from_micros(100),
            watchdog_wake: Duration::from_millis(100),
            watchdog_warn: Duration::from_secs(1),
            watchdog_abort: Duration::from_secs(10),
            work_step_max: Duration::from_secs(300),
            stalls: StallSettings::default(),
            stacks: None,
            fatal: None,
            blocking_threads: 4,
            blocking_queue: 1024,
        }
    }
}

impl ShardsConfig {
    /// The shortest preempt timer with which no executor was seen asleep with work in its queue.
    pub const PREEMPT_TIMER_MIN: Duration = Duration::from_millis(100);
    /// The least that an executor pins.
    pub const IO_MEMORY_MIN: usize = 64 << 10;

    /// The first option that is out of its bounds, as a message with the cure.
    pub(super) fn problem(&self) -> Option<String> {
        let least = |name: &str, value: Duration, least: Duration| {
            (value < least).then(|| format!("{name} is {value:?}; it must be at least {least:?}"))
        };
        let within = |name: &str, value: i64, low: i64, high: i64| {
            (value < low || value > high).then(|| format!("{name} is {value}; it must be {low} to {high}"))
        };
        let count = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let ms = Duration::from_millis(1);
        within("work_nice", i64::from(self.work_nice), 0, 19)
            .or_else(|| within("ring_depth", count(self.ring_depth), 1, 4096))
            .or_else(|| within("io_memory", count(self.io_memory), count(Self::IO_MEMORY_MIN), 1 << 30))
            .or_else(|| within("mailbox_capacity", count(self.mailbox_capacity), 1, 1 << 20))
            .or_else(|| within("tasks_max", count(self.tasks_max), 1, 1 << 24))
            .or_else(|| within("blocking_threads", count(self.blocking_threads), 1, 512))
            .or_else(|| within("blocking_queue", count(self.blocking_queue), 1, 1 << 20))
            .or_else(|| least("preempt_timer", self.preempt_timer, Self::PREEMPT_TIMER_MIN))
            .or_else(|| least("tick", self.tick, ms))
            .or_else(|| least("tick_with_tasks", self.tick_with_tasks, ms))
            .or_else(|| least("tick_idle", self.tick_idle, self.tick))
            .or_else(|| least("work_slice", self.work_slice, ms / 10))
            .or_else(|| least("front_slice", self.front_slice, ms / 10))
            .or_else(|| least("stall_front", self.stalls.front, StallSettings::LIMIT_MIN))
            .or_else(|| least("stall_work", self.stalls.work, StallSettings::LIMIT_MIN))
            .or_else(|| least("watchdog_wake", self.watchdog_wake, 10 * ms))
            .or_else(|| least("watchdog_warn", self.watchdog_warn, 2 * self.tick))
            .or_else(|| least("watchdog_warn", self.watchdog_warn, 2 * self.watchdog_wake))
            .or_else(|| least("watchdog_abort", self.watchdog_abort, 2 * self.watchdog_warn))
            .or_else(|| least("work_step_max", self.work_step_max, self.watchdog_abort))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_their_own_bounds() {
        assert_eq!(ShardsConfig::default().problem(), None);
    }

    #[test]
    fn a_value_out_of_bounds_is_named_with_its_bound() {
        let config = ShardsConfig { preempt_timer: Duration::from_millis(1), ..ShardsConfig::default() };
        assert_eq!(config.problem().as_deref(), Some("preempt_timer is 1ms; it must be at least 100ms"));
        let config = ShardsConfig { work_nice: -5, ..ShardsConfig::default() };
        assert_eq!(config.problem().as_deref(), Some("work_nice is -5; it must be 0 to 19"));
    }
}
