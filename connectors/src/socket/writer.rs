//! Sends rows, in one task.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use egret_runtime::net::Stream;
use egret_runtime::plugin::{Prepared, SinkWriter, TaskError};
use egret_runtime::row::{Batch, TableSchema};
use egret_runtime::shard::sleep;
use egret_runtime::task::TaskProbe;

use super::{Peer, RETRY_PAUSE};
use crate::format::{Encoder, JsonEncoder, Patterns};

/// Bytes of rows that are sent together.
const SEND_BYTES: usize = 256 << 10;
/// Bytes that a server may have answered and that are thrown away at the end.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The writer of one task.
pub(super) struct SocketWriter {
    peer: Peer,
    encoders: Vec<JsonEncoder>,
    stream: Option<Stream>,
    /// Rows to send, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    probe: Rc<TaskProbe>,
}

impl SocketWriter {
    pub fn new(peer: Peer, tables: &[Arc<TableSchema>], probe: Rc<TaskProbe>) -> Self {
        let encoder = |table: &Arc<TableSchema>| {
            // Rows come one by one: nothing stands between them.
            JsonEncoder::new(Arc::clone(&table.columns), Box::default(), Patterns::default())
        };
        let encoders = tables.iter().map(encoder).collect();
        Self { peer, encoders, stream: None, bytes: Vec::new(), ends: Vec::new(), probe }
    }

    /// Sends the rows that were gathered. After a failure the row that was under way goes out again, whole.
    async fn send(&mut self) -> Result<(), TaskError> {
        let (mut sent, mut failed) = (0, 0);
        while sent < self.bytes.len() {
            let before = sent;
            let failure = match self.send_from(&mut sent).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            self.stream = None;
            failed = if sent > before { 1 } else { failed + 1 };
            let whole_rows = self.ends.partition_point(|end| *end <= sent);
            sent = whole_rows.checked_sub(1).map_or(0, |last| self.ends[last]);
            if !self.peer.tries_again(failed) {
                return Err(TaskError::transient(failure).while_doing(format!("sending rows to {}", self.peer)));
            }
            tracing::warn!("sending rows to {}: {failure}; connecting again", self.peer);
            sleep(RETRY_PAUSE).await;
        }
        self.bytes.clear();
        self.ends.clear();
        Ok(())
    }

    async fn send_from(&mut self, sent: &mut usize) -> Result<(), String> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(self.peer.connect().await.map_err(|error| error.to_string())?),
        };
        while *sent < self.bytes.len() {
            let written = poll_fn(|cx| stream.poll_write(cx, &self.bytes[*sent..])).await;
            *sent += written.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl SinkWriter for SocketWriter {
    async fn write(&mut self, batch: Batch) -> Result<(), TaskError> {
        for row in 0..batch.len() {
            let encoder = &mut self.encoders[usize::from(batch.table.0)];
            let lost = encoder.write(&batch.rows.slice(row, 1), &mut self.bytes)?;
            self.probe.warn(lost);
            self.ends.push(self.bytes.len());
            if self.bytes.len() >= SEND_BYTES {
                self.send().await?;
            }
        }
        self.send().await
    }

    /// A server may take no bytes for as long as it likes.
    fn can_be_interrupted(&self) -> bool {
        true
    }

    async fn prepare(&mut self, _checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
        Ok(Vec::new())
    }

    async fn abort(&mut self) {
        self.stream = None;
    }

    async fn close(&mut self) -> Result<(), TaskError> {
        if let Some(mut stream) = self.stream.take() {
            stream.shutdown_write().map_err(|error| TaskError::transient(error.to_string()))?;
            // Answers that nobody read would turn the end into a reset, which can take back rows on their way.
            let mut left = ANSWER_BYTES_MAX;
            poll_fn(|cx| {
                let _ = stream.poll_drain(cx, &mut left);
                Poll::Ready(())
            })
            .await;
        }
        Ok(())
    }
}
