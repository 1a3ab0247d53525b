//! A process under test, and what the kernel tells of it.

use std::error::Error;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How long a process gets to end by itself once it is asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A running process. Dropping it kills it.
pub struct Child {
    process: Process,
    /// Readable from the end of the process on.
    ended: OwnedFd,
    /// When it was started: just before the fork.
    pub started: Instant,
    reaped: bool,
}

/// How a process ended.
pub struct Ended {
    pub status: ExitStatus,
    /// CPU time in all, of user and kernel.
    pub cpu: Duration,
    /// The most memory that it had, in KiB.
    pub peak_kib: u64,
}

/// Has a process run on some CPUs alone, with all its threads.
pub fn bind(command: &mut Command, cpus: &[usize]) {
    // SAFETY: all zeroes is a value of this plain structure.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for cpu in cpus.iter().copied().filter(|cpu| *cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: the number is below the size of the set.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the call is async-signal-safe, allocates nothing, and its pointer is to a value that the closure owns.
    unsafe {
        command.pre_exec(move || match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

impl Child {
    /// Starts a process that ends with this one at the latest.
    pub fn spawn(mut command: Command) -> Result<Self, Box<dyn Error>> {
        // SAFETY: prctl is async-signal-safe and allocates nothing.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        let started = Instant::now();
        let mut process = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", command.get_program().to_string_lossy()))?;
        // SAFETY: a plain call; the process is our child and was not waited for, so that its id is its own.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process.id(), 0) };
        let Ok(fd @ 0..) = i32::try_from(fd) else {
            let error = io::Error::last_os_error();
            process.kill()?;
            process.wait()?;
            return Err(error.into());
        };
        // SAFETY: the kernel has just given the descriptor to us alone.
        let ended = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { process, ended, started, reaped: false })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The process' standard error, if it is a pipe and was not taken before.
    pub fn take_stderr(&mut self) -> Option<std::process::ChildStderr> {
        self.process.stderr.take()
    }

    /// Waits for the end, but not longer than so; `None` while the process runs.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Option<Ended>> {
        let mut polled = libc::pollfd { fd: self.ended.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the pointer is to a live value.
        if unsafe { libc::poll(&mut polled, 1, timeout) } <= 0 {
            return Ok(None);
        }
        let mut status = 0;
        // SAFETY: all zeroes is a value of this plain structure.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let id = libc::pid_t::try_from(self.process.id()).map_err(io::Error::other)?;
        // SAFETY: the pointers are to live values. The process has ended, so that this does not wait.
        if unsafe { libc::wait4(id, &mut status, 0, &mut usage) } != id {
            return Err(io::Error::last_os_error());
        }
        self.reaped = true;
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
        };
        let cpu = time(usage.ru_utime) + time(usage.ru_stime);
        let peak_kib = usage.ru_maxrss.unsigned_abs();
        Ok(Some(Ended { status: ExitStatus::from_raw(status), cpu, peak_kib }))
    }

    /// Asks the process to end with SIGTERM and waits for that.
    pub fn stop(&mut self) -> Result<Ended, Box<dyn Error>> {
        let id = libc::pid_t::try_from(self.process.id())?;
        // SAFETY: a plain call; the process was not waited for, so that its id is its own.
        if !self.reaped && unsafe { libc::kill(id, libc::SIGTERM) } != 0 {
            return Err(io::Error::last_os_error().into());
        }
        let ended = self.wait(STOP_TIMEOUT)?;
        ended.ok_or_else(|| format!("the process did not end within {STOP_TIMEOUT:?} of SIGTERM").into())
    }

    /// Memory in KiB as /proc tells it, by the name of the line: `VmRSS`, `VmHWM`, `RssAnon`, `RssFile`.
    pub fn memory_kib(&self, line: &str) -> io::Result<u64> {
        memory_kib(&fs::read_to_string(self.proc("status"))?, line)
            .ok_or_else(|| io::Error::other(format!("/proc tells no {line}")))
    }

    /// Files, sockets and rings that it has open.
    pub fn open_files(&self) -> io::Result<usize> {
        Ok(fs::read_dir(self.proc("fd"))?.count())
    }

    /// CPU time of all its threads so far, ended ones among them, to the nanosecond.
    pub fn cpu(&self) -> io::Result<Duration> {
        let id = libc::pid_t::try_from(self.id()).map_err(io::Error::other)?;
        let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: the pointer is to a live value.
        match unsafe { libc::clock_getcpuclockid(id, &mut clock) } {
            0 => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
        // SAFETY: the pointer is to a live value.
        match unsafe { libc::clock_gettime(clock, &mut time) } {
            0 => {
                Ok(Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_nanos(time.tv_nsec.unsigned_abs()))
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.id().to_string()).join(file)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            // Nobody is left to tell, and a process that has ended needs no killing.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn memory_kib(status: &str, line: &str) -> Option<u64> {
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

/// The `egret` to measure: the one that is named, or the one beside this program.
pub fn egret(named: Option<&Path>) -> Result<PathBuf, Box<dyn Error>> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name("egret"),
    };
    let cure = "build it (cargo build --release) or name it with --egret";
    // The process starts in another folder.
    path.canonicalize().map_err(|error| format!("there is no {}: {error}; {cure}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Child::spawn(command).expect("a shell")
    }

    #[test]
    fn a_process_tells_its_memory_and_cpu_time_and_ends_when_asked() {
        let mut child = shell("while :; do :; done");
        while child.cpu().expect("cpu time") < Duration::from_millis(20) {
            assert!(child.wait(Duration::from_millis(1)).expect("waited").is_none());
        }
        assert!(child.memory_kib("VmHWM").expect("memory") > 100);
        assert!(child.open_files().expect("files") >= 3);
        let ended = child.stop().expect("stopped");
        assert_eq!(ended.status.signal(), Some(libc::SIGTERM));
        assert!(ended.cpu >= Duration::from_millis(10), "{:?}", ended.cpu);
    }

    #[test]
    fn an_end_gives_the_exit_status() {
        let ended = shell("exit 3").wait(Duration::from_secs(60)).expect("waited").expect("ended");
        assert_eq!(ended.status.code(), Some(3));
    }

    #[test]
    fn a_bound_process_has_the_cpus_that_it_was_given() {
        let cpu = egret_runtime::shard::allowed_cpus().expect("cpus")[0];
        let mut command = Command::new("/bin/grep");
        command.args(["-c", &format!("^Cpus_allowed_list:[[:space:]]*{cpu}$"), "/proc/self/status"]);
        bind(&mut command, &[cpu]);
        let ended =
            Child::spawn(command).expect("a process").wait(Duration::from_secs(60)).expect("waited").expect("ended");
        assert!(ended.status.success() && ended.peak_kib > 100, "{} {}", ended.status, ended.peak_kib);
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let child = shell("while :; do :; done");
        let folder = child.proc("");
        assert!(folder.exists());
        drop(child);
        assert!(!folder.exists());
    }

    #[test]
    fn memory_is_read_by_the_name_of_its_line() {
        let status = "Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t  56 kB\n";
        assert_eq!(memory_kib(status, "VmRSS"), Some(56));
        assert_eq!(memory_kib(status, "VmHWM"), Some(1234));
        assert_eq!(memory_kib(status, "Vm"), None);
    }
}
