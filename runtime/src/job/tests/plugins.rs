//! A source, a transform and a sink made for tests of jobs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use async_trait::async_trait;
use bytes::Bytes;

use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Problems};
use crate::plugin::*;
use crate::row::{Batch, Column, DataType, TableIndex, TablePath, TableSchema};

/// What sinks have published, by the name of the test.
pub(super) static PUBLISHED: LazyLock<Mutex<BTreeMap<String, Vec<i64>>>> = LazyLock::new(Mutex::default);
/// How often sources have failed on purpose, by the name of the test.
pub(super) static FAILED: LazyLock<Mutex<BTreeMap<String, usize>>> = LazyLock::new(Mutex::default);
/// Pieces that committers dropped.
pub(super) static ABORTED: AtomicUsize = AtomicUsize::new(0);

pub(super) fn published(test: &str) -> Vec<i64> {
    let mut rows = PUBLISHED.lock().expect("lock").get(test).cloned().unwrap_or_default();
    rows.sort_unstable();
    rows
}

/// Sends the numbers from 0 up to `rows`, in batches of ten, dealt out to splits in turn.
pub(super) struct Numbers;

const NUMBERS: OptionTable = &[
    OptionSpec::new("test", OptionKind::Text, "name of the test").required(),
    OptionSpec::new("rows", OptionKind::COUNT, "numbers of each split").default("100"),
    OptionSpec::new("splits", OptionKind::POSITIVE, "splits").default("1"),
    OptionSpec::new("delay.ms", OptionKind::COUNT, "pause before each batch").default("0"),
    OptionSpec::new("fail.at", OptionKind::INTEGER, "number before which it fails").default("-1"),
    OptionSpec::new("fail.times", OptionKind::COUNT, "how often").default("1"),
    OptionSpec::new("fail.how", OptionKind::OneOf(&["lost", "after-commit", "broken", "panic", "silent"]), "how")
        .default("lost"),
    OptionSpec::new("endless", OptionKind::Boolean, "waits behind its last number").default("false"),
];

#[derive(Clone)]
pub(super) struct NumbersPlan {
    tables: Vec<Arc<TableSchema>>,
    test: String,
    rows: i64,
    splits: usize,
    delay: Duration,
    fail_at: i64,
    fail_times: usize,
    fail_how: &'static str,
    endless: bool,
}

impl Plugin for Numbers {
    fn name(&self) -> &'static str {
        "Numbers"
    }
    fn options(&self) -> OptionTable {
        NUMBERS
    }
    fn summary(&self) -> &'static str {
        "Numbers for tests."
    }
}

impl SourceFactory for Numbers {
    fn plan(&self, options: Options<'_>, context: &PlanContext, _: &mut Problems) -> Result<Arc<dyn Source>, Problems> {
        let path = TablePath::bare(context.output.as_deref().unwrap_or("default"));
        let table = TableSchema::new(path, vec![Column::new("n", DataType::BigInt)]);
        Ok(Arc::new(NumbersPlan {
            tables: vec![Arc::new(table)],
            test: options.text("test").unwrap_or_default(),
            rows: options.integer("rows").unwrap_or_default(),
            splits: options.count("splits").unwrap_or(1),
            delay: Duration::from_millis(options.count("delay.ms").unwrap_or_default() as u64),
            fail_at: options.integer("fail.at").unwrap_or(-1),
            fail_times: options.count("fail.times").unwrap_or_default(),
            fail_how: options.word("fail.how").unwrap_or("lost"),
            endless: options.boolean("endless").unwrap_or_default(),
        }))
    }
}

impl Source for NumbersPlan {
    fn tables(&self) -> &[Arc<TableSchema>] {
        &self.tables
    }

    fn enumerate(&self, readers: usize) -> Result<Box<dyn SplitEnumerator>, TaskError> {
        let splits = (0..self.splits).map(|id| Split { id: id.to_string().into(), state: Bytes::from_static(b"0") });
        Ok(Box::new(FixedSplits::new(readers, splits, |index, _| index)))
    }

    fn reader(&self, _: &TaskContext) -> Result<Box<dyn SourceReader>, TaskError> {
        Ok(Box::new(NumbersReader { plan: self.clone(), splits: Vec::new(), due: None }))
    }
}

pub(super) struct NumbersReader {
    plan: NumbersPlan,
    /// Id and next number.
    splits: Vec<(Arc<str>, i64)>,
    /// The end of the pause, which goes on when a barrier interrupts it.
    due: Option<Instant>,
}

