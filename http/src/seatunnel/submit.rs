//! submit-job and submit-jobs (contract A.4).

use bytes::Bytes;
use http::request::Parts;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Map;
use serde_json::value::RawValue;

use super::error::{EMPTY_BODY, NOT_JSON};
use super::query::SubmitParams;
use super::text::read_text;
use super::{Call, Face, SeaTunnel};
use crate::body::RequestBody;
use crate::jobs::{ReadOptions, SubmitError, SubmitRequest, Submitted, Syntax, Unresolved};
use crate::reply::Reply;

/// What messages call a config that came in a request.
pub(super) const SOURCE_NAME: &str = "<request body>";

impl SeaTunnel {
    /// One job. The answer comes when the job is accepted and can be looked up, not when it runs.
    pub(super) async fn submit_job(&self, call: Call<'_>, head: &Parts, body: &mut RequestBody) -> Reply {
        let text = match body.gather().await {
            Ok(text) => text,
            Err(error) => return error.into(),
        };
        let params = match SubmitParams::from_query(call.face, head.uri.query().unwrap_or_default()) {
            Ok(params) => params,
            Err(message) => return Reply::bad_request(&message),
        };
        if text.is_empty() {
            return Reply::bad_request(EMPTY_BODY);
        }
        self.submit_one(call.face, text, params, SOURCE_NAME).await
    }

    /// Hands a config to the job side and answers; `name` is what messages call it.
    pub(super) async fn submit_one(&self, face: Face, text: Bytes, params: SubmitParams, name: &str) -> Reply {
        let syntax = params.syntax();
        match self.submit(text.clone(), params, name).await {
            Ok(submitted) => self.submitted(face, &submitted),
            Err(error) => read_text(text, move |text| refusal(&error, syntax, text)).await.unwrap_or_else(|busy| busy),
        }
    }

