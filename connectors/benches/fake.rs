//! How fast FakeSource makes rows of (int, string of 32), every value drawn anew, on one core; and what counting their
//! bytes for the REST API costs on top.
//!
//! `cargo bench -p egret-connectors --bench fake`

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use egret_connectors::fake::FakeSource;
use egret_runtime::config::{Options, Position, Problems, ReadOptions, read_tree};
use egret_runtime::plugin::{Assignment, JobMode, PlanContext, Plugin as _, Progress, SourceFactory as _, TaskContext};
use egret_runtime::row::metric_bytes;
use egret_runtime::task::{TaskProbe, TaskStats};
use futures_lite::future::block_on;

const ROWS: usize = 20_000_000;

fn main() {
    for count_bytes in [false, true] {
        let (rows, seconds) = run(count_bytes);
        let counted = if count_bytes { ", their bytes counted" } else { "" };
        println!("{rows} rows of (int, string of 32){counted}: {:.2} million a second", rows as f64 / seconds / 1e6);
    }
}

fn run(count_bytes: bool) -> (usize, f64) {
    let text =
        format!("block {{ row.num = {ROWS}, string.length = 32, schema {{ fields {{ id = int, name = string }} }} }}");
    let (tree, _) = read_tree(&text, "bench", &ReadOptions::default()).expect("a config");
    let object = tree.get("block").and_then(|block| block.as_object()).expect("a block");
    let context = PlanContext {
        job_id: 1,
        job_name: Arc::from("bench"),
        mode: JobMode::Batch,
        parallelism: 1,
        block: "source[0] FakeSource".into(),
        plugin_name: Arc::from("FakeSource"),
        position: Position { file: Arc::from("bench"), line: 1, column: 1 },
        output: None,
        restored: false,
    };
    let source = FakeSource
        .plan(Options::new(object, FakeSource.options()), &context, &mut Problems::default())
        .expect("a plan");
    let probe = Rc::new(TaskProbe::new(Arc::new(TaskStats::new([]))));
    let task = TaskContext { job_id: 1, index: 0, parallelism: 1, attempt: 0, probe };
    let mut reader = source.reader(&task).expect("a reader");
    let Assignment::Splits(splits) = source.enumerate(1).expect("splits").assign(0) else { panic!("splits") };
    reader.add_splits(splits).expect("splits");
    let (begun, mut rows, mut bytes) = (Instant::now(), 0, 0);
    while let Progress::Rows(batch) = block_on(reader.next()).expect("rows") {
        rows += batch.len();
        if count_bytes {
            bytes += metric_bytes(&batch, &source.tables()[0]);
        }
        black_box(batch);
    }
    let seconds = begun.elapsed().as_secs_f64();
    assert!(!count_bytes || bytes == 36 * ROWS as u64);
    (rows, seconds)
}
