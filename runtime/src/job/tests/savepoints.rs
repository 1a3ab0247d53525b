//! Jobs that are stopped with a savepoint, or fail, and go on.

use super::*;

/// A config that reads three splits of so many rows each, with a pause before each batch of ten; `env` as given.
fn slow(test: &str, env: &str, rows: usize, pause_ms: usize) -> String {
    simple(test, env, &format!("rows = {rows}, splits = 3, delay.ms = {pause_ms}"))
}

/// A pause that makes a job far longer than it takes to stop it, also on a machine that others keep busy.
const PAUSE_MS: usize = 20;

fn every_number(rows: i64) -> Vec<i64> {
    (0..3).flat_map(|split| (0..rows).map(move |number| number + split * 1_000_000)).collect()
}

/// Waits until the job has read so many rows.
fn read(job: &JobEntry, rows: u64) {
    while job.metrics().source.rows < rows {
        assert!(!job.wait_until(Instant::now() + Duration::from_millis(1)), "it ends too early: {:?}", job.error());
    }
}

fn restored(id: i64, config: &str) -> Arc<JobEntry> {
    submit_to(&NODE.1, config, Some(id), true).expect("it left a savepoint")
}

#[test]
fn a_job_goes_on_from_its_savepoint_with_another_parallelism() {
    for (test, id, checkpoints) in [("save-batch", 7001, ""), ("save-stream", 7002, ", checkpoint.interval = 10")] {
        let config = |parallelism: usize, pause_ms: usize| {
            slow(test, &format!("parallelism = {parallelism}{checkpoints}"), 2000, pause_ms)
        };
        let mut job = submit_as(&config(2, PAUSE_MS), Some(id)).expect("accepted");
        for (parallelism, pause_ms) in [(1, PAUSE_MS), (3, 0)] {
            read(&job, 200);
            assert!(NODE.1.stop(id, true));
            assert_eq!(ended(&job), JobState::SavepointDone, "{:?}", job.error());
            let published = published(test);
            assert!(!published.is_empty() && published.len() < 6000, "{}", published.len());
            job = restored(id, &config(parallelism, pause_ms));
            assert!(job.is_start_with_savepoint());
        }
        assert_eq!(ended(&job), JobState::Finished, "{:?}", job.error());
        assert_eq!(published(test), every_number(2000), "no row is lost and none comes twice");
        let gone = submit_to(&NODE.1, &config(1, 0), Some(id), true).expect_err("it has finished");
        assert!(matches!(gone, SubmitError::NoSavepoint(_)), "{gone}");
    }
}

#[test]
fn a_job_that_is_saved_before_it_has_read_anything_loses_nothing() {
    // Again and again, at whatever moment of its start.
    let config = |pause_ms: usize| slow("save-early", "parallelism = 2", 5000, pause_ms);
    let mut job = submit_as(&config(1), Some(7003)).expect("accepted");
    let mut saved = 0;
    for round in 0..20 {
        let _ = job.wait_until(Instant::now() + Duration::from_micros(round * 100));
        NODE.1.stop(7003, true);
        if ended(&job) == JobState::Finished {
            break;
        }
        assert_eq!(job.state(), JobState::SavepointDone, "{:?}", job.error());
        saved += 1;
        job = restored(7003, &config(usize::from(round < 19)));
    }
    assert_eq!(ended(&job), JobState::Finished);
    assert!(saved > 0);
    assert_eq!(published("save-early"), every_number(5000));
}

#[test]
fn a_pipeline_that_has_read_everything_is_saved_with_the_others() {
    let config = |pause_ms: usize| {
        format!(
            "env {{ }}
            source {{
              Numbers {{ test = done, rows = 50, plugin_output = a }}
              Numbers {{ test = open, rows = 4000, delay.ms = {pause_ms}, plugin_output = b }}
            }}
            sink {{ Collect {{ test = save-two, plugin_input = [a, b] }} }}"
        )
    };
    let job = submit_as(&config(PAUSE_MS), Some(7004)).expect("accepted");
    read(&job, 100);
    assert!(NODE.1.stop(7004, true));
    assert_eq!(ended(&job), JobState::SavepointDone, "{:?}", job.error());
    let job = restored(7004, &config(0));
    assert_eq!(ended(&job), JobState::Finished, "{:?}", job.error());
    let mut expected: Vec<i64> = (0..50).chain(0..4000).collect();
    expected.sort_unstable();
    assert_eq!(published("save-two"), expected);
}

#[test]
fn a_failed_job_keeps_its_last_checkpoint() {
    let env = "job.retry.times = 0, parallelism = 2, checkpoint.interval = 10";
    let config = simple("save-failed", env, "rows = 300, splits = 3, fail.at = 295, fail.how = after-commit");
    let job = submit_as(&config, Some(7005)).expect("accepted");
    assert_eq!(ended(&job), JobState::Failed);
    assert!(!published("save-failed").is_empty());
    let job = restored(7005, &config);
    assert_eq!(ended(&job), JobState::Finished, "{:?}", job.error());
    assert_eq!(published("save-failed"), every_number(300));
}

#[test]
fn a_canceled_job_leaves_nothing_and_another_config_is_refused() {
    let config = slow("save-gone", "checkpoint.interval = 10", 5000, PAUSE_MS);
    let job = submit_as(&config, Some(7006)).expect("accepted");
    read(&job, 20);
    assert!(NODE.1.stop(7006, true));
    assert_eq!(ended(&job), JobState::SavepointDone);
    let other = "env { } source { Numbers { test = a, plugin_output = a } Numbers { test = b, plugin_output = b } }
        sink { Collect { test = other, plugin_input = [a, b] } }";
    let refused = submit_to(&NODE.1, other, Some(7006), true).expect_err("another job").to_string();
    assert!(refused.starts_with("Job 7006 cannot go on from its savepoint: it was made by a job with"), "{refused}");
    let job = restored(7006, &config);
    read(&job, 20);
    assert!(NODE.1.stop(7006, false));
    assert_eq!(ended(&job), JobState::Canceled);
    let gone = submit_to(&NODE.1, &config, Some(7006), true).expect_err("it was canceled").to_string();
    assert!(gone.starts_with("There is no savepoint of job 7006 to go on from"), "{gone}");
}

#[test]
fn a_savepoint_that_takes_too_long_fails_the_job_within_its_bound() {
    let config = "env { checkpoint.timeout = 50 }
        source { Numbers { test = deaf } }
        sink { Collect { test = save-deaf, deaf = true } }";
    let jobs = impatient();
    let job = submit_to(&jobs, config, Some(7007), false).expect("accepted");
    read(&job, 1);
    let begin = Instant::now();
    assert!(jobs.stop(7007, true));
    assert_eq!(ended(&job), JobState::Failed);
    assert!(job.error().is_some_and(|error| error.starts_with("Checkpoint expired before completing.")));
    assert!(begin.elapsed() >= SOON, "its tasks get their time: {:?}", begin.elapsed());
}

#[test]
fn a_savepoint_that_is_too_large_fails_the_job() {
    let jobs = service(&NODE.0, JobSettings { savepoints_bytes_max: 10, ..JobSettings::default() });
    let job = submit_to(&jobs, &slow("save-large", "", 5000, PAUSE_MS), Some(1), false).expect("accepted");
    read(&job, 10);
    assert!(jobs.stop(1, true));
    assert_eq!(ended(&job), JobState::Failed);
    assert!(job.error().is_some_and(|error| error.contains("savepoints_bytes_max")), "{:?}", job.error());
    assert_eq!(jobs.savepoints().jobs, 0);
}
