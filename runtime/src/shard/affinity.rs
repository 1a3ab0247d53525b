//! What the kernel is asked about this thread: its CPU, its priority, the memory barrier.

use std::io;

/// Pins the calling thread to one CPU.
///
/// # Errors
/// The kernel's, for a CPU that there is not or that the cpuset excludes.
pub fn pin_to(cpu: usize) -> io::Result<()> {
    let mut mask = [0u64; MASK_WORDS];
    let word = mask.get_mut(cpu / 64).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    *word |= 1 << (cpu % 64);
    // SAFETY: the kernel reads `size_of_val(&mask)` bytes of a live array that is laid out as its CPU mask is.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&mask), mask.as_ptr().cast()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// CPUs that the calling thread may run on, ascending.
pub(super) fn affinity() -> io::Result<Vec<usize>> {
    let mut mask = [0u64; MASK_WORDS];
    // SAFETY: the kernel writes at most `size_of_val(&mask)` bytes into a live array.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&mask), mask.as_mut_ptr().cast()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((0..MASK_WORDS * 64).filter(|cpu| mask[cpu / 64] & (1 << (cpu % 64)) != 0).collect())
}

/// Room for 8,192 CPUs, the most that Linux can be built for.
const MASK_WORDS: usize = 128;

/// Lowers the calling thread's priority to a nice value; a thread that is already lower stays there.
pub(crate) fn lower_priority(nice: i32) -> io::Result<()> {
    // SAFETY: plain calls; 0 names the calling thread, because Linux keeps a nice value for each thread.
    let own = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    if own >= nice {
        return Ok(());
    }
    // SAFETY: as above.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Registers the process for the barrier that an executor issues before it parks.
///
/// Without it the first park of each executor pays for the registration. In a process with several threads the kernel waits
/// for 10 to 80 ms until all CPUs know; with a single one it takes a microsecond. So a program that starts other threads before
/// its shards calls this before them; [`Shards::start`](super::Shards::start) does it in any case. Kernels without the call
/// (before 4.14) use another barrier, so a failure is no error.
pub fn register_membarrier() {
    // SAFETY: a plain call without pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_runs_on_its_cpu_alone() {
        std::thread::spawn(|| {
            let cpus = affinity().expect("affinity");
            let cpu = cpus[cpus.len() - 1];
            pin_to(cpu).expect("pin");
            assert_eq!(affinity().expect("affinity"), [cpu]);
            assert_eq!(pin_to(MASK_WORDS * 64).map_err(|error| error.raw_os_error()), Err(Some(libc::EINVAL)));
        })
        .join()
        .expect("thread");
    }

    #[test]
    fn priority_is_only_ever_lowered() {
        std::thread::spawn(|| {
            // SAFETY: as in `lower_priority`.
            let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
            lower_priority(12).expect("nice");
            assert!(nice() >= 12);
            let before = nice();
            lower_priority(3).expect("nice");
            assert_eq!(nice(), before);
        })
        .join()
        .expect("thread");
    }
}
