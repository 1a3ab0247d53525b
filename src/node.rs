//! What every command that runs jobs starts first: the probe, the shards, the plugins.

use std::sync::Arc;

use egret_collectors::{StackSettings, Stacks};
use egret_runtime::job::{JobService, JobSettings, SubmitError, SubmitRequest, Submitted};
use egret_runtime::plugin::Registry;
use egret_runtime::shard::{CallError, HostProblem, ShardId, Shards, ShardsConfig, StallSettings, probe_host};

use crate::cli::ShardArguments;
use crate::stacks;

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
    pub stacks: Stacks,
}

/// What watches over the node's threads.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub stalls: StallSettings,
    pub stacks: StackSettings,
}

/// Starts the shards; on failure says why and gives the exit status.
pub fn start(arguments: &ShardArguments, settings: JobSettings, watch: Watch) -> Result<Node, u8> {
    if let Err(problem) = probe_host() {
        tell!("egret: {problem}");
        return Err(u8::try_from(HostProblem::EXIT_CODE).unwrap_or(1));
    }
    let (hook, late) = stacks::hook();
    let config = ShardsConfig {
        cpus: arguments.cores.clone(),
        work_nice: arguments.work_nice,
        stalls: watch.stalls,
        stacks: Some(hook),
        ..ShardsConfig::default()
    };
    let shards = Shards::start(config).map_err(|error| {
        tell!("egret: {error}");
        1
    })?;
    // The shards want to be first: a start of theirs beside other threads takes longer.
    let stacks = Stacks::start(watch.stacks).map_err(|error| {
        tell!("egret: the thread for stacks could not be started: {error}");
        1
    })?;
    late.get_or_init(|| stacks.clone());
    let jobs = JobService::new(shards.clone(), registry(), settings);
    Ok(Node { shards, jobs, stacks })
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
