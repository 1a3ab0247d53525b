//! A client for one peer at a time: a request goes out, its whole answer comes back, bounded and unpacked.
//!
//! The connection is kept for the next request. Redirects and retries are those of the client library that the
//! reference engine uses: GET follows them, POST only a 303; what is tried again is what failed without an answer.

mod body;
mod exchange;
mod retry;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use egret_runtime::config::is_secret_key;
use egret_runtime::net::{ConnectError, Trust, TrustError};
use egret_runtime::plugin::TaskError;
use egret_runtime::shard::{BlockingError, run_blocking, sleep};
use http::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use thiserror::Error;

use self::exchange::Live;
pub(crate) use self::retry::RetryPolicy;
use super::url::{Url, UrlError};

/// Redirects followed for one request, as many as the reference engine's client follows.
const REDIRECTS_MAX: usize = 50;

/// Bytes of an answer that an error shows.
const SHOWN_BYTES_MAX: usize = 300;

/// A request, ready to be sent. Has no debug output: it may hold secrets.
#[derive(Clone)]
pub(crate) struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Unpacked.
    pub body: Vec<u8>,
}

impl Answer {
    /// The start of the body, for messages.
    pub fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(SHOWN_BYTES_MAX)]);
        let more = if self.body.len() > SHOWN_BYTES_MAX { "..." } else { "" };
        format!("{}{more}", text.trim_end())
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("TLS with {host}: {cause}")]
    Tls { host: String, cause: std::io::Error },
    #[error(transparent)]
    Trust(#[from] Arc<TrustError>),
    #[error("cannot read the trusted certificates: {0}")]
    NoThread(#[from] BlockingError),
    #[error("no answer within socket_timeout_ms = {}", .0.as_millis())]
    TimedOut(Duration),
    #[error("{0}")]
    Broken(String),
    #[error("the answer is larger than max_response_bytes = {0}")]
    TooLarge(usize),
    #[error("the answer's Content-Encoding '{0}' is not supported: gzip and deflate are")]
    Encoding(String),
    #[error("the redirect to '{location}' cannot be followed: it {cause}")]
    Location { location: String, cause: UrlError },
    #[error("more than {REDIRECTS_MAX} redirects")]
    TooManyRedirects,
}

impl RequestError {
    /// Whether another try may help: the network failed, not what was asked.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Tls { .. } | Self::TimedOut(_) | Self::Broken(_) | Self::NoThread(_) => true,
            Self::Trust(_) | Self::TooLarge(_) | Self::Encoding(_) | Self::Location { .. } | Self::TooManyRedirects => {
                false
            }
        }
    }
}

/// What holds for all requests of a block.
#[derive(Debug)]
pub(crate) struct ClientSettings {
    pub connect_timeout: Duration,
    /// Longest silence while an answer is due.
    pub socket_timeout: Duration,
    pub retry: RetryPolicy,
    pub response_bytes_max: usize,
    pub ca_file: Option<PathBuf>,
    /// Read once, where reading may block.
    trust: OnceLock<Result<Trust, Arc<TrustError>>>,
}

impl ClientSettings {
    pub fn new(
        connect_timeout: Duration,
        socket_timeout: Duration,
        retry: RetryPolicy,
        response_bytes_max: usize,
        ca_file: Option<PathBuf>,
    ) -> Self {
        Self { connect_timeout, socket_timeout, retry, response_bytes_max, ca_file, trust: OnceLock::new() }
    }

    /// Reads the trusted certificates. Blocks.
    pub fn load_trust(&self) -> Result<Trust, Arc<TrustError>> {
        self.trust.get_or_init(|| Trust::load(self.ca_file.as_deref()).map_err(Arc::new)).clone()
    }

    async fn trust(self: &Arc<Self>) -> Result<Trust, RequestError> {
        if let Some(known) = self.trust.get() {
            return Ok(known.clone()?);
        }
        let settings = Arc::clone(self);
        Ok(run_blocking(move || settings.load_trust()).await??)
    }
}

/// Sends requests, one after the other.
pub(crate) struct Client {
    settings: Arc<ClientSettings>,
    /// The connection of the last request, if it may be used again.
    idle: Option<Live>,
}

impl Client {
    pub fn new(settings: Arc<ClientSettings>) -> Self {
        Self { settings, idle: None }
    }

