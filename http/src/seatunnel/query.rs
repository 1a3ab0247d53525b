//! The query of submit-job.

use std::borrow::Cow;

use super::Face;
use super::error::{BAD_PARAMS, SAVEPOINT_WITHOUT_ID, java_long};
use crate::jobs::Syntax;
use crate::query;

/// What a submission says beside its config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubmitParams {
    pub(crate) job_id: Option<i64>,
    pub(crate) job_name: Option<String>,
    pub(crate) start_with_savepoint: bool,
    pub(crate) hocon: bool,
}

impl SubmitParams {
    /// Reads `jobId=..&jobName=..&isStartWithSavePoint=..&format=..`. Over v1 a pair without a value is an error
    /// (contract A.4), and one trailing slash does not count.
    ///
    /// # Errors
    /// With the text for the client.
    pub(crate) fn from_query(face: Face, query: &str) -> Result<Self, String> {
        let mut params = Self::default();
        let query = match face {
            Face::V1 => query.strip_suffix('/').unwrap_or(query),
            Face::V2 => query,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if value.is_empty() && face == Face::V1 {
                return Err(BAD_PARAMS.to_owned());
            }
            params.set(&decode(key)?, &decode(value)?)?;
        }
        params.checked()
    }

    /// Takes one parameter; unknown ones are ignored.
    ///
    /// # Errors
    /// With the text for the client.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "jobId" if value.trim().is_empty() => self.job_id = None,
            "jobId" => self.job_id = Some(java_long(value)?),
            "jobName" => self.job_name = Some(value.to_owned()).filter(|name| !name.is_empty()),
            "isStartWithSavePoint" => self.start_with_savepoint = value.eq_ignore_ascii_case("true"),
            "format" if value.eq_ignore_ascii_case("json") => self.hocon = false,
            "format" if value.eq_ignore_ascii_case("hocon") => self.hocon = true,
            "format" => return Err(format!("The format '{value}' is not supported; it is json or hocon.")),
            _ => {}
        }
        Ok(())
    }

    /// How the config is written.
    pub(crate) fn syntax(&self) -> Syntax {
        if self.hocon { Syntax::Hocon } else { Syntax::Json }
    }

    /// What the parameters demand of each other.
    ///
    /// # Errors
    /// With the text for the client.
    pub(crate) fn checked(self) -> Result<Self, String> {
        if self.start_with_savepoint && self.job_id.is_none() {
            return Err(SAVEPOINT_WITHOUT_ID.to_owned());
        }
        Ok(self)
    }
}

/// Decodes `%41` and `+`.
///
/// # Errors
/// With the text for the client.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, String> {
    query::decode(text).ok_or_else(|| BAD_PARAMS.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_decoded() {
        let params = SubmitParams::from_query(
            Face::V1,
            "jobId=7&jobName=%E6%B5%8B+a%3Db=c&isStartWithSavePoint=TRUE&x=y&format=hocon/",
        );
        let expected = SubmitParams {
            job_id: Some(7),
            job_name: Some("测 a=b=c".to_owned()),
            start_with_savepoint: true,
            hocon: true,
        };
        assert_eq!(params, Ok(expected));
        assert_eq!(SubmitParams::from_query(Face::V1, ""), Ok(SubmitParams::default()));
    }

    #[test]
    fn wrong_parameters_answer_as_the_original_does() {
        let error = |query| SubmitParams::from_query(Face::V1, query).expect_err("refused");
        assert_eq!(error("jobName="), BAD_PARAMS);
        assert_eq!(error("jobName"), BAD_PARAMS);
        assert_eq!(error("jobName=%zz"), BAD_PARAMS);
        assert_eq!(error("jobId=abc"), "For input string: \"abc\"");
        assert_eq!(error("isStartWithSavePoint=true"), SAVEPOINT_WITHOUT_ID);
        assert!(error("format=sql").contains("json or hocon"));
    }

    #[test]
    fn an_empty_value_is_taken_as_empty_over_v2() {
        assert_eq!(SubmitParams::from_query(Face::V2, "jobName=&x"), Ok(SubmitParams::default()));
        for query in ["jobId=", "jobId=+", "jobId"] {
            assert_eq!(SubmitParams::from_query(Face::V2, query), Ok(SubmitParams::default()), "{query}");
        }
        let savepoint = SubmitParams::from_query(Face::V2, "jobId=&isStartWithSavePoint=true");
        assert_eq!(savepoint, Err(SAVEPOINT_WITHOUT_ID.to_owned()));
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(query in "[ -~]{0,40}") {
            let _ = SubmitParams::from_query(Face::V1, &query);
            let _ = SubmitParams::from_query(Face::V2, &query);
        }
    }
}
