//! Splits of the fake source: which rows of which table, and how far they have been sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use egret_runtime::plugin::{Assignment, Split, SplitEnumerator, TaskError};

/// Splits handed to a reader at a time: enough that asking costs nothing, few enough that memory stays bounded however
/// many splits a config asks for.
const SPLITS_PER_ASSIGNMENT: usize = 64;

/// A streaming reader that has sent all its rows asks again after this long, for nothing.
const STREAMING_PAUSE: Duration = Duration::from_secs(3600);

const VERSION: u8 = 1;

/// How the rows of one table are cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableSplits {
    /// `row.num`.
    pub(super) rows_per_reader: u64,
    /// Random rows in a split, save for the last of a reader.
    pub(super) rows_per_split: u64,
    /// Splits of each reader.
    pub(super) splits_per_reader: u64,
    /// Rows that every split sends instead of random ones.
    pub(super) literal_rows: Option<u64>,
    /// Number of the first row.
    pub(super) first: i64,
}

impl TableSplits {
    pub(super) fn new(row_num: u64, split_num: u64, literal_rows: Option<u64>, first: i64) -> Self {
        let rows_per_split = row_num.div_ceil(split_num.max(1)).max(1);
        Self {
            rows_per_reader: row_num,
            rows_per_split,
            splits_per_reader: row_num.div_ceil(rows_per_split),
            literal_rows,
            first,
        }
    }

    fn split(&self, table: usize, reader: usize, index: u64) -> FakeSplit {
        let before = index * self.rows_per_split;
        let rows = self.literal_rows.unwrap_or_else(|| self.rows_per_split.min(self.rows_per_reader - before));
        let number = (reader as u64).wrapping_mul(self.rows_per_reader).wrapping_add(before);
        FakeSplit {
            id: format!("{table}-{reader}-{index}").into(),
            table: table as u16,
            rows,
            position: 0,
            first: self.first.wrapping_add(number as i64),
        }
    }
}

/// A split as its reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FakeSplit {
    /// `table-reader-index`
    pub(super) id: Arc<str>,
    /// Index of the table.
    pub(super) table: u16,
    /// Rows in all.
    pub(super) rows: u64,
    /// Rows sent.
    pub(super) position: u64,
    /// Number of the first row.
    pub(super) first: i64,
}

/// State of a split: version (1), table (2), rows (8), position (8), first (8), all big endian.
impl FakeSplit {
    pub(super) fn encode(&self) -> Split {
        let mut state = BytesMut::with_capacity(27);
        state.put_u8(VERSION);
        state.put_u16(self.table);
        state.put_u64(self.rows);
        state.put_u64(self.position);
        state.put_i64(self.first);
        Split { id: Arc::clone(&self.id), state: state.freeze() }
    }

    pub(super) fn decode(split: Split, tables: usize) -> Result<Self, TaskError> {
        let mut state = split.state;
        let known = state.len() == 27 && state.get_u8() == VERSION;
        let decoded = known.then(|| Self {
            id: Arc::clone(&split.id),
            table: state.get_u16(),
            rows: state.get_u64(),
            position: state.get_u64(),
            first: state.get_i64(),
        });
        decoded.filter(|split| usize::from(split.table) < tables && split.position <= split.rows).ok_or_else(|| {
            TaskError::permanent(format!("split '{}' is not one of this source: was the config changed?", split.id))
        })
    }
}

/// Hands out splits without ever holding all of them.
///
/// Splits belong to the readers that the job started with; after a restart with another parallelism reader `r` takes
/// over those of all readers `p` with `p % readers == r`.
pub(super) struct FakeSplits {
    tables: Arc<[TableSplits]>,
    streaming: bool,
    /// For each reader of the first start: how many of its splits, over all tables, were handed out.
    handed_out: Vec<u64>,
    /// For each reader of this start: splits of a checkpoint, not handed out yet.
    returned: Vec<Vec<Split>>,
    /// Ids that came back; a fresh split of the same id is not handed out.
    returned_ids: HashSet<Arc<str>>,
}

