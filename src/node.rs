//! What every command that runs jobs starts first: the probe, the shards, the plugins.

use std::sync::Arc;

use egret_runtime::job::{JobService, JobSettings, SubmitError, SubmitRequest, Submitted};
use egret_runtime::plugin::Registry;
use egret_runtime::shard::{CallError, HostProblem, ShardId, Shards, ShardsConfig, probe_host};

use crate::cli::ShardArguments;

/// All plugins of this build.
pub fn registry() -> Arc<Registry> {
    let mut registry = Registry::default();
    egret_runtime::transform::register(&mut registry);
    egret_connectors::register(&mut registry);
    Arc::new(registry)
}

/// A running node without listeners.
pub struct Node {
    pub shards: Shards,
    pub jobs: JobService,
}

/// Starts the shards; on failure says why and gives the exit status.
pub fn start(arguments: &ShardArguments, settings: JobSettings) -> Result<Node, u8> {
    if let Err(problem) = probe_host() {
        tell!("egret: {problem}");
        return Err(u8::try_from(HostProblem::EXIT_CODE).unwrap_or(1));
    }
    let config =
        ShardsConfig { cpus: arguments.cores.clone(), work_nice: arguments.work_nice, ..ShardsConfig::default() };
    let shards = Shards::start(config).map_err(|error| {
        tell!("egret: {error}");
        1
    })?;
    let jobs = JobService::new(shards.clone(), registry(), settings);
    Ok(Node { shards, jobs })
}

impl Node {
    /// Submits a job from a plain thread.
    pub fn submit(&self, request: SubmitRequest) -> Result<Submitted, SubmitError> {
        let jobs = self.jobs.clone();
        let call = self.shards.front(ShardId(0)).call(move || async move { jobs.submit(request).await });
        match futures_lite::future::block_on(call) {
            Ok(submitted) => submitted,
            Err(CallError::Full(full)) => Err(SubmitError::Busy(full.to_string())),
            Err(error) => Err(SubmitError::Busy(error.to_string())),
        }
    }
}
