//! The start probe: what this host lacks to run shards, each with its cure in one line.

use std::{fs, io, mem};

use super::{ShardsConfig, allowed_cpus};

/// Why shards cannot run on this host. The text is one line: cause, then cure. A command that meets one exits with
/// [`HostProblem::EXIT_CODE`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostProblem {
    /// The kernel is too old.
    #[error("Linux {release} is too old for io_uring as it is needed here; run Linux 5.8 or newer")]
    KernelTooOld {
        /// Its release, as `uname -r` prints it.
        release: String,
    },
    /// The kernel was built without io_uring.
    #[error(
        "this kernel has no io_uring (ENOSYS); use one built with CONFIG_IO_URING=y, or a container runtime that passes it on"
    )]
    Missing,
    /// The sysctl forbids it.
    #[error("io_uring is forbidden by kernel.io_uring_disabled={level}; run `sysctl kernel.io_uring_disabled=0`{group}",
        group = if *.level == 1 { ", or put this user's group into kernel.io_uring_group" } else { "" })]
    Disabled {
        /// Value of the sysctl: 1 for processes without privileges, 2 for all.
        level: u8,
    },
    /// A filter forbids it.
    #[error(
        "io_uring is forbidden by a seccomp filter or a security module (EPERM); allow io_uring_setup, io_uring_enter and io_uring_register, in Docker with `--security-opt seccomp=unconfined` or a profile that lists them"
    )]
    Forbidden,
    /// Too little memory may be locked.
    #[error("RLIMIT_MEMLOCK is {limit} bytes, {executors} executors need {needed}; run `ulimit -l {kib}`, set LimitMEMLOCK={needed} in the systemd unit, or pass `--ulimit memlock={needed}` to the container",
        kib = .needed.div_ceil(1024))]
    Memlock {
        /// The limit, in bytes.
        limit: u64,
        /// What the executors need, in bytes.
        needed: u64,
        /// Number of executors, two for each CPU.
        executors: usize,
    },
    /// The kernel refused a ring for another reason.
    #[error("io_uring cannot be set up: {cause}; check `ulimit -n`, free memory and `dmesg`")]
    Refused {
        /// What the kernel said.
        cause: String,
    },
}

impl HostProblem {
    /// EX_CONFIG: nothing was started, and nothing will until the host is set up differently.
    pub const EXIT_CODE: i32 = 78;
}

/// What the host said.
#[derive(Clone, Debug)]
struct Facts {
    /// As `uname -r` prints it.
    release: String,
    /// Result of setting a ring up: 0 or the error number.
    ring_errno: i32,
    /// The sysctl kernel.io_uring_disabled; `None` where there is none (before Linux 6.6).
    disabled: Option<u8>,
    /// Bytes that may be locked.
    memlock: u64,
    /// The process may lock beyond the limit (CAP_IPC_LOCK).
    may_lock: bool,
    executors: usize,
}

/// Bytes that the executor library wants the limit to be, whatever it locks.
const MEMLOCK_MIN: u64 = 512 << 10;
/// Each executor registers its I/O memory with each of its three rings.
const RINGS: u64 = 3;
/// CAP_IPC_LOCK's bit in the capability masks.
const CAP_IPC_LOCK: u32 = 14;

fn memlock_needed(executors: usize, may_lock: bool) -> u64 {
    let pinned = if may_lock { 0 } else { executors as u64 * RINGS * ShardsConfig::IO_MEMORY_MIN as u64 };
    pinned.max(MEMLOCK_MIN)
}

/// The problem that the facts show, the one that has to be mended first.
fn judge(facts: &Facts) -> Result<(), HostProblem> {
    if kernel_version(&facts.release).is_some_and(|version| version < (5, 8)) {
        return Err(HostProblem::KernelTooOld { release: facts.release.clone() });
    }
    match (facts.ring_errno, facts.disabled) {
        (0, _) => {}
        (libc::ENOSYS, _) => return Err(HostProblem::Missing),
        (libc::EPERM | libc::EACCES, Some(level @ 1..)) => return Err(HostProblem::Disabled { level }),
        (libc::EPERM | libc::EACCES, _) => return Err(HostProblem::Forbidden),
        // Before Linux 5.12 rings count as locked memory.
        (libc::ENOMEM, _) if facts.memlock < memlock_needed(facts.executors, false) => {
            return Err(memlock_problem(facts, memlock_needed(facts.executors, false)));
        }
        (errno, _) => {
            return Err(HostProblem::Refused { cause: io::Error::from_raw_os_error(errno).to_string() });
        }
    }
    let needed = memlock_needed(facts.executors, facts.may_lock);
    if facts.memlock < needed { Err(memlock_problem(facts, needed)) } else { Ok(()) }
}

fn memlock_problem(facts: &Facts, needed: u64) -> HostProblem {
    HostProblem::Memlock { limit: facts.memlock, needed, executors: facts.executors }
}

/// Major and minor of a release like `6.18.0-rc1`.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Looks whether shards can run on all CPUs that this process may use. Call it before anything is started. The soft
/// memlock limit is raised to the hard one if it is too low.
///
/// # Errors
/// The [`HostProblem`] to mend first.
pub fn probe_host() -> Result<(), HostProblem> {
    let cpus = allowed_cpus().map_err(|error| HostProblem::Refused { cause: error.to_string() })?;
    probe_host_for(cpus.len())
}

