//! `GET /egret/timelines`: what node and jobs have done lately. `docs/timelines.md` has what is in an answer.

mod query;

use std::sync::Arc;

use egret_collectors::OwnUsage;
use egret_runtime::metrics::timeline::{Series, Window};
use egret_runtime::shard::give_way;
use http::StatusCode;

use crate::jobs::{
    JobEntry, JobMetric, JobService, MetricKind, NodeMetric, NodeProbe, NodeReading, TaskMetric, TaskTimeline,
};
use crate::json::JsonBuffer;
use crate::reply::Reply;
use crate::stats::ShardStats;

use query::{About, Query, Vertices};

/// Jobs that one answer is about; there may be more that run.
const JOBS_MAX: usize = 1000;
/// Values in one answer.
const VALUES_MAX: usize = 200_000;

/// What the node's own timelines need of this room and of the process.
pub(super) fn probe(stats: Vec<Arc<ShardStats>>) -> NodeProbe {
    let mut usage = OwnUsage::default();
    Box::new(move || {
        let requests = stats.iter().flat_map(|shard| &shard.routes).flat_map(|route| route.by_class());
        NodeReading {
            cpu_us: u64::try_from(usage.cpu_time().as_micros()).unwrap_or(u64::MAX),
            memory_bytes: usage.memory_resident(),
            requests: requests.sum(),
            connections: stats.iter().map(|shard| shard.open.get()).sum(),
        }
    })
}

/// Answers what the query asks for.
pub(super) async fn handle(query: &str, jobs: &JobService) -> Reply {
    let query = match Query::read(query) {
        Ok(query) => query,
        Err(message) => return Reply::bad_request(&message),
    };
    let mut answer = match Answer::begin(&query, jobs) {
        Ok(answer) => answer,
        Err(message) => return Reply::bad_request(&message),
    };
    let found = match query.about {
        About::Node => answer.node(jobs, &query),
        About::RunningJobs => answer.running_jobs(jobs, &query).await,
        About::Job(id) => answer.job_of_id(jobs, id, &query).await,
    };
    match found {
        Ok(()) => answer.end(),
        Err(Refused::Query(message)) => Reply::bad_request(&message),
        Err(Refused::Unknown(message)) => Reply::fail(StatusCode::NOT_FOUND, &message),
    }
}

/// Why there is no answer.
enum Refused {
    /// The query is wrong.
    Query(String),
    /// There is no such thing.
    Unknown(String),
}

/// An answer as it is written.
struct Answer {
    json: JsonBuffer,
    window: Window,
    /// How often the counters were looked at.
    looks: Series,
    series: usize,
    values: usize,
    omitted: usize,
}

