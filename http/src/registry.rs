//! The open connections of a shard.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures_lite::future::poll_fn;
use std::task::{Poll, Waker};

use crate::limits::HttpLimits;
use crate::stats::ShardStats;
use crate::wire::{Ending, Verdict, Wire};

/// Every open connection, so that one timer serves them all.
#[derive(Debug)]
pub(crate) struct Registry {
    open: RefCell<Vec<Rc<Wire>>>,
    stats: Arc<ShardStats>,
    /// Waits for the last connection to end.
    waiting: RefCell<Option<Waker>>,
    /// How connections are to end, once they are.
    ending: Cell<Option<Ending>>,
}

/// A connection's place among the open ones; leaves when dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Rc<Registry>,
    wire: Rc<Wire>,
}

impl Registry {
    pub(crate) fn new(stats: Arc<ShardStats>) -> Self {
        Self { open: RefCell::default(), stats, waiting: RefCell::default(), ending: Cell::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    pub(crate) fn enter(self: &Rc<Self>, wire: Wire) -> Place {
        let wire = Rc::new(wire);
        if let Some(ending) = self.ending.get() {
            wire.state().finish(ending);
        }
        let mut open = self.open.borrow_mut();
        wire.slot.set(open.len());
        open.push(wire.clone());
        self.stats.open.set(open.len() as u64);
        Place { registry: self.clone(), wire }
    }

    /// Looks for connections that have waited too long.
    pub(crate) fn sweep(&self, limits: &HttpLimits) {
        let now = Instant::now();
        self.open.borrow().iter().for_each(|wire| wire.state().sweep(now, limits));
    }

    /// Asks all connections to end after their request, those that are still to come among them.
    pub(crate) fn finish_all(&self, ending: Ending) {
        self.ending.set(Some(ending));
        self.open.borrow().iter().for_each(|wire| wire.state().finish(ending));
    }

    /// Ends all connections where they stand, and says how many there were.
    pub(crate) fn cut_all(&self) -> usize {
        let open = self.open.borrow();
        open.iter().for_each(|wire| wire.state().judge(Verdict::Cut));
        open.len()
    }

    /// Waits for the last connection to end.
    pub(crate) async fn empty(&self) {
        poll_fn(|cx| {
            if self.open.borrow().is_empty() {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Place {
    /// The connection.
    pub(crate) fn wire(&self) -> &Rc<Wire> {
        &self.wire
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.registry.open.borrow_mut();
        let slot = self.wire.slot.get();
        open.swap_remove(slot);
        if let Some(moved) = open.get(slot) {
            moved.slot.set(slot);
        }
        self.registry.stats.open.set(open.len() as u64);
        if open.is_empty()
            && let Some(waker) = self.registry.waiting.take()
        {
            waker.wake();
        }
    }
}
