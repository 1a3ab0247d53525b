//! Starting and stopping the server on all shards.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use egret_runtime::net::{ClaimError, ListenSocket, claim, raise_open_files_limit};
use egret_runtime::shard::{CallError, ShardId, Shards};
use futures_channel::oneshot;
use futures_lite::future::block_on;
use thiserror::Error;

use crate::jobs::JobService;
use crate::limits::HttpLimits;
use crate::localtime;
use crate::route::{Apis, routes};
use crate::seatunnel::SeaTunnelSettings;
use crate::shard::{Shard, StopRequest};
use crate::stats::ShardStats;

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Address to listen on. Only this machine can reach the default.
    pub host: IpAddr,
    /// Ports to listen on; each answers every API. 0 takes a free one.
    pub ports: Vec<u16>,
    /// What clients may do.
    pub limits: HttpLimits,
    /// How SeaTunnel's API answers.
    pub seatunnel: SeaTunnelSettings,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: vec![5801],
            limits: HttpLimits::default(),
            seatunnel: SeaTunnelSettings::default(),
        }
    }
}

/// Why the server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A shard does not take it up.
    #[error("shard {shard} cannot serve HTTP: {cause}")]
    Shard {
        /// Which one.
        shard: ShardId,
        /// What it answered.
        cause: CallError,
    },
    /// A limit makes no sense.
    #[error("{0}")]
    Limit(String),
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
        if let Some(problem) = config.limits.problem() {
            return Err(StartError::Limit(problem));
        }
        if let Err(error) = raise_open_files_limit() {
            tracing::warn!("the limit on open files stays as it is: {error}");
        }
        localtime::load_zone();
        let (addresses, sockets) = claim_all(config, shards.len())?;
        let mut server = Self { addresses, stats: Vec::new(), stops: Vec::new() };
        for (index, sockets) in sockets.into_iter().enumerate() {
            server.start_shard(shards, index, sockets, config, jobs)?;
        }
        Ok(server)
    }

    fn start_shard(
        &mut self,
        shards: &Shards,
        index: usize,
        sockets: Vec<ListenSocket>,
        config: &ServerConfig,
        jobs: &JobService,
    ) -> Result<(), StartError> {
        let id = ShardId(u16::try_from(index).unwrap_or(u16::MAX));
        let (stop, stopped) = oneshot::channel();
        let stats = Arc::new(ShardStats::new(routes().count()));
        let (config, jobs, its_stats) = (config.clone(), jobs.clone(), stats.clone());
        let started = shards.front(id).call(move || async move {
            let apis = Apis::new(jobs, config.seatunnel);
            let shard = Shard::new(config.limits, apis, its_stats);
            egret_runtime::shard::spawn_local(shard.run(sockets, stopped));
        });
        block_on(started).map_err(|cause| StartError::Shard { shard: id, cause })?;
        self.stats.push(stats);
        self.stops.push(stop);
        Ok(())
    }

    /// The address of the first port, with the port that was chosen where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The addresses of all ports, in the order of [`ServerConfig::ports`].
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

/// Claims every port, and gives each shard a socket of each.
fn claim_all(config: &ServerConfig, shards: usize) -> Result<(Vec<SocketAddr>, Vec<Vec<ListenSocket>>), StartError> {
    if config.ports.is_empty() {
        return Err(StartError::Limit("no port to listen on is given".to_owned()));
    }
    let mut addresses = Vec::new();
    let mut by_shard: Vec<Vec<ListenSocket>> = (0..shards).map(|_| Vec::new()).collect();
    for port in &config.ports {
        let claim = claim(SocketAddr::new(config.host, *port), shards, config.limits.backlog)?;
        addresses.push(claim.address());
        by_shard.iter_mut().zip(claim.into_sockets()).for_each(|(sockets, socket)| sockets.push(socket));
    }
    Ok((addresses, by_shard))
}
