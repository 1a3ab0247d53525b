//! SIGTERM and SIGINT: blocked in every thread, waited for by one.

use std::sync::{Arc, OnceLock};
use std::{io, mem, ptr, thread};

use super::Signal;

/// What asked the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor.
    Terminate,
}

impl StopCause {
    /// Exit status of a process that this ended: 130 or 143.
    pub fn exit_code(self) -> i32 {
        match self {
            Self::Interrupt => 128 + libc::SIGINT,
            Self::Terminate => 128 + libc::SIGTERM,
        }
    }
}

impl std::fmt::Display for StopCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

fn stop_signals() -> libc::sigset_t {
    // SAFETY: an all-zero signal set is a valid place for `sigemptyset` to write to; the numbers are valid signals.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGINT);
        libc::sigaddset(&mut set, libc::SIGTERM);
        set
    }
}

/// Blocks SIGTERM and SIGINT in this thread and in those that it starts. Call it before any other thread exists:
/// from then on only [`wait_for_stop`] and [`watch`] see them.
///
/// # Errors
/// The kernel's.
pub fn block_stop_signals() -> io::Result<()> {
    let set = stop_signals();
    // SAFETY: `set` is initialised; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Waits for SIGTERM or SIGINT, which must be blocked in all threads. From then on a second one ends the process at
/// once with 130 or 143, whatever it is doing.
///
/// # Errors
/// If the thread that waits for the second signal cannot be started.
pub fn wait_for_stop() -> io::Result<StopCause> {
    let cause = next_stop()?;
    thread::Builder::new().name("egret-signals".to_owned()).spawn(end_at_next_stop)?;
    Ok(cause)
}

/// Waits for SIGTERM or SIGINT in a thread of its own, for callers that wait for other things, too.
#[derive(Clone, Debug)]
pub struct StopWatch {
    /// Raised by the first of them. A second one ends the process at once with 130 or 143.
    pub signal: Signal,
    cause: Arc<OnceLock<StopCause>>,
}

impl StopWatch {
    /// What asked for the stop, once the signal is raised.
    pub fn cause(&self) -> Option<StopCause> {
        self.cause.get().copied()
    }
}

/// Starts the thread of a [`StopWatch`]. The signals must be blocked in all threads.
///
/// # Errors
/// If the thread cannot be started.
pub fn watch() -> io::Result<StopWatch> {
    let watch = StopWatch { signal: Signal::new(), cause: Arc::default() };
    let StopWatch { signal, cause } = watch.clone();
    thread::Builder::new().name("egret-signals".to_owned()).spawn(move || {
        let Ok(first) = next_stop() else { return };
        cause.get_or_init(|| first);
        signal.set();
        end_at_next_stop();
    })?;
    Ok(watch)
}

fn next_stop() -> io::Result<StopCause> {
    let set = stop_signals();
    let mut signal = 0;
    // SAFETY: both point to live values for the duration of the call.
    match unsafe { libc::sigwait(&set, &mut signal) } {
        0 if signal == libc::SIGINT => Ok(StopCause::Interrupt),
        0 => Ok(StopCause::Terminate),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn end_at_next_stop() {
    if let Ok(cause) = next_stop() {
        // SAFETY: `_exit` does not return, and unlike `exit` it waits for nothing.
        unsafe { libc::_exit(cause.exit_code()) }
    }
}
