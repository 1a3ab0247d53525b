//! The node as it presents itself: one member that is a cluster of its own, its tags, and what it measures of itself.
//! All shards share it.

mod api;
mod heap;
mod timelines;
mod timings;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use egret_collectors::{Parts, Renewal, Sampler, SamplerSettings, StackSettings, Stacks, find_heap_profiler};
use egret_runtime::logs::JobLogs;
use egret_runtime::shard::{Shards, sleep};
use futures_lite::future::or;

use crate::auth::Guard;
use crate::jobs::{JobService, Ticker};
use crate::metrics::MetricsSettings;
use crate::openapi::Description;
use crate::seatunnel::BuiltLists;
use crate::server::{ServerConfig, StartError};
use crate::stats::ShardStats;

pub(crate) use api::{Call, Endpoint, ROUTES, Scope, find, handle, route_names};
pub(crate) use heap::{HeapCall, is_loopback, not_from_here};

/// What the node says of itself.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Name of the cluster, the first label of every metric (contract F.1). Default `seatunnel`.
    pub cluster_name: Arc<str>,
    /// Name or address of the node in what it says of itself. Default: `localhost`, or the address that it listens on.
    pub member_host: Option<Arc<str>>,
    /// The node's tags, until update-tags replaces them. Default: none.
    pub tags: BTreeMap<String, String>,
    /// Whether there are metrics for scrapers; without them the answer is empty (contract A.4). Default: yes.
    pub telemetry: bool,
    /// The logs of jobs; without them their endpoints are 404. Default: none.
    pub logs: Option<JobLogs>,
    /// The bounds of sampling.
    pub sampler: SamplerSettings,
    /// The bounds of what scrapers are told.
    pub metrics: MetricsSettings,
    /// Size of the text from which a heap profile is made, in bytes. Default: 64 MiB.
    pub heap_profile_bytes_max: u64,
    /// How long all threads together get to answer for a thread dump. Default: 500 ms.
    pub stack_wait_max: Duration,
    /// Who takes stacks. Default: a thread of the server's own.
    pub stacks: Option<Stacks>,
}

impl NodeSettings {
    /// The bounds of taking stacks: a dump serves again for as long as a sample does.
    pub fn stack_settings(&self) -> StackSettings {
        StackSettings { age_max: self.sampler.age_max, wait_max: self.stack_wait_max, ..StackSettings::default() }
    }
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            cluster_name: "seatunnel".into(),
            member_host: None,
            tags: BTreeMap::new(),
            telemetry: true,
            logs: None,
            sampler: SamplerSettings::default(),
            metrics: MetricsSettings::default(),
            heap_profile_bytes_max: 64 << 20,
            stack_wait_max: StackSettings::default().wait_max,
            stacks: None,
        }
    }
}

/// The node, for the handlers of every shard.
pub(crate) struct Node {
    pub(crate) settings: NodeSettings,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Made anew at each start, as members of the original's clusters do it.
    pub(crate) uuid: String,
    pub(crate) shards: Shards,
    /// Counters of the HTTP layer, of each shard.
    pub(crate) stats: Vec<Arc<ShardStats>>,
    pub(crate) description: Arc<Description>,
    /// Lists of jobs that any shard has built.
    pub(crate) lists: BuiltLists,
    /// Who may ask.
    pub(crate) guard: Guard,
    /// What is known of machine and process.
    pub(crate) sampler: Sampler,
    /// Writes timelines for as long as the node is there.
    _ticker: Ticker,
    /// Who takes stacks.
    pub(crate) stacks: Stacks,
}

impl Node {
    /// To be called from a thread that is no shard's: the threads that it starts may use the CPUs that this one may.
    pub(crate) fn new(
        config: &ServerConfig,
        address: SocketAddr,
        shards: Shards,
        stats: Vec<Arc<ShardStats>>,
        jobs: &JobService,
    ) -> Result<Self, StartError> {
        find_heap_profiler();
        Ok(Self {
            host: config.node.member_host.as_deref().map_or_else(|| host_of(address.ip()), str::to_owned),
            port: address.port(),
            uuid: uuid(),
            shards,
            _ticker: jobs.timelines().start(timelines::probe(stats.clone())).map_err(StartError::Timelines)?,
            stats,
            lists: BuiltLists::default(),
            description: Description::new(&config.seatunnel, &config.auth),
            guard: Guard::new(&config.auth),
            sampler: Sampler::start(config.node.sampler.clone())?,
            stacks: match &config.node.stacks {
                Some(stacks) => stacks.clone(),
                None => Stacks::start(config.node.stack_settings()).map_err(StartError::Stacks)?,
            },
            settings: config.node.clone(),
        })
    }

    /// Version of the program.
    pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
    /// The commit that it was built from, where the build says so by `EGRET_COMMIT`.
    pub(crate) const COMMIT: &str = match option_env!("EGRET_COMMIT") {
        Some(commit) => commit,
        None => "unknown",
    };

    /// The address as members of the original's clusters write it.
    pub(crate) fn address(&self) -> String {
        format!("[{}]:{}", self.host, self.port)
    }

    /// Waits until the newest samples are fresh, for a bounded time: then those that there are have to do.
    pub(crate) async fn renew(&self, parts: impl Into<Parts>) {
        let parts = parts.into();
        if self.sampler.is_fresh(parts) {
            return;
        }
        let late = async {
            sleep(self.sampler.patience(parts)).await;
            Renewal::Late
        };
        if or(self.sampler.renewed(parts), late).await == Renewal::Late {
            self.sampler.note_late();
        }
    }
}

/// What others call an address: as the original's default configuration has it, this machine is `localhost`.
fn host_of(address: IpAddr) -> String {
    if address.is_loopback() || address.is_unspecified() { "localhost".to_owned() } else { address.to_string() }
}

/// A random UUID (RFC 9562, version 4).
fn uuid() -> String {
    let random = fastrand::u128(..);
    let random = (random & !(0xf << 76)) | (0x4 << 76);
    let random = (random & !(0x3 << 62)) | (0x2 << 62);
    let digits = format!("{random:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_its_version() {
        let uuid = uuid();
        let shape: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(shape, [8, 4, 4, 4, 12]);
        assert_eq!(uuid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    }

    #[test]
    fn this_machine_is_called_localhost() {
        let host = |address: &str| host_of(address.parse().expect("an address"));
        assert_eq!(host("127.0.0.1"), "localhost");
        assert_eq!(host("::1"), "localhost");
        assert_eq!(host("0.0.0.0"), "localhost");
        assert_eq!(host("10.1.2.3"), "10.1.2.3");
    }
}
