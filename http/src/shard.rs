//! The HTTP layer on one shard: it accepts, sweeps, and stops.

use std::rc::Rc;
use std::sync::Arc;
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
use crate::wire::{SpareBuffer, Wire};

/// Pause after a failure to accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Connections accepted between two looks at the rest of the executor's work.
const ACCEPTS_PER_TURN: usize = 16;
/// Refused connections that are being told so at a time; more are closed without a word.
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
    pub(crate) done: std::sync::mpsc::SyncSender<usize>,
}

impl Shard {
    pub(crate) fn new(limits: HttpLimits, apis: Apis, stats: Arc<ShardStats>) -> Rc<Self> {
        let mut protocol = http1::Builder::new();
        protocol
            // A client that has shut down its sending half still gets its answer.
            .half_close(true)
            .max_buf_size(limits.header_bytes_max)
            .writev(false);
        Rc::new(Self {
            apis,
            connections: Rc::new(Registry::new(stats.clone())),
            protocol,
            spare: Rc::default(),
            body_room: Rc::new(BodyRoom::new(limits.body_bytes_max, limits.bodies_bytes_max)),
            refusals: std::cell::Cell::new(0),
            limits,
            stats,
        })
    }

    /// Serves until asked to stop, and then until the last connection has ended.
    pub(crate) async fn run(self: Rc<Self>, sockets: Vec<(ListenSocket, Faces)>, stop: oneshot::Receiver<StopRequest>) {
        let shard = self.clone();
        let serving = async {
            let accepting: Vec<_> =
                sockets.into_iter().map(|(socket, faces)| (Listener::attach(socket), faces)).collect();
            let accepts = accepting.iter().map(|(listener, faces)| Box::pin(shard.accept(listener, *faces)));
            let mut accepts: Vec<_> = accepts.collect();
            future::poll_fn(|cx| {
                accepts.iter_mut().for_each(|accept| _ = accept.poll(cx));
                Poll::<()>::Pending
            })
            .or(shard.sweep())
            .await;
            None
        };
        // A server that was dropped, not stopped, ends as quickly as it can.
        let request = serving.or(async { stop.await.ok() }).await;
        let timeout = request.as_ref().map_or(Duration::ZERO, |request| request.timeout);
        let cut = self.finish(timeout).await;
        if let Some(request) = request {
            // There is room for every shard's answer; nobody waits any more if the time was up.
            let _ = request.done.try_send(cut);
        }
    }

    async fn sweep(&self) {
        let interval = self.limits.sweep_interval();
        loop {
            sleep(interval).await;
            self.connections.sweep(&self.limits);
            self.apis.tidy();
        }
    }

    /// Lets requests finish; cuts what is left after `timeout`.
    async fn finish(&self, timeout: Duration) -> usize {
        self.connections.finish_all();
        let deadline = sleep_until(Instant::now() + timeout);
        let finished = async {
            self.connections.empty().await;
            true
        };
        let late = async {
            deadline.await;
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
                Ok(stream) => {
                    failing = false;
                    self.admit(stream, faces);
                }
                Err(error) => {
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
        let shard = self.clone();
        if self.connections.len() < self.limits.connections_max {
            let wire = Wire::new(stream, self.spare.clone(), self.stats.clone());
            spawn_local(connection::serve(shard, self.connections.enter(wire), faces));
        } else {
            self.stats.refused.add(1);
            if self.refusals.get() < REFUSALS_MAX {
                self.refusals.set(self.refusals.get() + 1);
                spawn_local(async move {
                    shard.refuse(stream).await;
                    shard.refusals.set(shard.refusals.get() - 1);
                });
            }
        }
    }

    /// 503 and the end. The answer fits into the empty send buffer.
    async fn refuse(&self, mut stream: Stream) {
        let words = reply::last_words(Reply::busy("Too many connections, try again later."));
        if stream.try_write(&words).is_err() || stream.shutdown_write().is_err() {
            return;
        }
        let mut bytes_max = self.limits.header_bytes_max;
        let drained = future::poll_fn(|cx| stream.poll_drain(cx, &mut bytes_max));
        drained.or(sleep(self.limits.linger_timeout)).await;
    }
}
