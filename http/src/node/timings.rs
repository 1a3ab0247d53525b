//! How long things take: routes, executors, the tasks of all jobs and of one job.

use std::sync::Arc;

use egret_runtime::metrics::{Buckets, QUANTILES, Times};
use egret_runtime::shard::{ExecutorTime, ExecutorTimes, give_way};
use egret_runtime::task::TaskTime;

use crate::clock::Seconds;
use crate::jobs::{JobEntry, JobService};
use crate::json::JsonBuffer;
use crate::reply::Reply;
use crate::route::routes;

use super::Node;

/// Names of what an executor is timed at.
const EXECUTOR_TIMES: [(&str, ExecutorTime); ExecutorTime::ALL.len()] = [
    ("wakeUp", ExecutorTime::WakeUp),
    ("tick", ExecutorTime::Tick),
    ("slice", ExecutorTime::Slice),
    ("turn", ExecutorTime::Turn),
    ("tokenWait", ExecutorTime::TokenWait),
    ("mailbox", ExecutorTime::Mailbox),
];

/// Answers with all timings; with a `jobId` in the query with those of that job, too.
pub(super) async fn timings(node: &Node, jobs: &JobService, query: &str) -> Reply {
    let job = match asked_job(jobs, query) {
        Ok(job) => job,
        Err(refusal) => return refusal,
    };
    let mut view = View::default();
    view.json.raw(r#"{"routes":["#);
    view.routes(node).await;
    view.json.raw(r#"],"shards":["#);
    view.shards(node).await;
    view.json.raw(r#"],"tasks":"#);
    view.tasks(|of, times| {
        jobs.times().shards().iter().filter_map(|shard| shard.of(of)).for_each(|buckets| times.add(buckets));
    });
    if let Some(job) = job {
        view.json.raw(r#","job":{"jobId":"#).string(&job.id().to_string()).raw(r#","jobName":"#).string(job.name());
        view.json.raw(r#","jobStatus":"#).string(job.state().as_str()).raw(r#","tasks":"#);
        view.tasks(|of, times| job.times().pour(of, times));
        view.json.raw("}");
    }
    view.json.raw("}");
    Reply::json(view.json.take())
}

/// The job that the query names; none if it names none.
fn asked_job(jobs: &JobService, query: &str) -> Result<Option<Arc<JobEntry>>, Reply> {
    let Some(id) = query.split('&').find_map(|pair| pair.strip_prefix("jobId=")) else { return Ok(None) };
    let number = id.parse().map_err(|_| Reply::bad_request(&format!("The jobId '{id}' is no number.")))?;
    let unknown = || Reply::fail(http::StatusCode::NOT_FOUND, &format!("There is no job {number}."));
    jobs.job(number).map(Some).ok_or_else(unknown)
}

/// An answer while it is written.
#[derive(Default)]
struct View {
    json: JsonBuffer,
    /// Used for one after the other.
    times: Times,
}

impl View {
    /// Routes that were asked for.
    async fn routes(&mut self, node: &Node) {
        let mut is_first = true;
        for (position, route) in routes().enumerate() {
            let times = || node.stats.iter().filter_map(|shard| shard.routes[position].time());
            if times().next().is_none() {
                continue;
            }
            self.json.raw(if std::mem::take(&mut is_first) { "" } else { "," });
            self.json.raw(r#"{"api":"#).string(route.api).raw(r#","path":"#).string(route.path);
            self.json.raw(r#","method":"#).string(route.verb.method()).raw(r#","time":"#);
            self.sum_up(times());
            self.json.raw("}");
            give_way().await;
        }
    }

    async fn shards(&mut self, node: &Node) {
        let executors: Vec<_> = node.shards.times().collect();
        let (fronts, works) = executors.split_at(node.shards.len());
        for (front, work) in fronts.iter().zip(works) {
            let separator = if front.shard.0 > 0 { "," } else { "" };
            self.json.raw(separator).raw(r#"{"shard":"#).integer(front.shard.0).raw(r#","front":"#);
            self.executor(front.times);
            self.json.raw(r#","work":"#);
            self.executor(work.times);
            self.json.raw("}");
            give_way().await;
        }
    }

    fn executor(&mut self, times: &ExecutorTimes) {
        for (index, (name, of)) in EXECUTOR_TIMES.into_iter().enumerate() {
            self.json.raw(if index == 0 { "{" } else { "," }).string(name).raw(":");
            self.sum_up([times.of(of)]);
        }
        self.json.raw("}");
    }

    /// The times of tasks, which `pour` adds up for each kind.
    fn tasks(&mut self, pour: impl Fn(TaskTime, &mut Times)) {
        for of in TaskTime::ALL {
            self.json.raw(if of == TaskTime::Batch { "{" } else { "," }).string(of.as_str()).raw(":");
            self.times.clear();
            pour(of, &mut self.times);
            self.summary();
        }
        self.json.raw("}");
    }

    fn sum_up<'b>(&mut self, all: impl IntoIterator<Item = &'b Buckets>) {
        self.times.clear();
        all.into_iter().for_each(|buckets| self.times.add(buckets));
        self.summary();
    }

    /// Count, sum, maximum and quantiles.
    fn summary(&mut self) {
        let times = &self.times;
        self.json.raw(r#"{"count":"#).integer(times.count());
        self.json.raw(r#","sum":"#).raw(&Seconds(times.sum()).to_string());
        self.json.raw(r#","max":"#).raw(&Seconds(times.max()).to_string()).raw(r#","quantiles":{"#);
        if times.count() > 0 {
            for (index, (quantile, nanos)) in QUANTILES.into_iter().zip(times.quantiles(&QUANTILES)).enumerate() {
                self.json.raw(if index == 0 { "" } else { "," }).string(&quantile.to_string());
                self.json.raw(":").raw(&Seconds(nanos).to_string());
            }
        }
        self.json.raw("}}");
    }
}
