//! Queries end to end: a table-driven test for each function and operator, and properties of evaluation.

mod functions;
mod operators;
mod properties;
mod queries;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListArray, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
    Time64NanosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::Int32Type;

use super::cast::{self, OnFailure};
use super::value::Value;
use super::{Now, SqlPlan, parse};
use crate::plugin::TaskError;
use crate::row::text::{parse_date, parse_time, parse_timestamp};
use crate::row::{Batch, Column, DataType, Field, TableIndex, TablePath, TableSchema, arrow_fields};

fn row_type() -> DataType {
    let inner = DataType::Row(Arc::from([Field { name: "n".into(), data_type: DataType::Int }]));
    DataType::Row(Arc::from([
        Field { name: "a".into(), data_type: DataType::String },
        Field { name: "inner".into(), data_type: inner },
    ]))
}

/// The table that queries read here.
fn table() -> Arc<TableSchema> {
    let column = |(name, data_type): (&str, DataType)| Column::new(name, data_type);
    let map = DataType::Map(Box::new(DataType::String), Box::new(DataType::String));
    let columns = [
        ("s", DataType::String),
        ("b", DataType::Boolean),
        ("ti", DataType::TinyInt),
        ("si", DataType::SmallInt),
        ("i", DataType::Int),
        ("l", DataType::BigInt),
        ("f", DataType::Float),
        ("d", DataType::Double),
        ("dec", DataType::Decimal { precision: 10, scale: 2 }),
        ("bin", DataType::Bytes),
        ("dt", DataType::Date),
        ("tm", DataType::Time),
        ("ts", DataType::Timestamp),
        ("m", map),
        ("r", row_type()),
        ("n", DataType::Null),
        ("two words", DataType::Int),
        ("arr", DataType::Array(Box::new(DataType::Int))),
    ];
    Arc::new(TableSchema::new(TablePath::bare("t"), columns.into_iter().map(column).collect()))
}

/// A row of values, a row of nulls, and another row of values.
fn rows() -> RecordBatch {
    let micros = |text| parse_timestamp(text).map(|(micros, _)| micros);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for value in ["v", "w"] {
        maps.keys().append_value("k");
        maps.values().append_value(value);
        maps.append(true).expect("map");
        if value == "v" {
            maps.append(false).expect("map");
        }
    }
    let maps: ArrayRef = Arc::new(maps.finish());
    let map_type = DataType::Map(Box::new(DataType::String), Box::new(DataType::String)).arrow();
    let maps = arrow::compute::cast(&maps, &map_type).expect("map type");
    let DataType::Row(fields) = row_type() else { unreachable!("a row") };
    let DataType::Row(inner_fields) = &fields[1].data_type else { unreachable!("a row") };
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), Some(8), None]));
    let inner: ArrayRef = Arc::new(StructArray::new(arrow_fields(inner_fields), vec![numbers], None));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), Some("hidden"), Some("z")]));
    let nulls = NullBuffer::from(vec![true, false, true]);
    let structs = StructArray::new(arrow_fields(&fields), vec![texts, inner], Some(nulls));
    let decimals = Decimal128Array::from(vec![Some(1234), None, Some(-550)]).with_precision_and_scale(10, 2);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("Hello"), None, Some("größe")])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Int8Array::from(vec![Some(7), None, Some(-128)])),
        Arc::new(Int16Array::from(vec![Some(300), None, Some(-2)])),
        Arc::new(Int32Array::from(vec![Some(10), None, Some(-3)])),
        Arc::new(Int64Array::from(vec![Some(10_000_000_000), None, Some(-4)])),
        Arc::new(Float32Array::from(vec![Some(1.23), None, Some(-0.5)])),
        Arc::new(Float64Array::from(vec![Some(2.5), None, Some(-1.5)])),
        Arc::new(decimals.expect("decimals")),
        Arc::new(BinaryArray::from_opt_vec(vec![Some(b"ab"), None, Some(b"")])),
        Arc::new(Date32Array::from(vec![parse_date("2024-02-29"), None, parse_date("1999-12-31")])),
        Arc::new(Time64NanosecondArray::from(vec![parse_time("13:14:15.5"), None, parse_time("00:00:00")])),
        Arc::new(TimestampMicrosecondArray::from(vec![
            micros("2024-02-29 13:14:15.123456"),
            None,
            micros("1969-12-31 23:59:59"),
        ])),
        maps,
        Arc::new(structs),
        Arc::new(arrow::array::NullArray::new(3)),
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        Arc::new(lists()),
    ];
    RecordBatch::try_new(table().arrow().clone(), columns).expect("rows")
}

/// `[5, 6]`, null, `[]`
fn lists() -> ListArray {
    ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(5), Some(6)]), None, Some(vec![])])
}

fn now() -> Now {
    Now { micros: parse_timestamp("2024-05-06 07:08:09.5").expect("now").0 }
}

fn plan(query: &str) -> Result<SqlPlan, String> {
    let select = parse::parse(query)?;
    SqlPlan::new(&select, &table()).map_err(|refusals| {
        let shown = refusals.into_iter().map(|refusal| match refusal.help {
            Some(help) => format!("{} ({help})", refusal.message),
            None => refusal.message,
        });
        shown.collect::<Vec<_>>().join("\n")
    })
}

fn run(query: &str, rows: RecordBatch) -> Result<(Vec<DataType>, Batch), String> {
    let plan = plan(query)?;
    let types = plan.query.table.columns.iter().map(|column| column.data_type.clone()).collect();
    let batch = Batch::inserts(TableIndex(0), rows);
    let result = plan.query.run(batch, &now(), 0).map_err(|error: TaskError| error.to_string())?;
    for (column, field) in result.rows.columns().iter().zip(plan.query.table.arrow().fields()) {
        assert_eq!(column.data_type(), field.data_type(), "{query}");
    }
    Ok((types, result))
}

/// The type and the values of an expression: `INT: 1, null, 3`.
fn shown(expression: &str) -> String {
    let (types, batch) = match run(&format!("SELECT {expression} FROM t"), rows()) {
        Ok(result) => result,
        Err(error) => return error,
    };
    format!("{}: {}", types[0], texts(&types[0], batch.rows.column(0)).join(", "))
}

fn texts(data_type: &DataType, array: &ArrayRef) -> Vec<String> {
    let value = Value::column(array.clone());
    let array = cast::evaluate(&value, data_type, &DataType::String, OnFailure::Fail).expect("text");
    let array = arrow::array::AsArray::as_string::<i32>(&array);
    array.iter().map(|text| text.map_or("null".to_owned(), str::to_owned)).collect()
}

/// Checks `(expression, "TYPE: first, second, third")`; one value stands for three of the same.
fn check(cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (expression, expected) in cases {
        let expected = match expected.split_once(": ") {
            Some((data_type, one)) if !one.contains(", ") || one.starts_with('\u{1}') => {
                let one = one.trim_start_matches('\u{1}');
                format!("{data_type}: {one}, {one}, {one}")
            }
            _ => (*expected).to_owned(),
        };
        let found = shown(expression);
        if found != expected {
            wrong.push(format!("{expression}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Checks that each expression is refused, when planned or when run, with words about the reason.
fn check_refused(cases: &[(&str, &str)]) {
    for (expression, reason) in cases {
        let found = shown(expression);
        assert!(found.contains(reason), "{expression}\n  expected to be refused with: {reason}\n  found {found}");
    }
}
