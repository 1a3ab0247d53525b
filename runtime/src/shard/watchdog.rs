//! The watchdog: a thread that looks whether each executor gets on.
//!
//! Three cases, told apart by the counters that each driver keeps:
//!
//! * *Asleep*: no progress, and no task is being polled. Every driver runs at each tick, so this is an executor that
//!   sleeps with work in its queue, or one that the kernel gives no CPU. After `watchdog_warn` it is logged and woken,
//!   each time that long again; after `watchdog_abort` with work to do, the process ends.
//! * *A long step on the front side*: no handler may take that long, and every request on that CPU waits behind it.
//!   The same two limits.
//! * *A long step on the work side*: the executor does work, only for one job. Logged after `watchdog_warn` and at each
//!   doubling; the process ends after `work_step_max`. Ending it after seconds would end every other job as well, and
//!   the restarted job would do the same step again.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ShardsConfig;
use super::core::Core;
use super::stall::{Alerts, Watcher, Woken};
use super::stats::{ExecutorStats, Side};

/// What is known of an executor that stands still.
#[derive(Clone, Debug)]
pub struct Stall {
    /// Its counters.
    pub executor: ExecutorStats,
    /// For how long it has made no progress.
    pub since: Duration,
    /// The step that it is in, if any: number of the task, id of the group, duration.
    pub step: Option<(u64, u64, Duration)>,
    /// Whether it has work to do.
    pub has_work: bool,
    /// It has ended without being told to.
    pub dead: bool,
    /// The counters of all executors, as far as known.
    pub all: Vec<ExecutorStats>,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.executor;
        if self.dead {
            write!(f, "{} on CPU {} has died", stats.name, stats.cpu)?;
        } else {
            write!(f, "{} on CPU {} has made no progress for {:.1?}", stats.name, stats.cpu, self.since)?;
        }
        if let Some((task, group, duration)) = self.step {
            write!(f, ", in a step of task {task} of group {group} for {duration:.1?}")?;
        }
        write!(
            f,
            "; {} messages wait, {} of {} tasks are ready, {} were started, {} slices, the longest {:.1?}, woken {} times",
            stats.mailbox_depth,
            stats.ready,
            stats.tasks,
            stats.started,
            stats.slices,
            Duration::from_nanos(stats.longest_slice_ns),
            stats.watchdog_wakes,
        )
    }
}

/// What to do about an executor that is given up. It is called on the watchdog's thread, or on the dying executor's.
#[derive(Clone)]
pub struct FatalAction(pub Arc<dyn Fn(&Stall) + Send + Sync>);

impl fmt::Debug for FatalAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FatalAction")
    }
}

/// Exit status of a process that the watchdog ends: EX_SOFTWARE.
const EXIT_STALLED: i32 = 70;

/// Reports the stall and ends the process, unless another action is configured.
pub(super) fn give_up(action: Option<&FatalAction>, stall: &Stall) {
    if let Some(FatalAction(action)) = action {
        return action(stall);
    }
    // Whether anybody reads it or not, the process ends; `eprintln!` would panic instead.
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(
        stderr,
        "egret: {stall}\negret: giving up, so that a supervisor can restart this process; the executors were:"
    );
    for stats in &stall.all {
        let _ = writeln!(stderr, "egret:   {stats:?}");
    }
    // SAFETY: `_exit` does not return. Unlike `exit` it runs no handlers, which may wait for the executor that hangs.
    unsafe { libc::_exit(EXIT_STALLED) }
}

/// What the watchdog has to do about an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Wake,
    Warn,
    GiveUp,
}

/// What the watchdog remembers of an executor.
struct Watched {
    core: Arc<Core>,
    progress: u64,
    still: Duration,
    next_warning: Duration,
    given_up: bool,
}

/// The limits, apart from the executors: pure, for the tests.
struct Limits {
    warn: Duration,
    abort: Duration,
    work_step_max: Duration,
}

impl Limits {
    fn verdict(&self, side: Side, in_step: bool, has_work: bool, still: Duration, next_warning: Duration) -> Verdict {
        let limit = if in_step && side == Side::Work { self.work_step_max } else { self.abort };
        if still >= limit && (has_work || in_step) {
            Verdict::GiveUp
        } else if still < next_warning {
            Verdict::Fine
        } else if in_step || has_work {
            Verdict::Warn
        } else {
            Verdict::Wake
        }
    }

    /// When to speak up again: an executor asleep is woken at an even pace, a long step told at each doubling.
    fn next_warning(&self, in_step: bool, still: Duration) -> Duration {
        if in_step { still * 2 } else { still + self.warn }
    }
}

