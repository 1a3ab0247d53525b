use std::sync::Arc;

use arrow::array::Array as _;
use proptest::prelude::*;

use super::super::show::write_value;
use super::super::{TablePath, show};
use super::*;

fn at() -> Position {
    Position { file: Arc::from("job.conf"), line: 1, column: 1 }
}

fn of(kind: ValueKind) -> Value {
    Value { kind, position: at() }
}

fn text(text: &str) -> Value {
    of(ValueKind::Text(text.into()))
}

fn number(text: &str) -> Value {
    of(ValueKind::Number(text.into()))
}

fn list(items: Vec<Value>) -> Value {
    of(ValueKind::List(items))
}

fn object(entries: Vec<(&str, Value)>) -> Value {
    let mut object = Object::default();
    for (key, value) in entries {
        object.insert(key, at(), value);
    }
    of(ValueKind::Object(object))
}

fn row_type(fields: &[(&str, DataType)]) -> DataType {
    DataType::Row(
        fields.iter().map(|(name, data_type)| Field { name: (*name).into(), data_type: data_type.clone() }).collect(),
    )
}

fn shown(data_type: &DataType, value: &Value) -> Result<String, LiteralError> {
    let cell = Literals::default().cell("c", data_type, value)?;
    assert_eq!(cell.data_type(), &data_type.arrow());
    let mut out = String::new();
    write_value(&mut out, cell.as_ref(), data_type, 0);
    Ok(out)
}

#[test]
fn values_convert_as_json_input_does() {
    let decimal = DataType::Decimal { precision: 30, scale: 8 };
    let array = DataType::Array(Box::new(DataType::Int));
    let row = row_type(&[("a", DataType::Int), ("b", DataType::String)]);
    let map = |value: &DataType| DataType::Map(Box::new(DataType::String), Box::new(value.clone()));
    let dates = DataType::Map(Box::new(DataType::Date), Box::new(DataType::String));
    for (data_type, value, expected) in [
        (&DataType::Boolean, text("TRUE"), "true"),
        (&DataType::TinyInt, text(" 7 "), "7"),
        (&DataType::SmallInt, number("-32768"), "-32768"),
        (&DataType::Int, number("1e3"), "1000"),
        (&DataType::BigInt, number("9223372036854775807"), "9223372036854775807"),
        (&DataType::Float, number("3.1"), "3.1"),
        (&DataType::Double, text("9.33333"), "9.33333"),
        (&DataType::Double, text("NaN"), "NaN"),
        (&decimal, number("99999.99999999"), "99999.99999999"),
        (&decimal, number("1234567890123456789012.00000001"), "1234567890123456789012.00000001"),
        (&DataType::String, number("007"), "007"),
        (&DataType::String, list(vec![number("1"), text("a\"b")]), "[1,\"a\\\"b\"]"),
        (&DataType::Bytes, text("bWlJWmo="), "[109, 105, 73, 90, 106]"),
        (&DataType::Bytes, text("bWlJWmo"), "[109, 105, 73, 90, 106]"),
        (&DataType::Date, text("2012-12-21"), "2012-12-21"),
        (&DataType::Time, text("12:34:56"), "12:34:56"),
        (&DataType::Timestamp, text("2012-12-21T12:34:56"), "2012-12-21T12:34:56"),
        (&DataType::Timestamp, text("2012-12-21 12:34:56"), "2012-12-21T12:34:56"),
        (&DataType::Date, text(""), "null"),
        (&array, list(vec![number("0"), of(ValueKind::Null), text("2")]), "[0, null, 2]"),
        (&row, list(vec![number("1"), text("x")]), "[1, x]"),
        (&row, list(vec![number("1")]), "[1, null]"),
        (&row, object(vec![("b", text("x")), ("a", number("1"))]), "[1, x]"),
        (
            &map(&row),
            object(vec![("k1", list(vec![number("123"), text("BBB-BB")]))]),
            "{\"k1\":{\"a\":123,\"b\":\"BBB-BB\"}}",
        ),
        (&dates, object(vec![("2024-01-26", text("v0"))]), "{\"2024-01-26\":\"v0\"}"),
        (&DataType::FloatVector, list(vec![number("1"), number("2.5")]), "[1.0, 2.5]"),
        (&DataType::Float16Vector, list(vec![number("1"), number("2.5")]), "[1.0, 2.5]"),
        (&DataType::BFloat16Vector, list(vec![number("1"), number("2.5")]), "[1.0, 2.5]"),
        (&DataType::BinaryVector, list(vec![number("255"), number("-2")]), "[-1, -2]"),
        (&DataType::SparseFloatVector, object(vec![("3", number("0.5"))]), "{\"3\":0.5}"),
        (&DataType::Null, text("x"), "null"),
        (&DataType::Int, of(ValueKind::Null), "null"),
    ] {
        assert_eq!(shown(data_type, &value).as_deref(), Ok(expected), "{data_type} {value:?}");
    }
}

