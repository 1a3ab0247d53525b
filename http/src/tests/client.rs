//! A client that sends exactly the bytes that a test wants.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// A raw connection.
pub(super) struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A response as it came.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// The value of a header, `None` if it is not there.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The message of an error in the envelope.
    pub(super) fn message(&self) -> String {
        let content_type = self.header("content-type").expect("a type");
        assert!(matches!(content_type, "application/json" | "application/json;charset=UTF-8"), "{}", self.head);
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("a JSON body");
        assert_eq!(body["status"], "fail");
        body["message"].as_str().expect("a message").to_owned()
    }
}

impl Client {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(super::PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(super::PATIENCE)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, unread: Vec::new() }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("send");
        self
    }

    /// Sends what the server takes: it may have closed the connection.
    pub(super) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub(super) fn get(&mut self, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).response()
    }

    pub(super) fn post(&mut self, path: &str, body: &str) -> Response {
        self.send(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())).response()
    }

    pub(super) fn shutdown_write(&mut self) -> &mut Self {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
        self
    }

    /// The next response, with a body as long as announced.
    pub(super) fn response(&mut self) -> Response {
        self.read_response(true)
    }

    /// The next response to a HEAD request, or an interim one: without a body.
    pub(super) fn bare_response(&mut self) -> Response {
        self.read_response(false)
    }

    fn read_response(&mut self, with_body: bool) -> Response {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.fill() > 0, "closed within a head: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let head = String::from_utf8(self.unread.drain(..end).collect()).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut response = Response { status, head, body: Vec::new() };
        if with_body {
            let length = response.header("content-length").expect("a length").parse().expect("a number");
            while self.unread.len() < length {
                assert!(self.fill() > 0, "closed within a body");
            }
            response.body = self.unread.drain(..length).collect();
        }
        response
    }

    /// Says that nothing more comes, and reads until the server has said the same.
    pub(super) fn read_to_end(&mut self) {
        // The server may have closed the connection already.
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.fill() > 0 {}
    }

    /// Whether the server closes the connection without another word.
    pub(super) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.fill() == 0
    }

    /// Reads more; 0 at the end, also when the connection was reset.
    fn fill(&mut self) -> usize {
        let mut bytes = [0; 16 << 10];
        let read = loop {
            match self.stream.read(&mut bytes) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break 0,
                // A thread dump of a node in this process.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("no answer: {error}"),
            }
        };
        self.unread.extend_from_slice(&bytes[..read]);
        read
    }
}
