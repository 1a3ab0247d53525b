//! What the machine is told, and what it says to do.

use super::JobState;

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::job) struct Failure {
    /// The whole text.
    pub message: String,
    /// Whether a restart may help.
    pub retryable: bool,
}

impl Failure {
    /// A checkpoint took too long (contract B.7).
    pub(super) fn expired(retryable: bool) -> Self {
        let message = "Checkpoint expired before completing. Please increase checkpoint timeout in the seatunnel.yaml or jobConfig env.";
        Self { message: message.to_owned(), retryable }
    }
}

/// Why there are no slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::job) struct Refusal {
    /// The whole text.
    pub message: String,
    /// Whether asking again may help.
    pub again: bool,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::job) enum TaskEnd {
    /// At the end of its input.
    Finished,
    /// Because it was told to, or a neighbour went away.
    Stopped,
    /// By itself.
    Failed(Failure),
}

/// What happened. Events of an attempt that is over are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::job) enum Event {
    /// Slots are granted.
    Granted,
    /// There are no slots.
    SlotsRefused(Refusal),
    /// It is time to ask for slots again.
    SlotRetryDue,
    /// The sinks' targets are as their save modes want them, or not.
    TargetsPrepared(Result<(), Failure>),
    /// The tasks of a pipeline have been started, or could not be.
    Started { pipeline: usize, attempt: u32, result: Result<(), Failure> },
    /// A task has ended. Tasks of a pipeline are numbered from 0.
    TaskEnded { pipeline: usize, attempt: u32, task: usize, end: TaskEnd },
    /// It is time for a checkpoint.
    CheckpointDue { pipeline: usize, attempt: u32 },
    /// A task has taken part in a checkpoint.
    Sealed { pipeline: usize, attempt: u32, task: usize, checkpoint: u64 },
    /// A checkpoint took too long.
    CheckpointExpired { pipeline: usize, attempt: u32, checkpoint: u64 },
    /// What the sinks prepared is published, or cannot be. `checkpoint` as in [`Action::Commit`].
    Committed { pipeline: usize, attempt: u32, checkpoint: Option<u64>, result: Result<(), Failure> },
    /// What was prepared and will not be published is gone.
    Aborted { pipeline: usize, attempt: u32 },
    /// The wait before a restart is over.
    RetryDue { pipeline: usize, attempt: u32 },
    /// Somebody wants the job to stop.
    StopRequested,
    /// What was to stop has had all its time.
    StopExpired,
    /// Somebody wants the job to stop with a savepoint.
    SavepointRequested,
    /// The savepoint took too long.
    SavepointExpired,
    /// The sinks agree to the last commits of a group, or not. `group` as in [`Action::CheckSinks`].
    SinksChecked { group: usize, result: Result<(), Failure> },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::job) enum Action {
    /// The job is now in this state.
    Enter(JobState),
    /// Ask for the job's slots; answer [`Event::Granted`] or [`Event::SlotsRefused`]. The first request is made
    /// without being asked for.
    RequestSlots,
    /// There are no slots, for this cause; after the retry interval say [`Event::SlotRetryDue`].
    ArmSlotRetry { cause: String },
    /// Bring the sinks' targets into shape; answer [`Event::TargetsPrepared`].
    PrepareTargets,
    /// Start the tasks of a pipeline, from its newest completed checkpoint if there is one; answer
    /// [`Event::Started`], then [`Event::TaskEnded`] for each task.
    Start { pipeline: usize, attempt: u32 },
    /// Tell the tasks of a pipeline to stop.
    Stop { pipeline: usize, attempt: u32 },
    /// Tell the source tasks to begin a checkpoint; answer [`Event::Sealed`] for each task that is still running. After
    /// the `last` one a source reads nothing more and waits for its stop.
    BeginCheckpoint { pipeline: usize, attempt: u32, checkpoint: u64, last: bool },
    /// Make the checkpoint the newest completed one and publish what was prepared for it, with everything that ended
    /// tasks have prepared; `None`: all tasks have ended, publish everything. Answer [`Event::Committed`].
    Commit { pipeline: usize, attempt: u32, checkpoint: Option<u64> },
    /// Drop what was prepared and not committed; answer [`Event::Aborted`].
    Abort { pipeline: usize, attempt: u32 },
    /// Drop all work of the job where it stands: what has not answered answers with a failure, tasks with their end.
    CancelWork,
    /// After the checkpoint interval say [`Event::CheckpointDue`].
    ArmCheckpoint { pipeline: usize, attempt: u32 },
    /// After the checkpoint timeout say [`Event::CheckpointExpired`].
    ArmCheckpointTimeout { pipeline: usize, attempt: u32, checkpoint: u64 },
    /// After the checkpoint timeout say [`Event::SavepointExpired`].
    ArmSavepointTimeout,
    /// When tasks had time to stop and to be dropped say [`Event::StopExpired`].
    ArmStopTimeout,
    /// The attempt failed of this cause; after the retry interval say [`Event::RetryDue`].
    ArmRetry { pipeline: usize, attempt: u32, cause: String },
    /// Ask these sinks whether all is well, before the last commits of a group of pipelines; answer
    /// [`Event::SinksChecked`].
    CheckSinks { group: usize, sinks: Vec<usize> },
    /// The job is over: a final state, and why if it failed. Always the last action.
    End { state: JobState, error: Option<String> },
}

/// What the machine knows of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::job) struct PipelineShape {
    /// Its tasks.
    pub tasks: usize,
    /// Sinks that it writes to, by their position in the plan.
    pub sinks: Vec<usize>,
    /// Newest completed checkpoint of the savepoint that the job goes on from; 0 without one.
    pub checkpoint: u64,
    /// Whether it had finished before that savepoint, and does not run again.
    pub finished: bool,
}
