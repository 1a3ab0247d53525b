//! The watchdog: a thread that looks whether each executor gets on.
//!
//! Four cases, told apart by the counters that each driver keeps:
//!
//! * *Asleep with work*: no progress, no task is being polled, and there is work, or another thread wakes the executor.
//!   After `watchdog_wake` it is woken, at each look again, unless it is awake and the kernel gives it no CPU; after
//!   `watchdog_warn` it is logged, each time that long again; after `watchdog_abort` the process ends.
//! * *Asleep beyond its tick*, without work: woken.
//! * *A long step on the front side*: no handler may take that long, and every request on that CPU waits behind it.
//!   The same two limits.
//! * *A long step on the work side*: the executor does work, only for one job. Logged after `watchdog_warn` and at each
//!   doubling; the process ends after `work_step_max`. Ending it after seconds would end every other job as well, and
//!   the restarted job would do the same step again.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
    /// It was waited for when it was last looked at.
    waited_for: bool,
    still: Duration,
    next_warning: Duration,
    given_up: bool,
}

/// What an executor without progress is seen in.
#[derive(Clone, Copy, Debug)]
struct Seen {
    side: Side,
    in_step: bool,
    has_work: bool,
    being_woken: bool,
}

impl Seen {
    /// Whether it should make progress. One that is not waited for may sleep until its tick.
    fn is_waited_for(self) -> bool {
        self.in_step || self.has_work || self.being_woken
    }
}

/// The limits, apart from the executors: pure, for the tests.
struct Limits {
    /// Longest sleep of an executor that is not waited for, with some time to spare.
    sleep: Duration,
    wake: Duration,
    warn: Duration,
    abort: Duration,
    work_step_max: Duration,
}

impl Limits {
    /// `still`: for how long it has made no progress although it was waited for, or at all if it is not.
    fn verdict(&self, seen: Seen, still: Duration, next_warning: Duration) -> Verdict {
        let limit = if seen.in_step && seen.side == Side::Work { self.work_step_max } else { self.abort };
        let has_to_do = seen.has_work || seen.in_step;
        let wake = if seen.is_waited_for() { self.wake } else { self.sleep };
        if still >= limit && has_to_do {
            Verdict::GiveUp
        } else if still >= next_warning && has_to_do {
            Verdict::Warn
        } else if still >= wake && !seen.in_step {
            Verdict::Wake
        } else {
            Verdict::Fine
        }
    }

    /// When to speak up again: an executor asleep is told at an even pace, a long step at each doubling.
    fn next_warning(&self, in_step: bool, still: Duration) -> Duration {
        if in_step { still * 2 } else { still + self.warn }
    }
}

/// Between two looks.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
const INTERVAL_MAX: Duration = Duration::from_millis(250);

