//! Accepting connections on one executor.

use std::fmt;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd};

use super::claim::ListenSocket;
use super::stream::Stream;

/// Accepts connections on the executor that made it.
pub struct Listener {
    inner: glommio::net::TcpListener,
}

impl Listener {
    /// Attaches the socket to the executor that this runs on.
    ///
    /// # Panics
    /// Outside of a shard's executor.
    pub fn attach(socket: ListenSocket) -> Self {
        // SAFETY: the descriptor is a listening TCP socket that `ListenSocket` owned alone and has just given up.
        let inner = unsafe { glommio::net::TcpListener::from_raw_fd(socket.into_raw_fd()) };
        Self { inner }
    }

    /// The next connection, with `TCP_NODELAY` set.
    ///
    /// Does not wait when connections are there already: a caller that accepts in a loop has to pause now and then
    /// for the executor to look at its other sockets.
    ///
    /// # Errors
    /// Those of `accept`; of them [`out_of_descriptors`] lasts for a while.
    pub async fn accept(&self) -> io::Result<Stream> {
        let accepted = self.inner.accept().await.map_err(io::Error::from)?;
        Ok(Stream::accepted(accepted))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Whether an error of [`Listener::accept`] will come again at once, for want of descriptors or kernel memory.
pub fn out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}
