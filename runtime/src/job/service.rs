//! The way in: submit, stop, look up.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::coordinator::{Coordinator, now_ms};
use super::directory::Directory;
use super::entry::{NewJob, slots_of};
use super::events::Payload;
use super::machine::Event;
use super::refusal::config_errors;
use super::saved::{SavedJob, Savepoints};
use super::slots::Slots;
use super::timelines::Timelines;
use super::{JobEntry, JobIds, JobSettings, JobState, SavepointCounts, SlotCounts, Tags};
use crate::config::{Examined, JobConfig, Problems, ReadOptions, examine_job, read_utf8};
use crate::plan::{Plan, PlanOptions, plan, unset_variables};
use crate::plugin::{JobMode, Registry};
use crate::shard::{self, BlockingError, MailboxFull, Shards};
use crate::task::{NodeTimes, ReadLimits};

/// Name of a job that has none (contract A.4).
pub const DEFAULT_JOB_NAME: &str = "SeaTunnel_Job";

/// A job to be run.
#[derive(Debug)]
pub struct SubmitRequest {
    /// The config.
    pub config_text: Bytes,
    /// Name of the config in messages: a file name, or `<request body>`.
    pub source_name: String,
    /// How to read it.
    pub read: ReadOptions,
    /// The id to use; a new one when not given.
    pub job_id: Option<i64>,
    /// The name to use instead of the config's.
    pub job_name: Option<String>,
    /// Whether to go on from the job's savepoint.
    pub start_with_savepoint: bool,
}

/// An accepted job.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Id of the job.
    pub job_id: i64,
    /// Its name.
    pub job_name: Arc<str>,
    /// Warnings about its config.
    pub warnings: Problems,
    /// The job.
    pub job: Arc<JobEntry>,
}

/// Why a job was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The config is wrong.
    #[error("{}", config_errors(.0))]
    Invalid(Problems),
    /// The id belongs to a job that has ended (contract A.4).
    #[error("The job id {0} has already been submitted and is not starting with a savepoint.")]
    AlreadyUsed(i64),
    /// Too many jobs run or wait.
    #[error("{0} jobs are running or waiting, which is the limit (jobs_running_max); try again when some have ended")]
    TooMany(usize),
    /// The node has no room for the request now.
    #[error("the node is too busy to take a job now: {0}; try again")]
    Busy(String),
    /// As many jobs wait for slots as may.
    #[error("{0} jobs wait for slots, which is the limit (jobs_waiting_max); try again when some have ended")]
    TooManyWaiting(u64),
    /// Nobody said which job's savepoint (contract A.4).
    #[error("Please provide jobId when start with save point.")]
    SavepointWithoutId,
    /// The job left nothing to go on from.
    #[error(
        "There is no savepoint of job {0} to go on from: it was never stopped with one, has finished or was canceled \
         since, or another process or too many newer ones made this node forget it. Submit it without \
         isStartWithSavePoint, and with a new jobId, to begin at the start."
    )]
    NoSavepoint(i64),
    /// The job's savepoint is of another config.
    #[error("Job {job_id} cannot go on from its savepoint: {why}.")]
    OtherSavepoint {
        /// Id of the job.
        job_id: i64,
        /// What differs.
        why: String,
    },
    /// The node is being stopped.
    #[error("the node is being stopped and takes no jobs")]
    Stopping,
}

/// How many jobs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Not in a final state.
    pub running: usize,
    /// Ended and remembered.
    pub remembered: usize,
    /// Ended well since the node was started.
    pub finished: u64,
    /// Failed since the node was started.
    pub failed: u64,
    /// Stopped since the node was started.
    pub canceled: u64,
}

/// The jobs that are known now: those that have not ended, and the ended ones that are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobTally {
    /// By state, in the order of [`JobState::ALL`].
    pub by_state: [u64; JobState::ALL.len()],
    /// Slots that there are. Where they are made on demand (contract B.3), all there are have a job.
    pub slots_total: u64,
    /// Slots that jobs have.
    pub slots_assigned: u64,
}

impl JobTally {
    /// Jobs in this state.
    pub fn in_state(&self, state: JobState) -> u64 {
        self.by_state[state as usize]
    }

    /// Jobs in no final state.
    pub fn unfinished(&self) -> u64 {
        JobState::ALL.into_iter().filter(|state| !state.is_final()).map(|state| self.in_state(state)).sum()
    }
}

/// All jobs of a node. Clones are the same service; it may be used from every core.
#[derive(Clone)]
pub struct JobService(Arc<Inner>);

