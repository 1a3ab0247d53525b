//! The job side of the node, as the APIs use it.

pub(crate) use egret_runtime::config::{
    Problem, Problems, ReadOptions, Secrets, Syntax, Unresolved, encode_secrets, read_tree, read_utf8, render_json,
};
pub(crate) use egret_runtime::job::{
    JobCounts, JobEntry, JobMetrics, JobService, JobState, JobTally, JobTotals, MetricKind, NodeMetric, NodeProbe,
    NodeReading, Pieces, RenderedGuard, SubmitError, SubmitRequest, Submitted, Tags, Ticker, TimelinesStats, Totals,
};
pub(crate) use egret_runtime::plan::JobGraph;
pub(crate) use egret_runtime::plugin::PluginKind;
pub(crate) use egret_runtime::task::{JobMetric, TaskMetric, TaskStats, TaskTimeline};
