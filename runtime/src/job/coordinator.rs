//! Runs one job: feeds its state machine and performs what it says. Lives on the owner shard's front executor.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_lite::FutureExt as _;

use super::attempt::{Attempt, AttemptSpec};
use super::directory::Directory;
use super::events::Payload;
use super::machine::{Action, Event, Failure, JobMachine, PipelineShape};
use super::saved::{SavedJob, SavedPipeline, Savepoints, SinkPieces, ends_of};
use super::slots::Slots;
use super::{JobEntry, JobSettings, JobState};
use crate::plan::{Pipeline, Plan};
use crate::plugin::{Prepared, SplitEnumerator, TaskError};
use crate::shard::{self, JoinHandle, Shards, WorkGroup};
use crate::task::{NodeTimes, ReadLimits, TaskTime, TaskTimes, panic_text};

/// How long a coordinator tries to hand a commit to a work executor whose mailbox is full.
const COMMIT_HANDOVER: Duration = Duration::from_secs(30);

/// What a coordinator needs.
pub(super) struct Coordinator {
    pub job: Arc<JobEntry>,
    pub plan: Arc<Plan>,
    pub shards: Shards,
    pub directory: Arc<Directory>,
    pub settings: Arc<JobSettings>,
    pub slots: Arc<Slots>,
    pub savepoints: Arc<Savepoints>,
    pub node_times: NodeTimes,
    /// What the job goes on from.
    pub saved: Option<Arc<SavedJob>>,
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
        let (directory, settings, slots) =
            (Arc::clone(&self.directory), Arc::clone(&self.settings), Arc::clone(&self.slots));
        if let Err(panic) = AssertUnwindSafe(self.coordinate()).catch_unwind().await {
            let error = format!("internal error: {}", panic_text(&panic));
            tracing::error!(job = job.id(), error, "the job's coordinator panicked");
            slots.release(&job);
            end(&job, &directory, &settings, JobState::Failed, Some(error));
        }
    }

    async fn coordinate(self) {
        let mut machine = JobMachine::new(self.shapes(), self.restarts, self.checkpoint_interval.is_some());
        let mut run = Run::new(self);
        run.coordinator.job.enter(JobState::Pending);
        run.coordinator.directory.changed();
        run.coordinator.slots.request(&run.coordinator.job);
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

    fn shapes(&self) -> Vec<PipelineShape> {
        let saved = |pipeline: usize| self.saved.as_ref().and_then(|saved| saved.pipelines.get(pipeline));
        let shape = |(number, pipeline): (usize, &Pipeline)| PipelineShape {
            tasks: pipeline.task_count(),
            sinks: pipeline.sinks(),
            checkpoint: saved(number).and_then(|saved| saved.point.as_ref()).map_or(0, |point| point.checkpoint),
            finished: saved(number).is_some_and(|saved| saved.finished),
        };
        self.plan.pipelines.iter().enumerate().map(shape).collect()
    }
}

struct Run {
    coordinator: Coordinator,
    group: WorkGroup,
    /// The newest attempt of each pipeline.
    attempts: BTreeMap<usize, Attempt>,
    /// Where each pipeline would go on, and what it left; in the order of the plan.
    pipelines: Vec<SavedPipeline>,
    targets_prepared: bool,
    /// Of the commits.
    times: Arc<TaskTimes>,
    /// All work was dropped; none is begun any more, save for clearing away.
    given_up: bool,
}

impl Run {
    fn new(coordinator: Coordinator) -> Self {
        let group = WorkGroup::of_job(1, coordinator.job.id());
        let fresh = || vec![SavedPipeline::default(); coordinator.plan.pipelines.len()];
        let pipelines = coordinator.saved.as_ref().map_or_else(fresh, |saved| saved.pipelines.clone());
        let targets_prepared = coordinator.saved.as_ref().is_some_and(|saved| saved.targets_prepared);
        let times = Arc::new(TaskTimes::default());
        coordinator.job.times().join([Arc::clone(&times)]);
        Self { coordinator, group, attempts: BTreeMap::new(), pipelines, targets_prepared, times, given_up: false }
    }