impl Answer {
    fn begin(query: &Query, jobs: &JobService) -> Result<Self, String> {
        let clock = jobs.timelines().clock();
        let now = clock.now();
        let (start, end) = query.range(now)?;
        let window = clock.window(query.resolution, start, end);
        let mut json = JsonBuffer::default();
        json.raw(r#"{"now":"#).integer(now);
        json.raw(r#","resolution":"#).integer(query.resolution.seconds());
        json.raw(r#","start":"#).integer(window.time(0));
        json.raw(r#","end":"#).integer(window.time(window.slots()));
        json.raw(r#","series":["#);
        let looks = jobs.timelines().looks(window);
        Ok(Self { json, window, looks, series: 0, values: 0, omitted: 0 })
    }

    fn end(mut self) -> Reply {
        self.json.raw(r#"],"omitted":"#).integer(self.omitted).raw("}");
        Reply::json(self.json.take())
    }

    fn node(&mut self, jobs: &JobService, query: &Query) -> Result<(), Refused> {
        let metrics = query.metrics("the node", &NodeMetric::ALL, |metric| metric.name()).map_err(Refused::Query)?;
        for metric in metrics {
            if self.has_room() {
                let series = jobs.timelines().node(self.window, metric);
                self.write(&Labels::default(), metric.name(), metric.kind(), series);
            }
        }
        Ok(())
    }

    async fn running_jobs(&mut self, jobs: &JobService, query: &Query) -> Result<(), Refused> {
        let running = jobs.running();
        for job in running.iter().take(JOBS_MAX) {
            self.job(job, query).await?;
        }
        self.omitted += running.len().saturating_sub(JOBS_MAX);
        Ok(())
    }

    async fn job_of_id(&mut self, jobs: &JobService, id: i64, query: &Query) -> Result<(), Refused> {
        let unknown = || Refused::Unknown(format!("There is no job {id}."));
        let job = jobs.job(id).ok_or_else(unknown)?;
        match query.vertices {
            None => self.job(&job, query).await,
            Some(vertices) => self.tasks(&job, vertices, query).await,
        }
    }

    /// A job, summed over its tasks.
    async fn job(&mut self, job: &JobEntry, query: &Query) -> Result<(), Refused> {
        let metrics = query.metrics("a job", &JobMetric::ALL, |metric| metric.name()).map_err(Refused::Query)?;
        let tasks = job.timelines().tasks();
        for metric in metrics {
            if !self.has_room() {
                continue;
            }
            let mut series = Series::new(self.window);
            for task in tasks.iter() {
                task.columns().of_job(metric).for_each(|column| series.add(task.timeline(), column));
                // A job may have thousands of tasks, and a node as many jobs.
                give_way().await;
            }
            self.write(&Labels { job: Some(job.id()), task: None }, metric.name(), MetricKind::Count, series);
            give_way().await;
        }
        Ok(())
    }

    /// The tasks of vertices, each by itself.
    async fn tasks(&mut self, job: &JobEntry, vertices: Vertices, query: &Query) -> Result<(), Refused> {
        let metrics = query.metrics("a task", &TaskMetric::ALL, |metric| metric.name()).map_err(Refused::Query)?;
        if let Vertices::One(vertex) = vertices {
            let known = job.plan().vertex(vertex);
            let unknown = || format!("There is no vertex {vertex} in job {}.", job.id());
            let known = known.ok_or_else(|| Refused::Unknown(unknown()))?;
            if let Some(index) = query.index.filter(|index| *index >= known.parallelism) {
                let message = format!("There is no task {index} of vertex {vertex} in job {}.", job.id());
                return Err(Refused::Unknown(message));
            }
        }
        for task in job.timelines().tasks().iter() {
            if query.index.is_none_or(|index| index == task.index()) {
                self.task(job, task, vertices, &metrics);
                give_way().await;
            }
        }
        Ok(())
    }

    fn task(&mut self, job: &JobEntry, task: &TaskTimeline, vertices: Vertices, metrics: &[TaskMetric]) {
        let columns = task.columns();
        for (vertex, _) in columns.vertices().iter().filter(|(vertex, _)| vertices.has(*vertex)) {
            for metric in metrics {
                let Some(column) = columns.of_vertex(*vertex, *metric) else { continue };
                if self.has_room() {
                    let mut series = Series::new(self.window);
                    series.add(task.timeline(), column);
                    let labels = Labels { job: Some(job.id()), task: Some((*vertex, task.index())) };
                    self.write(&labels, metric.name(), MetricKind::Count, series);
                }
            }
        }
    }

    /// Whether there is room for one more; counts it as left out otherwise.
    fn has_room(&mut self) -> bool {
        let has_room = self.values + self.window.slots() <= VALUES_MAX;
        self.omitted += usize::from(!has_room);
        has_room
    }

    fn write(&mut self, labels: &Labels, metric: &str, kind: MetricKind, mut series: Series) {
        series.mask(&self.looks);
        let json = &mut self.json;
        json.raw(if self.series > 0 { ",{" } else { "{" });
        self.series += 1;
        self.values += series.values().len();
        labels.write(json);
        json.raw(r#""metric":"#).string(metric);
        match kind {
            MetricKind::Count => count(json, &series),
            MetricKind::Gauge => gauge(json, &series, &self.looks),
        }
        json.raw("}");
    }
}

/// What a series is about, beside its metric.
#[derive(Default)]
struct Labels {
    job: Option<i64>,
    /// Vertex and index.
    task: Option<(u32, usize)>,
}

impl Labels {
    fn write(&self, json: &mut JsonBuffer) {
        if let Some(job) = self.job {
            json.raw(r#""jobId":"#).quoted_integer(job).raw(",");
        }
        if let Some((vertex, index)) = self.task {
            json.raw(r#""vertexId":"#).integer(vertex).raw(r#","index":"#).integer(index).raw(",");
        }
    }
}

fn count(json: &mut JsonBuffer, series: &Series) {
    json.raw(r#","kind":"count","sum":"#).integer(series.sum());
    json.raw(r#","seconds":"#).integer(series.seconds());
    values(json, series.values(), |json, value| _ = json.integer(*value));
}

/// What was seen is summed up; so it is told by the number of looks.
fn gauge(json: &mut JsonBuffer, series: &Series, looks: &Series) {
    let mean = |(sum, looks): (&Option<u64>, &Option<u64>)| {
        let looks = looks.filter(|looks| *looks > 0)?;
        Some((*sum)? as f64 / looks as f64)
    };
    let means: Vec<Option<f64>> = series.values().iter().zip(looks.values()).map(mean).collect();
    let all = mean((&Some(series.sum()), &Some(looks.sum())));
    let latest = means.iter().rev().flatten().next().copied();
    for (name, value) in [(r#","kind":"gauge","mean":"#, all), (r#","latest":"#, latest)] {
        json.raw(name);
        match value {
            Some(value) => double(json, value),
            None => _ = json.raw("null"),
        }
    }
    values(json, &means, |json, value| double(json, *value));
}

fn values<T>(json: &mut JsonBuffer, values: &[Option<T>], write: impl Fn(&mut JsonBuffer, &T)) {
    json.raw(r#","values":["#);
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            json.raw(",");
        }
        match value {
            Some(value) => write(json, value),
            None => _ = json.raw("null"),
        }
    }
    json.raw("]");
}

/// A finite number, without an exponent.
fn double(json: &mut JsonBuffer, value: f64) {
    json.raw(&value.to_string());
}
