//! TLS on the client's side of a [`Stream`]: rustls does the protocol, this module moves its bytes.
//!
//! Certificates are checked against those that the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` choose others),
//! and those of a file that a config names.

use std::future::poll_fn;
use std::io::{self, BufRead, Read, Write};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use thiserror::Error;

use super::stream::Stream;

/// Why there is no trust to start from.
#[derive(Debug, Error)]
pub enum TrustError {
    /// The file with certificates cannot be used.
    #[error("cannot read certificates from {path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        cause: String,
    },
    /// The system has no certificates.
    #[error(
        "this system has no trusted certificates{}: install the package ca-certificates, or name a file with them",
        if cause.is_empty() { String::new() } else { format!(" ({cause})") }
    )]
    NoneFound {
        /// What the search for them met with.
        cause: String,
    },
}

/// Whom to trust; cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// The system's certificates, and those of a PEM file. Reads files: not on an executor.
    ///
    /// # Errors
    /// When the file cannot be used, or there is no certificate at all.
    pub fn load(ca_file: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = ca_file {
            let wrong = |cause: String| TrustError::File { path: path.display().to_string(), cause };
            let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(wrong("it holds no certificate in PEM form".into()));
            }
        }
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            let cause = system.errors.first().map(ToString::to_string).unwrap_or_default();
            return Err(TrustError::NoneFound { cause });
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        // The provider has the suites of both versions.
        let versions = versions.map_err(|error| TrustError::NoneFound { cause: error.to_string() })?;
        Ok(Self(Arc::new(versions.with_root_certificates(roots).with_no_client_auth())))
    }
}

/// A TLS connection; belongs to the executor of its stream.
#[derive(Debug)]
pub struct TlsStream {
    stream: Stream,
    session: ClientConnection,
}

impl TlsStream {
    /// Shakes hands with a server of this name. Has no timeout of its own.
    ///
    /// # Errors
    /// When the name is not one, the certificate is not trusted or not the host's, or the connection breaks.
    pub async fn handshake(stream: Stream, host: &str, trust: &Trust) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("'{host}' cannot have a certificate")))?;
        let session = ClientConnection::new(Arc::clone(&trust.0), name).map_err(io::Error::other)?;
        let mut tls = Self { stream, session };
        poll_fn(|cx| tls.poll_handshake(cx)).await?;
        Ok(tls)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let sent = self.poll_send(cx)?;
            if !self.session.is_handshaking() {
                return sent.map(Ok);
            }
            if ready!(self.poll_receive(cx))? == 0 {
                let message = "the other side closed the connection in the TLS handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
            }
        }
    }

    /// Sends what the session has to say.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Wire { stream: &mut self.stream, cx }) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the session some of what came; 0 at the end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let received = match self.session.read_tls(&mut Wire { stream: &mut self.stream, cx }) {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if let Err(error) = self.session.process_new_packets() {
            // Tells the other side why, as far as it listens.
            let _ = self.poll_send(cx);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(received))
    }

    /// As [`Stream::poll_read`]. An end without the farewell of TLS is an error: something may be missing.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
        loop {
            // What is read may have to be answered (a change of keys); the answer must not wait for a write.
            let _ = self.poll_send(cx)?;
            let mut reader = self.session.reader();
            match reader.fill_buf() {
                Ok(text) => {
                    let length = text.len().min(buffer.len());
                    buffer.iter_mut().zip(&text[..length]).for_each(|(to, from)| _ = to.write(*from));
                    reader.consume(length);
                    return Poll::Ready(Ok(length));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            let _ = ready!(self.poll_receive(cx))?;
        }
    }

    /// Takes bytes to be sent; see [`poll_flush`](Self::poll_flush).
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let taken = self.session.writer().write(bytes)?;
            let sent = self.poll_send(cx)?;
            if taken > 0 || bytes.is_empty() {
                return Poll::Ready(Ok(taken));
            }
            // The session's buffer is full until some of it is sent.
            ready!(sent);
        }
    }

    /// Sends everything that was taken.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    /// Says farewell and closes the sending half.
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.send_close_notify();
        ready!(self.poll_send(cx))?;
        Poll::Ready(self.stream.shutdown_write())
    }
}

/// The stream as rustls wants to see it for the length of one call.
struct Wire<'a, 'c> {
    stream: &'a mut Stream,
    cx: &'a mut Context<'c>,
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl Read for Wire<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        now(self.stream.poll_read_into(self.cx, buffer))
    }
}

