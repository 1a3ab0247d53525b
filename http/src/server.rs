//! Starting and stopping the server on all shards.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use egret_runtime::net::{Claim, ClaimError, ListenSocket, claim, raise_open_files_limit};
use egret_runtime::shard::{CallError, ShardId, Shards};
use futures_channel::oneshot;
use futures_lite::future::block_on;
use thiserror::Error;

use crate::auth::AuthSettings;
use crate::jobs::JobService;
use crate::limits::HttpLimits;
use crate::localtime;
use crate::node::{Node, NodeSettings};
use crate::route::{Apis, routes};
use crate::seatunnel::SeaTunnelSettings;
use crate::shard::{Shard, StopRequest};
use crate::stats::ShardStats;

/// Which generations of SeaTunnel's API a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faces {
    /// Under `/hazelcast`.
    pub v1: bool,
    /// At the root, or under the context path.
    pub v2: bool,
}

impl Faces {
    /// Both, which is what clients of any release find theirs by.
    pub const BOTH: Self = Self { v1: true, v2: true };
}

/// One address, and what is answered there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// How many ports are tried, `port` being the first, when some are taken; at least 1.
    pub port_range: u16,
    /// What is answered.
    pub faces: Faces,
}

impl ListenerConfig {
    /// A listener that answers everything.
    pub fn new(host: IpAddr, port: u16) -> Self {
        Self { host, port, port_range: 1, faces: Faces::BOTH }
    }
}

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen, at least at one address; the first is the node's own in what it says of itself. Only this
    /// machine can reach the default, 127.0.0.1:5801.
    pub listeners: Vec<ListenerConfig>,
    /// What clients may do.
    pub limits: HttpLimits,
    /// What the node says of itself.
    pub node: NodeSettings,
    /// How SeaTunnel's API answers.
    pub seatunnel: SeaTunnelSettings,
    /// Who may ask. Default: everybody.
    pub auth: AuthSettings,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listeners: vec![ListenerConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5801)],
            limits: HttpLimits::default(),
            node: NodeSettings::default(),
            seatunnel: SeaTunnelSettings::default(),
            auth: AuthSettings::default(),
        }
    }
}

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// All ports of a range are taken.
    #[error("{first} and every port behind it up to {last} are in use: choose others, or a larger range")]
    Range {
        /// The first of them.
        first: SocketAddr,
        /// The last one.
        last: u16,
    },
    /// A shard does not take it up.
    #[error("shard {shard} cannot serve HTTP: {cause}")]
    Shard {
        /// Which one.
        shard: ShardId,
        /// What it answered.
        cause: CallError,
    },
    /// A limit or a setting makes no sense.
    #[error("{0}")]
    Limit(String),
    /// What reads the machine does not start.
    #[error(transparent)]
    Sampler(#[from] egret_collectors::StartError),
    /// What writes timelines does not start.
    #[error("the thread that writes timelines could not be started: {0}")]
    Timelines(#[source] std::io::Error),
    /// What takes stacks does not start.
    #[error("the thread for stacks could not be started: {0}")]
    Stacks(#[source] std::io::Error),
}

/// The running server. Dropping it closes it without waiting for requests.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    stats: Vec<Arc<ShardStats>>,
    stops: Vec<oneshot::Sender<StopRequest>>,
}

impl Server {
    /// Listens on every shard's front executor. When this returns, requests are answered.
    ///
    /// To be called from a thread that is no shard's.
    ///
    /// # Errors
    /// When a port is held by anybody else, or a shard does not answer; nothing is left open then.
    pub fn start(shards: &Shards, config: &ServerConfig, jobs: &JobService) -> Result<Self, StartError> {
        if let Some(problem) = config.limits.problem().or_else(|| config.seatunnel.problem()) {
            return Err(StartError::Limit(problem));
        }
        if let Err(error) = raise_open_files_limit() {
            tracing::warn!("the limit on open files stays as it is: {error}");
        }
        localtime::load_zone();
        let (addresses, sockets) = claim_all(config, shards.len())?;
        let stats: Vec<_> = (0..shards.len()).map(|_| Arc::new(ShardStats::new(routes().count()))).collect();
        let node = Arc::new(Node::new(config, addresses[0], shards.clone(), stats.clone(), jobs)?);
        jobs.set_tags(config.node.tags.clone());
        let mut server = Self { addresses, stats, stops: Vec::new() };
        for (index, sockets) in sockets.into_iter().enumerate() {
            server.start_shard(shards, index, sockets, config, (jobs, &node))?;
        }
        Ok(server)
    }

    fn start_shard(
        &mut self,
        shards: &Shards,
        index: usize,
        sockets: Vec<(ListenSocket, Faces)>,
        config: &ServerConfig,
        (jobs, node): (&JobService, &Arc<Node>),
    ) -> Result<(), StartError> {
        let id = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
        let (stop, stopped) = oneshot::channel();
        let (config, jobs, node, stats) = (config.clone(), jobs.clone(), node.clone(), self.stats[index].clone());
        let started = shards.front(id).call(move || async move {
            let apis = Apis::new(jobs, node, config.seatunnel);
            let shard = Shard::new(config.limits, apis, stats);
            egret_runtime::shard::spawn_local(shard.run(sockets, stopped));
        });
        block_on(started).map_err(|cause| StartError::Shard { shard: id, cause })?;
        self.stops.push(stop);
        Ok(())
    }

    /// The address of the first listener, with the port that was chosen where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The addresses of all listeners, in the order of [`ServerConfig::listeners`].
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Counters of each shard.
    pub fn stats(&self) -> &[Arc<ShardStats>] {
        &self.stats
    }

    /// Stops accepting, lets requests finish for up to `timeout`, and cuts what is left: the number of connections
    /// that were cut. Returns within `timeout` and a second, also if a shard does not answer.
    ///
    /// To be called from a thread that is no shard's.
    pub fn stop(self, timeout: Duration) -> usize {
        let (done, results) = mpsc::sync_channel(self.stops.len().max(1));
        let asked =
            self.stops.into_iter().filter_map(|stop| stop.send(StopRequest { timeout, done: done.clone() }).ok());
        let asked = asked.count();
        drop(done);
        let deadline = Instant::now() + timeout + Duration::from_secs(1);
        (0..asked).map_while(|_| results.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()).sum()
    }
}

type Sockets = Vec<(ListenSocket, Faces)>;

/// Claims every address, and gives each shard a socket of each.
fn claim_all(config: &ServerConfig, shards: usize) -> Result<(Vec<SocketAddr>, Vec<Sockets>), StartError> {
    if config.listeners.is_empty() {
        return Err(StartError::Limit("no address to listen on is given".to_owned()));
    }
    let mut addresses = Vec::new();
    let mut by_shard: Vec<Sockets> = (0..shards).map(|_| Vec::new()).collect();
    for listener in &config.listeners {
        let claim = claim_one(listener, shards, config.limits.backlog)?;
        addresses.push(claim.address());
        let sockets = claim.into_sockets().into_iter().map(|socket| (socket, listener.faces));
        by_shard.iter_mut().zip(sockets).for_each(|(sockets, socket)| sockets.push(socket));
    }
    Ok((addresses, by_shard))
}

/// The first port of the listener's range that nobody has.
fn claim_one(listener: &ListenerConfig, shards: usize, backlog: u16) -> Result<Claim, StartError> {
    let first = SocketAddr::new(listener.host, listener.port);
    // 0 is a free one, without searching.
    let last = if listener.port == 0 { 0 } else { listener.port.saturating_add(listener.port_range.max(1) - 1) };
    let found =
        (listener.port..=last).find_map(|port| match claim(SocketAddr::new(listener.host, port), shards, backlog) {
            Err(ClaimError::InUse { .. }) if last > listener.port => None,
            result => Some(result),
        });
    Ok(found.ok_or(StartError::Range { first, last })??)
}
