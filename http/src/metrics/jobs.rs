//! Jobs, their vertices and their chains: as many as may have series of their own.

use std::sync::Arc;

use egret_runtime::plan::Vertex;
use egret_runtime::plugin::PluginKind;
use egret_runtime::shard::give_way;

use super::family::{Table, counter, gauge};
use super::items::Items;
use super::text::{Exposition, labels, nanos};
use super::{Live, MetricsSettings};
use crate::jobs::{JobEntry, JobService, JobState, JobTotals, Pieces, TaskStats};

/// Jobs gathered between two looks at the rest of the executor's work.
const JOBS_PER_TURN: usize = 16;
/// Room for the labels of a job, a vertex or a chain; where it is not enough it grows.
const LABEL_BYTES: usize = 96;

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

/// Sums over the parallel instances of one job after the other.
#[derive(Debug, Default)]
struct Sums {
    /// Of each vertex.
    vertices: ByVertex<VertexTotals>,
    /// Of each chain, by its first vertex.
    chains: ByVertex<ChainTotals>,
    warnings: u64,
}

/// What has no series of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    jobs: usize,
    vertices: usize,
}

/// A job at a moment.
pub(super) struct Job {
    state: JobState,
    /// Milliseconds since 1970.
    created: i64,
    ended: Option<i64>,
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
            out.labelled(&[job.state.as_str()], 1u64);
        })
        .by(&["state"]),
        gauge("egret_job_created_timestamp_seconds", "When it was submitted, since 1970.", ENTRY, |job, out| {
            out.value(job.created as f64 / 1e3);
        }),
        gauge("egret_job_ended_timestamp_seconds", "When it ended, since 1970.", ENTRY, |job, out| {
            out.known(job.ended.map(|ended| ended as f64 / 1e3));
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
        let with_vertices = text.wants(&VERTICES) || text.wants(&CHAINS) || text.wants(&LEFT_OUT);
        let settings = &live.node.settings.metrics;
        let entries =
            if with_vertices || text.wants(&JOBS) { shown(&live.jobs, settings).await } else { return Self::none() };
        let mut jobs = Self::with_room(entries.len());
        let mut sums = Sums::default();
        for (index, entry) in entries.iter().enumerate() {
            if index % JOBS_PER_TURN == JOBS_PER_TURN - 1 {
                give_way().await;
            }
            jobs.add(entry, with_vertices, settings, &mut sums);
        }
        jobs.left_out.jobs = (live.counts.running + live.counts.remembered).saturating_sub(jobs.jobs.len());
        jobs
    }

    fn none() -> Self {
        Self::with_room(0)
    }

    /// Nothing yet, with room for so many jobs; of vertices and chains, which may be few or many, for one each.
    fn with_room(jobs: usize) -> Self {
        Self {
            left_out: LeftOut::default(),
            jobs: Items::with_room(jobs, jobs * LABEL_BYTES),
            vertices: Items::with_room(jobs, jobs * LABEL_BYTES),
            chains: Items::with_room(jobs, jobs * LABEL_BYTES),
        }
    }

    fn add(&mut self, entry: &JobEntry, with_vertices: bool, settings: &MetricsSettings, sums: &mut Sums) {
        let labels = entry.rendered().labels(|| labels_of(entry));
        let (tasks, vertices) = (entry.tasks(), &entry.plan().vertices);
        let fits = self.vertices.len() + vertices.len() <= settings.vertices_max;
        let totals = if with_vertices && !tasks.is_empty() && fits {
            sums.take(&tasks);
            self.add_parts(vertices, labels, sums)
        } else {
            entry.totals()
        };
        if with_vertices && !tasks.is_empty() && !fits {
            self.left_out.vertices += vertices.len();
        }
        // The state is read first: what is known of a job's end is there before the final state is.
        let state = entry.state();
        let ended = if state.is_final() { entry.finished_at() } else { None };
        let job = Job { state, created: entry.created_at(), ended, totals, tasks: tasks.len() };
        self.jobs.push_rendered(labels.get(0), job);
    }

    /// Adds the vertices and chains of a job, and gives what they come to.
    fn add_parts(&mut self, vertices: &[Vertex], labels: &Pieces, sums: &Sums) -> JobTotals {
        let mut job = JobTotals { warnings: sums.warnings, ..JobTotals::default() };
        let mut chains = sums.chains.iter().peekable();
        for (id, totals) in &sums.vertices {
            let place = vertices.iter().position(|vertex| vertex.id == *id);
            match place.map(|place| vertices[place].kind) {
                Some(PluginKind::Source) => {
                    job.source_rows += totals.rows_out;
                    job.source_bytes += totals.bytes_out;
                }
                Some(PluginKind::Sink) => {
                    job.sink_rows += totals.rows_in;
                    job.sink_bytes += totals.bytes_in;
                }
                Some(PluginKind::Transform) | None => {}
            }
            let Some(place) = place else { continue };
            self.vertices.push_rendered(labels.get(1 + 2 * place), *totals);
            if let Some((_, totals)) = chains.next_if(|(first, _)| first == id) {
                self.chains.push_rendered(labels.get(2 + 2 * place), *totals);
            }
        }
        job
    }
}

