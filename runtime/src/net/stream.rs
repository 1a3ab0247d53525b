//! One TCP connection on one executor.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_lite::io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

/// A TCP connection; belongs to the executor that accepted or opened it. Dropping it closes it.
pub struct Stream {
    inner: glommio::net::TcpStream,
    /// There for a connection that this side has opened.
    _outgoing: Option<Outgoing>,
}

/// Connections of this process that were opened by it and are not closed.
static OUTGOING: AtomicU64 = AtomicU64::new(0);

/// Connections that this process has opened to others, by [`Stream::connect`], and that are open now.
pub fn outgoing_open() -> u64 {
    OUTGOING.load(Ordering::Relaxed)
}

/// Counts for as long as it lives.
struct Outgoing;

impl Outgoing {
    fn new() -> Self {
        OUTGOING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        OUTGOING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream {
    pub(super) fn accepted(inner: glommio::net::TcpStream) -> Self {
        let stream = Self { inner, _outgoing: None };
        // Neither can fail on a TCP socket; where one did, the connection would work all the same.
        let _ = stream.socket().set_tcp_nodelay(true);
        let _ = stream.socket().set_cloexec(true);
        stream
    }

    /// Opens a connection, with `TCP_NODELAY` set.
    ///
    /// # Errors
    /// When the other side refuses, or does not answer in time.
    pub async fn connect(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let timeout = timeout.max(Duration::from_millis(1));
        let inner = glommio::net::TcpStream::connect_timeout(address, timeout).await.map_err(io::Error::from)?;
        let mut stream = Self::accepted(inner);
        stream._outgoing = Some(Outgoing::new());
        Ok(stream)
    }

    /// Reads into a buffer that need not be initialised, and answers with the number of bytes at its start that are
    /// now. 0 means that the other side has closed its half.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
        // SAFETY: `MaybeUninit<u8>` and `u8` have the same layout, and the slice is not read: an unbuffered
        // `glommio::net::TcpStream` passes pointer and length of the slice to `recv(2)` and looks at nothing but
        // the number of bytes that `recv` says it has written. (The test below reads into poisoned memory.)
        let bytes = unsafe { &mut *(std::ptr::from_mut(buffer) as *mut [u8]) };
        Pin::new(&mut self.inner).poll_read(cx, bytes)
    }

    /// As [`poll_read`](Self::poll_read), for a buffer that is initialised.
    pub fn poll_read_into(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }

    /// Writes as much as the socket takes. Never raises SIGPIPE.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pin::new(&mut self.inner).poll_write(cx, bytes),
            done => Poll::Ready(done),
        }
    }

    /// As [`poll_write`](Self::poll_write), for bytes that lie in several places: they go out in their order, and in one
    /// call.
    pub fn poll_write_vectored(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.socket().send_vectored_with_flags(pieces, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let first = pieces.iter().find(|piece| !piece.is_empty()).map_or(&[][..], |piece| piece);
                Pin::new(&mut self.inner).poll_write(cx, first)
            }
            done => Poll::Ready(done),
        }
    }

    /// Writes what the socket takes at once.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing, and those of `send`.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.socket().send_with_flags(bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    }

    /// Whether there are bytes that were received and not read, without waiting for readiness to be reported.
    pub fn has_unread(&self) -> bool {
        let mut byte = [MaybeUninit::uninit(); 1];
        let peeked = self.socket().recv_with_flags(&mut byte, libc::MSG_PEEK | libc::MSG_DONTWAIT);
        peeked.is_ok_and(|bytes| bytes > 0)
    }

    /// Tells the other side that nothing more will be written.
    ///
    /// # Errors
    /// None for a connection that the other side has already closed; otherwise those of `shutdown`.
    pub fn shutdown_write(&self) -> io::Result<()> {
        match self.socket().shutdown(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        }
    }

    /// Reads and drops up to `bytes_max`, until the other side has closed its half: a socket closed with unread
    /// input would take back the answer that is still on its way.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, bytes_max: &mut usize) -> Poll<()> {
        let mut sink = [MaybeUninit::uninit(); 4096];
        while *bytes_max > 0 {
            match ready!(self.poll_read(cx, &mut sink)) {
                Ok(0) | Err(_) => break,
                Ok(read) => *bytes_max = bytes_max.saturating_sub(read),
            }
        }
        Poll::Ready(())
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        let address = self.socket().peer_addr()?;
        address.as_socket().ok_or_else(|| io::Error::other("the other side has no address"))
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as `inner` lives, which the borrow of `self` does not outlive.
        unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("descriptor", &self.inner.as_raw_fd()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Listener, claim};
    use super::*;
    use futures_lite::future::poll_fn;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// Runs a server task on an executor of its own, beside a client on this thread.
    fn with_peer<R: Send + 'static>(
        server: impl AsyncFnOnce(Stream) -> R + Send + 'static,
        client: impl FnOnce(TcpStream),
    ) -> R {
        let held = claim(SocketAddr::from(([127, 0, 0, 1], 0)), 1, 16).expect("a free port");
        let address = held.address();
        let socket = held.into_sockets().pop().expect("one socket");
        let executor = glommio::LocalExecutorBuilder::default()
            .io_memory(64 * 1024)
            .spawn(move || async move {
                let stream = Listener::attach(socket).accept().await.expect("open").expect("a client");
                server(stream).await
            })
            .expect("an executor");
        client(TcpStream::connect(address).expect("connect"));
        executor.join().expect("no panic")
    }

    #[test]
    fn a_read_fills_the_start_of_the_buffer_and_leaves_the_rest_alone() {
        let (read, buffer) = with_peer(
            async |mut stream| {
                let mut buffer = [MaybeUninit::new(0xaau8); 64];
                let read = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await.expect("read");
                // SAFETY: every byte of the array was initialised when it was made.
                (read, buffer.map(|byte| unsafe { byte.assume_init() }))
            },
            |mut client| client.write_all(b"hello").expect("write"),
        );
        assert_eq!((read, &buffer[..5]), (5, &b"hello"[..]));
        assert!(buffer[5..].iter().all(|byte| *byte == 0xaa));
    }

    #[test]
    fn a_reset_connection_is_an_error_not_an_end() {
        let (told, has_read) = std::sync::mpsc::sync_channel(1);
        let read = with_peer(
            async move |mut stream| {
                let mut buffer = [MaybeUninit::uninit(); 8];
                let _ = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await.expect("the first byte");
                told.send(()).expect("the client waits");
                poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await.map_err(|error| error.kind())
            },
            |mut client| {
                client.write_all(b"x").expect("write");
                has_read.recv().expect("the server reads");
                SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("linger");
            },
        );
        assert_eq!(read, Err(io::ErrorKind::ConnectionReset));
    }

    #[test]
    fn a_write_waits_for_room_and_goes_on() {
        const BYTES: usize = 16 << 20;
        with_peer(
            async |mut stream| {
                let bytes = vec![7u8; BYTES];
                let mut written = 0;
                while written < BYTES {
                    written += poll_fn(|cx| stream.poll_write(cx, &bytes[written..])).await.expect("write");
                }
                stream.shutdown_write().expect("shutdown");
            },
            |mut client| {
                let mut all = Vec::new();
                client.read_to_end(&mut all).expect("read");
                assert_eq!(all.len(), BYTES);
            },
        );
    }

    #[test]
    fn pieces_arrive_in_their_order_although_the_socket_takes_only_some_at_a_time() {
        const PIECE: usize = 1 << 20;
        const PIECES: u8 = 9;
        with_peer(
            async |mut stream| {
                let pieces: Vec<_> = (0..PIECES).map(|number| vec![number; PIECE]).collect();
                let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                slices.insert(0, IoSlice::new(&[]));
                let mut rest = &mut slices[..];
                while !rest.is_empty() {
                    let written = poll_fn(|cx| stream.poll_write_vectored(cx, rest)).await.expect("write");
                    IoSlice::advance_slices(&mut rest, written);
                }
                stream.shutdown_write().expect("shutdown");
            },
            |mut client| {
                let mut all = Vec::new();
                client.read_to_end(&mut all).expect("read");
                assert_eq!(all.len(), PIECE * usize::from(PIECES));
                assert!(all.chunks(PIECE).zip(0..).all(|(piece, number)| piece.iter().all(|byte| *byte == number)));
            },
        );
    }

    #[test]
    fn a_connection_to_a_port_without_listener_fails() {
        // Bound, but nobody listens: the port stays taken and refuses.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        let address = socket.local_addr().expect("an address").as_socket().expect("an address");
        let executor = glommio::LocalExecutorBuilder::default()
            .io_memory(64 * 1024)
            .spawn(move || async move { Stream::connect(address, Duration::from_secs(60)).await.is_err() })
            .expect("an executor");
        assert!(executor.join().expect("no panic"));
    }
}
