//! Between the chains of a job: queues bounded in bytes, and what travels in them.
//!
//! A chain (source, transforms, sink on one core) has no queue inside. Queues stand where the plan fans out or in.

mod inputs;
mod queue;

pub use inputs::{Inputs, Received};
pub use queue::{Disconnected, QueueReceiver, QueueSender, QueueStats, queue};

use crate::row::Batch;

/// Bytes that a queue between two tasks may hold before its sender waits. A single batch larger than this passes
/// when the queue is empty.
pub const QUEUE_BYTES_MAX: usize = 4 << 20;

/// Messages that a queue between two tasks may hold before its sender waits.
pub const QUEUE_MESSAGES_MAX: usize = 256;

/// What travels between two tasks, in order.
#[derive(Debug)]
pub enum Message {
    /// Rows.
    Batch(Batch),
    /// Everything before belongs to this checkpoint.
    Barrier(u64),
    /// Nothing follows.
    End,
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.memory_bytes(),
            Self::Barrier(_) | Self::End => 0,
        }
    }
}
