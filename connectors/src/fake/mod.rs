//! `FakeSource`: random rows, or rows written in the config (contract D.1).

mod generate;
mod options;
mod random;
mod reader;
mod recipe;
mod rows;
mod split;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use egret_runtime::config::{OptionTable, Options, Problem, Problems, SchemaContext, parse_schema, schema_of};
use egret_runtime::plugin::{
    JobMode, PlanContext, Plugin, Source, SourceFactory, SourceReader, SplitEnumerator, TaskContext, TaskError,
};
use egret_runtime::row::{TablePath, TableSchema};

use self::options::{ENTRY_OPTIONS, OPTIONS};
use self::reader::{Content, FakeReader, FakeTable};
use self::recipe::{Recipe, Report, sequence_max};
use self::rows::LiteralRows;
use self::split::{FakeSplits, TableSplits};

/// Table path of a source that names none (contract A.5).
const DEFAULT_PATH: &str = "default.default.default";

/// Tables that a source may have: batches name theirs by 16 bits.
const TABLES_MAX: usize = u16::MAX as usize;

/// See the module.
pub struct FakeSource;

impl Plugin for FakeSource {
    fn name(&self) -> &'static str {
        "FakeSource"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Sends random rows of any schema, every value drawn anew, or rows written in the config. A batch job ends \
         after them; a streaming job sends them once and then stays idle until it is stopped."
    }
}

