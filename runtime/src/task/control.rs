//! How a coordinator steers a task: a stop flag and a barrier number, looked at between batches.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use atomic_waker::AtomicWaker;

/// Shared by a task and its coordinator. No message is needed to stop a task: it looks here between batches and
/// while it waits.
#[derive(Debug, Default)]
pub struct TaskControl {
    stop: AtomicBool,
    barrier: AtomicU64,
    /// The checkpoint behind which nothing is read; 0 while there is none.
    last: AtomicU64,
    waker: AtomicWaker,
}

/// What a task is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Drop everything and end.
    Stop,
    /// Begin this checkpoint.
    Barrier(u64),
}

impl TaskControl {
    /// Tells the task to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the task was told to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Tells a source task to begin a checkpoint. Checkpoints are numbered upwards from 1. Behind the `last` one it
    /// reads nothing and waits for its stop.
    pub fn begin_checkpoint(&self, checkpoint: u64, last: bool) {
        if last {
            self.last.store(checkpoint, Ordering::Release);
        }
        self.barrier.fetch_max(checkpoint, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Whether nothing is read behind this checkpoint.
    pub fn is_last(&self, checkpoint: u64) -> bool {
        self.last.load(Ordering::Acquire) == checkpoint
    }

    /// What the task has to do now, if it has `done` the checkpoints up to that number.
    pub fn order(&self, done: u64) -> Option<Order> {
        if self.is_stopped() {
            return Some(Order::Stop);
        }
        let barrier = self.barrier.load(Ordering::Acquire);
        (barrier > done).then_some(Order::Barrier(barrier))
    }

    /// Waits until there is an order. Only the task itself may wait.
    pub async fn ordered(&self, done: u64) -> Order {
        poll_fn(|context| {
            if let Some(order) = self.order(done) {
                return Poll::Ready(order);
            }
            self.waker.register(context.waker());
            self.order(done).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn a_stop_comes_before_a_barrier_and_wakes_the_waiting_task() {
        let control = std::sync::Arc::new(TaskControl::default());
        let other = std::sync::Arc::clone(&control);
        let waiting = std::thread::spawn(move || block_on(other.ordered(3)));
        control.begin_checkpoint(3, false);
        control.begin_checkpoint(4, true);
        let first = waiting.join().expect("task");
        assert_eq!(first, Order::Barrier(4));
        assert!(control.is_last(4) && !control.is_last(3));
        control.stop();
        assert_eq!(control.order(0), Some(Order::Stop));
    }
}
