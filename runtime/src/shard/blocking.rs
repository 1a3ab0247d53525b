//! Threads for code that blocks: DNS, fsync of large files, libraries that only read synchronously.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::{io, thread};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use futures_channel::oneshot;

use super::driver::words_of;
use super::{affinity, local};

/// Why a closure gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockingError {
    /// All threads are busy and the queue is full; nothing was run. Try again later.
    #[error("the queue for blocking work is full ({0} waiting)")]
    Full(usize),
    /// The closure panicked, with these words.
    #[error("blocking work panicked: {0}")]
    Panicked(String),
    /// The shards have stopped, or this thread is no executor's.
    #[error("there are no threads for blocking work")]
    Stopped,
}

type Work = Box<dyn FnOnce() + Send>;

/// The threads and their queue.
pub(super) struct BlockingPool {
    /// `None` tells one thread to end.
    queue: Sender<Option<Work>>,
    threads: usize,
    capacity: usize,
    closed: AtomicBool,
}

impl BlockingPool {
    /// Starts the threads.
    pub(super) fn start(threads: usize, capacity: usize, nice: i32) -> io::Result<Arc<Self>> {
        // Room for the ends of all threads, whatever waits.
        let (queue, work) = bounded(capacity + threads);
        let pool = Arc::new(Self { queue, threads, capacity, closed: AtomicBool::new(false) });
        for number in 0..threads {
            let work = work.clone();
            let started =
                thread::Builder::new().name(format!("egret-block-{number}")).spawn(move || work_off(&work, nice));
            if let Err(error) = started {
                pool.close();
                return Err(error);
            }
        }
        Ok(pool)
    }

    /// Ends the threads when what waits is done.
    pub(super) fn close(&self) {
        if !self.closed.swap(true, Ordering::SeqCst) {
            // `submit` leaves this room free.
            (0..self.threads).for_each(|_| drop(self.queue.try_send(None)));
        }
    }

    fn submit(&self, work: Work) -> Result<(), BlockingError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(BlockingError::Stopped);
        }
        if self.queue.len() >= self.capacity {
            return Err(BlockingError::Full(self.capacity));
        }
        self.queue.try_send(Some(work)).map_err(|error| match error {
            TrySendError::Full(_) => BlockingError::Full(self.capacity),
            TrySendError::Disconnected(_) => BlockingError::Stopped,
        })
    }

    /// Closures that wait for a thread.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Runs a closure on one of the threads.
    pub(super) fn run<R: Send + 'static>(&self, closure: impl FnOnce() -> R + Send + 'static) -> Blocking<R> {
        let (sender, result) = oneshot::channel();
        let job = local::current_job();
        let submitted = self.submit(Box::new(move || {
            local::set_job(job);
            let outcome = catch_unwind(AssertUnwindSafe(closure));
            local::set_job(None);
            // Nobody may be waiting any more.
            let _ = sender.send(outcome.map_err(words_of));
        }));
        Blocking { result: submitted.map(|()| result) }
    }
}

/// The result of blocking work, to be awaited on any executor or thread. Dropping it lets the closure go on.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Blocking<R> {
    result: Result<oneshot::Receiver<Result<R, String>>, BlockingError>,
}

impl<R> Future for Blocking<R> {
    type Output = Result<R, BlockingError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.result {
            Ok(result) => Pin::new(result).poll(cx).map(|result| match result {
                Ok(outcome) => outcome.map_err(BlockingError::Panicked),
                Err(oneshot::Canceled) => Err(BlockingError::Stopped),
            }),
            Err(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

fn work_off(queue: &Receiver<Option<Work>>, nice: i32) {
    if let Err(error) = affinity::lower_priority(nice) {
        tracing::warn!("a blocking thread keeps its priority: {error}");
    }
    while let Ok(Some(work)) = queue.recv() {
        work();
    }
}

/// Runs a closure that blocks on a thread of its own kind, at the priority of work. The closure is queued at once, not
/// at the first poll; dropping the future lets it go on.
///
/// # Errors
/// [`BlockingError`]: full, panicked or stopped.
pub fn run_blocking<R: Send + 'static>(closure: impl FnOnce() -> R + Send + 'static) -> Blocking<R> {
    match local::with(|local| local.blocking.clone()) {
        Some(pool) => pool.run(closure),
        None => Blocking { result: Err(BlockingError::Stopped) },
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn a_panicking_closure_ends_neither_caller_nor_thread() {
        let pool = BlockingPool::start(1, 4, 0).expect("pool");
        let failed: Result<(), _> = block_on(pool.run(|| panic!("as planned")));
        assert_eq!(failed, Err(BlockingError::Panicked("as planned".into())));
        assert_eq!(block_on(pool.run(|| 7)), Ok(7));
        pool.close();
        assert_eq!(block_on(pool.run(|| 7)), Err(BlockingError::Stopped));
    }

    #[test]
    fn a_full_queue_refuses() {
        let pool = BlockingPool::start(1, 2, 0).expect("pool");
        let (go, gate) = bounded::<()>(0);
        let first = pool.run(move || gate.recv().is_ok());
        // The first closure leaves the queue once the thread has it.
        while !pool.queue.is_empty() {
            thread::yield_now();
        }
        let waiting = [(); 2].map(|()| pool.run(|| true));
        assert_eq!(pool.waiting(), 2);
        assert_eq!(block_on(pool.run(|| true)), Err(BlockingError::Full(2)));
        go.send(()).expect("the thread waits");
        assert_eq!(block_on(first), Ok(true));
        waiting.into_iter().for_each(|waiting| assert_eq!(block_on(waiting), Ok(true)));
        pool.close();
    }
}
