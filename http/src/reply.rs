//! Answers of handlers, and the envelope of errors.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::body::{Body, BodyError, Outgoing};
use crate::clock::Seconds;
use crate::json::JsonBuffer;

static APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
static APPLICATION_JSON_UTF8: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");
static CLOSE: HeaderValue = HeaderValue::from_static("close");
static RETRY_SOON: HeaderValue = HeaderValue::from_static("1");

/// What a handler answers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: HeaderValue,
    pub(crate) body: Body,
    /// The methods that would have been right, for 405.
    pub(crate) allow: Option<&'static str>,
    /// The header of the request that the answer depends on.
    pub(crate) varies: Option<&'static str>,
    /// The connection ends with this answer.
    pub(crate) close: bool,
    /// A header says how long the request took.
    pub(crate) tells_time: bool,
}

/// Header of answers that say how long their request took, in seconds (the Heron tracker's).
const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");

impl Reply {
    /// 200 with a JSON body; without a charset, as clients of v1 get it (contract A.2).
    pub(crate) fn json(body: impl Into<Body>) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: APPLICATION_JSON.clone(),
            body: body.into(),
            allow: None,
            varies: None,
            close: false,
            tells_time: false,
        }
    }

    /// 200 with a body of another type.
    pub(crate) fn of_type(content_type: &'static str, body: impl Into<Body>) -> Self {
        Self { content_type: HeaderValue::from_static(content_type), ..Self::json(body) }
    }

    /// An error: `{"status":"fail","message":"..."}` (contract A.2).
    pub(crate) fn fail(status: StatusCode, message: &str) -> Self {
        let mut json = JsonBuffer::default();
        json.raw(r#"{"status":"fail","message":"#).string(message).raw("}");
        Self { status, ..Self::json(json.take()) }
    }

    /// 400.
    pub(crate) fn bad_request(message: &str) -> Self {
        Self::fail(StatusCode::BAD_REQUEST, message)
    }

    /// 400 for what is no request.
    pub(crate) fn no_http() -> Self {
        Self::bad_request("The request is not valid HTTP/1.1.").closing()
    }

    /// 404.
    pub(crate) fn not_found(path: &str) -> Self {
        Self::fail(StatusCode::NOT_FOUND, &format!("There is no resource {path}."))
    }

    /// 405.
    pub(crate) fn wrong_method(method: &http::Method, path: &str, allow: &'static str) -> Self {
        let message = format!("{method} is not allowed on {path}; allowed: {allow}.");
        Self { allow: Some(allow), ..Self::fail(StatusCode::METHOD_NOT_ALLOWED, &message) }
    }

    /// 503 with `Retry-After`.
    pub(crate) fn busy(message: &str) -> Self {
        Self::fail(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// 500, for the program's own faults.
    pub(crate) fn internal() -> Self {
        Self::fail(StatusCode::INTERNAL_SERVER_ERROR, "Internal error; the node's log has the details.")
    }

    /// 408.
    pub(crate) fn too_slow(message: &str) -> Self {
        Self { close: true, ..Self::fail(StatusCode::REQUEST_TIMEOUT, message) }
    }

    /// An error names the charset of its JSON, as clients of v2 get it (contract A.2).
    pub(crate) fn naming_charset_of_error(self) -> Self {
        if self.status.is_success() || self.content_type != APPLICATION_JSON {
            return self;
        }
        Self { content_type: APPLICATION_JSON_UTF8.clone(), ..self }
    }

    /// Makes it the last answer of its connection.
    pub(crate) fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// Has a header say how long the request took.
    pub(crate) fn telling_time(self) -> Self {
        Self { tells_time: true, ..self }
    }

    /// For hyper. The map is the request's, which took so long: its memory is used again.
    pub(crate) fn into_response(
        self,
        mut headers: HeaderMap,
        took: Seconds,
        outgoing: impl FnOnce(Body) -> Outgoing,
    ) -> Response<Outgoing> {
        headers.clear();
        headers.insert(CONTENT_TYPE, self.content_type);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_SOON.clone());
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(header) = self.varies {
            headers.insert(VARY, HeaderValue::from_static(header));
        }
        if self.close {
            headers.insert(CONNECTION, CLOSE.clone());
        }
        if self.tells_time {
            headers.insert(PROCESS_TIME, took.header());
        }
        let mut response = Response::new(outgoing(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

impl From<BodyError> for Reply {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            BodyError::Broken => StatusCode::BAD_REQUEST,
            BodyError::TimedOut => StatusCode::REQUEST_TIMEOUT,
        };
        Self::fail(status, &error.to_string()).closing()
    }
}

/// An answer as bytes, after which the connection closes: for where there is no hyper to write it.
pub(crate) fn last_words(reply: Reply) -> Bytes {
    let mut head = String::with_capacity(160);
    let reason = reply.status.canonical_reason().unwrap_or("Error");
    let content_type = reply.content_type.to_str().unwrap_or("application/octet-stream");
    let retry = if reply.status == StatusCode::SERVICE_UNAVAILABLE { "retry-after: 1\r\n" } else { "" };
    // Writing to a string cannot fail.
    let _ = write!(
        head,
        "HTTP/1.1 {} {reason}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n{retry}connection: close\r\n\r\n",
        reply.status.as_u16(),
        reply.body.len(),
    );
    let mut bytes = BytesMut::from(head.as_bytes());
    bytes.extend_from_slice(&reply.body.into_bytes());
    bytes.freeze()
}

/// Our answer in place of the empty one that hyper gives to a head that it cannot read; `None` if `hypers` is no
/// such answer.
pub(crate) fn for_parse_error(hypers: &[u8]) -> Option<Reply> {
    let status = hypers.strip_prefix(b"HTTP/1.1 ").or_else(|| hypers.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    let status = StatusCode::from_bytes(status).ok().filter(|status| status.is_client_error())?;
    let fail = |message| Reply::fail(status, message).closing();
    Some(match status {
        StatusCode::URI_TOO_LONG => fail("The request's path and query are too long."),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => fail("The request's head is too large."),
        _ => Reply::no_http(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_come_in_the_envelope_of_v1() {
        let reply = Reply::bad_request("For input string: \"abc\"");
        assert_eq!(reply.content_type, "application/json");
        assert_eq!(&reply.body.into_bytes()[..], br#"{"status":"fail","message":"For input string: \"abc\""}"#);
    }

    #[test]
    fn errors_of_v2_name_their_charset_and_nothing_else_does() {
        let type_of = |reply: Reply| reply.naming_charset_of_error().content_type;
        assert_eq!(type_of(Reply::bad_request("no")), "application/json;charset=UTF-8");
        assert_eq!(type_of(Reply::json(Bytes::new())), "application/json");
        let no_file = Reply { status: StatusCode::BAD_REQUEST, ..Reply::of_type("text/plain", Bytes::new()) };
        assert_eq!(type_of(no_file), "text/plain");
    }

    #[test]
    fn last_words_announce_their_length_and_the_end() {
        let words = last_words(Reply::busy("no"));
        assert_eq!(
            std::str::from_utf8(&words).expect("text"),
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 32\r\n\
             retry-after: 1\r\nconnection: close\r\n\r\n{\"status\":\"fail\",\"message\":\"no\"}"
        );
    }

    #[test]
    fn only_refusals_of_a_head_are_replaced() {
        assert!(for_parse_error(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").is_some());
        assert!(for_parse_error(b"HTTP/1.0 431 Request Header Fields Too Large\r\n\r\n").is_some());
        assert!(for_parse_error(b"HTTP/1.1 100 Continue\r\n\r\n").is_none());
        assert!(for_parse_error(b"HTTP/1.1 2").is_none());
    }
}