    /// Deals with what comes with an event, if it belongs to the newest attempt.
    fn take(&mut self, event: Event, payload: Payload) -> Event {
        if let Event::TaskEnded { .. } = &event {
            self.coordinator.job.times().fold_ended();
        }
        match (event, payload) {
            (Event::Started { pipeline, attempt, .. }, Payload::Enumerated(listed)) => {
                let result = self.started(pipeline, attempt, listed);
                Event::Started { pipeline, attempt, result }
            }
            (event @ Event::TargetsPrepared(Ok(())), _) => {
                self.targets_prepared = true;
                (0..self.pipelines.len()).for_each(|pipeline| self.published(pipeline));
                event
            }
            (event, payload) => {
                if let Event::Committed { pipeline, result: Ok(()), checkpoint, .. } = &event {
                    self.pipelines[*pipeline].finished |= checkpoint.is_none();
                    self.published(*pipeline);
                }
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
            Action::RequestSlots => self.coordinator.slots.request(&self.coordinator.job),
            Action::ArmSlotRetry { cause } => {
                let interval = self.coordinator.settings.slots.retry_interval;
                tracing::warn!(job = self.coordinator.job.id(), ?interval, cause, "no slots; they are asked for again");
                self.later(interval, Event::SlotRetryDue);
            }
            Action::PrepareTargets => self.prepare_targets(),
            Action::Start { pipeline, attempt } => self.start(pipeline, attempt),
            Action::Stop { pipeline, attempt } => self.stop(pipeline, attempt),
            Action::BeginCheckpoint { pipeline, checkpoint, last, .. } => {
                if let Some(current) = self.attempts.get_mut(&pipeline) {
                    current.begin_checkpoint(checkpoint, last, self.coordinator.plan.pipelines[pipeline].parallelism);
                }
            }
            Action::Commit { pipeline, attempt, checkpoint } => self.commit(pipeline, attempt, checkpoint),
            Action::Abort { pipeline, attempt } => self.abort(pipeline, attempt),
            Action::CancelWork => {
                tracing::warn!(job = self.coordinator.job.id(), "what has not ended in time is dropped");
                self.given_up = true;
                self.group.cancel();
            }
            Action::ArmCheckpoint { pipeline, attempt } => {
                let interval = self.coordinator.checkpoint_interval.unwrap_or(Duration::MAX);
                self.later(interval, Event::CheckpointDue { pipeline, attempt });
            }
            Action::ArmCheckpointTimeout { pipeline, attempt, checkpoint } => {
                let expired = Event::CheckpointExpired { pipeline, attempt, checkpoint };
                self.later(self.coordinator.checkpoint_timeout, expired);
            }
            Action::ArmSavepointTimeout => self.later(self.coordinator.checkpoint_timeout, Event::SavepointExpired),
            // Tasks that are deaf to their stop are dropped after one such time, and then clear away.
            Action::ArmStopTimeout => self.later(self.coordinator.settings.stop_timeout * 2, Event::StopExpired),
            Action::ArmRetry { pipeline, attempt, cause } => {
                let interval = self.coordinator.retry_interval;
                let job = self.coordinator.job.id();
                tracing::warn!(job, pipeline = pipeline + 1, attempt, ?interval, cause, "pipeline restarts");
                self.later(interval, Event::RetryDue { pipeline, attempt });
            }
            Action::CheckSinks { group, sinks } => self.check_sinks(group, sinks),
            Action::End { state, error } => {
                let (state, error) = self.save(state, error);
                let Coordinator { job, directory, settings, slots, .. } = &self.coordinator;
                // Whoever sees the job's end finds its slots free.
                slots.release(job);
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

    /// The group for further work. The one before may have been cancelled with tasks that did not stop; the job may go on
    /// without them, and what they left behind is still to be cleared away.
    fn renew_group(&mut self) {
        if self.group.is_cancelled() {
            self.group = WorkGroup::of_job(1, self.coordinator.job.id());
        }
    }

    /// Runs something on the owner's work executor and says its result.
    fn on_work<F>(
        &mut self,
        say: impl FnOnce(Result<(), Failure>) -> Event + 'static,
        work: impl FnOnce() -> F + Send + Clone + 'static,
    ) where
        F: Future<Output = Result<(), TaskError>> + 'static,
    {
        self.renew_group();
        let job = Arc::clone(&self.coordinator.job);
        let shards = self.coordinator.shards.clone();
        let group = self.group.clone();
        shard::spawn_local(async move {
            let deadline = Instant::now() + COMMIT_HANDOVER;
            let handle: Result<JoinHandle<_>, _> = loop {
                match shards.work(job.owner()).spawn_joined(&group, work.clone()) {
                    Err(_) if Instant::now() < deadline => shard::sleep(Duration::from_millis(10)).await,
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

    /// Carries out the save modes of the sinks. A job that goes on has that behind it; it publishes once more what its
    /// savepoint does not know to be published, and what sinks count in memory.
    fn prepare_targets(&mut self) {
        let prepare = !self.targets_prepared;
        let plan = Arc::clone(&self.coordinator.plan);
        let points = self.pipelines.iter().filter_map(|pipeline| pipeline.point.as_ref());
        let pieces: Arc<Vec<_>> = Arc::new(points.flat_map(|point| point.pieces.by_sink()).collect());
        if !prepare && pieces.is_empty() {
            self.coordinator.job.events.push(Event::TargetsPrepared(Ok(())), Payload::Nothing);
            return;
        }
        self.on_work(Event::TargetsPrepared, move || async move {
            for sink in plan.sinks.iter().filter(|_| prepare) {
                sink.prepare_target().await?;
            }
            publish(&plan, &pieces).await
        });
    }

    /// What a pipeline's newest checkpoint holds is published.
    fn published(&mut self, pipeline: usize) {
        if let Some(point) = &mut self.pipelines[pipeline].point {
            point.pieces.published(&self.coordinator.plan);
        }
    }

    /// Keeps what the job can be gone on from, or drops what it left before (contract B.7). A savepoint that is too large
    /// to be kept is a failure.
    fn save(&mut self, state: JobState, error: Option<String>) -> (JobState, Option<String>) {
        let Coordinator { job, plan, savepoints, settings, .. } = &self.coordinator;
        let pipelines = std::mem::take(&mut self.pipelines);
        // A job that failed before its first checkpoint leaves nothing that is better than its config.
        let holds_something = || pipelines.iter().any(|pipeline| pipeline.finished || pipeline.point.is_some());
        let keep = match state {
            JobState::SavepointDone => true,
            JobState::Failed => job.is_start_with_savepoint() || holds_something(),
            _ => false,
        };
        if !keep {
            savepoints.remove(job.id());
            return (state, error);
        }
        let saved = SavedJob { ends: ends_of(&plan.graph), pipelines, targets_prepared: self.targets_prepared };
        let Err(bytes) = savepoints.put(job.id(), saved) else { return (state, error) };
        let why = format!(
            "the job's state has {bytes} bytes and cannot be kept: {} are allowed (savepoints_bytes_max)",
            settings.savepoints_bytes_max
        );
        tracing::warn!(job = job.id(), "{why}");
        if state == JobState::SavepointDone { (JobState::Failed, Some(why)) } else { (state, error) }
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
        if self.given_up {
            return Err(Failure { message: "the job is being stopped".to_owned(), retryable: false });
        }
        self.renew_group();
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
            limits: coordinator.limits,
            node_times: &coordinator.node_times,
            first_task: before.iter().map(Pipeline::task_count).sum(),
        };
        let started = Attempt::start(&spec, listed?, self.pipelines[pipeline].point.as_ref())?;
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

    /// Makes the checkpoint what the pipeline goes on from, and publishes it.
    fn commit(&mut self, pipeline: usize, attempt: u32, checkpoint: Option<u64>) {
        let Some(current) = self.attempts.get_mut(&pipeline) else { return };
        let plan = Arc::clone(&self.coordinator.plan);
        let before = self.pipelines[pipeline].point.as_ref();
        let (mut point, fresh) = match checkpoint {
            None => current.complete_all(before),
            Some(checkpoint) => current.complete(checkpoint, before),
        };
        let mut pieces = SinkPieces::default();
        pieces.add(&plan.pipelines[pipeline], fresh.clone());
        point.pieces.add(&plan.pipelines[pipeline], fresh);
        self.pipelines[pipeline].point = Some(point);
        let pieces = pieces.by_sink();
        let say = move |result| Event::Committed { pipeline, attempt, checkpoint, result };
        if pieces.is_empty() {
            self.coordinator.job.events.push(say(Ok(())), Payload::Nothing);
            return;
        }
        let pieces = Arc::new(pieces);
        let (begun, times, node_times) = (Instant::now(), Arc::clone(&self.times), self.coordinator.node_times.clone());
        let timed = move |result: Result<(), Failure>| {
            if result.is_ok() {
                let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                node_times.record(&times, TaskTime::Commit, nanos);
            }
            say(result)
        };
        self.on_work(timed, move || async move { publish(&plan, &pieces).await });
    }

    fn abort(&mut self, pipeline: usize, attempt: u32) {
        let current = self.attempts.get_mut(&pipeline).filter(|current| current.number == attempt);
        let mut pieces = SinkPieces::default();
        if let Some(current) = current {
            pieces.add(&self.coordinator.plan.pipelines[pipeline], current.rest());
        }
        let say = move |_| Event::Aborted { pipeline, attempt };
        let pieces = pieces.by_sink();
        if pieces.is_empty() {
            self.coordinator.job.events.push(say(Ok(())), Payload::Nothing);
            return;
        }
        let (plan, pieces) = (Arc::clone(&self.coordinator.plan), Arc::new(pieces));
        let timeout = self.coordinator.settings.stop_timeout;
        self.on_work(say, move || async move {
            let clear_away = async {
                for (sink, pieces) in pieces.iter() {
                    if let Some(mut committer) = plan.sinks[*sink].committer() {
                        committer.abort(pieces).await;
                    }
                }
            };
            let late = async {
                shard::sleep(timeout).await;
                tracing::warn!(?timeout, "prepared pieces are left behind: dropping them takes too long");
            };
            futures_lite::future::or(clear_away, late).await;
            Ok(())
        });
    }

    fn check_sinks(&mut self, group: usize, sinks: Vec<usize>) {
        let plan = Arc::clone(&self.coordinator.plan);
        let say = move |result| Event::SinksChecked { group, result };
        self.on_work(say, move || async move { sinks.iter().try_for_each(|sink| plan.sinks[*sink].finish()) });
    }
}

/// Publishes pieces, sink by sink.
async fn publish(plan: &Plan, pieces: &[(usize, Vec<Prepared>)]) -> Result<(), TaskError> {
    for (sink, pieces) in pieces {
        if let Some(mut committer) = plan.sinks[*sink].committer() {
            committer.commit(pieces).await?;
        }
    }
    Ok(())
}

/// Puts a job into its final state, where everybody can see it, and forgets the oldest ones.
fn end(job: &Arc<JobEntry>, directory: &Directory, settings: &JobSettings, state: JobState, error: Option<String>) {
    let now = now_ms();
    match &error {
        Some(error) => tracing::info!(job = job.id(), name = %job.name(), %state, error, "job ended"),
        None => tracing::info!(job = job.id(), name = %job.name(), %state, "job ended"),
    }
    directory.end(job, state, error, now);
    directory.trim(settings.history_jobs_max, settings.forgotten_before(now));
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
