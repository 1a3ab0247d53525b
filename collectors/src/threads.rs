//! The threads of this process as the kernel knows them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kept::read_into;
use crate::text;

/// What a thread does, in the words of Java (contract A.4, `thread-dump`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// On a CPU, or waiting for one.
    Runnable,
    /// Waiting in the kernel for a device or a page, or halted by a debugger or a signal.
    Blocked,
    /// Waiting for an event.
    Waiting,
    /// Ended.
    Terminated,
}

impl ThreadState {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runnable => "RUNNABLE",
            Self::Blocked => "BLOCKED",
            Self::Waiting => "WAITING",
            Self::Terminated => "TERMINATED",
        }
    }

    /// From the letter of `/proc/<pid>/task/<tid>/stat`.
    fn from_letter(letter: char) -> Self {
        match letter {
            // W is one that is being woken.
            'R' | 'W' => Self::Runnable,
            'D' | 'K' | 'T' | 't' => Self::Blocked,
            'Z' | 'X' | 'x' => Self::Terminated,
            // S and I sleep, P is parked.
            _ => Self::Waiting,
        }
    }
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSample {
    /// Its id in the kernel.
    pub id: i32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// What it does.
    pub state: ThreadState,
    /// Time on CPUs, by the kernel's ticks (10 ms).
    pub cpu_time: Duration,
    /// Where it is, innermost first, as far as the kernel tells: the frames of a call into the kernel for those who may
    /// see them, else the place where it waits. Empty for one that runs.
    pub stack: Vec<String>,
}

/// Reads `self/task` below a folder, which is `/proc` but for tests.
#[derive(Debug)]
pub(crate) struct ThreadsReader {
    tasks: PathBuf,
    buffer: Vec<u8>,
    nanos_a_tick: u64,
    told: bool,
}

impl ThreadsReader {
    pub(crate) fn new(root: &Path) -> Self {
        let nanos_a_tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
        Self { tasks: root.join("proc/self/task"), buffer: Vec::new(), nanos_a_tick, told: false }
    }

    /// All threads, by name and then by id.
    pub(crate) fn read(&mut self) -> Vec<ThreadSample> {
        let mut threads = match fs::read_dir(&self.tasks) {
            // A thread may end while it is looked at.
            Ok(tasks) => tasks.filter_map(|task| self.thread(&task.ok()?.path())).collect::<Vec<_>>(),
            Err(error) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!("{} cannot be read, the threads are not known: {error}", self.tasks.display());
                }
                Vec::new()
            }
        };
        threads.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        threads
    }

    fn thread(&mut self, task: &Path) -> Option<ThreadSample> {
        let id = task.file_name()?.to_str()?.parse().ok()?;
        let stat = text::task_stat(read_into(&task.join("stat"), &mut self.buffer)?)?;
        let state = ThreadState::from_letter(stat.state);
        let cpu_time = Duration::from_nanos(stat.cpu_ticks.saturating_mul(self.nanos_a_tick));
        let name = stat.name.to_owned();
        Some(ThreadSample { id, name, state, cpu_time, stack: stack(task, &mut self.buffer) })
    }
}

fn stack(task: &Path, buffer: &mut Vec<u8>) -> Vec<String> {
    // Only root may read the frames, and only of some kernels.
    if let Some(frames) = read_into(&task.join("stack"), buffer) {
        let frames: Vec<String> = frames.lines().filter_map(frame).collect();
        if !frames.is_empty() {
            return frames;
        }
    }
    match read_into(&task.join("wchan"), buffer) {
        Some(place) if !matches!(place.trim(), "" | "0") => vec![format!("kernel.{}", place.trim())],
        _ => Vec::new(),
    }
}

/// `[<0>] futex_wait+0x1/0x2` without its address.
fn frame(line: &str) -> Option<String> {
    let place = line.split_once("] ").map_or(line, |(_, place)| place).trim();
    let name = place.split_once('+').map_or(place, |(name, _)| name);
    (!name.is_empty() && name != "0x0").then(|| format!("kernel.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_their_names_ids_and_say_whether_they_run() {
        let mut reader = ThreadsReader::new(Path::new("/"));
        let (stop, waiting) = std::sync::mpsc::sync_channel::<()>(1);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let sleep = move || {
            // SAFETY: the call takes nothing and cannot fail.
            let _ = tell.send(unsafe { libc::gettid() });
            waiting.recv()
        };
        let thread = std::thread::Builder::new().name("sleeping-beauty".into()).spawn(sleep).expect("a thread");
        let id = told.recv().expect("its id");
        let patience = std::time::Instant::now() + Duration::from_secs(10);
        let found = loop {
            let threads = reader.read();
            assert!(threads.windows(2).all(|pair| pair[0].name <= pair[1].name));
            // SAFETY: as above.
            let own = unsafe { libc::gettid() };
            let own = threads.iter().find(|thread| thread.id == own).expect("this one");
            assert_eq!(own.state, ThreadState::Runnable, "this one runs");
            let beauty = threads.into_iter().find(|thread| thread.name == "sleeping-beauty");
            // It takes a moment to fall asleep.
            if let Some(beauty) = beauty.filter(|thread| thread.state == ThreadState::Waiting) {
                break beauty;
            }
            assert!(std::time::Instant::now() < patience, "it does not fall asleep");
            std::thread::yield_now();
        };
        assert_eq!(found.id, id);
        drop(stop);
        thread.join().expect("it ends").expect_err("nothing was sent");
        // Whoever joins a thread is told before the kernel takes it off the list.
        while reader.read().iter().any(|thread| thread.id == id) {
            assert!(std::time::Instant::now() < patience, "it stays on the list");
            std::thread::yield_now();
        }
    }

    #[test]
    fn without_files_there_are_no_threads() {
        let tree = tempfile::tempdir().expect("a folder");
        let mut reader = ThreadsReader::new(tree.path());
        assert_eq!(reader.read(), []);
        fs::create_dir_all(tree.path().join("proc/self/task/12")).expect("created");
        fs::create_dir_all(tree.path().join("proc/self/task/no-number")).expect("created");
        assert_eq!(reader.read(), []);
        fs::write(tree.path().join("proc/self/task/12/stat"), "12 (broken").expect("written");
        assert_eq!(reader.read(), []);
    }

    #[test]
    fn frames_lose_their_addresses() {
        assert_eq!(frame("[<0>] futex_wait_queue+0x65/0xa0").as_deref(), Some("kernel.futex_wait_queue"));
        assert_eq!(frame("[<ffffffff>] 0x0"), None);
        assert_eq!(frame(""), None);
    }

    #[test]
    fn every_letter_has_a_word() {
        let words = ['R', 'S', 'D', 'T', 'Z', 'I'].map(|letter| ThreadState::from_letter(letter).as_str());
        assert_eq!(words, ["RUNNABLE", "WAITING", "BLOCKED", "BLOCKED", "TERMINATED", "WAITING"]);
    }
}
