//! The HTTP layer on one shard: it accepts, sweeps, and stops.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Poll;
use std::time::{Duration, Instant};

use egret_runtime::net::{ListenSocket, Listener, Stream, out_of_descriptors};
use egret_runtime::shard::{give_way, sleep, sleep_until, spawn_local};
use futures_channel::oneshot;
use futures_lite::{FutureExt, future};
use hyper::server::conn::http1;

use crate::body::BodyRoom;
use crate::connection;
use crate::limits::HttpLimits;
use crate::registry::Registry;
use crate::reply::{self, Reply};
use crate::route::Apis;
use crate::server::Faces;
use crate::stats::ShardStats;
use crate::wire::{Ending, SpareBuffer, Wire};

/// Pause after a failure to accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Connections accepted between two looks at the rest of the executor's work.
const ACCEPTS_PER_TURN: usize = 16;
/// How long connections that wait to be accepted are still let in when the server stops, so that a flood of them does
/// not hold up the end.
const LAST_ACCEPTS: Duration = Duration::from_secs(1);
/// Refused connections that are waited for until they have read why, at a time. More are closed as soon as it is sent,
/// and may not get to read it.
const REFUSALS_MAX: usize = 64;

/// What the connections of a shard share.
pub(crate) struct Shard {
    pub(crate) limits: HttpLimits,
    pub(crate) apis: Apis,
    pub(crate) stats: Arc<ShardStats>,
    pub(crate) connections: Rc<Registry>,
    pub(crate) protocol: http1::Builder,
    spare: Rc<SpareBuffer>,
    pub(crate) body_room: Rc<BodyRoom>,
    refusals: std::cell::Cell<usize>,
}

/// Asks a shard to stop, within a time.
pub(crate) struct StopRequest {
    pub(crate) timeout: Duration,
    /// Told the number of connections that had to be cut.
    pub(crate) done: SyncSender<usize>,
}

impl Shard {
    pub(crate) fn new(limits: HttpLimits, apis: Apis, stats: Arc<ShardStats>) -> Rc<Self> {
        let mut protocol = http1::Builder::new();
        protocol
            // A client that has shut down its sending half still gets its answer.
            .half_close(true)
            .max_buf_size(limits.header_bytes_max)
            // What it has is collected or sent by `Wire`: it need not copy it before.
            .writev(true);
        Rc::new(Self {
            apis,
            connections: Rc::new(Registry::new(stats.clone())),
            protocol,
            spare: Rc::default(),
            body_room: Rc::new(BodyRoom::new(limits.body_bytes_max, limits.bodies_bytes_max, stats.clone())),
            refusals: std::cell::Cell::new(0),
            limits,
            stats,
        })
    }

    /// Serves until asked to stop, and then until the last connection has ended.
    pub(crate) async fn run(self: Rc<Self>, sockets: Vec<(ListenSocket, Faces)>, stop: oneshot::Receiver<StopRequest>) {
        let listeners: Vec<_> = sockets.into_iter().map(|(socket, faces)| (Listener::attach(socket), faces)).collect();
        let (deadline, done) = self.let_in(&listeners, stop).await;
        drop(listeners);
        let cut = self.finish(deadline).await;
        if let Some(done) = done {
            // There is room for every shard's answer; nobody waits any more if the time was up.
            let _ = done.try_send(cut);
        }
    }

