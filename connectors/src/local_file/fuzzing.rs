//! Any bytes as a file, through the real readers: for fuzz targets.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use egret_runtime::config::{Options, Position, Problems, ReadOptions, Syntax, read_tree};
use egret_runtime::file::ReadFile;
use egret_runtime::plugin::{JobMode, PlanContext};
use egret_runtime::task::{TaskProbe, TaskStats};

use super::options::TABLE_OPTIONS;
use super::read::{GUARDED, Place};
use super::source::plan_table;
use super::table::FileTable;

/// Batches that are read of a file before the rest is left alone: small files may hold very many rows.
const BATCHES_MAX: usize = 64;

/// A table planned from options in the config language.
pub struct Fuzzed(Arc<FileTable>);

impl Fuzzed {
    /// Plans a table.
    ///
    /// # Panics
    /// When the options are wrong: they are the target's own.
    pub fn new(options: &str) -> Self {
        // Libraries may panic on broken files: that is caught and told as an error. Any other panic is a finding.
        std::panic::set_hook(Box::new(|panic| {
            if !GUARDED.get() {
                eprintln!("{panic}");
                std::process::abort();
            }
        }));
        let read = ReadOptions { syntax: Syntax::Hocon, ..ReadOptions::default() };
        let text = format!("options {{ path = \"/dev/null\"\n{options} }}");
        let tree = read_tree(&text, "fuzz", &read).expect("options").0;
        let object = tree.get("options").and_then(|value| value.as_object()).expect("an object");
        let context = PlanContext {
            job_id: 1,
            job_name: "fuzz".into(),
            mode: JobMode::Batch,
            parallelism: 1,
            block: "source[0] LocalFile".into(),
            plugin_name: "LocalFile".into(),
            position: Position { file: "fuzz".into(), line: 1, column: 1 },
            output: None,
            restored: false,
        };
        let planned = plan_table(Options::new(object, TABLE_OPTIONS), &context, &mut Problems::default());
        Self(Arc::new(planned.unwrap_or_else(|problems| panic!("{problems}"))))
    }

    /// Reads bytes as a file of the table: to its end, to an error, or as far as the bound goes. Answers how many rows
    /// there were.
    pub fn read(&self, bytes: &[u8]) -> usize {
        let probe = Rc::new(TaskProbe::new(Arc::new(TaskStats::new([(1, 1)]))));
        let file = ReadFile::in_memory("fuzz", Bytes::copy_from_slice(bytes));
        let Ok(mut reader) = self.0.read(file, "fuzz", Place::default(), &probe) else { return 0 };
        let mut rows = 0;
        for _ in 0..BATCHES_MAX {
            match ready(reader.next()) {
                Ok(Some(batch)) => rows += batch.num_rows(),
                Ok(None) => break,
                Err(error) => {
                    assert!(error.to_string().contains("fuzz"), "the file is not named: {error}");
                    break;
                }
            }
        }
        rows
    }
}

/// The result of a future that never waits: its bytes are in memory.
fn ready<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
