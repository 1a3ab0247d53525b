//! The machine by hand, and by a simulator that plays random orders of events from a seed.

use super::*;

fn lost(message: &str) -> Failure {
    Failure { message: message.into(), retryable: true }
}

fn broken(message: &str) -> Failure {
    Failure { message: message.into(), retryable: false }
}

/// Pipelines of so many tasks, all writing to one sink.
fn shapes(tasks: impl IntoIterator<Item = usize>) -> Vec<PipelineShape> {
    tasks.into_iter().map(|tasks| PipelineShape { tasks, sinks: vec![0] }).collect()
}

fn checked(group: usize, result: Result<(), Failure>) -> Event {
    Event::SinksChecked { group, result }
}

fn started(machine: &mut JobMachine) -> Vec<Action> {
    machine.step(Event::Granted);
    machine.step(Event::TargetsPrepared(Ok(())));
    let mut actions = Vec::new();
    for pipeline in 0..machine.pipelines.len() {
        actions.extend(machine.step(Event::Started { pipeline, attempt: 0, result: Ok(()) }));
    }
    actions
}

fn ended(task: usize, attempt: u32, end: TaskEnd) -> Event {
    Event::TaskEnded { pipeline: 0, attempt, task, end }
}

#[test]
fn a_job_finishes_after_the_sinks_consent_and_its_last_commit() {
    let mut machine = JobMachine::new(shapes([2]), 3, false);
    assert_eq!(machine.step(Event::Granted), [Action::Enter(JobState::Scheduled), Action::PrepareTargets]);
    assert_eq!(
        machine.step(Event::TargetsPrepared(Ok(()))),
        [Action::Enter(JobState::Running), Action::Start { pipeline: 0, attempt: 0 }]
    );
    assert_eq!(machine.step(Event::Started { pipeline: 0, attempt: 0, result: Ok(()) }), []);
    assert_eq!(machine.step(ended(1, 0, TaskEnd::Finished)), []);
    let check = Action::CheckSinks { group: 0, sinks: vec![0] };
    assert_eq!(machine.step(ended(0, 0, TaskEnd::Finished)), [check]);
    let commit = Action::Commit { pipeline: 0, attempt: 0, checkpoint: None };
    assert_eq!(machine.step(checked(0, Ok(()))), [commit]);
    assert_eq!(machine.step(checked(0, Ok(()))), [], "an answer counts once");
    let committed = Event::Committed { pipeline: 0, attempt: 0, checkpoint: None, result: Ok(()) };
    assert_eq!(machine.step(committed), [Action::End { state: JobState::Finished, error: None }]);
    assert_eq!(machine.step(Event::StopRequested), [], "a final state never changes");
}

#[test]
fn a_task_that_ends_before_its_pipeline_is_known_to_run_is_not_forgotten() {
    let mut machine = JobMachine::new(shapes([1]), 0, false);
    machine.step(Event::Granted);
    machine.step(Event::TargetsPrepared(Ok(())));
    assert_eq!(machine.step(ended(0, 0, TaskEnd::Finished)), []);
    let actions = machine.step(Event::Started { pipeline: 0, attempt: 0, result: Ok(()) });
    assert_eq!(actions, [Action::CheckSinks { group: 0, sinks: vec![0] }]);
}

/// Two pipelines: the first writes to the sinks 0 and 1, the second to 1 and 2.
fn two_pipelines(checkpoints: bool) -> JobMachine {
    let pipeline = |sinks: [usize; 2]| PipelineShape { tasks: 1, sinks: sinks.to_vec() };
    let mut machine = JobMachine::new([pipeline([0, 1]), pipeline([1, 2])], 0, checkpoints);
    started(&mut machine);
    machine
}

fn finished(pipeline: usize) -> Event {
    Event::TaskEnded { pipeline, attempt: 0, task: 0, end: TaskEnd::Finished }
}

