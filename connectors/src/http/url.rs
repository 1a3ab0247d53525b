//! Addresses of requests: parsed, given parameters, resolved against each other.

use std::fmt;

use base64::Engine as _;
use thiserror::Error;

/// Longest address; longer ones are refused.
pub(crate) const URL_BYTES_MAX: usize = 64 << 10;

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum UrlError {
    #[error("is not a URL: expected http:// or https://, a host, and what is asked for, as in http://host:8080/path")]
    Shape,
    #[error("the scheme '{0}' is not supported: http and https are")]
    Scheme(String),
    #[error("names no host")]
    NoHost,
    #[error("the host '{0}' is not a name of ASCII letters or an address: write international names in punycode")]
    Host(String),
    #[error("'{0}' is not a port: expected a number from 1 to 65535")]
    Port(String),
    #[error("is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
}

/// An address, ready to be asked. Its text leaves out what may be secret: the query and the user.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub tls: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// `user:password` as written, decoded.
    user: Option<String>,
    /// Begins with `/`; only bytes that may stand in a request.
    path: String,
    /// Without `?`; only bytes that may stand in a request.
    query: Option<String>,
}

impl Url {
    /// Reads an absolute address. What must not stand in a request (blanks, `{`, letters beyond ASCII) is escaped.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Shape)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            other if !other.is_empty() && other.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return Err(UrlError::Scheme(other.to_owned()));
            }
            _ => return Err(UrlError::Shape),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(decode(user, false)), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let (path, query) = path_and_query(rest);
        Ok(Self { tls, host, port: port.unwrap_or(if tls { 443 } else { 80 }), user, path, query })
    }

    /// What a `Location` means when it is the answer of this address.
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        let location = location.trim();
        let has_scheme = location.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?', '#']));
        if has_scheme {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            return Self::parse(&format!("{}:{location}", self.scheme()));
        }
        if location.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        let mut joined = self.clone();
        if location.starts_with('/') {
            (joined.path, joined.query) = path_and_query(location);
        } else if location.starts_with('?') {
            joined.query = path_and_query(location).1;
        } else if !location.is_empty() && !location.starts_with('#') {
            let folder = self.path.rfind('/').map_or("/", |slash| &self.path[..=slash]);
            (joined.path, joined.query) = path_and_query(&format!("{folder}{location}"));
        }
        joined.path = without_dots(&joined.path);
        Ok(joined)
    }

    /// Sets parameters of the query: those of the same name that it has give way, the others stay as written.
    #[must_use]
    pub fn with_params<'p>(mut self, params: impl IntoIterator<Item = (&'p str, &'p str)>) -> Self {
        let params: Vec<(&str, &str)> = params.into_iter().collect();
        if params.is_empty() {
            return self;
        }
        let mut query = String::new();
        for pair in self.query.iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            let name = decode(pair.split_once('=').map_or(pair, |(name, _)| name), true);
            if !params.iter().any(|(replaced, _)| *replaced == name) {
                push_separator(&mut query);
                query.push_str(pair);
            }
        }
        push_pairs(&mut query, params);
        self.query = Some(query);
        self
    }

    /// What stands in the first line of a request.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// What stands in the header `Host`.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let usual = if self.tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// The header `Authorization` of an address that names a user.
    pub fn authorization(&self) -> Option<String> {
        let user = self.user.as_ref()?;
        let user = if user.contains(':') { user.clone() } else { format!("{user}:") };
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user)))
    }

    /// Whether both are answered by the same server.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.tls == other.tls && self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// As the text: debug output holds no secrets either.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.path)
    }
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (address, behind) = rest.split_once(']').ok_or(UrlError::Shape)?;
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(UrlError::Host(address.to_owned()));
        }
        (address, behind.strip_prefix(':').or(behind.is_empty().then_some("")).ok_or(UrlError::Shape)?)
    } else {
        place.split_once(':').unwrap_or((place, ""))
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    if !host.bytes().all(allowed) {
        return Err(UrlError::Host(host.to_owned()));
    }
    let number = || port.parse::<u16>().ok().filter(|number| *number > 0 && port.bytes().all(|b| b.is_ascii_digit()));
    let port = if port.is_empty() { None } else { Some(number().ok_or_else(|| UrlError::Port(port.to_owned()))?) };
    Ok((host.to_owned(), port))
}

/// Cuts what stands behind the host; a fragment is nothing that is sent.
fn path_and_query(text: &str) -> (String, Option<String>) {
    let text = text.split('#').next().unwrap_or_default();
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(escaped(query))),
        None => (text, None),
    };
    let path = if path.is_empty() { "/".to_owned() } else { escaped(path) };
    (path, query)
}

/// Escapes what must not stand in a request, and leaves the rest as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let escape_begins =
            *byte == b'%' && bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(byte);
        if plain || escape_begins { out.push(char::from(*byte)) } else { push_escaped(&mut out, *byte) }
    }
    out
}

