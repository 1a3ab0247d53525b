//! Bounds of the job side of a node.

use std::time::Duration;

use super::SlotSettings;

/// Every bound with its default.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// Jobs that may be running or waiting at once; further ones are refused. Default 10,000.
    pub jobs_running_max: usize,
    /// Ended jobs that are remembered. Default 10,000.
    pub history_jobs_max: usize,
    /// How long ended jobs are remembered. Default one day (contract B.8).
    pub history_expire: Duration,
    /// How long tasks that were told to stop may take before they are dropped where they stand. Default 10 s.
    pub stop_timeout: Duration,
    /// Bytes that a queue between two tasks may hold. Default [`crate::flow::QUEUE_BYTES_MAX`].
    pub queue_bytes_max: usize,
    /// Restarts of a pipeline whose job does not say. Default 3 (contract B.5).
    pub retry_times: u32,
    /// Wait before a restart where the job does not say. Default 3 s.
    pub retry_interval: Duration,
    /// Time between two checkpoints of a streaming job that does not say. Default 10 s.
    pub checkpoint_interval: Duration,
    /// How long a checkpoint, or a whole savepoint, of a job that does not say may take. Default 60 s.
    pub checkpoint_timeout: Duration,
    /// Slots for jobs.
    pub slots: SlotSettings,
    /// Jobs whose state is kept so that they can be gone on with. Default 1,000.
    pub savepoints_max: usize,
    /// Bytes of all that state. Default 256 MiB.
    pub savepoints_bytes_max: u64,
    /// Bytes of all timelines, at least [`JobSettings::TIMELINES_BYTES_MIN`]. Default 128 MiB.
    pub timelines_bytes_max: u64,
}

impl JobSettings {
    /// Of these 80 KiB are set aside for the node's own.
    pub const TIMELINES_BYTES_MIN: u64 = 128 << 10;

    /// Jobs that ended before this moment are forgotten; both in milliseconds since 1970.
    pub(super) fn forgotten_before(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(i64::try_from(self.history_expire.as_millis()).unwrap_or(i64::MAX))
    }
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            jobs_running_max: 10_000,
            history_jobs_max: 10_000,
            history_expire: Duration::from_secs(24 * 60 * 60),
            stop_timeout: Duration::from_secs(10),
            queue_bytes_max: crate::flow::QUEUE_BYTES_MAX,
            retry_times: 3,
            retry_interval: Duration::from_secs(3),
            checkpoint_interval: Duration::from_secs(10),
            checkpoint_timeout: Duration::from_secs(60),
            slots: SlotSettings::default(),
            savepoints_max: 1000,
            savepoints_bytes_max: 256 << 20,
            timelines_bytes_max: 128 << 20,
        }
    }
}
