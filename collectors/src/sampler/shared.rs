//! What the sampler's thread and those who ask share. Nobody who asks blocks on it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::thread::Thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use atomic_waker::AtomicWaker;
use crossbeam::queue::ArrayQueue;

use super::{Part, Parts, Sample, SamplerSettings, SamplerStats};
use crate::details::Details;
use crate::heap::SizeClass;
use crate::threads::ThreadSample;
use crate::vitals::Vitals;

/// A sampler that has not answered for so long is said to hang.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(5);

pub(super) struct Shared {
    pub(super) settings: SamplerSettings,
    pub(super) vitals: ArcSwap<Sample<Vitals>>,
    pub(super) details: ArcSwap<Sample<Details>>,
    pub(super) threads: ArcSwap<Sample<Vec<ThreadSample>>>,
    pub(super) allocations: ArcSwap<Sample<Vec<SizeClass>>>,
    epoch: Instant,
    /// Parts that are asked for and that the thread has not begun with.
    asked: AtomicU8,
    /// Since when something is asked for and not answered, by [`Shared::clock`]; 0: nothing is.
    unanswered_since: AtomicU64,
    /// When each part was last tried, whatever came of it, by [`Shared::clock`].
    tried: [AtomicU64; Part::ALL.len()],
    /// Those to be called after the next sample; some may have given up.
    waiters: ArrayQueue<Arc<Waiter>>,
    /// Those who wait and have not given up.
    waiting: AtomicUsize,
    silence_told: AtomicBool,
    stopping: AtomicBool,
    thread: OnceLock<Thread>,
    samples: [AtomicU64; Part::ALL.len()],
    cpu_ns: AtomicU64,
    panics: AtomicU64,
    late: AtomicU64,
    refused: AtomicU64,
}

