//! Reads HTTP/1.1 replies off a connection, as much of them as a load generator needs.

use std::fmt;

/// A whole reply at the start of what was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    /// Bytes of the reply, head and framing included.
    pub length: usize,
    /// Whether the server closes the connection after it.
    pub closes: bool,
}

/// What was received is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoReply(&'static str);

impl fmt::Display for NoReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is no HTTP/1.1 reply: {}", self.0)
    }
}

impl std::error::Error for NoReply {}

/// A longer head is no reply.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// What the head of a reply tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Whether the server closes the connection after the reply.
    pub closes: bool,
    length: usize,
    framing: Framing,
}

impl Head {
    /// Bytes of the reply, head and framing included; `None` while they are not known, which depends on what was
    /// `received` of its chunks.
    pub fn reply_length(&self, received: &[u8]) -> Result<Option<usize>, NoReply> {
        let body = match self.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked => chunks(&received[self.length..], |_| {})?,
        };
        Ok(body.map(|body| self.length.saturating_add(body)))
    }
}

/// The head at the start of `received`; `None` while some of it is missing.
pub fn head(received: &[u8]) -> Result<Option<Head>, NoReply> {
    let Some(length) = find(received, b"\r\n\r\n").map(|at| at + 4) else {
        return if received.len() > HEAD_BYTES_MAX { Err(NoReply("the head does not end")) } else { Ok(None) };
    };
    let text = std::str::from_utf8(&received[..length]).map_err(|_| NoReply("the head is no text"))?;
    let mut lines = text.split("\r\n");
    let status = status(lines.next().unwrap_or_default()).ok_or(NoReply("it does not begin with a status line"))?;
    let mut head = Head { status, closes: false, length, framing: Framing::Length(0) };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            head.framing = Framing::Length(value.parse().map_err(|_| NoReply("content-length is no number"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            head.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            head.closes = value.eq_ignore_ascii_case("close");
        }
    }
    Ok(Some(head))
}

/// The reply at the start of `received`; `None` while some of it is missing.
pub fn whole(received: &[u8]) -> Result<Option<Reply>, NoReply> {
    let Some(head) = head(received)? else { return Ok(None) };
    let Some(length) = head.reply_length(received)?.filter(|length| received.len() >= *length) else { return Ok(None) };
    let framed = &received[head.length..length];
    let mut body = Vec::new();
    match head.framing {
        Framing::Length(_) => body.extend_from_slice(framed),
        Framing::Chunked => _ = chunks(framed, |chunk| body.extend_from_slice(chunk))?,
    }
    Ok(Some(Reply { status: head.status, body, length, closes: head.closes }))
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// Shows each chunk and gives how many bytes they all took; trailers are skipped.
fn chunks(received: &[u8], mut show: impl FnMut(&[u8])) -> Result<Option<usize>, NoReply> {
    let mut at = 0;
    loop {
        let Some(line) = find(&received[at..], b"\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&received[at..at + line]).map_err(|_| NoReply("a chunk's size is no text"))?;
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| NoReply("a chunk's size is no number"))?;
        at += line + 2;
        if size == 0 {
            break;
        }
        // The chunk and the line end behind it.
        let end = at.checked_add(size).and_then(|end| end.checked_add(2)).ok_or(NoReply("a chunk has no end"))?;
        let Some(chunk) = received.get(at..end) else { return Ok(None) };
        show(&chunk[..size]);
        at = end;
    }
    loop {
        match find(&received[at..], b"\r\n") {
            None => return Ok(None),
            Some(0) => return Ok(Some(at + 2)),
            Some(trailer) => at += trailer + 2,
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_read(text: &str, status: u16, body: &str, closes: bool) {
        let text = text.as_bytes();
        for cut in 0..text.len() {
            assert_eq!(whole(&text[..cut]), Ok(None), "after {cut} bytes");
        }
        let expected = Reply { status, body: body.into(), length: text.len(), closes };
        assert_eq!(whole(text), Ok(Some(expected.clone())));
        assert_eq!(whole(&[text, b"HTTP/1.1 500"].concat()), Ok(Some(expected)), "with the next one behind it");
    }

    #[test]
    fn a_reply_is_whole_at_its_last_byte_and_not_before() {
        assert_read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 200, "[]", false);
        assert_read("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", 204, "", true);
        assert_read(
            "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\na: b\r\n\r\n",
            404,
            "abcd",
            false,
        );
    }

    #[test]
    fn what_is_no_reply_is_said() {
        for text in [
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        ] {
            assert!(whole(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(whole(&vec![b'x'; HEAD_BYTES_MAX + 1]).is_err());
    }
}