#[test]
fn a_job_without_checkpoints_publishes_all_or_nothing() {
    let mut machine = two_pipelines(false);
    assert_eq!(machine.step(finished(1)), [], "it waits for the other one");
    assert_eq!(machine.step(finished(0)), [Action::CheckSinks { group: 0, sinks: vec![0, 1, 2] }]);
    let abort = |pipeline| Action::Abort { pipeline, attempt: 0 };
    assert_eq!(machine.step(checked(0, Err(lost("too few rows")))), [abort(0), abort(1)]);
    machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
    assert_eq!(
        machine.step(Event::Aborted { pipeline: 1, attempt: 0 }),
        [Action::End { state: JobState::Failed, error: Some("too few rows".into()) }]
    );
}

#[test]
fn a_pipeline_that_waits_for_the_others_is_dropped_with_them() {
    for by_hand in [true, false] {
        let mut machine = two_pipelines(false);
        machine.step(finished(0));
        let actions = if by_hand {
            machine.step(Event::StopRequested)
        } else {
            let end = TaskEnd::Failed(broken("bad row"));
            machine.step(Event::TaskEnded { pipeline: 1, attempt: 0, task: 0, end });
            machine.step(Event::Aborted { pipeline: 1, attempt: 0 })
        };
        assert!(actions.contains(&Action::Abort { pipeline: 0, attempt: 0 }), "{actions:?}");
        if by_hand {
            machine.step(Event::TaskEnded { pipeline: 1, attempt: 0, task: 0, end: TaskEnd::Stopped });
            machine.step(Event::Aborted { pipeline: 1, attempt: 0 });
        }
        let actions = machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
        let state = if by_hand { JobState::Canceled } else { JobState::Failed };
        assert!(matches!(&actions[..], [Action::End { state: ended, .. }] if *ended == state), "{actions:?}");
    }
}

#[test]
fn with_checkpoints_a_pipeline_commits_by_itself_and_a_shared_sink_is_asked_last() {
    let mut machine = two_pipelines(true);
    assert_eq!(machine.step(finished(0)), [Action::CheckSinks { group: 0, sinks: vec![0] }]);
    let commit = |pipeline| Action::Commit { pipeline, attempt: 0, checkpoint: None };
    assert_eq!(machine.step(checked(0, Ok(()))), [commit(0)]);
    assert_eq!(machine.step(finished(1)), [Action::CheckSinks { group: 1, sinks: vec![1, 2] }]);
    assert_eq!(machine.step(checked(1, Err(broken("no")))), [Action::Abort { pipeline: 1, attempt: 0 }]);
    machine.step(Event::Aborted { pipeline: 1, attempt: 0 });
    let committed = Event::Committed { pipeline: 0, attempt: 0, checkpoint: None, result: Ok(()) };
    let actions = machine.step(committed);
    assert_eq!(actions, [Action::End { state: JobState::Failed, error: Some("no".into()) }]);
}

#[test]
fn a_lost_task_restarts_its_pipeline_until_the_retries_are_used_up() {
    let mut machine = JobMachine::new(shapes([2]), 1, false);
    started(&mut machine);
    let stop = Action::Stop { pipeline: 0, attempt: 0 };
    assert_eq!(machine.step(ended(0, 0, TaskEnd::Failed(lost("disk")))), [stop]);
    assert_eq!(machine.step(ended(1, 0, TaskEnd::Stopped)), [Action::Abort { pipeline: 0, attempt: 0 }]);
    assert_eq!(
        machine.step(Event::Aborted { pipeline: 0, attempt: 0 }),
        [Action::ArmRetry { pipeline: 0, attempt: 0, cause: "disk".into() }]
    );
    assert_eq!(machine.state(), JobState::Running, "the job says RUNNING while a pipeline restarts");
    assert_eq!(machine.step(Event::RetryDue { pipeline: 0, attempt: 0 }), [Action::Start { pipeline: 0, attempt: 1 }]);
    machine.step(Event::Started { pipeline: 0, attempt: 1, result: Ok(()) });
    machine.step(ended(0, 0, TaskEnd::Finished));
    machine.step(ended(0, 1, TaskEnd::Failed(lost("disk again"))));
    machine.step(ended(1, 1, TaskEnd::Stopped));
    assert_eq!(
        machine.step(Event::Aborted { pipeline: 0, attempt: 1 }),
        [Action::Enter(JobState::Failing), Action::End { state: JobState::Failed, error: Some("disk again".into()) }]
    );
}

