//! The thread that looks at the counters once a second.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{NodeProbe, Timelines};
use crate::shard::lower_priority;

/// Requests go first: with ten thousand tasks a look takes milliseconds.
const NICE: i32 = 10;
/// So long after the begin of a second it is looked at, so that the clocks agree on which one it is.
const BEHIND: Duration = Duration::from_micros(500);

/// Looks at the counters until it is dropped.
#[derive(Debug)]
pub struct Ticker {
    timelines: Weak<Timelines>,
    generation: u64,
    thread: Thread,
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // Unless another one has taken its place.
        if let Some(timelines) = self.timelines.upgrade() {
            let next = self.generation + 1;
            let _ = timelines.generation.compare_exchange(self.generation, next, Ordering::AcqRel, Ordering::Relaxed);
        }
        self.thread.unpark();
    }
}

impl Timelines {
    /// Starts the thread, `egret-timelines`; one that was started before ends. The probe is called on it.
    ///
    /// To be called from a thread that is pinned to no CPU: the new one may use the same ones.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self: &Arc<Self>, probe: NodeProbe) -> io::Result<Ticker> {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let timelines = Arc::downgrade(self);
        let run = {
            let timelines = timelines.clone();
            move || run(&timelines, generation, probe)
        };
        let handle = thread::Builder::new().name("egret-timelines".to_owned()).spawn(run)?;
        Ok(Ticker { timelines, generation, thread: handle.thread().clone() })
    }
}

fn run(timelines: &Weak<Timelines>, generation: u64, mut probe: NodeProbe) {
    if let Err(error) = lower_priority(NICE) {
        tracing::debug!("timelines are written at the priority of requests: {error}");
    }
    let mut panic_told = false;
    loop {
        // Whoever holds the timelines may let them go while this one sleeps.
        let Some(alive) = timelines.upgrade() else { return };
        if alive.generation.load(Ordering::Acquire) != generation {
            return;
        }
        let look = || alive.look(wall(), steady(), &mut probe);
        if catch_unwind(AssertUnwindSafe(look)).is_err() {
            alive.counts.panics.add(1);
            if !std::mem::replace(&mut panic_told, true) {
                tracing::error!("a look at the counters for timelines panicked; the timelines go on with the next one");
            }
        }
        alive.counts.cpu_ns.set(nanos(libc::CLOCK_THREAD_CPUTIME_ID));
        drop(alive);
        thread::park_timeout(until_next_second());
    }
}

impl Timelines {
    /// Looks at everything at a Unix second; `steady` is the time of a clock that nobody sets.
    pub(super) fn look(&self, wall: i64, steady: Duration, probe: &mut NodeProbe) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        keeper.look(self, wall, steady, probe);
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn wall() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

/// The time since the machine was started, with the time for which it was suspended: so that is a gap, and not a step of
/// the clock.
fn steady() -> Duration {
    Duration::from_nanos(nanos(libc::CLOCK_BOOTTIME))
}

fn until_next_second() -> Duration {
    let into = Duration::from_nanos(u64::from(since_1970().subsec_nanos()));
    Duration::from_secs(1).saturating_sub(into) + BEHIND
}

fn nanos(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec, which the call fills.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    // Both clocks are there since Linux 2.6.39.
    debug_assert_eq!(status, 0);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
