//! update-tags (contract A.4): replaces all tags of the node.

use bytes::Bytes;
use serde_json::Value;

use super::error::{EMPTY_BODY, NOT_JSON};
use super::{Call, Face, SeaTunnel};
use crate::body::RequestBody;
use crate::jobs::Tags;
use crate::reply::Reply;

/// Tags that a node may have.
const TAGS_MAX: usize = 1024;
/// Bytes of a request that sets them.
const TAGS_BYTES_MAX: usize = 64 << 10;

impl SeaTunnel {
    /// When it is answered, every shard sees the new tags.
    pub(super) async fn update_tags(&self, call: Call<'_>, body: &mut RequestBody) -> Reply {
        let text = match body.gather().await {
            Ok(text) => text,
            Err(error) => return error.into(),
        };
        match read_tags(&text) {
            Ok(tags) => self.jobs.set_tags(tags),
            Err(message) => return Reply::bad_request(&message),
        }
        let json: &[u8] = match call.face {
            Face::V1 => br#"{"status":"success","message":"update node tags done."}"#,
            Face::V2 => br#"{"status":"success"}"#,
        };
        Reply::json(Bytes::from_static(json))
    }
}

/// Tags from a flat JSON object; null is an empty text, other values become text.
///
/// # Errors
/// When it is no such object, or too large; the text says which.
pub fn read_tags(text: &[u8]) -> Result<Tags, String> {
    if text.is_empty() {
        return Err(EMPTY_BODY.to_owned());
    }
    if text.len() > TAGS_BYTES_MAX {
        return Err(format!("The tags take more than {TAGS_BYTES_MAX} bytes (TAGS_BYTES_MAX)."));
    }
    let object = match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err("Expected an object of tags, {\"name\": \"value\"}.".to_owned()),
        Err(_) => return Err(NOT_JSON.to_owned()),
    };
    if object.len() > TAGS_MAX {
        return Err(format!("There are more than {TAGS_MAX} tags (TAGS_MAX)."));
    }
    let text_of = |value| match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(object.into_iter().map(|(key, value)| (key, text_of(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_becomes_text() {
        let tags = read_tags(br#"{"a":"x","b":null,"c":7,"d":true,"e":["f"]}"#).expect("tags");
        let tags: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(tags, ["a=x", "b=", "c=7", "d=true", "e=[\"f\"]"]);
        assert_eq!(read_tags(b"{}"), Ok(Tags::new()));
    }

    #[test]
    fn what_is_no_flat_object_is_refused() {
        assert_eq!(read_tags(b""), Err(EMPTY_BODY.to_owned()));
        assert_eq!(read_tags(b"{"), Err(NOT_JSON.to_owned()));
        assert!(read_tags(b"[]").is_err_and(|message| message.contains("object of tags")));
        let many: Tags = (0..=TAGS_MAX).map(|tag| (tag.to_string(), String::new())).collect();
        let many = serde_json::to_vec(&many).expect("JSON");
        assert!(read_tags(&many).is_err_and(|message| message.contains("TAGS_MAX")));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(TAGS_BYTES_MAX));
        assert!(read_tags(large.as_bytes()).is_err_and(|message| message.contains("TAGS_BYTES_MAX")));
    }
}