#[test]
fn a_failure_that_a_retry_cannot_mend_ends_the_job_at_once() {
    let mut machine = JobMachine::new(shapes([1, 1]), 3, false);
    started(&mut machine);
    machine.step(ended(0, 0, TaskEnd::Failed(broken("row 7 breaks the rule"))));
    let actions = machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
    assert_eq!(actions, [Action::Enter(JobState::Failing), Action::Stop { pipeline: 1, attempt: 0 }]);
    machine.step(Event::TaskEnded { pipeline: 1, attempt: 0, task: 0, end: TaskEnd::Stopped });
    let actions = machine.step(Event::Aborted { pipeline: 1, attempt: 0 });
    assert_eq!(actions, [Action::End { state: JobState::Failed, error: Some("row 7 breaks the rule".into()) }]);
}

#[test]
fn a_job_can_be_stopped_in_every_phase() {
    let mut pending = JobMachine::new(shapes([1]), 0, false);
    assert_eq!(pending.step(Event::StopRequested), [Action::End { state: JobState::Canceled, error: None }]);

    let mut scheduled = JobMachine::new(shapes([1]), 0, false);
    scheduled.step(Event::Granted);
    assert_eq!(scheduled.step(Event::StopRequested), [Action::Enter(JobState::Canceling)]);
    let actions = scheduled.step(Event::TargetsPrepared(Ok(())));
    assert_eq!(actions, [Action::End { state: JobState::Canceled, error: None }]);

    let mut starting = JobMachine::new(shapes([1]), 0, false);
    starting.step(Event::Granted);
    starting.step(Event::TargetsPrepared(Ok(())));
    assert_eq!(starting.step(Event::StopRequested), [Action::Enter(JobState::Canceling)]);
    let actions = starting.step(Event::Started { pipeline: 0, attempt: 0, result: Ok(()) });
    assert_eq!(actions, [Action::Stop { pipeline: 0, attempt: 0 }]);

    let mut waiting = JobMachine::new(shapes([1]), 1, false);
    started(&mut waiting);
    waiting.step(ended(0, 0, TaskEnd::Failed(lost("x"))));
    waiting.step(Event::Aborted { pipeline: 0, attempt: 0 });
    assert_eq!(
        waiting.step(Event::StopRequested),
        [Action::Enter(JobState::Canceling), Action::End { state: JobState::Canceled, error: None }]
    );
}

#[test]
fn a_checkpoint_is_committed_when_every_task_has_sealed_it_or_ended() {
    let mut machine = JobMachine::new(shapes([2]), 0, true);
    assert_eq!(started(&mut machine), [Action::ArmCheckpoint { pipeline: 0, attempt: 0 }]);
    let begun = machine.step(Event::CheckpointDue { pipeline: 0, attempt: 0 });
    assert_eq!(begun[0], Action::BeginCheckpoint { pipeline: 0, attempt: 0, checkpoint: 1 });
    let sealed = |task| Event::Sealed { pipeline: 0, attempt: 0, task, checkpoint: 1 };
    assert_eq!(machine.step(sealed(0)), []);
    assert_eq!(machine.step(ended(0, 0, TaskEnd::Finished)), [], "a task that sealed and ended counts once");
    assert_eq!(machine.step(sealed(1)), [Action::Commit { pipeline: 0, attempt: 0, checkpoint: Some(1) }]);
    assert_eq!(machine.step(ended(1, 0, TaskEnd::Finished)), [], "the last commit waits for the one that is out");
    let committed = Event::Committed { pipeline: 0, attempt: 0, checkpoint: Some(1), result: Ok(()) };
    assert_eq!(
        machine.step(committed),
        [Action::ArmCheckpoint { pipeline: 0, attempt: 0 }, Action::CheckSinks { group: 0, sinks: vec![0] }]
    );
}