#[test]
fn what_does_not_fit_names_column_value_and_type() {
    let row = row_type(&[("a", DataType::Array(Box::new(DataType::Int)))]);
    let error = shown(&row, &object(vec![("a", list(vec![number("1"), text("old")]))])).expect_err("text");
    assert_eq!(error.to_string(), "column 'c.a[1]': expected INT (a whole number of 32 bits), found 'old'");
    for (data_type, value) in [
        (DataType::Boolean, text("yes")),
        (DataType::TinyInt, number("128")),
        (DataType::Int, number("1.5")),
        (DataType::BigInt, number("9223372036854775808")),
        (DataType::Decimal { precision: 4, scale: 2 }, number("100")),
        (DataType::Decimal { precision: 4, scale: 2 }, text("x")),
        (DataType::Bytes, text("not base64!")),
        (DataType::Date, text("2024-02-30")),
        (DataType::Time, text("25:00:00")),
        (DataType::Timestamp, text("yesterday")),
        (DataType::Array(Box::new(DataType::Int)), number("1")),
        (DataType::Map(Box::new(DataType::Int), Box::new(DataType::Int)), object(vec![("a", number("1"))])),
        (DataType::Map(Box::new(DataType::Date), Box::new(DataType::Int)), object(vec![("", number("1"))])),
        (DataType::Map(Box::new(DataType::Null), Box::new(DataType::Int)), object(vec![("a", number("1"))])),
        (row_type(&[("a", DataType::Int)]), text("x")),
        (DataType::FloatVector, text("x")),
        (DataType::BinaryVector, list(vec![number("256")])),
    ] {
        assert!(shown(&data_type, &value).is_err(), "{data_type} {value:?}");
    }
}

#[test]
fn the_words_for_now_mean_one_moment() {
    let now = NaiveDateTime::parse_from_str("2024-05-06T07:08:09.123456", "%Y-%m-%dT%H:%M:%S%.f").expect("a time");
    let table = TableSchema::new(
        TablePath::bare("t"),
        vec![
            Column::new("d", DataType::Date),
            Column::new("t", DataType::Time),
            Column::new("ts", DataType::Timestamp),
            Column::new("s", DataType::String),
        ],
    );
    let words = [CURRENT_DATE, "current_time", CURRENT_TIMESTAMP, CURRENT_DATE].map(text).to_vec();
    let row = list(words);
    assert!(depends_on_time(&row));
    let rows = Literals::at(now).rows(&table, &[&row]).expect("rows");
    let mut out = String::new();
    show::write_row(&mut out, &rows, &table.columns, 0);
    assert_eq!(out, "2024-05-06, 07:08:09.123456, 2024-05-06T07:08:09.123456, CURRENT_DATE");
    assert!(!depends_on_time(&list(vec![text("2024-05-06")])));
}

#[test]
fn rows_report_every_value_that_does_not_fit() {
    let table = TableSchema::new(
        TablePath::bare("t"),
        vec![Column::new("id", DataType::Int), Column::new("tags", DataType::Array(Box::new(DataType::Int)))],
    );
    let good = object(vec![("id", number("1")), ("tags", list(vec![number("1")]))]);
    let bad = list(vec![text("x"), list(vec![number("1"), text("y")])]);
    let problems = Literals::default().rows(&table, &[&good, &bad, &text("z"), &good]).expect_err("three problems");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("column 'id'"), "{told:?}");
    assert!(told[1].contains("column 'tags[1]'"), "{told:?}");
    assert!(told[2].contains("expected a list of values"), "{told:?}");
    assert_eq!(Literals::default().rows(&table, &[&good, &good]).expect("rows").num_rows(), 2);
}

