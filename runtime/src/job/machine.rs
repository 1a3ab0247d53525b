//! The life of a job as a pure state machine: events in, actions out, nothing done here (contract B.1 to B.7).
//!
//! The coordinator performs the actions and feeds back what happened. Because nothing here waits or reads a clock, a
//! seeded simulator can drive every order of events (see the tests).

use super::JobState;

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The whole text.
    pub message: String,
    /// Whether a restart may help.
    pub retryable: bool,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaskEnd {
    /// At the end of its input.
    Finished,
    /// Because it was told to, or a neighbour went away.
    Stopped,
    /// By itself.
    Failed(Failure),
}

/// What happened. Events of an attempt that is over are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Slots are granted.
    Granted,
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
    /// The sinks agree to the last commits of a group, or not. `group` as in [`Action::CheckSinks`].
    SinksChecked { group: usize, result: Result<(), Failure> },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The job is now in this state.
    Enter(JobState),
    /// Bring the sinks' targets into shape; answer [`Event::TargetsPrepared`].
    PrepareTargets,
    /// Start the tasks of a pipeline, from its newest completed checkpoint if there is one; answer
    /// [`Event::Started`], then [`Event::TaskEnded`] for each task.
    Start { pipeline: usize, attempt: u32 },
    /// Tell the tasks of a pipeline to stop.
    Stop { pipeline: usize, attempt: u32 },
    /// Tell the source tasks to begin a checkpoint; answer [`Event::Sealed`] for each task that is still running.
    BeginCheckpoint { pipeline: usize, attempt: u32, checkpoint: u64 },
    /// Make the checkpoint the newest completed one and publish what was prepared for it, with everything that ended
    /// tasks have prepared; `None`: all tasks have ended, publish everything. Answer [`Event::Committed`].
    Commit { pipeline: usize, attempt: u32, checkpoint: Option<u64> },
    /// Drop what was prepared and not committed; answer [`Event::Aborted`].
    Abort { pipeline: usize, attempt: u32 },
    /// After the checkpoint interval say [`Event::CheckpointDue`].
    ArmCheckpoint { pipeline: usize, attempt: u32 },
    /// After the checkpoint timeout say [`Event::CheckpointExpired`].
    ArmCheckpointTimeout { pipeline: usize, attempt: u32, checkpoint: u64 },
    /// The attempt failed of this cause; after the retry interval say [`Event::RetryDue`].
    ArmRetry { pipeline: usize, attempt: u32, cause: String },
    /// Ask these sinks whether all is well, before the last commits of a group of pipelines; answer
    /// [`Event::SinksChecked`].
    CheckSinks { group: usize, sinks: Vec<usize> },
    /// The job is over: a final state, and why if it failed. Always the last action.
    End { state: JobState, error: Option<String> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not started yet.
    Created,
    /// [`Action::Start`] is out.
    Starting,
    Running,
    /// All tasks ended well; the last commit waits for the other pipelines of its group.
    Ready,
    /// The sinks are being asked whether all is well.
    Checking,
    /// All tasks ended well; the last commit is out.
    Committing,
    /// All tasks ended; what they prepared is being dropped.
    Aborting,
    /// Between two attempts.
    Waiting,
    Finished,
    Failed,
    Canceled,
}

#[derive(Clone, Copy, Debug, Default)]
struct TaskProgress {
    ended: bool,
    /// Newest checkpoint that it has taken part in.
    sealed: u64,
}

#[derive(Debug)]
struct PipelineMachine {
    phase: Phase,
    attempt: u32,
    tasks: Vec<TaskProgress>,
    restarts_left: u32,
    failure: Option<Failure>,
    /// Its tasks were told to stop.
    stopping: bool,
    /// The checkpoint that has begun and is not complete.
    in_flight: Option<u64>,
    /// A commit of a checkpoint is out.
    committing: bool,
    /// Number of the newest checkpoint begun.
    checkpoint: u64,
    /// Sinks that it writes to.
    sinks: Vec<usize>,
}

