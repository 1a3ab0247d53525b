//! The threads of this process as the kernel knows them.

use std::fs;

use procfs::process::Process;

use crate::VitalsError;

/// What a thread does, in the words of Java (contract A.4, `thread-dump`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// On a CPU, or waiting for one.
    Runnable,
    /// Waiting in the kernel for a device or a page.
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
            'R' => Self::Runnable,
            'D' | 'T' | 't' => Self::Blocked,
            'Z' | 'X' | 'x' => Self::Terminated,
            _ => Self::Waiting,
        }
    }
}

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadDump {
    /// Its id in the kernel.
    pub id: i32,
    /// Its name, at most 15 bytes.
    pub name: String,
    /// What it does.
    pub state: ThreadState,
    /// Where it is, innermost first, as far as the kernel tells: the frames of a call into the kernel for those who may
    /// see them, else the place where it waits. Empty for one that runs.
    pub stack: Vec<String>,
}

/// All threads, by name and then by id. Reads `/proc`: for blocking threads.
///
/// # Errors
/// When the kernel does not show this process to itself.
pub fn threads() -> Result<Vec<ThreadDump>, VitalsError> {
    let tasks = Process::myself().and_then(|process| process.tasks()).map_err(VitalsError::read("/proc/self/task"))?;
    // A thread may end while it is looked at.
    let mut threads: Vec<ThreadDump> = tasks
        .filter_map(|task| {
            let task = task.ok()?;
            let stat = task.stat().ok()?;
            Some(ThreadDump {
                id: task.tid,
                name: stat.comm,
                state: ThreadState::from_letter(stat.state),
                stack: stack(task.tid),
            })
        })
        .collect();
    threads.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    Ok(threads)
}

fn stack(id: i32) -> Vec<String> {
    // Only root may read the frames, and only of some kernels.
    if let Ok(frames) = fs::read_to_string(format!("/proc/self/task/{id}/stack")) {
        let frames: Vec<String> = frames.lines().filter_map(frame).collect();
        if !frames.is_empty() {
            return frames;
        }
    }
    match fs::read_to_string(format!("/proc/self/task/{id}/wchan")) {
        Ok(place) if !matches!(place.trim(), "" | "0") => vec![format!("kernel.{}", place.trim())],
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
    fn threads_have_their_names_and_say_whether_they_run() {
        let (stop, waiting) = std::sync::mpsc::sync_channel::<()>(1);
        let thread = std::thread::Builder::new().name("sleeping-beauty".into()).spawn(move || waiting.recv());
        let thread = thread.expect("a thread");
        let found = loop {
            let threads = threads().expect("threads");
            assert!(threads.windows(2).all(|pair| pair[0].name <= pair[1].name));
            assert!(threads.iter().any(|thread| thread.state == ThreadState::Runnable), "this one runs");
            let beauty = threads.into_iter().find(|thread| thread.name == "sleeping-beauty");
            // It takes a moment to get its name, and to fall asleep.
            if let Some(beauty) = beauty.filter(|thread| thread.state == ThreadState::Waiting) {
                break beauty;
            }
            std::thread::yield_now();
        };
        assert!(found.id > 0);
        drop(stop);
        thread.join().expect("it ends").expect_err("nothing was sent");
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
