//! One attempt at running a pipeline: its tasks, and what they have prepared so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::JobEntry;
use super::events::{EventQueue, Payload};
use super::machine::{Event, Failure, TaskEnd};
use super::parts::{Parts, Pieces};
use super::saved::RestorePoint;
use crate::flow::queue;
use crate::plan::Plan;
use crate::plugin::{Split, SplitEnumerator, TaskError};
use crate::shard::{ShardId, Shards, WorkGroup};
use crate::task::{
    ChainTask, NodeTimes, ReadLimits, Sealed, SharedSplits, SplitLedger, TaskControl, TaskId, TaskOutcome, TaskReports,
    TaskStats, TaskTimes,
};

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        Self { retryable: error.is_retryable(), message: error.to_string() }
    }
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
    pub limits: ReadLimits,
    pub node_times: &'a NodeTimes,
    /// Where this pipeline's tasks begin in the job's count, so that pipelines spread over the shards.
    pub first_task: usize,
}

/// A running attempt.
pub(super) struct Attempt {
    pub number: u32,
    controls: Vec<Arc<TaskControl>>,
    pub stats: Vec<Arc<TaskStats>>,
    splits: SharedSplits,
    parts: Parts,
    /// Newest checkpoint that has begun.
    checkpoint: u64,
}

impl Attempt {
    /// Restores the enumerator and starts all tasks. A task that cannot be sent to its core reports its end at once.
    pub fn start(
        spec: &AttemptSpec<'_>,
        mut enumerator: Box<dyn SplitEnumerator>,
        restore: Option<&RestorePoint>,
    ) -> Result<Self, TaskError> {
        let pipeline = &spec.plan.pipelines[spec.pipeline];
        if let Some(point) = restore {
            enumerator.restore_snapshot(&point.enumerator)?;
            enumerator.restore(by_reader(&point.splits, pipeline.parallelism));
        }
        let splits: SharedSplits = Arc::new(Mutex::new(SplitLedger::new(enumerator)));
        let mut attempt = Self {
            number: spec.attempt,
            controls: Vec::new(),
            stats: Vec::new(),
            splits,
            parts: Parts::new(pipeline.chains.len()),
            checkpoint: restore.map_or(0, |point| point.checkpoint),
        };
        let tasks = attempt.tasks(spec);
        spec.job.times().join(tasks.iter().map(|task| Arc::clone(&task.times)));
        for (position, task) in tasks.into_iter().enumerate() {
            let shards = u64::try_from(spec.shards.len()).unwrap_or(1);
            let offset = (spec.first_task + position) as u64 % shards;
            let shard = (u64::from(spec.job.owner().0) + offset) % shards;
            let shard = ShardId(u16::try_from(shard).unwrap_or(0));
            let (id, reports, times) = (task.id, Arc::clone(&task.reports), Arc::clone(&task.times));
            if let Err(full) = spec.shards.work(shard).spawn(spec.group, move || task.run()) {
                times.end();
                reports.ended(id, TaskOutcome::Failed(TaskError::transient(format!("cannot start a task: {full}"))));
            }
        }
        Ok(attempt)
    }

    /// Makes the tasks with the queues between them, chain by chain.
    fn tasks(&mut self, spec: &AttemptSpec<'_>) -> Vec<ChainTask> {
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
                let stats = Arc::new(stats.of_instance(index));
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
                    times: Arc::new(TaskTimes::default()),
                    node_times: spec.node_times.clone(),
                    splits: Arc::clone(&self.splits),
                    checkpoint: self.checkpoint,
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

    /// Tells the tasks of the first chain, which begins with the source. After the `last` one they read nothing more.
    pub fn begin_checkpoint(&mut self, checkpoint: u64, last: bool, parallelism: usize) {
        self.checkpoint = checkpoint;
        self.splits.lock().unwrap_or_else(PoisonError::into_inner).keep();
        for control in self.controls.iter().take(parallelism) {
            control.begin_checkpoint(checkpoint, last);
        }
    }

    /// A view of how many of its tasks are still alive.
    pub fn live(&self) -> LiveTasks {
        LiveTasks(self.controls.iter().map(Arc::downgrade).collect())
    }

    pub fn take(&mut self, payload: Payload) {
        match payload {
            Payload::Nothing | Payload::Enumerated(_) => {}
            Payload::Sealed(task, sealed) => self.parts.seal(task, sealed),
            Payload::Pieces(task, pieces) => self.parts.finish(task, pieces),
        }
    }

    /// Completes a checkpoint: where to go on from, and what is to be published.
    pub fn complete(&mut self, checkpoint: u64, before: Option<&RestorePoint>) -> (RestorePoint, Pieces) {
        self.checkpoint = self.checkpoint.max(checkpoint);
        let completed = self.parts.complete(checkpoint);
        let mut ledger = self.splits.lock().unwrap_or_else(PoisonError::into_inner);
        let (enumerator, handed_out) = ledger.seal(checkpoint);
        let mut splits = completed.splits;
        splits.extend(handed_out.into_iter().filter(|(reader, _)| !completed.done.contains(reader)));
        (RestorePoint::following(before, checkpoint, enumerator, splits), completed.pieces)
    }

    /// The end of the input: nothing is left to read, and everything that was prepared is to be published.
    pub fn complete_all(&mut self, before: Option<&RestorePoint>) -> (RestorePoint, Pieces) {
        self.complete(self.checkpoint + 1, before)
    }

    /// Everything that was prepared and not committed.
    pub fn rest(&mut self) -> Pieces {
        self.parts.rest()
    }
}

/// Splits of readers `i` go to reader `i % readers` (contract B.7).
fn by_reader(splits: &[(usize, Split)], readers: usize) -> Vec<Vec<Split>> {
    let mut dealt = vec![Vec::new(); readers.max(1)];
    for (reader, split) in splits {
        dealt[reader % readers.max(1)].push(split.clone());
    }
    dealt
}

/// Tells whether tasks of an attempt are still alive, without keeping them so.
pub(super) struct LiveTasks(Vec<Weak<TaskControl>>);

impl LiveTasks {
    /// Whether any task still holds its control: the attempt itself holds one, a task another.
    pub fn any(&self) -> bool {
        self.0.iter().any(|control| control.strong_count() > 1)
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_a_reader_had_goes_to_the_one_of_its_index_modulo_their_number() {
        let split = |id: &str| Split { id: id.into(), state: Bytes::new() };
        let splits = [(0, split("a")), (1, split("b")), (2, split("c")), (5, split("d"))];
        let ids = |readers| -> Vec<String> {
            let of = |splits: &Vec<Split>| splits.iter().map(|split| split.id.as_ref()).collect();
            by_reader(&splits, readers).iter().map(of).collect()
        };
        assert_eq!(ids(2), ["ac", "bd"]);
        assert_eq!(ids(4), ["a", "bd", "c", ""]);
    }
}
