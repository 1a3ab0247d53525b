//! stop-job and stop-jobs (contract A.4).

use egret_runtime::shard::give_way;
use simd_json::Buffers;
use simd_json::prelude::{TypedScalarValue, ValueAsScalar};
use simd_json::tape::Value;

use super::error::{EMPTY_BODY, NO_JOB_ID, NOT_JSON, java_long};
use super::text::{AT_ONCE_BYTES_MAX, read_text};
use super::{Call, SeaTunnel};
use crate::body::RequestBody;
use crate::json::JsonBuffer;
use crate::reply::Reply;

/// Jobs that are stopped between two looks at the rest of the executor's work.
const STOPS_PER_TURN: usize = 256;

/// What a request asks to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StopRequest {
    job_id: i64,
    savepoint: bool,
}

/// Memory for parsing requests, used again and again.
#[derive(Default)]
pub(super) struct Input {
    text: Vec<u8>,
    buffers: Buffers,
}

impl SeaTunnel {
    /// One job. The answer says that the request was taken; the job's state says when it has stopped.
    pub(super) async fn stop_job(&self, call: Call<'_>, body: &mut RequestBody) -> Reply {
        let request = match self.read_stop(body, StopRequest::read).await {
            Ok(request) => request,
            Err(refused) => return refused,
        };
        self.stop(request);
        let mut json = self.json.borrow_mut();
        json.raw(r#"{"jobId":"#);
        self.write_id(call.face, request.job_id, &mut json);
        json.raw("}");
        Reply::json(json.take())
    }

    /// Several jobs; all requests are read before the first job is stopped. Ids are answered as numbers. There may be a
    /// million of them: others are served in between.
    pub(super) async fn stop_jobs(&self, body: &mut RequestBody) -> Reply {
        let requests = match self.read_stop(body, StopRequest::read_all).await {
            Ok(requests) => requests,
            Err(refused) => return refused,
        };
        let mut json = JsonBuffer::default();
        json.raw("[");
        for (index, request) in requests.iter().enumerate() {
            self.stop(*request);
            json.raw(if index > 0 { "," } else { "" }).raw(r#"{"jobId":"#).integer(request.job_id).raw("}");
            if index % STOPS_PER_TURN == STOPS_PER_TURN - 1 {
                give_way().await;
            }
        }
        json.raw("]");
        Reply::json(json.take())
    }

    /// A job that is unknown or has ended is none the worse for it.
    fn stop(&self, request: StopRequest) {
        self.jobs.stop(request.job_id, request.savepoint);
    }

    async fn read_stop<T>(
        &self,
        body: &mut RequestBody,
        read: fn(Value<'_, '_>) -> Result<T, String>,
    ) -> Result<T, Reply>
    where
        T: Send + 'static,
    {
        let text = body.gather().await.map_err(Reply::from)?;
        if text.is_empty() {
            return Err(Reply::bad_request(EMPTY_BODY));
        }
        let read = match text.len() <= AT_ONCE_BYTES_MAX {
            true => self.input.borrow_mut().parse(&text, read),
            false => read_text(text, move |text| Input::default().parse(text, read)).await?,
        };
        read.map_err(|message| Reply::bad_request(&message))
    }
}

impl Input {
    /// Parses a text in place, in memory that was used before. (The tape is flat: nesting costs no stack.)
    fn parse<T>(&mut self, text: &[u8], read: impl FnOnce(Value<'_, '_>) -> Result<T, String>) -> Result<T, String> {
        self.text.clear();
        self.text.extend_from_slice(text);
        match simd_json::to_tape_with_buffers(&mut self.text, &mut self.buffers) {
            Ok(tape) => read(tape.as_value()),
            Err(_) => Err(NOT_JSON.to_owned()),
        }
    }
}

impl StopRequest {
    fn read(value: Value<'_, '_>) -> Result<Self, String> {
        let field = |name| value.as_object().and_then(|object| object.get(name));
        Ok(Self { job_id: job_id(field("jobId"))?, savepoint: is_true(field("isStopWithSavePoint")) })
    }

    fn read_all(value: Value<'_, '_>) -> Result<Vec<Self>, String> {
        let array = value.as_array().ok_or_else(|| "Expected an array of {\"jobId\": ...} objects.".to_owned())?;
        array.iter().map(Self::read).collect()
    }
}

/// A number or a text that is one (contract A.3).
fn job_id(value: Option<Value<'_, '_>>) -> Result<i64, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Err(NO_JOB_ID.to_owned()) };
    if let Some(id) = value.as_i64() {
        return Ok(id);
    }
    let written = (value.as_str().map(str::to_owned))
        .or_else(|| value.as_u64().map(|number| number.to_string()))
        .or_else(|| value.as_f64().map(|number| format!("{number:?}")))
        .or_else(|| value.as_bool().map(|word| word.to_string()));
    written.map_or_else(|| Err("jobId must be a number.".to_owned()), |text| java_long(&text))
}

/// `true` or a text that says so.
fn is_true(value: Option<Value<'_, '_>>) -> bool {
    value.is_some_and(|value| {
        value.as_bool().unwrap_or_else(|| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StopRequest, String> {
        Input::default().parse(text.as_bytes(), StopRequest::read)
    }

    #[test]
    fn ids_and_flags_are_numbers_words_or_texts() {
        let request = |job_id, savepoint| Ok(StopRequest { job_id, savepoint });
        assert_eq!(
            read(r#"{"jobId":733584788375666689,"isStopWithSavePoint":false}"#),
            request(733_584_788_375_666_689, false)
        );
        assert_eq!(read(r#"{"jobId":"7","isStopWithSavePoint":"true"}"#), request(7, true));
        assert_eq!(read(r#"{"isStopWithSavePoint":true,"jobId":-7}"#), request(-7, true));
        assert_eq!(read(r#"{"jobId":1,"isStopWithSavePoint":1}"#), request(1, false));
    }

    #[test]
    fn wrong_ids_answer_as_the_original_does() {
        for text in ["{}", r#"{"jobId":null}"#, "[]", "3"] {
            assert_eq!(read(text), Err(NO_JOB_ID.to_owned()), "{text}");
        }
        assert_eq!(read(r#"{"jobId":"abc"}"#), Err("For input string: \"abc\"".to_owned()));
        assert_eq!(read(r#"{"jobId":1.5}"#), Err("For input string: \"1.5\"".to_owned()));
        assert_eq!(
            read(r#"{"jobId":18446744073709551615}"#),
            Err("For input string: \"18446744073709551615\"".to_owned())
        );
        assert_eq!(read(r#"{"jobId":{}}"#), Err("jobId must be a number.".to_owned()));
        assert_eq!(read("{jobId:1}"), Err(NOT_JSON.to_owned()));
    }

    #[test]
    fn many_requests_are_read_before_any_is_done() {
        let read = |text: &str| Input::default().parse(text.as_bytes(), StopRequest::read_all);
        assert_eq!(read(r#"[{"jobId":1},{"jobId":"2"}]"#).map(|requests| requests.len()), Ok(2));
        assert_eq!(read(r#"[{"jobId":1},{}]"#), Err(NO_JOB_ID.to_owned()));
        assert!(read("{}").is_err());
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
        assert!(read(&deep).is_err());
    }
}
