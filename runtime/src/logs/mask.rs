//! Takes secrets out of a line. What this program logs of configs is masked where it is made; this is for texts that
//! come from elsewhere: a driver's error with its address, a server's answer.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::config::SECRET_MASK;

/// A key that names a secret, and its value.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let key = r#"(?i)\b([\w.-]*(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|secret[_-]?key|authorization|credentials?))"#;
    let between = r#"("?\s*[=:]\s*)"#;
    let value = r#"("[^"]*"|'[^']*'|(?:bearer|basic)\s+[^\s,;]+|[^\s,;&"'})\]]+)"#;
    Regex::new(&[key, between, value].concat()).ok()
});

/// The password in `scheme://user:password@host`.
static IN_ADDRESS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*:)([^\s/@]+)@").ok());

/// The text with the values of secrets replaced by [`SECRET_MASK`].
pub(super) fn mask(text: &str) -> Cow<'_, str> {
    let replace = |regex: &Option<Regex>, text: Cow<'_, str>, with: &str| match regex {
        Some(regex) if regex.is_match(&text) => regex.replace_all(&text, with).into_owned(),
        _ => text.into_owned(),
    };
    // Most lines hold none of these, and are not copied.
    let suspicious = |regex: &Option<Regex>| regex.as_ref().is_none_or(|regex| regex.is_match(text));
    if !suspicious(&NAMED) && !suspicious(&IN_ADDRESS) {
        return Cow::Borrowed(text);
    }
    let named = replace(&NAMED, Cow::Borrowed(text), &format!("$1$2{SECRET_MASK}"));
    Cow::Owned(replace(&IN_ADDRESS, Cow::Owned(named), &format!("$1{SECRET_MASK}@")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_patterns_are_valid() {
        assert!(NAMED.is_some() && IN_ADDRESS.is_some());
    }

    #[test]
    fn values_of_secrets_are_masked_in_every_spelling() {
        for text in [
            "password=hunter2",
            "user=me, password = hunter2, more",
            r#"{"s3.secret_key":"hunter2","a":1}"#,
            "Authorization: Bearer hunter2",
            "authorization: Basic hunter2",
            "jdbc:mysql://h/db?user=u&password=hunter2&x=1",
            "mysql://user:hunter2@host/db",
            "access_token: 'hunter2'",
            r#"PASSWORD="hunter2 hunter2""#,
        ] {
            let masked = mask(text);
            assert!(!masked.contains("hunter2") && masked.contains(SECRET_MASK), "{text}: {masked}");
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in ["job state=RUNNING", "option 'password': expected a text", "author: someone", "http://host:80/x"] {
            assert!(matches!(mask(text), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(mask("a=1&password=x&b=2"), format!("a=1&password={SECRET_MASK}&b=2"));
    }
}
