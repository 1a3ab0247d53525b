//! One connection: hyper speaks HTTP/1.1 over the shard's own socket.
//!
//! hyper's connection is a future of its own. It is polled beside whatever waits for it, not as a task: it then ends
//! with the one who uses it, and a connection that idles costs nothing.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use egret_runtime::net::{self, Connection, TlsStream, Trust};
use egret_runtime::shard::{give_way, sleep};
use futures_lite::future::or;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HOST, HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::ReadBufCursor;

use super::body::BodyReader;
use super::{Answer, ClientSettings, Request, RequestError};
use crate::http::url::Url;

/// The head of an answer and what of its body is read at once.
const BUFFER_BYTES_MAX: usize = 256 << 10;

const AGENT: &str = concat!("egret/", env!("CARGO_PKG_VERSION"));

/// A failed exchange, and whether it failed before any answer: then a kept connection was merely closed.
pub(super) struct Failure {
    pub error: RequestError,
    pub unanswered: bool,
}

impl Failure {
    fn answered(error: RequestError) -> Self {
        Self { error, unanswered: false }
    }
}

/// A connection to one server.
pub(super) struct Live {
    origin: Url,
    sender: SendRequest<Full<Bytes>>,
    wire: Wire,
    reusable: bool,
}

/// hyper's side of the connection, with its end.
struct Wire {
    connection: Pin<Box<http1::Connection<Io, Full<Bytes>>>>,
    ended: bool,
}

impl Wire {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            // Its error reaches whoever waits for an answer too.
            self.ended = self.connection.as_mut().poll(cx).is_ready();
        }
    }

    /// Runs the connection while `work` waits for it; `None` when the time is up first.
    async fn beside<T>(&mut self, timeout: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let done = poll_fn(|cx| {
            self.drive(cx);
            work.as_mut().poll(cx)
        });
        or(async { Some(done.await) }, async {
            sleep(timeout).await;
            None
        })
        .await
    }
}

impl Live {
    /// Connects, and shakes hands where TLS is due.
    pub async fn open(url: &Url, trust: Option<&Trust>, settings: &ClientSettings) -> Result<Self, RequestError> {
        let begin = Instant::now();
        let stream = net::connect(&url.host, url.port, settings.connect_timeout).await?;
        let connection = match trust {
            None => Connection::Plain(stream),
            Some(trust) => {
                let left = settings.connect_timeout.saturating_sub(begin.elapsed());
                let timed_out = async {
                    sleep(left).await;
                    Err(io::Error::new(io::ErrorKind::TimedOut, "no handshake within connect_timeout_ms"))
                };
                let handshake = or(TlsStream::handshake(stream, &url.host, trust), timed_out).await;
                let tls = handshake.map_err(|cause| RequestError::Tls { host: url.host.clone(), cause })?;
                Connection::Tls(Box::new(tls))
            }
        };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER_BYTES_MAX);
        let (sender, connection) =
            builder.handshake(Io(connection)).await.map_err(|error| RequestError::Broken(words_of(&error)))?;
        let wire = Wire { connection: Box::pin(connection), ended: false };
        Ok(Self { origin: url.clone(), sender, wire, reusable: false })
    }

    /// Whether the connection leads to the server of an address.
    pub fn serves(&self, url: &Url) -> bool {
        self.origin.same_origin(url)
    }

    /// Whether the answer before left the connection ready for another request.
    pub fn is_reusable(&self) -> bool {
        self.reusable && !self.wire.ended
    }

    /// Looks whether the other side has closed the connection meanwhile.
    pub async fn is_open(&mut self) -> bool {
        poll_fn(|cx| {
            self.wire.drive(cx);
            Poll::Ready(())
        })
        .await;
        !self.wire.ended && self.sender.is_ready()
    }

    /// Sends a request and reads its whole answer.
    pub async fn exchange(&mut self, request: &Request, settings: &ClientSettings) -> Result<Answer, Failure> {
        self.reusable = false;
        let message = message_of(request).map_err(Failure::answered)?;
        let timeout = settings.socket_timeout;
        let silent = || RequestError::TimedOut(timeout);
        let answer = self.wire.beside(timeout, self.sender.send_request(message)).await;
        let answer = answer.ok_or_else(|| Failure::answered(silent()))?;
        let answer = answer.map_err(|error| Failure {
            unanswered: !error.is_parse() && !error.is_user(),
            error: RequestError::Broken(words_of(&error)),
        })?;
        let (head, body) = answer.into_parts();
        let body = self.body(&head.headers, body, settings).await.map_err(Failure::answered)?;
        self.reusable =
            matches!(self.wire.beside(Duration::ZERO, poll_fn(|cx| self.sender.poll_ready(cx))).await, Some(Ok(())));
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn body(
        &mut self,
        headers: &http::HeaderMap,
        mut incoming: Incoming,
        settings: &ClientSettings,
    ) -> Result<Vec<u8>, RequestError> {
        let text = |name| headers.get(name).map_or("", |value: &HeaderValue| value.to_str().unwrap_or("?"));
        let packed = text(CONTENT_ENCODING);
        let announced = text(CONTENT_LENGTH).parse::<usize>();
        if announced.is_ok_and(|length| length > settings.response_bytes_max) {
            return Err(RequestError::TooLarge(settings.response_bytes_max));
        }
        let mut reader = BodyReader::new(packed, settings.response_bytes_max)?;
        loop {
            let frame = self.wire.beside(settings.socket_timeout, incoming.frame()).await;
            match frame.ok_or(RequestError::TimedOut(settings.socket_timeout))? {
                None => return reader.finish(),
                Some(Err(error)) => return Err(RequestError::Broken(words_of(&error))),
                Some(Ok(frame)) => {
                    if let Some(piece) = frame.data_ref() {
                        reader.push(piece)?;
                    }
                }
            }
            give_way().await;
        }
    }
}

/// The request as hyper sends it, with the headers that nobody has to give.
fn message_of(request: &Request) -> Result<http::Request<Full<Bytes>>, RequestError> {
    let broken = |error: &dyn std::fmt::Display| RequestError::Broken(format!("the request cannot be built: {error}"));
    let mut message = http::Request::builder()
        .method(&request.method)
        .uri(request.url.target())
        .body(Full::new(request.body.clone()))
        .map_err(|error| broken(&error))?;
    let headers = message.headers_mut();
    *headers = request.headers.clone();
    if !headers.contains_key(HOST) {
        let host = HeaderValue::from_str(&request.url.authority()).map_err(|error| broken(&error))?;
        headers.insert(HOST, host);
    }
    if let Some(user) = request.url.authorization().filter(|_| !headers.contains_key(AUTHORIZATION)) {
        let mut value = HeaderValue::from_str(&user).map_err(|error| broken(&error))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip,deflate"));
    Ok(message)
}

/// An error with its causes.
fn words_of(error: &hyper::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

/// The connection as hyper wants to see it.
struct Io(Connection);

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: the slice is only written to, by `Connection::poll_read`, which never makes a byte of it
        // uninitialised.
        let free = unsafe { buffer.as_mut() };
        let read = ready!(self.0.poll_read(cx, free))?;
        // SAFETY: `poll_read` has initialised as many bytes at the start of the slice as it says.
        unsafe { buffer.advance(read) };
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_close(cx)
    }
}
