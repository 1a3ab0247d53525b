//! Runs one job: feeds its state machine and performs what it says. Lives on the owner shard's front executor.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_lite::FutureExt as _;

use super::attempt::{Attempt, AttemptSpec, RestorePoint};
use super::directory::Directory;
use super::events::Payload;
use super::machine::{Action, Event, Failure, JobMachine, PipelineShape};
use super::{JobEntry, JobSettings, JobState};
use crate::plan::{Pipeline, Plan};
use crate::plugin::{SplitEnumerator, TaskError};
use crate::shard::{self, JoinHandle, Shards, WorkGroup};
use crate::task::{ReadLimits, panic_text};

/// How long a coordinator tries to hand a commit to a work executor whose mailbox is full.
const COMMIT_HANDOVER: Duration = Duration::from_secs(30);

/// What a coordinator needs.
pub(super) struct Coordinator {
    pub job: Arc<JobEntry>,
    pub plan: Arc<Plan>,
    pub shards: Shards,
    pub directory: Arc<Directory>,
    pub settings: Arc<JobSettings>,
    pub restarts: u32,
    pub retry_interval: Duration,
    /// Time between checkpoints; `None`: none while the job runs.
    pub checkpoint_interval: Option<Duration>,
    pub checkpoint_timeout: Duration,
    pub limits: ReadLimits,
}

impl Coordinator {
    /// Runs the job to its end. The job reaches a final state whatever happens here.
    pub async fn run(self) {
        let job = Arc::clone(&self.job);
        let (directory, settings) = (Arc::clone(&self.directory), Arc::clone(&self.settings));
        if let Err(panic) = AssertUnwindSafe(self.coordinate()).catch_unwind().await {
            let error = format!("internal error: {}", panic_text(&panic));
            tracing::error!(job = job.id(), error, "the job's coordinator panicked");
            end(&job, &directory, &settings, JobState::Failed, Some(error));
        }
    }

    async fn coordinate(self) {
        let shape = |pipeline: &Pipeline| PipelineShape { tasks: pipeline.task_count(), sinks: pipeline.sinks() };
        let pipelines = self.plan.pipelines.iter().map(shape);
        let machine = JobMachine::new(pipelines, self.restarts, self.checkpoint_interval.is_some());
        let group = WorkGroup::of_job(1, self.job.id());
        let mut run = Run { coordinator: self, group, attempts: BTreeMap::new(), restore: BTreeMap::new() };
        let mut machine = machine;
        run.coordinator.job.enter(JobState::Pending);
        run.coordinator.directory.changed();
        // Slots are made on demand (contract B.3, dynamic slots).
        run.coordinator.job.events.push(Event::Granted, Payload::Nothing);
        loop {
            let (event, payload) = run.coordinator.job.events.next().await;
            let event = run.take(event, payload);
            for action in machine.step(event) {
                if run.perform(action) {
                    return;
                }
            }
        }
    }
}

struct Run {
    coordinator: Coordinator,
    group: WorkGroup,
    /// The newest attempt of each pipeline.
    attempts: BTreeMap<usize, Attempt>,
    /// The newest completed checkpoint of each pipeline.
    restore: BTreeMap<usize, RestorePoint>,
}

impl Run {
    /// Deals with what comes with an event, if it belongs to the newest attempt.
    fn take(&mut self, event: Event, payload: Payload) -> Event {
        match (event, payload) {
            (Event::Started { pipeline, attempt, .. }, Payload::Enumerated(listed)) => {
                let result = self.started(pipeline, attempt, listed);
                Event::Started { pipeline, attempt, result }
            }
            (event, payload) => {
                if let Event::Sealed { pipeline, attempt, .. } | Event::TaskEnded { pipeline, attempt, .. } = &event
                    && let Some(current) = self.attempts.get_mut(pipeline).filter(|current| current.number == *attempt)
                {
                    current.take(payload);
                }
                event
            }
        }
    }