#[async_trait(?Send)]
impl SourceReader for NumbersReader {
    fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError> {
        for split in splits {
            let position = std::str::from_utf8(&split.state).ok().and_then(|text| text.parse().ok());
            self.splits.push((split.id, position.ok_or_else(|| TaskError::permanent("no position"))?));
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Progress, TaskError> {
        if !self.plan.delay.is_zero() {
            crate::shard::sleep_until(*self.due.get_or_insert_with(|| Instant::now() + self.plan.delay)).await;
            self.due = None;
        }
        let rows = self.plan.rows;
        let Some((id, next)) = self.splits.iter_mut().find(|(_, next)| *next < rows) else {
            if self.plan.endless && !self.splits.is_empty() {
                return Ok(Progress::Idle(Instant::now() + Duration::from_secs(3600)));
            }
            return Ok(Progress::NeedSplits);
        };
        let end = (*next + 10).min(rows);
        if (*next..end).contains(&self.plan.fail_at) {
            if self.plan.fail_how == "after-commit" && published(&self.plan.test).is_empty() {
                return Ok(Progress::Idle(Instant::now() + Duration::from_millis(1)));
            }
            let fails = {
                let mut failed = FAILED.lock().expect("lock");
                let times = failed.entry(self.plan.test.clone()).or_default();
                *times += 1;
                *times <= self.plan.fail_times
            };
            if fails {
                match self.plan.fail_how {
                    "lost" | "after-commit" => return Err(TaskError::transient("the input is lost")),
                    "broken" => return Err(TaskError::permanent("the row is broken")),
                    "panic" => panic!("the reader panics"),
                    _ => std::future::pending().await,
                }
            }
        }
        let split: i64 = id.parse().unwrap_or_default();
        let column = Int64Array::from_iter_values((*next..end).map(|number| number + split * 1_000_000));
        *next = end;
        let rows = RecordBatch::try_new(self.plan.tables[0].arrow().clone(), vec![Arc::new(column)])?;
        Ok(Progress::Rows(Batch::inserts(TableIndex(0), rows)))
    }

    fn snapshot(&mut self) -> Result<Vec<Split>, TaskError> {
        let rows = self.plan.rows;
        let endless = self.plan.endless;
        let open = self.splits.iter().filter(|(_, next)| endless || *next < rows);
        Ok(open.map(|(id, next)| Split { id: Arc::clone(id), state: next.to_string().into() }).collect())
    }
}

/// Keeps even numbers.
pub(super) struct Even;

impl Plugin for Even {
    fn name(&self) -> &'static str {
        "Even"
    }
    fn options(&self) -> OptionTable {
        &[]
    }
    fn summary(&self) -> &'static str {
        "Keeps even numbers."
    }
}

impl TransformFactory for Even {
    fn plan(
        &self,
        _: Options<'_>,
        input: &Arc<TableSchema>,
        _: &PlanContext,
        _: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        Ok(Arc::new(EvenPlan(Arc::clone(input))))
    }
}

pub(super) struct EvenPlan(Arc<TableSchema>);

impl TransformPlan for EvenPlan {
    fn output(&self) -> &Arc<TableSchema> {
        &self.0
    }
    fn transform(&self, _: &TaskContext) -> Result<Box<dyn Transform>, TaskError> {
        Ok(Box::new(EvenWorker))
    }
}

pub(super) struct EvenWorker;

impl Transform for EvenWorker {
    fn apply(&mut self, batch: Batch) -> Result<Batch, TaskError> {
        let numbers = numbers(&batch);
        Ok(batch.filter(&numbers.iter().map(|number| Some(number % 2 == 0)).collect())?)
    }
}

pub(super) fn numbers(batch: &Batch) -> Vec<i64> {
    let column = batch.rows.column(0).as_any().downcast_ref::<Int64Array>().expect("numbers");
    column.values().to_vec()
}

/// Publishes numbers when they are committed.
pub(super) struct Collect;

const COLLECT: OptionTable = &[
    OptionSpec::new("test", OptionKind::Text, "name of the test").required(),
    OptionSpec::new("refuse", OptionKind::Boolean, "refuses the job at its end").default("false"),
    OptionSpec::new("deaf", OptionKind::Boolean, "never ends a write").default("false"),
    OptionSpec::new("paced", OptionKind::Boolean, "lets a stop interrupt its writes").default("false"),
];

#[derive(Clone)]
pub(super) struct CollectPlan {
    test: String,
    refuse: bool,
    deaf: bool,
    paced: bool,
}

impl Plugin for Collect {
    fn name(&self) -> &'static str {
        "Collect"
    }
    fn options(&self) -> OptionTable {
        COLLECT
    }
    fn summary(&self) -> &'static str {
        "Collects numbers for tests."
    }
}

impl SinkFactory for Collect {
    fn plan(
        &self,
        options: Options<'_>,
        _: &[Arc<TableSchema>],
        _: &PlanContext,
        _: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems> {
        let test = options.text("test").unwrap_or_default();
        let flag = |name| options.boolean(name).unwrap_or_default();
        Ok(Arc::new(CollectPlan { test, refuse: flag("refuse"), deaf: flag("deaf"), paced: flag("paced") }))
    }
}

#[async_trait(?Send)]
impl Sink for CollectPlan {
    fn writer(&self, _: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        Ok(Box::new(CollectWriter { rows: Vec::new(), deaf: self.deaf, paced: self.paced }))
    }
    fn committer(&self) -> Option<Box<dyn SinkCommitter>> {
        Some(Box::new(self.clone()))
    }
    fn finish(&self) -> Result<(), TaskError> {
        if self.refuse { Err(TaskError::permanent("row num :1 fail rule: MIN_ROW")) } else { Ok(()) }
    }
}

pub(super) struct CollectWriter {
    rows: Vec<i64>,
    deaf: bool,
    paced: bool,
}

#[async_trait(?Send)]
impl SinkWriter for CollectWriter {
    async fn write(&mut self, batch: Batch) -> Result<(), TaskError> {
        self.rows.extend(numbers(&batch));
        if self.deaf {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
    fn can_be_interrupted(&self) -> bool {
        self.paced
    }
    async fn prepare(&mut self, _: u64) -> Result<Vec<Prepared>, TaskError> {
        let rows = std::mem::take(&mut self.rows);
        Ok(vec![Prepared(serde_json::to_vec(&rows).expect("numbers").into())])
    }
    async fn abort(&mut self) {
        self.rows.clear();
    }
}

#[async_trait(?Send)]
impl SinkCommitter for CollectPlan {
    async fn commit(&mut self, prepared: &[Prepared]) -> Result<(), TaskError> {
        for piece in prepared {
            let rows: Vec<i64> = serde_json::from_slice(&piece.0).expect("numbers");
            PUBLISHED.lock().expect("lock").entry(self.test.clone()).or_default().extend(rows);
        }
        Ok(())
    }
    async fn abort(&mut self, prepared: &[Prepared]) {
        ABORTED.fetch_add(prepared.len(), Ordering::Relaxed);
    }
}
