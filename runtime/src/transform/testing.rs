//! What the tests of the transforms share: configs made by hand, a small table, plans run on it.

use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{Float64Array, Int32Array, RecordBatch, StringArray, UInt8Array};

use crate::config::{Object, OptionTable, Options, Position, Problems, Value, ValueKind};
use crate::plugin::reference::refreshed;
use crate::plugin::{JobMode, PlanContext, TaskContext, TransformFactory, TransformPlan};
use crate::row::show::write_row;
use crate::row::{Batch, Column, DataType, TableIndex, TablePath, TableSchema};
use crate::task::{TaskProbe, TaskStats};

pub(super) fn at() -> Position {
    Position { file: Arc::from("job.conf"), line: 1, column: 1 }
}

pub(super) fn text(text: &str) -> Value {
    Value { kind: ValueKind::Text(text.into()), position: at() }
}

pub(super) fn list(items: Vec<Value>) -> Value {
    Value { kind: ValueKind::List(items), position: at() }
}

pub(super) fn object(entries: Vec<(&str, Value)>) -> Value {
    let mut object = Object::default();
    for (key, value) in entries {
        object.insert(key, at(), value);
    }
    Value { kind: ValueKind::Object(object), position: at() }
}

pub(super) fn context() -> PlanContext {
    PlanContext {
        job_id: 1,
        job_name: Arc::from("test"),
        mode: JobMode::Batch,
        parallelism: 1,
        block: "transform[0]".into(),
        plugin_name: Arc::from("Test"),
        position: at(),
        output: None,
        restored: false,
    }
}

/// Three rows of (id int, name string, score double): an insert, an update-before with a null name, and a delete with
/// a null score.
pub(super) fn mixed_table() -> (TableSchema, Batch) {
    let table = TableSchema::new(
        TablePath::bare("fake"),
        vec![
            Column::new("id", DataType::Int),
            Column::new("name", DataType::String),
            Column::new("score", DataType::Double),
        ],
    );
    let rows = RecordBatch::try_new(
        Arc::clone(table.arrow()),
        vec![
            Arc::new(Int32Array::from(vec![1, 2, 3])),
            Arc::new(StringArray::from(vec![Some("Alice"), None, Some("Bob")])),
            Arc::new(Float64Array::from(vec![Some(1.5), Some(2.5), None])),
        ],
    )
    .expect("rows");
    (table, Batch { table: TableIndex(0), rows, kinds: Some(UInt8Array::from(vec![0, 1, 3])) })
}

/// One row for each text, in a table with one column `s`.
pub(super) fn text_table(texts: &[Option<&str>]) -> (TableSchema, Batch) {
    let table = TableSchema::new(TablePath::bare("fake"), vec![Column::new("s", DataType::String)]);
    let column = Arc::new(StringArray::from(texts.to_vec()));
    let rows = RecordBatch::try_new(Arc::clone(table.arrow()), vec![column]).expect("rows");
    (table, Batch::inserts(TableIndex(0), rows))
}

/// Compares a page of the documentation with the options that it shows, and writes it when `EGRET_UPDATE_DOCS` is set.
pub(super) fn check_page(page: &str, tables: &[(&str, OptionTable)]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let fresh = refreshed(&text, tables).expect("a place for each table");
    if std::env::var_os("EGRET_UPDATE_DOCS").is_some() {
        std::fs::write(&path, fresh).expect("the page is written");
    } else {
        assert!(text == fresh, "{} is out of date: run the tests with EGRET_UPDATE_DOCS=1", path.display());
    }
}

type Planned = Result<Arc<dyn TransformPlan>, Problems>;

fn plan_all(factory: &dyn TransformFactory, config: &Value, table: &TableSchema) -> (Planned, Problems) {
    let options = Options::new(config.as_object().expect("an object"), factory.options());
    let mut problems = Problems::default();
    options.check("transform[0]", &at(), &[], &mut problems);
    assert!(problems.is_empty(), "{problems}");
    let mut warnings = Problems::default();
    let plan = factory.plan(options, &Arc::new(table.clone()), &context(), &mut warnings);
    (plan, warnings)
}

pub(super) fn plan(factory: &dyn TransformFactory, config: &Value, table: &TableSchema) -> Planned {
    plan_all(factory, config, table).0
}

pub(super) fn plan_with_warnings(
    factory: &dyn TransformFactory,
    config: &Value,
    table: &TableSchema,
) -> (Arc<dyn TransformPlan>, Vec<String>) {
    let (plan, warnings) = plan_all(factory, config, table);
    (plan.expect("a plan"), warnings.iter().map(ToString::to_string).collect())
}

pub(super) fn problems(factory: &dyn TransformFactory, config: &Value, table: &TableSchema) -> Vec<String> {
    let problems = plan(factory, config, table).err().expect("problems");
    assert!(problems.has_errors());
    problems.iter().map(ToString::to_string).collect()
}

pub(super) fn task_context() -> TaskContext {
    let probe = Rc::new(TaskProbe::new(Arc::new(TaskStats::new([]))));
    TaskContext { job_id: 1, index: 0, parallelism: 1, attempt: 0, probe }
}

pub(super) fn apply(plan: &dyn TransformPlan, batch: Batch) -> Batch {
    let batch = plan.transform(&task_context()).expect("a worker").apply(batch).expect("rows");
    assert_eq!(batch.rows.schema(), *plan.output().arrow());
    batch
}

/// Names of the columns, and the rows with their kinds, that come of a table.
pub(super) fn run(
    factory: &dyn TransformFactory,
    config: &Value,
    (table, batch): &(TableSchema, Batch),
) -> (Vec<String>, Vec<String>) {
    let plan = plan(factory, config, table).unwrap_or_else(|problems| panic!("{problems}"));
    let batch = apply(plan.as_ref(), batch.clone());
    let columns = &plan.output().columns;
    let rows = (0..batch.len()).map(|row| {
        let mut line = format!("{} ", batch.kind(row).short_name());
        write_row(&mut line, &batch.rows, columns, row);
        line
    });
    let rows = rows.collect();
    (columns.iter().map(|column| column.name.to_string()).collect(), rows)
}
