//! Heap profiles: which stacks have allocated what lives now, by jemalloc's sampling, in the format of pprof.
//!
//! The profiler is jemalloc's, so there is one for the process: the functions here are about that one. It is there, but
//! asleep, where the program has [`HEAP_OPTIONS`]. `docs/heap.md` tells what it costs asleep and awake.

mod dump;
mod mappings;
mod names;
mod pprof;

use std::ffi::{CStr, CString, c_char};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Instant, SystemTime};

pub use dump::{DumpError, HeapDump, SampledStack};

use crate::heap;
use crate::stacks::Frame;
use mappings::{CodeMapping, code_mappings};
use names::Names;
use pprof::{Code, Span};

/// Options of jemalloc's, for a program that may be profiled. A program gives them by the name that jemalloc looks for:
///
/// ```
/// #[unsafe(export_name = "_rjem_malloc_conf")]
/// pub static JEMALLOC: egret_collectors::HeapOptions = egret_collectors::HEAP_OPTIONS;
/// # fn main() {}
/// ```
///
/// jemalloc reads them at its first allocation, before `main`; its profiler cannot be had later. The environment variable
/// `_RJEM_MALLOC_CONF` is read behind them.
pub const HEAP_OPTIONS: HeapOptions = HeapOptions(c"prof:true,prof_active:false".as_ptr());

/// A text as C has it.
#[derive(Debug)]
#[repr(transparent)]
pub struct HeapOptions(*const c_char);

// SAFETY: the only one points to a constant.
unsafe impl Sync for HeapOptions {}

/// One allocation in so many bytes is sampled where nothing else is asked for: jemalloc's own default, and Go's.
pub const SAMPLE_BYTES: u64 = 512 << 10;
/// The smallest rate. It bounds a dump: a stack has 128 addresses at most, some 2.5 KB of text, and there are about as many
/// samples as the rate goes into what lives, so the text has at most a sixth of the heap.
pub const SAMPLE_BYTES_MIN: u64 = 16 << 10;
/// The largest rate.
pub const SAMPLE_BYTES_MAX: u64 = 1 << 30;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum HeapProfileError {
    /// The program has no profiler.
    #[error("this program has no heap profiler: it was not built with jemalloc's, or was started without it")]
    Absent,
    /// The profiler is off.
    #[error("the heap profiler is off")]
    Inactive,
    /// The profiler is on with another rate.
    #[error("the heap profiler is on already, with one sample in {0} bytes")]
    Active(u64),
    /// The rate is out of its bounds.
    #[error("{0} bytes between two samples; it must be {SAMPLE_BYTES_MIN} to {SAMPLE_BYTES_MAX}")]
    Rate(u64),
    /// Somebody is at it.
    #[error("the heap profiler is being switched, or a profile is being made")]
    Busy,
    /// The dump is larger than may be.
    #[error("the profile's text has {bytes} bytes, and {bytes_max} are allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most.
        bytes_max: u64,
    },
    /// jemalloc refuses.
    #[error("jemalloc refuses {}: {cause}", .name.to_string_lossy())]
    Refused {
        /// What was asked for.
        name: &'static CStr,
        /// Its answer.
        cause: io::Error,
    },
    /// The dump cannot be had.
    #[error("the profile's text cannot be had: {0}")]
    Io(#[from] io::Error),
    /// The dump cannot be read.
    #[error("the profile's text cannot be read: {0}")]
    Garbled(#[from] DumpError),
}

/// The profiler at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapProfiler {
    /// Whether there is one.
    pub available: bool,
    /// Whether it samples.
    pub active: bool,
    /// One allocation in so many bytes is sampled, on average, while it is active.
    pub sample_bytes: u64,
    /// Profiles that were made.
    pub made: u64,
    /// Profiles that could not be made although the profiler was on.
    pub failed: u64,
    /// Size of the last one's text, which is bounded.
    pub text_bytes: u64,
}

/// What is known of the profiler without asking it, for threads that must not wait for a lock of jemalloc's.
struct Known {
    available: AtomicBool,
    active: AtomicBool,
    sample_bytes: AtomicU64,
    made: AtomicU64,
    failed: AtomicU64,
    text_bytes: AtomicU64,
}

static KNOWN: Known = Known {
    available: AtomicBool::new(false),
    active: AtomicBool::new(false),
    sample_bytes: AtomicU64::new(SAMPLE_BYTES),
    made: AtomicU64::new(0),
    failed: AtomicU64::new(0),
    text_bytes: AtomicU64::new(0),
};

/// When the profiler was looked for.
static FOUND: OnceLock<Instant> = OnceLock::new();

/// Whose turn it is at the profiler.
static TURN: Mutex<Run> = Mutex::new(Run { since: None, names: Names::new() });

/// What the profiler is, for whoever has the turn.
struct Run {
    /// When it was switched on last; `None` when that was not here.
    since: Option<Instant>,
    names: Names,
}

/// The profiler now. Costs some loads.
pub fn heap_profiler() -> HeapProfiler {
    HeapProfiler {
        available: KNOWN.available.load(Ordering::Relaxed),
        active: KNOWN.active.load(Ordering::Relaxed),
        sample_bytes: KNOWN.sample_bytes.load(Ordering::Relaxed),
        made: KNOWN.made.load(Ordering::Relaxed),
        failed: KNOWN.failed.load(Ordering::Relaxed),
        text_bytes: KNOWN.text_bytes.load(Ordering::Relaxed),
    }
}

