//! A queue from one task to another, on the same core or not, bounded in bytes and messages.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;
use crossbeam::queue::ArrayQueue;

use super::{Message, QUEUE_MESSAGES_MAX};

struct Shared {
    messages: ArrayQueue<(Message, usize)>,
    bytes: AtomicUsize,
    bytes_max: usize,
    sender_gone: AtomicBool,
    receiver_gone: AtomicBool,
    /// Woken when there is room.
    sender: AtomicWaker,
    /// Woken when there is a message.
    receiver: AtomicWaker,
}

/// Depth of a queue, for whoever asks.
#[derive(Clone)]
pub struct QueueStats(Arc<Shared>);

impl QueueStats {
    /// Messages in the queue.
    pub fn messages(&self) -> usize {
        self.0.messages.len()
    }

    /// Bytes in the queue, by [`Batch::memory_bytes`](crate::row::Batch::memory_bytes).
    pub fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }
}

/// The sending end; there is one.
pub struct QueueSender(Arc<Shared>);

/// The receiving end; there is one.
pub struct QueueReceiver(Arc<Shared>);

/// A queue that holds at most `bytes_max` bytes (or one larger batch) and [`QUEUE_MESSAGES_MAX`] messages.
pub fn queue(bytes_max: usize) -> (QueueSender, QueueReceiver) {
    let shared = Arc::new(Shared {
        messages: ArrayQueue::new(QUEUE_MESSAGES_MAX),
        bytes: AtomicUsize::new(0),
        bytes_max,
        sender_gone: AtomicBool::new(false),
        receiver_gone: AtomicBool::new(false),
        sender: AtomicWaker::new(),
        receiver: AtomicWaker::new(),
    });
    (QueueSender(Arc::clone(&shared)), QueueReceiver(shared))
}

/// The other end is gone: its task has failed or was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected;

impl QueueSender {
    /// Whether a message of this size has to wait.
    pub fn is_full_for(&self, message: &Message) -> bool {
        let held = self.0.bytes.load(Ordering::Acquire);
        self.0.messages.is_full() || (held > 0 && held.saturating_add(message.bytes()) > self.0.bytes_max)
    }

    /// Sends, waiting for room.
    ///
    /// # Errors
    /// When the receiver is gone.
    pub async fn send(&mut self, message: Message) -> Result<(), Disconnected> {
        let mut message = Some(message);
        poll_fn(|context| self.poll_send(&mut message, context)).await
    }

    fn poll_send(
        &mut self,
        message: &mut Option<Message>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Disconnected>> {
        if self.0.receiver_gone.load(Ordering::Acquire) {
            return Poll::Ready(Err(Disconnected));
        }
        let Some(waiting) = message.as_ref() else { return Poll::Ready(Ok(())) };
        if self.is_full_for(waiting) {
            self.0.sender.register(context.waker());
            // The receiver may have made room, or left, between the look and the registration.
            if self.0.receiver_gone.load(Ordering::Acquire) {
                return Poll::Ready(Err(Disconnected));
            }
            if self.is_full_for(waiting) {
                return Poll::Pending;
            }
        }
        if let Some(sent) = message.take() {
            let bytes = sent.bytes();
            self.0.bytes.fetch_add(bytes, Ordering::AcqRel);
            if self.0.messages.push((sent, bytes)).is_err() {
                unreachable!("the only sender saw room");
            }
            self.0.receiver.wake();
        }
        Poll::Ready(Ok(()))
    }

    /// A view of the queue's depth.
    pub fn stats(&self) -> QueueStats {
        QueueStats(Arc::clone(&self.0))
    }
}

impl QueueReceiver {
    /// Takes the next message. `Ready(None)`: the sender is gone without an [`Message::End`].
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Option<Message>> {
        if let Some(message) = self.take() {
            return Poll::Ready(Some(message));
        }
        self.0.receiver.register(context.waker());
        let gone = self.0.sender_gone.load(Ordering::Acquire);
        match self.take() {
            Some(message) => Poll::Ready(Some(message)),
            None if gone => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn take(&mut self) -> Option<Message> {
        let (message, bytes) = self.0.messages.pop()?;
        self.0.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.0.sender.wake();
        Some(message)
    }
}

impl Drop for QueueSender {
    fn drop(&mut self) {
        self.0.sender_gone.store(true, Ordering::Release);
        self.0.receiver.wake();
    }
}

impl Drop for QueueReceiver {
    fn drop(&mut self) {
        self.0.receiver_gone.store(true, Ordering::Release);
        self.0.sender.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};
    use futures_lite::future::{block_on, poll_once};

    use super::*;
    use crate::row::{Batch, TableIndex};

    fn batch(first: i64) -> Message {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let column = Arc::new(Int64Array::from_iter_values(first..first + 100));
        Message::Batch(Batch::inserts(TableIndex(0), RecordBatch::try_new(schema, vec![column]).expect("batch")))
    }

    async fn receive(receiver: &mut QueueReceiver) -> Option<Message> {
        poll_fn(|context| receiver.poll_receive(context)).await
    }

    #[test]
    fn a_sender_waits_while_the_queue_holds_its_bytes() {
        block_on(async {
            let (mut sender, mut receiver) = queue(1000);
            sender.send(batch(0)).await.expect("an empty queue takes any batch");
            assert!(poll_once(sender.send(batch(1))).await.is_none(), "a full queue makes the sender wait");
            assert!(sender.stats().bytes() > 0);
            assert!(matches!(receive(&mut receiver).await, Some(Message::Batch(_))));
            assert_eq!(sender.stats().bytes(), 0);
            assert!(poll_once(sender.send(batch(1))).await.is_some());
        });
    }

    #[test]
    fn either_end_learns_that_the_other_is_gone() {
        block_on(async {
            let (mut sender, receiver) = queue(1000);
            drop(receiver);
            assert_eq!(sender.send(Message::End).await, Err(Disconnected));
            let (mut sender, mut receiver) = queue(1000);
            sender.send(Message::Barrier(1)).await.expect("room");
            drop(sender);
            assert!(matches!(receive(&mut receiver).await, Some(Message::Barrier(1))));
            assert!(receive(&mut receiver).await.is_none());
        });
    }

    #[test]
    fn nothing_is_lost_or_reordered_between_two_threads() {
        let (mut sender, mut receiver) = queue(4000);
        let producer = std::thread::spawn(move || {
            block_on(async {
                for first in 0..20_000 {
                    sender.send(batch(first)).await.expect("receiver lives");
                }
                sender.send(Message::End).await.expect("receiver lives");
            });
        });
        block_on(async {
            let mut expected = 0;
            while let Some(Message::Batch(batch)) = receive(&mut receiver).await {
                let column = batch.rows.column(0).as_any().downcast_ref::<Int64Array>().expect("numbers").value(0);
                assert_eq!(column, expected);
                expected += 1;
            }
            assert_eq!(expected, 20_000);
        });
        producer.join().expect("producer");
    }
}