/// The labels of a job, and for each vertex of its plan those of the vertex and of the chain that begins with it.
fn labels_of(entry: &JobEntry) -> Pieces {
    let (mut id, mut number) = (itoa::Buffer::new(), itoa::Buffer::new());
    let id = id.format(entry.id());
    let rendered = |names, values: &[&str]| {
        let mut text = String::new();
        labels(&mut text, names, values);
        text
    };
    let mut pieces = vec![rendered(JOBS.labels, &[id, entry.name()])];
    for vertex in &entry.plan().vertices {
        let number = number.format(vertex.id);
        pieces.push(rendered(VERTICES.labels, &[id, number, &vertex.action]));
        pieces.push(rendered(CHAINS.labels, &[id, number]));
    }
    Pieces::of(pieces)
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

impl Sums {
    /// Sums these tasks up, in place of what was there.
    fn take(&mut self, tasks: &[Arc<TaskStats>]) {
        self.vertices.clear();
        self.chains.clear();
        self.warnings = 0;
        for task in tasks {
            let Some(first) = task.vertices.first() else { continue };
            self.warnings += task.warnings.get();
            let chain: &mut ChainTotals = entry_of(&mut self.chains, first.vertex);
            chain.tasks += 1;
            chain.batches += task.batches.get();
            chain.busy_ns += task.busy_ns.get();
            chain.idle_ns += task.idle_ns.get();
            chain.back_pressured_ns += task.back_pressured_ns.get();
            for counted in &task.vertices {
                let vertex: &mut VertexTotals = entry_of(&mut self.vertices, counted.vertex);
                for table in &counted.tables {
                    vertex.rows_in += table.rows_in.get();
                    vertex.bytes_in += table.bytes_in.get();
                    vertex.rows_out += table.rows_out.get();
                    vertex.bytes_out += table.bytes_out.get();
                }
            }
        }
    }
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
        let mut sums = Sums::default();
        sums.take(&[task(9)]);
        sums.take(&[task(5), Arc::new(other), task(6)]);
        let expected = [
            (1, VertexTotals::default()),
            (3, VertexTotals { rows_out: 13, ..VertexTotals::default() }),
            (5, VertexTotals { bytes_in: 88, ..VertexTotals::default() }),
        ];
        assert_eq!(sums.vertices, expected);
        let expected = [
            (1, ChainTotals { tasks: 1, idle_ns: 7, ..ChainTotals::default() }),
            (3, ChainTotals { tasks: 2, batches: 2, busy_ns: 20, ..ChainTotals::default() }),
        ];
        assert_eq!(sums.chains, expected);
    }
}
