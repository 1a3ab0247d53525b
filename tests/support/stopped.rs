//! Threads of a running program that stand still for a while, as threads do that hang in the kernel.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::ptr;

use super::eventually;

/// Threads that stand still until this goes. A debugger stops a thread in the same way; the others run on.
pub struct Stopped {
    ids: Vec<i32>,
    /// The kernel takes orders only from the thread that gave the first one.
    _here: PhantomData<*const ()>,
}

impl Stopped {
    /// Has all threads of a name stand still, of which there must be one.
    pub fn threads(pid: u32, name: &str) -> Self {
        let mut stopped = Self { ids: Vec::new(), _here: PhantomData };
        // A thread gives itself its name when it gets a CPU for the first time.
        let ids = eventually(name, || Some(named(pid, name)).filter(|ids| !ids.is_empty()).ok_or("no such thread"));
        for id in ids {
            order(libc::PTRACE_SEIZE, id)
                .unwrap_or_else(|error| panic!("the kernel lets no test stop {name}: {error}"));
            stopped.ids.push(id);
            order(libc::PTRACE_INTERRUPT, id).expect("a thread to be stopped");
            let mut status = 0;
            // SAFETY: the pointer is to a live integer.
            assert_eq!(unsafe { libc::waitpid(id, &raw mut status, libc::__WALL) }, id);
            assert!(libc::WIFSTOPPED(status), "{name} has ended: {status}");
        }
        stopped
    }

    /// Lets them run again.
    pub fn go_on(self) {}
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for id in &self.ids {
            if order(libc::PTRACE_DETACH, *id).is_err() {
                // Its process has ended meanwhile, and cannot be buried before this thread has taken notice.
                // SAFETY: nothing is written for a pointer that is null.
                unsafe { libc::waitpid(*id, ptr::null_mut(), libc::__WALL) };
            }
        }
    }
}

fn named(pid: u32, name: &str) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let id = |task: fs::DirEntry| {
        let known_as = fs::read_to_string(task.path().join("comm")).ok()?;
        (known_as.trim_end() == name).then(|| task.file_name().to_str()?.parse().ok())?
    };
    tasks.filter_map(|task| id(task.expect("a thread"))).collect()
}

fn order(request: libc::c_uint, id: i32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests take a thread and nothing else; the thread is another process'.
    match unsafe { libc::ptrace(request, id, nothing, nothing) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
