//! Waiting for a new sample.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::Parts;
use super::shared::{Shared, Waiter};

/// How a wait for new samples ended. The newest ones may be taken in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// They are fresh.
    Fresh,
    /// The sampler tried since, and a reading panicked; the old one stays.
    Failed,
    /// Too many wait already.
    Refused,
    /// They did not come in time.
    Late,
}

/// The wait of [`Sampler::renewed`](super::Sampler::renewed), on any executor.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Renewed {
    shared: Arc<Shared>,
    parts: Parts,
    /// When it was first polled.
    asked: Option<Instant>,
    /// Its place among those who wait, once it waits.
    waiter: Option<Arc<Waiter>>,
}

impl Renewed {
    pub(super) fn new(shared: Arc<Shared>, parts: Parts) -> Self {
        Self { shared, parts, asked: None, waiter: None }
    }

    fn outcome(&self, asked: Instant) -> Option<Renewal> {
        if self.shared.is_fresh(self.parts) || self.shared.is_taken_since(self.parts, asked) {
            return Some(Renewal::Fresh);
        }
        self.shared.is_tried_since(self.parts, asked).then_some(Renewal::Failed)
    }
}

impl Future for Renewed {
    type Output = Renewal;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Renewal> {
        let asked = *self.asked.get_or_insert_with(Instant::now);
        if let Some(outcome) = self.outcome(asked) {
            return Poll::Ready(outcome);
        }
        let waiter = self.waiter.clone().unwrap_or_default();
        if !self.shared.leave(&waiter, cx.waker()) {
            return Poll::Ready(Renewal::Refused);
        }
        if self.waiter.is_none() {
            self.shared.begin_wait();
            self.waiter = Some(waiter);
        }
        self.shared.ask(self.parts);
        match self.outcome(asked) {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    }
}

impl Drop for Renewed {
    fn drop(&mut self) {
        if self.waiter.is_some() {
            self.shared.end_wait();
        }
    }
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread; `None` when `timeout` is over.
pub(super) fn wait(renewed: Renewed, timeout: Duration) -> Option<Renewal> {
    let deadline = Instant::now() + timeout;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut renewed = pin!(renewed);
    loop {
        if let Poll::Ready(outcome) = renewed.as_mut().poll(&mut cx) {
            return Some(outcome);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