/// What the machine knows of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PipelineShape {
    /// Its tasks.
    pub tasks: usize,
    /// Sinks that it writes to, by their position in the plan.
    pub sinks: Vec<usize>,
}

/// The life of one job.
#[derive(Debug)]
pub(super) struct JobMachine {
    state: JobState,
    pipelines: Vec<PipelineMachine>,
    checkpoints: bool,
    stop_requested: bool,
    /// Why the job fails, once it does.
    failure: Option<Failure>,
}

impl JobMachine {
    /// A job of these pipelines, restarted at most `restarts` times each, with checkpoints while it runs or without.
    pub fn new(pipelines: impl IntoIterator<Item = PipelineShape>, restarts: u32, checkpoints: bool) -> Self {
        let pipeline = |shape: PipelineShape| PipelineMachine {
            phase: Phase::Created,
            attempt: 0,
            tasks: vec![TaskProgress::default(); shape.tasks],
            sinks: shape.sinks,
            restarts_left: restarts,
            failure: None,
            stopping: false,
            in_flight: None,
            committing: false,
            checkpoint: 0,
        };
        Self {
            state: JobState::Pending,
            pipelines: pipelines.into_iter().map(pipeline).collect(),
            checkpoints,
            stop_requested: false,
            failure: None,
        }
    }

    #[cfg(test)]
    pub fn state(&self) -> JobState {
        self.state
    }

