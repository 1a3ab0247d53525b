//! What jobs go on from: kept in memory, bounded in number and bytes (contract B.7).
//!
//! A job that was stopped with a savepoint, or failed, leaves what its pipelines would be restarted from. Only this
//! process knows it: it goes with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use crossbeam_skiplist::SkipMap;

use super::parts::Pieces;
use crate::plan::{JobGraph, Pipeline, Plan, VertexWork};
use crate::plugin::{PluginKind, Prepared, Split};
use crate::task::TaskId;

/// From where a pipeline goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct RestorePoint {
    /// The checkpoint.
    pub checkpoint: u64,
    pub enumerator: Bytes,
    /// Splits that are not read to their end, with the index of their reader.
    pub splits: Vec<(usize, Split)>,
    /// What is published once more when the job goes on: what is not known to be published, and what sinks count in
    /// memory only.
    pub pieces: SinkPieces,
}

impl RestorePoint {
    /// What follows `before` with a checkpoint, of which nothing is known to be published.
    pub fn following(before: Option<&Self>, checkpoint: u64, enumerator: Bytes, splits: Vec<(usize, Split)>) -> Self {
        let pieces = before.map(|before| before.pieces.clone()).unwrap_or_default();
        Self { checkpoint, enumerator, splits, pieces }
    }

    fn bytes(&self) -> usize {
        let splits: usize = self.splits.iter().map(|(_, split)| split.id.len() + split.state.len()).sum();
        self.enumerator.len() + splits + self.pieces.bytes()
    }
}

/// Prepared pieces by the position of their sink in the plan and their task; the newest of each.
#[derive(Clone, Debug, Default)]
pub(super) struct SinkPieces(BTreeMap<usize, BTreeMap<TaskId, Vec<Prepared>>>);

impl SinkPieces {
    /// Adds what tasks of a pipeline prepared for a commit. It takes the place of what they prepared for earlier ones.
    pub fn add(&mut self, pipeline: &Pipeline, pieces: Pieces) {
        let mut fresh = Self::default();
        for (task, pieces) in pieces {
            let last = pipeline.chains[task.chain].vertices.last();
            if let Some(VertexWork::Sink { sink }) = last.map(|vertex| &vertex.work)
                && !pieces.is_empty()
            {
                fresh.0.entry(*sink).or_default().entry(task).or_default().extend(pieces);
            }
        }
        for (sink, tasks) in fresh.0 {
            self.0.entry(sink).or_default().extend(tasks);
        }
    }

    /// All is published: only what sinks count in memory has to be told again when the job goes on.
    pub fn published(&mut self, plan: &Plan) {
        self.0.retain(|sink, _| plan.sinks[*sink].commits_in_memory());
    }

    /// The pieces of each sink.
    pub fn by_sink(&self) -> Vec<(usize, Vec<Prepared>)> {
        self.0.iter().map(|(sink, tasks)| (*sink, tasks.values().flatten().cloned().collect())).collect()
    }

    fn bytes(&self) -> usize {
        self.0.values().flat_map(BTreeMap::values).flatten().map(|piece| piece.0.len()).sum()
    }
}

/// A pipeline of a saved job.
#[derive(Clone, Debug, Default)]
pub(super) struct SavedPipeline {
    /// It has read and published everything and does not run again.
    pub finished: bool,
    /// Where it goes on; `None`: at the start.
    pub point: Option<RestorePoint>,
}

/// What a job goes on from.
#[derive(Clone, Debug)]
pub(super) struct SavedJob {
    /// Names of its sources and sinks: the job that goes on has the same.
    pub ends: Vec<Arc<str>>,
    pub pipelines: Vec<SavedPipeline>,
    /// Whether the sinks' targets are as their save modes want them.
    pub targets_prepared: bool,
}

impl SavedJob {
    /// Bytes that count against [`super::JobSettings::savepoints_bytes_max`].
    pub fn bytes(&self) -> u64 {
        let names: usize = self.ends.iter().map(|name| name.len()).sum();
        let points: usize =
            self.pipelines.iter().filter_map(|pipeline| pipeline.point.as_ref()).map(RestorePoint::bytes).sum();
        (names + points) as u64
    }

    /// Why a job cannot go on from it.
    pub fn mismatch(&self, graph: &JobGraph) -> Option<String> {
        let ends = ends_of(graph);
        (ends != self.ends).then(|| {
            format!("it was made by a job with {}, and the config has {}", self.ends.join(", "), ends.join(", "))
        })
    }
}

