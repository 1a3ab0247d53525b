//! The node's own timeline.

use std::sync::Arc;

use crate::metrics::timeline::{Room, Timeline};

/// What is noted of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NodeMetric {
    /// CPU time of the process, in microseconds.
    Cpu,
    /// Memory of the process in RAM, in bytes.
    Memory,
    /// Answers to requests.
    Requests,
    /// Open connections of clients.
    Connections,
    /// Rows that the sources of all jobs have handed out.
    RowsRead,
    /// Bytes that they have handed out.
    BytesRead,
    /// Rows that the sinks of all jobs were given.
    RowsWritten,
    /// Bytes that they were given.
    BytesWritten,
    /// Jobs in the state RUNNING.
    JobsRunning,
    /// Jobs that do not run yet.
    JobsWaiting,
    /// Jobs that ended well.
    JobsFinished,
    /// Jobs that failed.
    JobsFailed,
    /// Jobs that were stopped.
    JobsCanceled,
    /// Running tasks that are looked at.
    Tasks,
}

/// What the numbers of a metric mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// They add up.
    Count,
    /// Each is as it was.
    Gauge,
}

impl NodeMetric {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Cpu,
        Self::Memory,
        Self::Requests,
        Self::Connections,
        Self::RowsRead,
        Self::BytesRead,
        Self::RowsWritten,
        Self::BytesWritten,
        Self::JobsRunning,
        Self::JobsWaiting,
        Self::JobsFinished,
        Self::JobsFailed,
        Self::JobsCanceled,
        Self::Tasks,
    ];

    /// Its name, with the unit where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_us",
            Self::Memory => "memory_bytes",
            Self::Requests => "requests",
            Self::Connections => "connections",
            Self::RowsRead => "rows_read",
            Self::BytesRead => "bytes_read",
            Self::RowsWritten => "rows_written",
            Self::BytesWritten => "bytes_written",
            Self::JobsRunning => "jobs_running",
            Self::JobsWaiting => "jobs_waiting",
            Self::JobsFinished => "jobs_finished",
            Self::JobsFailed => "jobs_failed",
            Self::JobsCanceled => "jobs_canceled",
            Self::Tasks => "tasks",
        }
    }

    /// What its numbers mean.
    pub fn kind(self) -> MetricKind {
        match self {
            Self::Memory | Self::Connections | Self::JobsRunning | Self::JobsWaiting | Self::Tasks => MetricKind::Gauge,
            _ => MetricKind::Count,
        }
    }
}

/// What only other rooms know of the node. Counts are since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeReading {
    /// CPU time of the process, in microseconds.
    pub cpu_us: u64,
    /// Memory of the process in RAM, in bytes; `None` when the system does not tell, then the last value stands.
    pub memory_bytes: Option<u64>,
    /// Answers to requests.
    pub requests: u64,
    /// Open connections of clients.
    pub connections: u64,
}

/// Reads that, once a second, on the ticker's thread.
pub type NodeProbe = Box<dyn FnMut() -> NodeReading + Send>;

/// The timeline: the number of looks, and a column for each metric.
#[derive(Debug)]
pub(super) struct NodeTimeline {
    timeline: Timeline,
}

impl NodeTimeline {
    /// The column with the number of looks.
    pub(super) const LOOKS: usize = 0;
    /// Bytes that it takes at most.
    pub(super) const BYTES_MAX: u64 = 80 << 10;
    /// Columns.
    pub(super) const COLUMNS: usize = NodeMetric::ALL.len() + 1;

    pub(super) fn begin(second: u64, room: &Arc<Room>) -> Self {
        Self { timeline: Timeline::begin_anyway(Self::COLUMNS, second, room) }
    }

    pub(super) fn column(metric: NodeMetric) -> usize {
        metric as usize + 1
    }

    pub(super) fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_a_column_and_a_name_of_its_own() {
        for (at, metric) in NodeMetric::ALL.into_iter().enumerate() {
            assert_eq!(NodeTimeline::column(metric), at + 1);
            assert_eq!(NodeMetric::ALL.iter().filter(|other| other.name() == metric.name()).count(), 1);
        }
    }
}
