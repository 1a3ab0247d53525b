//! Timelines of the node and of its jobs: who looks at the counters, and where it is written down.
//!
//! ```text
//! ticker   a thread that wakes at each second
//! keeper   what it does then: looks at every running task, and at the node
//! node     the columns of the node's own timeline
//! ```
//!
//! The numbers themselves are [`crate::metrics::timeline`]'s.

mod keeper;
mod node;
#[cfg(test)]
mod tests;
mod ticker;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::JobMetrics;
use super::directory::Directory;
use crate::metrics::Counter;
use crate::metrics::timeline::{Room, RoomStats, Series, TimelineClock, Window};
use crate::task::{JobMetric, TaskTimeline};

pub use node::{MetricKind, NodeMetric, NodeProbe, NodeReading};
pub use ticker::Ticker;

use keeper::Keeper;
use node::NodeTimeline;

/// What node and jobs have done lately, second by second.
pub struct Timelines {
    clock: TimelineClock,
    /// For tasks.
    room: Arc<Room>,
    /// Set aside for the node's own.
    node_room: Arc<Room>,
    node: ArcSwapOption<NodeTimeline>,
    counts: Counts,
    /// Which ticker is the one that counts: a later one takes the place of one before.
    generation: AtomicU64,
    /// Locked by tickers alone.
    keeper: Mutex<Keeper>,
}

/// What the ticker counts of itself.
#[derive(Debug, Default)]
struct Counts {
    tasks: Counter,
    tasks_without: Counter,
    ticks: Counter,
    missed_seconds: Counter,
    cpu_ns: Counter,
    panics: Counter,
}

/// What there is to tell of timelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelinesStats {
    /// Their memory.
    pub room: RoomStats,
    /// Running tasks that are looked at.
    pub tasks: u64,
    /// Those of them for whose timeline there is no room.
    pub tasks_without: u64,
    /// Looks.
    pub ticks: u64,
    /// Seconds between two looks in which there was none.
    pub missed_seconds: u64,
    /// CPU time of the thread that looks.
    pub cpu_time: Duration,
    /// Looks that panicked.
    pub panics: u64,
}

impl Timelines {
    pub(super) fn new(directory: Arc<Directory>, bytes_max: u64) -> Arc<Self> {
        Arc::new(Self {
            clock: TimelineClock::default(),
            room: Room::new(bytes_max.saturating_sub(NodeTimeline::BYTES_MAX)),
            node_room: Room::new(NodeTimeline::BYTES_MAX),
            node: ArcSwapOption::empty(),
            counts: Counts::default(),
            generation: AtomicU64::new(0),
            keeper: Mutex::new(Keeper::new(directory)),
        })
    }

    /// The clock by which slots are numbered.
    pub fn clock(&self) -> &TimelineClock {
        &self.clock
    }

    /// What there is to tell.
    pub fn stats(&self) -> TimelinesStats {
        let (room, node) = (self.room.stats(), self.node_room.stats());
        TimelinesStats {
            room: RoomStats { bytes: room.bytes + node.bytes, bytes_max: room.bytes_max + node.bytes_max, ..room },
            tasks: self.counts.tasks.get(),
            tasks_without: self.counts.tasks_without.get(),
            ticks: self.counts.ticks.get(),
            missed_seconds: self.counts.missed_seconds.get(),
            cpu_time: Duration::from_nanos(self.counts.cpu_ns.get()),
            panics: self.counts.panics.get(),
        }
    }

    /// How often the counters were looked at in each slot; everything is unknown before the first look.
    pub fn looks(&self, window: Window) -> Series {
        let mut looks = Series::new(window);
        if let Some(node) = &*self.node.load() {
            looks.add(node.timeline(), NodeTimeline::LOOKS);
        }
        looks
    }

    /// A metric of the node. Of a gauge these are sums, over the number of [looks](Timelines::looks).
    pub fn node(&self, window: Window, metric: NodeMetric) -> Series {
        let mut series = Series::new(window);
        if let Some(node) = &*self.node.load() {
            series.add(node.timeline(), NodeTimeline::column(metric));
        }
        series
    }
}

impl std::fmt::Debug for Timelines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timelines").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// The timelines of a job's tasks. They outlive the tasks: as long as the job is remembered, and there is room.
#[derive(Debug, Default)]
pub struct JobTimelines {
    /// By first vertex and index. `None` while no task was looked at.
    tasks: ArcSwapOption<Vec<Arc<TaskTimeline>>>,
    claimed: AtomicU8,
}

/// Who accounts for a job's rows in the node's timeline.
const BY_NOBODY: u8 = 0;
const BY_KEEPER: u8 = 1;
const BY_ITS_END: u8 = 2;

impl JobTimelines {
    /// Those of all tasks that were looked at, by first vertex and index; none of tasks for which there was no room.
    pub fn tasks(&self) -> Arc<Vec<Arc<TaskTimeline>>> {
        self.tasks.load_full().unwrap_or_default()
    }

    /// The tasks of the job are looked at from now on; false when it has ended without a look.
    fn claim(&self) -> bool {
        let claimed = self.claimed.compare_exchange(BY_NOBODY, BY_KEEPER, Ordering::AcqRel, Ordering::Acquire);
        claimed.is_ok() || claimed == Err(BY_KEEPER)
    }

    /// The job has ended; true when nobody has looked at its tasks, and nobody will.
    pub(super) fn claim_ended(&self) -> bool {
        self.claimed.compare_exchange(BY_NOBODY, BY_ITS_END, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives up everything; the number of tasks that had a timeline.
    fn give_up(&self) -> usize {
        self.tasks.swap(None).map_or(0, |tasks| tasks.len())
    }
}

/// Rows and bytes that were read and written. Any thread adds.
#[derive(Debug, Default)]
pub(super) struct Flows([AtomicU64; JobMetric::FLOWS.len()]);

impl Flows {
    /// Adds what a job has read and written in all.
    pub(super) fn add(&self, metrics: &JobMetrics) {
        let (source, sink) = (&metrics.source, &metrics.sink);
        let amounts = [source.rows, source.bytes, sink.rows, sink.bytes];
        self.0.iter().zip(amounts).for_each(|(sum, amount)| _ = sum.fetch_add(amount, Ordering::Relaxed));
    }

    fn get(&self) -> [u64; JobMetric::FLOWS.len()] {
        self.0.each_ref().map(|sum| sum.load(Ordering::Relaxed))
    }
}
