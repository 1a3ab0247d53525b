//! What wakes the watchdog: executors that use CPU time, and the end.
//!
//! The kernel has timers on a thread's CPU clock. They tell the watchdog by a real-time signal, which it blocks and waits
//! for: no handler runs, and no executor is interrupted. An executor that sleeps uses no CPU, so it wakes nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, mem, ptr};

use super::clock::CpuClock;

/// What woke the watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Woken {
    /// Time is over.
    Time,
    /// The executor of this number has used CPU time.
    Executor(usize),
    /// It has to end.
    End,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    /// The thread that waits. It takes itself out before it ends: while the lock is held, the number is its own and not
    /// that of a new thread, whom the signal would kill.
    waiter: Mutex<Option<i32>>,
}

impl Shared {
    fn waiter(&self) -> MutexGuard<'_, Option<i32>> {
        self.waiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropping it ends the watchdog.
pub(in crate::shard) struct Alarm {
    shared: Arc<Shared>,
}

/// The watchdog's end of it.
pub(in crate::shard) struct Alerts {
    shared: Arc<Shared>,
    timers: Vec<Timer>,
}

/// Real-time signals from here on are ours; the stacks' is another one.
fn signal_number() -> i32 {
    libc::SIGRTMIN() + 4
}

fn signal_set() -> libc::sigset_t {
    // SAFETY: an all-zero set is a valid place for `sigemptyset` to write to; the number is a valid signal.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal_number());
        set
    }
}

/// An alarm and who waits for it.
pub(in crate::shard) fn pair() -> (Alarm, Alerts) {
    let shared = Arc::new(Shared::default());
    (Alarm { shared: shared.clone() }, Alerts { shared, timers: Vec::new() })
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        if let Some(waiter) = *self.shared.waiter() {
            // SAFETY: plain numbers. The thread is there and blocks the signal, see `Shared`.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), waiter, signal_number()) };
        }
    }
}

impl Alerts {
    /// Makes this thread the one that waits. To be called once, by the watchdog.
    ///
    /// # Errors
    /// The kernel's.
    pub(in crate::shard) fn begin(&mut self) -> io::Result<()> {
        let set = signal_set();
        // SAFETY: the set is initialised; the old mask is not asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) } {
            0 => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
        // SAFETY: the call takes nothing and cannot fail.
        *self.shared.waiter() = Some(unsafe { libc::gettid() });
        Ok(())
    }

    /// Has a thread tell each time that it has used so much CPU time.
    ///
    /// # Errors
    /// The kernel's.
    pub(in crate::shard) fn watch(&mut self, thread: i32, number: usize, period: Duration) -> io::Result<()> {
        let Some(waiter) = *self.shared.waiter() else { return Err(io::Error::other("nobody waits")) };
        self.timers.push(Timer::start(CpuClock::of(thread), waiter, number, period)?);
        Ok(())
    }

    /// Waits for an executor to use CPU time, for the end, or for a time to be over.
    pub(in crate::shard) fn wait(&self, until: Instant) -> Woken {
        let set = signal_set();
        loop {
            if self.shared.ended.load(Ordering::SeqCst) {
                return Woken::End;
            }
            let left = until.saturating_duration_since(Instant::now());
            let timeout = timespec(left);
            // SAFETY: an all-zero record is valid.
            let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
            // SAFETY: all three are live for the duration of the call.
            let signal = unsafe { libc::sigtimedwait(&set, &mut info, &timeout) };
            if signal > 0 && info.si_code == libc::SI_TIMER {
                // SAFETY: a timer's signal carries the value that the timer was made with.
                return Woken::Executor(unsafe { info.si_value() }.sival_ptr as usize);
            }
            if signal < 0 && left.is_zero() {
                return Woken::Time;
            }
            // Another signal, or an interrupted wait: look again.
        }
    }
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.timers.clear();
        *self.shared.waiter() = None;
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// A timer of the kernel.
struct Timer(libc::timer_t);

// SAFETY: a number of the kernel's, good in every thread of the process.
unsafe impl Send for Timer {}

impl Timer {
    fn start(clock: CpuClock, waiter: i32, number: usize, period: Duration) -> io::Result<Self> {
        // SAFETY: an all-zero event is valid; its fields are set below.
        let mut event: libc::sigevent = unsafe { mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal_number();
        event.sigev_notify_thread_id = waiter;
        event.sigev_value = libc::sigval { sival_ptr: number as *mut libc::c_void };
        let mut id: libc::timer_t = ptr::null_mut();
        // SAFETY: both are live for the duration of the call.
        if unsafe { libc::timer_create(clock.0, &mut event, &mut id) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let timer = Self(id);
        let times = libc::itimerspec { it_interval: timespec(period), it_value: timespec(period) };
        // SAFETY: the timer is ours, the times are live for the duration of the call, the old ones are not asked for.
        if unsafe { libc::timer_settime(timer.0, 0, &times, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(timer)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: it was made by `timer_create` and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_thread_that_uses_cpu_time_wakes_the_watchdog_and_one_that_sleeps_does_not() {
        let (alarm, mut alerts) = pair();
        let (tell, told) = mpsc::sync_channel(1);
        let (go, gate) = mpsc::sync_channel::<()>(0);
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let thread = thread::spawn(move || {
            // SAFETY: the call takes nothing and cannot fail.
            tell.send(unsafe { libc::gettid() }).expect("somebody listens");
            let _ = gate.recv();
            while !until.load(Ordering::Relaxed) {}
        });
        let id = told.recv().expect("an id");
        alerts.begin().expect("begun");
        alerts.watch(id, 7, Duration::from_millis(20)).expect("a timer");
        assert_eq!(alerts.wait(Instant::now() + Duration::from_millis(50)), Woken::Time);
        drop(go);
        assert_eq!(alerts.wait(soon()), Woken::Executor(7));
        assert_eq!(alerts.wait(soon()), Woken::Executor(7), "again and again");
        stop.store(true, Ordering::Relaxed);
        thread.join().expect("ended");
        drop(alarm);
        while alerts.wait(soon()) != Woken::End {}
    }

    #[test]
    fn a_waiting_watchdog_ends_at_once() {
        let (alarm, mut alerts) = pair();
        let (tell, told) = mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            alerts.begin().expect("begun");
            tell.send(()).expect("somebody listens");
            alerts.wait(Instant::now() + Duration::from_secs(600))
        });
        told.recv().expect("begun");
        drop(alarm);
        assert_eq!(thread.join().expect("ended"), Woken::End);
    }

    #[test]
    fn an_end_before_the_wait_is_not_missed() {
        let (alarm, mut alerts) = pair();
        drop(alarm);
        alerts.begin().expect("begun");
        assert_eq!(alerts.wait(soon()), Woken::End);
    }

    #[test]
    fn a_thread_that_is_gone_has_no_timer() {
        let (_alarm, mut alerts) = pair();
        alerts.begin().expect("begun");
        assert!(alerts.watch(i32::MAX / 16, 0, Duration::from_millis(1)).is_err());
    }
}
