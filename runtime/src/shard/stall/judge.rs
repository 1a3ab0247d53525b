//! What an executor itself says of its steps.

use super::super::core::Core;
use super::clock::CpuClock;

/// Judges the steps of an executor, on its own thread.
///
/// Asking for the CPU time is a call into the kernel, too dear for every step. So a mark is set now and then, and what the
/// thread may have used between the mark and a step, that is the time by the clock, is not held against the step.
pub(in crate::shard) struct Judge {
    limit_ns: u64,
    /// Age of a mark from which on it is renewed: how much a stall may go beyond the limit unnoticed.
    mark_age_ns: u64,
}

impl Judge {
    /// For steps that may use so much CPU time.
    pub(in crate::shard) fn new(limit: std::time::Duration) -> Self {
        let limit_ns = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        Self { limit_ns, mark_age_ns: limit_ns / 10 }
    }

    /// Before steps; `now` is by the executor's clock.
    pub(in crate::shard) fn begin(&self, core: &Core, now: u64) {
        let counters = &core.counters;
        if now.saturating_sub(counters.cpu_mark_at.get()) >= self.mark_age_ns || counters.cpu_mark.get() == 0 {
            mark(core, now);
        }
    }

    /// After a step from `began` to `end` by the executor's clock.
    pub(in crate::shard) fn end(&self, core: &Core, began: u64, end: u64) {
        // Nobody uses more CPU time than passes by the clock: the rest is for the few steps that may be stalls.
        if end.saturating_sub(began) > self.limit_ns {
            self.end_of_long(core, began, end);
        }
    }

    #[cold]
    fn end_of_long(&self, core: &Core, began: u64, end: u64) {
        let counters = &core.counters;
        let Some(used) = CpuClock::OWN.read().and_then(|cpu| used_since(core, began, cpu)) else { return };
        if used > self.limit_ns {
            counters.stalls.add(1);
            counters.stall_cpu_ns.add(used);
            // The watchdog tells of those that it has caught.
            if counters.caught.get() != began {
                counters.missed_cpu_ns.set(used);
                counters.missed_stalls.add(1);
            }
        }
        mark(core, end);
    }
}

/// Notes the CPU time so far.
fn mark(core: &Core, now: u64) {
    if let Some(cpu) = CpuClock::OWN.read() {
        core.counters.cpu_mark.set(cpu.max(1));
        core.counters.cpu_mark_at.set(now);
        // A step that begins later is not seen before its mark.
        std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
    }
}

/// What a step that began at `began` has used at least when the thread has used `cpu`; `None` without a mark.
pub(super) fn used_since(core: &Core, began: u64, cpu: u64) -> Option<u64> {
    let mark = core.counters.cpu_mark.get();
    let before = began.saturating_sub(core.counters.cpu_mark_at.get());
    (mark != 0).then(|| cpu.saturating_sub(mark).saturating_sub(before))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::super::ShardId;
    use super::super::super::stats::Side;
    use super::*;

    fn core() -> Core {
        Core::new(Side::Front, ShardId(0), 0, 1)
    }

    fn use_cpu(amount: Duration) {
        let amount = amount.as_nanos() as u64;
        let began = CpuClock::OWN.read().expect("a time");
        while CpuClock::OWN.read().expect("a time") - began < amount {}
    }

    /// Runs a step; how many stalls have been counted since the start.
    fn step(judge: &Judge, core: &Core, run: impl FnOnce()) -> u64 {
        let began = core.clock(Instant::now());
        judge.begin(core, began);
        run();
        judge.end(core, began, core.clock(Instant::now()));
        core.counters.stalls.get()
    }

    /// CPU time that is lost between two lines, to the kernel or to the machine below, is far from these limits.
    #[test]
    fn a_step_is_judged_by_its_cpu_time_and_not_by_the_clock() {
        let (judge, core) = (Judge::new(Duration::from_millis(50)), core());
        assert_eq!(step(&judge, &core, || ()), 0);
        assert_eq!(step(&judge, &core, || std::thread::sleep(Duration::from_millis(60))), 0, "it waited");
        let before = CpuClock::OWN.read().expect("a time");
        assert_eq!(step(&judge, &core, || use_cpu(Duration::from_millis(60))), 1);
        let most = CpuClock::OWN.read().expect("a time") - before;
        let used = core.counters.stall_cpu_ns.get();
        // The age of the mark is not held against it.
        assert!((54_000_000..=most).contains(&used), "{used} of {most}");
        assert_eq!((core.counters.missed_stalls.get(), core.counters.missed_cpu_ns.get()), (1, used));
    }

    #[test]
    fn what_was_used_before_a_step_is_not_held_against_it() {
        const LIMIT: Duration = Duration::from_millis(200);
        let (judge, core) = (Judge::new(LIMIT), core());
        // Many short steps before one that is not quite long enough.
        for _ in 0..30 {
            step(&judge, &core, || use_cpu(LIMIT / 20));
        }
        let began = core.clock(Instant::now());
        judge.begin(&core, began);
        use_cpu(LIMIT / 2);
        let used = used_since(&core, began, CpuClock::OWN.read().expect("a time"));
        assert!(used.is_some_and(|used| u128::from(used) < LIMIT.as_nanos()), "{used:?}");
        judge.end(&core, began, core.clock(Instant::now()));
        assert_eq!(core.counters.stalls.get(), 0);
    }

    #[test]
    fn a_stall_that_was_caught_is_counted_and_not_missed() {
        let (judge, core) = (Judge::new(Duration::from_millis(2)), core());
        let began = core.clock(Instant::now());
        judge.begin(&core, began);
        core.counters.caught.set(began);
        use_cpu(Duration::from_millis(3));
        judge.end(&core, began, core.clock(Instant::now()));
        assert_eq!((core.counters.stalls.get(), core.counters.missed_stalls.get()), (1, 0));
    }
}
