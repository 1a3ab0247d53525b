//! A job as anybody may read it, from any core and without a lock.

use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::events::EventQueue;
use super::timelines::JobTimelines;
use super::{JobMetrics, JobState, JobTimes, JobTotals, Rendered};
use crate::plan::{JobGraph, Plan};
use crate::shard::{ShardId, Signal};
use crate::task::TaskStats;

/// A job, running or ended. Its coordinator alone changes it; any core reads it.
#[derive(Debug)]
pub struct JobEntry {
    id: i64,
    name: Arc<str>,
    owner: ShardId,
    created_ms: i64,
    /// Order of submission within this process.
    sequence: u64,
    env_options: Vec<(String, String)>,
    graph: Arc<JobGraph>,
    slots: u32,
    tag_filter: Vec<(String, String)>,
    start_with_savepoint: bool,
    state: AtomicU8,
    finished_ms: AtomicI64,
    error: OnceLock<String>,
    /// Counters of the tasks of each pipeline's newest attempt.
    live: ArcSwap<Vec<Arc<TaskStats>>>,
    last_metrics: OnceLock<JobMetrics>,
    times: JobTimes,
    timelines: Arc<JobTimelines>,
    rendered: Rendered,
    ended: Signal,
    pub(super) stop_requested: Signal,
    pub(super) savepoint_requested: Signal,
    pub(super) events: EventQueue,
}

/// What a [`JobEntry`] is made of.
pub(super) struct NewJob {
    pub id: i64,
    pub name: Arc<str>,
    pub owner: ShardId,
    pub created_ms: i64,
    pub sequence: u64,
    pub env_options: Vec<(String, String)>,
    pub graph: Arc<JobGraph>,
    pub slots: u32,
    pub tag_filter: Vec<(String, String)>,
    pub start_with_savepoint: bool,
}

impl JobEntry {
    pub(super) fn new(job: NewJob) -> Self {
        Self {
            id: job.id,
            name: job.name,
            owner: job.owner,
            created_ms: job.created_ms,
            sequence: job.sequence,
            env_options: job.env_options,
            slots: job.slots,
            tag_filter: job.tag_filter,
            graph: job.graph,
            start_with_savepoint: job.start_with_savepoint,
            state: AtomicU8::new(JobState::Created as u8),
            finished_ms: AtomicI64::new(0),
            error: OnceLock::new(),
            live: ArcSwap::from_pointee(Vec::new()),
            last_metrics: OnceLock::new(),
            times: JobTimes::default(),
            timelines: Arc::default(),
            rendered: Rendered::default(),
            ended: Signal::new(),
            stop_requested: Signal::new(),
            savepoint_requested: Signal::new(),
            events: EventQueue::default(),
        }
    }

    /// Id of the job.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Name of the job.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The shard that owns it.
    pub fn owner(&self) -> ShardId {
        self.owner
    }

    /// Order of submission within this process.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its state now.
    pub fn state(&self) -> JobState {
        JobState::from_code(self.state.load(Ordering::Acquire))
    }

    /// When it was submitted, in milliseconds since 1970.
    pub fn created_at(&self) -> i64 {
        self.created_ms
    }

    /// When it reached its final state, in milliseconds since 1970.
    pub fn finished_at(&self) -> Option<i64> {
        self.state().is_final().then(|| self.finished_ms.load(Ordering::Acquire))
    }

    /// Why it failed.
    pub fn error(&self) -> Option<&str> {
        self.error.get().map(String::as_str)
    }

    /// The `env` block, flat and as text (contract A.5, `envOptions`).
    pub fn env_options(&self) -> &[(String, String)] {
        &self.env_options
    }

    /// Vertices and edges.
    pub fn plan(&self) -> &Arc<JobGraph> {
        &self.graph
    }

    /// Slots that it takes while it runs (contract B.3).
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// Tags that a node must have to run it (`env.tag_filter`).
    pub fn tag_filter(&self) -> &[(String, String)] {
        &self.tag_filter
    }

    /// Whether it was submitted to go on from a savepoint.
    pub fn is_start_with_savepoint(&self) -> bool {
        self.start_with_savepoint
    }

    /// What it has read and written so far, or at its end.
    pub fn metrics(&self) -> JobMetrics {
        match self.last_metrics.get() {
            Some(metrics) => metrics.clone(),
            None => JobMetrics::sum(&self.graph, self.live.load().iter()),
        }
    }

    /// The sums of [`JobEntry::metrics`], without tables and rates.
    pub fn totals(&self) -> JobTotals {
        match self.last_metrics.get() {
            Some(metrics) => metrics.into(),
            None => JobTotals::sum(&self.graph, self.live.load().iter()),
        }
    }

    /// Counters of the tasks that run; empty before the first start and after the end.
    pub fn tasks(&self) -> Arc<Vec<Arc<TaskStats>>> {
        self.live.load_full()
    }

    /// How long its batches, checkpoints and commits took, also after its end.
    pub fn times(&self) -> &JobTimes {
        &self.times
    }

    /// Whether these are the tasks that run.
    pub(super) fn has_tasks(&self, tasks: &Arc<Vec<Arc<TaskStats>>>) -> bool {
        Arc::ptr_eq(&self.live.load(), tasks)
    }

    /// What its tasks have done lately, second by second.
    pub fn timelines(&self) -> &Arc<JobTimelines> {
        &self.timelines
    }

    /// A place where the HTTP layer keeps what it has rendered of the job's body.
    pub fn rendered(&self) -> &Rendered {
        &self.rendered
    }

    /// Raised once the job is in its final state and everybody can see that.
    pub fn ended(&self) -> &Signal {
        &self.ended
    }

    pub(super) fn enter(&self, state: JobState) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(super) fn publish_tasks(&self, tasks: Vec<Arc<TaskStats>>) {
        self.live.store(Arc::new(tasks));
    }

    /// Keeps what is to be told of the job when it has ended; the directory puts it into its final state.
    pub(super) fn finish(&self, error: Option<String>, finished_ms: i64) {
        let _ = self.last_metrics.set(self.metrics());
        self.times.fold_all();
        self.live.store(Arc::new(Vec::new()));
        if let Some(error) = error {
            let _ = self.error.set(error);
        }
        self.finished_ms.store(finished_ms, Ordering::Release);
    }
}

/// For each pipeline: one slot for the enumerator, one for each sink that publishes by commits, and one for each instance
/// of the source with what reads from it (contract B.3).
pub(super) fn slots_of(plan: &Plan) -> u32 {
    let commits = |sink: &usize| {
        let sink = &plan.sinks[*sink];
        !sink.commits_in_memory() && sink.committer().is_some()
    };
    let of_pipeline = |pipeline: &crate::plan::Pipeline| {
        let committers = pipeline.sinks().iter().filter(|sink| commits(sink)).count();
        u32::try_from(1 + committers + pipeline.parallelism).unwrap_or(u32::MAX)
    };
    plan.pipelines.iter().map(of_pipeline).fold(0, u32::saturating_add)
}
