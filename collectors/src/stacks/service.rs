//! The thread that answers for stacks, and how others ask it.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use futures_channel::oneshot;

use super::capture::{self, Capture, Outcome};
use super::names::Names;
use super::rounds::Rounds;
use crate::heap::trim_heap;
use crate::threads::{ThreadSample, ThreadState, ThreadsReader};
use crate::vitals::cpu_time;

/// Requests that wait; the next one is refused.
const REQUESTS_MAX: usize = 1024;
/// How long the capture of a single thread may take: who asks for it has other things to do.
const SINGLE_WAIT_MAX: Duration = Duration::from_millis(20);

/// The bounds of taking stacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackSettings {
    /// How old a dump may be that serves again. Default: 100 ms.
    pub age_max: Duration,
    /// How long all threads together get to answer. Default: 500 ms.
    pub wait_max: Duration,
    /// How long symbols stay in memory after they were last needed: those of the program take 80 MB there. Default: 30 s.
    pub symbols_kept: Duration,
}

impl StackSettings {
    /// The longest wait for threads.
    pub const WAIT_MAX: Duration = Duration::from_secs(10);
}

impl Default for StackSettings {
    fn default() -> Self {
        Self {
            age_max: Duration::from_millis(100),
            wait_max: Duration::from_millis(500),
            symbols_kept: Duration::from_secs(30),
        }
    }
}

/// A thread with its stack.
#[derive(Clone, Debug)]
pub struct ThreadStack {
    /// Its id in the kernel.
    pub id: i32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// What it did just before its stack was taken.
    pub state: ThreadState,
    /// Its frames, innermost first; the last line in brackets says why there are none, or that there are more.
    pub lines: Vec<Arc<str>>,
}

/// All threads with their stacks.
#[derive(Clone, Debug)]
pub struct StackDump {
    /// When it was begun.
    pub taken: Instant,
    /// How long it took until the last thread had answered.
    pub capture_time: Duration,
    /// By name and then by id.
    pub threads: Vec<ThreadStack>,
}

/// Too many requests wait, or the thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests for stacks wait")]
pub struct StackRefused;

/// What was done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackStats {
    /// Dumps taken.
    pub dumps: u64,
    /// Time that the last of them took until all threads had answered.
    pub last_capture: Duration,
    /// Threads without a stack in all dumps together.
    pub missing: u64,
    /// Requests refused because too many waited.
    pub refused: u64,
    /// Requests that ended in a panic.
    pub panics: u64,
    /// CPU time of the thread.
    pub cpu_time: Duration,
}

/// The counters behind [`StackStats`].
#[derive(Debug, Default)]
struct Counters {
    dumps: AtomicU64,
    last_capture_ns: AtomicU64,
    missing: AtomicU64,
    refused: AtomicU64,
    panics: AtomicU64,
    cpu_ns: AtomicU64,
    /// Times that symbols were forgotten.
    forgotten: AtomicU64,
}

/// Gets the lines of a stack, innermost first; none when they cannot be had.
type Then = Box<dyn FnOnce(Vec<Arc<str>>) + Send>;

enum Request {
    Dump(oneshot::Sender<Arc<StackDump>>),
    Name(Box<Capture>, Then),
}

/// Takes stacks. Clones are the same one; the last one that goes ends the thread.
#[derive(Clone)]
pub struct Stacks {
    requests: Sender<Request>,
    counters: Arc<Counters>,
}

impl fmt::Debug for Stacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stacks").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Stacks {
    /// Starts the thread, and installs the handler of the stack signal for the whole process. Where that fails it is
    /// logged, and stacks hold what the kernel tells alone.
    ///
    /// To be called from a thread that is pinned to no CPU.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(settings: StackSettings) -> io::Result<Self> {
        if let Err(error) = capture::install() {
            tracing::warn!("threads have no stacks: {error}");
        }
        let (requests, waiting) = bounded(REQUESTS_MAX);
        let counters = Arc::new(Counters::default());
        let worker = Worker {
            settings,
            counters: counters.clone(),
            threads: ThreadsReader::new(Path::new("/")),
            rounds: Rounds::default(),
            names: Names::default(),
            newest: None,
        };
        thread::Builder::new().name("egret-stacks".to_owned()).spawn(move || worker.run(&waiting))?;
        Ok(Self { requests, counters })
    }

    /// The stacks of all threads. Requests that come together share a dump, as do those that come within
    /// [`StackSettings::age_max`]. Nothing bounds the wait but what waits before; the first dump also reads the program's
    /// symbols.
    ///
    /// # Errors
    /// [`StackRefused`] when too many requests wait, and the receiver's when the dump failed.
    pub fn dump(&self) -> Result<oneshot::Receiver<Arc<StackDump>>, StackRefused> {
        let (sender, receiver) = oneshot::channel();
        self.ask(Request::Dump(sender)).map(|()| receiver).map_err(|_| StackRefused)
    }

    /// The stack of a thread as it is now, to be named later. Blocks for some microseconds, and for 20 ms at most; `None`
    /// when the thread does not answer.
    pub fn capture(&self, thread: i32) -> Option<CapturedStack> {
        let outcome = capture::capture(&[thread], Instant::now() + SINGLE_WAIT_MAX).pop()?;
        Some(CapturedStack { capture: Box::new(outcome.ok()?), stacks: self.clone() })
    }

    /// What was done since the start.
    pub fn stats(&self) -> StackStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        StackStats {
            dumps: count(&counters.dumps),
            last_capture: Duration::from_nanos(count(&counters.last_capture_ns)),
            missing: count(&counters.missing),
            refused: count(&counters.refused),
            panics: count(&counters.panics),
            cpu_time: Duration::from_nanos(count(&counters.cpu_ns)),
        }
    }

    fn ask(&self, request: Request) -> Result<(), Request> {
        self.requests.try_send(request).map_err(|error| {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            error.into_inner()
        })
    }
}

