//! Jobs, their vertices and their chains: as many as may have series of their own.

use std::sync::Arc;

use egret_runtime::shard::give_way;

use super::family::{Table, counter, gauge};
use super::items::Items;
use super::text::{Exposition, nanos};
use super::{Live, MetricsSettings};
use crate::jobs::{JobEntry, JobService, JobTotals, TaskStats};

/// Jobs gathered between two looks at the rest of the executor's work.
const JOBS_PER_TURN: usize = 16;

const ENTRY: &str = "entry in the directory";
const TASKS: &str = "counters of the tasks";

/// What is told of the jobs at a moment.
pub(super) struct Jobs {
    pub(super) left_out: LeftOut,
    pub(super) jobs: Items<Job>,
    pub(super) vertices: Items<VertexTotals>,
    pub(super) chains: Items<ChainTotals>,
}

/// Totals under the ids of vertices, in their order.
type ByVertex<T> = Vec<(u32, T)>;

/// What has no series of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    jobs: usize,
    vertices: usize,
}

/// A job at a moment.
pub(super) struct Job {
    entry: Arc<JobEntry>,
    totals: JobTotals,
    tasks: usize,
}

/// What all instances of a vertex have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct VertexTotals {
    rows_in: u64,
    bytes_in: u64,
    rows_out: u64,
    bytes_out: u64,
}

/// What all instances of a chain have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChainTotals {
    tasks: u64,
    batches: u64,
    busy_ns: u64,
    idle_ns: u64,
    back_pressured_ns: u64,
}

pub(super) static LEFT_OUT: Table<LeftOut> = Table {
    title: "What has no series",
    intro: "",
    labels: &[],
    parts: &[],
    families: &[
        gauge(
            "egret_jobs_without_series",
            "Jobs, running or remembered, beyond `metrics_jobs_max`.",
            "directory of the jobs",
            |left_out, out| out.value(left_out.jobs),
        ),
        gauge(
            "egret_vertices_without_series",
            "Vertices of running jobs that have series, beyond `metrics_vertices_max`.",
            "plans of the jobs",
            |left_out, out| out.value(left_out.vertices),
        ),
    ],
};

pub(super) static JOBS: Table<Job> = Table {
    title: "Jobs",
    intro: "Of `metrics_jobs_max` jobs, running ones before ended ones, of each the newest first; ended ones as long as they \
            are remembered. Counts are those of the newest start: a pipeline that is restarted begins at 0 again, which \
            `rate()` knows how to take.",
    labels: &["job_id", "job_name"],
    parts: &[],
    families: &[
        gauge("egret_job_state", "The state that the job is in, always 1.", ENTRY, |job: &Job, out| {
            out.labelled(&[job.entry.state().as_str()], 1u64);
        })
        .by(&["state"]),
        gauge("egret_job_created_timestamp_seconds", "When it was submitted, since 1970.", ENTRY, |job, out| {
            out.value(job.entry.created_at() as f64 / 1e3);
        }),
        gauge("egret_job_ended_timestamp_seconds", "When it ended, since 1970.", ENTRY, |job, out| {
            out.known(job.entry.finished_at().map(|ended| ended as f64 / 1e3));
        }),
        gauge("egret_job_tasks", "Tasks of a running job.", ENTRY, |job, out| out.value(job.tasks)),
        counter("egret_job_source_rows_total", "Rows that its sources handed out.", TASKS, |job, out| {
            out.value(job.totals.source_rows);
        }),
        counter("egret_job_source_bytes_total", "Bytes that its sources handed out.", TASKS, |job, out| {
            out.value(job.totals.source_bytes);
        }),
        counter("egret_job_sink_rows_total", "Rows that its sinks were given.", TASKS, |job, out| {
            out.value(job.totals.sink_rows);
        }),
        counter("egret_job_sink_bytes_total", "Bytes that its sinks were given.", TASKS, |job, out| {
            out.value(job.totals.sink_bytes);
        }),
        counter("egret_job_warnings_total", "Warnings about its data.", TASKS, |job, out| {
            out.value(job.totals.warnings);
        }),
    ],
};