#[test]
fn values_without_a_column_are_warned_about() {
    let table = TableSchema::new(TablePath::bare("t"), vec![Column::new("name", DataType::String)]);
    let mut literals = Literals::default();
    let rows = [object(vec![("nmae", text("x"))]), list(vec![text("x"), text("y")])];
    let rows = literals.rows(&table, &[&rows[0], &rows[1]]).expect("rows");
    assert_eq!((rows.num_rows(), rows.column(0).null_count()), (2, 1));
    let told: Vec<String> = literals.warnings().iter().map(ToString::to_string).collect();
    assert!(told[0].contains("did you mean 'name'?"), "{told:?}");
    assert!(told[1].contains("2 values for 1 columns"), "{told:?}");
}

#[test]
fn lost_digits_are_counted() {
    let mut literals = Literals::default();
    let decimal = DataType::Decimal { precision: 10, scale: 2 };
    for (data_type, value, lost) in [
        (&decimal, "12.40", 0),
        (&decimal, "12.400", 0),
        (&decimal, "1200e-4", 0),
        (&decimal, "12.405", 1),
        (&decimal, "1e-3", 2),
        (&DataType::Timestamp, "2024-01-01T00:00:00.123456", 2),
        (&DataType::Timestamp, "2024-01-01T00:00:00.1234567", 3),
    ] {
        literals.cell("c", data_type, &text(value)).expect(value);
        assert_eq!(literals.digits_lost(), lost, "{value}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(of(ValueKind::Null)),
        any::<bool>().prop_map(|boolean| of(ValueKind::Boolean(boolean))),
        any::<i64>().prop_map(|integer| number(&integer.to_string())),
        "-?[0-9]{0,40}(\\.[0-9]{0,12})?(e-?[0-9]{1,3})?".prop_map(|digits| number(&digits)),
        "\\PC{0,12}".prop_map(|letters| text(&letters)),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?([0-9:.]{0,12})".prop_map(|date| text(&date)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(list),
            prop::collection::vec(("[a-c]{0,1}|[0-9]{1,2}", inner), 0..4)
                .prop_map(|entries| object(entries.iter().map(|(key, value)| (key.as_str(), value.clone())).collect())),
        ]
    })
}

fn any_type() -> impl Strategy<Value = DataType> {
    let leaf = prop::sample::select(vec![
        DataType::Null,
        DataType::Boolean,
        DataType::TinyInt,
        DataType::Int,
        DataType::Double,
        DataType::Decimal { precision: 12, scale: 3 },
        DataType::String,
        DataType::Bytes,
        DataType::Date,
        DataType::Time,
        DataType::Timestamp,
        DataType::FloatVector,
        DataType::BinaryVector,
        DataType::Float16Vector,
        DataType::SparseFloatVector,
    ]);
    leaf.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| DataType::Array(Box::new(item))),
            (inner.clone(), inner.clone()).prop_map(|(key, value)| DataType::Map(Box::new(key), Box::new(value))),
            prop::collection::vec(inner, 1..3).prop_map(|types| {
                let field =
                    |(index, data_type): (usize, DataType)| Field { name: ["a", "b", "c"][index].into(), data_type };
                DataType::Row(types.into_iter().enumerate().map(field).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_fits_any_type_or_is_refused_with_its_column(data_type in any_type(), value in any_value()) {
        match shown(&data_type, &value) {
            Ok(_) => {}
            Err(error) => prop_assert!(error.column.starts_with('c'), "{}", error),
        }
    }

    #[test]
    fn whole_numbers_and_decimals_come_back_as_written(integer in any::<i64>(), fraction in 0u32..1000) {
        let written = integer.to_string();
        prop_assert_eq!(shown(&DataType::BigInt, &number(&written)).expect("fits"), written.clone());
        let written = format!("{integer}.{fraction:03}");
        let decimal = DataType::Decimal { precision: 38, scale: 3 };
        prop_assert_eq!(shown(&decimal, &text(&written)).expect("fits"), written);
    }

    #[test]
    fn moments_come_back_as_written(days in -719_162i32..2_932_896, nanos in 0i64..86_400_000_000_000) {
        use super::super::text::{write_date, write_time, write_timestamp};
        let (mut date, mut time, mut timestamp) = (String::new(), String::new(), String::new());
        write_date(&mut date, days);
        prop_assert_eq!(shown(&DataType::Date, &text(&date)).expect("fits"), date);
        write_time(&mut time, nanos);
        prop_assert_eq!(shown(&DataType::Time, &text(&time)).expect("fits"), time);
        write_timestamp(&mut timestamp, i64::from(days) * 86_400_000_000 + nanos / 1000);
        prop_assert_eq!(shown(&DataType::Timestamp, &text(&timestamp)).expect("fits"), timestamp);
    }
}
