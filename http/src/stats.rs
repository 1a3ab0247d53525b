//! What the HTTP layer counts, per shard. The shard's front executor writes; any thread reads.

use std::sync::OnceLock;

use egret_runtime::metrics::{Buckets, Counter};
use http::StatusCode;

use crate::wire::Phase;

/// Counters of one shard.
#[derive(Debug)]
pub struct ShardStats {
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections open now.
    pub open: Counter,
    /// Connections answered with 503 because too many were open.
    pub refused: Counter,
    /// Failures to accept, for want of descriptors or otherwise.
    pub accept_errors: Counter,
    /// Requests that were no HTTP.
    pub malformed: Counter,
    /// Requests refused for the size of their head.
    pub heads_too_large: Counter,
    /// Requests refused because they did not say who asks, or wrongly.
    pub unauthorized: Counter,
    /// Requests refused for the length of their URI.
    pub uris_too_long: Counter,
    /// Requests refused for the size of their body.
    pub bodies_too_large: Counter,
    /// Requests refused because other bodies held all the room.
    pub bodies_without_room: Counter,
    /// Bytes of request bodies that are held now.
    pub body_bytes: Counter,
    /// Connections closed because a head did not come in time.
    pub header_timeouts: Counter,
    /// Requests refused because their body did not come in time.
    pub body_timeouts: Counter,
    /// Connections closed because they were not used.
    pub idle_timeouts: Counter,
    /// Requests given up because the program took too long.
    pub handler_timeouts: Counter,
    /// Connections cut because the client took no bytes.
    pub write_timeouts: Counter,
    /// Connections cut because they outlasted the server's end.
    pub cut: Counter,
    /// Handlers that panicked.
    pub panics: Counter,
    /// Bytes read from clients.
    pub bytes_in: Counter,
    /// Bytes sent to clients.
    pub bytes_out: Counter,
    /// Each route, in the order of [`routes`](crate::routes); the first is for requests that match none.
    pub routes: Box<[RouteStats]>,
}

/// Counters of one route on one shard.
#[derive(Debug, Default)]
pub struct RouteStats {
    classes: [Counter; 5],
    time: OnceLock<Buckets>,
}

impl ShardStats {
    pub(crate) fn new(routes: usize) -> Self {
        Self {
            accepted: Counter::default(),
            open: Counter::default(),
            refused: Counter::default(),
            accept_errors: Counter::default(),
            malformed: Counter::default(),
            heads_too_large: Counter::default(),
            unauthorized: Counter::default(),
            uris_too_long: Counter::default(),
            bodies_too_large: Counter::default(),
            bodies_without_room: Counter::default(),
            body_bytes: Counter::default(),
            header_timeouts: Counter::default(),
            body_timeouts: Counter::default(),
            idle_timeouts: Counter::default(),
            handler_timeouts: Counter::default(),
            write_timeouts: Counter::default(),
            cut: Counter::default(),
            panics: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            routes: (0..routes).map(|_| RouteStats::default()).collect(),
        }
    }

    /// Counts a connection that waited too long.
    pub(crate) fn timed_out(&self, phase: Phase) {
        match phase {
            Phase::Fresh | Phase::Head => self.header_timeouts.add(1),
            Phase::Body => self.body_timeouts.add(1),
            Phase::Idle => self.idle_timeouts.add(1),
            Phase::Handling => self.handler_timeouts.add(1),
            Phase::Answering | Phase::Lingering => {}
        }
    }
}

impl RouteStats {
    /// Counts an answer. Only the shard's front executor may call this.
    pub(crate) fn record(&self, status: StatusCode, nanos: u64) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.classes[class].add(1);
        self.time.get_or_init(Buckets::default).record(nanos);
    }

    /// Answers with a status of 100 to 199, 200 to 299, ... 500 to 599.
    pub fn by_class(&self) -> [u64; 5] {
        std::array::from_fn(|class| self.classes[class].get())
    }

    /// Time from the end of the head to the answer; `None` before the first request.
    pub fn time(&self) -> Option<&Buckets> {
        self.time.get()
    }
}

#[cfg(test)]
mod tests {
    use egret_runtime::metrics::Times;

    use super::*;

    #[test]
    fn answers_are_counted_by_class_and_timed() {
        let route = RouteStats::default();
        assert!(route.time().is_none());
        for status in [StatusCode::OK, StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR] {
            route.record(status, 1_000);
        }
        assert_eq!(route.by_class(), [0, 2, 0, 1, 1]);
        let mut times = Times::default();
        times.add(route.time().expect("recorded"));
        assert_eq!((times.count(), times.sum()), (4, 4_000));
    }
}