/// One who waits for a sample.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    waker: AtomicWaker,
    is_queued: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("settings", &self.settings).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(settings: SamplerSettings) -> Self {
        Self {
            vitals: ArcSwap::default(),
            details: ArcSwap::default(),
            threads: ArcSwap::default(),
            allocations: ArcSwap::default(),
            epoch: Instant::now(),
            asked: AtomicU8::new(0),
            unanswered_since: AtomicU64::new(0),
            tried: Default::default(),
            waiters: ArrayQueue::new(settings.waiters_max),
            waiting: AtomicUsize::new(0),
            silence_told: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            thread: OnceLock::new(),
            samples: Default::default(),
            cpu_ns: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            late: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            settings,
        }
    }

    /// Nanoseconds since the start, never 0.
    fn clock(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// When the newest sample of a part was taken.
    pub(super) fn taken(&self, part: Part) -> Option<Instant> {
        match part {
            Part::Vitals => self.vitals.load().taken,
            Part::Details => self.details.load().taken,
            Part::Threads => self.threads.load().taken,
            Part::Allocations => self.allocations.load().taken,
        }
    }

    pub(super) fn is_fresh(&self, parts: Parts) -> bool {
        let age_max = self.settings.age_max;
        parts.iter().all(|part| self.taken(part).is_some_and(|taken| taken.elapsed() <= age_max))
    }

    /// Whether each part was read since a moment, which it is that a sample is fresh for when none may have any age.
    pub(super) fn is_taken_since(&self, parts: Parts, moment: Instant) -> bool {
        parts.iter().all(|part| self.taken(part).is_some_and(|taken| taken >= moment))
    }

    /// Whether a reading of each part was begun since a moment and has ended, whatever came of it.
    pub(super) fn is_tried_since(&self, parts: Parts, moment: Instant) -> bool {
        parts.iter().all(|part| self.tried[part as usize].load(Ordering::SeqCst) >= self.clock(moment))
    }

    /// Has the thread read parts. Costs an atomic operation, and a wake for the first who asks.
    pub(super) fn ask(&self, parts: Parts) {
        if self.asked.fetch_or(parts.0, Ordering::SeqCst) == 0 {
            let _ = self.unanswered_since.compare_exchange(
                0,
                self.clock(Instant::now()),
                Ordering::SeqCst,
                Ordering::SeqCst,
            );
            self.wake_thread();
        }
    }

    /// Counts one who waits, until [`Shared::end_wait`].
    pub(super) fn begin_wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_wait(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Has a waker called after the next sample. False when there is no room, which is counted. A waiter that is in the
    /// queue, because it was polled for another reason than a call, stays where it is.
    ///
    /// Look for a sample again afterwards: it may have come just before.
    pub(super) fn leave(&self, waiter: &Arc<Waiter>, waker: &Waker) -> bool {
        waiter.waker.register(waker);
        // Pairs with that of `wake_waiters`: either the waiter is seen there with this waker, or it is out of the queue.
        if !waiter.is_queued.swap(true, Ordering::SeqCst) && self.waiters.push(waiter.clone()).is_err() {
            waiter.is_queued.store(false, Ordering::SeqCst);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // Pairs with that of `wake_waiters`: either the thread sees the waiter, or the caller sees the sample.
        fence(Ordering::SeqCst);
        true
    }

    pub(super) fn note_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
        let since = self.unanswered_since.load(Ordering::SeqCst);
        let silent = Duration::from_nanos(self.clock(Instant::now()).saturating_sub(since));
        if since != 0 && silent >= SILENCE_MAX && !self.silence_told.swap(true, Ordering::SeqCst) {
            tracing::error!(
                "the sampler has not answered for {silent:.1?}: it hangs in the kernel, or gets no CPU; old values are served"
            );
        }
    }

    pub(super) fn stats(&self) -> SamplerStats {
        SamplerStats {
            samples: std::array::from_fn(|part| self.samples[part].load(Ordering::Relaxed)),
            cpu_time: Duration::from_nanos(self.cpu_ns.load(Ordering::Relaxed)),
            panics: self.panics.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// Places in the queue that are taken.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.waiters.len()
    }

    /// Whether everything that was asked for is answered and counted.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.asked.load(Ordering::SeqCst) == 0 && self.unanswered_since.load(Ordering::SeqCst) == 0
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake_thread();
    }

    fn wake_thread(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// What only the thread does.
impl Shared {
    /// Before it looks for the first time at what is asked.
    pub(super) fn begin(&self, thread: Thread) {
        let _ = self.thread.set(thread);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub(super) fn take_asked(&self) -> Parts {
        Parts(self.asked.swap(0, Ordering::SeqCst))
    }

    /// A reading of a part, begun at a moment, has ended.
    pub(super) fn note_tried(&self, part: Part, begun: Instant, panicked: bool) {
        self.tried[part as usize].store(self.clock(begun), Ordering::SeqCst);
        let count = if panicked { &self.panics } else { &self.samples[part as usize] };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Wakes all who wait. Each of them looks whether it has what it waits for.
    pub(super) fn wake_waiters(&self) {
        // Pairs with that of `leave`.
        fence(Ordering::SeqCst);
        for _ in 0..self.waiters.len() {
            let Some(waiter) = self.waiters.pop() else { break };
            waiter.is_queued.swap(false, Ordering::SeqCst);
            waiter.waker.wake();
        }
    }

    /// What the thread has used so far.
    pub(super) fn note_cpu_time(&self, cpu_time: Duration) {
        self.cpu_ns.store(u64::try_from(cpu_time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Everything that was asked for before is answered.
    pub(super) fn note_answered(&self) {
        let next = if self.asked.load(Ordering::SeqCst) == 0 { 0 } else { self.clock(Instant::now()) };
        self.unanswered_since.store(next, Ordering::SeqCst);
        if self.silence_told.swap(false, Ordering::SeqCst) {
            tracing::info!("the sampler answers again");
        }
    }

    /// Publishes a sample.
    pub(super) fn publish<T>(place: &ArcSwap<Sample<T>>, taken: Instant, value: T) {
        place.store(Arc::new(Sample { taken: Some(taken), value }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let mut shared = Shared::new(SamplerSettings::default());
        let told = |shared: &Shared| shared.silence_told.load(Ordering::SeqCst);
        shared.epoch = shared.epoch.checked_sub(SILENCE_MAX * 2).expect("the machine runs for that long");
        shared.note_late();
        assert!(!told(&shared), "nothing is asked");
        shared.ask(Part::Vitals.into());
        shared.note_late();
        assert!(!told(&shared), "it was asked just now");
        shared.unanswered_since.store(1, Ordering::SeqCst);
        shared.ask(Part::Details.into());
        shared.note_late();
        assert!(told(&shared), "the first who asked counts");
        shared.take_asked();
        shared.note_answered();
        assert!(!told(&shared));
        shared.note_late();
        assert!(!told(&shared), "everything is answered");
        assert_eq!(shared.stats().late, 4);
    }
}
