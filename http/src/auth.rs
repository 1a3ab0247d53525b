//! Who may ask: HTTP's basic authentication (RFC 7617) and bearer tokens (RFC 6750), with one user and one token. It is
//! off unless a node is given either; then every request must bring one of them, but for probes of the node's health.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::reply::Reply;

/// Longest `Authorization` that is looked at, in bytes. Longer ones are wrong.
const CREDENTIALS_BYTES_MAX: usize = 8 << 10;

/// Base64 of credentials, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A text that is never shown, not even in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// What is shown in place of a secret.
    pub const MASK: &str = "******";

    /// Hides a text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself: to be compared and sent, not to be shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

/// Who may ask. Without user and token everybody may.
#[derive(Clone, Debug, Default)]
pub struct AuthSettings {
    /// The user, a name without colons, with the password.
    pub user: Option<(Arc<str>, Secret)>,
    /// The bearer token.
    pub token: Option<Secret>,
}

impl AuthSettings {
    /// Whether requests must say who asks.
    pub fn is_on(&self) -> bool {
        self.user.is_some() || self.token.is_some()
    }
}

/// The settings as requests are held against them.
#[derive(Debug)]
pub(crate) struct Guard {
    /// `user:password`.
    login: Option<Secret>,
    token: Option<Secret>,
}

impl Guard {
    pub(crate) fn new(settings: &AuthSettings) -> Self {
        let login = |(user, password): &(Arc<str>, Secret)| Secret::new(&format!("{user}:{}", password.reveal()));
        Self { login: settings.user.as_ref().map(login), token: settings.token.clone() }
    }

    /// Whether a request with these headers may be answered.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        if self.login.is_none() && self.token.is_none() {
            return true;
        }
        let mut given = headers.get_all(AUTHORIZATION).iter();
        // Of two it would not be clear which one a proxy on the way has looked at.
        match (given.next(), given.next()) {
            (Some(only), None) => self.knows(only).unwrap_or(false),
            _ => false,
        }
    }

    /// Whether the value of `Authorization` is right; `None` when it cannot be read.
    fn knows(&self, value: &HeaderValue) -> Option<bool> {
        let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
        let credentials = Some(credentials.trim()).filter(|it| it.len() <= CREDENTIALS_BYTES_MAX)?;
        if scheme.eq_ignore_ascii_case("basic") {
            let login = self.login.as_ref()?;
            return Some(is_same(&BASE64.decode(credentials).ok()?, login.reveal().as_bytes()));
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(is_same(credentials.as_bytes(), self.token.as_ref()?.reveal().as_bytes()));
        }
        None
    }

    /// The answer to everybody else.
    pub(crate) fn refusal(&self) -> Reply {
        let message = match (&self.login, &self.token) {
            (_, None) => "This node asks for a user and a password (HTTP basic authentication).",
            (None, _) => "This node asks for a bearer token.",
            _ => "This node asks for a user and a password (HTTP basic authentication), or for a bearer token.",
        };
        Reply::fail(StatusCode::UNAUTHORIZED, message)
    }

    /// What the refusal says about how to ask.
    pub(crate) fn challenge(&self, headers: &mut HeaderMap) {
        if self.login.is_some() {
            let basic = HeaderValue::from_static(r#"Basic realm="egret", charset="UTF-8""#);
            headers.append(WWW_AUTHENTICATE, basic);
        }
        if self.token.is_some() {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="egret""#));
        }
    }
}

/// Whether two texts are the same. How long that takes depends on what was given alone, so that it tells nothing of the
/// secret, neither where they differ first nor how long it is.
fn is_same(given: &[u8], secret: &[u8]) -> bool {
    if secret.is_empty() {
        return false;
    }
    let mut difference = usize::from(given.len() != secret.len());
    for (at, byte) in given.iter().enumerate() {
        // The barrier keeps the compiler from leaving the loop at the first difference.
        difference = black_box(difference | usize::from(byte ^ secret[at % secret.len()]));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(user: bool, token: bool) -> Guard {
        Guard::new(&AuthSettings {
            user: user.then(|| ("admin".into(), Secret::new("p:ä ss"))),
            token: token.then(|| Secret::new("tok-1")),
        })
    }

    fn admits(guard: &Guard, authorization: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).expect("a value"));
        }
        guard.admits(&headers)
    }

    fn basic(login: &str) -> String {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login))
    }

    #[test]
    fn the_right_user_or_token_is_let_in_and_nobody_else() {
        let both = guard(true, true);
        let right = basic("admin:p:ä ss");
        for good in
            [&*right, &right.replace("Basic ", "bAsIc  "), right.trim_end_matches('='), "Bearer tok-1", "bearer tok-1"]
        {
            assert!(admits(&both, &[good]), "{good}");
        }
        for login in ["admin:p:ä s", "admin:p:ä sss", "admin:", "admin", "Admin:p:ä ss", "", "admin:p:ä ssadmin:p:ä ss"]
        {
            assert!(!admits(&both, &[&basic(login)]), "{login}");
        }
        for bad in
            ["", "Basic", "Basic ", "Basic !!!", "Bearer ", "Bearer tok-", "Bearer tok-11", "tok-1", "Digest tok-1"]
        {
            assert!(!admits(&both, &[bad]), "{bad}");
        }
        assert!(!admits(&both, &[]));
        assert!(!admits(&both, &[&right, &right]), "two of them");
        assert!(!admits(&both, &[&format!("Bearer {}", "x".repeat(CREDENTIALS_BYTES_MAX + 1))]));
        assert!(!admits(&guard(true, false), &["Bearer tok-1"]));
        assert!(!admits(&guard(false, true), &[&right]));
        assert!(admits(&guard(false, false), &[]), "nobody is asked");
    }

    #[test]
    fn the_refusal_says_how_to_ask() {
        for (user, token, expected) in [
            (true, false, vec![r#"Basic realm="egret", charset="UTF-8""#]),
            (false, true, vec![r#"Bearer realm="egret""#]),
            (true, true, vec![r#"Basic realm="egret", charset="UTF-8""#, r#"Bearer realm="egret""#]),
        ] {
            let mut headers = HeaderMap::new();
            guard(user, token).challenge(&mut headers);
            let told: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
            assert_eq!(told, expected);
            assert_eq!(guard(user, token).refusal().status, StatusCode::UNAUTHORIZED);
        }
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let settings =
            AuthSettings { user: Some(("admin".into(), Secret::new("hidden"))), token: Some(Secret::new("hidden")) };
        let text = format!("{settings:?} {:?}", Guard::new(&settings));
        assert!(!text.contains("hidden") && text.contains(Secret::MASK), "{text}");
    }
}
