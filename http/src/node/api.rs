//! What is asked of the node itself: whether it lives, who its members are, its metrics, the description of its API
//! (contract A.4, "Hazelcast's own"; F.1).

use std::sync::Arc;

use http::request::Parts;

use crate::jobs::JobService;
use crate::json::JsonBuffer;
use crate::metrics::{self, Format, Scrape};
use crate::reply::Reply;
use crate::route::{RouteName, Verb};
use crate::server::Faces;

use super::heap::{self, HeapCall};
use super::{Node, timelines, timings};

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Cluster,
    Health,
    Metrics(Scrape),
    OpenApi,
    /// How long things take.
    Timings,
    Heap(HeapCall),
    Timelines,
}

impl Endpoint {
    /// The method that it takes.
    pub(crate) const fn verb(self) -> Verb {
        match self {
            Self::Heap(call) => call.verb(),
            _ => Verb::Get,
        }
    }
}

/// Which listeners answer, and what stands before the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of v1.
    V1,
    /// Those of v2, under their context path.
    V2,
    /// All.
    All,
}

/// A route; what follows behind a slash is its argument, unless a route before it has that path.
pub(crate) struct Route {
    pub(crate) scope: Scope,
    pub(crate) path: &'static str,
    pub(crate) endpoint: Endpoint,
}

const fn route(scope: Scope, path: &'static str, endpoint: Endpoint) -> Route {
    Route { scope, path, endpoint }
}

const METRICS_V1: Endpoint = Endpoint::Metrics(Scrape::Whole(Format::Prometheus));
const OPEN_METRICS_V1: Endpoint = Endpoint::Metrics(Scrape::Whole(Format::OpenMetrics));
const METRICS: Endpoint = Endpoint::Metrics(Scrape::Negotiated);
const OPEN_METRICS: Endpoint = Endpoint::Metrics(Scrape::Selected(Format::OpenMetrics));

/// All routes.
pub(crate) static ROUTES: [Route; 13] = [
    route(Scope::V1, "/hazelcast/rest/cluster", Endpoint::Cluster),
    route(Scope::V1, "/hazelcast/health", Endpoint::Health),
    route(Scope::V1, "/hazelcast/rest/instance/metrics", METRICS_V1),
    route(Scope::V1, "/hazelcast/rest/instance/openmetrics", OPEN_METRICS_V1),
    route(Scope::V2, "/metrics", METRICS),
    route(Scope::V2, "/openmetrics", OPEN_METRICS),
    route(Scope::All, "/openapi.json", Endpoint::OpenApi),
    route(Scope::All, "/egret/timings", Endpoint::Timings),
    route(Scope::All, "/egret/heap/start", Endpoint::Heap(HeapCall::Start)),
    route(Scope::All, "/egret/heap/stop", Endpoint::Heap(HeapCall::Stop)),
    route(Scope::All, "/egret/heap/profile", Endpoint::Heap(HeapCall::Profile)),
    route(Scope::All, "/egret/heap", Endpoint::Heap(HeapCall::Show)),
    route(Scope::All, "/egret/timelines", Endpoint::Timelines),
];

/// The routes in the order of their positions.
pub(crate) fn route_names() -> impl Iterator<Item = RouteName> {
    ROUTES.iter().map(|route| RouteName { api: "node", verb: route.endpoint.verb(), path: route.path })
}

/// An endpoint with its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call<'r> {
    pub(crate) endpoint: Endpoint,
    /// The whole path.
    path: &'r str,
    /// What follows the route and its slash.
    argument: &'r str,
}

/// Looks a path up; positions count from 0.
pub(crate) fn find<'r>(faces: Faces, context_path: &str, path: &'r str) -> Option<(usize, Call<'r>)> {
    ROUTES.iter().enumerate().find_map(|(position, route)| {
        let path_there = match route.scope {
            Scope::V1 => Some(path).filter(|_| faces.v1),
            Scope::V2 => path.strip_prefix(context_path).filter(|_| faces.v2),
            Scope::All => Some(path),
        };
        let rest = path_there?.strip_prefix(route.path)?;
        let argument = if rest.is_empty() { rest } else { rest.strip_prefix('/')? };
        let argument = argument.strip_suffix('/').unwrap_or(argument);
        Some((position, Call { endpoint: route.endpoint, path, argument }))
    })
}

