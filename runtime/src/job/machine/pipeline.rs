//! One pipeline: its start, its tasks, its checkpoints.

use super::{Action, Failure, JobMachine, PipelineShape, TaskEnd};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
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
    /// It can be gone on with from its newest completed checkpoint, or from the start if there is none.
    Saved,
}

impl Phase {
    /// Whether nothing more happens in it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Canceled | Self::Saved)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TaskProgress {
    pub ended: bool,
    /// Newest checkpoint that it has taken part in.
    pub sealed: u64,
}

#[derive(Debug)]
pub(super) struct PipelineMachine {
    pub phase: Phase,
    pub attempt: u32,
    pub tasks: Vec<TaskProgress>,
    pub restarts_left: u32,
    pub failure: Option<Failure>,
    /// Its tasks were told to stop.
    pub stopping: bool,
    /// Its savepoint is complete; its tasks were told to stop.
    pub saved: bool,
    /// The checkpoint that has begun and is not complete.
    pub in_flight: Option<u64>,
    /// A commit of a checkpoint is out.
    pub committing: bool,
    /// The checkpoint that is the pipeline's savepoint, once it has begun.
    pub savepoint: Option<u64>,
    /// Number of the newest checkpoint begun.
    pub checkpoint: u64,
    /// Sinks that it writes to.
    pub sinks: Vec<usize>,
}

impl PipelineMachine {
    pub fn new(shape: PipelineShape, restarts: u32) -> Self {
        Self {
            phase: if shape.finished { Phase::Finished } else { Phase::Created },
            attempt: 0,
            tasks: vec![TaskProgress::default(); shape.tasks],
            restarts_left: restarts,
            failure: None,
            stopping: false,
            saved: false,
            in_flight: None,
            committing: false,
            savepoint: None,
            checkpoint: shape.checkpoint,
            sinks: shape.sinks,
        }
    }

    /// Whether its tasks are told to stop, or are about to be.
    pub fn is_ending(&self) -> bool {
        self.stopping || self.saved || self.failure.is_some()
    }

    /// The number of a checkpoint that begins now.
    pub fn next_checkpoint(&mut self) -> u64 {
        self.checkpoint += 1;
        self.checkpoint
    }
}

impl JobMachine {
    pub(super) fn start(&mut self, pipeline: usize, attempt: u32, actions: &mut Vec<Action>) {
        let machine = &mut self.pipelines[pipeline];
        machine.phase = Phase::Starting;
        machine.attempt = attempt;
        machine.tasks.fill(TaskProgress::default());
        machine.failure = None;
        machine.in_flight = None;
        machine.committing = false;
        actions.push(Action::Start { pipeline, attempt });
    }

    pub(super) fn started(&mut self, pipeline: usize, result: Result<(), Failure>, actions: &mut Vec<Action>) {
        let (checkpoints, saving) = (self.checkpoints, self.saving);
        let machine = &mut self.pipelines[pipeline];
        let attempt = machine.attempt;
        match result {
            Ok(()) => {
                machine.phase = Phase::Running;
                if machine.is_ending() {
                    actions.push(Action::Stop { pipeline, attempt });
                } else if saving {
                    self.begin_checkpoint(pipeline, actions);
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

    pub(super) fn task_ended(&mut self, pipeline: usize, task: usize, end: TaskEnd, actions: &mut Vec<Action>) {
        self.pipelines[pipeline].tasks[task].ended = true;
        match end {
            TaskEnd::Finished => {}
            // What such a task does once its savepoint is complete no longer matters.
            TaskEnd::Failed(_) if self.pipelines[pipeline].saved => {}
            TaskEnd::Failed(failure) => self.fail_pipeline(pipeline, failure, actions),
            TaskEnd::Stopped => {
                if !self.pipelines[pipeline].is_ending() {
                    // Nobody told it to: a neighbour is gone and its own report is still on the way, or never comes.
                    let message = "a task stopped although nobody asked it to".to_owned();
                    self.fail_pipeline(pipeline, Failure { message, retryable: true }, actions);
                }
            }
        }
        self.settle(pipeline, actions);
    }

    /// Notes the first failure that tells something, and stops the other tasks.
    pub(super) fn fail_pipeline(&mut self, pipeline: usize, failure: Failure, actions: &mut Vec<Action>) {
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

    /// Begins a checkpoint unless one is on its way already; the one after it is begun when that is done.
    pub(super) fn begin_checkpoint(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let last = self.saving;
        let machine = &mut self.pipelines[pipeline];
        if machine.is_ending() || machine.in_flight.is_some() || machine.committing {
            return;
        }
        let (attempt, checkpoint) = (machine.attempt, machine.next_checkpoint());
        machine.in_flight = Some(checkpoint);
        actions.push(Action::BeginCheckpoint { pipeline, attempt, checkpoint, last });
        if last {
            // The whole savepoint has one timeout.
            machine.savepoint = Some(checkpoint);
        } else {
            actions.push(Action::ArmCheckpointTimeout { pipeline, attempt, checkpoint });
        }
    }

    /// Looks whether a checkpoint is complete or all tasks have ended, and goes on from there.
    pub(super) fn settle(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let saving = self.saving;
        let machine = &mut self.pipelines[pipeline];
        if machine.phase != Phase::Running {
            return;
        }
        let attempt = machine.attempt;
        if machine.tasks.iter().all(|task| task.ended) {
            machine.in_flight = None;
            if machine.committing {
                return;
            }
            if machine.is_ending() {
                machine.phase = Phase::Aborting;
                actions.push(Action::Abort { pipeline, attempt });
            } else if saving {
                // Everything is read: what is prepared is the savepoint. The sinks are asked when the job goes on.
                self.commit_savepoint(pipeline, actions);
            } else {
                machine.phase = Phase::Ready;
                self.ask_sinks(pipeline, actions);
            }
            return;
        }
        if let Some(checkpoint) = machine.in_flight
            && !machine.is_ending()
            && machine.tasks.iter().all(|task| task.ended || task.sealed == checkpoint)
        {
            machine.in_flight = None;
            machine.committing = true;
            actions.push(Action::Commit { pipeline, attempt, checkpoint: Some(checkpoint) });
        }
    }
}