/// Looks for the profiler, so that [`heap_profiler`] knows it; to be called when the program starts. The environment may
/// have switched it on.
pub fn find_heap_profiler() -> HeapProfiler {
    FOUND.get_or_init(|| {
        let flag = |name| heap::value::<2, u8>(name).is_some_and(|flag| flag != 0);
        let rate = heap::value::<2, usize>(c"prof.lg_sample").and_then(|lg| 1u64.checked_shl(u32::try_from(lg).ok()?));
        KNOWN.available.store(heap::is_the_allocator() && flag(c"opt.prof"), Ordering::Relaxed);
        KNOWN.active.store(flag(c"prof.active"), Ordering::Relaxed);
        KNOWN.sample_bytes.store(rate.unwrap_or(SAMPLE_BYTES), Ordering::Relaxed);
        Instant::now()
    });
    heap_profiler()
}

/// Switches the profiler on; what it recorded before is forgotten. Gives what it is then. When it is on already, nothing
/// changes. Blocks for as long as jemalloc takes: milliseconds.
///
/// # Errors
/// When there is none, it is on with another rate than what is asked for, or somebody else is at it.
pub fn start_heap_profiler(sample_bytes: Option<u64>) -> Result<HeapProfiler, HeapProfileError> {
    let rate = sample_bytes.unwrap_or(SAMPLE_BYTES);
    if !(SAMPLE_BYTES_MIN..=SAMPLE_BYTES_MAX).contains(&rate) {
        return Err(HeapProfileError::Rate(rate));
    }
    // jemalloc's rates are powers of two.
    let rate = rate.next_power_of_two();
    let mut run = turn()?;
    let now = heap_profiler();
    if now.active {
        let is_other = sample_bytes.is_some() && now.sample_bytes != rate;
        return if is_other { Err(HeapProfileError::Active(now.sample_bytes)) } else { Ok(now) };
    }
    forget(rate)?;
    switch(true)?;
    run.since = Some(Instant::now());
    Ok(heap_profiler())
}

/// Switches the profiler off, and forgets what it has recorded. Gives what it is then.
///
/// # Errors
/// When there is none, or somebody else is at it.
pub fn stop_heap_profiler() -> Result<HeapProfiler, HeapProfileError> {
    let _turn = turn()?;
    if KNOWN.active.load(Ordering::Relaxed) {
        switch(false)?;
        forget(SAMPLE_BYTES)?;
    }
    Ok(heap_profiler())
}

/// What lives now of what was allocated since the profiler was switched on, as a gzipped profile for pprof. Takes
/// milliseconds to seconds; for a part of them allocations that are being sampled wait. The text from which it is made may
/// have `text_bytes_max` bytes.
///
/// # Errors
/// When the profiler is off, somebody else is at it, or the text is too large.
pub fn heap_profile(text_bytes_max: u64) -> Result<Vec<u8>, HeapProfileError> {
    let mut run = turn()?;
    if !KNOWN.active.load(Ordering::Relaxed) {
        return Err(HeapProfileError::Inactive);
    }
    let lasted = run.since.as_ref().or(FOUND.get()).map(Instant::elapsed).unwrap_or_default();
    let made = dump(text_bytes_max).and_then(|text| {
        let span = Span { until: SystemTime::now(), lasted };
        let mut code = OwnCode { mappings: code_mappings(), names: &mut run.names };
        Ok(pprof::encode(&HeapDump::parse(&text)?, &mut code, span)?)
    });
    let count = if made.is_ok() { &KNOWN.made } else { &KNOWN.failed };
    count.fetch_add(1, Ordering::Relaxed);
    made
}

/// The code of this process.
struct OwnCode<'n> {
    mappings: Vec<CodeMapping>,
    names: &'n mut Names,
}

impl Code for OwnCode<'_> {
    fn mappings(&self) -> &[CodeMapping] {
        &self.mappings
    }

    fn frames(&mut self, mapping: usize, address: u64) -> Vec<Frame<'_>> {
        self.names.frames(&self.mappings[mapping], address)
    }
}

/// The right to be at the profiler. Nobody waits for it: who asks is on a thread that others need, too.
fn turn() -> Result<MutexGuard<'static, Run>, HeapProfileError> {
    if !find_heap_profiler().available {
        return Err(HeapProfileError::Absent);
    }
    match TURN.try_lock() {
        Ok(turn) => Ok(turn),
        // What a panic left half-done is repaired by the next switch.
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(HeapProfileError::Busy),
    }
}

fn switch(active: bool) -> Result<(), HeapProfileError> {
    set(c"prof.active", active)?;
    KNOWN.active.store(active, Ordering::Relaxed);
    Ok(())
}

/// Forgets what was recorded and sets the rate, a power of two.
fn forget(sample_bytes: u64) -> Result<(), HeapProfileError> {
    set(c"prof.reset", sample_bytes.ilog2() as usize)?;
    KNOWN.sample_bytes.store(sample_bytes, Ordering::Relaxed);
    Ok(())
}

/// jemalloc's text. It writes a file: here one that is nowhere but in memory, and goes with the descriptor.
fn dump(bytes_max: u64) -> Result<Vec<u8>, HeapProfileError> {
    // SAFETY: the name ends in a zero byte.
    let descriptor = unsafe { libc::memfd_create(c"egret-heap".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    let mut file = unsafe { File::from_raw_fd(descriptor) };
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(io::Error::from)?;
    set(c"prof.dump", path.as_ptr())?;
    let bytes = file.metadata()?.len();
    KNOWN.text_bytes.store(bytes, Ordering::Relaxed);
    if bytes > bytes_max {
        return Err(HeapProfileError::TooLarge { bytes, bytes_max });
    }
    // jemalloc has written by a descriptor of its own: this one still stands at the beginning.
    let mut text = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// Has jemalloc set one of its values.
fn set<T>(name: &'static CStr, value: T) -> Result<(), HeapProfileError> {
    heap::set(name, value).map_err(|cause| HeapProfileError::Refused { name, cause })
}

#[cfg(test)]
mod tests;
