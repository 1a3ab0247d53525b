//! Reading logs. Names are looked up among the logs that are there, never made into a path, and links are not
//! followed: no name leads elsewhere.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

use bytes::Bytes;

use super::index::Part;
use super::{FLUSH, JobLogs};
use crate::shard::run_blocking;

/// Bytes that are read at a time.
const CHUNK_BYTES: u64 = 64 << 10;

/// A file of a job's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its name: `job-<id>.log`, or `job-<id>.log.1` for the older half of a long one.
    pub name: String,
    /// The job.
    pub job_id: i64,
    /// Its size.
    pub bytes: u64,
}

/// A log that is being read, as far as it went when it was opened.
#[derive(Debug)]
pub struct LogReader {
    file: Option<File>,
    remaining: u64,
}

impl JobLogs {
    /// All files, in the order of the jobs' ids. What was logged before is in them. Call it on an executor.
    ///
    /// # Errors
    /// When the node is too busy.
    pub async fn list(&self) -> io::Result<Vec<LogFile>> {
        let logs = self.clone();
        run_blocking(move || logs.list_now()).await.map_err(io::Error::other)
    }

    /// Opens a file by its name; `None` when there is no such log. What was logged before is in it. Call it on an
    /// executor.
    ///
    /// # Errors
    /// When it cannot be read, or the node is too busy.
    pub async fn open_log(&self, name: &str) -> io::Result<Option<LogReader>> {
        let Some((job, part)) = Part::parse(name) else { return Ok(None) };
        let logs = self.clone();
        run_blocking(move || logs.open_now(job, part)).await.map_err(io::Error::other)?
    }

    /// As [`JobLogs::list`], for a plain thread.
    pub fn list_now(&self) -> Vec<LogFile> {
        self.flush(FLUSH);
        self.shared.index().files()
    }

    pub(super) fn open_now(&self, job: i64, part: Part) -> io::Result<Option<LogReader>> {
        self.flush(FLUSH);
        let Some(remaining) = self.shared.index().size(job, part) else { return Ok(None) };
        let path = self.shared.settings.folder.join(part.name(job));
        match File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
            Ok(file) => Ok(Some(LogReader { file: Some(file), remaining })),
            // Removed since, or a link in its place, which could lead anywhere.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ELOOP)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl LogReader {
    /// Bytes that are still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// The next piece, at most 64 KiB; `None` at the end. Call it on an executor.
    ///
    /// # Errors
    /// When it cannot be read, or the node is too busy.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let Some(file) = self.file.take().filter(|_| self.remaining > 0) else { return Ok(None) };
        let wanted = self.remaining.min(CHUNK_BYTES);
        let (file, piece) = run_blocking(move || read_piece(file, wanted)).await.map_err(io::Error::other)??;
        if piece.is_empty() {
            self.remaining = 0;
            return Ok(None);
        }
        self.remaining -= piece.len() as u64;
        self.file = Some(file);
        Ok(Some(piece))
    }

    /// All that is left, piece by piece: at most half of the bound of a log. Call it on an executor.
    ///
    /// # Errors
    /// As [`LogReader::next`].
    pub async fn rest(mut self) -> io::Result<Vec<Bytes>> {
        let mut pieces = Vec::new();
        while let Some(piece) = self.next().await? {
            pieces.push(piece);
        }
        Ok(pieces)
    }
}

fn read_piece(file: File, wanted: u64) -> io::Result<(File, Bytes)> {
    let mut piece = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
    (&file).take(wanted).read_to_end(&mut piece)?;
    Ok((file, piece.into()))
}
