//! Tests through the plugin traits, against a server on threads of the test.

mod client;
mod plans;
mod server;
mod sink;
mod source;
mod tls;

use std::sync::Arc;
use std::time::Instant;

use egret_runtime::config::{Object, Options, Problems};
use egret_runtime::file::block_on;
use egret_runtime::plugin::{
    Assignment, JobMode, Plugin as _, Progress, Sink, SinkFactory as _, Source, SourceReader, Split, TaskError,
};
use egret_runtime::row::{Batch, TableSchema};
use egret_runtime::shard::sleep_until;

use super::{HttpSink, HttpSource};
use crate::testing::{check_page, context, lines, options, plan_source, task};

/// Plans a source; panics with what is wrong.
fn source_of(text: &str, mode: JobMode) -> Arc<dyn Source> {
    let planned = plan_source(&HttpSource, &options(text), &context("source[0] Http", 1, mode));
    planned.unwrap_or_else(|problems| panic!("{problems:#?}")).0
}

/// What is wrong with the options of a source, warnings included.
fn source_problems(text: &str) -> Vec<String> {
    match plan_source(&HttpSource, &options(text), &context("source[0] Http", 1, JobMode::Batch)) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    }
}

/// Reads a batch source to its end, as a task would.
fn read(text: &str) -> Result<Vec<String>, TaskError> {
    let source = source_of(text, JobMode::Batch);
    let read = block_on(async || {
        let mut splits = source.enumerate(1)?;
        let mut reader = source.reader(&task(0, 1))?;
        let mut batches = Vec::new();
        loop {
            match reader.next().await? {
                Progress::Rows(batch) => batches.push(batch),
                Progress::Idle(until) => sleep_until(until).await,
                Progress::End => return Ok::<_, TaskError>(batches),
                Progress::NeedSplits => match splits.assign(0) {
                    Assignment::Splits(splits) => reader.add_splits(splits)?,
                    _ => return Ok(batches),
                },
            }
        }
    });
    Ok(rows_of(&source, &read.expect("an executor")?))
}

fn rows_of(source: &Arc<dyn Source>, batches: &[Batch]) -> Vec<String> {
    let lines = lines(source.tables(), batches);
    let kind = |line: &str| line.split_once(" +I ").map(|(_, row)| row.to_owned());
    lines.iter().map(|line| kind(line).unwrap_or_else(|| panic!("no insert: {line}"))).collect()
}

/// The next rows of a reader; waits through its pauses.
async fn next_rows(reader: &mut dyn SourceReader) -> Result<Batch, TaskError> {
    loop {
        match reader.next().await? {
            Progress::Rows(batch) => return Ok(batch),
            Progress::Idle(until) => sleep_until(until).await,
            other => panic!("{other:?}"),
        }
    }
}

/// A reader that goes on from a checkpoint, or begins.
fn reader_at(source: &Arc<dyn Source>, splits: Option<Vec<Split>>) -> Box<dyn SourceReader> {
    let mut enumerator = source.enumerate(1).expect("splits");
    if let Some(splits) = splits {
        enumerator.restore_snapshot(&[]).expect("a snapshot");
        enumerator.restore(vec![splits]);
    }
    let mut reader = source.reader(&task(0, 1)).expect("a reader");
    if let Assignment::Splits(splits) = enumerator.assign(0) {
        reader.add_splits(splits).expect("its own splits");
    }
    reader
}

/// A sink and the warnings of its plan, or what is wrong.
type PlannedSink = Result<(Arc<dyn Sink>, Vec<String>), Vec<String>>;

fn plan_sink(object: &Object, tables: &[Arc<TableSchema>]) -> PlannedSink {
    let texts = |problems: &Problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let options = Options::new(object, HttpSink.options());
    let context = context("sink[0] Http", 1, JobMode::Batch);
    let mut found = Problems::default();
    options.check(&context.block, &context.position, &["plugin_input"], &mut found);
    let planned = HttpSink.plan(options, tables, &context, &mut found);
    match planned {
        Ok(sink) if !found.has_errors() => Ok((sink, texts(&found))),
        Ok(_) => Err(texts(&found)),
        Err(problems) => {
            found.append(problems);
            Err(texts(&found))
        }
    }
}

/// Whether something took at least so long; the other bound depends on the machine.
fn took_at_least(begin: Instant, millis: u128) -> bool {
    begin.elapsed().as_millis() >= millis
}

#[test]
fn the_page_of_the_documentation_is_up_to_date() {
    use super::options::{PAGE_OPTIONS, SINK_OPTIONS, SOURCE_OPTIONS};
    let tables = [("Http source", SOURCE_OPTIONS), ("pageing", PAGE_OPTIONS), ("Http sink", SINK_OPTIONS)];
    check_page("http.md", &tables);
}
