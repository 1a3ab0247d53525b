//! Stopping a job: at once, or when it has had all its time.

use super::pipeline::Phase;
use super::{Action, JobMachine, JobState};

impl JobMachine {
    pub(super) fn stop_requested(&mut self, actions: &mut Vec<Action>) {
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
        // Whoever stops a job that makes its savepoint does not want that any more.
        self.saving = false;
        self.enter(JobState::Canceling, actions);
        self.stop_pipelines(actions);
        if self.pipelines.iter().all(|machine| machine.phase.is_over()) {
            self.pipeline_over(actions);
        } else {
            actions.push(Action::ArmStopTimeout);
        }
    }

    pub(super) fn stop_pipelines(&mut self, actions: &mut Vec<Action>) {
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
                | Phase::Canceled
                | Phase::Saved => {}
            }
        }
    }

    /// What has not stopped by now is dropped where it stands. Listing the input is on a thread that cannot be
    /// interrupted; nobody waits for it any more.
    pub(super) fn stop_expired(&mut self, actions: &mut Vec<Action>) {
        if !matches!(self.state, JobState::Canceling | JobState::Failing) {
            return;
        }
        actions.push(Action::CancelWork);
        for machine in &mut self.pipelines {
            match machine.phase {
                Phase::Starting => machine.phase = Phase::Canceled,
                // Its sinks will not answer; what they prepared is dropped.
                Phase::Checking => machine.stopping = true,
                _ => {}
            }
        }
        if !self.is_before_start() {
            self.pipeline_over(actions);
        }
    }
}
