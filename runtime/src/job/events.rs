//! The way of events to a job's coordinator.

use std::future::poll_fn;
use std::task::Poll;

use atomic_waker::AtomicWaker;
use crossbeam::queue::SegQueue;

use super::machine::Event;
use crate::plugin::{Prepared, SplitEnumerator, TaskError};
use crate::task::{Sealed, TaskId};

/// What comes with an event besides the event itself.
pub(super) enum Payload {
    Nothing,
    /// With [`Event::Sealed`].
    Sealed(TaskId, Sealed),
    /// With [`Event::TaskEnded`] of a task that finished.
    Pieces(TaskId, Vec<Prepared>),
    /// With [`Event::Started`]: the input is listed, or cannot be; the tasks are still to be started.
    Enumerated(Result<Box<dyn SplitEnumerator>, TaskError>),
}

/// Events for one coordinator, from tasks, timers and clients on any core.
///
/// The queue has no bound of its own: each task has at most one checkpoint and one end on the way, each timer one
/// event, a request for slots one answer, and stop requests are let in once ([`super::JobService::stop`]).
#[derive(Default)]
pub(super) struct EventQueue {
    queue: SegQueue<(Event, Payload)>,
    waker: AtomicWaker,
}

impl EventQueue {
    pub fn push(&self, event: Event, payload: Payload) {
        self.queue.push((event, payload));
        self.waker.wake();
    }

    /// The next event. Only the coordinator may wait here.
    pub async fn next(&self) -> (Event, Payload) {
        poll_fn(|context| {
            if let Some(event) = self.queue.pop() {
                return Poll::Ready(event);
            }
            self.waker.register(context.waker());
            self.queue.pop().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl std::fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventQueue").field("waiting", &self.queue.len()).finish()
    }
}