struct Inner {
    shards: Shards,
    registry: Arc<Registry>,
    directory: Arc<Directory>,
    settings: Arc<JobSettings>,
    slots: Arc<Slots>,
    savepoints: Arc<Savepoints>,
    times: NodeTimes,
    timelines: Arc<Timelines>,
    ids: JobIds,
    stopping: shard::Signal,
}

impl JobService {
    /// A service without jobs.
    pub fn new(shards: Shards, registry: Arc<Registry>, settings: JobSettings) -> Self {
        let directory = Arc::new(Directory::default());
        Self(Arc::new(Inner {
            times: NodeTimes::new(shards.len()),
            shards,
            registry,
            timelines: Timelines::new(Arc::clone(&directory), settings.timelines_bytes_max),
            directory,
            slots: Arc::new(Slots::new(settings.slots.clone())),
            savepoints: Arc::new(Savepoints::new(settings.savepoints_max, settings.savepoints_bytes_max)),
            settings: Arc::new(settings),
            ids: JobIds::default(),
            stopping: shard::Signal::new(),
        }))
    }

    /// The plugins that jobs may use.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// Accepts a job: reads its config, plans it, and hands it to its owner. Call it on an executor. A job that is
    /// accepted can be looked up on every core when this returns.
    ///
    /// An id that belongs to a running job is not an error: nothing is started (contract A.4). One that has ended can be
    /// gone on with if it left a savepoint.
    ///
    /// # Errors
    /// When the config is wrong or the node cannot take the job.
    pub async fn submit(&self, request: SubmitRequest) -> Result<Submitted, SubmitError> {
        let inner = &self.0;
        if inner.stopping.is_set() {
            return Err(SubmitError::Stopping);
        }
        let known = request.job_id.and_then(|id| self.job(id));
        let saved = match (known, request.job_id) {
            (Some(job), _) if !request.start_with_savepoint || !job.state().is_final() => return already_known(job),
            (known, Some(job_id)) if request.start_with_savepoint => {
                if let Some(job) = known {
                    // It is in its final state; in a moment it stands among the ended ones.
                    job.ended().wait().await;
                }
                Some(self.savepoint(job_id)?)
            }
            (_, None) if request.start_with_savepoint => return Err(SubmitError::SavepointWithoutId),
            _ => None,
        };
        let waiting = inner.slots.counts().jobs_waiting;
        if inner.slots.is_full() {
            return Err(SubmitError::TooManyWaiting(waiting));
        }
        let running = inner.directory.running_len();
        if running >= inner.settings.jobs_running_max {
            return Err(SubmitError::TooMany(running));
        }
        let job_id = request.job_id.unwrap_or_else(|| inner.ids.next());
        let registry = Arc::clone(&inner.registry);
        // Planning lists files and reads their headers.
        let planned = shard::run_blocking(move || read_and_plan(&request, job_id, &registry)).await;
        let planned = planned.map_err(|error| match error {
            BlockingError::Panicked(text) => SubmitError::Busy(format!("planning the job panicked: {text}")),
            error => SubmitError::Busy(error.to_string()),
        })??;
        self.launch(job_id, planned, saved)
    }

    fn savepoint(&self, job_id: i64) -> Result<Arc<SavedJob>, SubmitError> {
        self.0.savepoints.get(job_id).ok_or(SubmitError::NoSavepoint(job_id))
    }