    /// Performs an action; true when the job is over.
    fn perform(&mut self, action: Action) -> bool {
        match action {
            Action::Enter(state) => {
                self.coordinator.job.enter(state);
                self.coordinator.directory.changed();
                tracing::info!(job = self.coordinator.job.id(), name = %self.coordinator.job.name(), %state, "job state");
            }
            Action::PrepareTargets => self.prepare_targets(),
            Action::Start { pipeline, attempt } => self.start(pipeline, attempt),
            Action::Stop { pipeline, attempt } => self.stop(pipeline, attempt),
            Action::BeginCheckpoint { pipeline, checkpoint, .. } => {
                if let Some(current) = self.attempts.get(&pipeline) {
                    current.begin_checkpoint(checkpoint, self.coordinator.plan.pipelines[pipeline].parallelism);
                }
            }
            Action::Commit { pipeline, attempt, checkpoint } => self.commit(pipeline, attempt, checkpoint),
            Action::Abort { pipeline, attempt } => self.abort(pipeline, attempt),
            Action::ArmCheckpoint { pipeline, attempt } => {
                let interval = self.coordinator.checkpoint_interval.unwrap_or(Duration::MAX);
                self.later(interval, Event::CheckpointDue { pipeline, attempt });
            }
            Action::ArmCheckpointTimeout { pipeline, attempt, checkpoint } => {
                let expired = Event::CheckpointExpired { pipeline, attempt, checkpoint };
                self.later(self.coordinator.checkpoint_timeout, expired);
            }
            Action::ArmRetry { pipeline, attempt, cause } => {
                let interval = self.coordinator.retry_interval;
                let job = self.coordinator.job.id();
                tracing::warn!(job, pipeline = pipeline + 1, attempt, ?interval, cause, "pipeline restarts");
                self.later(interval, Event::RetryDue { pipeline, attempt });
            }
            Action::CheckSinks { group, sinks } => self.check_sinks(group, sinks),
            Action::End { state, error } => {
                let Coordinator { job, directory, settings, .. } = &self.coordinator;
                end(job, directory, settings, state, error);
                return true;
            }
        }
        false
    }

    /// Says an event after a time, unless the job ends before.
    fn later(&self, after: Duration, event: Event) {
        let job = Arc::clone(&self.coordinator.job);
        shard::spawn_local(async move {
            let due = async {
                shard::sleep(after).await;
                true
            };
            let over = async {
                job.ended().wait().await;
                false
            };
            if futures_lite::future::or(due, over).await {
                job.events.push(event, Payload::Nothing);
            }
        });
    }

    /// Runs something on the owner's work executor and says its result.
    fn on_work<F>(
        &self,
        say: impl FnOnce(Result<(), Failure>) -> Event + 'static,
        work: impl FnOnce() -> F + Send + Clone + 'static,
    ) where
        F: Future<Output = Result<(), TaskError>> + 'static,
    {
        let job = Arc::clone(&self.coordinator.job);
        let shards = self.coordinator.shards.clone();
        let group = self.group.clone();
        shard::spawn_local(async move {
            let deadline = std::time::Instant::now() + COMMIT_HANDOVER;
            let handle: Result<JoinHandle<_>, _> = loop {
                match shards.work(job.owner()).spawn_joined(&group, work.clone()) {
                    Err(_) if std::time::Instant::now() < deadline => shard::sleep(Duration::from_millis(10)).await,
                    handle => break handle,
                }
            };
            let result = match handle {
                Err(full) => Err(Failure { message: full.to_string(), retryable: true }),
                Ok(handle) => match handle.await {
                    Ok(result) => result.map_err(Failure::from),
                    Err(error) => Err(Failure { message: error.to_string(), retryable: false }),
                },
            };
            job.events.push(say(result), Payload::Nothing);
        });
    }

    fn prepare_targets(&self) {
        if self.coordinator.job.is_start_with_savepoint() {
            self.coordinator.job.events.push(Event::TargetsPrepared(Ok(())), Payload::Nothing);
            return;
        }
        let plan = Arc::clone(&self.coordinator.plan);
        self.on_work(Event::TargetsPrepared, move || async move {
            for sink in &plan.sinks {
                sink.prepare_target().await?;
            }
            Ok(())
        });
    }

    /// Lists the input where blocking is allowed; [`Run::started`] goes on from there.
    fn start(&self, pipeline: usize, attempt: u32) {
        let planned = &self.coordinator.plan.pipelines[pipeline];
        let (source, readers) = (Arc::clone(&planned.source), planned.parallelism);
        let job = Arc::clone(&self.coordinator.job);
        let listing = shard::run_blocking(move || source.enumerate(readers));
        shard::spawn_local(async move {
            let listed = match listing.await {
                Ok(listed) => listed,
                Err(error) => Err(TaskError::transient(format!("listing the input: {error}"))),
            };
            job.events.push(Event::Started { pipeline, attempt, result: Ok(()) }, Payload::Enumerated(listed));
        });
    }

