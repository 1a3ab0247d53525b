//! CPU time of threads.

/// A thread's CPU clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct CpuClock(pub(super) libc::clockid_t);

impl CpuClock {
    /// That of the calling thread, whichever it is.
    pub(in crate::shard) const OWN: Self = Self(libc::CLOCK_THREAD_CPUTIME_ID);

    /// That of a thread of this process, by its id in the kernel. The C library makes it so as well
    /// (`pthread_getcpuclockid`), but wants a handle of its own.
    pub(super) fn of(thread: i32) -> Self {
        /// The clock of one thread (4) as the scheduler counts it (2).
        const PER_THREAD_SCHEDULED: libc::clockid_t = 4 | 2;
        Self((!thread) << 3 | PER_THREAD_SCHEDULED)
    }

    /// Nanoseconds that the thread has been on CPUs; `None` when it has ended.
    pub(in crate::shard) fn read(self) -> Option<u64> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a live value.
        if unsafe { libc::clock_gettime(self.0, &raw mut time) } != 0 {
            return None;
        }
        Some((time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threads_clock_is_the_same_from_within_and_from_elsewhere() {
        // SAFETY: the call takes nothing and cannot fail.
        let own = unsafe { libc::gettid() };
        let before = CpuClock::OWN.read().expect("a time");
        let elsewhere = std::thread::scope(|scope| {
            scope.spawn(move || CpuClock::of(own).read()).join().expect("ended").expect("a time")
        });
        let after = CpuClock::OWN.read().expect("a time");
        assert!(before <= elsewhere && elsewhere <= after, "{before} {elsewhere} {after}");
        assert_eq!(CpuClock::of(i32::MAX / 16).read(), None);
    }
}
