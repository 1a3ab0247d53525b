//! Why a task failed.

use std::error::Error;
use std::fmt;

/// Why a task failed, and whether trying again can help.
#[derive(Debug)]
pub struct TaskError {
    message: String,
    retryable: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl TaskError {
    /// A failure that comes back however often the task is run: rows that break a rule, a value that cannot be cast,
    /// a config that does not fit the data. The job ends at once.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: false, source: None }
    }

    /// A failure of the world around: a file that cannot be read, a peer that is gone. The pipeline is restarted as
    /// `job.retry.times` allows.
    pub fn transient(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true, source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done before the message: `writing /data/x.csv: no space left on device`.
    #[must_use]
    pub fn while_doing(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// Whether a restart may help.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

/// The message and all causes, separated by colons.
impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_deref().map(|cause| cause as &dyn Error);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The causes are part of the text already, so [`Error::source`] stays empty.
impl Error for TaskError {}

impl From<arrow::error::ArrowError> for TaskError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::permanent(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_every_cause() {
        let error = TaskError::transient("cannot read")
            .caused_by(std::io::Error::other("disk on fire"))
            .while_doing("reading /data/a.csv");
        assert_eq!(error.to_string(), "reading /data/a.csv: cannot read: disk on fire");
        assert!(error.is_retryable());
        assert!(!TaskError::permanent("x").is_retryable());
    }
}