/// Watches until the alarm is dropped.
pub(super) fn watch(cores: Vec<Arc<Core>>, config: &ShardsConfig, mut alerts: Alerts) {
    if let Err(error) = alerts.begin() {
        tracing::error!("the watchdog cannot wait, and does not watch: {error}");
        return;
    }
    let mut stalls = Watcher::new(&cores, config, &mut alerts);
    let limits =
        Limits { warn: config.watchdog_warn, abort: config.watchdog_abort, work_step_max: config.work_step_max };
    let interval = (config.watchdog_warn / 4).clamp(Duration::from_millis(10), Duration::from_millis(250));
    let mut watched: Vec<Watched> = cores
        .iter()
        .map(|core| Watched {
            core: core.clone(),
            progress: 0,
            still: Duration::ZERO,
            next_warning: limits.warn,
            given_up: false,
        })
        .collect();
    let mut looked = Instant::now();
    loop {
        match alerts.wait(looked + interval) {
            Woken::Executor(number) => stalls.look(number),
            Woken::End => return,
            Woken::Time => {}
        }
        let now = Instant::now();
        if now < looked + interval {
            continue;
        }
        stalls.look_at_all();
        // A process that was stopped, or a machine that was suspended, did not hang: a look counts twice its interval
        // at most.
        let passed = (now - looked).min(2 * interval);
        looked = now;
        for executor in &mut watched {
            if let Some(mut stall) = executor.look(&limits, passed, now) {
                stall.all = cores.iter().map(|core| core.stats()).collect();
                give_up(config.fatal.as_ref(), &stall);
            }
        }
    }
}

impl Watched {
    /// Looks at the executor; a stall comes back once, when it is to be given up.
    fn look(&mut self, limits: &Limits, passed: Duration, now: Instant) -> Option<Stall> {
        let core = &self.core;
        let progress = core.counters.progress.get();
        if progress != self.progress {
            self.progress = progress;
            self.still = Duration::ZERO;
            self.next_warning = limits.warn;
            return None;
        }
        self.still += passed;
        let step = step_of(core, now);
        let has_work = core.has_work();
        let verdict = limits.verdict(core.side, step.is_some(), has_work, self.still, self.next_warning);
        if verdict == Verdict::Fine {
            return None;
        }
        let stall = Stall { executor: core.stats(), since: self.still, step, has_work, dead: false, all: Vec::new() };
        if verdict == Verdict::GiveUp {
            return (!std::mem::replace(&mut self.given_up, true)).then_some(stall);
        }
        if verdict == Verdict::Warn {
            tracing::warn!("{stall}");
        }
        self.next_warning = limits.next_warning(step.is_some(), self.still);
        if step.is_none() {
            core.counters.watchdog_wakes.add(1);
            core.ring();
        }
        None
    }
}

/// The step that an executor is in: task, group, duration.
fn step_of(core: &Core, now: Instant) -> Option<(u64, u64, Duration)> {
    let counters = &core.counters;
    let since = counters.poll_since.get();
    let duration = Duration::from_nanos(core.clock(now).saturating_sub(since));
    (since != 0).then(|| (counters.poll_task.get(), counters.poll_group.get(), duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        warn: Duration::from_secs(1),
        abort: Duration::from_secs(10),
        work_step_max: Duration::from_secs(300),
    };

    fn verdict(side: Side, in_step: bool, has_work: bool, seconds: u64) -> Verdict {
        LIMITS.verdict(side, in_step, has_work, Duration::from_secs(seconds), LIMITS.warn)
    }

    #[test]
    fn an_executor_asleep_with_work_is_woken_and_then_given_up() {
        for side in [Side::Front, Side::Work] {
            assert_eq!(verdict(side, false, true, 0), Verdict::Fine);
            assert_eq!(verdict(side, false, true, 1), Verdict::Warn);
            assert_eq!(verdict(side, false, true, 10), Verdict::GiveUp);
        }
    }

    #[test]
    fn an_executor_without_work_is_only_woken() {
        assert_eq!(verdict(Side::Work, false, false, 5), Verdict::Wake);
        assert_eq!(verdict(Side::Front, false, false, 3600), Verdict::Wake);
    }

    #[test]
    fn a_long_step_is_fatal_on_the_front_side_long_before_it_is_on_the_work_side() {
        assert_eq!(verdict(Side::Front, true, false, 10), Verdict::GiveUp);
        assert_eq!(verdict(Side::Work, true, true, 10), Verdict::Warn);
        assert_eq!(verdict(Side::Work, true, true, 300), Verdict::GiveUp);
    }
}
