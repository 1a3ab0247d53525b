//! The input side of a chain that does not begin with a source: several queues, and barriers that line up.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::queue::Disconnected;
use super::{Message, QueueReceiver};

/// What [`Inputs::receive`] gives.
#[derive(Debug)]
pub enum Received {
    /// Rows from the input of this position.
    Batch(usize, crate::row::Batch),
    /// The barrier has come in on every input that has not ended.
    Barrier(u64),
    /// Every input has ended.
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InputState {
    Open,
    /// Its barrier is in; it is not read until the others have theirs.
    Aligned(u64),
    Ended,
}

/// Queues into one task, read in turn.
///
/// A barrier holds its input back until it has come in on all others (alignment), so that everything before a
/// checkpoint, and nothing behind it, has been processed when the task takes part in it.
pub struct Inputs {
    queues: Vec<(QueueReceiver, InputState)>,
    next: usize,
}

impl Inputs {
    /// Reads these queues.
    pub fn new(queues: Vec<QueueReceiver>) -> Self {
        Self { queues: queues.into_iter().map(|queue| (queue, InputState::Open)).collect(), next: 0 }
    }

    /// The next thing to do.
    ///
    /// # Errors
    /// When a sender went away without ending its stream.
    pub async fn receive(&mut self) -> Result<Received, Disconnected> {
        poll_fn(|context| self.poll_receive(context)).await
    }

    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Received, Disconnected>> {
        for _ in 0..self.queues.len() {
            let position = self.next;
            self.next = (self.next + 1) % self.queues.len();
            let (queue, state) = &mut self.queues[position];
            if *state != InputState::Open {
                continue;
            }
            match queue.poll_receive(context) {
                Poll::Pending => {}
                Poll::Ready(None) => return Poll::Ready(Err(Disconnected)),
                Poll::Ready(Some(Message::Batch(batch))) => return Poll::Ready(Ok(Received::Batch(position, batch))),
                Poll::Ready(Some(Message::Barrier(checkpoint))) => *state = InputState::Aligned(checkpoint),
                Poll::Ready(Some(Message::End)) => *state = InputState::Ended,
            }
        }
        if self.queues.iter().any(|(_, state)| *state == InputState::Open) {
            return Poll::Pending;
        }
        // All inputs are aligned or ended. Barriers are numbered upwards: the newest is the one all have passed.
        let aligned = self.queues.iter().filter_map(|(_, state)| match state {
            InputState::Aligned(checkpoint) => Some(*checkpoint),
            _ => None,
        });
        match aligned.max() {
            None => Poll::Ready(Ok(Received::End)),
            Some(checkpoint) => {
                for (_, state) in &mut self.queues {
                    if matches!(state, InputState::Aligned(_)) {
                        *state = InputState::Open;
                    }
                }
                Poll::Ready(Ok(Received::Barrier(checkpoint)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use futures_lite::future::{block_on, poll_once};

    use super::super::queue;
    use super::*;
    use crate::row::{Batch, TableIndex};

    fn rows(table: u16) -> Message {
        let empty = RecordBatch::new_empty(std::sync::Arc::new(Schema::empty()));
        Message::Batch(Batch::inserts(TableIndex(table), empty))
    }

    #[test]
    fn a_barrier_holds_its_input_back_until_the_others_have_it() {
        block_on(async {
            let (mut left, left_end) = queue(1000);
            let (mut right, right_end) = queue(1000);
            let mut inputs = Inputs::new(vec![left_end, right_end]);
            left.send(Message::Barrier(1)).await.expect("room");
            left.send(rows(7)).await.expect("room");
            assert!(poll_once(inputs.receive()).await.is_none(), "what is behind the barrier waits");
            right.send(rows(3)).await.expect("room");
            right.send(Message::Barrier(1)).await.expect("room");
            assert!(matches!(inputs.receive().await, Ok(Received::Batch(1, batch)) if batch.table == TableIndex(3)));
            assert!(matches!(inputs.receive().await, Ok(Received::Barrier(1))));
            assert!(matches!(inputs.receive().await, Ok(Received::Batch(0, batch)) if batch.table == TableIndex(7)));
            left.send(Message::End).await.expect("room");
            right.send(Message::Barrier(2)).await.expect("room");
            assert!(matches!(inputs.receive().await, Ok(Received::Barrier(2))), "an ended input holds nothing up");
            right.send(Message::End).await.expect("room");
            assert!(matches!(inputs.receive().await, Ok(Received::End)));
        });
    }

    #[test]
    fn a_sender_that_vanishes_is_an_error_not_an_end() {
        block_on(async {
            let (sender, receiver) = queue(1000);
            drop(sender);
            assert!(matches!(Inputs::new(vec![receiver]).receive().await, Err(Disconnected)));
        });
    }
}
