//! The `Sql` transform: `SELECT ... FROM ... [WHERE ...]` over one table (contract E.1).
//!
//! From text to rows: [`parse`] reads the grammar and refuses what is not done, [`bind`] resolves names and types
//! once to an [`expr`], [`evaluate`] goes over the batches. `docs/sql.md` is the users' page.

mod arithmetic;
mod bind;
mod cast;
mod cast_times;
mod choice;
mod clock;
mod compare;
mod decimal;
mod evaluate;
mod expr;
mod functions;
mod like;
mod parse;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::FilterBuilder;
use sqlparser::ast::{self, SelectItem, SelectItemQualifiedWildcardKind};

use self::bind::{Binder, Refusal};
use self::clock::Now;
use self::expr::{Expr, Frame, Kind};
use crate::config::{OptionKind, OptionSpec, OptionTable, Options, Position, Problem, Problems};
use crate::plugin::{PlanContext, Plugin, TaskContext, TaskError, Transform, TransformFactory, TransformPlan};
use crate::row::{Batch, Column, TableSchema};

const OPTIONS: OptionTable = &[
    OptionSpec::new(
        "query",
        OptionKind::Text,
        "The query: SELECT items FROM the input, and WHERE for the rows wanted.",
    )
    .required()
    .example("\"select id, upper(name) as name from fake where id > 10\""),
    OptionSpec::new(
        "engine",
        OptionKind::OneOf(&["ZETA", "INTERNAL"]),
        "The engine of the query; both names mean this one.",
    )
    .default("ZETA"),
];

/// Characters of an expression that a message shows.
const MESSAGE_CHARS_MAX: usize = 300;

/// Plans [`Sql`](self) transforms.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlFactory;

impl Plugin for SqlFactory {
    fn name(&self) -> &'static str {
        "Sql"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Computes the columns of a SELECT for each row, and drops the rows that WHERE does not want."
    }
}

impl TransformFactory for SqlFactory {
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems> {
        let place = options.value("query").map_or_else(|| context.position.clone(), |value| value.position.clone());
        let problem = |position: Position, message: String| {
            Problem::error(position, message).in_block(context.block.clone()).of_option("query")
        };
        let query = options.text("query").unwrap_or_default();
        let select = parse::parse(&query).map_err(|message| problem(place.clone(), message))?;
        if let Some(message) = other_table(&select.table, options, input) {
            warnings.push(Problem { severity: crate::config::Severity::Warning, ..problem(place.clone(), message) });
        }
        let plan = SqlPlan::new(&select, input).map_err(|refusals| {
            let mut problems = Problems::default();
            for refusal in refusals {
                problems.push(Problem { help: refusal.help, ..problem(place.clone(), refusal.message) });
            }
            problems
        })?;
        if let Some(name) = plan.repeated_name() {
            let message = format!("two columns are named '{name}': give one of them an alias (AS)");
            warnings.push(Problem { severity: crate::config::Severity::Warning, ..problem(place, message) });
        }
        Ok(Arc::new(plan))
    }
}

/// What to say when the query names a table that is not the input.
fn other_table(table: &str, options: Options<'_>, input: &TableSchema) -> Option<String> {
    let known = ["plugin_input", "source_table_name"]
        .iter()
        .filter_map(|key| options.object().get(key))
        .filter_map(|value| match value.as_list() {
            Some(items) => items.first().and_then(|item| item.to_text()),
            None => value.to_text(),
        })
        .collect::<Vec<_>>();
    let is_input = |name: &str| name.eq_ignore_ascii_case(table);
    if known.is_empty() || known.iter().any(|name| is_input(name)) || is_input(&input.path.table) || is_input("dual") {
        return None;
    }
    Some(format!("the query reads '{table}', but the input is '{}'; the input is read", known[0]))
}

/// One column of the result.
struct Output {
    expr: Expr,
    /// The expression as written, for messages.
    text: String,
}

/// The bound query, shared by all tasks.
struct Query {
    outputs: Vec<Output>,
    condition: Option<Output>,
    input: Arc<TableSchema>,
    table: Arc<TableSchema>,
}

struct SqlPlan {
    query: Arc<Query>,
}

impl SqlPlan {
    fn new(select: &parse::Select, input: &Arc<TableSchema>) -> Result<Self, Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut outputs = Vec::new();
        let mut columns = Vec::new();
        for item in &select.items {
            match bind_item(item, &select.table, input) {
                Ok(bound) => {
                    for (column, output) in bound {
                        columns.push(column);
                        outputs.push(output);
                    }
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        let condition = select.condition.as_ref().map(|condition| {
            let bound = Binder::new(input, &select.table).condition(condition, "WHERE")?;
            Ok(Output { expr: bound, text: format!("WHERE {condition}") })
        });
        let condition = condition.transpose().map_err(|refusal| refusals.push(refusal)).unwrap_or_default();
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let table = Arc::new(input.with_columns(columns));
        Ok(Self { query: Arc::new(Query { outputs, condition, input: input.clone(), table }) })
    }

    fn repeated_name(&self) -> Option<&str> {
        let names: Vec<&str> = self.query.table.columns.iter().map(|column| column.name.as_ref()).collect();
        names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)).map(|(_, name)| *name)
    }
}

