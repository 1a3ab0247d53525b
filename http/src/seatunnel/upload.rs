//! submit-job/upload: a job config as the file of a form (contract A.1, A.4).

use bytes::Bytes;
use futures_lite::future::block_on;
use futures_lite::stream;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use multer::Multipart;

use super::error::EMPTY_BODY;
use super::query::SubmitParams;
use super::text::read_text;
use super::{Call, SeaTunnel};
use crate::body::RequestBody;
use crate::reply::Reply;

/// The form's field with the config.
const FIELD: &str = "config_file";
/// Fields of a form that are looked at in search of it.
const FIELDS_MAX: usize = 64;

/// A file of a form.
#[derive(Debug, PartialEq, Eq)]
struct Upload {
    name: String,
    text: Bytes,
}

impl SeaTunnel {
    /// As submit-job, with the config in the form's field `config_file`. A file that ends in `.json` is read as JSON,
    /// any other as the config language.
    pub(super) async fn submit_job_upload(&self, call: Call<'_>, head: &Parts, body: &mut RequestBody) -> Reply {
        let form = match body.gather().await {
            Ok(form) if form.is_empty() => return Reply::bad_request(EMPTY_BODY),
            Ok(form) => form,
            Err(error) => return error.into(),
        };
        let mut params = match SubmitParams::from_query(call.face, head.uri.query().unwrap_or_default()) {
            Ok(params) => params,
            Err(message) => return Reply::bad_request(&message),
        };
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = content_type.to_owned();
        let upload = match read_text(form, move |form| block_on(read(&content_type, form.clone()))).await {
            Ok(Ok(upload)) => upload,
            Ok(Err(message)) => return Reply::bad_request(&message),
            Err(busy) => return busy,
        };
        if upload.text.is_empty() {
            return Reply::bad_request("The uploaded file is empty.");
        }
        params.hocon = !upload.name.to_ascii_lowercase().ends_with(".json");
        self.submit_one(call.face, upload.text, params, &upload.name).await
    }
}

/// Finds the file in a form. The form is in memory already, within the bounds of any body: nothing is waited for.
///
/// # Errors
/// With the text for the client.
async fn read(content_type: &str, form: Bytes) -> Result<Upload, String> {
    let boundary = multer::parse_boundary(content_type).map_err(|_| {
        format!("Expected a form (Content-Type: multipart/form-data; boundary=...) with a file in its field {FIELD}.")
    })?;
    let malformed = |error: multer::Error| format!("The form is malformed: {error}.");
    let mut form = Multipart::new(stream::once(Ok::<_, std::convert::Infallible>(form)), boundary);
    for _ in 0..FIELDS_MAX {
        let Some(field) = form.next_field().await.map_err(malformed)? else {
            return Err(format!("The form has no file in a field {FIELD}."));
        };
        if field.name() == Some(FIELD) {
            let name = field.file_name().unwrap_or(FIELD).to_owned();
            let text = field.bytes().await.map_err(malformed)?;
            return Ok(Upload { name, text });
        }
    }
    Err(format!("None of the form's first {FIELDS_MAX} fields (FIELDS_MAX) is {FIELD}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn part(field: &str, file: &str, text: &str) -> String {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{file}\"\r\n\r\n{text}\r\n")
    }

    fn found(form: &str) -> Result<Upload, String> {
        block_on(read(TYPE, Bytes::copy_from_slice(form.as_bytes())))
    }

    #[test]
    fn the_file_is_found_among_other_fields() {
        let form = format!("{}{}--XX--\r\n", part("other", "a", "x"), part(FIELD, "job.conf", "env { }\r\n"));
        assert_eq!(found(&form), Ok(Upload { name: "job.conf".into(), text: Bytes::from_static(b"env { }\r\n") }));
    }

    #[test]
    fn a_form_without_the_file_is_refused() {
        let message = |form: &str| found(form).expect_err("refused");
        assert!(message(&format!("{}--XX--\r\n", part("other", "a", "x"))).contains("no file in a field config_file"));
        let many = part("other", "a", "x").repeat(FIELDS_MAX) + "--XX--\r\n";
        assert!(message(&many).contains("FIELDS_MAX"));
        assert!(message(&part(FIELD, "job.conf", "cut")[..60]).contains("malformed"));
        let no_form = block_on(read("application/json", Bytes::from_static(b"{}"))).expect_err("refused");
        assert!(no_form.contains("multipart/form-data"), "{no_form}");
    }

    proptest! {
        #[test]
        fn any_text_comes_out_as_it_went_in(text in "[ -~\r\n]{0,200}", file in "[a-z.]{1,10}") {
            prop_assume!(!text.contains("\r\n--XX"));
            let form = part(FIELD, &file, &text) + "--XX--\r\n";
            prop_assert_eq!(found(&form), Ok(Upload { name: file, text: text.into() }));
        }

        #[test]
        fn any_bytes_are_read_or_refused(form in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..120) {
            let _ = block_on(read(TYPE, form.into()));
            let whole = part(FIELD, "f", "text") + "--XX--\r\n";
            let _ = found(&whole[..cut.min(whole.len())]);
        }
    }
}
