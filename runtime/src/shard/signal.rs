//! A flag that is raised once and that any number of tasks and threads wait for.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A flag that is raised once: for stops and shutdowns. Clones are the same flag.
///
/// Looking at it ([`Signal::is_set`]) is one load. Waiting takes a lock for a moment, when the wait begins and when the
/// flag is raised. On a plain thread wait with `futures_lite::future::block_on(signal.wait())`.
#[derive(Clone, Debug, Default)]
pub struct Signal {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    set: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// Wakers by place. Bounded by the number of waits that are alive.
#[derive(Debug, Default)]
struct Waiting {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Signal {
    /// A flag that is not raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag and wakes all who wait. True for the caller who did it.
    pub fn set(&self) -> bool {
        if self.inner.set.swap(true, Ordering::SeqCst) {
            return false;
        }
        let waiting = std::mem::take(&mut *self.inner.waiting());
        waiting.wakers.into_iter().flatten().for_each(Waker::wake);
        true
    }

    /// Whether the flag is raised.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.inner.set.load(Ordering::Acquire)
    }

    /// Waits until the flag is raised.
    pub fn wait(&self) -> SignalWait {
        SignalWait { inner: self.inner.clone(), place: None }
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wait of [`Signal::wait`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct SignalWait {
    inner: Arc<Inner>,
    place: Option<usize>,
}

impl Future for SignalWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.inner.set.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let inner = self.inner.clone();
        let mut waiting = inner.waiting();
        // Under the lock: a flag raised after this check finds the waker in the list.
        if inner.set.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        let place = *self.place.get_or_insert_with(|| {
            waiting.free.pop().unwrap_or_else(|| {
                waiting.wakers.push(None);
                waiting.wakers.len() - 1
            })
        });
        match &mut waiting.wakers[place] {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for SignalWait {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut waiting = self.inner.waiting();
        // A raised flag has taken the list.
        if let Some(waker) = waiting.wakers.get_mut(place) {
            *waker = None;
            waiting.free.push(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    #[test]
    fn a_raised_flag_wakes_waiting_threads() {
        let signal = Signal::new();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let signal = signal.clone();
                std::thread::spawn(move || block_on(signal.wait()))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        assert!(!signal.is_set());
        assert!(signal.set());
        assert!(!signal.set());
        threads.into_iter().for_each(|thread| thread.join().expect("woken"));
        block_on(signal.wait());
    }

    #[test]
    fn a_wait_that_is_dropped_leaves_nothing_behind() {
        let signal = Signal::new();
        for _ in 0..1000 {
            let mut wait = signal.wait();
            assert!(block_on(poll_once(&mut wait)).is_none());
        }
        assert_eq!(signal.inner.waiting().wakers.len(), 1);
        let mut kept = signal.wait();
        assert!(block_on(poll_once(&mut kept)).is_none());
        signal.set();
        assert!(block_on(poll_once(&mut kept)).is_some());
    }
}
