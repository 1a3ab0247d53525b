//! The thread that writes the logs.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};

use super::index::Part;
use super::{Line, Shared};

/// How long the first line waits for others: the few lines of a short job then cost one opening of its file.
const GATHER: Duration = Duration::from_millis(50);
/// Lines that are written together.
const BATCH_LINES: usize = 4096;
/// Time between two looks for logs that have expired, and between two reports of the same trouble.
const ROUND: Duration = Duration::from_secs(60);
/// The least time between two looks for logs that have expired.
const ROUND_MIN: Duration = Duration::from_millis(100);

/// What the writer is told.
pub(super) enum Command {
    /// Lines are waiting.
    Lines,
    /// Write what is waiting, then say so.
    Flush(Sender<()>),
}

/// The state of the thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    /// Dropped lines that were told.
    dropped_told: u64,
    reported: Option<Instant>,
}

impl Writer {
    /// Starts the thread. It ends when nobody can send commands any more.
    pub fn start(shared: Arc<Shared>, commands: Receiver<Command>) -> io::Result<()> {
        let mut writer = Self { shared, commands, dropped_told: 0, reported: None };
        std::thread::Builder::new().name("egret-logs".to_owned()).spawn(move || writer.run())?;
        Ok(())
    }

    fn run(&mut self) {
        self.trim();
        // Logs that live shorter than a round are looked for as often as they may be over.
        let pause = self.shared.settings.log_expire.clamp(ROUND_MIN, ROUND);
        let mut round = Instant::now() + pause;
        loop {
            let mut flushed = Vec::new();
            let ended = match self.commands.recv_deadline(round) {
                Ok(Command::Lines) => self.gather(&mut flushed),
                Ok(Command::Flush(done)) => {
                    flushed.push(done);
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            // From here on a new line comes with a new command. What was queued before is seen below.
            self.shared.told.swap(false, Ordering::AcqRel);
            let mut wrote = self.write_batch();
            while wrote && !self.shared.queue.is_empty() {
                wrote = self.write_batch();
            }
            if wrote || Instant::now() >= round {
                self.trim();
                round = Instant::now() + pause;
            }
            // Nobody may be waiting any more.
            flushed.into_iter().for_each(|done| _ = done.try_send(()));
            self.report();
            if ended {
                return;
            }
        }
    }

    /// Waits for more lines; true when nobody can send any more.
    fn gather(&self, flushed: &mut Vec<Sender<()>>) -> bool {
        let deadline = Instant::now() + GATHER;
        loop {
            match self.commands.recv_deadline(deadline) {
                Ok(Command::Lines) => {}
                Ok(Command::Flush(done)) => {
                    flushed.push(done);
                    return false;
                }
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    /// Writes lines that wait, each job's together; false when there were none.
    fn write_batch(&mut self) -> bool {
        let mut jobs: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
        for _ in 0..BATCH_LINES {
            let Some(line) = self.shared.queue.pop() else { break };
            self.shared.queued_bytes.fetch_sub(line.size(), Ordering::Relaxed);
            jobs.entry(line.job).or_default().push(line);
        }
        for (job, lines) in &jobs {
            if let Err(error) = self.append(*job, lines) {
                let lines = lines.len() as u64;
                let lost = self.shared.lost.fetch_add(lines, Ordering::Relaxed) + lines;
                self.complain(&format!(
                    "cannot write logs to {}: {error}; {} lines are lost so far",
                    self.shared.settings.folder.display(),
                    lost
                ));
            }
        }
        !jobs.is_empty()
    }

    /// Appends to a job's log, and begins a new file where the old one is full.
    fn append(&self, job: i64, lines: &[Line]) -> io::Result<()> {
        let half = self.shared.settings.log_bytes_max / 2;
        let known = self.shared.index().get(job);
        let (mut current, mut rolled) = known.map_or((0, 0), |kept| (kept.current, kept.rolled));
        let mut text = String::new();
        for line in lines {
            let before = text.len();
            line.render(&mut text);
            if current + text.len() as u64 > half && current + before as u64 > 0 {
                let last = text.split_off(before);
                self.write(job, &text)?;
                current += text.len() as u64;
                text = last;
                let folder = &self.shared.settings.folder;
                std::fs::rename(folder.join(Part::Current.name(job)), folder.join(Part::Rolled.name(job)))?;
                (current, rolled) = (0, current);
                self.shared.index().put(job, current, rolled, SystemTime::now());
            }
        }
        self.write(job, &text)?;
        self.shared.index().put(job, current + text.len() as u64, rolled, SystemTime::now());
        Ok(())
    }

    fn write(&self, job: i64, text: &str) -> io::Result<()> {
        let path = self.shared.settings.folder.join(Part::Current.name(job));
        let mut options: OpenOptions = File::options();
        // A link in place of the file could lead anywhere.
        options.append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW);
        options.open(path)?.write_all(text.as_bytes())
    }

    /// Removes the logs that must go.
    fn trim(&mut self) {
        let shared = &*self.shared;
        let is_running = |job| shared.is_running.get().is_some_and(|is_running| is_running(job));
        let gone = shared.index().trim(&shared.settings, SystemTime::now(), is_running);
        let mut failed = None;
        for name in gone.into_iter().flat_map(|job| [Part::Current.name(job), Part::Rolled.name(job)]) {
            match std::fs::remove_file(shared.settings.folder.join(&name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => failed = Some((name, error)),
                _ => {}
            }
        }
        shared.note_kept();
        if let Some((name, error)) = failed {
            self.complain(&format!("cannot remove the log {name}: {error}"));
        }
    }

    /// Says how many lines were dropped.
    fn report(&mut self) {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if dropped > self.dropped_told
            && self.complain(&format!(
                "{} lines of jobs' logs were dropped because too many waited (queue_bytes_max is {})",
                dropped - self.dropped_told,
                self.shared.settings.queue_bytes_max
            ))
        {
            self.dropped_told = dropped;
        }
    }

    /// Says what is wrong, at most once a round; true when it was said. The line has no job: it is in no job's log.
    fn complain(&mut self, what: &str) -> bool {
        if self.reported.is_some_and(|at| at.elapsed() < ROUND) {
            return false;
        }
        self.reported = Some(Instant::now());
        tracing::warn!("{what}");
        true
    }
}
