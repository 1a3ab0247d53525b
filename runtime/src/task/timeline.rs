//! Which of a task's counters have timelines, and in which columns.

use std::sync::Arc;

use super::probe::{TaskStats, VertexStats};
use crate::metrics::timeline::Timeline;
use crate::plan::JobGraph;
use crate::plugin::PluginKind;

/// What is counted of a task. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskMetric {
    /// Rows that a vertex takes in.
    RowsIn,
    /// Bytes that a vertex takes in.
    BytesIn,
    /// Rows that a vertex passes on.
    RowsOut,
    /// Bytes that a vertex passes on.
    BytesOut,
    /// Batches through the whole task.
    Batches,
    /// Time of the task at work.
    Busy,
    /// Time of the task waiting for room behind it.
    BackPressured,
}

impl TaskMetric {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::RowsIn, Self::BytesIn, Self::RowsOut, Self::BytesOut, Self::Batches, Self::Busy, Self::BackPressured];

    /// Its name, with the unit where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowsIn => "rows_in",
            Self::BytesIn => "bytes_in",
            Self::RowsOut => "rows_out",
            Self::BytesOut => "bytes_out",
            Self::Batches => "batches",
            Self::Busy => "busy_us",
            Self::BackPressured => "back_pressured_us",
        }
    }
}

/// What is counted of a job: sums over its tasks. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobMetric {
    /// Rows that its sources hand out.
    RowsRead,
    /// Bytes that its sources hand out.
    BytesRead,
    /// Rows that its sinks are given.
    RowsWritten,
    /// Bytes that its sinks are given.
    BytesWritten,
    /// Batches through its tasks.
    Batches,
    /// Time of its tasks at work.
    Busy,
    /// Time of its tasks waiting for room behind them.
    BackPressured,
}

impl JobMetric {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RowsRead,
        Self::BytesRead,
        Self::RowsWritten,
        Self::BytesWritten,
        Self::Batches,
        Self::Busy,
        Self::BackPressured,
    ];

    /// Rows and bytes that come in and go out.
    pub const FLOWS: [Self; 4] = [Self::RowsRead, Self::BytesRead, Self::RowsWritten, Self::BytesWritten];

    /// Its name, with the unit where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowsRead => "rows_read",
            Self::BytesRead => "bytes_read",
            Self::RowsWritten => "rows_written",
            Self::BytesWritten => "bytes_written",
            Self::Batches => "batches",
            Self::Busy => "busy_us",
            Self::BackPressured => "back_pressured_us",
        }
    }
}

/// Columns of the task itself; two for each of its vertices follow.
const OF_TASK: [TaskMetric; 3] = [TaskMetric::Batches, TaskMetric::Busy, TaskMetric::BackPressured];
const OF_VERTEX: usize = 2;

/// The columns of a vertex: what is counted of its kind.
fn of_vertex(kind: PluginKind) -> [TaskMetric; OF_VERTEX] {
    match kind {
        PluginKind::Source => [TaskMetric::RowsOut, TaskMetric::BytesOut],
        PluginKind::Transform => [TaskMetric::RowsIn, TaskMetric::RowsOut],
        PluginKind::Sink => [TaskMetric::RowsIn, TaskMetric::BytesIn],
    }
}

/// The columns of the tasks of a chain.
#[derive(Debug, PartialEq, Eq)]
pub struct TaskColumns {
    /// Ids and kinds of the vertices, in the order of the flow.
    vertices: Box<[(u32, PluginKind)]>,
}

impl TaskColumns {
    /// Those of the chain that the task runs.
    pub(crate) fn of(stats: &TaskStats, graph: &JobGraph) -> Self {
        // Every vertex of a task is in its job's graph.
        let kind = |id| graph.vertex(id).map_or(PluginKind::Transform, |vertex| vertex.kind);
        Self { vertices: stats.vertices.iter().map(|vertex| (vertex.vertex, kind(vertex.vertex))).collect() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        OF_TASK.len() + OF_VERTEX * self.vertices.len()
    }

    /// Ids and kinds of the vertices, in the order of the flow.
    pub fn vertices(&self) -> &[(u32, PluginKind)] {
        &self.vertices
    }

    /// The column of a metric at a vertex of the task; `None` where it is not counted, or the vertex is not there.
    pub fn of_vertex(&self, vertex: u32, metric: TaskMetric) -> Option<usize> {
        let position = self.vertices.iter().position(|(id, _)| *id == vertex)?;
        let in_task = OF_TASK.iter().position(|of_task| *of_task == metric);
        in_task.or_else(|| self.at(position, metric))
    }

    /// The columns that make up a metric of the job.
    pub fn of_job(&self, metric: JobMetric) -> impl Iterator<Item = usize> + '_ {
        let (kind, metric) = match metric {
            JobMetric::RowsRead => (Some(PluginKind::Source), TaskMetric::RowsOut),
            JobMetric::BytesRead => (Some(PluginKind::Source), TaskMetric::BytesOut),
            JobMetric::RowsWritten => (Some(PluginKind::Sink), TaskMetric::RowsIn),
            JobMetric::BytesWritten => (Some(PluginKind::Sink), TaskMetric::BytesIn),
            JobMetric::Batches => (None, TaskMetric::Batches),
            JobMetric::Busy => (None, TaskMetric::Busy),
            JobMetric::BackPressured => (None, TaskMetric::BackPressured),
        };
        let in_task = OF_TASK.iter().position(|of_task| kind.is_none() && *of_task == metric);
        let of_vertices = self.vertices.iter().enumerate().filter_map(move |(position, (_, of_kind))| {
            if Some(*of_kind) == kind { self.at(position, metric) } else { None }
        });
        in_task.into_iter().chain(of_vertices)
    }

