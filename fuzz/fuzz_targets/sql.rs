//! Any query is planned against a table with columns of every type and run on three rows without a panic; what comes
//! out has the columns that were planned.
#![no_main]

use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use egret_runtime::config::{Object, Options, Position, Problems, Value, ValueKind, parse_type_text};
use egret_runtime::json_path::{Json, fill};
use egret_runtime::plugin::{JobMode, PlanContext, Plugin, TaskContext, TransformFactory};
use egret_runtime::row::{Batch, Column, ColumnBuilder, DataType, Field, TableIndex, TablePath, TableSchema};
use egret_runtime::task::{TaskProbe, TaskStats};
use egret_runtime::transform::sql::SqlFactory;
use libfuzzer_sys::fuzz_target;

/// Name, type, and the JSON of three values.
const COLUMNS: [(&str, &str, &str); 18] = [
    ("s", "string", r#"["Hello", null, "größe 2024-01-31"]"#),
    ("b", "boolean", "[true, null, false]"),
    ("ti", "tinyint", "[7, null, -128]"),
    ("si", "smallint", "[300, null, -2]"),
    ("i", "int", "[10, null, -2147483648]"),
    ("l", "bigint", "[10000000000, null, -9223372036854775808]"),
    ("f", "float", "[1.5, null, \"NaN\"]"),
    ("d", "double", "[2.5, null, -1.7976931348623157e308]"),
    ("dec", "decimal(10,2)", "[12.34, null, -99999999.99]"),
    ("big", "decimal(38,18)", "[0.000000000000000001, null, -99999999999999999999.999999999999999999]"),
    ("bin", "bytes", r#"["YWI=", null, ""]"#),
    ("dt", "date", r#"["2024-02-29", null, "0001-01-01"]"#),
    ("tm", "time", r#"["13:14:15.5", null, "00:00:00"]"#),
    ("ts", "timestamp", r#"["2024-02-29 13:14:15.123456", null, "9999-12-31 23:59:59.999999"]"#),
    ("m", "map<string, string>", r#"[{"k": "v"}, null, {}]"#),
    ("a", "array<int>", "[[1, null], null, []]"),
    ("v", "float_vector", "[[1.5, 2], null, []]"),
    ("n", "null", "[null, null, null]"),
];

static TABLE: LazyLock<(Arc<TableSchema>, Batch)> = LazyLock::new(|| {
    let (mut columns, mut arrays) = (Vec::new(), Vec::new());
    let row = DataType::Row(Arc::from([Field { name: "a".into(), data_type: DataType::String }]));
    let types = COLUMNS.map(|(name, data_type, values)| (name, parse_type_text(data_type).expect("a type"), values));
    for (name, data_type, values) in types.into_iter().chain([("r", row, r#"[["x"], null, [null]]"#)]) {
        let mut builder = ColumnBuilder::new(&data_type, 3);
        for value in Json::read(values).expect("JSON").as_list().expect("a list") {
            fill(&mut builder, &data_type, value).expect(name);
        }
        columns.push(Column::new(name, data_type));
        arrays.push(builder.finish());
    }
    let table = Arc::new(TableSchema::new(TablePath::bare("t"), columns));
    let rows = arrow::array::RecordBatch::try_new(table.arrow().clone(), arrays).expect("rows");
    (table, Batch::inserts(TableIndex(0), rows))
});

fuzz_target!(|text: &str| {
    // Most texts are no whole query: they are tried as an expression and as a condition too.
    for query in [text.to_owned(), format!("select {text} as x from t"), format!("select i, s from t where {text}")] {
        run(&query);
    }
});

fn run(query: &str) {
    let (table, batch) = &*TABLE;
    let position = Position { file: Arc::from("fuzz"), line: 1, column: 1 };
    let mut config = Object::default();
    let value = Value { kind: ValueKind::Text(query.into()), position: position.clone() };
    config.insert("query", position.clone(), value);
    let context = PlanContext {
        job_id: 1,
        job_name: Arc::from("fuzz"),
        mode: JobMode::Batch,
        parallelism: 1,
        block: "transform[0]".into(),
        plugin_name: Arc::from("Sql"),
        position,
        output: None,
        restored: false,
    };
    let mut warnings = Problems::default();
    let options = Options::new(&config, SqlFactory.options());
    let Ok(plan) = SqlFactory.plan(options, table, &context, &mut warnings) else { return };
    let probe = Rc::new(TaskProbe::new(Arc::new(TaskStats::new([]))));
    let task = TaskContext { job_id: 1, index: 0, parallelism: 1, attempt: 0, probe };
    let mut worker = plan.transform(&task).expect("a worker");
    for batch in [batch.clone(), batch.slice(1, 2), batch.slice(0, 0)] {
        if let Ok(result) = worker.apply(batch) {
            assert_eq!(result.rows.schema(), *plan.output().arrow());
        }
    }
}
