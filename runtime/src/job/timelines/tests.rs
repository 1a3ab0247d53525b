use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use super::super::entry::NewJob;
use super::super::{JobEntry, JobState};
use super::*;
use crate::metrics::timeline::Resolution;
use crate::plan::{JobGraph, Vertex};
use crate::plugin::PluginKind;
use crate::shard::ShardId;
use crate::task::{TaskMetric, TaskStats};

const BEGIN: i64 = 1_700_000_010;

/// A node without shards: its jobs count what the tests say.
struct Tried {
    directory: Arc<Directory>,
    timelines: Arc<Timelines>,
    probe: NodeProbe,
    now: i64,
    next_id: AtomicI64,
}

impl Tried {
    fn new(bytes_max: u64) -> Self {
        let directory = Arc::new(Directory::default());
        let timelines = Timelines::new(Arc::clone(&directory), bytes_max);
        let mut readings = 0;
        let probe: NodeProbe = Box::new(move || {
            readings += 1;
            NodeReading { cpu_us: readings * 500, memory_bytes: Some(1 << 33), requests: readings * 3, connections: 2 }
        });
        let mut tried = Self { directory, timelines, probe, now: BEGIN, next_id: AtomicI64::new(1) };
        tried.look(0);
        tried
    }

    /// Looks so many seconds later.
    fn look(&mut self, seconds: i64) {
        self.now += seconds;
        let steady = Duration::from_secs((self.now - BEGIN) as u64);
        self.timelines.look(self.now, steady, &mut self.probe);
    }

    fn job(&self) -> Arc<JobEntry> {
        let vertex = |id, kind| Vertex {
            id,
            kind,
            pipeline: 1,
            action: "a".into(),
            name: "n".into(),
            parallelism: 1,
            table_paths: vec!["t".into()],
        };
        let vertices = vec![vertex(1, PluginKind::Source), vertex(2, PluginKind::Sink)];
        let job = Arc::new(JobEntry::new(NewJob {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            name: "job".into(),
            owner: ShardId(0),
            created_ms: 0,
            sequence: self.directory.next_sequence(),
            env_options: Vec::new(),
            graph: Arc::new(JobGraph { vertices, edges: Vec::new() }),
            slots: 1,
            tag_filter: Vec::new(),
            start_with_savepoint: false,
        }));
        self.directory.insert(Arc::clone(&job)).expect("a new id");
        job
    }

    fn end(&self, job: &Arc<JobEntry>) {
        self.directory.end(job, JobState::Finished, None, self.now * 1000);
    }

    fn window(&self, resolution: Resolution, back: i64) -> Window {
        self.timelines.clock().window(resolution, self.now - back, self.now)
    }
}

/// Tasks of a source and a sink.
fn tasks(count: usize) -> Vec<Arc<TaskStats>> {
    (0..count).map(|index| Arc::new(TaskStats::new([(1, 1), (2, 1)]).of_instance(index))).collect()
}

/// A metric of the whole job.
fn of_job(job: &JobEntry, window: Window, metric: JobMetric) -> Series {
    let mut series = Series::new(window);
    for task in job.timelines().tasks().iter() {
        task.columns().of_job(metric).for_each(|column| series.add(task.timeline(), column));
    }
    series
}

/// Rows pass a task.
fn rows(task: &TaskStats, count: u64) {
    let [source, sink] = [0, 1].map(|vertex| &task.vertices[vertex].tables[0]);
    source.rows_out.add(count);
    source.bytes_out.add(count * 8);
    sink.rows_in.add(count);
    sink.bytes_in.add(count * 8);
    task.batches.add(1);
    task.busy_ns.add(2_000_000);
}

#[test]
fn what_a_task_counts_is_in_the_second_in_which_it_did_and_adds_up_to_the_end() {
    let mut tried = Tried::new(1 << 20);
    let job = tried.job();
    let running = tasks(2);
    job.publish_tasks(running.clone());
    for count in [5, 0, 7] {
        rows(&running[0], count);
        rows(&running[1], 1);
        tried.look(1);
    }
    let written = of_job(&job, tried.window(Resolution::Second, 4), JobMetric::RowsWritten);
    assert_eq!(written.values(), [None, Some(6), Some(1), Some(8)]);
    assert_eq!((written.sum(), written.seconds()), (15, 3));
    let lines = job.timelines().tasks();
    assert_eq!(lines.iter().map(|line| line.place()).collect::<Vec<_>>(), [(1, 0), (1, 1)]);
    let column = lines[0].columns().of_vertex(2, TaskMetric::BytesIn).expect("counted");
    assert_eq!(lines[0].timeline().total(column), 96);
    // What comes after the last look is seen once more when the job has ended.
    rows(&running[0], 100);
    tried.end(&job);
    tried.look(1);
    tried.look(60);
    assert_eq!(of_job(&job, tried.window(Resolution::Second, 100), JobMetric::RowsRead).sum(), 0);
    let minutes = of_job(&job, tried.window(Resolution::Minute, 300), JobMetric::RowsRead);
    assert_eq!((minutes.sum(), minutes.seconds()), (115, 4));
    assert_eq!(tried.timelines.node(tried.window(Resolution::Minute, 300), NodeMetric::RowsRead).sum(), 115);
    assert_eq!(tried.timelines.stats().tasks, 0);
}

