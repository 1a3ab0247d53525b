//! submit-job and submit-jobs (contract A.4).

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{EMPTY_BODY, NOT_JSON};
use super::query::SubmitParams;
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
        match self.submit(text, params, SOURCE_NAME).await {
            Ok(submitted) => self.submitted(call.face, &submitted),
            Err(refused) => refused,
        }
    }

    pub(super) fn submitted(&self, face: Face, submitted: &Submitted) -> Reply {
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
        let Ok(configs) = serde_json::from_slice::<Vec<&RawValue>>(&text) else {
            return Reply::bad_request(NOT_JSON);
        };
        let mut accepted = Vec::new();
        for config in configs.into_iter().filter(|config| config.get().starts_with('{')) {
            let params = match params_of(config) {
                Ok(params) => params,
                Err(message) => return Reply::bad_request(&message),
            };
            match self.submit(text.slice_ref(config.get().as_bytes()), params, SOURCE_NAME).await {
                Ok(submitted) => accepted.push(submitted),
                Err(refused) => return refused,
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

    /// Hands a config to the job side; `name` is what messages call it.
    pub(super) async fn submit(&self, text: Bytes, params: SubmitParams, name: &str) -> Result<Submitted, Reply> {
        let syntax = if params.hocon { Syntax::Hocon } else { Syntax::Json };
        let request = SubmitRequest {
            config_text: text.clone(),
            source_name: name.to_owned(),
            read: ReadOptions { syntax, unresolved: Unresolved::Keep, ..ReadOptions::default() },
            job_id: params.job_id,
            job_name: params.job_name,
            start_with_savepoint: params.start_with_savepoint,
        };
        self.jobs.submit(request).await.map_err(|error| refusal(&error, syntax, &text))
    }
}

/// `params` of one config among several. Their values may be of any scalar type; their absence is an empty object.
fn params_of(config: &RawValue) -> Result<SubmitParams, String> {
    #[derive(Deserialize)]
    struct WithParams {
        #[serde(default)]
        params: Option<serde_json::Map<String, serde_json::Value>>,
    }
    let with_params: WithParams = serde_json::from_str(config.get()).map_err(|error| format!("params: {error}"))?;
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
        SubmitError::Invalid(_) | SubmitError::AlreadyUsed(_) => Reply::bad_request(&message),
        SubmitError::NoSavepoints => Reply::fail(StatusCode::NOT_IMPLEMENTED, &message),
        SubmitError::TooMany(_) | SubmitError::Busy(_) | SubmitError::Stopping => Reply::busy(&message),
    }
}

/// Whether a refused text is JSON at all.
pub(super) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}