    /// Takes an event; gives what to do, in order. After [`Action::End`] every event is ignored.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.state.is_final() {
            self.take(event, &mut actions);
        }
        actions
    }

    fn take(&mut self, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Granted if self.state == JobState::Pending => {
                self.enter(JobState::Scheduled, actions);
                actions.push(Action::PrepareTargets);
            }
            Event::Granted => {}
            Event::TargetsPrepared(result) => self.targets_prepared(result, actions),
            Event::StopRequested => self.stop_requested(actions),
            Event::SinksChecked { group, result } => self.sinks_checked(group, result, actions),
            Event::Started { pipeline, attempt, result } => {
                if self.is_current(pipeline, attempt, Phase::Starting) {
                    self.started(pipeline, result, actions);
                }
            }
            Event::TaskEnded { pipeline, attempt, task, end } => {
                // A task may end before its pipeline is known to have started.
                if self.is_current(pipeline, attempt, Phase::Running)
                    || self.is_current(pipeline, attempt, Phase::Starting)
                {
                    self.task_ended(pipeline, task, end, actions);
                }
            }
            Event::CheckpointDue { pipeline, attempt } => {
                if self.is_current(pipeline, attempt, Phase::Running) {
                    self.begin_checkpoint(pipeline, actions);
                }
            }
            Event::Sealed { pipeline, attempt, task, checkpoint } => {
                let machine = &mut self.pipelines[pipeline];
                if machine.attempt == attempt && machine.in_flight == Some(checkpoint) {
                    machine.tasks[task].sealed = checkpoint;
                    self.settle(pipeline, actions);
                }
            }
            Event::CheckpointExpired { pipeline, attempt, checkpoint } => {
                let in_flight = self.pipelines[pipeline].in_flight;
                if self.is_current(pipeline, attempt, Phase::Running) && in_flight == Some(checkpoint) {
                    let message = "Checkpoint expired before completing. Please increase checkpoint timeout in the seatunnel.yaml or jobConfig env.";
                    self.fail_pipeline(pipeline, Failure { message: message.into(), retryable: true }, actions);
                    self.settle(pipeline, actions);
                }
            }
            Event::Committed { pipeline, attempt, checkpoint, result } => {
                if self.pipelines[pipeline].attempt == attempt {
                    self.committed(pipeline, checkpoint, result, actions);
                }
            }
            Event::Aborted { pipeline, attempt } => {
                if self.is_current(pipeline, attempt, Phase::Aborting) {
                    self.aborted(pipeline, actions);
                }
            }
            Event::RetryDue { pipeline, attempt } => {
                if self.is_current(pipeline, attempt, Phase::Waiting) {
                    self.start(pipeline, attempt + 1, actions);
                }
            }
        }
    }

    fn is_current(&self, pipeline: usize, attempt: u32, phase: Phase) -> bool {
        let machine = &self.pipelines[pipeline];
        machine.attempt == attempt && machine.phase == phase
    }

    fn enter(&mut self, state: JobState, actions: &mut Vec<Action>) {
        if self.state != state {
            self.state = state;
            actions.push(Action::Enter(state));
        }
    }

    fn end(&mut self, state: JobState, error: Option<String>, actions: &mut Vec<Action>) {
        self.state = state;
        actions.push(Action::End { state, error });
    }

    fn targets_prepared(&mut self, result: Result<(), Failure>, actions: &mut Vec<Action>) {
        if self.stop_requested {
            return self.end(JobState::Canceled, None, actions);
        }
        match result {
            Err(failure) => self.end(JobState::Failed, Some(failure.message), actions),
            Ok(()) => {
                self.enter(JobState::Running, actions);
                (0..self.pipelines.len()).for_each(|pipeline| self.start(pipeline, 0, actions));
            }
        }
    }

    fn start(&mut self, pipeline: usize, attempt: u32, actions: &mut Vec<Action>) {
        let machine = &mut self.pipelines[pipeline];
        machine.phase = Phase::Starting;
        machine.attempt = attempt;
        machine.tasks.fill(TaskProgress::default());
        machine.failure = None;
        machine.in_flight = None;
        machine.committing = false;
        actions.push(Action::Start { pipeline, attempt });
    }

    fn started(&mut self, pipeline: usize, result: Result<(), Failure>, actions: &mut Vec<Action>) {
        let checkpoints = self.checkpoints;
        let machine = &mut self.pipelines[pipeline];
        let attempt = machine.attempt;
        match result {
            Ok(()) => {
                machine.phase = Phase::Running;
                if machine.stopping || machine.failure.is_some() {
                    actions.push(Action::Stop { pipeline, attempt });
                } else if checkpoints {
                    actions.push(Action::ArmCheckpoint { pipeline, attempt });
                }
                self.settle(pipeline, actions);
            }
            Err(failure) => {
                machine.failure.get_or_insert(failure);
                machine.phase = Phase::Aborting;
                actions.push(Action::Abort { pipeline, attempt });
            }
        }
    }

    fn task_ended(&mut self, pipeline: usize, task: usize, end: TaskEnd, actions: &mut Vec<Action>) {
        self.pipelines[pipeline].tasks[task].ended = true;
        match end {
            TaskEnd::Finished => {}
            TaskEnd::Failed(failure) => self.fail_pipeline(pipeline, failure, actions),
            TaskEnd::Stopped => {
                let machine = &mut self.pipelines[pipeline];
                if !machine.stopping && machine.failure.is_none() {
                    // Nobody told it to: a neighbour is gone and its own report is still on the way, or never comes.
                    let message = "a task stopped although nobody asked it to".to_owned();
                    self.fail_pipeline(pipeline, Failure { message, retryable: true }, actions);
                }
            }
        }
        self.settle(pipeline, actions);
    }

    /// Notes the first failure that tells something, and stops the other tasks.
    fn fail_pipeline(&mut self, pipeline: usize, failure: Failure, actions: &mut Vec<Action>) {
        let machine = &mut self.pipelines[pipeline];
        let first = machine.failure.is_none();
        let better = machine.failure.as_ref().is_some_and(|known| known.retryable && !failure.retryable);
        if first || better {
            machine.failure = Some(failure);
        }
        if first && machine.phase == Phase::Running {
            actions.push(Action::Stop { pipeline, attempt: machine.attempt });
        }
    }

    fn begin_checkpoint(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let machine = &mut self.pipelines[pipeline];
        if machine.stopping || machine.failure.is_some() || machine.in_flight.is_some() || machine.committing {
            return;
        }
        machine.checkpoint += 1;
        let (attempt, checkpoint) = (machine.attempt, machine.checkpoint);
        machine.in_flight = Some(checkpoint);
        actions.push(Action::BeginCheckpoint { pipeline, attempt, checkpoint });
        actions.push(Action::ArmCheckpointTimeout { pipeline, attempt, checkpoint });
    }

    /// Looks whether a checkpoint is complete or all tasks have ended, and goes on from there.
    fn settle(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let machine = &mut self.pipelines[pipeline];
        if machine.phase != Phase::Running {
            return;
        }
        let attempt = machine.attempt;
        let broken = machine.stopping || machine.failure.is_some();
        if machine.tasks.iter().all(|task| task.ended) {
            machine.in_flight = None;
            if machine.committing {
                return;
            }
            if broken {
                machine.phase = Phase::Aborting;
                actions.push(Action::Abort { pipeline, attempt });
            } else {
                machine.phase = Phase::Ready;
                self.ask_sinks(pipeline, actions);
            }
            return;
        }
        if let Some(checkpoint) = machine.in_flight
            && !broken
            && machine.tasks.iter().all(|task| task.ended || task.sealed == checkpoint)
        {
            machine.in_flight = None;
            machine.committing = true;
            actions.push(Action::Commit { pipeline, attempt, checkpoint: Some(checkpoint) });
        }
    }

    /// Pipelines whose last commits begin together, once their sinks agree.
    ///
    /// A job without checkpoints publishes nothing before its end, so all of it is one group: it publishes everything
    /// or nothing. With checkpoints a pipeline has published most of its rows already, and its last ones must not wait
    /// for a pipeline that may run for ever: each is a group of its own.
    fn group_of(&self, pipeline: usize) -> usize {
        if self.checkpoints { pipeline } else { 0 }
    }

    fn members(&self, group: usize) -> Vec<usize> {
        (0..self.pipelines.len()).filter(|pipeline| self.group_of(*pipeline) == group).collect()
    }

    /// Asks the sinks of a group when all its pipelines are ready. A sink that a pipeline outside of the group still
    /// writes to is left out: the last pipeline that ends has it asked.
    fn ask_sinks(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let group = self.group_of(pipeline);
        let members = self.members(group);
        if members.iter().any(|member| self.pipelines[*member].phase != Phase::Ready) {
            return;
        }
        let written =
            |phase: Phase| matches!(phase, Phase::Ready | Phase::Checking | Phase::Committing | Phase::Finished);
        let open: Vec<usize> =
            self.pipelines.iter().filter(|other| !written(other.phase)).flat_map(|other| other.sinks.clone()).collect();
        let mut sinks: Vec<usize> = members.iter().flat_map(|member| self.pipelines[*member].sinks.clone()).collect();
        sinks.retain(|sink| !open.contains(sink));
        sinks.sort_unstable();
        sinks.dedup();
        members.iter().for_each(|member| self.pipelines[*member].phase = Phase::Checking);
        actions.push(Action::CheckSinks { group, sinks });
    }

    /// Begins the last commits of a group, or drops everything that its pipelines have prepared.
    fn sinks_checked(&mut self, group: usize, result: Result<(), Failure>, actions: &mut Vec<Action>) {
        for pipeline in self.members(group) {
            let machine = &mut self.pipelines[pipeline];
            let attempt = machine.attempt;
            if machine.phase != Phase::Checking {
                continue;
            }
            match &result {
                Ok(()) => {
                    machine.phase = Phase::Committing;
                    actions.push(Action::Commit { pipeline, attempt, checkpoint: None });
                }
                Err(failure) => {
                    // The rows are what they are: reading them again does not help.
                    machine.failure = Some(Failure { retryable: false, ..failure.clone() });
                    machine.phase = Phase::Aborting;
                    actions.push(Action::Abort { pipeline, attempt });
                }
            }
        }
    }

    fn committed(
        &mut self,
        pipeline: usize,
        checkpoint: Option<u64>,
        result: Result<(), Failure>,
        actions: &mut Vec<Action>,
    ) {
        let machine = &mut self.pipelines[pipeline];
        let attempt = machine.attempt;
        match checkpoint {
            None if machine.phase == Phase::Committing => match result {
                Ok(()) => {
                    machine.phase = Phase::Finished;
                    self.pipeline_over(actions);
                }
                // What is sealed stays sealed: a commit can be repeated, the rows cannot be written again.
                Err(failure) => self.fail_for_good(pipeline, failure, actions),
            },
            Some(_) if machine.committing => {
                machine.committing = false;
                match result {
                    Ok(()) if machine.phase == Phase::Running && !machine.stopping && machine.failure.is_none() => {
                        actions.push(Action::ArmCheckpoint { pipeline, attempt });
                    }
                    Ok(()) => {}
                    Err(failure) => self.fail_pipeline(pipeline, Failure { retryable: false, ..failure }, actions),
                }
                self.settle(pipeline, actions);
            }
            _ => {}
        }
    }

    fn aborted(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let machine = &mut self.pipelines[pipeline];
        if machine.stopping {
            machine.phase = Phase::Canceled;
            return self.pipeline_over(actions);
        }
        match machine.failure.clone() {
            Some(failure) if failure.retryable && machine.restarts_left > 0 => {
                machine.restarts_left -= 1;
                machine.phase = Phase::Waiting;
                let (attempt, cause) = (machine.attempt, failure.message);
                actions.push(Action::ArmRetry { pipeline, attempt, cause });
            }
            Some(failure) => self.fail_for_good(pipeline, failure, actions),
            None => {
                machine.phase = Phase::Canceled;
                self.pipeline_over(actions);
            }
        }
    }

    fn fail_for_good(&mut self, pipeline: usize, failure: Failure, actions: &mut Vec<Action>) {
        self.pipelines[pipeline].phase = Phase::Failed;
        if self.failure.is_none() {
            self.failure = Some(failure);
        }
        if !self.stop_requested {
            self.enter(JobState::Failing, actions);
        }
        self.stop_pipelines(actions);
        self.pipeline_over(actions);
    }

    fn stop_requested(&mut self, actions: &mut Vec<Action>) {
        if self.stop_requested {
            return;
        }
        self.stop_requested = true;
        match self.state {
            JobState::Pending => return self.end(JobState::Canceled, None, actions),
            // A job that fails already goes on failing.
            JobState::Failing => return,
            _ => {}
        }
        self.enter(JobState::Canceling, actions);
        self.stop_pipelines(actions);
        if !self.pipelines.is_empty() && self.pipelines.iter().all(|machine| machine.phase != Phase::Created) {
            self.pipeline_over(actions);
        }
    }

    fn stop_pipelines(&mut self, actions: &mut Vec<Action>) {
        for (pipeline, machine) in self.pipelines.iter_mut().enumerate() {
            if machine.stopping {
                continue;
            }
            match machine.phase {
                Phase::Running => {
                    machine.stopping = true;
                    actions.push(Action::Stop { pipeline, attempt: machine.attempt });
                }
                Phase::Starting | Phase::Aborting => machine.stopping = true,
                Phase::Ready => {
                    machine.stopping = true;
                    machine.phase = Phase::Aborting;
                    actions.push(Action::Abort { pipeline, attempt: machine.attempt });
                }
                Phase::Waiting => machine.phase = Phase::Canceled,
                // A last commit that is out, or only waits for its sinks, is let through: its rows are all there.
                Phase::Created
                | Phase::Checking
                | Phase::Committing
                | Phase::Finished
                | Phase::Failed
                | Phase::Canceled => {}
            }
        }
    }

    /// Ends the job when every pipeline is over.
    fn pipeline_over(&mut self, actions: &mut Vec<Action>) {
        let over = |phase| matches!(phase, Phase::Finished | Phase::Failed | Phase::Canceled);
        if self.state.is_final() || !self.pipelines.iter().all(|machine| over(machine.phase)) {
            return;
        }
        if let Some(failure) = &self.failure {
            let message = failure.message.clone();
            return self.end(JobState::Failed, Some(message), actions);
        }
        if self.pipelines.iter().any(|machine| machine.phase == Phase::Canceled) {
            return self.end(JobState::Canceled, None, actions);
        }
        self.end(JobState::Finished, None, actions);
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