/// A stack without names yet.
#[derive(Debug)]
pub struct CapturedStack {
    capture: Box<Capture>,
    stacks: Stacks,
}

impl CapturedStack {
    /// Has the thread that answers for stacks look the names up and call `then` with the lines, innermost first. Where too
    /// many requests wait, it is called at once, without any.
    pub fn name(self, then: impl FnOnce(Vec<Arc<str>>) + Send + 'static) {
        if let Err(Request::Name(_, then)) = self.stacks.ask(Request::Name(self.capture, Box::new(then))) {
            then(Vec::new());
        }
    }
}

/// What the thread has.
struct Worker {
    settings: StackSettings,
    counters: Arc<Counters>,
    threads: ThreadsReader,
    rounds: Rounds,
    names: Names,
    newest: Option<Arc<StackDump>>,
}

impl Worker {
    /// Answers until nobody can ask any more.
    fn run(mut self, requests: &Receiver<Request>) {
        while let Some(first) = self.next(requests) {
            // All who wait for a dump by now get the same one.
            let mut waiting = Vec::new();
            for request in std::iter::once(first).chain(requests.try_iter().take(REQUESTS_MAX)) {
                match request {
                    Request::Dump(sender) => waiting.push(sender),
                    Request::Name(capture, then) => self.guarded(|worker| then(worker.names.lines(&capture))),
                }
            }
            if !waiting.is_empty() {
                self.guarded(|worker| {
                    let dump = worker.newest_or_new();
                    // Who does not wait any more has no use for it.
                    waiting.into_iter().for_each(|sender| drop(sender.send(dump.clone())));
                });
            }
            let cpu_time = u64::try_from(cpu_time(libc::CLOCK_THREAD_CPUTIME_ID).as_nanos()).unwrap_or(u64::MAX);
            self.counters.cpu_ns.store(cpu_time, Ordering::Relaxed);
        }
    }

    /// The next request; `None` when nobody can ask any more. Forgets symbols that were not needed for long meanwhile.
    fn next(&mut self, requests: &Receiver<Request>) -> Option<Request> {
        if let Some(needed) = self.names.symbols_needed() {
            match requests.recv_deadline(needed + self.settings.symbols_kept) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.names.forget_symbols();
                    trim_heap();
                    self.counters.forgotten.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        requests.recv().ok()
    }

    /// Does something that may panic. What is remembered is begun anew then.
    fn guarded(&mut self, answer: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| answer(self))).is_err() {
            if self.counters.panics.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::error!("taking or naming stacks panicked");
            }
            (self.names, self.newest) = (Names::default(), None);
        }
    }

    fn newest_or_new(&mut self) -> Arc<StackDump> {
        match &self.newest {
            Some(newest) if newest.taken.elapsed() <= self.settings.age_max => newest.clone(),
            _ => {
                let dump = Arc::new(self.dump());
                self.newest = Some(dump.clone());
                dump
            }
        }
    }

    fn dump(&mut self) -> StackDump {
        let taken = Instant::now();
        let threads = self.threads.read();
        let outcomes = self.rounds.capture(&threads, Instant::now() + self.settings.wait_max);
        let capture_time = taken.elapsed();
        let threads: Vec<ThreadStack> =
            threads.into_iter().zip(outcomes).map(|(thread, outcome)| self.thread(thread, outcome)).collect();
        let counters = &self.counters;
        counters.dumps.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(capture_time.as_nanos()).unwrap_or(u64::MAX);
        counters.last_capture_ns.store(nanos, Ordering::Relaxed);
        StackDump { taken, capture_time, threads }
    }

    fn thread(&mut self, thread: ThreadSample, outcome: Outcome) -> ThreadStack {
        let ThreadSample { id, name, state, stack: kernel, .. } = thread;
        // One that runs has left that place by now.
        let kernel = kernel.into_iter().filter(|_| state != ThreadState::Runnable);
        let mut lines: Vec<Arc<str>> = kernel.map(Arc::from).collect();
        match outcome {
            Ok(capture) => lines.extend(self.names.lines(&capture)),
            Err(missing) => {
                self.counters.missing.fetch_add(1, Ordering::Relaxed);
                lines.push(format!("(no stack: {})", missing.as_str()).into());
            }
        }
        ThreadStack { id, name, state, lines }
    }
}

#[cfg(test)]
mod tests;
