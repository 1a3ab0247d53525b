//! What makes a task, and what becomes of it. The run itself is in [`super::run`].

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures_lite::FutureExt as _;

use super::control::TaskControl;
use super::limit::ReadLimits;
use super::probe::TaskStats;
use super::run::Running;
use super::times::{NodeTimes, TaskTimes};
use crate::flow::{QueueReceiver, QueueSender};
use crate::plan::{Chain, Pipeline, Plan};
use crate::plugin::{Prepared, Split, SplitEnumerator, TaskError};

/// The splits of a pipeline, shared by its source tasks. The lock is held for the time of an assignment only.
pub(crate) type SharedSplits = Arc<Mutex<SplitLedger>>;

/// An enumerator, and which splits it has handed out to which reader since which checkpoint.
///
/// A checkpoint is complete some time after each reader took its snapshot. Splits handed out in between are in no
/// reader's snapshot and no longer with the enumerator; the ledger keeps them until the next checkpoint. What was
/// handed out before the first checkpoint began is in some reader's snapshot.
pub(crate) struct SplitLedger {
    enumerator: Box<dyn SplitEnumerator>,
    keeps: bool,
    handed_out: Vec<(u64, usize, Split)>,
}

impl SplitLedger {
    pub fn new(enumerator: Box<dyn SplitEnumerator>) -> Self {
        Self { enumerator, keeps: false, handed_out: Vec::new() }
    }

    /// A checkpoint is about to begin: from now on the ledger keeps what is handed out.
    pub fn keep(&mut self) {
        self.keeps = true;
    }

    /// Asks for a reader whose newest snapshot belongs to `checkpoint`.
    pub fn assign(&mut self, reader: usize, checkpoint: u64) -> crate::plugin::Assignment {
        let assignment = self.enumerator.assign(reader);
        if self.keeps
            && let crate::plugin::Assignment::Splits(splits) = &assignment
        {
            self.handed_out.extend(splits.iter().map(|split| (checkpoint, reader, split.clone())));
        }
        assignment
    }

    /// What a restart needs of the enumerator, now that all readers have taken their snapshot for `checkpoint`: its
    /// own state, and the splits handed out since, with their readers.
    pub fn seal(&mut self, checkpoint: u64) -> (bytes::Bytes, Vec<(usize, Split)>) {
        self.handed_out.retain(|(since, ..)| *since >= checkpoint);
        let handed_out = self.handed_out.iter().map(|(_, reader, split)| (*reader, split.clone()));
        (self.enumerator.snapshot(), handed_out.collect())
    }
}

/// Which task of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TaskId {
    /// Position of its chain in the pipeline.
    pub chain: usize,
    /// Which of the chain's parallel instances.
    pub index: usize,
}

/// Whom a task tells of its progress. Calls come from the core that runs the task and do not block.
pub(crate) trait TaskReports: Send + Sync {
    /// The task has taken part in a checkpoint.
    fn sealed(&self, task: TaskId, sealed: Sealed);
    /// The task has ended; called exactly once.
    fn ended(&self, task: TaskId, outcome: TaskOutcome);
}

/// A task's part in a checkpoint.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub checkpoint: u64,
    /// Where the reader stands, of chains that begin with the source.
    pub splits: Vec<Split>,
    /// What the sink has prepared, of chains that end in one.
    pub pieces: Vec<Prepared>,
}

/// How a task ended.
#[derive(Debug)]
pub(crate) enum TaskOutcome {
    /// The input has ended and the sink has prepared its last pieces.
    Finished(Vec<Prepared>),
    /// The task was told to stop, or a neighbour went away.
    Stopped,
    /// It failed.
    Failed(TaskError),
}

/// Everything that makes a task; moves to the core that runs it.
pub(crate) struct ChainTask {
    pub plan: Arc<Plan>,
    /// Position of the pipeline in the plan.
    pub pipeline: usize,
    pub id: TaskId,
    pub job_id: u64,
    pub attempt: u32,
    pub control: Arc<TaskControl>,
    pub stats: Arc<TaskStats>,
    pub times: Arc<TaskTimes>,
    pub node_times: NodeTimes,
    pub splits: SharedSplits,
    /// Newest checkpoint that is done; later ones are numbered from it.
    pub checkpoint: u64,
    /// How much a source task may send.
    pub limits: ReadLimits,
    /// One for each link into the chain, in the chain's order.
    pub inputs: Vec<QueueReceiver>,
    /// One for each link out of the chain, in the chain's order.
    pub outputs: Vec<QueueSender>,
    pub reports: Arc<dyn TaskReports>,
}

impl ChainTask {
    pub fn pipeline(&self) -> &Pipeline {
        &self.plan.pipelines[self.pipeline]
    }

    pub fn chain(&self) -> &Chain {
        &self.pipeline().chains[self.id.chain]
    }

    /// Runs the task to its end and reports how it went, also when it panics or is dropped half-way.
    pub async fn run(self) {
        let (reports, times) = (Arc::clone(&self.reports), Arc::clone(&self.times));
        let mut report = EndReport { reports, times, id: self.id, sent: false };
        let outcome = match AssertUnwindSafe(Running::run(self)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(panic) => {
                TaskOutcome::Failed(TaskError::permanent(format!("the task panicked: {}", panic_text(&panic))))
            }
        };
        report.send(outcome);
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &Box<dyn std::any::Any + Send>) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Reports an end exactly once; a task that is dropped was stopped.
struct EndReport {
    reports: Arc<dyn TaskReports>,
    times: Arc<TaskTimes>,
    id: TaskId,
    sent: bool,
}

impl EndReport {
    fn send(&mut self, outcome: TaskOutcome) {
        self.sent = true;
        self.times.end();
        self.reports.ended(self.id, outcome);
    }
}

impl Drop for EndReport {
    fn drop(&mut self) {
        if !self.sent {
            self.send(TaskOutcome::Stopped);
        }
    }
}