/// Answers a request, whose method is the endpoint's.
pub(crate) async fn handle(call: Call<'_>, head: &Parts, node: &Arc<Node>, jobs: &JobService) -> Reply {
    let query = head.uri.query().unwrap_or_default();
    match (call.endpoint, call.argument) {
        (Endpoint::Health, argument) => health(argument).unwrap_or_else(|| Reply::not_found(call.path)),
        (Endpoint::Cluster, "") => cluster(node),
        (Endpoint::Metrics(how), "") => metrics::scrape(how, head, node, jobs).await,
        (Endpoint::OpenApi, "") => node.description.answer().await,
        (Endpoint::Timings, "") => timings::timings(node, jobs, query).await.telling_time(),
        (Endpoint::Heap(call), "") => heap::handle(call, query, node).await,
        (Endpoint::Timelines, "") => timelines::handle(query, jobs).await,
        _ => Reply::not_found(call.path),
    }
}

/// The members: this one.
fn cluster(node: &Node) -> Reply {
    let open: u64 = node.stats.iter().map(|shard| shard.open.get()).sum();
    let mut json = JsonBuffer::default();
    json.raw(r#"{"members":[{"address":"#).string(&node.address());
    json.raw(r#","liteMember":false,"localMember":true,"uuid":"#).string(&node.uuid);
    json.raw(r#","memberVersion":"#).string(Node::VERSION).raw("}]");
    json.raw(r#","connectionCount":0,"allConnectionCount":"#).integer(open).raw("}");
    Reply::json(json.take())
}

/// A node that answers at all is well.
fn health(part: &str) -> Option<Reply> {
    let json = match part {
        "" => {
            r#"{"nodeState":"ACTIVE","clusterState":"ACTIVE","clusterSafe":true,"migrationQueueSize":0,"clusterSize":1}"#
        }
        "node-state" | "cluster-state" => r#""ACTIVE""#,
        "migration-queue-size" => "0",
        "cluster-size" => "1",
        // These say it by their status.
        "cluster-safe" | "ready" => return Some(Reply::of_type("text/plain", bytes::Bytes::new())),
        _ => return None,
    };
    Some(Reply::json(bytes::Bytes::from_static(json.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(faces: Faces, context: &str, path: &str) -> Option<Endpoint> {
        find(faces, context, path).map(|(_, call)| call.endpoint)
    }

    #[test]
    fn each_face_has_its_own_paths() {
        let (v1, v2) = (Faces { v1: true, v2: false }, Faces { v1: false, v2: true });
        assert_eq!(endpoint(v1, "", "/hazelcast/rest/cluster"), Some(Endpoint::Cluster));
        assert_eq!(endpoint(v2, "", "/hazelcast/rest/cluster"), None);
        assert_eq!(endpoint(v2, "/ctx", "/ctx/metrics"), Some(METRICS));
        assert_eq!(endpoint(v2, "/ctx", "/metrics"), None);
        assert_eq!(endpoint(v1, "", "/metrics"), None);
        for faces in [v1, v2] {
            assert_eq!(endpoint(faces, "/ctx", "/openapi.json"), Some(Endpoint::OpenApi));
            assert_eq!(endpoint(faces, "/ctx", "/egret/heap"), Some(Endpoint::Heap(HeapCall::Show)));
            assert_eq!(endpoint(faces, "/ctx", "/egret/heap/stop"), Some(Endpoint::Heap(HeapCall::Stop)));
            assert_eq!(endpoint(faces, "/ctx", "/egret/timelines"), Some(Endpoint::Timelines));
        }
    }

    #[test]
    fn names_are_matched_whole() {
        assert_eq!(endpoint(Faces::BOTH, "", "/metricsx"), None);
        assert_eq!(endpoint(Faces::BOTH, "", "/metrics/"), Some(METRICS));
        assert_eq!(find(Faces::BOTH, "", "/hazelcast/health/ready/").map(|(_, call)| call.argument), Some("ready"));
    }
}
