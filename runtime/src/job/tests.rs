//! Jobs run for real: shards, coordinator, tasks, with a source and a sink made for the purpose.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::future::block_on;

use super::*;
use crate::config::ReadOptions;
use crate::plugin::*;
use crate::shard::{ShardId, Shards, ShardsConfig};

mod plugins;
mod savepoints;
mod slots;

use plugins::*;

/// Two shards on one CPU's worth of machine are enough, and one set serves all tests.
static NODE: LazyLock<(Shards, JobService)> = LazyLock::new(|| {
    // At the priority of what else the machine does, or jobs would stand still on one that others keep busy.
    let shards = Shards::start(ShardsConfig { work_nice: 0, ..ShardsConfig::default() }).expect("shards");
    let jobs = service(&shards, JobSettings { stop_timeout: STOP_TIMEOUT, ..JobSettings::default() });
    (shards, jobs)
});

/// A service with the plugins of these tests.
fn service(shards: &Shards, settings: JobSettings) -> JobService {
    let mut registry = Registry::default();
    registry.add_source(Numbers);
    registry.add_sink(Collect);
    registry.add_transform(Even);
    let settings = JobSettings { history_jobs_max: 1000, ..settings };
    JobService::new(shards.clone(), Arc::new(registry), settings)
}

/// Nothing takes so long, also on a machine that others keep busy: what ends before has not been dropped.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A service whose tasks are dropped soon, for those that are deaf.
fn impatient() -> JobService {
    service(&NODE.0, JobSettings { stop_timeout: SOON, ..JobSettings::default() })
}

/// The stop timeout of [`impatient`].
const SOON: Duration = Duration::from_secs(1);

fn submit(config: &str) -> Result<Arc<JobEntry>, SubmitError> {
    submit_as(config, None)
}

fn submit_as(config: &str, job_id: Option<i64>) -> Result<Arc<JobEntry>, SubmitError> {
    submit_to(&NODE.1, config, job_id, false)
}

fn submit_to(
    jobs: &JobService,
    config: &str,
    job_id: Option<i64>,
    start_with_savepoint: bool,
) -> Result<Arc<JobEntry>, SubmitError> {
    let request = SubmitRequest {
        config_text: Bytes::copy_from_slice(config.as_bytes()),
        source_name: "test.conf".into(),
        read: ReadOptions::default(),
        job_id,
        job_name: None,
        start_with_savepoint,
    };
    let jobs = jobs.clone();
    let call = NODE.0.front(ShardId(0)).call(move || async move { jobs.submit(request).await });
    block_on(call).expect("an executor").map(|submitted| submitted.job)
}

fn ended(job: &JobEntry) -> JobState {
    assert!(job.wait_until(Instant::now() + Duration::from_secs(60)), "the job ends: {:?}", job.state());
    job.state()
}

/// One source, one sink.
fn simple(test: &str, env: &str, source: &str) -> String {
    format!(
        "env {{ {env} }}\nsource {{ Numbers {{ test = {test}, {source} }} }}\nsink {{ Collect {{ test = {test} }} }}"
    )
}

#[test]
fn a_batch_job_finishes_with_every_row_published_once() {
    let job = submit(&simple("finish", "parallelism = 4", "rows = 1000, splits = 7")).expect("accepted");
    assert_eq!(ended(&job), JobState::Finished);
    let expected: Vec<i64> = (0..7).flat_map(|split| (0..1000).map(move |number| number + split * 1_000_000)).collect();
    assert_eq!(published("finish"), expected);
    let metrics = job.metrics();
    assert_eq!((metrics.source.rows, metrics.sink.rows), (7000, 7000));
    assert_eq!(metrics.sink.bytes, 56_000, "a bigint is eight bytes");
    assert!(metrics.source.rows_per_second > 0.0);
    assert_eq!(metrics.sink_tables.keys().map(AsRef::as_ref).collect::<Vec<&str>>(), ["default"]);
    assert!(job.finished_at().is_some_and(|finished| finished >= job.created_at()));
    assert!(NODE.1.finished(Some(JobState::Finished)).iter().any(|known| known.id() == job.id()));
    assert!(!NODE.1.running().iter().any(|known| known.id() == job.id()));
}

