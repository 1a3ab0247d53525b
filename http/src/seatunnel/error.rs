//! Error texts of the original where clients see them (contract A.2, A.4).

/// Reads a number as Java's `Long.parseLong` does.
///
/// # Errors
/// With Java's words for a text that is none.
pub(crate) fn java_long(text: &str) -> Result<i64, String> {
    // Rust reads the same grammar: an optional sign and digits, within 64 bits.
    text.parse().map_err(|_| format!("For input string: \"{text}\""))
}

pub(crate) const EMPTY_BODY: &str = "Request body is empty.";
pub(crate) const NOT_JSON: &str = "Invalid JSON format in request body.";
pub(crate) const BAD_PARAMS: &str = "Invalid Params format in Params.";
pub(crate) const SAVEPOINT_WITHOUT_ID: &str = "Please provide jobId when start with save point.";
/// Of job-info over v2.
pub(crate) const EMPTY_JOB_ID: &str = "The jobId must not be empty.";
/// Of stop-job.
pub(crate) const NO_JOB_ID: &str = "jobId cannot be empty.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        assert_eq!(java_long("733584788375666689"), Ok(733_584_788_375_666_689));
        assert_eq!(java_long("-1"), Ok(-1));
        assert_eq!(java_long("+7"), Ok(7));
        for text in ["abc", "", "9223372036854775808", "1.5", " 1", "+", "0x10"] {
            assert_eq!(java_long(text), Err(format!("For input string: \"{text}\"")));
        }
    }
}
