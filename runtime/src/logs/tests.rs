use std::fs;

use futures_lite::future::block_on;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, filter};

use super::*;
use crate::shard::{ShardId, Shards, ShardsConfig, WorkGroup};

const PATIENCE: Duration = Duration::from_secs(60);

fn open(folder: &Path) -> JobLogs {
    JobLogs::open(JobLogSettings::in_folder(folder)).expect("logs")
}

fn line(job: i64, text: impl Into<String>) -> Line {
    Line::now(job, tracing::Level::INFO, "test", text.into())
}

fn text_of(logs: &JobLogs, name: &str) -> String {
    assert!(logs.flush(PATIENCE), "the writer answers");
    fs::read_to_string(logs.folder().join(name)).expect("a log")
}

#[test]
fn each_job_has_a_log_of_its_own_with_its_lines_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = open(folder.path());
    for number in 0..100 {
        logs.write(line(number % 3, format!("line {number}")));
    }
    for job in 0..3 {
        let text = text_of(&logs, &format!("job-{job}.log"));
        let numbers: Vec<i64> =
            text.lines().map(|line| line.rsplit_once(' ').expect("words").1.parse().expect("a number")).collect();
        let expected: Vec<i64> = (0..100).filter(|number| number % 3 == job).collect();
        assert_eq!(numbers, expected);
    }
    let names: Vec<String> = logs.list_now().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["job-0.log", "job-1.log", "job-2.log"]);
    assert_eq!(logs.dropped(), 0);
}

#[test]
fn a_log_keeps_within_its_bound_and_keeps_its_newest_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let bound = JobLogSettings::LOG_BYTES_MIN;
    let logs = JobLogs::open(JobLogSettings { log_bytes_max: bound, ..JobLogSettings::in_folder(folder.path()) });
    let logs = logs.expect("logs");
    for number in 0..1000 {
        logs.write(line(1, format!("{number} {}", "x".repeat(1000))));
    }
    let newest = text_of(&logs, "job-1.log");
    assert!(newest.lines().last().expect("a line").contains("- 999 x"));
    let files = logs.list_now();
    assert_eq!(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["job-1.log", "job-1.log.1"]);
    assert!(files.iter().map(|file| file.bytes).sum::<u64>() <= bound, "{files:?}");
    for file in &files {
        assert_eq!(fs::metadata(folder.path().join(&file.name)).expect("a file").len(), file.bytes);
    }
    // Nothing is missing between the two.
    let count = text_of(&logs, "job-1.log.1").lines().count() + newest.lines().count();
    let first = fs::read_to_string(folder.path().join("job-1.log.1")).expect("a log");
    assert!(first.lines().next().expect("a line").contains(&format!("- {} x", 1000 - count)), "{count}");
}

#[test]
fn links_in_the_folder_are_neither_read_nor_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::NamedTempFile::new().expect("a file");
    fs::write(elsewhere.path(), "secret").expect("written");
    let link = |name: &str| std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(name)).expect("a link");
    link("job-1.log");
    let logs = open(folder.path());
    assert_eq!(logs.list_now(), []);
    logs.write(line(1, "a line"));
    logs.write(line(2, "a line"));
    assert!(text_of(&logs, "job-2.log").contains("a line"));
    // One that takes the place of a log while the node runs.
    fs::remove_file(folder.path().join("job-2.log")).expect("removed");
    link("job-2.log");
    for job in [1, 2] {
        assert!(logs.open_now(job, index::Part::Current).expect("no trouble").is_none());
    }
    assert_eq!(fs::read_to_string(elsewhere.path()).expect("a file"), "secret");
}

#[test]
fn the_oldest_logs_go_and_those_of_running_jobs_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = JobLogSettings { logs_max: 5, ..JobLogSettings::in_folder(folder.path()) };
    let logs = JobLogs::open(settings).expect("logs");
    logs.spare_running(|job| job == 1);
    for job in 1..=20 {
        logs.write(line(job, "x"));
        assert!(logs.flush(PATIENCE));
    }
    let jobs: Vec<i64> = logs.list_now().iter().map(|file| file.job_id).collect();
    assert_eq!(jobs, [1, 17, 18, 19, 20]);
    let on_disk = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(on_disk, 5 + 1, "the logs and the lock");
}

#[test]
fn a_log_goes_when_it_is_old_though_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = JobLogSettings { log_expire: Duration::from_millis(50), ..JobLogSettings::in_folder(folder.path()) };
    let logs = JobLogs::open(settings).expect("logs");
    logs.spare_running(|job| job == 1);
    logs.write(line(1, "of a job that runs"));
    logs.write(line(2, "of one that has ended"));
    assert!(logs.flush(PATIENCE));
    let deadline = Instant::now() + PATIENCE;
    while logs.stats().logs != 1 {
        assert!(Instant::now() < deadline, "{:?}", logs.stats());
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(logs.list_now().into_iter().map(|file| file.job_id).collect::<Vec<_>>(), [1]);
    assert_eq!(logs.stats().bytes, fs::metadata(folder.path().join("job-1.log")).expect("a log").len());
    assert!(!folder.path().join("job-2.log").exists());
}

#[test]
fn too_many_waiting_lines_are_dropped_and_counted_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = JobLogSettings { queue_bytes_max: line::LINE_BYTES_MAX, ..JobLogSettings::in_folder(folder.path()) };
    let logs = JobLogs::open(settings).expect("logs");
    // The writer cannot note what it has written while this is held: its queue fills up.
    let held = logs.shared.index();
    for _ in 0..200 {
        logs.write(line(1, "x".repeat(1000)));
    }
    assert!(logs.dropped() >= 200 - 2 * 17, "{}", logs.dropped());
    drop(held);
    logs.write(line(1, "after"));
    assert!(logs.flush(PATIENCE));
    logs.write(line(1, "well again"));
    assert!(text_of(&logs, "job-1.log").contains("well again"));
}

