//! Tests of the source and the sink through the plugin traits, on real files.

mod columnar;
mod corpus;
mod excel;
mod formats;
mod packed;
mod reading;
pub(super) mod round_trip;
mod writing;
mod xml;

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use egret_runtime::config::{Object, Options, Position, Problems, ReadOptions, Syntax, read_tree};
use egret_runtime::file::block_on;
use egret_runtime::plugin::{
    Assignment, JobMode, PlanContext, Plugin as _, Prepared, Progress, Sink, SinkFactory as _, Source,
    SourceFactory as _, Split, TaskContext, TaskError,
};
use egret_runtime::row::{Batch, Column, DataType, Field, TableIndex, TablePath, TableSchema};
use egret_runtime::task::{TaskProbe, TaskStats};

use super::{LocalFileSink, LocalFileSource};

fn run<F: Future>(make: impl FnOnce() -> F) -> F::Output {
    block_on(make).expect("an executor")
}

fn context(parallelism: usize) -> PlanContext {
    PlanContext {
        job_id: 7,
        job_name: "test".into(),
        mode: JobMode::Batch,
        parallelism,
        block: "source[0] LocalFile".into(),
        plugin_name: "LocalFile".into(),
        position: Position { file: "test".into(), line: 1, column: 1 },
        output: None,
        restored: false,
    }
}

fn task(index: usize, parallelism: usize) -> TaskContext {
    let probe = Rc::new(TaskProbe::new(Arc::new(TaskStats::new([(1, 1)]))));
    TaskContext { job_id: 7, index, parallelism, attempt: 0, probe }
}

/// The options in a text of the config language.
fn options_of(text: &str) -> Object {
    let read = ReadOptions { syntax: Syntax::Hocon, ..ReadOptions::default() };
    let tree = read_tree(&format!("options {{ {text} }}"), "test", &read).expect("a config").0;
    tree.get("options").and_then(|options| options.as_object()).cloned().expect("options")
}

fn plan_source(text: &str) -> Result<Arc<dyn Source>, Problems> {
    let object = options_of(text);
    let options = Options::new(&object, LocalFileSource.options());
    let mut problems = Problems::default();
    options.check("source[0] LocalFile", &context(1).position, &[], &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    LocalFileSource.plan(options, &context(1), &mut problems)
}

/// The problems that planning a source gives, as text.
fn source_problems(text: &str) -> String {
    plan_source(text).err().expect("problems").to_string()
}

fn plan_sink(text: &str, tables: &[Arc<TableSchema>]) -> Result<(Arc<dyn Sink>, Problems), Problems> {
    let object = options_of(text);
    let options = Options::new(&object, LocalFileSink.options());
    let mut problems = Problems::default();
    options.check("sink[0] LocalFile", &context(1).position, &[], &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    let sink = LocalFileSink.plan(options, tables, &context(1), &mut problems)?;
    Ok((sink, problems))
}

fn sink_problems(text: &str, tables: &[Arc<TableSchema>]) -> String {
    plan_sink(text, tables).err().expect("problems").to_string()
}

/// All batches of a source, read by one reader.
fn read_batches(source: &Arc<dyn Source>) -> Result<Vec<Batch>, TaskError> {
    run(|| async {
        let mut splits = source.enumerate(1)?;
        let context = task(0, 1);
        let mut reader = source.reader(&context)?;
        let mut found = Vec::new();
        loop {
            match reader.next().await? {
                Progress::Rows(batch) => found.push(batch),
                Progress::NeedSplits => match splits.assign(0) {
                    Assignment::Splits(splits) => reader.add_splits(splits)?,
                    _ => return Ok(found),
                },
                other => panic!("{other:?}"),
            }
        }
    })
}

/// All rows of the only table.
fn read_rows(source: &Arc<dyn Source>) -> RecordBatch {
    let batches = read_batches(source).expect("rows");
    concat_batches(source.tables()[0].arrow(), batches.iter().map(|batch| &batch.rows)).expect("one batch")
}

fn read(text: &str) -> RecordBatch {
    read_rows(&plan_source(text).unwrap_or_else(|problems| panic!("{problems}")))
}

fn read_error(text: &str) -> String {
    let source = plan_source(text).unwrap_or_else(|problems| panic!("{problems}"));
    read_batches(&source).expect_err("a failure").to_string()
}

/// Rows as text, null as `-`.
fn shown(rows: &RecordBatch) -> Vec<Vec<String>> {
    let options = arrow::util::display::FormatOptions::new().with_null("-");
    let columns: Vec<_> = rows
        .columns()
        .iter()
        .map(|column| arrow::util::display::ArrayFormatter::try_new(column, &options).expect("a formatter"))
        .collect();
    (0..rows.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect()
}

/// Writes batches in one task and commits.
fn write(sink: &Arc<dyn Sink>, batches: Vec<Batch>) -> Result<Vec<Prepared>, TaskError> {
    run(|| async {
        sink.prepare_target().await?;
        let mut writer = sink.writer(&task(0, 1))?;
        for batch in batches {
            writer.write(batch).await?;
        }
        let prepared = writer.prepare(1).await?;
        if let Some(mut committer) = sink.committer() {
            committer.commit(&prepared).await?;
        }
        writer.close().await?;
        Ok(prepared)
    })
}

fn inserts(rows: RecordBatch) -> Batch {
    Batch::inserts(TableIndex(0), rows)
}

fn table(columns: Vec<Column>) -> Arc<TableSchema> {
    Arc::new(TableSchema::new(TablePath::bare("t"), columns))
}

/// Visible files below a folder, relative to it, sorted.
fn files(folder: &std::path::Path) -> Vec<String> {
    fn walk(folder: &std::path::Path, root: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.push(path.strip_prefix(root).expect("below the root").display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    if folder.exists() {
        walk(folder, folder, &mut found);
    }
    found.sort();
    found
}

#[test]
fn the_page_shows_the_options_as_they_are() {
    crate::testing::check_page(
        "local_file.md",
        &[("LocalFile source", super::options::SOURCE_OPTIONS), ("LocalFile sink", super::sink_options::SINK_OPTIONS)],
    );
}
