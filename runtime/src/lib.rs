//! Egret's ground floor: shards, job configs, rows, plans, the data plane, transforms, metrics.
//!
//! `ARCHITECTURE.md` is the map. Other rooms use this crate's names for executors, timers and channels; only this
//! crate names glommio's.

pub mod config;
pub mod file;
pub mod flow;
mod java_regex;
pub mod job;
pub mod json_path;
pub mod logs;
pub mod metrics;
pub mod net;
pub mod plan;
pub mod plugin;
pub mod row;
pub mod shard;
pub mod task;
pub mod transform;
