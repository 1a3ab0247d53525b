//! One attempt at running a pipeline: its tasks, and what they have prepared so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;

use super::JobEntry;
use super::events::{EventQueue, Payload};
use super::machine::{Event, Failure, TaskEnd};
use crate::flow::queue;
use crate::plan::{Pipeline, Plan, VertexWork};
use crate::plugin::{Prepared, Split, SplitEnumerator, TaskError};
use crate::shard::{ShardId, Shards, WorkGroup};
use crate::task::{
    ChainTask, ReadLimits, Sealed, SharedSplits, SplitLedger, TaskControl, TaskId, TaskOutcome, TaskReports, TaskStats,
};

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        Self { retryable: error.is_retryable(), message: error.to_string() }
    }
}

/// From where a pipeline goes on after a failure.
#[derive(Clone, Debug)]
pub(super) struct RestorePoint {
    /// The checkpoint.
    pub checkpoint: u64,
    enumerator: Bytes,
    splits: Vec<Split>,
}

/// What starting an attempt needs.
pub(super) struct AttemptSpec<'a> {
    pub plan: &'a Arc<Plan>,
    pub pipeline: usize,
    pub attempt: u32,
    pub job: &'a Arc<JobEntry>,
    pub shards: &'a Shards,
    pub group: &'a WorkGroup,
    pub queue_bytes_max: usize,
    pub checkpointed: bool,
    pub limits: ReadLimits,
    /// Where this pipeline's tasks begin in the job's count, so that pipelines spread over the shards.
    pub first_task: usize,
}

/// A running attempt.
pub(super) struct Attempt {
    pub number: u32,
    controls: Vec<Arc<TaskControl>>,
    pub stats: Vec<Arc<TaskStats>>,
    splits: SharedSplits,
    /// Parts of checkpoints that are not complete.
    sealed: BTreeMap<u64, Vec<(TaskId, Sealed)>>,
    /// What ended tasks prepared and nobody has committed.
    last_pieces: Vec<(TaskId, Vec<Prepared>)>,
}

impl Attempt {
    /// Restores the enumerator and starts all tasks. A task that cannot be sent to its core reports its end at once.
    pub fn start(
        spec: &AttemptSpec<'_>,
        mut enumerator: Box<dyn SplitEnumerator>,
        restore: Option<&RestorePoint>,
    ) -> Result<Self, TaskError> {
        if let Some(point) = restore {
            enumerator.restore_snapshot(&point.enumerator)?;
            enumerator.restore(point.splits.clone());
        }
        let splits: SharedSplits = Arc::new(Mutex::new(SplitLedger::new(enumerator)));
        let mut attempt = Self {
            number: spec.attempt,
            controls: Vec::new(),
            stats: Vec::new(),
            splits,
            sealed: BTreeMap::new(),
            last_pieces: Vec::new(),
        };
        let tasks = attempt.tasks(spec, restore.map_or(0, |point| point.checkpoint));
        for (position, task) in tasks.into_iter().enumerate() {
            let shards = u64::try_from(spec.shards.len()).unwrap_or(1);
            let offset = (spec.first_task + position) as u64 % shards;
            let shard = (u64::from(spec.job.owner().0) + offset) % shards;
            let shard = ShardId(u16::try_from(shard).unwrap_or(0));
            let (id, reports) = (task.id, Arc::clone(&task.reports));
            if let Err(full) = spec.shards.work(shard).spawn(spec.group, move || task.run()) {
                reports.ended(id, TaskOutcome::Failed(TaskError::transient(format!("cannot start a task: {full}"))));
            }
        }
        Ok(attempt)
    }

    /// Makes the tasks with the queues between them, chain by chain.
    fn tasks(&mut self, spec: &AttemptSpec<'_>, checkpoint: u64) -> Vec<ChainTask> {
        let pipeline = &spec.plan.pipelines[spec.pipeline];
        let mut senders = BTreeMap::new();
        let mut receivers = BTreeMap::new();
        for link in 0..pipeline.links.len() {
            for index in 0..pipeline.parallelism {
                let (sender, receiver) = queue(spec.queue_bytes_max);
                senders.insert((link, index), sender);
                receivers.insert((link, index), receiver);
            }
        }
        let reports: Arc<dyn TaskReports> = Arc::new(Reports {
            job: Arc::clone(spec.job),
            pipeline: spec.pipeline,
            attempt: spec.attempt,
            parallelism: pipeline.parallelism,
        });
        let mut tasks = Vec::new();
        for (number, chain) in pipeline.chains.iter().enumerate() {
            for index in 0..pipeline.parallelism {
                let stats = TaskStats::new(chain.vertices.iter().map(|vertex| (vertex.vertex, vertex.tables.len())));
                let stats = Arc::new(stats);
                let control = Arc::new(TaskControl::default());
                self.stats.push(Arc::clone(&stats));
                self.controls.push(Arc::clone(&control));
                let inputs = chain.inputs.iter().flatten().filter_map(|link| receivers.remove(&(*link, index)));
                let outputs = chain.outputs.iter().filter_map(|link| senders.remove(&(*link, index)));
                tasks.push(ChainTask {
                    plan: Arc::clone(spec.plan),
                    pipeline: spec.pipeline,
                    id: TaskId { chain: number, index },
                    job_id: u64::try_from(spec.job.id()).unwrap_or_default(),
                    attempt: spec.attempt,
                    control,
                    stats,
                    splits: Arc::clone(&self.splits),
                    checkpoint,
                    checkpointed: spec.checkpointed,
                    limits: spec.limits,
                    inputs: inputs.collect(),
                    outputs: outputs.collect(),
                    reports: Arc::clone(&reports),
                });
            }
        }
        tasks
    }