    fn launch(&self, job_id: i64, planned: Planned, saved: Option<Arc<SavedJob>>) -> Result<Submitted, SubmitError> {
        let inner = &self.0;
        if let Some(why) = saved.as_ref().and_then(|saved| saved.mismatch(&planned.plan.graph)) {
            return Err(SubmitError::OtherSavepoint { job_id, why });
        }
        let env = &planned.config.env;
        let owner = inner.shards.owner(u64::try_from(job_id).unwrap_or(job_id.unsigned_abs()));
        let job = Arc::new(JobEntry::new(NewJob {
            id: job_id,
            name: Arc::clone(&planned.name),
            owner,
            created_ms: now_ms(),
            sequence: inner.directory.next_sequence(),
            env_options: env.flat.clone(),
            graph: Arc::clone(&planned.plan.graph),
            slots: slots_of(&planned.plan),
            tag_filter: env.tag_filter.clone(),
            start_with_savepoint: saved.is_some(),
        }));
        let inserted = match &saved {
            None => inner.directory.insert(Arc::clone(&job)),
            Some(_) => inner.directory.replace(Arc::clone(&job)),
        };
        if let Err(known) = inserted {
            return already_known(known);
        }
        // Another client may have gone on from it, and stopped the job again, since it was looked up.
        let is_newest =
            |saved: &Arc<SavedJob>| inner.savepoints.get(job_id).is_some_and(|newest| Arc::ptr_eq(&newest, saved));
        if !saved.as_ref().is_none_or(is_newest) {
            inner.directory.remove(&job);
            let why = "somebody else went on from it in the meantime".to_owned();
            return Err(SubmitError::OtherSavepoint { job_id, why });
        }
        let interval = env.checkpoint_interval.or(match env.mode {
            JobMode::Batch => None,
            JobMode::Streaming => Some(inner.settings.checkpoint_interval),
        });
        let is_given = |key: &str| env.flat.iter().any(|(name, _)| name == key);
        let coordinator = Coordinator {
            job: Arc::clone(&job),
            plan: Arc::new(planned.plan),
            shards: inner.shards.clone(),
            directory: Arc::clone(&inner.directory),
            settings: Arc::clone(&inner.settings),
            slots: Arc::clone(&inner.slots),
            savepoints: Arc::clone(&inner.savepoints),
            node_times: inner.times.clone(),
            saved,
            restarts: if is_given("job.retry.times") { env.retry_times } else { inner.settings.retry_times },
            retry_interval: if is_given("job.retry.interval.seconds") {
                env.retry_interval
            } else {
                inner.settings.retry_interval
            },
            checkpoint_interval: interval,
            checkpoint_timeout: env.checkpoint_timeout.unwrap_or(inner.settings.checkpoint_timeout),
            limits: ReadLimits { rows_per_second: env.rows_per_second_max, bytes_per_second: env.bytes_per_second_max },
        };
        let sent: Result<(), MailboxFull> = inner.shards.front(owner).spawn(move || coordinator.run());
        if let Err(full) = sent {
            inner.directory.remove(&job);
            return Err(SubmitError::Busy(full.to_string()));
        }
        tracing::info!(job = job_id, name = %job.name(), shard = owner.0, "Init JobMaster for Job {} ({job_id})", job.name());
        Ok(Submitted { job_id, job_name: planned.name, warnings: planned.warnings, job })
    }

    /// Tells a job to stop, with a savepoint or at once; false when there is no such job running. The job's state tells
    /// when it has stopped.
    pub fn stop(&self, job_id: i64, savepoint: bool) -> bool {
        let Some(job) = self.job(job_id).filter(|job| !job.state().is_final()) else { return false };
        if savepoint {
            job.request_savepoint();
        } else {
            job.request_stop();
        }
        true
    }

    /// The node's tags; none until somebody has set some.
    pub fn tags(&self) -> Arc<Tags> {
        self.0.slots.tags().unwrap_or_default()
    }

    /// Replaces the node's tags. From then on jobs run here only if these hold all that their `env.tag_filter` asks for;
    /// those that run go on.
    pub fn set_tags(&self, tags: Tags) {
        self.0.slots.set_tags(tags);
    }

    /// Slots, and jobs that wait for some.
    pub fn slots(&self) -> SlotCounts {
        self.0.slots.counts()
    }

    /// What node and jobs have done lately, second by second. Nothing is noted before
    /// [`Timelines::start`](super::Timelines::start).
    pub fn timelines(&self) -> &Arc<Timelines> {
        &self.0.timelines
    }

    /// What is kept of jobs that can be gone on with.
    pub fn savepoints(&self) -> SavepointCounts {
        self.0.savepoints.counts()
    }

    /// How long the batches, checkpoints and commits of all jobs took since the start, by shard.
    pub fn times(&self) -> &NodeTimes {
        &self.0.times
    }

    /// The job of this id, running or ended.
    pub fn job(&self, job_id: i64) -> Option<Arc<JobEntry>> {
        self.0.directory.get(job_id)
    }

    /// Jobs that are not in a final state, in the order of their submission.
    pub fn running(&self) -> Vec<Arc<JobEntry>> {
        self.0.directory.running()
    }

    /// At most so many of the jobs that have not ended, the one that was submitted last first. Some may just have ended.
    pub fn newest_running(&self, jobs_max: usize) -> Vec<Arc<JobEntry>> {
        self.0.directory.newest_running(jobs_max)
    }

    /// At most so many of the remembered jobs that ended before this one of them, or of all: the one that ended last
    /// first.
    pub fn ended_before(&self, job: Option<&JobEntry>, jobs_max: usize) -> Vec<Arc<JobEntry>> {
        self.0.directory.ended_before(job, jobs_max)
    }

    /// Ended jobs, of one state or all, in the order of their end.
    pub fn finished(&self, state: Option<JobState>) -> Vec<Arc<JobEntry>> {
        self.0.directory.finished(state)
    }

