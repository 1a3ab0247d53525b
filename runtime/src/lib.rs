//! Egret's ground floor: shards, job configs, rows, plans, the data plane, transforms, metrics.
//!
//! `ARCHITECTURE.md` is the map. Other rooms use this crate's names for executors, timers and channels; only this
//! crate names glommio's.

// What comes from outside must not be able to end a task, let alone the process: tests alone may unwrap.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

mod bounded;
pub mod config;
pub mod file;
pub mod flow;
pub mod java_regex;
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
