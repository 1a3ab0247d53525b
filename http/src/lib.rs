//! Egret's HTTP layer: hyper on the shards' front executors, its limits, and one folder for each API.
//!
//! A request's way: `shard` accepts, `connection` drives hyper over `wire`, `route` finds the handler, the API's
//! folder answers with a [`Body`] of shared pieces. `docs/http.md` has the limits and what clients see of them.
//!
//! Handlers never touch a disk, never wait for a job to make progress, and give way where they take long.

// What comes from outside must not be able to end a task, let alone the process: tests alone may unwrap.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

mod auth;
mod body;
mod clock;
mod connection;
mod jobs;
mod json;
mod limits;
mod localtime;
mod metrics;
mod node;
mod openapi;
mod query;
mod registry;
mod reply;
mod route;
pub mod seatunnel;
mod server;
mod shard;
mod stats;
#[cfg(test)]
mod tests;
mod wire;

pub use auth::{AuthSettings, Secret};
pub use body::Body;
pub use limits::HttpLimits;
pub use metrics::MetricsSettings;
pub use node::NodeSettings;
pub use route::{RouteName, Verb, routes};
pub use server::{Faces, ListenerConfig, Server, ServerConfig, StartError};
pub use stats::{RouteStats, ShardStats};