    /// Forgets ended jobs that are too old. The end of a job does so by itself; a node on which none ends is to call this
    /// now and then.
    pub fn forget_old(&self) {
        let settings = &self.0.settings;
        self.0.directory.trim(settings.history_jobs_max, settings.forgotten_before(now_ms()));
    }

    /// A number that changes with every submission and every change of a job's state.
    pub fn version(&self) -> u64 {
        self.0.directory.version()
    }

    /// How many jobs there are.
    pub fn counts(&self) -> JobCounts {
        let directory = &self.0.directory;
        JobCounts {
            running: directory.running_len(),
            remembered: directory.finished_len(),
            finished: directory.ended_count(JobState::Finished),
            failed: directory.ended_count(JobState::Failed),
            canceled: directory.ended_count(JobState::Canceled),
        }
    }

    /// The jobs that are known now, counted by state, and the node's slots.
    pub fn tally(&self) -> JobTally {
        let mut tally = self.0.directory.tally();
        let slots = self.slots();
        (tally.slots_total, tally.slots_assigned) = match slots.total {
            Some(total) => (total, slots.assigned),
            None => (tally.slots_assigned, tally.slots_assigned),
        };
        tally
    }

    /// Takes no more jobs, stops those that run, newest first, and waits for their end, at most for `timeout`. Gives
    /// the number of jobs that did not end. Blocks: call it on a plain thread.
    pub fn stop_all(&self, timeout: Duration) -> usize {
        self.0.stopping.set();
        let jobs = self.running();
        jobs.iter().rev().for_each(|job| job.request_stop());
        let deadline = Instant::now() + timeout;
        jobs.iter().filter(|job| !job.wait_until(deadline)).count()
    }
}

/// A job that is known already: running, its submission is a silent no-op; ended, it is refused (contract A.4).
fn already_known(job: Arc<JobEntry>) -> Result<Submitted, SubmitError> {
    if job.state().is_final() {
        return Err(SubmitError::AlreadyUsed(job.id()));
    }
    let job_name = Arc::clone(job.name());
    Ok(Submitted { job_id: job.id(), job_name, warnings: Problems::default(), job })
}

struct Planned {
    name: Arc<str>,
    config: JobConfig,
    plan: Plan,
    warnings: Problems,
}

/// Reads and plans a config; all problems of both steps are told together.
fn read_and_plan(request: &SubmitRequest, job_id: i64, registry: &Registry) -> Result<Planned, SubmitError> {
    let text = read_utf8(&request.config_text, &request.source_name)
        .map_err(|problem| SubmitError::Invalid(problem.into()))?;
    let Examined { job: config, mut problems, unset } = examine_job(text, &request.source_name, &request.read);
    problems.append(unset_variables(unset, &config, registry));
    let given = request.job_name.as_deref().filter(|name| !name.is_empty());
    let name: Arc<str> = Arc::from(given.or(config.env.job_name.as_deref()).unwrap_or(DEFAULT_JOB_NAME));
    let options = PlanOptions {
        job_id: u64::try_from(job_id).unwrap_or_default(),
        job_name: Arc::clone(&name),
        restored: request.start_with_savepoint,
    };
    match plan(&config, registry, &options) {
        Ok((plan, more)) if !problems.has_errors() => {
            problems.append(more);
            for warning in problems.iter() {
                tracing::info!(job = job_id, "{warning}");
            }
            Ok(Planned { name, config, plan, warnings: problems })
        }
        Ok((_, more)) | Err(more) => {
            problems.append(more);
            problems.sort_by_position();
            Err(SubmitError::Invalid(problems))
        }
    }
}

impl JobEntry {
    /// Asks the coordinator to stop the job, once.
    fn request_stop(&self) {
        if self.stop_requested.set() {
            self.events.push(Event::StopRequested, Payload::Nothing);
        }
    }

    /// Asks the coordinator to stop the job with a savepoint, once.
    fn request_savepoint(&self) {
        if self.savepoint_requested.set() {
            self.events.push(Event::SavepointRequested, Payload::Nothing);
        }
    }

    /// Waits for the job's end; false when `deadline` comes first. Blocks: call it on a plain thread.
    pub fn wait_until(&self, deadline: Instant) -> bool {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut context = Context::from_waker(&waker);
        let mut ended = pin!(self.ended().wait());
        loop {
            if ended.as_mut().poll(&mut context).is_ready() {
                return true;
            }
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            std::thread::park_timeout(deadline - now);
        }
    }
}
