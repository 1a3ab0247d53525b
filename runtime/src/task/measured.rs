//! Tells time at work from time spent waiting, for one future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// Counts the nanoseconds that a future spends being polled; the rest of its life it waits.
pub(super) struct Measured<F> {
    future: F,
    started: Instant,
    polled_ns: u64,
}

/// How long a [`Measured`] future took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Took {
    /// Nanoseconds inside the future.
    pub busy_ns: u64,
    /// Nanoseconds between its polls.
    pub waited_ns: u64,
}

impl<F: Future + Unpin> Measured<F> {
    pub fn new(future: F) -> Self {
        Self { future, started: Instant::now(), polled_ns: 0 }
    }
}

fn nanos_since(start: Instant, end: Instant) -> u64 {
    u64::try_from(end.duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

impl<F: Future + Unpin> Future for Measured<F> {
    type Output = (F::Output, Took);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let begin = Instant::now();
        let polled = Pin::new(&mut self.future).poll(context);
        let end = Instant::now();
        self.polled_ns += nanos_since(begin, end);
        polled.map(|output| {
            let whole = nanos_since(self.started, end);
            (output, Took { busy_ns: self.polled_ns, waited_ns: whole.saturating_sub(self.polled_ns) })
        })
    }
}