    fn at(&self, position: usize, metric: TaskMetric) -> Option<usize> {
        let of_kind = of_vertex(self.vertices[position].1).iter().position(|of_kind| *of_kind == metric)?;
        Some(OF_TASK.len() + OF_VERTEX * position + of_kind)
    }

    /// What the task's counters say now, column by column.
    pub(crate) fn read(&self, stats: &TaskStats, values: &mut Vec<u64>) {
        values.clear();
        values.extend([stats.batches.get(), stats.busy_ns.get() / 1000, back_pressured_ns(stats) / 1000]);
        for (vertex, (_, kind)) in stats.vertices.iter().zip(&self.vertices) {
            values.extend(of_vertex(*kind).map(|metric| sum(vertex, metric)));
        }
    }
}

/// A wait is counted when it is over; one that goes on counts as far as it has come, so that it does not fall into the
/// second of its end as a whole. What is read may go back a little when the wait is over.
fn back_pressured_ns(stats: &TaskStats) -> u64 {
    stats.back_pressured_ns.get().saturating_add(stats.waits_for_room_ns())
}

/// Over the tables of a vertex.
fn sum(vertex: &VertexStats, metric: TaskMetric) -> u64 {
    let of_table = |table: &super::TableStats| match metric {
        TaskMetric::RowsIn => table.rows_in.get(),
        TaskMetric::BytesIn => table.bytes_in.get(),
        TaskMetric::RowsOut => table.rows_out.get(),
        TaskMetric::BytesOut => table.bytes_out.get(),
        TaskMetric::Batches | TaskMetric::Busy | TaskMetric::BackPressured => 0,
    };
    vertex.tables.iter().map(of_table).fold(0, u64::wrapping_add)
}

/// The timeline of a task. An attempt that takes the place of another goes on in the same.
#[derive(Debug)]
pub struct TaskTimeline {
    columns: Arc<TaskColumns>,
    index: usize,
    timeline: Timeline,
}

impl TaskTimeline {
    pub(crate) fn new(columns: Arc<TaskColumns>, index: usize, timeline: Timeline) -> Self {
        Self { columns, index, timeline }
    }

    /// What is in which column of it.
    pub fn columns(&self) -> &Arc<TaskColumns> {
        &self.columns
    }

    /// Which of the parallel instances of its chain it is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The numbers.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// What tells it from other tasks of its job: its first vertex, and its index.
    pub(crate) fn place(&self) -> (u32, usize) {
        (self.columns.vertices.first().map_or(0, |(vertex, _)| *vertex), self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::{Activity, TaskProbe};
    use super::*;

    fn columns(kinds: &[PluginKind]) -> TaskColumns {
        TaskColumns { vertices: (1..).zip(kinds.iter().copied()).collect() }
    }

    #[test]
    fn columns_are_what_is_counted_of_each_kind_of_vertex() {
        let columns = columns(&[PluginKind::Source, PluginKind::Transform, PluginKind::Sink]);
        assert_eq!(columns.len(), 9);
        let stats = Arc::new(TaskStats::new([(1, 2), (2, 1), (3, 1)]));
        let [source, transform, sink] = [0, 1, 2].map(|at| &stats.vertices[at].tables);
        source[0].rows_out.add(10);
        source[1].rows_out.add(1);
        source[1].bytes_out.add(80);
        transform[0].rows_in.add(11);
        transform[0].rows_out.add(7);
        sink[0].rows_in.add(6);
        sink[0].bytes_in.add(48);
        stats.batches.add(2);
        stats.busy_ns.add(3_500);
        stats.back_pressured_ns.add(9_999);
        let mut values = Vec::new();
        columns.read(&stats, &mut values);
        assert_eq!(values, [2, 3, 9, 11, 80, 11, 7, 6, 48]);
        let at = |vertex, metric| columns.of_vertex(vertex, metric).map(|column| values[column]);
        assert_eq!(at(1, TaskMetric::RowsOut), Some(11));
        assert_eq!(at(1, TaskMetric::RowsIn), None);
        assert_eq!(at(2, TaskMetric::RowsIn), Some(11));
        assert_eq!(at(3, TaskMetric::BytesIn), Some(48));
        assert_eq!(at(3, TaskMetric::Batches), Some(2));
        assert_eq!(at(4, TaskMetric::Batches), None);
        let of_job = |metric| columns.of_job(metric).map(|column| values[column]).collect::<Vec<_>>();
        assert_eq!(of_job(JobMetric::RowsRead), [11]);
        assert_eq!(of_job(JobMetric::BytesWritten), [48]);
        assert_eq!(of_job(JobMetric::Busy), [3]);
    }

    #[test]
    fn a_wait_for_room_counts_while_it_goes_on() {
        let stats = Arc::new(TaskStats::new([(1, 1)]));
        let probe = TaskProbe::new(Arc::clone(&stats));
        assert_eq!(back_pressured_ns(&stats), 0);
        probe.enter(Activity::BackPressured, 2);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(back_pressured_ns(&stats) >= 2_000_000);
        probe.enter(Activity::Processing, 1);
        assert_eq!(back_pressured_ns(&stats), 0, "the task counts it now");
    }

    #[test]
    fn names_are_told_once() {
        let names = |all: &[&str]| all.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!(names(&TaskMetric::ALL.map(TaskMetric::name)), 7);
        assert_eq!(names(&JobMetric::ALL.map(JobMetric::name)), 7);
    }
}