impl FakeSplits {
    pub(super) fn new(tables: Arc<[TableSplits]>, readers: usize, streaming: bool) -> Self {
        let readers = readers.max(1);
        Self {
            tables,
            streaming,
            handed_out: vec![0; readers],
            returned: vec![Vec::new(); readers],
            returned_ids: HashSet::new(),
        }
    }

    /// The split of a reader that comes after so many others.
    fn nth(&self, reader: usize, mut index: u64) -> Option<FakeSplit> {
        for (table, splits) in self.tables.iter().enumerate() {
            if index < splits.splits_per_reader {
                return Some(splits.split(table, reader, index));
            }
            index -= splits.splits_per_reader;
        }
        None
    }
}

impl SplitEnumerator for FakeSplits {
    fn assign(&mut self, reader: usize) -> Assignment {
        let readers = self.returned.len();
        let mut splits = self.returned.get_mut(reader).map(std::mem::take).unwrap_or_default();
        for owner in (reader..self.handed_out.len()).step_by(readers) {
            while splits.len() < SPLITS_PER_ASSIGNMENT {
                let Some(split) = self.nth(owner, self.handed_out[owner]) else { break };
                self.handed_out[owner] += 1;
                if !self.returned_ids.contains(&split.id) {
                    splits.push(split.encode());
                }
            }
        }
        if !splits.is_empty() {
            Assignment::Splits(splits)
        } else if self.streaming {
            Assignment::Wait(Instant::now() + STREAMING_PAUSE)
        } else {
            Assignment::NoMore
        }
    }

    fn restore(&mut self, splits: Vec<Vec<Split>>) {
        for (returned, splits) in self.returned.iter_mut().zip(splits) {
            self.returned_ids.extend(splits.iter().map(|split| Arc::clone(&split.id)));
            returned.extend(splits);
        }
    }

    /// Version (1), readers (4), for each how many splits were handed out (8); then the splits that came back and
    /// still wait: id length (2), id, state length (2), state.
    fn snapshot(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        bytes.put_u32(self.handed_out.len() as u32);
        self.handed_out.iter().for_each(|count| bytes.put_u64(*count));
        for split in self.returned.iter().flatten() {
            for part in [split.id.as_bytes(), &split.state] {
                bytes.put_u16(part.len() as u16);
                bytes.put_slice(part);
            }
        }
        bytes.freeze()
    }

    fn restore_snapshot(&mut self, snapshot: &[u8]) -> Result<(), TaskError> {
        let (handed_out, waiting) = decode_snapshot(snapshot)
            .ok_or_else(|| TaskError::permanent("the checkpoint of a fake source cannot be read"))?;
        self.handed_out = handed_out;
        let mut by_reader = vec![Vec::new(); self.returned.len()];
        for split in waiting {
            let owner = split.id.split('-').nth(1).and_then(|part| part.parse::<usize>().ok()).unwrap_or(0);
            by_reader[owner % self.returned.len()].push(split);
        }
        self.restore(by_reader);
        Ok(())
    }
}

fn decode_snapshot(mut bytes: &[u8]) -> Option<(Vec<u64>, Vec<Split>)> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let readers = bytes.try_get_u32().ok()?;
    let handed_out = (0..readers).map(|_| bytes.try_get_u64().ok()).collect::<Option<Vec<_>>>()?;
    let mut waiting = Vec::new();
    while bytes.has_remaining() {
        let mut part = || {
            let length = usize::from(bytes.try_get_u16().ok()?);
            let (part, rest) = bytes.split_at_checked(length)?;
            bytes = rest;
            Some(part)
        };
        let id = std::str::from_utf8(part()?).ok()?.into();
        let state = Bytes::copy_from_slice(part()?);
        waiting.push(Split { id, state });
    }
    (!handed_out.is_empty()).then_some((handed_out, waiting))
}
