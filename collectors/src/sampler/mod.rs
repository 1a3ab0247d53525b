//! The sampler: a thread that reads, and the newest samples for all who ask.

mod renewal;
mod shared;
#[cfg(test)]
mod tests;
mod thread;

use std::ops::{BitOr, Deref};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::Shared;

pub use renewal::{Renewal, Renewed};

use crate::details::Details;
use crate::heap::SizeClass;
use crate::threads::ThreadSample;
use crate::vitals::Vitals;

/// The bounds of sampling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplerSettings {
    /// How old a sample may be that is served without taking a new one. Default: 100 ms.
    pub age_max: Duration,
    /// How long a request waits for a new sample before it takes the old one. Default: 50 ms.
    pub wait_max: Duration,
    /// Requests that wait for a new sample at a time; further ones take the old one. Default: 1,024.
    pub waiters_max: usize,
    /// What loads are measured over. Default: 5 s.
    pub load_window: Duration,
}

impl Default for SamplerSettings {
    fn default() -> Self {
        Self {
            age_max: Duration::from_millis(100),
            wait_max: Duration::from_millis(50),
            waiters_max: 1024,
            load_window: Duration::from_secs(5),
        }
    }
}

impl SamplerSettings {
    /// The shortest window of loads: the kernel counts CPU time in steps of 10 ms.
    pub const LOAD_WINDOW_MIN: Duration = Duration::from_millis(100);
    /// The longest window of loads.
    pub const LOAD_WINDOW_MAX: Duration = Duration::from_secs(3600);
    /// The most that may wait at a time.
    pub const WAITERS_MAX: usize = 1 << 20;
    /// How long a request waits for the first sample of all: there is none to serve instead.
    pub const FIRST_WAIT_MAX: Duration = Duration::from_secs(2);
    /// The longest that a request may be made to wait.
    pub const WAIT_MAX: Duration = Duration::from_secs(10);

    /// The first setting that is out of its bounds.
    fn problem(&self) -> Option<String> {
        if !(1..=Self::WAITERS_MAX).contains(&self.waiters_max) {
            return Some(format!("sample_waiters_max is {}; it must be 1 to {}", self.waiters_max, Self::WAITERS_MAX));
        }
        if self.wait_max > Self::WAIT_MAX {
            return Some(format!("sample_wait_max is {:?}; it must be at most {:?}", self.wait_max, Self::WAIT_MAX));
        }
        let (min, max) = (Self::LOAD_WINDOW_MIN, Self::LOAD_WINDOW_MAX);
        if self.load_window < min || self.load_window > max {
            return Some(format!("load_window is {:?}; it must be {min:?} to {max:?}", self.load_window));
        }
        None
    }
}

/// What is sampled as one, and has one age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Part {
    /// [`Vitals`].
    Vitals,
    /// [`Details`].
    Details,
    /// The threads of the process.
    Threads,
    /// Live allocations by size.
    Allocations,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Vitals, Self::Details, Self::Threads, Self::Allocations];

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vitals => "vitals",
            Self::Details => "details",
            Self::Threads => "threads",
            Self::Allocations => "allocations",
        }
    }
}

/// Some of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts(u8);

impl Parts {
    fn has(self, part: Part) -> bool {
        self.0 & Self::from(part).0 != 0
    }

    fn iter(self) -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().filter(move |part| self.has(*part))
    }
}

impl From<Part> for Parts {
    fn from(part: Part) -> Self {
        Self(1 << part as u8)
    }
}

impl FromIterator<Part> for Parts {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        Self(parts.into_iter().fold(0, |bits, part| bits | Self::from(part).0))
    }
}

impl BitOr for Part {
    type Output = Parts;

    fn bitor(self, other: Self) -> Parts {
        Parts(Parts::from(self).0 | Parts::from(other).0)
    }
}

/// A value as it was at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample<T> {
    /// When the reading of it began; `None` when it was never read: then it is the default.
    pub taken: Option<Instant>,
    /// What was read.
    pub value: T,
}

impl<T> Sample<T> {
    /// How old it is now; `None` when it was never read.
    pub fn age(&self) -> Option<Duration> {
        self.taken.map(|taken| taken.elapsed())
    }
}

