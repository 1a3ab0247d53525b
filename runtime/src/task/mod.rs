//! Tasks: a chain of vertices on one core; what they count and what they tell while they run.

mod chain;
mod control;
mod limit;
mod measured;
mod probe;
mod run;
mod timeline;
mod times;

pub(crate) use chain::{ChainTask, Sealed, SharedSplits, SplitLedger, TaskId, TaskOutcome, TaskReports, panic_text};
pub use control::{Order, TaskControl};
pub use limit::ReadLimits;
pub use probe::{Activity, TableStats, TaskProbe, TaskStats, VertexStats};
pub use timeline::{JobMetric, TaskColumns, TaskMetric, TaskTimeline};
pub use times::{NodeTimes, TaskTime, TaskTimes};
