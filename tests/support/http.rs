//! A blocking HTTP/1.1 client over one connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;

/// One connection that is kept alive.
pub struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A response as it came.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, `None` if it is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("bodies are UTF-8")
    }

    /// The body of an answer that must be JSON (contract A.2).
    #[track_caller]
    pub fn json(&self) -> Value {
        let content_type = self.header("content-type").expect("a type");
        // Errors of v2 name their charset.
        let is_error_of_v2 = self.status >= 400 && content_type == "application/json;charset=UTF-8";
        assert!(is_error_of_v2 || content_type == "application/json", "{}{}", self.head, self.text());
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body of a request that must have been answered with 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// The message of an error envelope with this status (contract A.2).
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.json();
        let keys: Vec<&String> = body.as_object().expect("an envelope").keys().collect();
        assert_eq!(keys, ["status", "message"], "{body}");
        assert_eq!(body["status"], "fail");
        body["message"].as_str().expect("a message").to_owned()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        Self { stream, unread: Vec::new() }
    }

    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, "")
    }

    pub fn post(&mut self, path: &str, body: &str) -> Response {
        self.request("POST", path, body)
    }

    pub fn request(&mut self, method: &str, path: &str, body: &str) -> Response {
        let length = if method == "GET" { String::new() } else { format!("content-length: {}\r\n", body.len()) };
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: egret\r\n{length}\r\n{body}"));
        self.response()
    }

    /// A GET to which there may be no answer, or none in time; then the connection is of no more use.
    pub fn try_get(&mut self, path: &str) -> Option<Response> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: egret\r\n\r\n");
        let sent = self.stream.write_all(request.as_bytes()).is_ok();
        let began = sent && self.stream.peek(&mut [0]).is_ok_and(|bytes| bytes > 0);
        began.then(|| self.response())
    }

    /// The same, with less patience.
    pub fn try_get_within(&mut self, patience: Duration, path: &str) -> Option<Response> {
        self.stream.set_read_timeout(Some(patience)).expect("timeout");
        self.try_get(path)
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("send");
    }

    /// Sends the head of a POST and waits until the server is reading its body.
    pub fn begin_post(&mut self, path: &str, length: usize) {
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nhost: egret\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n"
        ));
        let head = self.until(b"\r\n\r\n");
        assert!(head.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&head));
    }

    /// The next response on the connection.
    pub fn response(&mut self) -> Response {
        let head = String::from_utf8(self.until(b"\r\n\r\n")).expect("a head is text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut response = Response { status, head, body: Vec::new() };
        if response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            response.body = self.chunks();
        } else {
            let length = response.header("content-length").expect("a length").parse().expect("a number");
            response.body = self.take(length);
        }
        response
    }

    /// Whether the server closes the connection without another word.
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.fill() == 0
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n")).expect("a size is text");
            let digits = line.trim_end().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(digits, 16).expect("a size");
            body.extend(self.take(size));
            assert_eq!(self.take(2), b"\r\n", "the end of a chunk");
            if size == 0 {
                return body;
            }
        }
    }

    fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return self.unread.drain(..at + end.len()).collect();
            }
            assert!(self.fill() > 0, "closed within an answer: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.fill() > 0, "closed within a body");
        }
        self.unread.drain(..length).collect()
    }

    /// Reads more; 0 at the end, also when the connection was reset.
    fn fill(&mut self) -> usize {
        let mut bytes = [0; 16 << 10];
        let read = match self.stream.read(&mut bytes) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("no answer: {error}"),
        };
        self.unread.extend_from_slice(&bytes[..read]);
        read
    }
}