    /// Starts the tasks of an attempt whose input is listed.
    fn started(
        &mut self,
        pipeline: usize,
        attempt: u32,
        listed: Result<Box<dyn SplitEnumerator>, TaskError>,
    ) -> Result<(), Failure> {
        let coordinator = &self.coordinator;
        let before = &coordinator.plan.pipelines[..pipeline];
        let spec = AttemptSpec {
            plan: &coordinator.plan,
            pipeline,
            attempt,
            job: &coordinator.job,
            shards: &coordinator.shards,
            group: &self.group,
            queue_bytes_max: coordinator.settings.queue_bytes_max,
            checkpointed: coordinator.checkpoint_interval.is_some(),
            limits: coordinator.limits,
            first_task: before.iter().map(Pipeline::task_count).sum(),
        };
        let started = Attempt::start(&spec, listed?, self.restore.get(&pipeline))?;
        self.attempts.insert(pipeline, started);
        let stats = self.attempts.values().flat_map(|attempt| attempt.stats.iter().cloned());
        self.coordinator.job.publish_tasks(stats.collect());
        Ok(())
    }

    fn stop(&self, pipeline: usize, attempt: u32) {
        let Some(current) = self.attempts.get(&pipeline).filter(|current| current.number == attempt) else { return };
        current.stop();
        // Tasks look at their flag between batches. One that does not get that far in time is dropped where it
        // stands, together with all others: its job is ending or its pipeline broken.
        let (job, group) = (Arc::clone(&self.coordinator.job), self.group.clone());
        let (timeout, live) = (self.coordinator.settings.stop_timeout, current.live());
        shard::spawn_local(async move {
            let late = async {
                shard::sleep(timeout).await;
                true
            };
            let over = async {
                job.ended().wait().await;
                false
            };
            if futures_lite::future::or(late, over).await && live.any() {
                tracing::warn!(job = job.id(), ?timeout, "tasks did not stop in time and are dropped");
                group.cancel();
            }
        });
    }

    fn commit(&mut self, pipeline: usize, attempt: u32, checkpoint: Option<u64>) {
        let Some(current) = self.attempts.get_mut(&pipeline) else { return };
        let planned = &self.coordinator.plan.pipelines[pipeline];
        let pieces = match checkpoint {
            None => current.rest(planned),
            Some(checkpoint) => {
                let (point, pieces) = current.complete(checkpoint, planned);
                self.restore.insert(pipeline, point);
                pieces
            }
        };
        let say = move |result| Event::Committed { pipeline, attempt, checkpoint, result };
        if pieces.0.is_empty() {
            self.coordinator.job.events.push(say(Ok(())), Payload::Nothing);
            return;
        }
        let (plan, pieces) = (Arc::clone(&self.coordinator.plan), Arc::new(pieces));
        self.on_work(say, move || async move {
            for (sink, pieces) in &pieces.0 {
                if let Some(mut committer) = plan.sinks[*sink].committer() {
                    committer.commit(pieces).await?;
                }
            }
            Ok(())
        });
    }

    fn abort(&mut self, pipeline: usize, attempt: u32) {
        let planned = &self.coordinator.plan.pipelines[pipeline];
        let current = self.attempts.get_mut(&pipeline).filter(|current| current.number == attempt);
        let pieces = current.map(|current| current.rest(planned)).unwrap_or_default();
        let say = move |_| Event::Aborted { pipeline, attempt };
        if pieces.0.is_empty() {
            self.coordinator.job.events.push(say(Ok(())), Payload::Nothing);
            return;
        }
        // The group may have been cancelled with the tasks; what they left behind is still to be cleared away.
        if self.group.is_cancelled() {
            self.group = WorkGroup::of_job(1, self.coordinator.job.id());
        }
        let (plan, pieces) = (Arc::clone(&self.coordinator.plan), Arc::new(pieces));
        self.on_work(say, move || async move {
            for (sink, pieces) in &pieces.0 {
                if let Some(mut committer) = plan.sinks[*sink].committer() {
                    committer.abort(pieces).await;
                }
            }
            Ok(())
        });
    }

    fn check_sinks(&self, group: usize, sinks: Vec<usize>) {
        let plan = Arc::clone(&self.coordinator.plan);
        let say = move |result| Event::SinksChecked { group, result };
        self.on_work(say, move || async move { sinks.iter().try_for_each(|sink| plan.sinks[*sink].finish()) });
    }
}

/// Puts a job into its final state, where everybody can see it, and forgets the oldest ones.
fn end(job: &Arc<JobEntry>, directory: &Directory, settings: &JobSettings, state: JobState, error: Option<String>) {
    let now = now_ms();
    match &error {
        Some(error) => tracing::info!(job = job.id(), name = %job.name(), %state, error, "job ended"),
        None => tracing::info!(job = job.id(), name = %job.name(), %state, "job ended"),
    }
    job.finish(state, error, now);
    directory.ended(job);
    directory.trim(settings.history_jobs_max, settings.forgotten_before(now));
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