fn push_escaped(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// Removes `.` and `..` as RFC 3986, 5.2.4 says.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut steps = path.split('/').skip(1).peekable();
    while let Some(step) = steps.next() {
        let last = steps.peek().is_none();
        match step {
            "." => {}
            ".." => _ = kept.pop(),
            step => {
                kept.push(step);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

fn push_separator(out: &mut String) {
    if !out.is_empty() {
        out.push('&');
    }
}

/// Appends `name=value` pairs in the encoding of forms, parted by `&`.
pub(crate) fn push_pairs<'p>(out: &mut String, pairs: impl IntoIterator<Item = (&'p str, &'p str)>) {
    for (name, value) in pairs {
        push_separator(out);
        push_form(out, name);
        out.push('=');
        push_form(out, value);
    }
}

fn push_form(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte) => out.push(char::from(byte)),
            byte => push_escaped(out, byte),
        }
    }
}

/// Undoes escapes; what is no escape stays.
fn decode(text: &str, plus_is_blank: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) if plus_is_blank => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_address_is_cut_into_what_a_request_needs() {
        let full = url(" HTTP://me:p%40ss@Host-1.example:8080/a b/{c}?q=ü&x=%20#part ");
        assert_eq!((full.tls, full.host.as_str(), full.port), (false, "Host-1.example", 8080));
        assert_eq!(full.target(), "/a%20b/%7Bc%7D?q=%C3%BC&x=%20");
        assert_eq!(full.authority(), "Host-1.example:8080");
        assert_eq!(full.authorization().as_deref(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(full.to_string(), "http://Host-1.example:8080/a%20b/%7Bc%7D");
        let bare = url("https://[::1]");
        assert_eq!((bare.port, bare.target().as_str(), bare.authority().as_str()), (443, "/", "[::1]"));
        assert_eq!(url("http://h?a=1").target(), "/?a=1");
        assert_eq!(url("http://h/100%").target(), "/100%25");
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        let error = |text: &str| Url::parse(text).expect_err(text);
        for text in ["", "host/path", "://x", "http:/x", "/relative"] {
            assert_eq!(error(text), UrlError::Shape, "{text}");
        }
        assert_eq!(error("ftp://h/"), UrlError::Scheme("ftp".into()));
        assert_eq!(error("http:///x"), UrlError::NoHost);
        assert_eq!(error("http://:80/"), UrlError::NoHost);
        assert_eq!(error("http://hö/"), UrlError::Host("hö".into()));
        assert_eq!(error("http://a b/"), UrlError::Host("a b".into()));
        for port in ["0", "65536", "x", "+1"] {
            assert_eq!(error(&format!("http://h:{port}/")), UrlError::Port(port.into()));
        }
        assert_eq!(error(&format!("http://h/{}", "x".repeat(URL_BYTES_MAX))), UrlError::TooLong);
    }

    #[test]
    fn parameters_replace_those_of_their_name_and_leave_the_rest() {
        let with = url("http://h/p?a=1&b=%7B&a=2&flag").with_params([("a", "x y&z"), ("ü", "1*~")]);
        assert_eq!(with.target(), "/p?b=%7B&flag&a=x+y%26z&%C3%BC=1*%7E");
        assert_eq!(url("http://h/p?a=1").with_params([]).target(), "/p?a=1");
        assert_eq!(url("http://h/p").with_params([("a b", "")]).target(), "/p?a+b=");
    }

    #[test]
    fn locations_are_resolved() {
        let base = url("https://u:p@h:444/a/b/c?q=1");
        for (location, expected) in [
            ("http://other/x", "http://other/x"),
            ("//other/x", "https://other/x"),
            ("/x/../y", "https://h:444/y"),
            ("d", "https://h:444/a/b/d"),
            ("../d/./e/..", "https://h:444/a/d/"),
            ("../../../../d", "https://h:444/d"),
            ("", "https://h:444/a/b/c"),
        ] {
            assert_eq!(base.join(location).expect(location).to_string(), expected, "{location}");
        }
        assert_eq!(base.join("?r=2").expect("a query").target(), "/a/b/c?r=2");
        assert_eq!(base.join("x?u=http://y/").expect("an address in a query").target(), "/a/b/x?u=http://y/");
        assert!(base.same_origin(&url("https://H:444/")) && !base.same_origin(&url("http://h:444/")));
    }

    proptest! {
        #[test]
        fn no_text_brings_the_parser_down(text in ".{0,60}", location in "[a-z:/?#.%@\\[\\] ]{0,30}") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert!(url.target().starts_with('/'));
                prop_assert!(url.target().bytes().all(|byte| byte.is_ascii_graphic()));
            }
            let _ = Url::parse(&location);
            if let Ok(joined) = url("http://h/a/b").join(&location) {
                prop_assert!(joined.target().starts_with('/'));
                prop_assert!(joined.target().bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }

        #[test]
        fn parameters_come_back_as_they_were(name in ".{1,10}", value in ".{0,20}") {
            let target = url("http://h/").with_params([(name.as_str(), value.as_str())]).target();
            let (encoded_name, encoded) = target.strip_prefix("/?").and_then(|q| q.split_once('=')).expect("a pair");
            prop_assert_eq!(decode(encoded_name, true), name);
            prop_assert_eq!(decode(encoded, true), value);
        }
    }
}
