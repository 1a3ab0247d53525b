//! Jobs on a node with a fixed number of slots.

use super::*;

/// A service with so many slots.
fn with_slots(count: u32, strategy: JobScheduleStrategy) -> JobService {
    let retry_interval = Duration::from_millis(5);
    let slots = SlotSettings { dynamic: false, count, strategy, retry_interval, ..SlotSettings::default() };
    service(&NODE.0, JobSettings { slots, ..JobSettings::default() })
}

/// A job that runs until it is stopped; it needs two slots more than it has parallel tasks: Collect commits.
fn endless(parallelism: usize) -> String {
    simple("slots", &format!("job.mode = STREAMING, parallelism = {parallelism}"), "endless = true")
}

fn submitted(jobs: &JobService, config: &str) -> Arc<JobEntry> {
    submit_to(jobs, config, None, false).expect("accepted")
}

fn wait_for(job: &JobEntry, state: JobState) {
    let patience = Instant::now() + Duration::from_secs(60);
    while job.state() != state {
        assert!(Instant::now() < patience && !job.state().is_final(), "{state}: {:?} {:?}", job.state(), job.error());
        std::thread::yield_now();
    }
}

#[test]
fn a_job_without_slots_fails_and_says_what_to_do() {
    let jobs = with_slots(4, JobScheduleStrategy::Reject);
    let first = submitted(&jobs, &endless(1));
    wait_for(&first, JobState::Running);
    assert_eq!((jobs.tally().slots_total, jobs.tally().slots_assigned), (4, 3));
    let second = submitted(&jobs, &endless(1));
    assert_eq!(ended(&second), JobState::Failed);
    let error = second.error().unwrap_or_default();
    for part in ["NoEnoughResourceException", "can't apply resource", "it needs 3 and 1 of 4 are free", "WAIT"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(jobs.slots().refused, 4, "asked once, and three times again");
    jobs.stop(first.id(), false);
    assert_eq!(ended(&first), JobState::Canceled);
    assert_eq!(jobs.tally().slots_assigned, 0);
    assert_eq!(ended(&submitted(&jobs, &simple("slots-again", "", ""))), JobState::Finished);
}

#[test]
fn a_job_waits_for_slots_and_a_smaller_one_goes_first() {
    let jobs = with_slots(6, JobScheduleStrategy::Wait);
    let first = submitted(&jobs, &endless(1));
    wait_for(&first, JobState::Running);
    let large = submitted(&jobs, &endless(4));
    assert_eq!(ended(&submitted(&jobs, &simple("slots-small", "", ""))), JobState::Finished);
    assert_eq!((large.state(), jobs.slots().jobs_waiting), (JobState::Pending, 1));
    jobs.stop(first.id(), false);
    wait_for(&large, JobState::Running);
    let canceled = submitted(&jobs, &endless(1));
    wait_for(&canceled, JobState::Pending);
    jobs.stop(canceled.id(), false);
    assert_eq!(ended(&canceled), JobState::Canceled);
    let saved = submitted(&jobs, &endless(1));
    wait_for(&saved, JobState::Pending);
    jobs.stop(saved.id(), true);
    assert_eq!(ended(&saved), JobState::SavepointDone);
    let never = submitted(&jobs, &endless(5));
    assert_eq!(ended(&never), JobState::Failed);
    assert!(never.error().is_some_and(|error| error.contains("it needs 7 and the node has 6")), "{:?}", never.error());
    jobs.stop(large.id(), false);
    assert_eq!(ended(&large), JobState::Canceled);
    assert_eq!((jobs.slots().assigned, jobs.slots().jobs_waiting), (0, 0));
}

#[test]
fn jobs_that_wait_are_bounded() {
    let slots = SlotSettings {
        dynamic: false,
        count: 3,
        strategy: JobScheduleStrategy::Wait,
        jobs_waiting_max: 1,
        ..SlotSettings::default()
    };
    let jobs = service(&NODE.0, JobSettings { slots, ..JobSettings::default() });
    let both = [submitted(&jobs, &endless(1)), submitted(&jobs, &endless(1))];
    while jobs.slots().jobs_waiting == 0 {
        std::thread::yield_now();
    }
    let refused = submit_to(&jobs, &endless(1), None, false).expect_err("one waits already").to_string();
    assert!(refused.contains("jobs_waiting_max"), "{refused}");
    assert_eq!(jobs.stop_all(Duration::from_secs(60)), 0);
    assert!(both.iter().all(|job| job.state() == JobState::Canceled));
}

#[test]
fn a_job_runs_where_the_tags_that_it_asks_for_are() {
    let tags = |zone: &str| Tags::from([("zone".to_owned(), zone.to_owned())]);
    let config = simple("tags", "tag_filter { zone = a }", "");
    // A node that was never told its tags takes every job.
    let jobs = with_slots(3, JobScheduleStrategy::Wait);
    assert_eq!(ended(&submitted(&jobs, &config)), JobState::Finished);
    jobs.set_tags(tags("b"));
    let waiting = submitted(&jobs, &config);
    while jobs.slots().jobs_waiting == 0 {
        std::thread::yield_now();
    }
    assert_eq!(waiting.state(), JobState::Pending);
    assert_eq!(ended(&submitted(&jobs, &simple("tags-free", "", ""))), JobState::Finished, "it holds nobody up");
    jobs.set_tags(tags("a"));
    assert_eq!(ended(&waiting), JobState::Finished);
    // Slots that are made on demand do not help.
    let slots = SlotSettings { retry_interval: Duration::from_millis(1), ..SlotSettings::default() };
    let jobs = service(&NODE.0, JobSettings { slots, ..JobSettings::default() });
    jobs.set_tags(tags("b"));
    let refused = submitted(&jobs, &config);
    assert_eq!(ended(&refused), JobState::Failed);
    let error = refused.error().unwrap_or_default();
    assert!(error.contains("NoEnoughResourceException") && error.contains("zone=a; the tags here: zone=b"), "{error}");
}
