//! Claiming a port for all shards at once, and for this process alone.
//!
//! Each shard accepts on a socket of its own, which takes `SO_REUSEPORT`; but `SO_REUSEPORT` from the start would let
//! any process of the same user share the port, another egret included, and half of the connections would go there.
//! So the first socket is bound **and listens** without it. The kernel then guarantees that nobody else listens there,
//! whatever flags they set, and that of two processes doing this at the same moment one is refused (`listen` checks
//! again what `bind` had checked). Only then the first socket gets `SO_REUSEPORT`, and the others join it; a later
//! process that claims the port this way is refused, because its first socket comes without the flag.
//!
//! `SO_REUSEADDR` is set so that connections in TIME_WAIT do not keep a restarted node from its port.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{IntoRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// Why a port could not be had; each text says what to do about it.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// Somebody listens there.
    #[error(
        "{address} is in use by another process: stop it (`ss -ltnp 'sport = :{port}'` names it) or choose another port",
        port = address.port()
    )]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A port below `net.ipv4.ip_unprivileged_port_start`.
    #[error(
        "no permission to listen on {address}: choose a port of 1024 or above, or grant it with \
         `setcap cap_net_bind_service=+ep <the program>`"
    )]
    NotPermitted {
        /// The address asked for.
        address: SocketAddr,
    },
    /// No interface of this machine has the address.
    #[error("{address} is not an address of this machine: `ip address` lists those that are, 0.0.0.0 means all")]
    NotLocal {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {cause}")]
    Other {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

impl ClaimError {
    fn new(address: SocketAddr, cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { address },
            io::ErrorKind::AddrNotAvailable => Self::NotLocal { address },
            _ => Self::Other { address, cause },
        }
    }
}

/// A port that this process holds, with one listening socket for each shard.
#[derive(Debug)]
pub struct Claim {
    address: SocketAddr,
    sockets: Vec<ListenSocket>,
}

impl Claim {
    /// The address, with the port that the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sockets, one for each shard.
    pub fn into_sockets(self) -> Vec<ListenSocket> {
        self.sockets
    }
}

/// A listening socket on its way to the executor that will accept from it.
#[derive(Debug)]
pub struct ListenSocket(TcpListener);

impl IntoRawFd for ListenSocket {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}

/// Opens `listeners` sockets that listen on one port, which nobody else may hold. Port 0 takes a free one.
///
/// `backlog` bounds the connections that wait to be accepted, for each socket.
///
/// # Errors
/// When the port is held by anybody, this user's other processes included, or cannot be listened on.
pub fn claim(address: SocketAddr, listeners: usize, backlog: u16) -> Result<Claim, ClaimError> {
    claim_sockets(address, listeners, i32::from(backlog)).map_err(|cause| ClaimError::new(address, cause))
}

fn claim_sockets(wanted: SocketAddr, listeners: usize, backlog: i32) -> io::Result<Claim> {
    let first = socket(wanted)?;
    first.bind(&wanted.into())?;
    first.listen(backlog)?;
    let address = first
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("the system bound the socket to something that is no address"))?;
    let mut sockets = vec![ListenSocket(first.into())];
    if listeners > 1 {
        socket2::SockRef::from(&sockets[0].0).set_reuse_port(true)?;
    }
    while sockets.len() < listeners {
        let next = socket(address)?;
        next.set_reuse_port(true)?;
        next.bind(&address.into())?;
        next.listen(backlog)?;
        sockets.push(ListenSocket(next.into()));
    }
    Ok(Claim { address, sockets })
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::time::{Duration, Instant};

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn a_second_claim_of_the_same_user_is_refused() {
        let held = claim(any_port(), 3, 16).expect("a free port");
        for listeners in [1, 3] {
            assert!(matches!(claim(held.address(), listeners, 16), Err(ClaimError::InUse { .. })));
        }
        let wildcard = SocketAddr::from(([0, 0, 0, 0], held.address().port()));
        assert!(matches!(claim(wildcard, 2, 16), Err(ClaimError::InUse { .. })));
    }

    #[test]
    fn a_port_that_was_opened_for_sharing_is_refused_too() {
        let other = socket(any_port()).expect("socket");
        other.set_reuse_port(true).expect("flag");
        other.bind(&any_port().into()).expect("bind");
        other.listen(1).expect("listen");
        let address = other.local_addr().ok().and_then(|address| address.as_socket()).expect("address");
        let error = claim(address, 2, 16).expect_err("held by another socket");
        assert!(error.to_string().contains("in use by another process"), "{error}");
    }

    #[test]
    fn of_many_claims_at_once_one_wins() {
        // An address that is this test's own: nobody takes the port between the two claims.
        let address = claim(SocketAddr::from(([127, 0, 0, 77], 0)), 1, 1).expect("a free port").address();
        let barrier = std::sync::Barrier::new(8);
        let winners: Vec<Claim> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        claim(address, 2, 16)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().expect("no panic").ok()).collect()
        });
        assert_eq!(winners.len(), 1, "claims that would share the port");
    }

    #[test]
    fn every_socket_of_a_claim_gets_connections() {
        let held = claim(any_port(), 2, 256).expect("a free port");
        let address = held.address();
        let listeners: Vec<TcpListener> = held.into_sockets().into_iter().map(|socket| socket.0).collect();
        let clients: Vec<_> = (0..100).map(|_| TcpStream::connect(address).expect("connect")).collect();
        for listener in &listeners {
            listener.set_nonblocking(true).expect("flag");
        }
        let mut accepted = vec![0; listeners.len()];
        let patience = Instant::now() + Duration::from_secs(60);
        while accepted.iter().sum::<i32>() < 100 && Instant::now() < patience {
            for (listener, count) in listeners.iter().zip(&mut accepted) {
                *count += i32::from(listener.accept().is_ok());
            }
        }
        assert_eq!(accepted.iter().sum::<i32>(), clients.len() as i32);
        assert!(accepted.iter().all(|count| *count > 0), "{accepted:?}");
    }

    #[test]
    fn a_foreign_address_is_told_apart_from_a_port_in_use() {
        let error = claim(SocketAddr::from(([192, 0, 2, 1], 0)), 1, 16).expect_err("a documentation address");
        assert!(matches!(error, ClaimError::NotLocal { .. }), "{error:?}");
    }
}
