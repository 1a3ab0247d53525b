//! TCP sockets on the shards' executors: [`claim`] a port, give each front executor its [`Listener`], and read and
//! write [`Stream`]s by polling; or [`connect`] to somebody else's, with TLS around it where it is due.
//!
//! Nothing here knows a protocol. Errors of the system calls reach the caller as they are.

mod claim;
mod connect;
mod limit;
mod listener;
mod stream;
mod tls;

pub use claim::{Claim, ClaimError, ListenSocket, claim};
pub use connect::{ConnectError, connect};
pub use limit::raise_open_files_limit;
pub use listener::{Listener, out_of_descriptors};
pub use stream::{Stream, outgoing_open};
pub use tls::{Connection, TlsStream, Trust, TrustError};
