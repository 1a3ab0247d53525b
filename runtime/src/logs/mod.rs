//! A log for each job: bounded files that the log endpoints serve (contract A.4 and F.2).
//!
//! Whoever logs an event of a job hands a line to [`JobLogs`] and goes on: nothing here blocks the caller. One thread
//! writes the lines, a file for each job, and keeps the bounds. [`JobLogLayer`] picks the events of jobs out of all
//! others: those that carry a field `job`, and those that a job's task or its blocking work logs by itself.
//!
//! A log is `job-<id>.log`. When it has grown to half of [`JobLogSettings::log_bytes_max`] it becomes
//! `job-<id>.log.1`, in place of the one before, and a new one begins.

mod index;
mod layer;
mod line;
mod mask;
mod read;
mod writer;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crossbeam::channel::{Sender, bounded};

use crate::bounded::BoundedQueue;

use index::Index;
use line::Line;
use writer::{Command, Writer};

pub use layer::{JobLogLayer, JobLogSlot, is_of_a_job};
pub use read::{LogFile, LogReader};

/// Every bound of the logs, with its default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLogSettings {
    /// Where the logs are. It is made if it is not there. One node at a time may use it.
    pub folder: PathBuf,
    /// Bytes of one job's log, its older half included, at least [`JobLogSettings::LOG_BYTES_MIN`]. Default 10 MiB.
    pub log_bytes_max: u64,
    /// Jobs whose logs are kept; the logs written last stay. Default 10,000.
    pub logs_max: usize,
    /// Bytes of all logs together; the logs written last stay. Default 1 GiB.
    pub logs_bytes_max: u64,
    /// How long the log of an ended job is kept after its last line. Default seven days.
    pub log_expire: Duration,
    /// Bytes of lines that wait to be written; further lines are dropped and counted. Default 16 MiB.
    pub queue_bytes_max: usize,
}

impl JobLogSettings {
    /// The smallest bound of a log.
    pub const LOG_BYTES_MIN: u64 = 64 << 10;
    /// The smallest bound of the queue: one line.
    pub const QUEUE_BYTES_MIN: usize = line::LINE_BYTES_MAX;

    /// The defaults, in this folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            log_bytes_max: 10 << 20,
            logs_max: 10_000,
            logs_bytes_max: 1 << 30,
            log_expire: Duration::from_secs(7 * 24 * 60 * 60),
            queue_bytes_max: 16 << 20,
        }
    }

    /// The first setting that is out of its bounds.
    fn problem(&self) -> Option<String> {
        if self.log_bytes_max < Self::LOG_BYTES_MIN {
            return Some(format!(
                "log_bytes_max is {}; it must be at least {}",
                self.log_bytes_max,
                Self::LOG_BYTES_MIN
            ));
        }
        if self.logs_max == 0 {
            return Some("logs_max is 0; it must be at least 1".to_owned());
        }
        if self.logs_bytes_max < self.log_bytes_max {
            return Some(format!(
                "logs_bytes_max is {}; it must be at least log_bytes_max, {}",
                self.logs_bytes_max, self.log_bytes_max
            ));
        }
        if self.queue_bytes_max < Self::QUEUE_BYTES_MIN {
            return Some(format!(
                "queue_bytes_max is {}; it must be at least {}",
                self.queue_bytes_max,
                Self::QUEUE_BYTES_MIN
            ));
        }
        None
    }
}

/// The logs in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Jobs with a log.
    pub logs: u64,
    /// Bytes of all logs.
    pub bytes: u64,
    /// Bytes of lines that wait to be written.
    pub queued_bytes: u64,
    /// Lines that were dropped because too many waited, since the node was started.
    pub dropped: u64,
    /// Lines that could not be written, since the node was started.
    pub lost: u64,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// A setting makes no sense.
    #[error("logs: {0}")]
    Setting(String),
    /// Another node writes there.
    #[error("the log folder {} is in use by another node: stop that, or choose another folder", .0.display())]
    InUse(PathBuf),
    /// The folder cannot be used.
    #[error("cannot use the log folder {}: {cause}; give the right to write there, or choose another folder", folder.display())]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Lines that wait, whatever their length.
const QUEUE_LINES_MAX: usize = 32_768;
/// Commands that wait for the writer.
const COMMANDS_MAX: usize = 64;
/// How long a reader waits for lines that are on their way to the file.
const FLUSH: Duration = Duration::from_millis(500);

