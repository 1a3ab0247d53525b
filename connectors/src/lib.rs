//! Egret's sources and sinks, one folder each, which share the traits that they implement, and `format`.

// What comes from outside must not be able to end a task, let alone the process: tests alone may unwrap.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod assert;
pub mod blackhole;
pub mod console;
pub mod fake;
mod format;
pub mod http;
pub mod local_file;
pub mod socket;
#[cfg(test)]
mod testing;

use egret_runtime::plugin::Registry;

/// Adds every source and sink of this crate.
pub fn register(registry: &mut Registry) {
    registry.add_source(fake::FakeSource);
    registry.add_source(http::HttpSource);
    registry.add_source(local_file::LocalFileSource);
    registry.add_source(socket::SocketSource);
    registry.add_sink(assert::Assert);
    registry.add_sink(blackhole::Blackhole);
    registry.add_sink(console::Console);
    registry.add_sink(http::HttpSink);
    registry.add_sink(local_file::LocalFileSink);
    registry.add_sink(socket::SocketSink);
}