#[test]
fn a_checkpoint_that_expires_fails_its_pipeline() {
    let mut machine = JobMachine::new(shapes([1]), 0, true);
    started(&mut machine);
    machine.step(Event::CheckpointDue { pipeline: 0, attempt: 0 });
    let expired = Event::CheckpointExpired { pipeline: 0, attempt: 0, checkpoint: 1 };
    assert_eq!(machine.step(expired), [Action::Stop { pipeline: 0, attempt: 0 }]);
    machine.step(ended(0, 0, TaskEnd::Stopped));
    let actions = machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
    assert!(matches!(&actions[1], Action::End { state: JobState::Failed, error: Some(text) }
        if text.starts_with("Checkpoint expired before completing.")));
}

/// The world around a machine: tasks, timers and commits that answer in any order.
struct Simulator {
    random: fastrand::Rng,
    machine: JobMachine,
    /// Events on their way.
    pending: Vec<Event>,
    /// Tasks that run, by pipeline: attempt, task, told to stop, checkpoint to seal.
    running: Vec<(usize, u32, usize, bool, u64)>,
    pipelines: Vec<PipelineShape>,
    checkpoints: bool,
    ended: Option<JobState>,
    /// Groups whose sinks agreed, and whether a commit failed.
    agreed: Vec<usize>,
    commit_failed: bool,
    /// Per pipeline: published for good, and dropped, of which attempt.
    commits: Vec<(usize, u32, Option<u64>)>,
    aborts: Vec<(usize, u32)>,
}