/// As [`probe_host`], for a number of shards.
///
/// # Errors
/// The [`HostProblem`] to mend first.
pub fn probe_host_for(shards: usize) -> Result<(), HostProblem> {
    let executors = 2 * shards;
    let may_lock = fs::read_to_string("/proc/self/status").is_ok_and(|status| has_capability(&status, CAP_IPC_LOCK));
    let facts = Facts {
        release: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        ring_errno: try_ring(),
        disabled: fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
            .ok()
            .and_then(|level| level.trim().parse().ok()),
        memlock: raise_memlock(memlock_needed(executors, may_lock)),
        may_lock,
        executors,
    };
    judge(&facts)
}

/// Sets the smallest ring up and closes it: 0 or the error number.
fn try_ring() -> i32 {
    // `struct io_uring_params` is 120 bytes; all zero asks for nothing special.
    let mut params = [0u64; 15];
    // SAFETY: the kernel reads and writes the 120 bytes of a live array.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    if ring < 0 {
        return io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    }
    // SAFETY: the descriptor was made above and nobody else has it.
    unsafe { libc::close(ring as libc::c_int) };
    0
}

/// The soft limit in bytes, raised to the hard one if it is below what is needed.
fn raise_memlock(needed: u64) -> u64 {
    // SAFETY: an all-zero rlimit is valid, and the kernel fills it in.
    let mut limit: libc::rlimit = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a live value.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } != 0 {
        return 0;
    }
    if limit.rlim_cur < needed && limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
        // SAFETY: the pointer is to a live value.
        if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raised) } == 0 {
            return raised.rlim_cur;
        }
    }
    limit.rlim_cur
}

/// Whether the effective capabilities of a /proc/PID/status have a bit.
fn has_capability(status: &str, bit: u32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << bit) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            release: "6.18.0-generic".into(),
            ring_errno: 0,
            disabled: Some(0),
            memlock: 8 << 20,
            may_lock: false,
            executors: 4,
        }
    }

    #[test]
    fn a_good_host_has_no_problem() {
        assert_eq!(judge(&good()), Ok(()));
    }

    #[test]
    fn each_problem_is_told_from_the_others() {
        let errno = |ring_errno| Facts { ring_errno, ..good() };
        assert_eq!(judge(&errno(libc::ENOSYS)), Err(HostProblem::Missing));
        assert_eq!(judge(&errno(libc::EPERM)), Err(HostProblem::Forbidden));
        let disabled = |level| Facts { disabled: Some(level), ..errno(libc::EPERM) };
        assert_eq!(judge(&disabled(1)), Err(HostProblem::Disabled { level: 1 }));
        assert_eq!(judge(&disabled(2)), Err(HostProblem::Disabled { level: 2 }));
        let old = Facts { release: "5.4.0-1".into(), ..good() };
        assert_eq!(judge(&old), Err(HostProblem::KernelTooOld { release: "5.4.0-1".into() }));
        assert!(matches!(judge(&errno(libc::EMFILE)), Err(HostProblem::Refused { .. })));
    }

    #[test]
    fn the_memory_to_lock_grows_with_the_executors_unless_locking_is_free() {
        let facts = Facts { memlock: 1 << 20, executors: 128, ..good() };
        let needed = 128 * 3 * 65536;
        let problem = HostProblem::Memlock { limit: 1 << 20, needed, executors: 128 };
        assert_eq!(judge(&facts), Err(problem));
        assert_eq!(judge(&Facts { may_lock: true, ..facts.clone() }), Ok(()));
        let facts = Facts { memlock: 64 << 10, executors: 2, may_lock: true, ..good() };
        assert!(matches!(judge(&facts), Err(HostProblem::Memlock { needed: MEMLOCK_MIN, .. })));
        let facts = Facts { memlock: 64 << 10, ring_errno: libc::ENOMEM, ..good() };
        assert!(matches!(judge(&facts), Err(HostProblem::Memlock { .. })));
    }

    #[test]
    fn every_problem_is_one_line_with_a_cure() {
        let problems = [
            HostProblem::KernelTooOld { release: "4.19.0".into() },
            HostProblem::Missing,
            HostProblem::Disabled { level: 1 },
            HostProblem::Disabled { level: 2 },
            HostProblem::Forbidden,
            HostProblem::Memlock { limit: 65536, needed: 786_432, executors: 4 },
            HostProblem::Refused { cause: "Too many open files".into() },
        ];
        for problem in problems {
            let text = problem.to_string();
            assert!(!text.contains('\n') && text.contains("; "), "{text}");
        }
        let text = HostProblem::Memlock { limit: 65536, needed: 786_432, executors: 4 }.to_string();
        assert!(text.contains("ulimit -l 768"), "{text}");
    }

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        assert!(has_capability("CapPrm:\t0\nCapEff:\t0000000000004000\n", CAP_IPC_LOCK));
        assert!(!has_capability("CapInh:\tffff\nCapEff:\t0000000000000000\n", CAP_IPC_LOCK));
    }
}
