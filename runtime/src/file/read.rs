//! Files to read.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use glommio::GlommioError;
use glommio::io::{BufferedFile, ReadResult};

use super::{READ_CHUNK_BYTES, READS_AHEAD_MAX, failure, ring_failure};
use crate::plugin::TaskError;

/// A file opened for reading.
#[derive(Debug)]
pub struct ReadFile {
    bytes: Source,
    path: Arc<Path>,
    length: u64,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
enum Source {
    Ring(Rc<BufferedFile>),
    Memory(Bytes),
}

impl ReadFile {
    /// Opens a file.
    ///
    /// # Errors
    /// When it is not there, is a folder, or may not be read.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, TaskError> {
        let path: Arc<Path> = path.into().into();
        let failed = |error| ring_failure("opening", &path, error);
        let file = BufferedFile::open(&path).await.map_err(failed)?;
        let length = match file.file_size().await {
            Ok(length) => length,
            Err(error) => {
                let error = ring_failure("opening", &path, error);
                // The first failure is the one to tell.
                let _ = file.close().await;
                return Err(error);
            }
        };
        Ok(Self { bytes: Source::Ring(Rc::new(file)), path, length })
    }

    /// Bytes in memory as if they were a file of this name. For tools and tests: it needs no executor.
    pub fn in_memory(path: impl Into<PathBuf>, bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self { bytes: Source::Memory(bytes), path: path.into().into(), length }
    }

    /// Length in bytes when the file was opened.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether the file was empty when it was opened.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads exactly `length` bytes at a position.
    ///
    /// # Errors
    /// When they cannot be read, or the file (as long as it was when opened) ends before.
    pub async fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, TaskError> {
        let ends_early = |at: u64| {
            let wanted = offset.saturating_add(length as u64);
            let text = format!("the file ends at {at}, before {wanted}");
            failure("reading", &self.path, &std::io::Error::new(std::io::ErrorKind::UnexpectedEof, text))
        };
        // Before memory is taken: the length may come from a broken file.
        if self.length.checked_sub(offset).is_none_or(|left| left < length as u64) {
            return Err(ends_early(self.length));
        }
        let file = match &self.bytes {
            Source::Ring(file) => file,
            Source::Memory(bytes) => return Ok(bytes.slice(offset as usize..offset as usize + length)),
        };
        let mut found = Vec::with_capacity(length);
        while found.len() < length {
            let wanted = (length - found.len()).min(READ_CHUNK_BYTES * 4);
            let part = file
                .read_at(offset + found.len() as u64, wanted)
                .await
                .map_err(|error| ring_failure("reading", &self.path, error))?;
            if part.is_empty() {
                return Err(ends_early(offset + found.len() as u64));
            }
            found.extend_from_slice(&part);
        }
        Ok(found.into())
    }

    /// Reads from a position to the end, ahead of its user.
    pub fn stream(self, offset: u64) -> ReadStream {
        self.stream_by(offset, READ_CHUNK_BYTES)
    }

    /// As [`stream`](Self::stream), reading so many bytes at a time.
    pub fn stream_by(self, offset: u64, chunk_bytes: usize) -> ReadStream {
        ReadStream { next: offset, chunk: chunk_bytes.max(1), pending: VecDeque::new(), file: self }
    }

    /// Reads a part of the file, ahead of its user; the file stays open for other parts.
    pub fn part(&self, range: Range<u64>) -> ReadStream {
        let length = range.end.min(self.length);
        let file = Self { bytes: self.bytes.clone(), path: Arc::clone(&self.path), length };
        file.stream(range.start)
    }

    /// Closes the file.
    ///
    /// # Errors
    /// As the operating system tells.
    pub async fn close(self) -> Result<(), TaskError> {
        let Source::Ring(file) = self.bytes else { return Ok(()) };
        match Rc::try_unwrap(file) {
            Ok(file) => file.close().await.map_err(|error| ring_failure("closing", &self.path, error)),
            // A read is under way; the last holder closes the file.
            Err(_) => Ok(()),
        }
    }
}

type PendingRead = Pin<Box<dyn Future<Output = Result<Vec<ReadResult>, GlommioError<()>>>>>;

enum Read {
    UnderWay(PendingRead),
    Done(Vec<ReadResult>),
}

/// A file read from a position to its end, [`READS_AHEAD_MAX`] chunks ahead.
pub struct ReadStream {
    file: ReadFile,
    next: u64,
    chunk: usize,
    pending: VecDeque<Read>,
}

impl ReadStream {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Length of the file when it was opened.
    pub fn file_len(&self) -> u64 {
        self.file.len()
    }

    /// Bytes of one read.
    pub fn chunk_bytes(&self) -> usize {
        self.chunk
    }

    /// Appends the next chunk; answers how many bytes it had, 0 at the end. A dropped future loses nothing.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError> {
        poll_fn(|context| self.poll_fill(context, into)).await
    }

    fn poll_fill(&mut self, context: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<Result<usize, TaskError>> {
        let file = match &self.file.bytes {
            Source::Ring(file) => file,
            Source::Memory(bytes) => {
                let end = self.file.length.min(self.next.saturating_add(self.chunk as u64));
                let piece = bytes.get(self.next as usize..end as usize).unwrap_or_default();
                into.extend_from_slice(piece);
                self.next += piece.len() as u64;
                return Poll::Ready(Ok(piece.len()));
            }
        };
        while self.pending.len() < READS_AHEAD_MAX && self.next < self.file.length {
            let length = (self.file.length - self.next).min(self.chunk as u64);
            let mut read: PendingRead = Box::pin(read_fully(Rc::clone(file), self.next, length as usize));
            self.next += length;
            // The first poll puts the read into the ring.
            self.pending.push_back(match read.as_mut().poll(context) {
                Poll::Pending => Read::UnderWay(read),
                Poll::Ready(Ok(parts)) => Read::Done(parts),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(ring_failure("reading", &self.file.path, error))),
            });
        }
        let parts = match self.pending.front_mut() {
            None => return Poll::Ready(Ok(0)),
            Some(Read::Done(parts)) => std::mem::take(parts),
            Some(Read::UnderWay(read)) => match read.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(parts)) => parts,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(ring_failure("reading", &self.file.path, error))),
            },
        };
        self.pending.pop_front();
        parts.iter().for_each(|part| into.extend_from_slice(part));
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    /// Closes the file.
    ///
    /// # Errors
    /// As the operating system tells.
    pub async fn close(self) -> Result<(), TaskError> {
        drop(self.pending);
        self.file.close().await
    }
}

/// One read, or several when the kernel gives less than asked for; fewer bytes than asked for at the end alone.
async fn read_fully(file: Rc<BufferedFile>, offset: u64, length: usize) -> Result<Vec<ReadResult>, GlommioError<()>> {
    let mut parts = Vec::with_capacity(1);
    let mut done = 0;
    while done < length {
        let part = file.read_at(offset + done as u64, length - done).await?;
        if part.is_empty() {
            break;
        }
        done += part.len();
        parts.push(part);
    }
    Ok(parts)
}
