//! Files to write.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use glommio::io::{BufferedFile, OpenOptions};

use super::{WRITE_BYTES_MAX, WRITE_CHUNK_BYTES, WRITES_BEHIND_MAX, failure, ring_failure};
use crate::plugin::TaskError;

type PendingWrite = Pin<Box<dyn Future<Output = Result<(), TaskError>>>>;

/// A new file, written from its start to its end.
///
/// Bytes gather in [`buffer`](Self::buffer); [`write_behind`](Self::write_behind) hands them to the ring in chunks and
/// waits only while more than [`WRITES_BEHIND_MAX`] writes are under way. So a file holds about
/// `WRITE_CHUNK_BYTES * (WRITES_BEHIND_MAX + 1)` bytes, plus what one call appends.
pub struct WriteFile {
    file: Rc<BufferedFile>,
    path: Arc<Path>,
    buffer: Vec<u8>,
    submitted: u64,
    under_way: VecDeque<PendingWrite>,
    failed: Option<TaskError>,
}

impl WriteFile {
    /// Makes a file that must not exist yet.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub async fn create_new(path: impl Into<PathBuf>) -> Result<Self, TaskError> {
        let path: Arc<Path> = path.into().into();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o666)
            .buffered_open(&path)
            .await
            .map_err(|error| ring_failure("creating", &path, error))?;
        Ok(Self::of(file, &path))
    }

    /// A file that is open for writing and empty.
    pub(super) fn of(file: BufferedFile, path: &Path) -> Self {
        Self {
            file: Rc::new(file),
            path: path.into(),
            buffer: Vec::new(),
            submitted: 0,
            under_way: VecDeque::new(),
            failed: None,
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes so far, those in the buffer among them.
    pub fn len(&self) -> u64 {
        self.submitted + self.buffer.len() as u64
    }

    /// Whether there are no bytes yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append; call [`write_behind`](Self::write_behind) from time to time.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends bytes and writes behind.
    ///
    /// # Errors
    /// When an earlier write failed: the disk is full, say.
    pub async fn append(&mut self, bytes: &[u8]) -> Result<(), TaskError> {
        self.buffer.extend_from_slice(bytes);
        self.write_behind().await
    }

    /// Hands the buffer to the ring once it holds a chunk. Waits while too many writes are under way. A dropped future
    /// may have lost a part of a long buffer: the file is then good for [`abandon`](Self::abandon) alone.
    ///
    /// # Errors
    /// When this or an earlier write failed.
    pub async fn write_behind(&mut self) -> Result<(), TaskError> {
        if self.buffer.len() < WRITE_CHUNK_BYTES {
            return Ok(());
        }
        self.submit().await?;
        self.wait_until(WRITES_BEHIND_MAX).await
    }

    /// Writes the rest, makes the file's data durable, closes it; answers its length. Its name becomes durable with
    /// [`sync_dir`](super::sync_dir) of its folder.
    ///
    /// # Errors
    /// When any write, the sync or the close failed.
    pub async fn finish(mut self) -> Result<u64, TaskError> {
        if !self.buffer.is_empty() {
            self.submit().await?;
        }
        self.wait_until(0).await?;
        self.file.fdatasync().await.map_err(|error| ring_failure("syncing", &self.path, error))?;
        let (length, path) = (self.submitted, Arc::clone(&self.path));
        self.close_file().await.map_err(|error| ring_failure("closing", &path, error))?;
        Ok(length)
    }

    /// Closes the file without making it durable; removing it is up to the caller.
    pub async fn abandon(mut self) {
        // Failures no longer matter.
        let _ = self.wait_until(0).await;
        let _ = self.close_file().await;
    }

    async fn close_file(self) -> Result<(), glommio::GlommioError<()>> {
        drop(self.under_way);
        match Rc::try_unwrap(self.file) {
            Ok(file) => file.close().await,
            Err(_) => unreachable!("writes are awaited before the file is closed"),
        }
    }

    /// Hands the whole buffer to the ring, in pieces of a chunk each when it is longer than one write may be. After
    /// the pieces at most [`WRITES_BEHIND_MAX`] writes are under way.
    async fn submit(&mut self) -> Result<(), TaskError> {
        let next = Vec::with_capacity(self.buffer.capacity().min(WRITE_BYTES_MAX));
        let bytes = std::mem::replace(&mut self.buffer, next);
        if bytes.len() <= WRITE_BYTES_MAX {
            self.start_write(bytes).await;
            return Ok(());
        }
        for piece in bytes.chunks(WRITE_CHUNK_BYTES) {
            self.start_write(piece.to_vec()).await;
            self.wait_until(WRITES_BEHIND_MAX).await?;
        }
        Ok(())
    }

    /// Hands one write to the ring.
    async fn start_write(&mut self, bytes: Vec<u8>) {
        let offset = self.submitted;
        self.submitted += bytes.len() as u64;
        let mut write: PendingWrite =
            Box::pin(write_fully(Rc::clone(&self.file), Arc::clone(&self.path), bytes, offset));
        // The first poll puts the write into the ring.
        let first = poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await;
        match first {
            Poll::Pending => self.under_way.push_back(write),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Waits until at most `count` writes are under way.
    async fn wait_until(&mut self, count: usize) -> Result<(), TaskError> {
        poll_fn(|context| self.poll_until(context, count)).await;
        match self.failed.take() {
            None => Ok(()),
            Some(error) => {
                // What follows must fail too, without repeating the cause.
                self.failed = Some(TaskError::transient(format!("writing {}: it failed before", self.path.display())));
                Err(error)
            }
        }
    }

    fn poll_until(&mut self, context: &mut Context<'_>, count: usize) -> Poll<()> {
        while self.under_way.len() > count {
            let Some(first) = self.under_way.front_mut() else { break };
            match first.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => {
                    self.under_way.pop_front();
                    if let Err(error) = result {
                        self.failed.get_or_insert(error);
                    }
                }
            }
        }
        Poll::Ready(())
    }
}

/// Writes all bytes. The ring gives no bytes back, so a write that stops half way cannot go on: it fails, with the
/// cause that writing one byte more brings to light (the disk is full, a quota, a size limit).
async fn write_fully(file: Rc<BufferedFile>, path: Arc<Path>, bytes: Vec<u8>, offset: u64) -> Result<(), TaskError> {
    debug_assert!(bytes.len() <= WRITE_BYTES_MAX, "a write of {} bytes holds a CPU for too long", bytes.len());
    let wanted = bytes.len();
    let failed = |error| ring_failure("writing", &path, error);
    let written = file.write_at(bytes, offset).await.map_err(failed)?;
    if written == wanted {
        return Ok(());
    }
    file.write_at(vec![0], offset + written as u64).await.map_err(failed)?;
    let stopped = format!("stopped after {written} of {wanted} bytes");
    Err(failure("writing", &path, &std::io::Error::new(std::io::ErrorKind::WriteZero, stopped)))
}