pub(super) static VERTICES: Table<VertexTotals> = Table {
    title: "Vertices of running jobs",
    intro: "Of the running jobs that have series, whole jobs until there are `metrics_vertices_max` vertices. Parallel \
            instances are summed.",
    labels: &["job_id", "vertex_id", "vertex"],
    parts: &[],
    families: &[
        counter("egret_vertex_received_rows_total", "Rows taken in.", TASKS, |vertex, out| out.value(vertex.rows_in)),
        counter("egret_vertex_received_bytes_total", "Bytes taken in.", TASKS, |vertex, out| {
            out.value(vertex.bytes_in);
        }),
        counter("egret_vertex_sent_rows_total", "Rows passed on, or written by a sink.", TASKS, |vertex, out| {
            out.value(vertex.rows_out);
        }),
        counter("egret_vertex_sent_bytes_total", "Bytes passed on, or written by a sink.", TASKS, |vertex, out| {
            out.value(vertex.bytes_out);
        }),
    ],
};

pub(super) static CHAINS: Table<ChainTotals> = Table {
    title: "Tasks of running jobs",
    intro: "A task runs a chain of vertices; `vertex_id` is the first one of them. Of the jobs whose vertices have series. \
            Parallel instances are summed.",
    labels: &["job_id", "vertex_id"],
    parts: &[],
    families: &[
        gauge("egret_task_instances", "Parallel instances.", TASKS, |chain, out| out.value(chain.tasks)),
        counter("egret_task_batches_total", "Batches processed.", TASKS, |chain, out| out.value(chain.batches)),
        counter("egret_task_busy_seconds_total", "Time at work.", TASKS, |chain, out| {
            out.value(nanos(chain.busy_ns));
        }),
        counter("egret_task_idle_seconds_total", "Time without input.", TASKS, |chain, out| {
            out.value(nanos(chain.idle_ns));
        }),
        counter("egret_task_back_pressured_seconds_total", "Time waiting for room behind it.", TASKS, |chain, out| {
            out.value(nanos(chain.back_pressured_ns));
        }),
    ],
};

impl Jobs {
    /// Looks at the jobs, as far as what is asked for needs it.
    pub(super) async fn gather(live: &Live, text: &Exposition) -> Self {
        let mut jobs = Self {
            left_out: LeftOut::default(),
            jobs: Items::new(&JOBS),
            vertices: Items::new(&VERTICES),
            chains: Items::new(&CHAINS),
        };
        let with_vertices = text.wants(&VERTICES) || text.wants(&CHAINS) || text.wants(&LEFT_OUT);
        if !with_vertices && !text.wants(&JOBS) {
            return jobs;
        }
        let settings = &live.node.settings.metrics;
        for (index, entry) in shown(&live.jobs, settings).await.into_iter().enumerate() {
            if index % JOBS_PER_TURN == JOBS_PER_TURN - 1 {
                give_way().await;
            }
            jobs.add(entry, with_vertices, settings);
        }
        jobs.left_out.jobs = (live.counts.running + live.counts.remembered).saturating_sub(jobs.jobs.len());
        jobs
    }

    fn add(&mut self, entry: Arc<JobEntry>, with_vertices: bool, settings: &MetricsSettings) {
        let mut buffer = itoa::Buffer::new();
        let id = buffer.format(entry.id());
        let tasks = entry.tasks();
        if with_vertices && !tasks.is_empty() {
            if self.vertices.len() + entry.plan().vertices.len() <= settings.vertices_max {
                self.add_vertices(id, &entry, &tasks);
            } else {
                self.left_out.vertices += entry.plan().vertices.len();
            }
        }
        let values = [id, &**entry.name()];
        self.jobs.push(&values, Job { totals: entry.totals(), tasks: tasks.len(), entry: entry.clone() });
    }

