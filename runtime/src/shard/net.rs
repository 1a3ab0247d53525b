//! Sockets of an executor. They speak the `AsyncRead` and `AsyncWrite` of futures-io.

pub use glommio::net::{TcpListener, TcpStream};
