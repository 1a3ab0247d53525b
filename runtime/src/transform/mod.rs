//! Transforms that change rows on their way (contract E).
//!
//! All of them are pure functions of a batch; those that only choose, rename or copy columns share the columns with
//! their input.

mod copy;
mod field_mapper;
mod filter;
mod filter_row_kind;
mod json_path;
mod replace;
mod row_kind_extractor;
mod split;
pub mod sql;
#[cfg(test)]
mod testing;
mod unsupported;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray, StringBuilder};

use crate::config::{Options, Position, Problem, Problems, Value, ValueKind, nearest};
use crate::plugin::{PlanContext, Registry, TaskContext, TaskError, Transform, TransformPlan};
use crate::row::show::{is_null, write_value};
use crate::row::{Batch, Column, DataType, TableSchema};

/// Adds every transform of this module.
pub fn register(registry: &mut Registry) {
    registry.add_transform(copy::Copy);
    registry.add_transform(field_mapper::FieldMapper);
    registry.add_transform(filter::Filter);
    registry.add_transform(filter_row_kind::FilterRowKind);
    registry.add_transform(json_path::JsonPath);
    registry.add_transform(replace::Replace);
    registry.add_transform(row_kind_extractor::RowKindExtractor);
    registry.add_transform(split::Split);
    registry.add_transform(sql::SqlFactory);
    unsupported::ALL.into_iter().for_each(|transform| registry.add_transform(transform));
}

/// A plan whose workers share all that they need: the work is a function of the batch.
struct Pure<F> {
    output: Arc<TableSchema>,
    apply: Arc<F>,
}

impl<F: Fn(Batch) -> Result<Batch, TaskError> + Send + Sync + 'static> Pure<F> {
    fn plan(output: TableSchema, apply: F) -> Arc<dyn TransformPlan> {
        Arc::new(Self { output: Arc::new(output), apply: Arc::new(apply) })
    }
}

impl<F: Fn(Batch) -> Result<Batch, TaskError> + Send + Sync + 'static> TransformPlan for Pure<F> {
    fn output(&self) -> &Arc<TableSchema> {
        &self.output
    }

    fn transform(&self, _context: &TaskContext) -> Result<Box<dyn Transform>, TaskError> {
        Ok(Box::new(PureWorker(Arc::clone(&self.apply))))
    }
}

struct PureWorker<F>(Arc<F>);

impl<F: Fn(Batch) -> Result<Batch, TaskError>> Transform for PureWorker<F> {
    fn apply(&mut self, batch: Batch) -> Result<Batch, TaskError> {
        (self.0)(batch)
    }
}

/// The batch with other columns of as many rows.
fn with_columns(batch: &Batch, table: &TableSchema, columns: Vec<ArrayRef>) -> Result<Batch, TaskError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.len()));
    let rows = RecordBatch::try_new_with_options(Arc::clone(table.arrow()), columns, &options)?;
    Ok(Batch { table: batch.table, rows, kinds: batch.kinds.clone() })
}

/// The batch with some of its columns, in this order, without a copy.
fn project(batch: &Batch, table: &TableSchema, indices: &[usize]) -> Result<Batch, TaskError> {
    with_columns(batch, table, indices.iter().map(|index| Arc::clone(batch.rows.column(*index))).collect())
}

/// The input's columns with new ones behind them; a new one of a name that the input has stands in its place.
/// Also tells the position of each new column.
fn appended(input: &TableSchema, new: Vec<Column>) -> (TableSchema, Vec<usize>) {
    let mut columns = input.columns.to_vec();
    let mut positions = Vec::with_capacity(new.len());
    for column in new {
        match columns.iter().position(|existing| existing.name == column.name) {
            Some(position) => {
                columns[position] = column;
                positions.push(position);
            }
            None => {
                positions.push(columns.len());
                columns.push(column);
            }
        }
    }
    (input.with_columns(columns), positions)
}

/// The batch with new columns at the positions that [`appended`] told.
fn append(
    batch: &Batch,
    table: &TableSchema,
    positions: &[usize],
    new: impl IntoIterator<Item = ArrayRef>,
) -> Result<Batch, TaskError> {
    let mut columns = batch.rows.columns().to_vec();
    for (position, column) in positions.iter().zip(new) {
        match columns.get_mut(*position) {
            Some(place) => *place = column,
            None => columns.push(column),
        }
    }
    with_columns(batch, table, columns)
}

/// Texts of a list option, each with its place; a comma text gives several at one place.
fn texts_with_places(options: &Options<'_>, name: &str) -> Vec<(String, Position)> {
    let Some(value) = options.value(name) else { return Vec::new() };
    match &value.kind {
        ValueKind::List(items) => {
            items.iter().filter_map(|item: &Value| Some((item.to_text()?.to_owned(), item.position.clone()))).collect()
        }
        _ => {
            let texts = options.texts(name).unwrap_or_default();
            texts.into_iter().map(|text| (text, value.position.clone())).collect()
        }
    }
}

/// Position of a column that an option names.
fn column_index(
    input: &TableSchema,
    name: &str,
    place: &Position,
    option: &str,
    context: &PlanContext,
) -> Result<usize, Problems> {
    input.index_of(name).ok_or_else(|| {
        let mut problem = Problem::error(place.clone(), format!("table '{}' has no column '{name}'", input.path))
            .in_block(context.block.clone())
            .of_option(option);
        if let Some(near) = nearest(name, input.columns.iter().map(|column| column.name.as_ref())) {
            problem = problem.with_help(format!("did you mean '{near}'?"));
        }
        problem.into()
    })
}

/// Place of an option's value, of the block when it is not given.
fn place_of(options: &Options<'_>, name: &str, context: &PlanContext) -> Position {
    options.value(name).map_or_else(|| context.position.clone(), |value| value.position.clone())
}

/// A column as text: itself when it is one, else its cells as the console prints them.
fn as_text<'a>(array: &'a ArrayRef, data_type: &DataType) -> Cow<'a, StringArray> {
    if *data_type == DataType::String {
        return Cow::Borrowed(array.as_string());
    }
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut text = String::new();
    for row in 0..array.len() {
        if is_null(array.as_ref(), row) {
            builder.append_null();
        } else {
            text.clear();
            write_value(&mut text, array.as_ref(), data_type, row);
            builder.append_value(&text);
        }
    }
    Cow::Owned(builder.finish())
}

#[cfg(test)]
mod tests {
    use crate::plugin::{Plugin, PluginKind, Registry};

    #[test]
    fn the_page_shows_the_options_that_are_read() {
        let mut registry = Registry::default();
        super::register(&mut registry);
        // Sql has a page of its own; what is not supported has no options that mean something.
        let refused = super::unsupported::ALL.map(|transform| transform.name());
        let plain = |plugin: &&dyn Plugin| plugin.name() != "Sql" && !refused.contains(&plugin.name());
        let plugins = registry.plugins(PluginKind::Transform).into_iter().filter(plain);
        let mut tables: Vec<_> = plugins.map(|plugin| (plugin.name(), plugin.options())).collect();
        tables.push(("JsonPath columns", super::json_path::JsonPath::COLUMN_OPTIONS));
        super::testing::check_page("transforms.md", &tables);
    }
}
