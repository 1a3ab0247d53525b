//! Reads lines, in one task.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use async_trait::async_trait;
use bytes::Bytes;
use egret_runtime::net::Stream;
use egret_runtime::plugin::{Progress, SourceReader, Split, TaskError};
use egret_runtime::row::{BATCH_BYTES, Batch, TableIndex};
use egret_runtime::shard::sleep;
use egret_runtime::task::TaskProbe;

use super::RETRY_PAUSE;
use super::lines::Text;
use super::source::{SPLIT, Work};

/// Bytes asked for at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A connection on its way, with its retries. It goes on where it was when [`SocketReader::next`] is dropped.
type Connecting = Pin<Box<dyn Future<Output = Result<Stream, TaskError>>>>;

/// The one reader of the source.
pub(super) struct SocketReader {
    work: Arc<Work>,
    has_split: bool,
    connecting: Option<Connecting>,
    stream: Option<Stream>,
    /// Failures since anything was read.
    failed: u64,
    text: Text,
    /// No more is to be read: what is left of the text comes out, then nothing.
    ended: bool,
    probe: Rc<TaskProbe>,
}

impl SocketReader {
    pub fn new(work: Arc<Work>, probe: Rc<TaskProbe>) -> Self {
        Self {
            work,
            has_split: false,
            connecting: None,
            stream: None,
            failed: 0,
            text: Text::default(),
            ended: false,
            probe,
        }
    }

    fn rows(&mut self) -> Result<Option<Batch>, TaskError> {
        let lines = self.text.take_lines(self.ended, self.work.line_bytes_max);
        let lines = lines.map_err(|error| error.while_doing(format!("reading from {}", self.work.peer)))?;
        if lines.is_empty() {
            return Ok(None);
        }
        let mut broken = 0;
        let values = lines.into_iter().map(|line| {
            let text = String::from_utf8_lossy(&self.text.bytes[line]);
            broken += u64::from(matches!(text, Cow::Owned(_)));
            text
        });
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        self.probe.warn(broken);
        let rows = RecordBatch::try_new(Arc::clone(self.work.schema.arrow()), vec![column])?;
        Ok(Some(Batch::inserts(TableIndex(0), rows)))
    }

    /// Connects; counts on from what failed before.
    fn connect(&self) -> Connecting {
        let work = Arc::clone(&self.work);
        let mut failed = self.failed;
        Box::pin(async move {
            if failed > 0 {
                sleep(RETRY_PAUSE).await;
            }
            loop {
                let error = match work.peer.connect().await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => error,
                };
                failed += 1;
                if !work.peer.tries_again(failed) {
                    return Err(TaskError::transient(error.to_string()));
                }
                tracing::warn!("{error}; trying again in {} ms", RETRY_PAUSE.as_millis());
                sleep(RETRY_PAUSE).await;
            }
        })
    }

    /// Reads what is at hand, up to a batch; waits until there is something. 0 at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(0)) };
        self.text.compact();
        let before = self.text.bytes.len();
        loop {
            let length = self.text.bytes.len();
            self.text.bytes.resize(length + CHUNK_BYTES, 0);
            let polled = stream.poll_read_into(cx, &mut self.text.bytes[length..]);
            let read = if let Poll::Ready(Ok(read)) = &polled { *read } else { 0 };
            self.text.bytes.truncate(length + read);
            let filled = length + read - before;
            if read > 0 && filled < BATCH_BYTES {
                continue;
            }
            // An error or the end comes again at the next read.
            return if filled > 0 { Poll::Ready(Ok(filled)) } else { polled };
        }
    }

    /// The connection has ended.
    fn lost(&mut self, error: Option<&io::Error>) -> Result<(), TaskError> {
        self.stream = None;
        self.failed += 1;
        let peer = &self.work.peer;
        if self.work.streaming && peer.tries_again(self.failed) {
            let why = error.map_or("the server has closed".to_owned(), ToString::to_string);
            tracing::warn!("{peer}: {why}; connecting again in {} ms", RETRY_PAUSE.as_millis());
            // A line that broke off does not go on in another connection.
            if !self.text.is_empty() {
                self.text.bytes.push(b'\n');
            }
            return Ok(());
        }
        match error {
            Some(error) => Err(TaskError::transient(error.to_string()).while_doing(format!("reading from {peer}"))),
            None => {
                self.ended = true;
                Ok(())
            }
        }
    }
}

#[async_trait(?Send)]
impl SourceReader for SocketReader {
    fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError> {
        self.has_split |= !splits.is_empty();
        Ok(())
    }

    async fn next(&mut self) -> Result<Progress, TaskError> {
        loop {
            if !self.has_split {
                return Ok(Progress::NeedSplits);
            }
            if let Some(batch) = self.rows()? {
                return Ok(Progress::Rows(batch));
            }
            if self.ended {
                self.has_split = false;
                self.stream = None;
                return Ok(Progress::End);
            }
            if self.stream.is_none() {
                if self.connecting.is_none() {
                    self.connecting = Some(self.connect());
                }
                if let Some(connecting) = &mut self.connecting {
                    let connected = connecting.as_mut().await;
                    self.connecting = None;
                    self.stream = Some(connected?);
                }
            }
            match poll_fn(|cx| self.poll_fill(cx)).await {
                Ok(0) => self.lost(None)?,
                Ok(_) => {
                    self.failed = 0;
                    // A batch job takes what is there at the first read.
                    self.ended = !self.work.streaming;
                }
                Err(error) => self.lost(Some(&error))?,
            }
        }
    }

    /// A server repeats nothing: there is no position to keep.
    fn snapshot(&mut self) -> Result<Vec<Split>, TaskError> {
        Ok(if self.has_split { vec![Split { id: SPLIT.into(), state: Bytes::new() }] } else { Vec::new() })
    }
}
