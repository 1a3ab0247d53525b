//! From method and path to a handler. Each API has a table of its own; this puts them side by side.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method};

use crate::auth::Guard;
use crate::body::RequestBody;
use crate::jobs::JobService;
use crate::node::{self, Node};
use crate::reply::Reply;
use crate::seatunnel::{self, SeaTunnel, SeaTunnelSettings};
use crate::server::Faces;

/// What a route asks of the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// GET and HEAD.
    Get,
    /// POST; in SeaTunnel's v1 API also PUT.
    Post,
}

impl Verb {
    /// Name of the method.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A route as documentation and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteName {
    /// The API that it belongs to.
    pub api: &'static str,
    /// The method.
    pub verb: Verb,
    /// Its path, without what the paths of the API begin with.
    pub path: &'static str,
}

/// All routes, in the order of [`ShardStats::routes`](crate::ShardStats::routes). The first stands for requests
/// that match none.
pub fn routes() -> impl Iterator<Item = RouteName> {
    let unmatched = RouteName { api: "none", verb: Verb::Get, path: "" };
    std::iter::once(unmatched).chain(node::route_names()).chain(seatunnel::route_names())
}

/// Position of the first route of the node's own.
pub(crate) const NODE: usize = 1;
/// Position of the first route of SeaTunnel's API.
pub(crate) const SEATUNNEL: usize = NODE + node::ROUTES.len();

/// A request's handler and what its path says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'r> {
    Node(node::Call<'r>),
    SeaTunnel(seatunnel::Call<'r>),
    #[cfg(test)]
    Test(&'r str),
}

/// What the tables say about a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'r> {
    /// Position of the route, and the handler.
    Route(usize, Call<'r>),
    /// Position of the route that the path belongs to, and the methods that it takes.
    WrongMethod(usize, &'static str),
    Nothing,
}

impl Found<'_> {
    /// Position of the route for the counters.
    pub(crate) fn route(&self) -> usize {
        match self {
            Self::Route(route, _) | Self::WrongMethod(route, _) => *route,
            Self::Nothing => 0,
        }
    }
}

/// The handlers of every API, on one shard.
pub(crate) struct Apis {
    jobs: JobService,
    node: Arc<Node>,
    seatunnel: SeaTunnel,
}

impl Apis {
    pub(crate) fn new(jobs: JobService, node: Arc<Node>, settings: SeaTunnelSettings) -> Self {
        let seatunnel = SeaTunnel::new(jobs.clone(), node.clone(), settings);
        Self { jobs, node, seatunnel }
    }

    /// Gives back memory that is not needed now.
    pub(crate) fn tidy(&self) {
        self.seatunnel.tidy();
    }

    /// Looks a request up, without allocating.
    pub(crate) fn find<'r>(&self, faces: Faces, method: &Method, path: &'r str) -> Found<'r> {
        #[cfg(test)]
        if let Some(what) = path.strip_prefix("/test/") {
            return Found::Route(0, Call::Test(what));
        }
        if let Some((position, call)) = node::find(faces, self.seatunnel.context_path(), path) {
            return match (call.endpoint.verb(), method) {
                (Verb::Get, &Method::GET | &Method::HEAD) | (Verb::Post, &Method::POST) => {
                    Found::Route(NODE + position, Call::Node(call))
                }
                (Verb::Get, _) => Found::WrongMethod(NODE + position, "GET, HEAD"),
                (Verb::Post, _) => Found::WrongMethod(NODE + position, "POST"),
            };
        }
        match self.seatunnel.find(faces, method, path) {
            seatunnel::Match::Call(position, call) => Found::Route(SEATUNNEL + position, Call::SeaTunnel(call)),
            seatunnel::Match::WrongMethod(position, allow) => Found::WrongMethod(SEATUNNEL + position, allow),
            seatunnel::Match::Nothing => Found::Nothing,
        }
    }

    /// Who may ask.
    pub(crate) fn guard(&self) -> &Guard {
        &self.node.guard
    }

    /// Whether a request may be answered. Probes of the node's health say nothing of who asks, and learn nothing but
    /// that the node lives.
    pub(crate) fn admits(&self, found: &Found<'_>, headers: &HeaderMap) -> bool {
        matches!(found, Found::Route(_, Call::Node(call)) if call.endpoint == node::Endpoint::Health)
            || self.guard().admits(headers)
    }

    /// Whether only programs on this machine may ask.
    pub(crate) fn is_local(found: &Found<'_>) -> bool {
        let Found::Route(_, Call::Node(call)) = found else { return false };
        matches!(call.endpoint, node::Endpoint::Heap(heap) if heap.is_local())
    }

    pub(crate) async fn handle(&self, call: Call<'_>, head: &Parts, body: &mut RequestBody) -> Reply {
        match call {
            Call::Node(call) => node::handle(call, head, &self.node, &self.jobs).await,
            Call::SeaTunnel(call) => self.seatunnel.handle(call, head, body).await,
            #[cfg(test)]
            Call::Test(what) => crate::tests::handle(what, body).await,
        }
    }
}