#[test]
fn logs_of_an_earlier_node_are_found_and_other_files_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("job-5.log"), "old\n").expect("written");
    fs::write(folder.path().join("notes.txt"), "mine").expect("written");
    let logs = open(folder.path());
    assert_eq!(logs.list_now(), [LogFile { name: "job-5.log".to_owned(), job_id: 5, bytes: 4 }]);
    logs.write(line(5, "new"));
    assert!(text_of(&logs, "job-5.log").starts_with("old\n"));
    assert!(folder.path().join("notes.txt").exists());
}

#[test]
fn both_halves_of_a_log_that_has_expired_go_from_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for (name, days) in [("job-1.log", 8), ("job-1.log.1", 9), ("job-2.log", 6)] {
        fs::write(path(name), "old\n").expect("written");
        let written = std::time::SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
        let file = File::options().write(true).open(path(name)).expect("a log");
        file.set_modified(written).expect("a time");
    }
    // By default a log is kept for seven days.
    let logs = open(folder.path());
    assert!(logs.flush(PATIENCE));
    let jobs: Vec<i64> = logs.list_now().iter().map(|file| file.job_id).collect();
    assert_eq!(jobs, [2]);
    assert!(!path("job-1.log").exists() && !path("job-1.log.1").exists() && path("job-2.log").exists());
}

#[test]
fn one_node_at_a_time_uses_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = open(folder.path());
    let second = JobLogs::open(JobLogSettings::in_folder(folder.path()));
    assert!(matches!(&second, Err(LogsError::InUse(_))), "{second:?}");
    drop(logs);
}

#[test]
fn a_folder_that_cannot_be_is_an_error_with_its_cause() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let error = JobLogs::open(JobLogSettings::in_folder(file.join("logs"))).expect_err("no folder");
    assert!(error.to_string().contains("Not a directory"), "{error}");
    let bad = JobLogSettings { log_bytes_max: 10, ..JobLogSettings::in_folder(folder.path()) };
    assert!(JobLogs::open(bad).expect_err("too small").to_string().contains("log_bytes_max is 10"));
}

fn one_shard() -> Shards {
    let cpus = crate::shard::allowed_cpus().expect("cpus").into_iter().next().expect("a cpu");
    let config = ShardsConfig { cpus: Some(cpus.to_string().parse().expect("a list")), ..ShardsConfig::default() };
    Shards::start(config).expect("shards")
}

#[test]
fn logs_are_read_by_name_and_no_name_leads_out_of_the_folder() {
    let outer = tempfile::tempdir().expect("a folder");
    fs::write(outer.path().join("job-9.log"), "not yours").expect("written");
    let logs = open(&outer.path().join("logs"));
    let long = "~".repeat(10_000);
    (0..20).for_each(|_| logs.write(line(7, long.clone())));
    let shards = one_shard();
    let reader = logs.clone();
    let read = shards.front(ShardId(0)).call(move || async move {
        let mut gone = Vec::new();
        for name in ["../job-9.log", "job-9.log", "job-7.log/../../job-9.log", "/etc/passwd", "", "job-7.log.1"] {
            gone.push(reader.open_log(name).await.expect("readable").is_none());
        }
        let names = reader.list().await.expect("a list").len();
        let pieces = reader.open_log("job-7.log").await.expect("readable").expect("there").rest().await.expect("read");
        (gone, names, pieces)
    });
    let (gone, names, pieces) = block_on(read).expect("an answer");
    assert_eq!((gone, names), (vec![true; 6], 1));
    assert!(pieces.len() >= 3 && pieces.iter().all(|piece| piece.len() <= 64 << 10));
    assert_eq!(pieces.concat().iter().filter(|byte| **byte == b'~').count(), 200_000);
    shards.stop(PATIENCE).expect("stopped");
}

#[test]
fn events_go_to_the_job_of_their_field_or_of_their_task() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = open(folder.path());
    let (layer, slot) = JobLogLayer::new();
    assert!(slot.fill(logs.clone()));
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter::filter_fn(is_of_a_job)));
    let dispatch = tracing::Dispatch::new(subscriber);
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::info!(job = 1, state = "RUNNING", "by its field");
        tracing::info!("of no job");
        tracing::debug!(job = 1, "not at this level");
    });
    let shards = one_shard();
    let group = WorkGroup::of_job(1, 2);
    let task = shards.work(ShardId(0)).spawn_joined(&group, move || async move {
        let _guard = tracing::dispatcher::set_default(&dispatch);
        tracing::warn!("by its task");
        tracing::info!(job = 1, "by its field before its task");
        let inner = dispatch.clone();
        let blocking = crate::shard::run_blocking(move || {
            tracing::dispatcher::with_default(&inner, || tracing::info!("by its blocking work"));
        });
        blocking.await
    });
    block_on(task.expect("room")).expect("ended").expect("ran");
    let front = shards.front(ShardId(0)).call(|| async { crate::shard::current_job() });
    assert_eq!(block_on(front), Ok(None));
    let first = text_of(&logs, "job-1.log");
    assert!(first.contains("by its field state=\"RUNNING\"\n") && first.contains("by its field before its task"));
    assert_eq!(first.lines().count(), 2, "{first}");
    let second = text_of(&logs, "job-2.log");
    assert!(second.contains("WARN ") && second.contains("by its task\n"), "{second}");
    assert!(second.contains("by its blocking work\n"), "{second}");
    assert_eq!(logs.list_now().len(), 2);
    shards.stop(PATIENCE).expect("stopped");
}