/// Watches until the alarm is dropped.
pub(super) fn watch(cores: Vec<Arc<Core>>, config: &ShardsConfig, mut alerts: Alerts) {
    if let Err(error) = alerts.begin() {
        tracing::error!("the watchdog cannot wait, and does not watch: {error}");
        return;
    }
    let mut stalls = Watcher::new(&cores, config, &mut alerts);
    let limits = Limits {
        sleep: config.tick_idle + config.watchdog_warn,
        wake: config.watchdog_wake,
        warn: config.watchdog_warn,
        abort: config.watchdog_abort,
        work_step_max: config.work_step_max,
    };
    let interval = config.watchdog_wake.min(config.watchdog_warn / 4).clamp(INTERVAL_MIN, INTERVAL_MAX);
    let mut watched: Vec<Watched> = cores
        .iter()
        .map(|core| Watched {
            core: core.clone(),
            progress: 0,
            waited_for: false,
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
        let step = step_of(core, now);
        let has_work = core.has_work();
        let seen = Seen { side: core.side, in_step: step.is_some(), has_work, being_woken: core.is_being_woken() };
        let waited_for = seen.is_waited_for();
        // Work that has come since the last look was not there for all the time that the executor has slept.
        let came = waited_for && !std::mem::replace(&mut self.waited_for, waited_for);
        if progress != self.progress || came {
            self.progress = progress;
            self.still = Duration::ZERO;
            self.next_warning = limits.warn;
            return None;
        }
        self.still += passed;
        let verdict = limits.verdict(seen, self.still, self.next_warning);
        if verdict == Verdict::Fine {
            return None;
        }
        let stall = Stall { executor: core.stats(), since: self.still, step, has_work, dead: false, all: Vec::new() };
        if verdict == Verdict::GiveUp {
            return (!std::mem::replace(&mut self.given_up, true)).then_some(stall);
        }
        if verdict == Verdict::Warn {
            tracing::warn!("{stall}");
            self.next_warning = limits.next_warning(step.is_some(), self.still);
        }
        let only_waits_for_cpu = || verdict == Verdict::Wake && is_runnable(core.thread.load(Ordering::Acquire));
        if step.is_none() && !only_waits_for_cpu() {
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

/// Whether the kernel has a thread among those that run, or wait for a CPU.
fn is_runnable(thread: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
    // Its number, its name in brackets, its state.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_runs_is_told_from_one_that_sleeps() {
        // SAFETY: the call takes nothing and cannot fail.
        let own = || unsafe { libc::gettid() };
        assert!(is_runnable(own()));
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let (go, gate) = std::sync::mpsc::sync_channel::<()>(0);
        let sleeper = std::thread::spawn(move || {
            tell.send(own()).expect("somebody listens");
            let _ = gate.recv();
        });
        let id = told.recv().expect("an id");
        let until_it_does_not_run = || {
            let patience = Instant::now() + Duration::from_secs(60);
            while is_runnable(id) {
                assert!(Instant::now() < patience, "it runs for ever");
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        until_it_does_not_run();
        drop(go);
        sleeper.join().expect("ended");
        until_it_does_not_run();
    }

    const LIMITS: Limits = Limits {
        sleep: Duration::from_secs(2),
        wake: Duration::from_millis(100),
        warn: Duration::from_secs(1),
        abort: Duration::from_secs(10),
        work_step_max: Duration::from_secs(300),
    };

    fn verdict(side: Side, in_step: bool, has_work: bool, ms: u64) -> Verdict {
        let seen = Seen { side, in_step, has_work, being_woken: false };
        LIMITS.verdict(seen, Duration::from_millis(ms), LIMITS.warn)
    }

    #[test]
    fn an_executor_asleep_with_work_is_woken_told_and_then_given_up() {
        for side in [Side::Front, Side::Work] {
            assert_eq!(verdict(side, false, true, 99), Verdict::Fine);
            assert_eq!(verdict(side, false, true, 100), Verdict::Wake);
            assert_eq!(verdict(side, false, true, 1_000), Verdict::Warn);
            assert_eq!(verdict(side, false, true, 10_000), Verdict::GiveUp);
        }
    }

    #[test]
    fn an_executor_that_is_being_woken_and_does_not_run_is_woken_again() {
        let seen = Seen { side: Side::Work, in_step: false, has_work: false, being_woken: true };
        let verdict = |ms| LIMITS.verdict(seen, Duration::from_millis(ms), LIMITS.warn);
        assert_eq!([verdict(99), verdict(100), verdict(60_000)], [Verdict::Fine, Verdict::Wake, Verdict::Wake]);
    }

    #[test]
    fn an_executor_without_work_is_only_woken_and_not_before_its_tick() {
        assert_eq!(verdict(Side::Work, false, false, 1_999), Verdict::Fine);
        assert_eq!(verdict(Side::Work, false, false, 5_000), Verdict::Wake);
        assert_eq!(verdict(Side::Front, false, false, 3_600_000), Verdict::Wake);
    }

    #[test]
    fn a_long_step_is_fatal_on_the_front_side_long_before_it_is_on_the_work_side() {
        assert_eq!(verdict(Side::Front, true, false, 10_000), Verdict::GiveUp);
        assert_eq!(verdict(Side::Work, true, true, 10_000), Verdict::Warn);
        assert_eq!(verdict(Side::Work, true, true, 300_000), Verdict::GiveUp);
    }
}
