//! The job side of the node, as the APIs use it.

pub(crate) use egret_runtime::config::{ReadOptions, Syntax, Unresolved};
pub(crate) use egret_runtime::job::{
    JobEntry, JobMetrics, JobService, JobState, StopError, SubmitError, SubmitRequest, Submitted, Totals,
};
pub(crate) use egret_runtime::plan::JobGraph;