#[test]
fn a_source_may_feed_several_sinks_through_transforms_that_meet_again() {
    let config = "
        env { parallelism = 2 }
        source { Numbers { test = x, rows = 1000, splits = 4, plugin_output = all } }
        transform {
          Even { plugin_input = all, plugin_output = left }
          Even { plugin_input = all, plugin_output = right }
        }
        sink {
          Collect { test = fan-all, plugin_input = all }
          Collect { test = fan-even, plugin_input = [left, right] }
        }";
    let job = submit(config).expect("accepted");
    assert_eq!(ended(&job), JobState::Finished, "{:?}", job.error());
    assert_eq!(published("fan-all").len(), 4000);
    let evens = published("fan-even");
    assert_eq!(evens.len(), 4000, "each even number comes through both transforms");
    assert!(evens.chunks(2).all(|pair| pair[0] == pair[1] && pair[0] % 2 == 0));
}

#[test]
fn two_sources_into_one_sink_run_as_two_pipelines() {
    let config = "
        env {}
        source {
          Numbers { test = a, rows = 10, plugin_output = a }
          Numbers { test = b, rows = 20, plugin_output = b }
        }
        sink { Collect { test = two, plugin_input = [a, b] } }";
    let job = submit(config).expect("accepted");
    assert_eq!(ended(&job), JobState::Finished, "{:?}", job.error());
    assert_eq!(published("two").len(), 30);
    let names: Vec<&str> = job.plan().vertices.iter().map(|vertex| vertex.name.as_ref()).collect();
    assert_eq!(
        names,
        [
            "pipeline-1 [Source[0]-Numbers]",
            "pipeline-1 [Sink[0]-Collect-MultiTableSink]",
            "pipeline-2 [Source[1]-Numbers]",
            "pipeline-2 [Sink[0]-Collect-MultiTableSink]",
        ]
    );
}

#[test]
fn a_lost_input_is_read_again_and_nothing_is_published_twice() {
    let env = "job.retry.interval.seconds = 0, parallelism = 2";
    let job = submit(&simple("retry", env, "rows = 500, splits = 2, fail.at = 250, fail.times = 2")).expect("accepted");
    assert_eq!(ended(&job), JobState::Finished, "{:?}", job.error());
    assert_eq!(published("retry").len(), 1000);
    assert_eq!(job.metrics().sink.rows, 1000, "the counters are those of the attempt that finished");
}

#[test]
fn a_pipeline_restarts_from_its_last_checkpoint() {
    let env = "job.retry.interval.seconds = 0, parallelism = 2, checkpoint.interval = 10";
    let source = "rows = 300, splits = 3, fail.at = 295, fail.how = after-commit";
    let job = submit(&simple("restore", env, source)).expect("accepted");
    assert_eq!(ended(&job), JobState::Finished, "{:?}", job.error());
    let expected: Vec<i64> = (0..3).flat_map(|split| (0..300).map(move |number| number + split * 1_000_000)).collect();
    assert_eq!(published("restore"), expected, "no row is lost and none comes twice");
    assert!(job.metrics().source.rows < 900, "what was committed is not read again: {}", job.metrics().source.rows);
}

#[test]
fn retries_end() {
    let env = "job.retry.interval.seconds = 0, job.retry.times = 2";
    let job = submit(&simple("retries", env, "fail.at = 50, fail.times = 99")).expect("accepted");
    assert_eq!(ended(&job), JobState::Failed);
    assert_eq!(job.error(), Some("the input is lost"));
    assert_eq!(FAILED.lock().expect("lock")["retries"], 3);
    assert!(published("retries").is_empty(), "a failed job publishes nothing");
}

#[test]
fn a_broken_row_ends_the_job_at_once() {
    let job = submit(&simple("broken", "", "fail.at = 50, fail.times = 9, fail.how = broken")).expect("accepted");
    assert_eq!(ended(&job), JobState::Failed);
    assert_eq!(FAILED.lock().expect("lock")["broken"], 1);
}

#[test]
fn a_task_that_panics_fails_its_job_and_nothing_else() {
    let job = submit(&simple("panic", "", "fail.at = 50, fail.how = panic")).expect("accepted");
    assert_eq!(ended(&job), JobState::Failed);
    assert_eq!(job.error(), Some("the task panicked: the reader panics"));
    assert_eq!(ended(&submit(&simple("after-panic", "", "")).expect("accepted")), JobState::Finished);
}

#[test]
fn sinks_have_the_last_word() {
    let config = "env {}\nsource { Numbers { test = word } }\nsink { Collect { test = word, refuse = true } }";
    let job = submit(config).expect("accepted");
    assert_eq!(ended(&job), JobState::Failed);
    assert_eq!(job.error(), Some("row num :1 fail rule: MIN_ROW"));
    assert_eq!(published("word"), [0; 0], "what they refuse is not published");
}