impl Write for Wire<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(self.stream.poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection with or without TLS.
#[derive(Debug)]
pub enum Connection {
    /// Bytes as they are.
    Plain(Stream),
    /// Encrypted.
    Tls(Box<TlsStream>),
}

impl Connection {
    /// See [`Stream::poll_read`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [MaybeUninit<u8>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_read(cx, buffer),
            Self::Tls(stream) => stream.poll_read(cx, buffer),
        }
    }

    /// Takes bytes to be sent; see [`poll_flush`](Self::poll_flush).
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write(cx, bytes),
            Self::Tls(stream) => stream.poll_write(cx, bytes),
        }
    }

    /// Sends everything that was taken.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => stream.poll_flush(cx),
        }
    }

    /// Closes the sending half.
    pub fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Poll::Ready(stream.shutdown_write()),
            Self::Tls(stream) => stream.poll_close(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::super::connect;
    use super::*;
    use crate::file::block_on;

    /// A certificate for names, and the file that trusts it.
    fn certificate(names: &[&str]) -> (ServerConfig, tempfile::NamedTempFile) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(made.cert.pem().as_bytes()).expect("written");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a server");
        (config, file)
    }

    /// Echoes what one client sends, up to its farewell.
    fn echo(config: ServerConfig) -> (u16, thread::JoinHandle<io::Result<u64>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = thread::spawn(move || {
            let (socket, _) = listener.accept()?;
            socket.set_read_timeout(Some(Duration::from_secs(60)))?;
            let session = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
            let mut tls = StreamOwned::new(session, socket);
            let (mut chunk, mut total) = ([0; 8192], 0);
            loop {
                let read = tls.read(&mut chunk)?;
                if read == 0 {
                    tls.conn.send_close_notify();
                    tls.flush()?;
                    return Ok(total);
                }
                total += read as u64;
                tls.write_all(&chunk[..read])?;
            }
        });
        (port, server)
    }

    async fn shake(port: u16, host: &str, trust: &Trust) -> io::Result<TlsStream> {
        let stream = connect("127.0.0.1", port, Duration::from_secs(60)).await.map_err(io::Error::other)?;
        TlsStream::handshake(stream, host, trust).await
    }

    #[test]
    fn megabytes_go_there_and_back_and_the_end_is_told() {
        const BYTES: usize = 3 << 20;
        let (config, file) = certificate(&["somewhere.test"]);
        let (port, server) = echo(config);
        let trust = Trust::load(Some(file.path())).expect("trust");
        let echoed = block_on(async || {
            let mut tls = shake(port, "somewhere.test", &trust).await.expect("a handshake");
            let sent: Vec<u8> = (0..BYTES).map(|index| (index % 251) as u8).collect();
            let (mut written, mut echoed, mut closed) = (0, Vec::new(), false);
            poll_fn(|cx| {
                while written < BYTES {
                    match tls.poll_write(cx, &sent[written..]) {
                        Poll::Ready(taken) => written += taken.expect("write"),
                        Poll::Pending => break,
                    }
                }
                if written == BYTES && !closed && echoed.len() == BYTES {
                    closed = tls.poll_close(cx).is_ready();
                }
                let _ = tls.poll_flush(cx);
                let mut buffer = [MaybeUninit::uninit(); 5000];
                loop {
                    match ready!(tls.poll_read(cx, &mut buffer)).expect("read") {
                        0 => return Poll::Ready(()),
                        // SAFETY: `poll_read` has written as many bytes as it says.
                        read => echoed.extend(buffer[..read].iter().map(|byte| unsafe { byte.assume_init() })),
                    }
                    if echoed.len() == BYTES && !closed {
                        closed = tls.poll_close(cx).is_ready();
                    }
                }
            })
            .await;
            assert!(echoed == sent, "the echo differs");
            echoed.len()
        });
        assert_eq!(echoed.expect("an executor"), BYTES);
        assert_eq!(server.join().expect("no panic").expect("served"), BYTES as u64);
    }

    #[test]
    fn a_certificate_of_another_host_or_of_nobody_is_refused() {
        let (config, file) = certificate(&["somewhere.test"]);
        let (port, server) = echo(config);
        let trust = Trust::load(Some(file.path())).expect("trust");
        let error = block_on(async || shake(port, "elsewhere.test", &trust).await.expect_err("another host"));
        let text = error.expect("an executor").to_string();
        assert!(text.contains("elsewhere.test"), "{text}");
        assert!(server.join().expect("no panic").is_err());

        let (_, other) = certificate(&["somewhere.test"]);
        let (config, _file) = certificate(&["somewhere.test"]);
        let (port, server) = echo(config);
        let trust = Trust::load(Some(other.path())).expect("trust");
        let error = block_on(async || shake(port, "somewhere.test", &trust).await.expect_err("nobody's"));
        let text = error.expect("an executor").to_string();
        assert!(text.contains("certificate"), "{text}");
        assert!(server.join().expect("no panic").is_err());
    }

    #[test]
    fn a_file_without_certificates_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = Trust::load(Some(file.path())).expect_err("empty").to_string();
        assert!(text.contains(&file.path().display().to_string()) && text.contains("PEM"), "{text}");
        let text = Trust::load(Some(Path::new("/nowhere/ca.pem"))).expect_err("missing").to_string();
        assert!(text.contains("/nowhere/ca.pem"), "{text}");
    }
}
