//! Names, addresses and words as settings take them, and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use egret_http::seatunnel::{IdForm, is_context_path, read_tags};
use egret_http::{Faces, Secret};

use super::values::{at_least, parsed};

/// Longest name of a cluster or a host, in bytes; the longest name that DNS has.
const NAME_BYTES_MAX: usize = 255;
/// Longest password or token.
const SECRET_BYTES_MAX: usize = 1 << 10;

/// A port, or none.
pub fn port_or_off(text: &str) -> Result<Option<u16>, String> {
    // YAML of old reads a bare `off` as false.
    match text.trim().to_ascii_lowercase().as_str() {
        "off" | "false" => Ok(None),
        port => parsed(port, "a port from 0 to 65535, or off").map(Some),
    }
}

/// A number of ports.
pub fn range(text: &str) -> Result<u16, String> {
    parsed(text, "a whole number from 1 to 65535").and_then(|number| at_least(number, 1))
}

/// Generations of the API.
pub fn faces(text: &str) -> Result<Faces, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "v1" => Ok(Faces { v1: true, v2: false }),
        "v2" => Ok(Faces { v1: false, v2: true }),
        "both" => Ok(Faces::BOTH),
        _ => Err(format!("expected v1, v2 or both, found '{text}'")),
    }
}

/// As one would write it.
pub fn show_faces(faces: Faces) -> &'static str {
    match faces {
        Faces { v2: false, .. } => "v1",
        Faces { v1: false, .. } => "v2",
        _ => "both",
    }
}

/// What paths of v2 begin with; slashes at the end do not count.
pub fn context_path(text: &str) -> Result<Arc<str>, String> {
    let path = text.trim().trim_end_matches('/');
    if is_context_path(path) {
        return Ok(path.into());
    }
    Err(format!(
        "expected nothing, or / and names of letters, digits, '-', '.', '_' and '~' that do not begin with /hazelcast, \
         found '{text}'"
    ))
}

/// How ids are answered.
pub fn id_form(text: &str) -> Result<IdForm, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "number" => Ok(IdForm::Number),
        "string" | "text" => Ok(IdForm::Text),
        _ => Err(format!("expected number or string, found '{text}'")),
    }
}

/// The name of a cluster.
pub fn cluster_name(text: &str) -> Result<Arc<str>, String> {
    let name = text.trim();
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control) {
        return Ok(name.into());
    }
    Err(format!("expected a name of 1 to {NAME_BYTES_MAX} bytes without control characters, found '{text}'"))
}

/// The name or address of a host.
pub fn member_host(text: &str) -> Result<Arc<str>, String> {
    let host = text.trim();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    if (1..=NAME_BYTES_MAX).contains(&host.len()) && host.bytes().all(fits) {
        return Ok(host.into());
    }
    Err(format!("expected the name of a host or an address, like node-1.example.org or 10.0.0.7, found '{text}'"))
}

/// The name of a user.
pub fn user(text: &str) -> Result<Arc<str>, String> {
    let fits = |letter: char| !letter.is_control() && letter != ':';
    if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text.into());
    }
    Err(format!("expected a name without colons and control characters of 1 to {NAME_BYTES_MAX} bytes"))
}

/// A password. What was found is not told.
pub fn secret(text: &str) -> Result<Secret, String> {
    if (1..=SECRET_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control) {
        return Ok(Secret::new(text));
    }
    Err(format!("expected a text of 1 to {SECRET_BYTES_MAX} bytes without control characters"))
}

/// A bearer token (RFC 6750). What was found is not told.
pub fn token(text: &str) -> Result<Secret, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if (1..=SECRET_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(Secret::new(text));
    }
    Err(format!("expected letters, digits and any of -._~+/= of 1 to {SECRET_BYTES_MAX} bytes"))
}

/// Tags, as `name=value,name=value` or as a JSON object.
pub fn tags(text: &str) -> Result<BTreeMap<String, String>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(BTreeMap::new());
    }
    if text.starts_with('{') {
        return read_tags(text.as_bytes());
    }
    let mut tags = BTreeMap::new();
    for pair in text.split(',') {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.trim().is_empty())
            .ok_or_else(|| format!("expected names and values like zone=a,disk=ssd, found '{pair}'"))?;
        tags.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    read_tags(show_tags(&tags).as_bytes())
}

/// As one would write it: nothing, or a JSON object, which is YAML, too.
pub fn show_tags(tags: &BTreeMap<String, String>) -> String {
    if tags.is_empty() { String::new() } else { serde_json::json!(tags).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_pairs_and_as_an_object_with_the_bounds_of_update_tags() {
        for text in ["zone=a,disk=ssd", " disk = ssd , zone=a", r#"{"zone":"a","disk":"ssd"}"#] {
            assert_eq!(show_tags(&tags(text).expect("tags")), r#"{"disk":"ssd","zone":"a"}"#, "{text}");
        }
        assert_eq!(tags("a=b=c,d="), tags(r#"{"a":"b=c","d":null}"#));
        for wrong in ["zone", "=a", "zone=a,", "{", "[1]"] {
            assert!(tags(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..2000).map(|tag| format!("t{tag}=x")).collect();
        assert!(tags(&many.join(",")).expect_err("too many").contains("TAGS_MAX"));
    }

    #[test]
    fn names_that_could_not_be_shown_are_refused() {
        assert_eq!(cluster_name(" my cluster ").as_deref(), Ok("my cluster"));
        assert_eq!(member_host("fe80::1").as_deref(), Ok("fe80::1"));
        for wrong in ["", "a\nb", &"x".repeat(256)] {
            assert!(cluster_name(wrong).is_err(), "{wrong}");
            assert!(member_host(wrong).is_err(), "{wrong}");
        }
        assert!(member_host("a b").is_err() && member_host("http://a").is_err());
    }

    #[test]
    fn context_paths_are_those_that_the_server_takes() {
        assert_eq!(context_path("/engine/").as_deref(), Ok("/engine"));
        assert_eq!(context_path("/").as_deref(), Ok(""));
        for wrong in ["engine", "/a b", "/a?b", "/hazelcast", "/hazelcast/x", "/a//b"] {
            assert!(context_path(wrong).is_err(), "{wrong}");
        }
    }
}
