//! How many rows the writers of all tasks have seen, over restarts.
//!
//! A writer tells its sum at each checkpoint and at its end. The sum travels in the checkpoint and comes back with the
//! commit, so that a pipeline that goes on from a checkpoint counts the rows before it, and only those.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Buf, BufMut, BytesMut};
use egret_runtime::plugin::{Prepared, SinkCommitter, TaskContext, TaskError};

const VERSION: u8 = 1;

/// Which writer tells: the sink's vertex, which differs from pipeline to pipeline, and the task's index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WriterId {
    pub(super) vertex: u32,
    pub(super) task: u32,
}

impl WriterId {
    /// The writer of a task: its sink is the last vertex that it runs.
    pub(super) fn of(context: &TaskContext) -> Self {
        let vertex = context.probe.stats().vertices.last().map_or(0, |stats| stats.vertex);
        Self { vertex, task: context.index as u32 }
    }
}

/// Sums by writer and table.
pub(super) struct Ledger {
    tables: usize,
    sums: Mutex<Sums>,
}

#[derive(Default)]
struct Sums {
    /// By vertex: the start of its pipeline that counts now.
    attempts: BTreeMap<u32, u32>,
    /// Rows of each table as of a committed checkpoint, and the checkpoint.
    committed: BTreeMap<WriterId, (u64, Vec<u64>)>,
    /// Rows of each table as told last by a writer of this start.
    told: BTreeMap<WriterId, Vec<u64>>,
}

impl Ledger {
    pub(super) fn new(tables: usize) -> Self {
        Self { tables, sums: Mutex::default() }
    }

    /// Sums are replaced whole, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A writer begins: what an earlier start of its pipeline told and did not commit comes again.
    pub(super) fn begin(&self, writer: WriterId, attempt: u32) {
        let mut sums = self.lock();
        let current = sums.attempts.entry(writer.vertex).or_insert(attempt);
        if attempt > *current {
            *current = attempt;
            sums.told.retain(|other, _| other.vertex != writer.vertex);
        }
    }

    /// Rows that a writer had seen when the checkpoint that it goes on from was taken.
    pub(super) fn base(&self, writer: WriterId) -> Vec<u64> {
        self.lock().committed.get(&writer).map_or_else(|| vec![0; self.tables], |(_, rows)| rows.clone())
    }

    /// A writer tells how many rows it has seen.
    pub(super) fn tell(&self, writer: WriterId, rows: Vec<u64>) {
        self.lock().told.insert(writer, rows);
    }

    /// Rows of each table, over all writers.
    pub(super) fn totals(&self) -> Vec<u64> {
        let sums = self.lock();
        let mut totals = vec![0u64; self.tables];
        let older = sums.committed.iter().filter(|(writer, _)| !sums.told.contains_key(writer));
        for rows in sums.told.values().chain(older.map(|(_, (_, rows))| rows)) {
            totals.iter_mut().zip(rows).for_each(|(total, rows)| *total += rows);
        }
        totals
    }

    fn commit(&self, writer: WriterId, checkpoint: u64, rows: Vec<u64>) {
        let mut sums = self.lock();
        if sums.committed.get(&writer).is_none_or(|(known, _)| *known <= checkpoint) {
            sums.committed.insert(writer, (checkpoint, rows));
        }
    }
}

/// Version (1), vertex (4), task (4), checkpoint (8), then the rows of each table (8), all big endian.
pub(super) fn encode(writer: WriterId, checkpoint: u64, rows: &[u64]) -> Prepared {
    let mut bytes = BytesMut::with_capacity(17 + 8 * rows.len());
    bytes.put_u8(VERSION);
    bytes.put_u32(writer.vertex);
    bytes.put_u32(writer.task);
    bytes.put_u64(checkpoint);
    rows.iter().for_each(|rows| bytes.put_u64(*rows));
    Prepared(bytes.freeze())
}

fn decode(prepared: &Prepared, tables: usize) -> Option<(WriterId, u64, Vec<u64>)> {
    let mut bytes = prepared.0.clone();
    if bytes.len() != 17 + 8 * tables || bytes.get_u8() != VERSION {
        return None;
    }
    let writer = WriterId { vertex: bytes.get_u32(), task: bytes.get_u32() };
    let checkpoint = bytes.get_u64();
    Some((writer, checkpoint, (0..tables).map(|_| bytes.get_u64()).collect()))
}

/// Brings the sums of a durable checkpoint into the ledger.
pub(super) struct LedgerCommitter(pub(super) std::sync::Arc<Ledger>);

#[async_trait(?Send)]
impl SinkCommitter for LedgerCommitter {
    async fn commit(&mut self, prepared: &[Prepared]) -> Result<(), TaskError> {
        for piece in prepared {
            let (writer, checkpoint, rows) = decode(piece, self.0.tables).ok_or_else(|| {
                TaskError::permanent("a checkpoint holds row counts of another Assert: was the config changed?")
            })?;
            self.0.commit(writer, checkpoint, rows);
        }
        Ok(())
    }

    async fn abort(&mut self, _prepared: &[Prepared]) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_lite::future::block_on;

    use super::*;

    fn writer(vertex: u32, task: u32) -> WriterId {
        WriterId { vertex, task }
    }

    #[test]
    fn a_restart_without_a_checkpoint_counts_anew() {
        let ledger = Ledger::new(1);
        ledger.begin(writer(2, 0), 0);
        ledger.tell(writer(2, 0), vec![7]);
        ledger.tell(writer(2, 1), vec![5]);
        assert_eq!(ledger.totals(), [12]);
        ledger.begin(writer(2, 0), 1);
        ledger.tell(writer(2, 0), vec![10]);
        assert_eq!(ledger.totals(), [10]);
    }

    #[test]
    fn pipelines_that_share_a_sink_restart_by_themselves() {
        let ledger = Ledger::new(1);
        for vertex in [2, 4] {
            ledger.begin(writer(vertex, 0), 0);
            ledger.tell(writer(vertex, 0), vec![7]);
        }
        ledger.begin(writer(4, 0), 1);
        assert_eq!(ledger.totals(), [7]);
        ledger.tell(writer(4, 0), vec![3]);
        assert_eq!(ledger.totals(), [10]);
    }

    #[test]
    fn a_restart_from_a_checkpoint_counts_the_rows_before_it() {
        let ledger = Arc::new(Ledger::new(2));
        let mut committer = LedgerCommitter(Arc::clone(&ledger));
        let (zero, one) = (writer(2, 0), writer(2, 1));
        block_on(async {
            let first = [encode(zero, 4, &[3, 1]), encode(one, 4, &[2, 0])];
            committer.commit(&first).await.expect("committed");
            committer.commit(&first).await.expect("again");
            committer.commit(&[encode(zero, 3, &[1, 1])]).await.expect("an older one changes nothing");
        });
        ledger.begin(zero, 1);
        assert_eq!(ledger.base(zero), [3, 1]);
        ledger.tell(zero, vec![3 + 4, 1]);
        // The other writer no longer exists; its rows do.
        assert_eq!(ledger.totals(), [9, 1]);
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let mut committer = LedgerCommitter(Arc::new(Ledger::new(1)));
        for piece in [encode(writer(2, 0), 1, &[1, 2]), Prepared(bytes::Bytes::from_static(b"x"))] {
            assert!(block_on(committer.commit(&[piece])).is_err());
        }
    }
}