impl<T> Deref for Sample<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What the sampler did since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SamplerStats {
    /// Samples taken, in the order of [`Part::ALL`].
    pub samples: [u64; Part::ALL.len()],
    /// CPU time of the sampler's thread.
    pub cpu_time: Duration,
    /// Readings that ended in a panic.
    pub panics: u64,
    /// Requests that took an old sample because the new one did not come in time.
    pub late: u64,
    /// Requests that took an old sample because too many waited.
    pub refused: u64,
    /// Requests that wait now.
    pub waiting: usize,
}

/// The sampler could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The system gives no thread.
    #[error("the sampler's thread could not be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// The sampler. Clones are the same one; the last one that goes ends the thread.
#[derive(Clone, Debug)]
pub struct Sampler {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody waits for the thread: it may hang in the kernel.
        self.shared.stop();
    }
}

impl Sampler {
    /// Starts the thread, which takes the first sample of the vitals at once. Does not wait for it.
    ///
    /// To be called from a thread that is pinned to no CPU, since the CPUs of the process are taken to be those that the new
    /// thread may use.
    ///
    /// # Errors
    /// When a setting is out of its bounds, or the system gives no thread.
    pub fn start(settings: SamplerSettings) -> Result<Self, StartError> {
        Self::start_at(Path::new("/"), settings)
    }

    /// As [`Sampler::start`], with another root of the file system.
    fn start_at(root: &Path, settings: SamplerSettings) -> Result<Self, StartError> {
        if let Some(problem) = settings.problem() {
            return Err(StartError::Setting(problem));
        }
        let shared = Arc::new(Shared::new(settings));
        thread::start(root.to_owned(), shared.clone()).map_err(StartError::Thread)?;
        let sampler = Self { handle: Arc::new(Handle { shared }) };
        sampler.shared().ask(Part::Vitals.into());
        Ok(sampler)
    }

    /// The bounds that it keeps.
    pub fn settings(&self) -> &SamplerSettings {
        &self.shared().settings
    }

    /// The newest vitals, however old.
    pub fn vitals(&self) -> Arc<Sample<Vitals>> {
        self.shared().vitals.load_full()
    }

    /// The newest details, however old.
    pub fn details(&self) -> Arc<Sample<Details>> {
        self.shared().details.load_full()
    }

    /// The newest list of the threads, by name and then by id, however old.
    pub fn threads(&self) -> Arc<Sample<Vec<ThreadSample>>> {
        self.shared().threads.load_full()
    }

    /// The newest count of live allocations, the smallest first, however old; empty when the program does not allocate by
    /// jemalloc.
    pub fn allocations(&self) -> Arc<Sample<Vec<SizeClass>>> {
        self.shared().allocations.load_full()
    }

    /// How old the newest sample of a part is; `None` when there is none.
    pub fn age(&self, part: Part) -> Option<Duration> {
        self.shared().taken(part).map(|taken| taken.elapsed())
    }

    /// Whether samples of these parts need not be renewed yet.
    pub fn is_fresh(&self, parts: impl Into<Parts>) -> bool {
        self.shared().is_fresh(parts.into())
    }

    /// How long a request may wait for these parts: [`SamplerSettings::wait_max`], or
    /// [`SamplerSettings::FIRST_WAIT_MAX`] where there is no old sample to serve instead.
    pub fn patience(&self, parts: impl Into<Parts>) -> Duration {
        let (parts, wait_max): (Parts, _) = (parts.into(), self.settings().wait_max);
        let is_first = parts.iter().any(|part| self.shared().taken(part).is_none());
        if is_first { wait_max.max(SamplerSettings::FIRST_WAIT_MAX) } else { wait_max }
    }

    /// Waits for samples of these parts that are fresh; ready at once when they are. Nothing bounds the wait: who uses it
    /// bounds it by [`Sampler::patience`], and says so by [`Sampler::note_late`] when that is over.
    pub fn renewed(&self, parts: impl Into<Parts>) -> Renewed {
        Renewed::new(self.shared().clone(), parts.into())
    }

    /// Counts a request that waited in vain. When the sampler has not answered for long, that is logged, once.
    pub fn note_late(&self) {
        self.shared().note_late();
    }

    /// As [`Sampler::renewed`], for plain threads: blocks, at most for `timeout`.
    pub fn wait(&self, parts: impl Into<Parts>, timeout: Duration) -> Renewal {
        renewal::wait(self.renewed(parts), timeout).unwrap_or_else(|| {
            self.note_late();
            Renewal::Late
        })
    }

    /// What it did since its start.
    pub fn stats(&self) -> SamplerStats {
        self.shared().stats()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}