#[test]
fn an_attempt_goes_on_in_the_timelines_of_the_one_before() {
    let mut tried = Tried::new(1 << 20);
    let job = tried.job();
    let first = tasks(1);
    job.publish_tasks(first.clone());
    rows(&first[0], 10);
    tried.look(1);
    // It fails, after some more rows, and the next one begins from zero.
    rows(&first[0], 3);
    let second = tasks(1);
    job.publish_tasks(second.clone());
    rows(&second[0], 4);
    tried.look(1);
    rows(&second[0], 20);
    tried.look(1);
    assert_eq!(job.timelines().tasks().len(), 1);
    let read = of_job(&job, tried.window(Resolution::Second, 3), JobMetric::RowsRead);
    assert_eq!(read.values(), [Some(10), Some(7), Some(20)]);
}

#[test]
fn a_job_between_two_looks_has_no_timelines_and_the_node_has_its_rows() {
    let mut tried = Tried::new(1 << 20);
    let job = tried.job();
    let running = tasks(1);
    job.publish_tasks(running.clone());
    rows(&running[0], 42);
    tried.end(&job);
    tried.look(1);
    assert!(job.timelines().tasks().is_empty());
    let node = |metric| tried.timelines.node(tried.window(Resolution::Second, 1), metric).sum();
    assert_eq!((node(NodeMetric::RowsWritten), node(NodeMetric::BytesRead)), (42, 336));
    assert_eq!((node(NodeMetric::JobsFinished), node(NodeMetric::JobsRunning)), (1, 0));
}

#[test]
fn the_nodes_own_figures_are_gains_of_counts_and_values_of_gauges() {
    let mut tried = Tried::new(1 << 20);
    let job = tried.job();
    job.enter(JobState::Running);
    job.publish_tasks(tasks(3));
    tried.directory.changed();
    tried.look(1);
    tried.look(1);
    // Three seconds without a look.
    tried.look(4);
    let window = tried.window(Resolution::Second, 6);
    let values = |metric| tried.timelines.node(window, metric).values().to_vec();
    let seen = |value| [1u64, 1, 0, 0, 0, 1].map(|looks| Some(looks * value)).to_vec();
    assert_eq!(tried.timelines.looks(window).values(), seen(1));
    assert_eq!(values(NodeMetric::Cpu), seen(500));
    assert_eq!(values(NodeMetric::Requests), seen(3));
    assert_eq!(values(NodeMetric::Memory), seen(1 << 33));
    assert_eq!(values(NodeMetric::JobsRunning), seen(1));
    assert_eq!(values(NodeMetric::Tasks), seen(3));
    let mut masked = tried.timelines.node(window, NodeMetric::Cpu);
    masked.mask(&tried.timelines.looks(window));
    assert_eq!(masked.values()[2], None, "nobody has looked");
    let stats = tried.timelines.stats();
    assert_eq!((stats.ticks, stats.missed_seconds), (3, 3));
}

#[test]
fn without_room_ended_jobs_go_first_and_tasks_without_a_timeline_still_count_for_the_node() {
    let mut tried = Tried::new(100_000);
    let old = tried.job();
    let running = tasks(4);
    old.publish_tasks(running.clone());
    running.iter().for_each(|task| rows(task, 1));
    tried.look(1);
    tried.end(&old);
    tried.look(1);
    assert_eq!(old.timelines().tasks().len(), 4);
    let new = tried.job();
    let many = tasks(1000);
    new.publish_tasks(many.clone());
    many.iter().for_each(|task| rows(task, 2));
    tried.look(1);
    assert!(old.timelines().tasks().is_empty());
    let stats = tried.timelines.stats();
    assert!(stats.room.bytes <= 100_000 && stats.room.ended == 1, "{stats:?}");
    let with = new.timelines().tasks().len() as u64;
    assert!(with < 1000 && stats.tasks_without == 1000 - with, "{stats:?}");
    assert_eq!(tried.timelines.node(tried.window(Resolution::Second, 1), NodeMetric::RowsRead).sum(), 2000);
    tried.end(&new);
    // The node's own stay within what is set aside for them.
    (0..11_200).for_each(|_| tried.look(1));
    let window = tried.window(Resolution::Minute, 3 * 3600);
    let own = tried.timelines.node_room.stats();
    assert!(own.bytes <= own.bytes_max && own.bytes > own.bytes_max * 9 / 10, "{own:?}");
    // The window is rounded up to whole minutes.
    assert!((10_800..10_860).contains(&tried.timelines.looks(window).sum()));
}