/// Whether a job has not ended yet.
type IsRunning = Box<dyn Fn(i64) -> bool + Send + Sync>;

/// The logs of all jobs of a node. Clones are the same logs; the last one that goes ends the writer.
#[derive(Clone)]
pub struct JobLogs {
    shared: Arc<Shared>,
    commands: Sender<Command>,
}

/// What callers and the writer share.
struct Shared {
    settings: JobLogSettings,
    queue: BoundedQueue<Line>,
    queued_bytes: AtomicUsize,
    /// The writer has been told that there are lines.
    told: AtomicBool,
    dropped: AtomicU64,
    lost: AtomicU64,
    /// What the index last had, for those who must not wait for it.
    kept: AtomicU64,
    kept_bytes: AtomicU64,
    index: Mutex<Index>,
    is_running: OnceLock<IsRunning>,
    /// Held locked for as long as this node uses the folder.
    _lock: File,
}

impl Shared {
    /// Never on an executor: the writer holds it while it updates the index.
    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the index has now.
    fn note_kept(&self) {
        let index = self.index();
        self.kept.store(index.len() as u64, Ordering::Relaxed);
        self.kept_bytes.store(index.bytes(), Ordering::Relaxed);
    }
}

impl std::fmt::Debug for JobLogs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobLogs").field("folder", &self.shared.settings.folder).finish_non_exhaustive()
    }
}

impl JobLogs {
    /// Opens the folder, looks at the logs that are there, and starts the writer. Blocks: call it on a plain thread.
    ///
    /// # Errors
    /// When the folder cannot be used, or is used by another node.
    pub fn open(settings: JobLogSettings) -> Result<Self, LogsError> {
        if let Some(problem) = settings.problem() {
            return Err(LogsError::Setting(problem));
        }
        let folder = settings.folder.clone();
        let failed = |cause| LogsError::Folder { folder: folder.clone(), cause };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let lock = lock(&folder)?;
        let index = Index::scan(&folder).map_err(failed)?;
        let (commands, received) = bounded(COMMANDS_MAX);
        let shared = Arc::new(Shared {
            settings,
            queue: BoundedQueue::new(QUEUE_LINES_MAX),
            queued_bytes: AtomicUsize::new(0),
            told: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            kept_bytes: AtomicU64::new(0),
            index: Mutex::new(index),
            is_running: OnceLock::new(),
            _lock: lock,
        });
        shared.note_kept();
        Writer::start(Arc::clone(&shared), received).map_err(failed)?;
        Ok(Self { shared, commands })
    }

    /// Says how to tell a job that runs: its log is the last to be removed. Jobs count as ended before this is called.
    pub fn spare_running(&self, is_running: impl Fn(i64) -> bool + Send + Sync + 'static) {
        let _ = self.shared.is_running.set(Box::new(is_running));
    }

    /// Takes a line of a job to be written soon. Never blocks: with too many lines waiting it is dropped and counted.
    fn write(&self, line: Line) {
        let shared = &*self.shared;
        let bytes = line.size();
        let queued = shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if queued + bytes > shared.settings.queue_bytes_max || shared.queue.push(line).is_err() {
            shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if !shared.told.swap(true, Ordering::AcqRel) {
            // With the commands' queue full the writer is awake, and looks at the lines before it sleeps.
            let _ = self.commands.try_send(Command::Lines);
        }
    }

    /// Lines that wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.queue.len()
    }

    /// Lines that were dropped because too many waited, since the node was started.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// What there is and what was left out. Does not wait; what the disk has is up to a batch of lines ahead.
    pub fn stats(&self) -> LogStats {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let shared = &self.shared;
        LogStats {
            logs: get(&shared.kept),
            bytes: get(&shared.kept_bytes),
            queued_bytes: shared.queued_bytes.load(Ordering::Relaxed) as u64,
            dropped: get(&shared.dropped),
            lost: get(&shared.lost),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.shared.settings.folder
    }

    /// Waits until everything that was handed over before is in its file; false when `timeout` comes first. Blocks:
    /// call it on a plain thread.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let (done, written) = bounded(1);
        self.commands.send_deadline(Command::Flush(done), deadline).is_ok() && written.recv_deadline(deadline).is_ok()
    }
}

/// Claims a folder for this process.
fn lock(folder: &Path) -> Result<File, LogsError> {
    let failed = |cause| LogsError::Folder { folder: folder.to_owned(), cause };
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(".lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogsError::InUse(folder.to_owned())),
        Err(TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

#[cfg(test)]
mod tests;
