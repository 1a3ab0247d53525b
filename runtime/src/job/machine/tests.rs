//! The machine by hand.

use super::*;

pub(super) fn lost(message: &str) -> Failure {
    Failure { message: message.into(), retryable: true }
}

pub(super) fn broken(message: &str) -> Failure {
    Failure { message: message.into(), retryable: false }
}

/// Pipelines of so many tasks, all writing to one sink.
fn shapes(tasks: impl IntoIterator<Item = usize>) -> Vec<PipelineShape> {
    tasks.into_iter().map(|tasks| PipelineShape { tasks, sinks: vec![0], ..PipelineShape::default() }).collect()
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
    let pipeline = |sinks: [usize; 2]| PipelineShape { tasks: 1, sinks: sinks.to_vec(), ..PipelineShape::default() };
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
    let stop = Action::Stop { pipeline: 1, attempt: 0 };
    assert_eq!(actions, [Action::Enter(JobState::Failing), stop, Action::ArmStopTimeout]);
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
    assert_eq!(scheduled.step(Event::StopRequested), [Action::Enter(JobState::Canceling), Action::ArmStopTimeout]);
    let actions = scheduled.step(Event::TargetsPrepared(Ok(())));
    assert_eq!(actions, [Action::End { state: JobState::Canceled, error: None }]);

    let mut starting = JobMachine::new(shapes([1]), 0, false);
    starting.step(Event::Granted);
    starting.step(Event::TargetsPrepared(Ok(())));
    assert_eq!(starting.step(Event::StopRequested), [Action::Enter(JobState::Canceling), Action::ArmStopTimeout]);
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
    assert_eq!(begun[0], Action::BeginCheckpoint { pipeline: 0, attempt: 0, checkpoint: 1, last: false });
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

fn refused(again: bool) -> Event {
    Event::SlotsRefused(Refusal { message: "can't apply resource".into(), again })
}

#[test]
fn a_job_without_slots_asks_three_times_more_and_fails() {
    let mut machine = JobMachine::new(shapes([1]), 3, false);
    for _ in 0..3 {
        assert_eq!(machine.step(refused(true)), [Action::ArmSlotRetry { cause: "can't apply resource".into() }]);
        assert_eq!(machine.state(), JobState::Pending);
        assert_eq!(machine.step(Event::SlotRetryDue), [Action::RequestSlots]);
    }
    let failed = || Action::End { state: JobState::Failed, error: Some("can't apply resource".into()) };
    assert_eq!(machine.step(refused(true)), [failed()]);
    let mut machine = JobMachine::new(shapes([1]), 3, false);
    assert_eq!(machine.step(refused(false)), [failed()], "asking again would not help");
}

#[test]
fn a_request_for_slots_may_be_granted_late_or_given_up() {
    let mut machine = JobMachine::new(shapes([1]), 3, false);
    machine.step(refused(true));
    assert_eq!(machine.step(Event::Granted), [Action::Enter(JobState::Scheduled), Action::PrepareTargets]);
    assert_eq!(machine.step(Event::SlotRetryDue), []);
    assert_eq!(machine.step(refused(true)), [], "it has its slots");
}

/// The last checkpoint of a pipeline.
fn last(pipeline: usize, checkpoint: u64) -> Action {
    Action::BeginCheckpoint { pipeline, attempt: 0, checkpoint, last: true }
}

const DOING: Action = Action::Enter(JobState::DoingSavepoint);
const DONE: Action = Action::End { state: JobState::SavepointDone, error: None };

fn sealed(pipeline: usize, task: usize, checkpoint: u64) -> Event {
    Event::Sealed { pipeline, attempt: 0, task, checkpoint }
}

fn commit(pipeline: usize, checkpoint: u64) -> Action {
    Action::Commit { pipeline, attempt: 0, checkpoint: Some(checkpoint) }
}

fn committed(pipeline: usize, checkpoint: u64, result: Result<(), Failure>) -> Event {
    Event::Committed { pipeline, attempt: 0, checkpoint: Some(checkpoint), result }
}

#[test]
fn a_savepoint_is_a_last_checkpoint_of_every_pipeline() {
    for checkpoints in [false, true] {
        let mut machine = JobMachine::new(shapes([2, 1]), 0, checkpoints);
        started(&mut machine);
        let begun = machine.step(Event::SavepointRequested);
        assert_eq!(begun, [DOING, Action::ArmSavepointTimeout, last(0, 1), last(1, 1)]);
        assert_eq!(machine.step(Event::SavepointRequested), [], "asked twice, made once");
        assert_eq!(machine.step(Event::CheckpointDue { pipeline: 0, attempt: 0 }), []);
        assert_eq!(machine.step(sealed(0, 0, 1)), []);
        assert_eq!(machine.step(sealed(0, 1, 1)), [commit(0, 1)]);
        assert_eq!(machine.step(committed(0, 1, Ok(()))), [Action::Stop { pipeline: 0, attempt: 0 }]);
        machine.step(ended(0, 0, TaskEnd::Stopped));
        assert_eq!(machine.step(ended(1, 0, TaskEnd::Stopped)), [Action::Abort { pipeline: 0, attempt: 0 }]);
        assert_eq!(machine.step(Event::Aborted { pipeline: 0, attempt: 0 }), [], "the other one is not done");
        // The other one has read everything before it heard of the savepoint.
        assert_eq!(machine.step(finished(1)), [commit(1, 2)]);
        assert_eq!(machine.step(committed(1, 2, Ok(()))), [Action::Abort { pipeline: 1, attempt: 0 }]);
        assert_eq!(machine.step(Event::Aborted { pipeline: 1, attempt: 0 }), [DONE]);
    }
}

#[test]
fn a_savepoint_waits_for_the_checkpoint_before_it() {
    let mut machine = JobMachine::new(shapes([1]), 0, true);
    started(&mut machine);
    machine.step(Event::CheckpointDue { pipeline: 0, attempt: 0 });
    assert_eq!(machine.step(Event::SavepointRequested), [DOING, Action::ArmSavepointTimeout]);
    assert_eq!(machine.step(sealed(0, 0, 1)), [commit(0, 1)]);
    assert_eq!(machine.step(committed(0, 1, Ok(()))), [last(0, 2)]);
}

#[test]
fn a_job_that_has_not_begun_is_saved_as_it_stands() {
    let mut pending = JobMachine::new(shapes([1]), 0, false);
    assert_eq!(pending.step(Event::SavepointRequested), [DOING, DONE]);
    let mut scheduled = JobMachine::new(shapes([1]), 0, false);
    scheduled.step(Event::Granted);
    assert_eq!(scheduled.step(Event::SavepointRequested), [DOING, Action::ArmSavepointTimeout]);
    assert_eq!(scheduled.step(Event::TargetsPrepared(Ok(()))), [DONE]);
    let mut starting = JobMachine::new(shapes([1]), 0, false);
    starting.step(Event::Granted);
    starting.step(Event::TargetsPrepared(Ok(())));
    assert_eq!(starting.step(Event::SavepointRequested), [DOING, Action::ArmSavepointTimeout]);
    assert_eq!(starting.step(Event::Started { pipeline: 0, attempt: 0, result: Ok(()) }), [last(0, 1)]);
}

#[test]
fn a_pipeline_between_two_attempts_is_saved_where_it_would_restart() {
    // It waits for its restart.
    let mut machine = JobMachine::new(shapes([1]), 1, true);
    started(&mut machine);
    machine.step(ended(0, 0, TaskEnd::Failed(lost("disk"))));
    machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
    assert_eq!(machine.step(Event::SavepointRequested), [DOING, Action::ArmSavepointTimeout, DONE]);
    // It fails while the savepoint is made.
    let mut machine = JobMachine::new(shapes([1]), 1, true);
    started(&mut machine);
    machine.step(Event::SavepointRequested);
    machine.step(ended(0, 0, TaskEnd::Failed(lost("disk"))));
    assert_eq!(machine.step(Event::Aborted { pipeline: 0, attempt: 0 }), [DONE]);
    // A restart would not help: the job fails.
    let mut machine = JobMachine::new(shapes([1]), 1, true);
    started(&mut machine);
    machine.step(Event::SavepointRequested);
    machine.step(ended(0, 0, TaskEnd::Failed(broken("bad row"))));
    let actions = machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
    let failed = Action::End { state: JobState::Failed, error: Some("bad row".into()) };
    assert_eq!(actions, [Action::Enter(JobState::Failing), failed]);
}

#[test]
fn a_job_whose_last_commits_are_out_finishes_whatever_is_asked() {
    let mut machine = JobMachine::new(shapes([1]), 0, false);
    started(&mut machine);
    machine.step(finished(0));
    assert_eq!(machine.step(Event::SavepointRequested), []);
    machine.step(checked(0, Ok(())));
    let committed = Event::Committed { pipeline: 0, attempt: 0, checkpoint: None, result: Ok(()) };
    assert_eq!(machine.step(committed), [Action::End { state: JobState::Finished, error: None }]);
}

#[test]
fn a_pipeline_that_waits_for_the_others_is_saved_too() {
    let mut machine = two_pipelines(false);
    machine.step(finished(0));
    let begun = machine.step(Event::SavepointRequested);
    assert_eq!(begun, [DOING, Action::ArmSavepointTimeout, commit(0, 1), last(1, 1)]);
    assert_eq!(machine.step(committed(0, 1, Ok(()))), [Action::Abort { pipeline: 0, attempt: 0 }]);
}

#[test]
fn a_stop_during_a_savepoint_cancels_the_job() {
    let mut machine = JobMachine::new(shapes([1, 1]), 0, false);
    started(&mut machine);
    machine.step(Event::SavepointRequested);
    machine.step(sealed(0, 0, 1));
    machine.step(committed(0, 1, Ok(())));
    machine.step(ended(0, 0, TaskEnd::Stopped));
    machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
    let stop = Action::Stop { pipeline: 1, attempt: 0 };
    let canceling = Action::Enter(JobState::Canceling);
    assert_eq!(machine.step(Event::StopRequested), [canceling, stop, Action::ArmStopTimeout]);
    assert_eq!(machine.step(Event::SavepointExpired), []);
    machine.step(Event::TaskEnded { pipeline: 1, attempt: 0, task: 0, end: TaskEnd::Stopped });
    let actions = machine.step(Event::Aborted { pipeline: 1, attempt: 0 });
    assert_eq!(actions, [Action::End { state: JobState::Canceled, error: None }]);
}

#[test]
fn a_savepoint_that_takes_too_long_fails_the_job() {
    let mut machine = JobMachine::new(shapes([1]), 3, false);
    started(&mut machine);
    machine.step(Event::SavepointRequested);
    let stop = Action::Stop { pipeline: 0, attempt: 0 };
    let failing = Action::Enter(JobState::Failing);
    assert_eq!(machine.step(Event::SavepointExpired), [failing.clone(), stop, Action::ArmStopTimeout]);
    machine.step(ended(0, 0, TaskEnd::Stopped));
    let actions = machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
    assert!(matches!(&actions[..], [Action::End { state: JobState::Failed, error: Some(text) }]
        if text.starts_with("Checkpoint expired before completing.")));
    // A commit that does not end is given up.
    let mut machine = JobMachine::new(shapes([1]), 3, false);
    started(&mut machine);
    machine.step(Event::SavepointRequested);
    machine.step(sealed(0, 0, 1));
    assert_eq!(machine.step(Event::SavepointExpired)[..2], [Action::CancelWork, failing.clone()]);
    // And targets that are never prepared.
    let mut machine = JobMachine::new(shapes([1]), 3, false);
    machine.step(Event::Granted);
    machine.step(Event::SavepointRequested);
    let actions = machine.step(Event::SavepointExpired);
    assert_eq!(actions, [Action::CancelWork, failing, Action::ArmStopTimeout]);
    assert!(matches!(machine.step(Event::TargetsPrepared(Ok(())))[..], [Action::End { state: JobState::Failed, .. }]));
}

#[test]
fn a_savepoint_that_cannot_be_published_fails_the_job() {
    let mut machine = JobMachine::new(shapes([1]), 3, false);
    started(&mut machine);
    machine.step(Event::SavepointRequested);
    machine.step(sealed(0, 0, 1));
    machine.step(committed(0, 1, Err(lost("target"))));
    machine.step(ended(0, 0, TaskEnd::Stopped));
    let actions = machine.step(Event::Aborted { pipeline: 0, attempt: 0 });
    let failed = Action::End { state: JobState::Failed, error: Some("target".into()) };
    assert_eq!(actions, [Action::Enter(JobState::Failing), failed]);
}

#[test]
fn a_job_goes_on_from_its_savepoint_without_what_had_finished() {
    let mut shapes = shapes([1, 1]);
    shapes[0].finished = true;
    shapes[1].checkpoint = 7;
    let mut machine = JobMachine::new(shapes, 0, false);
    machine.step(Event::Granted);
    let start = Action::Start { pipeline: 1, attempt: 0 };
    assert_eq!(machine.step(Event::TargetsPrepared(Ok(()))), [Action::Enter(JobState::Running), start]);
    machine.step(Event::Started { pipeline: 1, attempt: 0, result: Ok(()) });
    let begun = machine.step(Event::SavepointRequested);
    assert_eq!(begun, [DOING, Action::ArmSavepointTimeout, last(1, 8)], "checkpoints are numbered on");
    assert_eq!(machine.step(finished(1)), [commit(1, 9)]);
    machine.step(committed(1, 9, Ok(())));
    assert_eq!(machine.step(Event::Aborted { pipeline: 1, attempt: 0 }), [DONE]);
}

#[test]
fn what_never_answers_is_given_up_when_the_time_to_stop_is_over() {
    let canceled = || Action::End { state: JobState::Canceled, error: None };
    let mut listing = JobMachine::new(shapes([1]), 0, false);
    listing.step(Event::Granted);
    listing.step(Event::TargetsPrepared(Ok(())));
    listing.step(Event::StopRequested);
    assert_eq!(listing.step(Event::StopExpired), [Action::CancelWork, canceled()]);

    let mut preparing = JobMachine::new(shapes([1]), 0, false);
    preparing.step(Event::Granted);
    preparing.step(Event::StopRequested);
    assert_eq!(preparing.step(Event::StopExpired), [Action::CancelWork]);
    assert_eq!(preparing.step(Event::TargetsPrepared(Err(broken("dropped")))), [canceled()]);

    let mut checking = JobMachine::new(shapes([1]), 0, false);
    started(&mut checking);
    checking.step(finished(0));
    checking.step(Event::StopRequested);
    assert_eq!(checking.step(Event::StopExpired), [Action::CancelWork]);
    assert_eq!(checking.step(checked(0, Err(broken("dropped")))), [Action::Abort { pipeline: 0, attempt: 0 }]);
    assert_eq!(checking.step(Event::Aborted { pipeline: 0, attempt: 0 }), [canceled()]);
}