#[test]
fn a_task_without_a_timeline_begins_one_when_there_is_room_for_it() {
    let mut tried = Tried::new(100_000);
    let large = tried.job();
    large.publish_tasks(tasks(1000));
    let small = tried.job();
    let running = tasks(1);
    small.publish_tasks(running.clone());
    tried.look(1);
    assert!(small.timelines().tasks().is_empty());
    tried.end(&large);
    rows(&running[0], 5);
    // The room of the ended job is taken after a minute at the latest, and fine rings begin again a minute after that.
    (0..250).for_each(|_| tried.look(1));
    rows(&running[0], 7);
    tried.look(1);
    assert_eq!(tried.timelines.stats().tasks_without, 0);
    let read = of_job(&small, tried.window(Resolution::Second, 300), JobMetric::RowsRead);
    assert_eq!((read.sum(), read.latest()), (7, Some(7)), "what was counted before is not known");
}

#[test]
fn a_forgotten_job_gives_its_room_back() {
    let mut tried = Tried::new(1 << 20);
    let job = tried.job();
    let running = tasks(1);
    job.publish_tasks(running.clone());
    let bare = tried.timelines.stats().room.bytes;
    rows(&running[0], 1);
    tried.look(1);
    tried.end(&job);
    tried.look(1);
    assert!(tried.timelines.stats().room.bytes > bare);
    tried.directory.trim(0, i64::MAX);
    drop(job);
    let mut other = Tried::new(1 << 20);
    (0..2).for_each(|_| other.look(1));
    let node_alone = other.timelines.stats().room.bytes;
    // The maps of jobs let go of what was taken out of them when no reader can see it any more.
    let deadline = Instant::now() + Duration::from_secs(60);
    while tried.timelines.stats().room.bytes != node_alone {
        assert!(Instant::now() < deadline, "{:?}", tried.timelines.stats());
        crossbeam::epoch::pin().flush();
    }
}

/// What `docs/timelines.md` says about memory; the time is printed (`--nocapture`), not judged.
#[test]
fn ten_thousand_tasks_take_what_the_documentation_says() {
    let mut tried = Tried::new(1 << 30);
    let jobs: Vec<_> = (0..10_000).map(|_| (tried.job(), tasks(1))).collect();
    jobs.iter().for_each(|(job, tasks)| job.publish_tasks(tasks.clone()));
    let bytes = |tried: &Tried| tried.timelines.stats().room.bytes;
    let timed = |tried: &mut Tried, what: &str| {
        let begun = Instant::now();
        tried.look(1);
        println!("{what}: {:?}, {} bytes a task", begun.elapsed(), bytes(tried) / 10_000);
    };
    timed(&mut tried, "the first look");
    timed(&mut tried, "nothing happens");
    assert!(bytes(&tried) / 10_000 < 400, "{}", bytes(&tried));
    for second in 0..90 {
        jobs.iter().for_each(|(_, tasks)| rows(&tasks[0], 100));
        timed(&mut tried, &format!("all are busy, second {second}"));
    }
    assert!(bytes(&tried) / 10_000 < 6_000, "{}", bytes(&tried));
}

#[test]
fn a_ticker_looks_until_it_is_dropped_or_another_one_takes_its_place() {
    let timelines = Timelines::new(Arc::default(), 1 << 20);
    let (told, calls) = std::sync::mpsc::sync_channel(1000);
    let probe = |name: &'static str| -> NodeProbe {
        let told = told.clone();
        Box::new(move || {
            let _ = told.try_send(name);
            NodeReading::default()
        })
    };
    let patience = Duration::from_secs(60);
    let until = |name| while calls.recv_timeout(patience).expect("a look") != name {};
    let first = timelines.start(probe("first")).expect("a thread");
    until("first");
    until("first");
    assert!(timelines.clock().now() > BEGIN);
    let second = timelines.start(probe("second")).expect("a thread");
    until("second");
    drop(first);
    until("second");
    until("second");
    drop(second);
    let deadline = Instant::now() + patience;
    while Arc::weak_count(&timelines) > 0 {
        assert!(Instant::now() < deadline, "the threads end");
        std::thread::sleep(Duration::from_millis(1));
    }
}
