//! The life of a job as a pure state machine: events in, actions out, nothing done here (contract B.1 to B.7).
//!
//! The coordinator performs the actions and feeds back what happened. Because nothing here waits or reads a clock, a
//! seeded simulator can drive every order of events (see the tests).

mod commit;
mod event;
mod pipeline;
mod savepoint;
mod stop;

pub(super) use event::{Action, Event, Failure, PipelineShape, Refusal, TaskEnd};

use super::JobState;
use pipeline::{Phase, PipelineMachine};

/// How often a request for slots is repeated before the job fails (contract B.3).
const SLOT_RETRIES: u32 = 3;

/// The life of one job.
#[derive(Debug)]
pub(super) struct JobMachine {
    state: JobState,
    pipelines: Vec<PipelineMachine>,
    checkpoints: bool,
    slot_retries_left: u32,
    /// Somebody wants the job to stop at once.
    stop_requested: bool,
    /// Every pipeline is to be saved where it stands.
    saving: bool,
    /// Why the job fails, once it does.
    failure: Option<Failure>,
}

impl JobMachine {
    /// A job of these pipelines, restarted at most `restarts` times each, with checkpoints while it runs or without.
    pub fn new(pipelines: impl IntoIterator<Item = PipelineShape>, restarts: u32, checkpoints: bool) -> Self {
        Self {
            state: JobState::Pending,
            pipelines: pipelines.into_iter().map(|shape| PipelineMachine::new(shape, restarts)).collect(),
            checkpoints,
            slot_retries_left: SLOT_RETRIES,
            stop_requested: false,
            saving: false,
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
            Event::Granted => self.granted(actions),
            Event::SlotsRefused(refusal) => self.slots_refused(refusal, actions),
            Event::SlotRetryDue if self.state == JobState::Pending => actions.push(Action::RequestSlots),
            Event::SlotRetryDue => {}
            Event::TargetsPrepared(result) => self.targets_prepared(result, actions),
            Event::StopRequested => self.stop_requested(actions),
            Event::StopExpired => self.stop_expired(actions),
            Event::SavepointRequested => self.savepoint_requested(actions),
            Event::SavepointExpired => self.savepoint_expired(actions),
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
                    self.fail_pipeline(pipeline, Failure::expired(true), actions);
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

    fn granted(&mut self, actions: &mut Vec<Action>) {
        if self.state == JobState::Pending {
            self.enter(JobState::Scheduled, actions);
            actions.push(Action::PrepareTargets);
        }
    }

    fn slots_refused(&mut self, refusal: Refusal, actions: &mut Vec<Action>) {
        if self.state != JobState::Pending {
            return;
        }
        if !refusal.again || self.slot_retries_left == 0 {
            return self.end(JobState::Failed, Some(refusal.message), actions);
        }
        self.slot_retries_left -= 1;
        actions.push(Action::ArmSlotRetry { cause: refusal.message });
    }

    fn targets_prepared(&mut self, result: Result<(), Failure>, actions: &mut Vec<Action>) {
        if self.stop_requested {
            return self.end(JobState::Canceled, None, actions);
        }
        if let Some(failure) = &self.failure {
            let message = failure.message.clone();
            return self.end(JobState::Failed, Some(message), actions);
        }
        match result {
            Err(failure) => self.end(JobState::Failed, Some(failure.message), actions),
            // Nothing has begun: what the job was to go on from is its savepoint.
            Ok(()) if self.saving => self.end(JobState::SavepointDone, None, actions),
            Ok(()) => {
                self.enter(JobState::Running, actions);
                for pipeline in 0..self.pipelines.len() {
                    if self.pipelines[pipeline].phase == Phase::Created {
                        self.start(pipeline, 0, actions);
                    }
                }
                self.pipeline_over(actions);
            }
        }
    }

    /// Whether the targets are not prepared yet, so that no pipeline has begun.
    fn is_before_start(&self) -> bool {
        self.pipelines.iter().any(|machine| machine.phase == Phase::Created)
    }

    /// Ends the job when every pipeline is over.
    fn pipeline_over(&mut self, actions: &mut Vec<Action>) {
        if self.state.is_final() || !self.pipelines.iter().all(|machine| machine.phase.is_over()) {
            return;
        }
        let any = |phase: Phase| self.pipelines.iter().any(|machine| machine.phase == phase);
        let canceled = any(Phase::Canceled) || (self.stop_requested && any(Phase::Saved));
        let state = match &self.failure {
            Some(_) => JobState::Failed,
            None if canceled => JobState::Canceled,
            None if any(Phase::Saved) => JobState::SavepointDone,
            None => JobState::Finished,
        };
        let error = self.failure.as_ref().map(|failure| failure.message.clone());
        self.end(state, error, actions);
    }
}

#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;