/// Binds one item of the SELECT list, which is several columns when it is `*`.
fn bind_item(item: &SelectItem, from: &str, input: &Arc<TableSchema>) -> Result<Vec<(Column, Output)>, Refusal> {
    let mut binder = Binder::new(input, from);
    match item {
        SelectItem::Wildcard(options) if *options == ast::WildcardAdditionalOptions::default() => {
            Ok(all_columns(input))
        }
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
            if *options == ast::WildcardAdditionalOptions::default()
                && unquoted(&name.to_string()).eq_ignore_ascii_case(from) =>
        {
            Ok(all_columns(input))
        }
        SelectItem::UnnamedExpr(expr) => {
            let bound = binder.bind(expr)?;
            let name = match expr {
                ast::Expr::Identifier(name) => name.value.clone(),
                ast::Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()).unwrap_or_default(),
                other => unquoted(&other.to_string()).to_owned(),
            };
            Ok(vec![output(bound, &name, expr, input)])
        }
        SelectItem::ExprWithAlias { expr, alias } => {
            let bound = binder.bind(expr)?;
            Ok(vec![output(bound, &alias.value, expr, input)])
        }
        other => Err(Refusal::from(format!("Unsupported SQL syntax: '{other}' is not supported by the Sql transform"))),
    }
}

fn all_columns(input: &TableSchema) -> Vec<(Column, Output)> {
    let column = |(index, column): (usize, &Column)| {
        let expr = Expr::new(Kind::Column(index), column.data_type.clone(), false);
        (column.clone(), Output { expr, text: column.name.to_string() })
    };
    input.columns.iter().enumerate().map(column).collect()
}

/// A column that is only passed on keeps its comment, length and the like.
fn output(bound: Expr, name: &str, expr: &ast::Expr, input: &TableSchema) -> (Column, Output) {
    let column = match bound.kind {
        Kind::Column(index) => Column { name: name.into(), ..input.columns[index].clone() },
        _ => Column::new(name, bound.data_type.clone()),
    };
    (column, Output { text: expr.to_string(), expr: bound })
}

fn unquoted(name: &str) -> &str {
    name.strip_prefix('`').and_then(|name| name.strip_suffix('`')).unwrap_or(name)
}

impl TransformPlan for SqlPlan {
    fn output(&self) -> &Arc<TableSchema> {
        &self.query.table
    }

    fn transform(&self, _context: &TaskContext) -> Result<Box<dyn Transform>, TaskError> {
        Ok(Box::new(SqlTransform { query: self.query.clone(), rows_before: 0 }))
    }
}

struct SqlTransform {
    query: Arc<Query>,
    /// Rows of all batches before this one, for messages.
    rows_before: u64,
}

impl Transform for SqlTransform {
    fn apply(&mut self, batch: Batch) -> Result<Batch, TaskError> {
        let rows = batch.len() as u64;
        let result = self.query.run(batch, &Now::read(), self.rows_before);
        self.rows_before += rows;
        result
    }
}

impl Query {
    fn run(&self, batch: Batch, now: &Now, rows_before: u64) -> Result<Batch, TaskError> {
        let expected = self.input.arrow().fields();
        let fits = batch.rows.num_columns() == expected.len()
            && batch.rows.columns().iter().zip(expected).all(|(array, field)| array.data_type() == field.data_type());
        if !fits {
            return Err(TaskError::permanent(
                "Sql: the batch does not have the columns that the query was planned for",
            ));
        }
        let failed = |row: usize, message: &str, text: &str| {
            let row = rows_before + row as u64 + 1;
            let mut short: String = text.chars().take(MESSAGE_CHARS_MAX).collect();
            if short.len() < text.len() {
                short.push_str("...");
            }
            TaskError::permanent(format!("Sql: row {row}: {message} (in {short})"))
        };
        if batch.is_empty() {
            return Ok(Batch { rows: RecordBatch::new_empty(self.table.arrow().clone()), ..batch });
        }
        let frame = Frame { columns: batch.rows.columns(), rows: batch.len(), now };
        let kept = match &self.condition {
            None => None,
            Some(condition) => {
                let value = condition.expr.evaluate(&frame);
                let value = value.map_err(|error| failed(error.row, &error.message, &condition.text))?;
                Some(value.truths(frame.rows)).filter(|truths| truths.count_set_bits() < frame.rows)
            }
        };
        let Some(kept) = kept else {
            let rows = self.project(&frame, |row| row, failed)?;
            return Ok(Batch { rows, ..batch });
        };
        if kept.count_set_bits() == 0 {
            let rows = RecordBatch::new_empty(self.table.arrow().clone());
            return Ok(Batch { rows, ..batch.slice(0, 0) });
        }
        // Only what the result needs is filtered.
        let predicate = BooleanArray::new(kept.clone(), None);
        let filter = FilterBuilder::new(&predicate).optimize().build();
        let mut used = vec![false; batch.rows.num_columns()];
        self.outputs.iter().for_each(|output| output.expr.mark_columns(&mut used));
        let columns = evaluate::filter_used(batch.rows.columns(), &used, &filter, kept.count_set_bits())?;
        let frame = Frame { columns: &columns, rows: kept.count_set_bits(), now };
        let original = |row: usize| kept.set_indices().nth(row).unwrap_or(row);
        let rows = self.project(&frame, original, failed)?;
        let kinds = match &batch.kinds {
            None => None,
            Some(kinds) => Some(arrow::array::AsArray::as_primitive(&filter.filter(kinds)?).clone()),
        };
        Ok(Batch { table: batch.table, rows, kinds })
    }

    /// Computes the columns of the result. `original` tells which row of the batch a row of the frame was.
    fn project(
        &self,
        frame: &Frame<'_>,
        original: impl Fn(usize) -> usize,
        failed: impl Fn(usize, &str, &str) -> TaskError,
    ) -> Result<RecordBatch, TaskError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            let value = output.expr.evaluate(frame).and_then(|value| value.into_array(frame.rows));
            columns.push(value.map_err(|error| failed(original(error.row), &error.message, &output.text))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(frame.rows));
        Ok(RecordBatch::try_new_with_options(self.table.arrow().clone(), columns, &options)?)
    }
}
