//! Shards: how Egret uses the processor. `docs/core-time.md` is the page to read first.
//!
//! Each CPU carries two pinned executors: *front* (requests, coordination, timers) at normal priority and *work* (the
//! jobs' tasks) at a lower one, so that the kernel hands the CPU to a request the moment it arrives. On either side one
//! [driver](driver) owns every task; on the work side it is also the token that decides which job runs next.
//!
//! Only this module names the executor library's types; other modules use the names exported here.

mod affinity;
mod blocking;
mod config;
mod core;
mod cpus;
mod driver;
mod group;
mod handle;
mod local;
mod meter;
pub mod net;
mod probe;
mod shards;
mod signal;
pub mod signals;
mod stall;
mod stats;
mod times;
mod token;
mod watchdog;

pub(crate) use affinity::lower_priority;
pub use affinity::{pin_to as pin_thread, register_membarrier};
pub use blocking::{Blocking, BlockingError, run_blocking};
pub use config::ShardsConfig;
pub use cpus::{CpuList, CpuListError, allowed_cpus};
pub use group::WorkGroup;
pub use handle::{Call, CallError, FrontHandle, JoinError, JoinHandle, MailboxFull, TaskPanicked, WorkHandle};
pub use local::{GiveWay, Sleep, current_job, current_shard, give_way, join_local, sleep, sleep_until, spawn_local};
pub use probe::{HostProblem, probe_host, probe_host_for};
pub use shards::{Shards, StartError, StopError};
pub use signal::{Signal, SignalWait};
pub use stall::{NamedLater, StackHook, StackSource, StallSettings, WithLines};
pub use stats::{ExecutorStats, Queues, Side};
pub use times::{ExecutorTime, ExecutorTimes, TimedExecutor};
pub use watchdog::{FatalAction, Stall};

/// One shard: a CPU with its front and its work executor, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