impl Simulator {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut shape = || {
            let sinks = (0..3).filter(|_| random.bool()).collect();
            PipelineShape { tasks: random.usize(1..4), sinks }
        };
        let pipelines: Vec<PipelineShape> = (0..1 + seed as usize % 3).map(|_| shape()).collect();
        let checkpoints = random.bool();
        let machine = JobMachine::new(pipelines.clone(), random.u32(0..3), checkpoints);
        let pending = vec![Event::Granted];
        Self {
            random,
            machine,
            pending,
            running: Vec::new(),
            pipelines,
            checkpoints,
            ended: None,
            agreed: Vec::new(),
            commit_failed: false,
            commits: Vec::new(),
            aborts: Vec::new(),
        }
    }

    fn result(&mut self, odds: u32) -> Result<(), Failure> {
        match self.random.u32(0..odds) {
            0 => Err(lost("world")),
            1 => Err(broken("data")),
            _ => Ok(()),
        }
    }

    fn perform(&mut self, action: Action) {
        assert_eq!(self.ended, None, "nothing is done after the end: {action:?}");
        match action {
            Action::Enter(state) => assert!(!state.is_final()),
            Action::PrepareTargets => {
                let result = self.result(30);
                self.pending.push(Event::TargetsPrepared(result));
            }
            Action::Start { pipeline, attempt } => {
                assert!(!self.running.iter().any(|task| task.0 == pipeline), "the attempt before is over");
                let result = self.result(30);
                if result.is_ok() {
                    self.running
                        .extend((0..self.pipelines[pipeline].tasks).map(|task| (pipeline, attempt, task, false, 0)));
                }
                self.pending.push(Event::Started { pipeline, attempt, result });
            }
            Action::Stop { pipeline, attempt } => {
                self.running
                    .iter_mut()
                    .filter(|task| (task.0, task.1) == (pipeline, attempt))
                    .for_each(|task| task.3 = true);
            }
            Action::BeginCheckpoint { pipeline, attempt, checkpoint } => {
                self.running
                    .iter_mut()
                    .filter(|task| (task.0, task.1) == (pipeline, attempt))
                    .for_each(|task| task.4 = checkpoint);
            }
            Action::Commit { pipeline, attempt, checkpoint } => {
                assert!(!self.aborts.contains(&(pipeline, attempt)), "what was dropped is not committed");
                if checkpoint.is_none() {
                    assert!(!self.running.iter().any(|task| task.0 == pipeline), "the last commit is the last");
                    let group = if self.checkpoints { pipeline } else { 0 };
                    assert!(self.agreed.contains(&group), "the sinks agree before the last commit");
                }
                self.commits.push((pipeline, attempt, checkpoint));
                let result = self.result(40);
                self.commit_failed |= result.is_err();
                self.pending.push(Event::Committed { pipeline, attempt, checkpoint, result });
            }
            Action::Abort { pipeline, attempt } => {
                assert!(!self.commits.contains(&(pipeline, attempt, None)), "what was committed is not dropped");
                assert!(!self.running.iter().any(|task| task.0 == pipeline), "nobody writes any more");
                self.aborts.push((pipeline, attempt));
                self.pending.push(Event::Aborted { pipeline, attempt });
            }
            Action::ArmCheckpoint { pipeline, attempt } => {
                self.pending.push(Event::CheckpointDue { pipeline, attempt })
            }
            Action::ArmCheckpointTimeout { pipeline, attempt, checkpoint } => {
                if self.random.u32(0..10) == 0 {
                    self.pending.push(Event::CheckpointExpired { pipeline, attempt, checkpoint });
                }
            }
            Action::ArmRetry { pipeline, attempt, .. } => self.pending.push(Event::RetryDue { pipeline, attempt }),
            Action::CheckSinks { group, sinks } => {
                // Whoever else writes to a sink that is asked has written everything.
                for (pipeline, shape) in self.pipelines.iter().enumerate() {
                    let asked = shape.sinks.iter().any(|sink| sinks.contains(sink));
                    assert!(!asked || !self.running.iter().any(|task| task.0 == pipeline));
                }
                let result = self.result(20);
                if result.is_ok() {
                    self.agreed.push(group);
                }
                self.pending.push(Event::SinksChecked { group, result });
            }
            Action::End { state, error } => {
                assert!(state.is_final());
                assert_eq!(error.is_some(), state == JobState::Failed);
                assert!(self.running.is_empty(), "a job ends after its tasks");
                let committed = |pipeline: usize| {
                    self.commits.iter().any(|(number, _, last)| *number == pipeline && last.is_none())
                };
                let published = (0..self.pipelines.len()).filter(|pipeline| committed(*pipeline)).count();
                if state == JobState::Finished {
                    assert_eq!(published, self.pipelines.len());
                } else if !self.checkpoints && !self.commit_failed {
                    assert_eq!(published, 0, "a job that did not finish has published nothing");
                }
                self.ended = Some(state);
            }
        }
    }

    /// Something that a running task does.
    fn task_acts(&mut self) -> Option<Event> {
        if self.running.is_empty() {
            return None;
        }
        let position = self.random.usize(0..self.running.len());
        let (pipeline, attempt, task, stopped, checkpoint) = self.running[position];
        if checkpoint > 0 && !stopped && self.random.bool() {
            self.running[position].4 = 0;
            return Some(Event::Sealed { pipeline, attempt, task, checkpoint });
        }
        let end = match self.random.u32(0..12) {
            _ if stopped => TaskEnd::Stopped,
            0 => TaskEnd::Failed(lost("gone")),
            1 => TaskEnd::Failed(broken("bad row")),
            2 => TaskEnd::Stopped,
            3..6 => TaskEnd::Finished,
            _ => return None,
        };
        self.running.swap_remove(position);
        Some(Event::TaskEnded { pipeline, attempt, task, end })
    }

    fn run(mut self) -> JobState {
        for _ in 0..10_000 {
            let event = if self.random.u32(0..60) == 0 {
                Some(Event::StopRequested)
            } else if self.pending.is_empty() || self.random.bool() {
                self.task_acts()
            } else {
                let position = self.random.usize(0..self.pending.len());
                Some(self.pending.swap_remove(position))
            };
            let Some(event) = event else { continue };
            for action in self.machine.step(event) {
                self.perform(action);
            }
            if let Some(state) = self.ended {
                assert_eq!(self.machine.state(), state);
                assert_eq!(self.machine.step(Event::StopRequested), []);
                return state;
            }
        }
        panic!("the job never ends: {:?}", self.machine);
    }
}

#[test]
fn every_order_of_events_ends_in_one_final_state() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..20_000 {
        let ended = std::panic::catch_unwind(|| Simulator::new(seed).run());
        match ended {
            Ok(state) => *seen.entry(state).or_insert(0) += 1,
            Err(panic) => panic!("seed {seed}: {}", crate::task::panic_text(&panic)),
        }
    }
    for state in [JobState::Finished, JobState::Failed, JobState::Canceled] {
        assert!(seen.get(&state).copied().unwrap_or(0) > 200, "{seen:?}");
    }
}
