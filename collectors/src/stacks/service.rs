//! The thread that answers for stacks, and how others ask it.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use futures_channel::oneshot;

use super::capture::{self, Capture, Missing, Outcome};
use super::names::Names;
use crate::kept::read_into;
use crate::text;
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
}

impl StackSettings {
    /// The longest wait for threads.
    pub const WAIT_MAX: Duration = Duration::from_secs(10);
}

impl Default for StackSettings {
    fn default() -> Self {
        Self { age_max: Duration::from_millis(100), wait_max: Duration::from_millis(500) }
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
    names: Names,
    newest: Option<Arc<StackDump>>,
}

impl Worker {
    /// Answers until nobody can ask any more.
    fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
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
        let outcomes = capture_all(&threads, Instant::now() + self.settings.wait_max);
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

/// Takes the stacks of threads. Those that could not be asked are tried once more when the others have answered: a thread
/// also blocks signals for the moment in which it answers another one, or starts a thread.
fn capture_all(threads: &[ThreadSample], deadline: Instant) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = threads.iter().map(|_| Err(Missing::Blocked)).collect();
    let mut left: Vec<usize> = (0..threads.len()).collect();
    let mut buffer = Vec::new();
    for _ in 0..2 {
        let mut asked = Vec::with_capacity(left.len());
        for index in std::mem::take(&mut left) {
            match hindrance(&threads[index], &mut buffer) {
                None => asked.push(index),
                Some(why) => {
                    outcomes[index] = Err(why);
                    left.push(index);
                }
            }
        }
        let ids: Vec<i32> = asked.iter().map(|index| threads[*index].id).collect();
        let answers = capture::capture(&ids, deadline);
        asked.into_iter().zip(answers).for_each(|(index, outcome)| outcomes[index] = outcome);
    }
    outcomes
}

/// Why a thread is not asked.
fn hindrance(thread: &ThreadSample, buffer: &mut Vec<u8>) -> Option<Missing> {
    if thread.state == ThreadState::Terminated {
        return Some(Missing::Gone);
    }
    let status = format!("/proc/self/task/{}/status", thread.id);
    let Some(masks) = read_into(Path::new(&status), buffer).map(text::signal_masks) else { return Some(Missing::Gone) };
    let is_set = |mask: u64| mask & capture::signal_bit() != 0;
    // A second signal would only wait behind the first.
    if is_set(masks.blocked) {
        Some(Missing::Blocked)
    } else if is_set(masks.pending) {
        Some(Missing::Pending)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    use super::*;

    fn settings(age_max: Duration) -> StackSettings {
        StackSettings { age_max, wait_max: Duration::from_secs(5) }
    }

    fn wait(mut dump: oneshot::Receiver<Arc<StackDump>>) -> Arc<StackDump> {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(dump) = dump.try_recv().expect("the thread answers") {
                return dump;
            }
            assert!(Instant::now() < patience, "no dump");
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn dump(stacks: &Stacks) -> Arc<StackDump> {
        wait(stacks.dump().expect("few wait"))
    }

    #[inline(never)]
    fn count_down(from: u32, bottom: &dyn Fn()) -> u32 {
        if from == 0 {
            bottom();
            return 0;
        }
        std::hint::black_box(count_down(from - 1, bottom)) + 1
    }

    #[test]
    fn a_known_recursion_is_named_call_by_call_with_its_lines() {
        let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
        let (go, gate) = mpsc::sync_channel::<()>(0);
        let (tell, told) = mpsc::sync_channel(1);
        let waiting = move || {
            count_down(50, &|| {
                let _ = tell.send(());
                let _ = gate.recv();
            });
        };
        let thread = thread::Builder::new().name("counts-down".to_owned()).spawn(waiting).expect("a thread");
        told.recv().expect("it is at the bottom");
        let dump = dump(&stacks);
        let found = dump.threads.iter().find(|thread| thread.name == "counts-down").expect("the thread");
        let calls: Vec<_> = found.lines.iter().filter(|line| line.contains("service::tests::count_down(")).collect();
        assert_eq!(calls.len(), 51, "{:#?}", found.lines);
        assert!(calls.iter().all(|call| call.contains("(collectors/src/stacks/service.rs:")), "{calls:?}");
        // All but the innermost are at the line of the call.
        assert!(calls[1..].iter().all(|call| *call == calls[1]), "{calls:?}");
        assert!(found.lines.iter().any(|line| line.starts_with("std::sync::mpsc")), "{:#?}", found.lines);
        assert!(!found.lines.iter().any(|line| line.starts_with('(')), "{:#?}", found.lines);
        drop(go);
        thread.join().expect("ended");
    }

    #[test]
    fn threads_in_every_state_are_told_and_a_blocked_one_says_why_it_has_no_stack() {
        let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let spinning = thread::Builder::new()
            .name("spins".to_owned())
            .spawn(move || while !until.load(Ordering::Relaxed) {})
            .expect("a thread");
        let (go, gate) = mpsc::sync_channel::<()>(0);
        let (tell, told) = mpsc::sync_channel(1);
        let deaf = move || {
            // SAFETY: the set is initialised by the first call.
            unsafe {
                let mut set = std::mem::zeroed();
                libc::sigfillset(&mut set);
                libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            }
            let _ = tell.send(());
            let _ = gate.recv();
        };
        let blocking = thread::Builder::new().name("is-deaf".to_owned()).spawn(deaf).expect("a thread");
        told.recv().expect("it blocks signals");
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let dump = dump(&stacks);
            let named = |name: &str| dump.threads.iter().find(|thread| thread.name == name).expect("the thread");
            let (spins, deaf, own) = (named("spins"), named("is-deaf"), named("egret-stacks"));
            assert_eq!(&**deaf.lines.last().expect("a line"), "(no stack: the thread blocks signals)");
            let is_named = |thread: &ThreadStack, name: &str| thread.lines.iter().any(|line| line.contains(name));
            // The states were read a moment before; other tests' threads of these names may have ended meanwhile.
            if spins.state == ThreadState::Runnable
                && deaf.state == ThreadState::Waiting
                && is_named(spins, "in_every_state")
                && own.state == ThreadState::Runnable
                && is_named(own, "Worker::dump")
            {
                break;
            }
            assert!(Instant::now() < patience, "{spins:#?} {deaf:#?} {own:#?}");
        }
        stop.store(true, Ordering::Relaxed);
        drop(go);
        spinning.join().expect("ended");
        blocking.join().expect("ended");
        assert!(stacks.stats().missing > 0);
    }

    #[test]
    fn dumps_go_on_while_threads_start_and_end() {
        let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let _ = thread::spawn(|| std::hint::black_box(count_down(20, &|| ()))).join();
                    }
                });
            }
            for _ in 0..200 {
                let dump = dump(&stacks);
                assert!(dump.threads.iter().any(|thread| thread.name == "egret-stacks"));
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!((stacks.stats().dumps, stacks.stats().panics), (200, 0));
    }

    #[test]
    fn requests_that_come_together_share_a_dump_and_a_fresh_one_serves_again() {
        let stacks = Stacks::start(settings(Duration::from_secs(3600))).expect("a thread");
        let requests: Vec<_> = (0..100).map(|_| stacks.dump().expect("few wait")).collect();
        let first = dump(&stacks);
        assert!(requests.into_iter().all(|request| Arc::ptr_eq(&wait(request), &first)));
        assert_eq!(stacks.stats().dumps, 1);
    }

    #[test]
    fn too_many_requests_are_refused_and_a_stack_that_cannot_be_named_has_no_lines() {
        let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
        // SAFETY: the call takes nothing and cannot fail.
        let own = unsafe { libc::gettid() };
        let (go, gate) = mpsc::sync_channel::<()>(0);
        let (tell, told) = mpsc::sync_channel(1);
        stacks.capture(own).expect("a stack").name(move |lines| {
            let _ = tell.send(lines.len());
            let _ = gate.recv();
        });
        assert!(told.recv().expect("named") > 1);
        // The thread is held up now.
        let waiting: Vec<_> = (0..REQUESTS_MAX).map(|_| stacks.dump().expect("there is room")).collect();
        assert_eq!(stacks.dump().err(), Some(StackRefused));
        let (tell, told) = mpsc::sync_channel(1);
        stacks.capture(own).expect("a stack").name(move |lines| drop(tell.send(lines)));
        assert_eq!(told.recv().expect("called").len(), 0);
        assert_eq!(stacks.stats().refused, 2);
        drop(go);
        waiting.into_iter().for_each(|request| drop(wait(request)));
    }

    #[test]
    fn a_callback_that_panics_is_counted_and_the_thread_goes_on() {
        let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
        // SAFETY: the call takes nothing and cannot fail.
        let own = unsafe { libc::gettid() };
        stacks.capture(own).expect("a stack").name(|_| panic!("as planned"));
        assert!(!dump(&stacks).threads.is_empty());
        assert_eq!(stacks.stats().panics, 1);
    }
}