#[test]
fn a_sink_gets_the_words_of_its_table_filled_in() {
    let config = "env {}
        source { Numbers { test = words, plugin_output = n } }
        sink { Collect { test = \"words-${table_name:none}-${database_name:x}\", multi_table_sink_replica = 2 } }";
    let job = submit(config).expect("accepted");
    assert_eq!(ended(&job), JobState::Finished);
    assert_eq!(published("words-n-x").len(), 100);
    let wrong = submit(&config.replace("replica = 2", "replica = none")).expect_err("no number").to_string();
    assert!(wrong.contains("expected a whole number of at least 1"), "{wrong}");
}

#[test]
fn one_sink_that_refuses_keeps_the_rows_of_all_pipelines_back() {
    let config = "env {}
        source { Numbers { test = veto, plugin_output = a } Numbers { test = veto, plugin_output = b } }
        sink { Collect { test = veto-good, plugin_input = a } Collect { test = veto-bad, plugin_input = b, refuse = true } }";
    let job = submit(config).expect("accepted");
    assert_eq!(ended(&job), JobState::Failed);
    assert_eq!((published("veto-good"), published("veto-bad")), (Vec::new(), Vec::new()));
    let job = submit(&config.replace(", refuse = true", "")).expect("accepted");
    assert_eq!(ended(&job), JobState::Finished);
    assert_eq!((published("veto-good").len(), published("veto-bad").len()), (100, 100));
}

#[test]
fn a_stopped_job_is_canceled_at_once_and_keeps_its_counters() {
    let job = submit(&simple("stop", "job.mode = STREAMING", "rows = 100, endless = true")).expect("accepted");
    while job.metrics().source.rows < 100 {
        assert!(!job.wait_until(Instant::now() + Duration::from_millis(1)), "it does not end by itself");
    }
    assert_eq!(job.state(), JobState::Running);
    let begin = Instant::now();
    assert!(NODE.1.stop(job.id(), false));
    assert_eq!(ended(&job), JobState::Canceled);
    // It takes a few milliseconds; its tasks were not dropped.
    assert!(begin.elapsed() < STOP_TIMEOUT, "{:?}", begin.elapsed());
    assert_eq!(job.metrics().source.rows, 100);
    assert!(!NODE.1.stop(job.id(), false), "it is over");
}

/// Runs a job under limits for what is worth a second at 400 rows; gives how long it took.
fn paced(test: &str, limits: &str, parallelism: usize) -> Duration {
    let source = format!("rows = {}, splits = {parallelism}", 400);
    let begin = Instant::now();
    let job = submit(&simple(test, &format!("parallelism = {parallelism}, {limits}"), &source)).expect("accepted");
    assert_eq!(ended(&job), JobState::Finished);
    let took = begin.elapsed();
    assert_eq!(job.metrics().source.rows, 400 * parallelism as u64);
    took
}

#[test]
fn read_limits_hold_for_each_task_and_are_used_to_the_full() {
    for (name, limits, parallelism) in [
        ("rows", "read_limit.rows_per_second = 400", 1),
        ("rows-2", "read_limit { rows_per_second = 400 }", 2),
        ("bytes", "read_limit.bytes_per_second = 3200", 1),
        ("both", "read_limit { rows_per_second = 400, bytes_per_second = 1000000 }", 1),
    ] {
        // Never faster than the limit; near it as soon as the machine has time for the job, which it may not have at once.
        let attempt = |attempt: usize| {
            let took = paced(&format!("limit-{name}-{attempt}"), limits, parallelism);
            assert!(took >= Duration::from_secs(1), "{name}: {took:?}");
            took
        };
        let near = (0..10).any(|number| attempt(number) <= Duration::from_millis(1200));
        assert!(near, "{name}: never near the limit");
    }
}

#[test]
fn a_task_that_waits_for_its_limit_hears_a_stop_and_takes_barriers() {
    let env = "job.mode = STREAMING, read_limit.rows_per_second = 2, checkpoint.interval = 10";
    let job = submit(&simple("limit-stop", env, "rows = 100000")).expect("accepted");
    // A batch has ten rows, so five seconds: the barrier goes before, and what it let out is published.
    while published("limit-stop").is_empty() {
        assert!(!job.wait_until(Instant::now() + Duration::from_millis(1)));
    }
    let begin = Instant::now();
    assert!(NODE.1.stop(job.id(), false));
    assert_eq!(ended(&job), JobState::Canceled);
    assert!(begin.elapsed() < STOP_TIMEOUT, "{:?}", begin.elapsed());
}

#[test]
fn a_task_that_waits_for_input_hears_a_stop() {
    let job = submit(&simple("silent", "", "fail.at = 50, fail.how = silent")).expect("accepted");
    while job.metrics().source.rows < 50 {
        assert!(!job.wait_until(Instant::now() + Duration::from_millis(1)));
    }
    assert!(NODE.1.stop(job.id(), false));
    assert_eq!(ended(&job), JobState::Canceled);
}

#[test]
fn a_task_that_is_deaf_to_its_stop_is_dropped_after_the_stop_timeout() {
    // A write is not given up for an order; this one never ends.
    let config = "env {}\nsource { Numbers { test = deaf } }\nsink { Collect { test = deaf, deaf = true } }";
    let jobs = impatient();
    let job = submit_to(&jobs, config, None, false).expect("accepted");
    while job.metrics().source.rows == 0 {
        assert!(!job.wait_until(Instant::now() + Duration::from_millis(1)));
    }
    let begin = Instant::now();
    assert!(jobs.stop(job.id(), false));
    assert_eq!(ended(&job), JobState::Canceled);
    assert!(begin.elapsed() >= SOON, "it gets its time: {:?}", begin.elapsed());
}

#[test]
fn a_writer_that_paces_itself_does_not_hold_up_a_stop() {
    let config =
        "env {}\nsource { Numbers { test = paced } }\nsink { Collect { test = paced, deaf = true, paced = true } }";
    let job = submit(config).expect("accepted");
    while job.metrics().source.rows == 0 {
        assert!(!job.wait_until(Instant::now() + Duration::from_millis(1)));
    }
    let begin = Instant::now();
    assert!(NODE.1.stop(job.id(), false));
    assert_eq!(ended(&job), JobState::Canceled);
    assert!(begin.elapsed() < STOP_TIMEOUT, "before the stop timeout: {:?}", begin.elapsed());
}

#[test]
fn an_id_is_used_once_and_a_running_one_is_left_alone() {
    let config = simple("id", "job.mode = STREAMING", "endless = true");
    let job = submit_as(&config, Some(4711)).expect("accepted");
    let again = submit_as(&config, Some(4711)).expect("a silent no-op");
    assert!(Arc::ptr_eq(&job, &again));
    assert!(NODE.1.stop(4711, false));
    assert_eq!(ended(&job), JobState::Canceled);
    let refused = submit_as(&config, Some(4711)).expect_err("the id is used");
    assert_eq!(refused.to_string(), "The job id 4711 has already been submitted and is not starting with a savepoint.");
}

#[test]
fn a_wrong_config_is_refused_with_every_problem_and_leaves_nothing() {
    let config = "
        env {}
        source { Nombers { } }
        transform { Even { plugin_input = a, plugin_output = b } }
        sink { Collect { tset = x } }";
    let before = NODE.1.job(99).is_some();
    let SubmitError::Invalid(problems) = submit_as(config, Some(99)).expect_err("refused") else { panic!("problems") };
    let text = problems.to_string();
    assert!(text.contains(
        "Plugin PluginIdentifier{engineType='seatunnel', pluginType='source', pluginName='Nombers'} not found."
    ));
    assert!(text.contains("did you mean 'Numbers'?"), "{text}");
    assert!(text.contains("option 'test'"), "{text}");
    assert_eq!((before, NODE.1.job(99).is_some()), (false, false));
}

#[test]
fn blocks_that_cannot_be_wired_are_told_as_clients_know_it() {
    let config = "
        env {}
        source {
          Numbers { test = a, plugin_output = a }
          Numbers { test = b, plugin_output = a }
          Numbers { test = c }
        }
        sink { Collect { test = a, plugin_input = d } }";
    let SubmitError::Invalid(problems) = submit(config).expect_err("refused") else { panic!("problems") };
    let text = problems.to_string();
    for expected in [
        "The value of the 'result_table_name' option of the (Numbers and Numbers) plugins is both 'a', and they must be different.",
        "The source(Numbers) is not configured with 'result_table_name' option",
        "The 'source_table_name' option configured in [Collect] is incorrect, and the source/transform[d] is not found.",
        "The 'source_table_name' option configured is incorrect, this table(a) belonging to source/transform(Numbers) is not used.",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}