    /// Accepts until asked to stop, and then who waits already; says until when connections may finish, and whom to
    /// tell.
    async fn let_in(
        self: &Rc<Self>,
        listeners: &[(Listener, Faces)],
        stop: oneshot::Receiver<StopRequest>,
    ) -> (Instant, Option<SyncSender<usize>>) {
        let accepts = listeners.iter().map(|(listener, faces)| Box::pin(self.accept(listener, *faces)));
        let mut accepts: Vec<_> = accepts.collect();
        // Ends when all listeners are closed.
        let mut accepting = future::poll_fn(move |cx| {
            accepts.retain_mut(|accept| accept.as_mut().poll(cx).is_pending());
            if accepts.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        let serving = async {
            self.sweep().or(&mut accepting).await;
            None
        };
        // A server that was dropped, not stopped, ends as quickly as it can.
        let (timeout, done) = match serving.or(async { stop.await.ok() }).await {
            Some(StopRequest { timeout, done }) => (timeout, Some(done)),
            None => (Duration::ZERO, None),
        };
        let deadline = Instant::now() + timeout;
        self.connections.finish_all(Ending::Patient);
        let closed = self.close_doors(listeners, deadline.min(Instant::now() + LAST_ACCEPTS));
        let closed = async { _ = future::zip(closed, accepting).await };
        // An `accept` that fails and fails does not hold up the end.
        closed.or(sleep_until(deadline)).await;
        (deadline, done)
    }

    /// Closes the listeners, each when nobody waits there any more, all of them by `deadline`.
    async fn close_doors(&self, listeners: &[(Listener, Faces)], deadline: Instant) {
        for (listener, _) in listeners {
            while listener.has_waiting() && Instant::now() < deadline {
                give_way().await;
            }
            listener.close();
        }
    }

    async fn sweep(&self) {
        let interval = self.limits.sweep_interval();
        loop {
            // Nobody who comes meanwhile has waited for long.
            sleep(if self.connections.len() == 0 { 2 * interval } else { interval }).await;
            self.connections.sweep(&self.limits);
            self.apis.tidy();
        }
    }

    /// Lets requests finish; cuts what is left at `deadline`.
    async fn finish(&self, deadline: Instant) -> usize {
        let finished = async {
            self.connections.empty().await;
            true
        };
        let late = async {
            sleep_until(deadline.min(Instant::now() + self.limits.grace_timeout)).await;
            self.connections.finish_all(Ending::Now);
            sleep_until(deadline).await;
            false
        };
        // Connections that hang are still subject to their timeouts.
        let swept = async {
            self.sweep().await;
            false
        };
        if finished.or(late).or(swept).await {
            return 0;
        }
        let cut = self.connections.cut_all();
        self.connections.empty().await;
        cut
    }

    async fn accept(self: &Rc<Self>, listener: &Listener, faces: Faces) {
        let mut failing = false;
        for turn in 1usize.. {
            match listener.accept().await {
                None => return,
                Some(Ok(stream)) => {
                    failing = false;
                    self.admit(stream, faces);
                }
                Some(Err(error)) => {
                    self.stats.accept_errors.add(1);
                    let lasting = out_of_descriptors(&error);
                    if lasting && !failing {
                        tracing::warn!("cannot accept connections: {error}; raise the limit on open files (ulimit -n)");
                    }
                    failing = lasting;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            if turn.is_multiple_of(ACCEPTS_PER_TURN) {
                give_way().await;
            }
        }
    }

    fn admit(self: &Rc<Self>, stream: Stream, faces: Faces) {
        self.stats.accepted.add(1);
        if self.connections.len() < self.limits.connections_max {
            let wire = Wire::new(stream, self.spare.clone(), self.stats.clone());
            spawn_local(connection::serve(self.clone(), self.connections.enter(wire), faces));
        } else {
            self.stats.refused.add(1);
            self.refuse(stream);
        }
    }

    /// 503 and the end. The answer fits into the empty send buffer.
    fn refuse(self: &Rc<Self>, stream: Stream) {
        let words = reply::last_words(Reply::busy("Too many connections, try again later."));
        let told = stream.try_write(&words).and_then(|_| stream.shutdown_write());
        if told.is_ok() && self.refusals.get() < REFUSALS_MAX {
            self.refusals.set(self.refusals.get() + 1);
            let shard = self.clone();
            spawn_local(async move {
                shard.let_read(stream).await;
                shard.refusals.set(shard.refusals.get() - 1);
            });
        }
    }

    /// Lets a refused client read its answer: a socket closed with unread input would take it back.
    async fn let_read(&self, mut stream: Stream) {
        let mut bytes_max = self.limits.header_bytes_max;
        let drained = future::poll_fn(|cx| stream.poll_drain(cx, &mut bytes_max));
        drained.or(sleep(self.limits.linger_timeout)).await;
    }
}
