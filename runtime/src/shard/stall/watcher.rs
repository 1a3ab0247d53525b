//! Catching stalls in the act, on the watchdog's thread.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use super::super::ShardsConfig;
use super::super::core::Core;
use super::clock::CpuClock;
use super::judge::used_since;
use super::log::{Caught, StallLog};
use super::{Alerts, StackHook};

/// Watches the steps of all executors.
pub(in crate::shard) struct Watcher {
    executors: Vec<Executor>,
    stacks: Option<StackHook>,
    log: StallLog,
}

struct Executor {
    core: Arc<Core>,
    clock: CpuClock,
    limit: Duration,
    /// Stalls that were missed when it was last looked.
    missed: u64,
}

/// A timer shorter than this would cost more than it finds: the kernel looks at such timers at its tick.
const PERIOD_MIN: Duration = Duration::from_millis(1);

impl Watcher {
    /// Watches these executors, which run. Each wakes the alerts whenever it has used half of what a step may use. Where
    /// the kernel gives no timers, that is logged, and stalls are caught by chance alone.
    pub(in crate::shard) fn new(cores: &[Arc<Core>], config: &ShardsConfig, alerts: &mut Alerts) -> Self {
        let mut failed = None;
        let executor = |(number, core): (usize, &Arc<Core>)| {
            let limit = config.stalls.limit(core.side);
            let thread = core.thread.load(Ordering::Acquire);
            let clock = CpuClock::of(thread);
            let armed = alerts.watch(thread, number, (limit / 2).max(PERIOD_MIN));
            // A thread that has ended has no clock: a start that fails elsewhere ends the executors at once.
            if let Err(error) = armed
                && clock.read().is_some()
            {
                failed.get_or_insert(error);
            }
            Executor { core: core.clone(), clock, limit, missed: 0 }
        };
        let executors = cores.iter().enumerate().map(executor).collect();
        if let Some(error) = failed {
            tracing::warn!(
                "the kernel gives no timers on CPU time, so that most stalls are logged without a stack: {error}"
            );
        }
        Self { executors, stacks: config.stacks.clone(), log: StallLog::new(config.stalls.log_interval) }
    }

    /// An executor has used CPU time: looks whether its step is a stall.
    pub(in crate::shard) fn look(&mut self, number: usize) {
        let Some(executor) = self.executors.get(number) else { return };
        let Some(used) = executor.stalled() else { return };
        let core = &executor.core;
        let began = core.counters.poll_since.get();
        let job = Some(core.counters.poll_job.get() as i64).filter(|job| *job != 0);
        // From here on the watchdog tells of this step, whether it has a stack of it or not.
        core.counters.caught.set(began);
        let caught = Caught { executor: core.name.clone(), side: core.side, job, used, limit: executor.limit };
        let stack =
            self.stacks.as_ref().and_then(|StackHook(stacks)| stacks.capture(core.thread.load(Ordering::Acquire)));
        // One that was taken after the step had ended shows something else.
        let stack = stack.filter(|_| core.counters.poll_since.get() == began);
        let log = self.log.clone();
        match stack {
            Some(stack) => stack.name(Box::new(move |lines| log.caught(&caught, lines))),
            None => log.caught(&caught, &[]),
        }
    }

    /// Looks at all executors, and tells of the stalls that had ended before they were caught.
    pub(in crate::shard) fn look_at_all(&mut self) {
        for number in 0..self.executors.len() {
            self.look(number);
        }
        for executor in &mut self.executors {
            let counters = &executor.core.counters;
            let missed = counters.missed_stalls.get();
            if missed > executor.missed {
                let used = Duration::from_nanos(counters.missed_cpu_ns.get());
                self.log.missed(&executor.core.name, missed - executor.missed, used);
                executor.missed = missed;
            }
        }
    }
}

impl Executor {
    /// The CPU time of the running step, if that is a stall that was not seen before.
    fn stalled(&self) -> Option<Duration> {
        let counters = &self.core.counters;
        let began = counters.poll_since.get();
        // Pairs with that of the mark: the mark before this step is seen, or a newer one, by which it has used less.
        fence(Ordering::Acquire);
        let by_clock = Duration::from_nanos(self.core.clock(Instant::now()).saturating_sub(began));
        if began == 0 || counters.caught.get() == began || by_clock <= self.limit {
            return None;
        }
        let used = Duration::from_nanos(used_since(&self.core, began, self.clock.read()?)?);
        // What was read belongs together if the step still runs.
        (used > self.limit && counters.poll_since.get() == began).then_some(used)
    }
}
