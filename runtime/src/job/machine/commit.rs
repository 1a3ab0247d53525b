//! Publishing and dropping what pipelines have prepared, and what follows.

use super::pipeline::Phase;
use super::{Action, Failure, JobMachine, JobState};

impl JobMachine {
    /// Pipelines whose last commits begin together, once their sinks agree.
    ///
    /// A job without checkpoints publishes nothing before its end, so all of it is one group: it publishes everything
    /// or nothing. With checkpoints a pipeline has published most of its rows already, and its last ones must not wait
    /// for a pipeline that may run for ever: each is a group of its own.
    fn group_of(&self, pipeline: usize) -> usize {
        if self.checkpoints { pipeline } else { 0 }
    }

    /// Pipelines of a group, without those that had finished before the savepoint that the job goes on from.
    fn members(&self, group: usize) -> Vec<usize> {
        let open = |pipeline: &usize| self.pipelines[*pipeline].phase != Phase::Finished;
        (0..self.pipelines.len()).filter(|pipeline| self.group_of(*pipeline) == group).filter(open).collect()
    }

    /// Asks the sinks of a group when all its pipelines are ready. A sink that a pipeline outside of the group still
    /// writes to is left out: the last pipeline that ends has it asked.
    pub(super) fn ask_sinks(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
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
    pub(super) fn sinks_checked(&mut self, group: usize, result: Result<(), Failure>, actions: &mut Vec<Action>) {
        for pipeline in self.members(group) {
            let machine = &mut self.pipelines[pipeline];
            let attempt = machine.attempt;
            if machine.phase != Phase::Checking {
                continue;
            }
            match &result {
                Ok(()) if machine.stopping => {
                    machine.phase = Phase::Aborting;
                    actions.push(Action::Abort { pipeline, attempt });
                }
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

    pub(super) fn committed(
        &mut self,
        pipeline: usize,
        checkpoint: Option<u64>,
        result: Result<(), Failure>,
        actions: &mut Vec<Action>,
    ) {
        let machine = &mut self.pipelines[pipeline];
        match checkpoint {
            None if machine.phase == Phase::Committing => match result {
                Ok(()) => {
                    machine.phase = Phase::Finished;
                    self.pipeline_over(actions);
                }
                // What is sealed stays sealed: a commit can be repeated, the rows cannot be written again.
                Err(failure) => self.fail_for_good(pipeline, failure, actions),
            },
            Some(checkpoint) if machine.committing => {
                machine.committing = false;
                match result {
                    Ok(()) if machine.is_ending() => {}
                    Ok(()) if machine.savepoint == Some(checkpoint) => self.savepoint_complete(pipeline, actions),
                    Ok(()) => self.checkpoint_complete(pipeline, actions),
                    Err(failure) => self.fail_pipeline(pipeline, Failure { retryable: false, ..failure }, actions),
                }
                self.settle(pipeline, actions);
            }
            _ => {}
        }
    }

    /// The next checkpoint is due after a while, or is the savepoint that waits for this one.
    fn checkpoint_complete(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let machine = &self.pipelines[pipeline];
        if machine.phase != Phase::Running {
            return;
        }
        if !self.saving {
            actions.push(Action::ArmCheckpoint { pipeline, attempt: machine.attempt });
        } else if machine.tasks.iter().any(|task| !task.ended) {
            self.begin_checkpoint(pipeline, actions);
        }
    }

    pub(super) fn aborted(&mut self, pipeline: usize, actions: &mut Vec<Action>) {
        let saving = self.saving;
        let machine = &mut self.pipelines[pipeline];
        if machine.stopping {
            machine.phase = Phase::Canceled;
            return self.pipeline_over(actions);
        }
        match machine.failure.clone() {
            Some(failure) if failure.retryable && machine.restarts_left > 0 => {
                if saving {
                    // Where it would have been restarted from is where the job goes on.
                    machine.phase = Phase::Saved;
                    return self.pipeline_over(actions);
                }
                machine.restarts_left -= 1;
                machine.phase = Phase::Waiting;
                let (attempt, cause) = (machine.attempt, failure.message);
                actions.push(Action::ArmRetry { pipeline, attempt, cause });
            }
            Some(failure) => self.fail_for_good(pipeline, failure, actions),
            None => {
                machine.phase = if machine.saved { Phase::Saved } else { Phase::Canceled };
                self.pipeline_over(actions);
            }
        }
    }

    pub(super) fn fail_for_good(&mut self, pipeline: usize, failure: Failure, actions: &mut Vec<Action>) {
        self.pipelines[pipeline].phase = Phase::Failed;
        self.fail_job(failure, actions);
        self.pipeline_over(actions);
    }

    /// The job fails: what still runs is stopped.
    pub(super) fn fail_job(&mut self, failure: Failure, actions: &mut Vec<Action>) {
        self.failure.get_or_insert(failure);
        self.saving = false;
        let first = !self.stop_requested && self.state != JobState::Failing;
        if first {
            self.enter(JobState::Failing, actions);
        }
        self.stop_pipelines(actions);
        if first && !self.pipelines.iter().all(|machine| machine.phase.is_over()) {
            actions.push(Action::ArmStopTimeout);
        }
    }
}
