//! Jobs: accepted, run, stopped, remembered.
//!
//! A job belongs to the shard that its id hashes to. A coordinator on that shard's front executor feeds a pure state
//! machine ([`machine`]) with what happens and performs what the machine says. Everybody else reads the job's
//! [`JobEntry`], from any core and without a lock.

mod attempt;
mod coordinator;
mod directory;
mod entry;
mod events;
mod id;
mod machine;
mod metrics;
mod parts;
mod refusal;
mod rendered;
mod saved;
mod service;
mod settings;
mod slots;
mod state;
mod timelines;
mod times;

pub use entry::JobEntry;
pub use id::JobIds;
pub use metrics::{JobMetrics, JobTotals, Totals};
pub use rendered::{Pieces, Rendered, RenderedGuard};
pub use saved::SavepointCounts;
pub use service::{DEFAULT_JOB_NAME, JobCounts, JobService, JobTally, SubmitError, SubmitRequest, Submitted};
pub use settings::JobSettings;
pub use slots::{JobScheduleStrategy, SlotCounts, SlotSettings, Tags};
pub use state::JobState;
pub use timelines::{JobTimelines, MetricKind, NodeMetric, NodeProbe, NodeReading, Ticker, Timelines, TimelinesStats};
pub use times::JobTimes;

#[cfg(test)]
mod tests;
