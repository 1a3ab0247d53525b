//! Accepting connections on one executor.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, RawFd};

use socket2::SockRef;

use super::claim::ListenSocket;
use super::stream::Stream;

/// Accepts connections on the executor that made it.
pub struct Listener {
    inner: glommio::net::TcpListener,
    /// The socket that `inner` owns.
    descriptor: RawFd,
    closed: Cell<bool>,
}

impl Listener {
    /// Attaches the socket to the executor that this runs on.
    ///
    /// # Panics
    /// Outside of a shard's executor.
    pub fn attach(socket: ListenSocket) -> Self {
        let descriptor = socket.into_raw_fd();
        // SAFETY: the descriptor is a listening TCP socket that `ListenSocket` owned alone and has just given up.
        let inner = unsafe { glommio::net::TcpListener::from_raw_fd(descriptor) };
        Self { inner, descriptor, closed: Cell::new(false) }
    }

    /// The next connection, with `TCP_NODELAY` set; `None` once the listener is closed.
    ///
    /// Does not wait when connections are there already: a caller that accepts in a loop has to pause now and then
    /// for the executor to look at its other sockets. Do not drop it while it waits, [`close`](Self::close) the
    /// listener instead: a connection that comes at that moment would be accepted by nobody.
    ///
    /// # Errors
    /// Those of `accept`; of them [`out_of_descriptors`] lasts for a while.
    pub async fn accept(&self) -> Option<io::Result<Stream>> {
        match self.inner.accept().await {
            Ok(accepted) => Some(Ok(Stream::accepted(accepted))),
            Err(_) if self.closed.get() => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Whether connections wait to be accepted.
    pub fn has_waiting(&self) -> bool {
        let mut listening = libc::pollfd { fd: self.descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd of this function, of a descriptor that `inner` keeps open; it does not wait.
        let ready = unsafe { libc::poll(&raw mut listening, 1, 0) };
        ready == 1 && listening.revents & libc::POLLIN != 0
    }

    /// Lets nobody in any more: the kernel refuses new connections and resets those that still wait. Ends an
    /// [`accept`](Self::accept) that waits.
    pub fn close(&self) {
        self.closed.set(true);
        // SAFETY: the descriptor is open as long as `inner` lives, which the borrow does not outlive.
        let descriptor = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
        // It cannot fail on a socket that listens; one that was closed before is closed.
        let _ = SockRef::from(&descriptor).shutdown(Shutdown::Both);
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

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};
    use std::rc::Rc;
    use std::time::{Duration, Instant};

    use super::super::claim;
    use super::*;

    #[test]
    fn a_closed_listener_ends_the_accept_that_waits_and_lets_nobody_in() {
        let held = claim(SocketAddr::from(([127, 0, 0, 1], 0)), 1, 16).expect("a free port");
        let address = held.address();
        let socket = held.into_sockets().pop().expect("one socket");
        let executor = glommio::LocalExecutorBuilder::default().io_memory(64 * 1024).spawn(move || async move {
            let listener = Rc::new(Listener::attach(socket));
            let accepting = glommio::spawn_local({
                let listener = listener.clone();
                async move {
                    let mut accepted = 0;
                    while let Some(stream) = listener.accept().await {
                        accepted += i32::from(stream.is_ok());
                    }
                    accepted
                }
            })
            .detach();
            assert!(!listener.has_waiting());
            // Nothing else runs on this executor meanwhile, so both wait.
            let _clients = [0, 1].map(|_| TcpStream::connect(address).expect("connect"));
            assert!(listener.has_waiting());
            let deadline = Instant::now() + Duration::from_secs(60);
            while listener.has_waiting() && Instant::now() < deadline {
                glommio::timer::sleep(Duration::from_millis(1)).await;
            }
            listener.close();
            assert!(TcpStream::connect(address).is_err());
            assert!(listener.accept().await.is_none());
            accepting.await
        });
        assert_eq!(executor.expect("an executor").join().expect("no panic"), Some(2));
    }
}
