//! The sampler's thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::shared::Shared;
use super::{Part, Parts};
use crate::details::DetailsReader;
use crate::heap::Jemalloc;
use crate::load;
use crate::threads::ThreadsReader;
use crate::vitals::{VitalsReader, cpu_time};

/// Starts the thread below a root of the file system.
pub(super) fn start(root: PathBuf, shared: Arc<Shared>) -> io::Result<()> {
    let run = move || {
        shared.begin(thread::current());
        // What is asked for from here on wakes it, and what was asked for before is looked at first.
        while !shared.is_stopping() {
            let lived = catch_unwind(AssertUnwindSafe(|| Readers::new(root.clone(), &shared).run(&shared)));
            if lived.is_err() {
                // Outside of a single reading there is next to nothing to panic: begin again, but not in a busy loop.
                thread::park_timeout(Duration::from_secs(1));
            }
        }
    };
    thread::Builder::new().name("egret-sampler".to_owned()).spawn(run).map(drop)
}

/// Everything that reads; made on the thread, because that may block, too.
struct Readers {
    root: PathBuf,
    vitals: VitalsReader,
    details: DetailsReader,
    threads: ThreadsReader,
    jemalloc: Option<Arc<Jemalloc>>,
    panic_told: bool,
}

impl Readers {
    fn new(root: PathBuf, shared: &Shared) -> Self {
        let jemalloc = Jemalloc::find().map(Arc::new);
        Self {
            vitals: VitalsReader::new(&root, shared.settings.load_window, jemalloc.clone()),
            details: DetailsReader::new(&root),
            threads: ThreadsReader::new(&root),
            root,
            jemalloc,
            panic_told: false,
        }
    }

    fn run(&mut self, shared: &Shared) {
        let period = shared.settings.load_window / load::POINTS;
        let mut tick = Instant::now() + period;
        while !shared.is_stopping() {
            self.answer(shared.take_asked(), shared);
            let now = Instant::now();
            if now >= tick {
                self.guarded(shared, |readers| readers.vitals.tick());
                // After a long sleep of the machine there is one tick, not many.
                tick = now + period;
                shared.note_cpu_time(cpu_time(libc::CLOCK_THREAD_CPUTIME_ID));
            }
            thread::park_timeout(tick.saturating_duration_since(Instant::now()));
        }
    }

    /// Reads what is asked for, unless that is fresh by now.
    fn answer(&mut self, asked: Parts, shared: &Shared) {
        for part in asked.iter() {
            if !shared.is_fresh(part.into()) {
                let begun = Instant::now();
                let panicked = !self.guarded(shared, |readers| readers.read(part, shared));
                shared.note_tried(part, begun, panicked);
            }
            // One after the other: who asks for the vitals does not wait for the threads.
            shared.wake_waiters();
        }
        if asked.iter().next().is_some() {
            shared.note_cpu_time(cpu_time(libc::CLOCK_THREAD_CPUTIME_ID));
            shared.note_answered();
        }
    }

    fn read(&mut self, part: Part, shared: &Shared) {
        let taken = Instant::now();
        match part {
            Part::Vitals => Shared::publish(&shared.vitals, taken, self.vitals.read()),
            Part::Details => Shared::publish(&shared.details, taken, self.details.read()),
            Part::Threads => Shared::publish(&shared.threads, taken, self.threads.read()),
            Part::Allocations => {
                let classes = self.jemalloc.as_ref().map(|jemalloc| {
                    jemalloc.begin_epoch();
                    jemalloc.size_classes()
                });
                Shared::publish(&shared.allocations, taken, classes.unwrap_or_default());
            }
        }
    }

    /// Runs a reading; false when it panicked. What it was in the middle of is begun anew then.
    fn guarded(&mut self, shared: &Shared, read: impl FnOnce(&mut Self)) -> bool {
        if catch_unwind(AssertUnwindSafe(|| read(self))).is_ok() {
            return true;
        }
        if !self.panic_told {
            tracing::error!("a reading of the sampler panicked; old values are served where it did");
        }
        *self = Self::new(self.root.clone(), shared);
        self.panic_told = true;
        false
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use super::*;
    use crate::sampler::{Renewal, Renewed, SamplerSettings, renewal};

    #[test]
    fn a_reading_that_panics_is_counted_and_the_next_one_works() {
        let shared = Arc::new(Shared::new(SamplerSettings { age_max: Duration::ZERO, ..SamplerSettings::default() }));
        let mut readers = Readers::new(PathBuf::from("/"), &shared);
        let parts = Parts::from(Part::Vitals);
        let mut waiting = Renewed::new(shared.clone(), parts);
        assert_eq!(renewal::wait(Renewed::new(shared.clone(), parts), Duration::ZERO), None, "nobody answers");
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::Pin::new(&mut waiting).poll(&mut cx).is_pending());
        let begun = Instant::now();
        let lived = readers.guarded(&shared, |_| panic!("as planned"));
        assert!(!lived);
        shared.note_tried(Part::Vitals, begun, true);
        assert_eq!(std::pin::Pin::new(&mut waiting).poll(&mut cx), std::task::Poll::Ready(Renewal::Failed));
        readers.answer(parts, &shared);
        assert_eq!((shared.stats().panics, shared.stats().samples[0]), (1, 1));
        assert!(shared.vitals.load().machine.processors.is_some());
    }
}
