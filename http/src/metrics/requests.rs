//! The HTTP layer: connections, what was refused, and each route.

use std::sync::Arc;

use egret_runtime::metrics::Counter;

use super::Live;
use super::family::{Table, counter, gauge, histogram};
use super::items::Items;
use super::text::Bounds;
use crate::ShardStats;
use crate::node::Node;
use crate::route::routes;

const COUNTERS: &str = "counters of the shards";
const ROUTES_OF: &str = "counters of the route, of all shards";

/// Bounds of the buckets of requests, in nanoseconds: 0.1 ms to 10 s.
static BOUNDS: Bounds<16> = Bounds::new([
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
]);

/// A counter of a shard.
type Of = fn(&ShardStats) -> &Counter;

/// What is refused or cut, by the limit that does it.
const REFUSALS: [(&str, Of); 15] = [
    ("connections_max", |shard| &shard.refused),
    ("accept", |shard| &shard.accept_errors),
    ("malformed", |shard| &shard.malformed),
    ("header_bytes_max", |shard| &shard.heads_too_large),
    ("auth", |shard| &shard.unauthorized),
    ("uri_bytes_max", |shard| &shard.uris_too_long),
    ("body_bytes_max", |shard| &shard.bodies_too_large),
    ("bodies_bytes_max", |shard| &shard.bodies_without_room),
    ("header_timeout", |shard| &shard.header_timeouts),
    ("body_timeout", |shard| &shard.body_timeouts),
    ("idle_timeout", |shard| &shard.idle_timeouts),
    ("handler_timeout", |shard| &shard.handler_timeouts),
    ("write_timeout", |shard| &shard.write_timeouts),
    ("stop_timeout", |shard| &shard.cut),
    ("panic", |shard| &shard.panics),
];

pub(super) static HTTP: Table<Live> = Table {
    title: "HTTP",
    intro: "Sums over all shards.",
    labels: &[],
    parts: &[],
    families: &[
        gauge("egret_http_connections", "Open connections.", COUNTERS, |live, out| {
            out.value(sum(live, |shard| &shard.open));
        }),
        gauge("egret_http_body_bytes", "Bytes of request bodies that are held.", COUNTERS, |live, out| {
            out.value(sum(live, |shard| &shard.body_bytes));
        }),
        counter("egret_http_connections_accepted_total", "Connections accepted.", COUNTERS, |live, out| {
            out.value(sum(live, |shard| &shard.accepted));
        }),
        counter("egret_http_received_bytes_total", "Bytes from clients.", COUNTERS, |live, out| {
            out.value(sum(live, |shard| &shard.bytes_in));
        }),
        counter("egret_http_sent_bytes_total", "Bytes to clients.", COUNTERS, |live, out| {
            out.value(sum(live, |shard| &shard.bytes_out));
        }),
        counter(
            "egret_http_refused_total",
            "What was refused or cut, by the limit that did it.",
            COUNTERS,
            |live: &Live, out| {
                REFUSALS.into_iter().for_each(|(limit, counter)| out.labelled(&[limit], sum(live, counter)))
            },
        )
        .by(&["limit"]),
    ],
};

fn sum(live: &Live, counter: Of) -> u64 {
    live.node.stats.iter().map(|shard| counter(shard).get()).sum()
}

/// A route that was used.
pub(super) struct Route {
    node: Arc<Node>,
    position: usize,
}

pub(super) static ROUTES: Table<Route> = Table {
    title: "Routes",
    intro: "A route has samples from its first request on. `api` is `none` for requests that no route fits.",
    labels: &["api", "path", "method"],
    parts: &[],
    families: &[
        counter("egret_http_answers_total", "Answers, by class of their status.", ROUTES_OF, |route: &Route, out| {
            let shards = || route.node.stats.iter().map(|shard| shard.routes[route.position].by_class());
            for (class, name) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
                let count: u64 = shards().map(|counts| counts[class]).sum();
                if count > 0 {
                    out.labelled(&[name], count);
                }
            }
        })
        .by(&["class"]),
        histogram(
            "egret_http_request_seconds",
            "From the end of a head to the answer.",
            "buckets of the route, of all shards",
            |route, out| {
                let shards = route.node.stats.iter().filter_map(|shard| shard.routes[route.position].time());
                out.histogram(&[], &BOUNDS, shards);
            },
        ),
    ],
};

/// The routes that were used.
pub(super) fn used_routes(live: &Live) -> Items<Route> {
    let mut items = Items::new(&ROUTES);
    for (position, route) in routes().enumerate() {
        if live.node.stats.iter().any(|shard| shard.routes[position].time().is_some()) {
            let route_of = Route { node: live.node.clone(), position };
            items.push(&[route.api, route.path, route.verb.method()], route_of);
        }
    }
    items
}
