//! The smallest source and sink that jobs can be made of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use async_trait::async_trait;
use bytes::Bytes;
use egret_runtime::config::{OptionKind, OptionSpec, OptionTable, Options, Problems};
use egret_runtime::plugin::{
    FixedSplits, PlanContext, Plugin, Prepared, Progress, Sink, SinkFactory, SinkWriter, Source, SourceFactory,
    SourceReader, Split, SplitEnumerator, TaskContext, TaskError,
};
use egret_runtime::row::{Batch, Column, DataType, TableIndex, TablePath, TableSchema};

/// Gives `rows` rows at once and ends, or goes on with nothing if `endless`.
pub(super) struct Numbers;

impl Plugin for Numbers {
    fn name(&self) -> &'static str {
        "Numbers"
    }

    fn options(&self) -> OptionTable {
        const OPTIONS: OptionTable = &[
            OptionSpec::new("rows", OptionKind::Integer { min: 0, max: 1 << 20 }, "How many rows there are.")
                .required(),
            OptionSpec::new("endless", OptionKind::Boolean, "Whether it goes on without rows."),
            OptionSpec::new("fails", OptionKind::Text, "What it fails with behind the rows."),
        ];
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Numbers for tests."
    }
}

impl SourceFactory for Numbers {
    fn plan(
        &self,
        options: Options<'_>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn Source>, Problems> {
        let path = TablePath::bare(context.output.as_deref().unwrap_or("numbers"));
        let table = Arc::new(TableSchema::new(path, vec![Column::new("n", DataType::BigInt)]));
        Ok(Arc::new(Plan {
            tables: vec![table],
            rows: options.count("rows").unwrap_or_default(),
            endless: options.boolean("endless").unwrap_or_default(),
            fails: options.text("fails"),
        }))
    }
}

#[derive(Clone)]
struct Plan {
    tables: Vec<Arc<TableSchema>>,
    rows: usize,
    endless: bool,
    fails: Option<String>,
}

impl Source for Plan {
    fn tables(&self) -> &[Arc<TableSchema>] {
        &self.tables
    }

    fn enumerate(&self, readers: usize) -> Result<Box<dyn SplitEnumerator>, TaskError> {
        let split = Split { id: "all".into(), state: Bytes::new() };
        Ok(Box::new(FixedSplits::new(readers, [split], |_, _| 0)))
    }

    fn reader(&self, _context: &TaskContext) -> Result<Box<dyn SourceReader>, TaskError> {
        Ok(Box::new(Reader { plan: self.clone(), unread: false, started: false }))
    }
}

struct Reader {
    plan: Plan,
    unread: bool,
    started: bool,
}

#[async_trait(?Send)]
impl SourceReader for Reader {
    fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError> {
        self.unread = splits.iter().any(|split| split.state.is_empty());
        self.started = true;
        Ok(())
    }

    async fn next(&mut self) -> Result<Progress, TaskError> {
        if std::mem::take(&mut self.unread) {
            let numbers = Int64Array::from_iter_values(0..self.plan.rows as i64);
            let rows = RecordBatch::try_new(self.plan.tables[0].arrow().clone(), vec![Arc::new(numbers)]);
            return Ok(Progress::Rows(Batch::inserts(TableIndex(0), rows.expect("one column"))));
        }
        if let Some(message) = self.plan.fails.as_ref().filter(|_| self.started) {
            return Err(TaskError::permanent(message));
        }
        Ok(match self.plan.endless && self.started {
            true => Progress::Idle(Instant::now() + Duration::from_millis(20)),
            false => Progress::NeedSplits,
        })
    }

    fn snapshot(&mut self) -> Result<Vec<Split>, TaskError> {
        let read = Split { id: "all".into(), state: Bytes::from_static(b"read") };
        Ok(if self.plan.endless && self.started { vec![read] } else { Vec::new() })
    }
}

/// Drops rows.
pub(super) struct Nowhere;

impl Plugin for Nowhere {
    fn name(&self) -> &'static str {
        "Nowhere"
    }

    fn options(&self) -> OptionTable {
        &[]
    }

    fn summary(&self) -> &'static str {
        "Drops rows, for tests."
    }
}

impl SinkFactory for Nowhere {
    fn plan(
        &self,
        _options: Options<'_>,
        _inputs: &[Arc<TableSchema>],
        _context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems> {
        Ok(Arc::new(Self))
    }
}

#[async_trait(?Send)]
impl Sink for Nowhere {
    fn writer(&self, _context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        Ok(Box::new(Self))
    }
}

#[async_trait(?Send)]
impl SinkWriter for Nowhere {
    async fn write(&mut self, _batch: Batch) -> Result<(), TaskError> {
        Ok(())
    }

    async fn prepare(&mut self, _checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
        Ok(Vec::new())
    }

    async fn abort(&mut self) {}
}