    fn submitted(&self, face: Face, submitted: &Submitted) -> Reply {
        let mut json = self.json.borrow_mut();
        json.raw(r#"{"jobId":"#);
        self.write_id(face, submitted.job_id, &mut json);
        json.raw(r#","jobName":"#).string(&submitted.job_name).raw("}");
        Reply::json(json.take())
    }

    /// Several jobs, one after the other. The first that is refused ends it; those before it run.
    pub(super) async fn submit_jobs(&self, body: &mut RequestBody) -> Reply {
        let text = match body.gather().await {
            Ok(text) if text.is_empty() => return Reply::bad_request(EMPTY_BODY),
            Ok(text) => text,
            Err(error) => return error.into(),
        };
        let configs = match read_text(text.clone(), configs_of).await {
            Ok(Ok(configs)) => configs,
            Ok(Err(message)) => return Reply::bad_request(&message),
            Err(busy) => return busy,
        };
        let mut accepted = Vec::new();
        for (config, params) in configs {
            let params = match params {
                Ok(params) => params,
                Err(message) => return Reply::bad_request(&message),
            };
            match self.submit(config.clone(), params, SOURCE_NAME).await {
                Ok(submitted) => accepted.push(submitted),
                Err(error) => {
                    let told = read_text(text, move |text| refusal_within(error, text, &config)).await;
                    return told.unwrap_or_else(|busy| busy);
                }
            }
        }
        let mut json = self.json.borrow_mut();
        json.raw("[");
        for (index, submitted) in accepted.iter().enumerate() {
            json.raw(if index > 0 { "," } else { "" });
            json.raw(r#"{"jobId":"#).quoted_integer(submitted.job_id);
            json.raw(r#","jobName":"#).string(&submitted.job_name).raw("}");
        }
        json.raw("]");
        Reply::json(json.take())
    }

    async fn submit(&self, text: Bytes, params: SubmitParams, name: &str) -> Result<Submitted, SubmitError> {
        let request = SubmitRequest {
            config_text: text,
            source_name: name.to_owned(),
            read: ReadOptions { syntax: params.syntax(), unresolved: Unresolved::Keep, ..ReadOptions::default() },
            job_id: params.job_id,
            job_name: params.job_name,
            start_with_savepoint: params.start_with_savepoint,
        };
        self.jobs.submit(request).await
    }
}

/// One config of several, with what its `params` say.
type ConfigOfMany = (Bytes, Result<SubmitParams, String>);

/// The configs of an array; what is no object is passed over.
///
/// # Errors
/// With the text for the client.
fn configs_of(text: &Bytes) -> Result<Vec<ConfigOfMany>, String> {
    let configs = serde_json::from_slice::<Vec<&RawValue>>(text).map_err(|_| no_array(text))?;
    let objects = configs.into_iter().filter(|config| config.get().starts_with('{'));
    Ok(objects.map(|config| (text.slice_ref(config.get().as_bytes()), params_of(config))).collect())
}

/// Why one config of an array is refused; its problems are told by their places in the whole text.
fn refusal_within(error: SubmitError, text: &Bytes, config: &Bytes) -> Reply {
    let error = match error {
        SubmitError::Invalid(problems) => {
            let (line, column) = place(text, config.as_ptr().addr() - text.as_ptr().addr());
            SubmitError::Invalid(problems.within(line, column))
        }
        error => error,
    };
    refusal(&error, Syntax::Json, config)
}

/// What to say of a body that is no array of values.
fn no_array(text: &[u8]) -> String {
    let Err(error) = serde_json::from_slice::<IgnoredAny>(text) else {
        return "Expected an array of job configs; a config alone goes to submit-job.".to_owned();
    };
    let told = error.to_string();
    let (words, _) = told.rsplit_once(" at line ").unwrap_or((&told, ""));
    format!("{NOT_JSON} {words} (at {SOURCE_NAME}:{}:{})", error.line(), error.column())
}

/// Line and column of a byte of a text, from 1. Columns are characters.
fn place(text: &[u8], offset: usize) -> (u32, u32) {
    let before = &text[..offset];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// `params` of one config among several. Their values may be of any scalar type; their absence is an empty object.
fn params_of(config: &RawValue) -> Result<SubmitParams, String> {
    #[derive(Deserialize)]
    struct WithParams {
        #[serde(default)]
        params: Option<Map<String, serde_json::Value>>,
    }
    let with_params: WithParams = serde_json::from_str(config.get())
        .map_err(|_| r#"Expected params to be an object, {"jobId": "1", "jobName": "..."}."#.to_owned())?;
    let mut params = SubmitParams::default();
    for (key, value) in with_params.params.unwrap_or_default() {
        match value {
            serde_json::Value::String(text) => params.set(&key, &text)?,
            serde_json::Value::Null => {}
            other => params.set(&key, &other.to_string())?,
        }
    }
    params.checked()
}

/// What the user did wrong is 400 where the original has 500; what the node cannot do now is 503.
fn refusal(error: &SubmitError, syntax: Syntax, text: &[u8]) -> Reply {
    let message = error.to_string();
    match error {
        SubmitError::Invalid(_) if syntax == Syntax::Json && !is_json(text) => {
            Reply::bad_request(&format!("{NOT_JSON} {message}"))
        }
        SubmitError::Invalid(_)
        | SubmitError::AlreadyUsed(_)
        | SubmitError::SavepointWithoutId
        | SubmitError::NoSavepoint(_)
        | SubmitError::OtherSavepoint { .. } => Reply::bad_request(&message),
        SubmitError::TooMany(_) | SubmitError::TooManyWaiting(_) | SubmitError::Busy(_) | SubmitError::Stopping => {
            Reply::busy(&message)
        }
    }
}

/// Whether a refused text is JSON at all. A mark of UTF-8 at its begin does not count.
pub(super) fn is_json(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "[\n  ü {".as_bytes();
        assert_eq!((place(text, 0), place(text, text.len() - 1)), ((1, 1), (2, 5)));
    }

    #[test]
    fn json_is_utf8_with_or_without_a_mark() {
        assert!(is_json(b"{}") && is_json(b"\xef\xbb\xbf[1]"));
        assert!(!is_json(b"") && !is_json(b"[\"\xff\"]") && !is_json(b"{"));
    }
}