    fn add_vertices(&mut self, id: &str, entry: &JobEntry, tasks: &[Arc<TaskStats>]) {
        let (vertices, chains) = summed(tasks);
        let mut buffer = itoa::Buffer::new();
        for (vertex_id, totals) in vertices {
            let action = entry.plan().vertex(vertex_id).map_or("", |vertex| &vertex.action);
            self.vertices.push(&[id, buffer.format(vertex_id), action], totals);
        }
        for (first, totals) in chains {
            self.chains.push(&[id, buffer.format(first)], totals);
        }
    }
}

/// The jobs that have series: those that run, then those that have ended, of each the newest first.
async fn shown(jobs: &JobService, settings: &MetricsSettings) -> Vec<Arc<JobEntry>> {
    let mut shown = jobs.newest_running(settings.jobs_max);
    let running = shown.len();
    let mut last: Option<Arc<JobEntry>> = None;
    while shown.len() < settings.jobs_max {
        let ended = jobs.ended_before(last.as_deref(), JOBS_PER_TURN);
        let Some(oldest) = ended.last().cloned() else { break };
        // One that has just ended may still be among those that ran.
        let is_new = |job: &Arc<JobEntry>| {
            shown[..running].binary_search_by(|known| job.sequence().cmp(&known.sequence())).is_err()
        };
        let new: Vec<_> = ended.into_iter().filter(is_new).take(settings.jobs_max - shown.len()).collect();
        shown.extend(new);
        last = Some(oldest);
        give_way().await;
    }
    shown
}

/// The sums over parallel instances: of each vertex, and of each chain by its first vertex.
fn summed(tasks: &[Arc<TaskStats>]) -> (ByVertex<VertexTotals>, ByVertex<ChainTotals>) {
    let (mut vertices, mut chains) = (Vec::new(), Vec::new());
    for task in tasks {
        let Some(first) = task.vertices.first() else { continue };
        let chain: &mut ChainTotals = entry_of(&mut chains, first.vertex);
        chain.tasks += 1;
        chain.batches += task.batches.get();
        chain.busy_ns += task.busy_ns.get();
        chain.idle_ns += task.idle_ns.get();
        chain.back_pressured_ns += task.back_pressured_ns.get();
        for counted in &task.vertices {
            let vertex: &mut VertexTotals = entry_of(&mut vertices, counted.vertex);
            for table in &counted.tables {
                vertex.rows_in += table.rows_in.get();
                vertex.bytes_in += table.bytes_in.get();
                vertex.rows_out += table.rows_out.get();
                vertex.bytes_out += table.bytes_out.get();
            }
        }
    }
    (vertices, chains)
}

/// The totals of a vertex; a plan has few of them.
fn entry_of<T: Default>(entries: &mut ByVertex<T>, number: u32) -> &mut T {
    let place = match entries.binary_search_by_key(&number, |(known, _)| *known) {
        Ok(place) => place,
        Err(place) => {
            entries.insert(place, (number, T::default()));
            place
        }
    };
    &mut entries[place].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_instances_are_summed() {
        let task = |rows: u64| {
            let task = TaskStats::new([(3, 2), (5, 1)]);
            task.vertices[0].tables[0].rows_out.add(rows);
            task.vertices[0].tables[1].rows_out.add(1);
            task.vertices[1].tables[0].bytes_in.add(8 * rows);
            task.batches.add(1);
            task.busy_ns.add(10);
            Arc::new(task)
        };
        let other = TaskStats::new([(1, 1)]);
        other.idle_ns.add(7);
        let (vertices, chains) = summed(&[task(5), Arc::new(other), task(6)]);
        let expected = [
            (1, VertexTotals::default()),
            (3, VertexTotals { rows_out: 13, ..VertexTotals::default() }),
            (5, VertexTotals { bytes_in: 88, ..VertexTotals::default() }),
        ];
        assert_eq!(vertices, expected);
        let expected = [
            (1, ChainTotals { tasks: 1, idle_ns: 7, ..ChainTotals::default() }),
            (3, ChainTotals { tasks: 2, batches: 2, busy_ns: 20, ..ChainTotals::default() }),
        ];
        assert_eq!(chains, expected);
    }
}
