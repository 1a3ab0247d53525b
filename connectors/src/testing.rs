//! What the tests of the connectors share: options from config text, and a runner that has all rows of a job in
//! memory, one plugin after the other.

use std::rc::Rc;
use std::sync::Arc;

use egret_runtime::config::{Object, OptionTable, Options, PluginConfig, Problems, ReadOptions, read_job, read_tree};
use egret_runtime::plugin::reference::refreshed;
use egret_runtime::plugin::{
    Assignment, JobMode, PlanContext, Plugin, PluginKind, Progress, Registry, Sink, Source, SourceFactory, TaskContext,
    TaskError,
};
use egret_runtime::row::show::write_row;
use egret_runtime::row::{Batch, TableSchema};
use egret_runtime::task::{TaskProbe, TaskStats};
use futures_lite::future::block_on;

/// Compares a page of the documentation with the options that it shows, and writes it when `EGRET_UPDATE_DOCS` is set.
pub(crate) fn check_page(page: &str, tables: &[(&str, OptionTable)]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/connectors").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let fresh = refreshed(&text, tables).expect("a place for each table");
    if std::env::var_os("EGRET_UPDATE_DOCS").is_some() {
        std::fs::write(&path, fresh).expect("the page is written");
    } else {
        assert!(text == fresh, "{} is out of date: run the tests with EGRET_UPDATE_DOCS=1", path.display());
    }
}

/// The options of a block, as text in the config language.
pub(crate) fn options(text: &str) -> Object {
    let (tree, _) = read_tree(&format!("block {{\n{text}\n}}"), "job.conf", &ReadOptions::default())
        .unwrap_or_else(|problems| panic!("{problems}"));
    tree.get("block").and_then(|block| block.as_object()).expect("a block").clone()
}

pub(crate) fn context(block: &str, parallelism: usize, mode: JobMode) -> PlanContext {
    PlanContext {
        job_id: 1,
        job_name: Arc::from("test"),
        mode,
        parallelism,
        block: block.into(),
        plugin_name: Arc::from(block),
        position: egret_runtime::config::Position { file: Arc::from("job.conf"), line: 1, column: 1 },
        output: Some(Arc::from("fake")),
        restored: false,
    }
}

pub(crate) fn task(index: usize, parallelism: usize) -> TaskContext {
    let probe = Rc::new(TaskProbe::new(Arc::new(TaskStats::new([]))));
    TaskContext { job_id: 1, index, parallelism, attempt: 0, probe }
}

/// A source and the warnings of its plan.
type Planned = (Arc<dyn Source>, Vec<String>);

/// Plans a source; what is wrong as text.
pub(crate) fn plan_source(
    factory: &dyn SourceFactory,
    object: &Object,
    context: &PlanContext,
) -> Result<Planned, Vec<String>> {
    let texts = |problems: &Problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let options = Options::new(object, factory.options());
    let mut checked = Problems::default();
    options.check(&context.block, &context.position, &["plugin_output", "result_table_name"], &mut checked);
    let mut warnings = Problems::default();
    let planned = factory.plan(options, context, &mut warnings);
    match planned {
        Ok(source) if !checked.has_errors() => {
            checked.append(warnings);
            Ok((source, texts(&checked)))
        }
        Ok(_) => Err(texts(&checked)),
        Err(problems) => {
            checked.append(problems);
            Err(texts(&checked))
        }
    }
}

/// All batches of a bounded source, reader by reader; pauses are not waited for but end.
pub(crate) fn read_all(source: &dyn Source, readers: usize) -> Result<Vec<Batch>, TaskError> {
    let mut splits = source.enumerate(readers)?;
    let mut batches = Vec::new();
    for index in 0..readers {
        let mut reader = source.reader(&task(index, readers))?;
        loop {
            match block_on(reader.next())? {
                Progress::Rows(batch) => batches.push(batch),
                Progress::Idle(until) => {
                    while std::time::Instant::now() < until {
                        std::thread::yield_now();
                    }
                }
                Progress::NeedSplits => match splits.assign(index) {
                    Assignment::Splits(splits) => reader.add_splits(splits)?,
                    Assignment::NoMore => break,
                    Assignment::Wait(_) => panic!("an unbounded source"),
                },
                Progress::End => break,
            }
        }
    }
    Ok(batches)
}

/// Rows with their kinds and tables, as text.
pub(crate) fn lines(tables: &[Arc<TableSchema>], batches: &[Batch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let table = &tables[usize::from(batch.table.0)];
        for row in 0..batch.len() {
            let mut line = format!("{} {} ", table.path, batch.kind(row).short_name());
            write_row(&mut line, &batch.rows, &table.columns, row);
            lines.push(line);
        }
    }
    lines
}

/// Rows under a name.
struct Stage {
    output: Option<Box<str>>,
    tables: Vec<Arc<TableSchema>>,
    batches: Vec<Batch>,
}