/// Names of sources and sinks with their pipelines: what a savepoint's state belongs to.
pub(super) fn ends_of(graph: &JobGraph) -> Vec<Arc<str>> {
    let ends = graph.vertices.iter().filter(|vertex| vertex.kind != PluginKind::Transform);
    ends.map(|vertex| Arc::clone(&vertex.name)).collect()
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SavepointCounts {
    /// Jobs that can be gone on with.
    pub jobs: u64,
    /// Bytes of their state.
    pub bytes: u64,
    /// Jobs whose state was dropped to keep to the bounds, since the node was started.
    pub evicted: u64,
}

struct Kept {
    number: u64,
    bytes: u64,
    saved: Arc<SavedJob>,
}

/// The savepoints of a node. When there are too many, the oldest go.
pub(super) struct Savepoints {
    jobs_max: usize,
    bytes_max: u64,
    jobs: SkipMap<i64, Arc<Kept>>,
    /// Jobs in the order in which they were saved.
    order: SkipMap<u64, i64>,
    numbers: AtomicU64,
    bytes: AtomicU64,
    evicted: AtomicU64,
}

impl Savepoints {
    pub fn new(jobs_max: usize, bytes_max: u64) -> Self {
        Self {
            jobs_max,
            bytes_max,
            jobs: SkipMap::new(),
            order: SkipMap::new(),
            numbers: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    pub fn get(&self, job: i64) -> Option<Arc<SavedJob>> {
        self.jobs.get(&job).map(|entry| Arc::clone(&entry.value().saved))
    }

    /// Keeps what a job goes on from, in the place of what it left before.
    ///
    /// # Errors
    /// With its bytes, when it alone is more than may be kept.
    pub fn put(&self, job: i64, saved: SavedJob) -> Result<(), u64> {
        self.remove(job);
        let bytes = saved.bytes();
        if bytes > self.bytes_max {
            self.evicted.fetch_add(1, Ordering::Relaxed);
            return Err(bytes);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.jobs.insert(job, Arc::new(Kept { number, bytes, saved: Arc::new(saved) }));
        self.order.insert(number, job);
        while self.order.len() > self.jobs_max || self.bytes.load(Ordering::Acquire) > self.bytes_max {
            let Some(oldest) = self.order.front() else { break };
            // Two coordinators may trim at once; each job is dropped once.
            if self.remove(*oldest.value()) {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    job = *oldest.value(),
                    "its state is dropped for that of newer jobs (savepoints_max, savepoints_bytes_max): it cannot be \
                     gone on with"
                );
            }
        }
        Ok(())
    }

    /// Drops what a job left; whether there was something.
    pub fn remove(&self, job: i64) -> bool {
        let Some(entry) = self.jobs.remove(&job) else { return false };
        self.order.remove(&entry.value().number);
        self.bytes.fetch_sub(entry.value().bytes, Ordering::AcqRel);
        true
    }

    pub fn counts(&self) -> SavepointCounts {
        SavepointCounts {
            jobs: self.jobs.len() as u64,
            bytes: self.bytes.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of so many bytes.
    fn saved(bytes: usize) -> SavedJob {
        let point = RestorePoint { enumerator: Bytes::from(vec![0; bytes]), ..RestorePoint::default() };
        let pipeline = SavedPipeline { finished: false, point: Some(point) };
        SavedJob { ends: Vec::new(), pipelines: vec![pipeline], targets_prepared: true }
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let kept = Savepoints::new(2, 100);
        for job in 1..=3 {
            assert_eq!(kept.put(job, saved(10)), Ok(()));
        }
        assert!(kept.get(1).is_none() && kept.get(2).is_some() && kept.get(3).is_some());
        // Saved again, a job is the newest.
        assert_eq!(kept.put(2, saved(20)), Ok(()));
        assert_eq!(kept.put(4, saved(10)), Ok(()));
        assert!(kept.get(3).is_none());
        assert_eq!(kept.counts(), SavepointCounts { jobs: 2, bytes: 30, evicted: 2 });
        assert!(kept.remove(4) && !kept.remove(4));
        assert_eq!(kept.counts(), SavepointCounts { jobs: 1, bytes: 20, evicted: 2 });
    }

    #[test]
    fn bytes_are_bounded_as_well() {
        let kept = Savepoints::new(10, 100);
        for job in 1..=3 {
            assert_eq!(kept.put(job, saved(40)), Ok(()));
        }
        assert!(kept.get(1).is_none());
        assert_eq!(kept.put(3, saved(101)), Err(101));
        assert!(kept.get(3).is_none(), "what it left before is not what it would go on from");
        assert_eq!(kept.counts(), SavepointCounts { jobs: 1, bytes: 40, evicted: 2 });
    }
}
