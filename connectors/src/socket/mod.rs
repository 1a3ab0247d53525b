//! Socket: lines of text from a TCP server, and rows as JSON to one (contract D.6).

mod lines;
mod options;
mod reader;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod writer;

pub use sink::SocketSink;
pub use source::SocketSource;

use std::time::Duration;

use egret_runtime::net::{ConnectError, Stream, connect};

/// Between two tries to connect, as the reference engine.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The other side, and how patient to be with it.
#[derive(Clone, Debug)]
struct Peer {
    host: String,
    port: u16,
    connect_timeout: Duration,
    /// Further tries after a failure; `None` for as many as it takes.
    retries_max: Option<u64>,
}

impl Peer {
    async fn connect(&self) -> Result<Stream, ConnectError> {
        connect(&self.host, self.port, self.connect_timeout).await
    }

    /// Whether so many failures in a row still leave a try.
    fn tries_again(&self, failed: u64) -> bool {
        self.retries_max.is_none_or(|most| failed <= most)
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