/// Runs a batch job of known plugins. The rows written; what failed as text.
pub(crate) fn run_job(registry: &Registry, text: &str) -> Result<usize, String> {
    let variables = [("file_format_type", "csv"), ("enable_header_write", "true")];
    let read_options = ReadOptions { variables: variables.into_iter().collect(), ..ReadOptions::default() };
    let (job, _) = read_job(text, "job.conf", &read_options).map_err(|problems| problems.to_string())?;
    let mut stages = Vec::new();
    for block in &job.sources {
        let factory = registry.source(&block.name).ok_or_else(|| format!("no source {}", block.name))?;
        let parallelism = block.parallelism.unwrap_or(1);
        let (options, context) = (checked(block, factory.as_ref())?, context_of(block, parallelism));
        let planned = factory.plan(options, &context, &mut Problems::default());
        let source = planned.map_err(|problems| problems.to_string())?;
        let batches = read_all(source.as_ref(), parallelism).map_err(|error| error.to_string())?;
        stages.push(Stage { output: block.output.clone(), tables: source.tables().to_vec(), batches });
    }
    for block in &job.transforms {
        let factory = registry.transform(&block.name).ok_or_else(|| format!("no transform {}", block.name))?;
        let (options, context) = (checked(block, factory.as_ref())?, context_of(block, 1));
        let input = inputs(&stages, block)?;
        let table = input.0.first().ok_or("no table")?;
        let planned = factory.plan(options, table, &context, &mut Problems::default());
        let plan = planned.map_err(|problems| problems.to_string())?;
        let mut worker = plan.transform(&task(0, 1)).map_err(|error| error.to_string())?;
        let batches = input.1.into_iter().map(|batch| worker.apply(batch)).collect::<Result<_, _>>();
        let batches = batches.map_err(|error: TaskError| error.to_string())?;
        stages.push(Stage { output: block.output.clone(), tables: vec![Arc::clone(plan.output())], batches });
    }
    let mut written = 0;
    for block in &job.sinks {
        let factory = registry.sink(&block.name).ok_or_else(|| format!("no sink {}", block.name))?;
        let (options, context) = (checked(block, factory.as_ref())?, context_of(block, 1));
        let (tables, batches) = inputs(&stages, block)?;
        let planned = factory.plan(options, &tables, &context, &mut Problems::default());
        let sink = planned.map_err(|problems| problems.to_string())?;
        written += write_all(sink.as_ref(), vec![batches]).map_err(|error| error.to_string())?;
    }
    Ok(written)
}

/// Writes with one writer for each list of batches, commits and finishes.
pub(crate) fn write_all(sink: &dyn Sink, of_tasks: Vec<Vec<Batch>>) -> Result<usize, TaskError> {
    let mut written = 0;
    let mut prepared = Vec::new();
    let tasks = of_tasks.len();
    for (index, batches) in of_tasks.into_iter().enumerate() {
        let mut writer = sink.writer(&task(index, tasks))?;
        block_on(async {
            for batch in batches {
                written += batch.len();
                writer.write(batch).await?;
            }
            prepared.extend(writer.prepare(1).await?);
            writer.close().await
        })?;
    }
    if let Some(mut committer) = sink.committer() {
        block_on(committer.commit(&prepared))?;
    }
    sink.finish()?;
    Ok(written)
}

fn checked<'a>(block: &'a PluginConfig, plugin: &(impl Plugin + ?Sized)) -> Result<Options<'a>, String> {
    let options = Options::new(&block.options, plugin.options());
    let mut problems = Problems::default();
    options.check(&block.block(), &block.position, &[], &mut problems);
    if problems.has_errors() { Err(problems.to_string()) } else { Ok(options) }
}

fn context_of(block: &PluginConfig, parallelism: usize) -> PlanContext {
    let output = if block.kind == PluginKind::Source { block.output.as_deref().map(Arc::from) } else { None };
    PlanContext { output, ..context(&block.block(), parallelism, JobMode::Batch) }
}

type Input = (Vec<Arc<TableSchema>>, Vec<Batch>);

/// The rows that a block reads: of the stages that it names, else of the last.
fn inputs(stages: &[Stage], block: &PluginConfig) -> Result<Input, String> {
    let named = |name: &str| stages.iter().find(|stage| stage.output.as_deref() == Some(name));
    let mut chosen: Vec<&Stage> = block.inputs.iter().filter_map(|name| named(name)).collect();
    if chosen.is_empty() {
        chosen.extend(stages.last());
    }
    let (mut tables, mut batches) = (Vec::new(), Vec::new());
    for stage in chosen {
        let shift = u16::try_from(tables.len()).map_err(|_| "too many tables")?;
        tables.extend(stage.tables.iter().cloned());
        batches.extend(stage.batches.iter().cloned().map(|mut batch| {
            batch.table.0 += shift;
            batch
        }));
    }
    Ok((tables, batches))
}
