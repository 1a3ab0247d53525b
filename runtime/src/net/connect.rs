//! Connecting by name: the name is looked up off the shard, then its addresses are tried in turn.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use futures_lite::future::or;
use thiserror::Error;

use super::stream::Stream;
use crate::shard::{BlockingError, run_blocking, sleep_until};

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The name has no address, or nobody could be asked.
    #[error("cannot look up '{host}': {cause}")]
    Lookup {
        /// The name asked for.
        host: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The thread for the lookup could not be had.
    #[error("cannot look up '{host}': {cause}")]
    NoThread {
        /// The name asked for.
        host: String,
        /// Why.
        cause: BlockingError,
    },
    /// The lookup or the other side took too long.
    #[error("no connection to {host}:{port} within {} ms", waited.as_millis())]
    TimedOut {
        /// The name asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// How long was waited.
        waited: Duration,
    },
    /// No address of the name took the connection; the cause is that of the last one tried.
    #[error("cannot connect to {host}:{port}: {cause}")]
    Refused {
        /// The name asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// What the system said.
        cause: io::Error,
    },
}

/// Opens a connection to a host by name or address (`db1`, `10.0.0.7`, `::1`) within `timeout`, which covers the lookup
/// of the name too. Of several addresses each gets an equal share of the time that is left.
///
/// Only on a shard's executor, or with an address for a host, which needs no thread for the lookup.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(host: &str, port: u16, timeout: Duration) -> Result<Stream, ConnectError> {
    let begin = Instant::now();
    let deadline = begin + timeout;
    let timed_out = || ConnectError::TimedOut { host: host.to_owned(), port, waited: timeout };
    let looked_up = or(async { Some(lookup(host, port).await) }, async {
        sleep_until(deadline).await;
        None
    });
    let addresses = looked_up.await.ok_or_else(timed_out)??;
    let mut last = io::Error::other("the name has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(timed_out());
        }
        let share = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match Stream::connect(*address, left / share).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    if last.kind() == io::ErrorKind::TimedOut {
        return Err(timed_out());
    }
    Err(ConnectError::Refused { host: host.to_owned(), port, cause: last })
}

async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = host.to_owned();
    let found = run_blocking(move || (name.as_str(), port).to_socket_addrs().map(Vec::from_iter)).await;
    let found = found.map_err(|cause| ConnectError::NoThread { host: host.to_owned(), cause })?;
    found.map_err(|cause| ConnectError::Lookup { host: host.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::super::{claim, outgoing_open};
    use super::*;
    use crate::file::block_on;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_listener_is_reached_by_its_address() {
        let held = claim(SocketAddr::from(([127, 0, 0, 1], 0)), 1, 4).expect("a free port");
        let address = held.address();
        let peer = block_on(async || {
            let stream = connect("127.0.0.1", address.port(), PATIENCE).await.expect("a connection");
            assert!(outgoing_open() >= 1, "it is counted");
            stream.peer().expect("a peer")
        });
        assert_eq!(peer.expect("an executor"), address);
    }

    #[test]
    fn a_refused_connection_names_the_place_and_the_cause() {
        // Bound, but nobody listens: the port stays taken and refuses.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        let port = socket.local_addr().expect("an address").as_socket().expect("an address").port();
        let error = block_on(async || connect("127.0.0.1", port, PATIENCE).await.expect_err("refused"));
        let text = error.expect("an executor").to_string();
        assert!(text.starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{text}");
        assert!(text.contains("refused"), "{text}");
    }

    #[test]
    fn a_name_needs_a_shard_to_be_looked_up() {
        let error = block_on(async || connect("localhost", 1, PATIENCE).await.expect_err("no threads here"));
        assert!(matches!(error.expect("an executor"), ConnectError::NoThread { .. }));
    }
}
