//! TCP sockets on the shards' executors: [`claim`] a port, give each front executor its [`Listener`], and read and
//! write [`Stream`]s by polling.
//!
//! Nothing here knows a protocol. Errors of the system calls reach the caller as they are.

mod claim;
mod limit;
mod listener;
mod stream;

pub use claim::{Claim, ClaimError, ListenSocket, claim};
pub use limit::raise_open_files_limit;
pub use listener::{Listener, out_of_descriptors};
pub use stream::Stream;