impl SourceFactory for FakeSource {
    fn plan(
        &self,
        options: Options<'_>,
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn Source>, Problems> {
        let mut problems = Problems::default();
        let tables = plan_tables(&options, context, &mut problems, warnings);
        refuse_twins(&tables, context, &mut problems);
        if problems.has_errors() {
            return Err(problems);
        }
        let (tables, splits): (Vec<FakeTable>, Vec<TableSplits>) = tables.into_iter().unzip();
        Ok(Arc::new(PlannedFake {
            schemas: tables.iter().map(|table| Arc::clone(&table.schema)).collect(),
            tables: tables.into(),
            splits: splits.into(),
            streaming: context.mode == JobMode::Streaming,
        }))
    }
}

fn plan_tables(
    options: &Options<'_>,
    context: &PlanContext,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Vec<(FakeTable, TableSplits)> {
    match (options.objects("tables_configs"), schema_of(options.object())) {
        (Some(_), Some(schema)) => {
            let message = "excludes 'tables_configs': each of its entries has a schema of its own";
            let problem = Problem::error(schema.position, message);
            problems.push(problem.in_block(context.block.clone()).of_option("schema"));
            Vec::new()
        }
        (Some(entries), None) if entries.is_empty() || entries.len() > TABLES_MAX => {
            let message = format!("has {} tables, expected 1 to {TABLES_MAX}", entries.len());
            problems.push(context.error(message).of_option("tables_configs"));
            Vec::new()
        }
        (Some(entries), None) => {
            let mut tables = Vec::new();
            for (index, entry) in entries.into_iter().enumerate() {
                let Some(object) = entry.as_object() else { continue };
                let block = format!("{}, tables_configs[{index}]", context.block);
                let options = Options::new(object, ENTRY_OPTIONS);
                // Only the block itself has been checked so far.
                let mut found = Problems::default();
                options.check(&block, &entry.position, &[], &mut found);
                keep(found, problems, warnings);
                let mut report = Report { block: &block, place: &entry.position, problems, warnings };
                tables.extend(plan_table(&options, context, &mut report));
            }
            tables
        }
        (None, _) => {
            let mut report = Report { block: &context.block, place: &context.position, problems, warnings };
            plan_table(options, context, &mut report).into_iter().collect()
        }
    }
}

/// Sorts what a check found into errors and warnings.
fn keep(found: Problems, problems: &mut Problems, warnings: &mut Problems) {
    for problem in found.iter() {
        let of_its_kind =
            if problem.severity == egret_runtime::config::Severity::Error { &mut *problems } else { &mut *warnings };
        of_its_kind.push(problem.clone());
    }
}

fn refuse_twins(tables: &[(FakeTable, TableSplits)], context: &PlanContext, problems: &mut Problems) {
    let path = |index: usize| &tables[index].0.schema.path;
    for index in 1..tables.len() {
        if (0..index).any(|other| path(other) == path(index)) {
            let message = format!("two tables are named '{}'", path(index));
            problems.push(
                context.error(message).of_option("tables_configs").with_help("give each schema a 'table' of its own"),
            );
        }
    }
}

/// One table; `None` when something is wrong with it, which the report then has.
fn plan_table(
    options: &Options<'_>,
    context: &PlanContext,
    report: &mut Report<'_>,
) -> Option<(FakeTable, TableSplits)> {
    let table = read_table(options, context, report).map(Arc::new);
    let recipe = Recipe::read(options, table.as_deref(), report);
    let table = table?;
    let content = match options.objects("rows") {
        Some(rows) => Content::Literal(LiteralRows::read(&rows, &table, report)?),
        None => Content::Random(recipe.generators(&table, report)),
    };
    let count = |name: &str| options.integer(name).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    let (row_num, first) = (count("row.num"), options.integer("auto.increment.start").unwrap_or(1));
    let literal_rows = match &content {
        Content::Literal(rows) => Some(rows.len() as u64),
        Content::Random(generators) => {
            refuse_overflow(options, generators, row_num, first, context.parallelism, report);
            None
        }
    };
    let interval = Duration::from_millis(count("split.read-interval"));
    let splits = TableSplits::new(row_num, count("split.num"), literal_rows, first);
    Some((FakeTable { schema: table, content, interval }, splits))
}

/// The table of a schema; `None` when something is wrong with it, which the report then has.
fn read_table(options: &Options<'_>, context: &PlanContext, report: &mut Report<'_>) -> Option<TableSchema> {
    let Some(schema) = schema_of(options.object()) else {
        let problem = Problem::error(report.place.clone(), "is required but not given: expected an object");
        let help = "for example schema = { fields { id = bigint, name = string } }";
        report.problems.push(problem.in_block(report.block).of_option("schema").with_help(help));
        return None;
    };
    let default_path = context.output.as_deref().map(TablePath::bare);
    let default_path = default_path.or_else(|| TablePath::parse(DEFAULT_PATH, false))?;
    let schema_context = SchemaContext { plugin: "FakeSource", block: report.block, default_path: &default_path };
    match parse_schema(&schema, &schema_context, report.warnings) {
        Ok(table) if table.columns.is_empty() => {
            let problem = Problem::error(schema.position, "has no columns: expected 'fields' or 'columns'");
            report.problems.push(problem.in_block(report.block).of_option("schema"));
            None
        }
        Ok(table) => Some(table),
        Err(problems) => {
            report.problems.append(problems);
            None
        }
    }
}

/// Consecutive numbers must fit their column to the last row.
fn refuse_overflow(
    options: &Options<'_>,
    generators: &[generate::Generator],
    row_num: u64,
    first: i64,
    readers: usize,
    report: &mut Report<'_>,
) {
    let Some(most) = sequence_max(generators) else { return };
    let last = i128::from(first) + i128::from(row_num) * readers as i128 - 1;
    // The smallest number of a type is one below the negative of its largest.
    if last > i128::from(most) || i128::from(first) < -i128::from(most) - 1 {
        let message = format!("the numbers from {first} to {last} do not fit the primary key");
        report.error(options, "auto.increment.start", message);
    }
}

struct PlannedFake {
    schemas: Vec<Arc<TableSchema>>,
    tables: Arc<[FakeTable]>,
    splits: Arc<[TableSplits]>,
    streaming: bool,
}

impl Source for PlannedFake {
    fn tables(&self) -> &[Arc<TableSchema>] {
        &self.schemas
    }

    fn enumerate(&self, readers: usize) -> Result<Box<dyn SplitEnumerator>, TaskError> {
        Ok(Box::new(FakeSplits::new(Arc::clone(&self.splits), readers, self.streaming)))
    }

    fn reader(&self, _context: &TaskContext) -> Result<Box<dyn SourceReader>, TaskError> {
        Ok(Box::new(FakeReader::new(Arc::clone(&self.tables))))
    }
}