    pub fn stop(&self) {
        self.controls.iter().for_each(|control| control.stop());
    }

    /// Tells the tasks of the first chain, which begins with the source.
    pub fn begin_checkpoint(&self, checkpoint: u64, parallelism: usize) {
        self.controls.iter().take(parallelism).for_each(|control| control.begin_checkpoint(checkpoint));
    }

    /// A view of how many of its tasks are still alive.
    pub fn live(&self) -> LiveTasks {
        LiveTasks(self.controls.iter().map(Arc::downgrade).collect())
    }

    pub fn take(&mut self, payload: Payload) {
        match payload {
            Payload::Nothing | Payload::Enumerated(_) => {}
            Payload::Sealed(task, sealed) => self.sealed.entry(sealed.checkpoint).or_default().push((task, sealed)),
            Payload::Pieces(task, pieces) => self.last_pieces.push((task, pieces)),
        }
    }

    /// Completes a checkpoint: where to go on from, and the pieces to publish, by sink.
    ///
    /// The pieces of tasks that have ended go with it: a restart from here does not run their input again.
    pub fn complete(&mut self, checkpoint: u64, pipeline: &Pipeline) -> (RestorePoint, BySink) {
        let (enumerator, mut splits) = self.splits.lock().unwrap_or_else(PoisonError::into_inner).seal(checkpoint);
        let mut pieces = BySink::default();
        for (task, sealed) in self.sealed.remove(&checkpoint).unwrap_or_default() {
            splits.extend(sealed.splits);
            pieces.add(pipeline, task, sealed.pieces);
        }
        for (task, last) in std::mem::take(&mut self.last_pieces) {
            pieces.add(pipeline, task, last);
        }
        (RestorePoint { checkpoint, enumerator, splits }, pieces)
    }

    /// Everything that was prepared and not committed, by sink.
    pub fn rest(&mut self, pipeline: &Pipeline) -> BySink {
        let mut pieces = BySink::default();
        for (task, sealed) in std::mem::take(&mut self.sealed).into_values().flatten() {
            pieces.add(pipeline, task, sealed.pieces);
        }
        for (task, last) in std::mem::take(&mut self.last_pieces) {
            pieces.add(pipeline, task, last);
        }
        pieces
    }
}

/// Tells whether tasks of an attempt are still alive, without keeping them so.
pub(super) struct LiveTasks(Vec<Weak<TaskControl>>);

impl LiveTasks {
    /// Whether any task still holds its control: the attempt itself holds one, a task another.
    pub fn any(&self) -> bool {
        self.0.iter().any(|control| control.strong_count() > 1)
    }
}

/// Prepared pieces by the position of their sink in the plan.
#[derive(Debug, Default)]
pub(super) struct BySink(pub BTreeMap<usize, Vec<Prepared>>);

impl BySink {
    fn add(&mut self, pipeline: &Pipeline, task: TaskId, pieces: Vec<Prepared>) {
        let last = pipeline.chains[task.chain].vertices.last();
        if let Some(VertexWork::Sink { sink }) = last.map(|vertex| &vertex.work)
            && !pieces.is_empty()
        {
            self.0.entry(*sink).or_default().extend(pieces);
        }
    }
}

/// Tells the coordinator how the tasks of an attempt are getting on.
struct Reports {
    job: Arc<JobEntry>,
    pipeline: usize,
    attempt: u32,
    parallelism: usize,
}

impl Reports {
    fn number(&self, task: TaskId) -> usize {
        task.chain * self.parallelism + task.index
    }

    fn events(&self) -> &EventQueue {
        &self.job.events
    }
}

impl TaskReports for Reports {
    fn sealed(&self, task: TaskId, sealed: Sealed) {
        let (pipeline, attempt, checkpoint) = (self.pipeline, self.attempt, sealed.checkpoint);
        let event = Event::Sealed { pipeline, attempt, task: self.number(task), checkpoint };
        self.events().push(event, Payload::Sealed(task, sealed));
    }

    fn ended(&self, task: TaskId, outcome: TaskOutcome) {
        let (end, payload) = match outcome {
            TaskOutcome::Finished(pieces) => (TaskEnd::Finished, Payload::Pieces(task, pieces)),
            TaskOutcome::Stopped => (TaskEnd::Stopped, Payload::Nothing),
            TaskOutcome::Failed(error) => (TaskEnd::Failed(error.into()), Payload::Nothing),
        };
        let (pipeline, attempt) = (self.pipeline, self.attempt);
        self.events().push(Event::TaskEnded { pipeline, attempt, task: self.number(task), end }, payload);
    }
}
