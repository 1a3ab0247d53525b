//! Job states (contract B.1).

use std::fmt;

/// State of a job. Final states never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum JobState {
    /// The job object exists and is not yet accepted.
    Initializing = 0,
    /// Accepted.
    Created = 1,
    /// Waiting for slots.
    Pending = 2,
    /// Slots are granted; targets are being prepared.
    Scheduled = 3,
    /// Its tasks run, or are being restarted.
    Running = 4,
    /// A pipeline failed for good; the others are being stopped.
    Failing = 5,
    /// Failed.
    Failed = 6,
    /// Being stopped with a savepoint.
    DoingSavepoint = 7,
    /// Stopped with a savepoint.
    SavepointDone = 8,
    /// Being stopped.
    Canceling = 9,
    /// Stopped.
    Canceled = 10,
    /// All pipelines reached the end of their input and everything is committed.
    Finished = 11,
    /// The state could not be told.
    Unknowable = 12,
}

impl JobState {
    /// All states, in the order of their codes.
    pub const ALL: [Self; 13] = [
        Self::Initializing,
        Self::Created,
        Self::Pending,
        Self::Scheduled,
        Self::Running,
        Self::Failing,
        Self::Failed,
        Self::DoingSavepoint,
        Self::SavepointDone,
        Self::Canceling,
        Self::Canceled,
        Self::Finished,
        Self::Unknowable,
    ];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Pending => "PENDING",
            Self::Scheduled => "SCHEDULED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::DoingSavepoint => "DOING_SAVEPOINT",
            Self::SavepointDone => "SAVEPOINT_DONE",
            Self::Canceling => "CANCELING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Unknowable => "UNKNOWABLE",
        }
    }

    /// Reads a name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(text))
    }

    /// Whether the state never changes again.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::SavepointDone | Self::Canceled | Self::Finished | Self::Unknowable)
    }

    /// Whether a job in this state has slots.
    pub(super) fn holds_slots(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running | Self::Failing | Self::DoingSavepoint | Self::Canceling)
    }

    pub(super) fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Unknowable)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
