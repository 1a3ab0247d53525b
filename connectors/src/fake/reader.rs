//! Sends the rows of splits, a batch at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use egret_runtime::plugin::{Progress, SourceReader, Split, TaskError};
use egret_runtime::row::{BATCH_BYTES, BATCH_ROWS, Batch, TableIndex, TableSchema};
use fastrand::Rng;

use super::generate::Generator;
use super::rows::LiteralRows;
use super::split::FakeSplit;

/// One table, ready to be sent.
pub(super) struct FakeTable {
    pub(super) schema: Arc<TableSchema>,
    pub(super) content: Content,
    /// Least time between the starts of two splits of a reader.
    pub(super) interval: Duration,
}

/// What the rows are.
pub(super) enum Content {
    Random(Vec<Generator>),
    Literal(LiteralRows),
}

pub(super) struct FakeReader {
    tables: Arc<[FakeTable]>,
    splits: VecDeque<FakeSplit>,
    random: Rng,
    /// When the split before began.
    last_start: Option<Instant>,
    /// Literal rows of the split under way, made when it began.
    literal: Option<Batch>,
    /// Most rows of a batch.
    rows_max: usize,
}

impl FakeReader {
    pub(super) fn new(tables: Arc<[FakeTable]>) -> Self {
        Self {
            tables,
            splits: VecDeque::new(),
            random: Rng::new(),
            last_start: None,
            literal: None,
            rows_max: BATCH_ROWS,
        }
    }

    /// When the first split may begin, if that is not now.
    fn not_before(&self, split: &FakeSplit, now: Instant) -> Option<Instant> {
        let begun = split.position > 0 || self.literal.is_some();
        let earliest = self.last_start? + self.tables[usize::from(split.table)].interval;
        (!begun && earliest > now).then_some(earliest)
    }

    /// The next rows of the first split, of which some are left.
    fn rows_of(&mut self, split: &FakeSplit) -> Result<Batch, TaskError> {
        let table = &self.tables[usize::from(split.table)];
        let left = usize::try_from(split.rows - split.position).unwrap_or(usize::MAX).min(self.rows_max);
        match &table.content {
            Content::Random(generators) => {
                let rows = left.min(batch_rows(generators));
                let first = split.first.wrapping_add(split.position as i64);
                let columns = generators.iter().map(|generator| generator.column(&mut self.random, rows, first));
                let options = RecordBatchOptions::new().with_row_count(Some(rows));
                let rows = RecordBatch::try_new_with_options(
                    Arc::clone(table.schema.arrow()),
                    columns.collect::<Result<_, _>>()?,
                    &options,
                )?;
                Ok(Batch::inserts(TableIndex(split.table), rows))
            }
            Content::Literal(literal) => {
                let all = match &self.literal {
                    Some(all) => all,
                    None => self.literal.insert(literal.batch(&table.schema, TableIndex(split.table))?),
                };
                let from = usize::try_from(split.position).unwrap_or(usize::MAX).min(all.len());
                let per_batch = (BATCH_BYTES * all.len() / all.memory_bytes().max(1)).clamp(1, BATCH_ROWS);
                Ok(all.slice(from, left.min(all.len() - from).min(per_batch)))
            }
        }
    }
}

/// Rows of these columns that fill a batch.
fn batch_rows(generators: &[Generator]) -> usize {
    let row_bytes = generators.iter().map(Generator::cell_bytes).sum::<usize>();
    (BATCH_BYTES / row_bytes.max(1)).clamp(1, BATCH_ROWS)
}

#[async_trait(?Send)]
impl SourceReader for FakeReader {
    fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError> {
        for split in splits {
            self.splits.push_back(FakeSplit::decode(split, self.tables.len())?);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Progress, TaskError> {
        while let Some(mut split) = self.splits.front().cloned() {
            let now = Instant::now();
            if let Some(earliest) = self.not_before(&split, now) {
                return Ok(Progress::Idle(earliest));
            }
            let batch = if split.position < split.rows { Some(self.rows_of(&split)?) } else { None };
            let sent = batch.as_ref().map_or(0, Batch::len) as u64;
            if split.position == 0 {
                self.last_start = Some(now);
            }
            split.position += sent;
            if sent == 0 || split.position == split.rows {
                self.splits.pop_front();
                self.literal = None;
            } else {
                self.splits[0] = split;
            }
            if let Some(batch) = batch.filter(|batch| !batch.is_empty()) {
                return Ok(Progress::Rows(batch));
            }
        }
        Ok(Progress::NeedSplits)
    }

    fn limit_rows(&mut self, rows: usize) {
        self.rows_max = rows.clamp(1, BATCH_ROWS);
    }

    fn snapshot(&mut self) -> Result<Vec<Split>, TaskError> {
        Ok(self.splits.iter().map(FakeSplit::encode).collect())
    }
}
