//! The program as a process: its command line, its output while it runs, its end.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::PATIENCE;

/// A running `egret`; killed when the test lets go of it.
pub struct Program {
    child: Child,
    exit: OwnedFd,
    stdout: Arc<Output>,
    stderr: Arc<Output>,
}

/// What is left of a program that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Asserts the exit status, and shows everything when it is another one.
    #[track_caller]
    pub fn expect_exit(self, code: i32) -> Self {
        assert_eq!(
            (self.status.code(), self.status.signal()),
            (Some(code), None),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }
}

/// One stream of the program, read by a thread as it comes.
#[derive(Default)]
struct Output {
    state: Mutex<Seen>,
    more: Condvar,
}

#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    ended: bool,
}

impl Output {
    /// Reads to the end, or up to the end of a line that holds `last`; then the stream is closed.
    fn follow(mut stream: impl Read + Send + 'static, last: Option<&'static str>) -> Arc<Self> {
        let output = Arc::new(Self::default());
        let filled = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut chunk = [0; 16 << 10];
            loop {
                let read = stream.read(&mut chunk).unwrap_or(0);
                let mut state = filled.state.lock().expect("no reader panics");
                state.bytes.extend_from_slice(&chunk[..read]);
                let enough = last.is_some_and(|last| {
                    let text = String::from_utf8_lossy(&state.bytes);
                    text.contains(last) && text.ends_with('\n')
                });
                state.ended = read == 0 || enough;
                filled.more.notify_all();
                if state.ended {
                    return;
                }
            }
        });
        output
    }

    /// Waits until `find` finds something in what has come so far; `None` when the stream ended without it.
    fn wait_for<T>(&self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().expect("no reader panics");
        loop {
            let text = String::from_utf8_lossy(&state.bytes);
            if let Some(found) = find(&text) {
                return Some(found);
            }
            if state.ended {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never came: {what}; so far:\n{text}");
            drop(text);
            state = self.more.wait_timeout(state, left).expect("no reader panics").0;
        }
    }

    /// All of it, once the stream has ended.
    fn whole(&self) -> String {
        self.wait_for("the end of a stream", |_| None::<()>);
        let state = self.state.lock().expect("no reader panics");
        String::from_utf8_lossy(&state.bytes).into_owned()
    }
}

/// `egret` with arguments, away from what the caller's environment says about logs.
pub fn egret<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE")
        .env_remove("EGRET_CONFIG")
        .env_remove("EGRET_URL")
        .env_remove("EGRET_USER")
        .env_remove("EGRET_PASSWORD")
        .env_remove("EGRET_PASSWORD_FILE")
        .env_remove("EGRET_TOKEN")
        .env_remove("EGRET_TOKEN_FILE")
        .env_remove("EGRET_AUTH_PASSWORD")
        .env_remove("EGRET_AUTH_TOKEN")
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::null());
    command
}

/// Runs `egret` to its end.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    Program::start(egret(arguments)).end()
}

/// Runs `egret run` on a config text.
pub fn run_config(config: &str) -> Ended {
    let folder = super::Folder::new();
    run_file(&folder.write("job.conf", config))
}

/// Runs `egret run` on a file.
pub fn run_file(path: &Path) -> Ended {
    run([OsStr::new("run"), path.as_os_str()])
}

impl Program {
    pub fn start(command: Command) -> Self {
        Self::start_heard_until(command, None)
    }

    /// Starts it with a standard output that this does not read.
    pub fn start_with_stdout(mut command: Command, stdout: Stdio) -> Self {
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("the program starts");
        // The command holds the descriptors that it was given.
        drop(command);
        let stderr = Output::follow(child.stderr.take().expect("piped"), None);
        let exit = pidfd(&child);
        Self { child, exit, stdout: Output::follow(std::io::empty(), None), stderr }
    }

    /// Starts it, and after a line on standard error that holds `last` closes that stream: what the program writes
    /// there from then on fails.
    pub fn start_heard_until(mut command: Command, last: Option<&'static str>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stdout = Output::follow(child.stdout.take().expect("piped"), None);
        let stderr = Output::follow(child.stderr.take().expect("piped"), last);
        let exit = pidfd(&child);
        Self { child, exit, stdout, stderr }
    }

    /// Waits for something on standard error.
    #[track_caller]
    pub fn wait_for_stderr<T>(&self, what: &str, find: impl FnMut(&str) -> Option<T>) -> T {
        match self.stderr.wait_for(what, find) {
            Some(found) => found,
            None => panic!("ended without {what}:\n{}", self.stderr.whole()),
        }
    }

    /// Waits for something on standard output.
    #[track_caller]
    pub fn wait_for_stdout<T>(&self, what: &str, find: impl FnMut(&str) -> Option<T>) -> T {
        match self.stdout.wait_for(what, find) {
            Some(found) => found,
            None => panic!("ended without {what}:\n{}", self.stderr.whole()),
        }
    }

    /// Files and sockets that it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("/proc").count()
    }

    /// Has it get no more descriptors than these.
    pub fn limit_open_files(&self, most: usize) {
        let limit = libc::rlimit { rlim_cur: most as libc::rlim_t, rlim_max: most as libc::rlim_t };
        // SAFETY: the pointer is to a live value; the process has not been waited for, so the id is still its own.
        let set = unsafe {
            libc::prlimit(self.child.id().cast_signed(), libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut())
        };
        assert_eq!(set, 0, "the limit is set: {}", std::io::Error::last_os_error());
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call. The process has not been waited for, so the id is still its own.
        let sent = unsafe { libc::kill(self.child.id().cast_signed(), signal) };
        assert_eq!(sent, 0, "the signal is delivered: {}", std::io::Error::last_os_error());
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let mut event = libc::pollfd { fd: self.exit.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let patience = i32::try_from(PATIENCE.as_millis()).expect("a minute");
        // SAFETY: one pollfd of this function, of a descriptor that `self.exit` keeps open.
        let ready = unsafe { libc::poll(&raw mut event, 1, patience) };
        if ready != 1 {
            let _ = self.child.kill();
            panic!("has not ended in time:\n{}\n{}", self.stdout.whole(), self.stderr.whole());
        }
        let status = self.child.wait().expect("the process can be waited for");
        Ended { status, stdout: self.stdout.whole(), stderr: self.stderr.whole() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail when the process has ended and was waited for, and then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A descriptor that becomes readable when the process ends.
fn pidfd(child: &Child) -> OwnedFd {
    // SAFETY: a plain system call without pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("a descriptor")) }
}
