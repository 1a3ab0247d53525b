//! Stopping a job with a savepoint (contract B.7): every pipeline makes a last checkpoint, behind which its sources
//! read nothing, publishes it and stops. What a pipeline would be restarted from is then what the job goes on from.
//!
//! A pipeline that cannot make a checkpoint because it waits for its restart, or fails in a way that a restart may
//! mend, is saved where it would have been restarted from: that is as exact, only older. A failure that a restart
//! cannot mend, or a savepoint that takes too long, fails the job, which keeps its last checkpoints.

use super::pipeline::Phase;
use super::{Action, Failure, JobMachine, JobState};

impl JobMachine {
    pub(super) fn savepoint_requested(&mut self, actions: &mut Vec<Action>) {
        if self.stop_requested || self.saving {
            return;
        }
        match self.state {
            JobState::Pending => {
                self.enter(JobState::DoingSavepoint, actions);
                self.end(JobState::SavepointDone, None, actions);
            }
            JobState::Scheduled => self.begin_savepoint(actions),
            JobState::Running if self.pipelines.iter().any(|machine| machine.phase.can_be_saved()) => {
                self.begin_savepoint(actions);
                (0..self.pipelines.len()).for_each(|pipeline| self.save(pipeline, actions));
                self.pipeline_over(actions);
            }
            // Only last commits are out: the job finishes. Or it ends already.
            _ => {}
        }
    }

    fn begin_savepoint(&mut self, actions: &mut Vec<Action>) {
        self.saving = true;
        self.enter(JobState::DoingSavepoint, actions);
        actions.push(Action::ArmSavepointTimeout);
    }

    fn save(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        match self.pipelines[pipeline].phase {
            Phase::Running => self.begin_checkpoint(pipeline, actions),
            Phase::Ready => {
                self.pipelines[pipeline].phase = Phase::Running;
                self.commit_savepoint(pipeline, actions);
            }
            Phase::Waiting => self.pipelines[pipeline].phase = Phase::Saved,
            // Begun when it has started; decided when what it prepared is dropped; or beyond a savepoint.
            _ => {}
        }
    }

    /// All tasks have ended: what they prepared is published as the savepoint.
    pub(super) fn commit_savepoint(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let machine = &mut self.pipelines[pipeline];
        let (attempt, checkpoint) = (machine.attempt, machine.next_checkpoint());
        machine.savepoint = Some(checkpoint);
        machine.committing = true;
        actions.push(Action::Commit { pipeline, attempt, checkpoint: Some(checkpoint) });
    }

    /// The savepoint of a pipeline is published: its tasks have nothing more to do.
    pub(super) fn savepoint_complete(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let machine = &mut self.pipelines[pipeline];
        machine.saved = true;
        if machine.tasks.iter().any(|task| !task.ended) {
            actions.push(Action::Stop { pipeline, attempt: machine.attempt });
        }
    }

    pub(super) fn savepoint_expired(&mut self, actions: &mut Vec<Action>) {
        if !self.saving {
            return;
        }
        // What does not answer is given up: targets that are being prepared, and commits, which can be repeated when the
        // job goes on.
        let hangs =
            |phase: Phase| matches!(phase, Phase::Created | Phase::Checking | Phase::Committing | Phase::Aborting);
        if self.pipelines.iter().any(|machine| machine.committing || hangs(machine.phase)) {
            actions.push(Action::CancelWork);
        }
        self.fail_job(Failure::expired(false), actions);
        if !self.is_before_start() {
            self.pipeline_over(actions);
        }
    }
}

impl Phase {
    /// Whether there is something to go on with.
    fn can_be_saved(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Ready | Self::Aborting | Self::Waiting)
    }
}