    /// The answer to a request, after retries and redirects. Dropping the future drops the connection.
    pub async fn send(&mut self, request: &Request) -> Result<Answer, TaskError> {
        let mut failed = 0;
        loop {
            let error = match self.follow(request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let doing = format!("{} {}", request.method, request.url);
            if !error.is_retryable() {
                return Err(TaskError::permanent(error.to_string()).while_doing(doing));
            }
            failed += 1;
            let Some(pause) = self.settings.retry.pause_after(failed) else {
                let tries = if failed == 1 { String::new() } else { format!(" (after {failed} tries)") };
                return Err(TaskError::transient(format!("{error}{tries}")).while_doing(doing));
            };
            tracing::warn!("{doing}: {error}; trying again in {} ms", pause.as_millis());
            sleep(pause).await;
        }
    }

    /// One try, with its redirects.
    async fn follow(&mut self, request: &Request) -> Result<Answer, RequestError> {
        let answer = self.ask(request).await?;
        let Some(location) = redirect_of(&request.method, &answer) else { return Ok(answer) };
        let mut redirected = redirected(request, &location)?;
        for _ in 1..REDIRECTS_MAX {
            let answer = self.ask(&redirected).await?;
            let Some(location) = redirect_of(&redirected.method, &answer) else { return Ok(answer) };
            redirected = self::redirected(&redirected, &location)?;
        }
        Err(RequestError::TooManyRedirects)
    }

    /// One request over one connection. A kept connection that turns out to be closed is replaced without a word.
    async fn ask(&mut self, request: &Request) -> Result<Answer, RequestError> {
        if let Some(mut live) = self.idle.take().filter(|live| live.serves(&request.url))
            && live.is_open().await
        {
            match live.exchange(request, &self.settings).await {
                Err(failure) if failure.unanswered => {}
                Err(failure) => return Err(failure.error),
                Ok(answer) => return Ok(self.keep(live, answer)),
            }
        }
        let trust = if request.url.tls { Some(self.settings.trust().await?) } else { None };
        let mut live = Live::open(&request.url, trust.as_ref(), &self.settings).await?;
        let answer = live.exchange(request, &self.settings).await.map_err(|failure| failure.error)?;
        Ok(self.keep(live, answer))
    }

    fn keep(&mut self, live: Live, answer: Answer) -> Answer {
        self.idle = Some(live).filter(Live::is_reusable);
        answer
    }
}

/// Where an answer sends a request of this method.
fn redirect_of(method: &Method, answer: &Answer) -> Option<String> {
    let follows = match answer.status.as_u16() {
        301 | 302 | 307 | 308 => *method == Method::GET,
        303 => true,
        _ => false,
    };
    let location = answer.headers.get(LOCATION).filter(|_| follows)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

/// The request that a redirect asks for. What may be secret does not go to another server.
fn redirected(request: &Request, location: &str) -> Result<Request, RequestError> {
    let cause = |cause| RequestError::Location { location: without_secrets(location), cause };
    let url = request.url.join(location).map_err(cause)?;
    let mut headers = request.headers.clone();
    headers.remove(http::header::CONTENT_TYPE);
    if !url.same_origin(&request.url) {
        let secret = |name: &&HeaderName| {
            [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name) || is_secret_key(name.as_str())
        };
        let secrets: Vec<HeaderName> = headers.keys().filter(secret).cloned().collect();
        for name in secrets {
            headers.remove(name);
        }
    }
    Ok(Request { method: Method::GET, url, headers, body: Bytes::new() })
}

/// A text that was to be an address, without its user and query.
fn without_secrets(location: &str) -> String {
    let place = location.split(['?', '#']).next().unwrap_or_default();
    match (place.split_once("://"), place.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => place.to_owned(),
    }
}

/// Headers of a config; the error says which cannot be sent, not what it holds.
pub(crate) fn header_map(given: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let key = HeaderName::from_bytes(name.trim().as_bytes());
        let key = key.map_err(|_| format!("'{name}' is not a name that a header can have"))?;
        if matches!(key.as_str(), "content-length" | "transfer-encoding" | "connection") {
            return Err(format!("'{name}' is set by the client itself: leave it out"));
        }
        let value = HeaderValue::from_bytes(value.trim().as_bytes());
        let mut value =
            value.map_err(|_| format!("the value of '{name}' holds a line break or a control character"))?;
        value.set_sensitive(true);
        headers.append(key, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, location: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(location).expect("a value"));
        Answer { status: StatusCode::from_u16(status).expect("a status"), headers, body: Vec::new() }
    }

    #[test]
    fn get_follows_redirects_and_post_only_to_see_another() {
        for status in [301, 302, 303, 307, 308] {
            assert!(redirect_of(&Method::GET, &answer(status, "/x")).is_some(), "{status}");
            assert_eq!(redirect_of(&Method::POST, &answer(status, "/x")).is_some(), status == 303, "{status}");
        }
        assert!(redirect_of(&Method::GET, &answer(200, "/x")).is_none());
        assert!(redirect_of(&Method::GET, &answer(304, "/x")).is_none());
    }

    #[test]
    fn secrets_stay_with_their_server() {
        let given = [("Authorization", "x"), ("token", "y"), ("X-Api-Key", "w"), ("Accept", "z")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers = header_map(&given).expect("headers");
        let url = Url::parse("http://a/x").expect("an address");
        let request = Request { method: Method::POST, url, headers, body: Bytes::from_static(b"{}") };
        let same = redirected(&request, "/y").expect("redirected");
        assert_eq!((same.headers.len(), same.method, same.body.len()), (4, Method::GET, 0));
        let other = redirected(&request, "http://b/y").expect("redirected");
        assert!(!other.headers.contains_key("authorization") && !other.headers.contains_key("token"));
        assert!(other.headers.contains_key("accept"));
        let error = redirected(&request, "ftp://u:s3cret@b/x?t=s3cret").err().expect("no such scheme").to_string();
        assert!(error.contains("ftp://b/x") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn headers_that_cannot_be_sent_are_named_without_their_value() {
        let wrong = |name: &str, value: &str| header_map(&[(name.into(), value.into())]).expect_err(name);
        assert!(wrong("a b", "x").contains("'a b'"));
        assert!(
            wrong("Content-Length", "5").contains("left out") || wrong("Content-Length", "5").contains("leave it out")
        );
        let text = wrong("Authorization", "secret\r\nX: y");
        assert!(text.contains("Authorization") && !text.contains("secret"), "{text}");
        let headers = header_map(&[("token".into(), "s3cret".into())]).expect("headers");
        assert!(!format!("{headers:?}").contains("s3cret"));
    }
}
