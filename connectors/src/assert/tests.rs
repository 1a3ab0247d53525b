use egret_runtime::plugin::{JobMode, Registry};

use super::*;
use crate::testing::{self, context, run_job};

const FAKE: &str = r#"FakeSource {
    plugin_output = "fake"
    schema { fields {
        id = bigint, name = string, score = int, price = "decimal(10, 2)", at = timestamp, tags = "array<string>",
        attributes = "map<string, int>", place = { x = double, y = float }, nothing = "null", maybe = string
    } }
    rows = [
        { fields = [1, "A", 100, 9.50, "2024-01-02T03:04:05", [a, b], { k = 1, l = 2 }, [0.5, 3.1], null, null] }
        { fields = [2, "BÄ😀", 200, 12.4, "2024-01-02T03:04:05", [a, b], { l = 2, k = 1 }, [0.5, 3.1], null, "x"] }
    ]
}"#;

fn run(source: &str, rules: &str) -> Result<usize, String> {
    let mut registry = Registry::default();
    crate::register(&mut registry);
    run_job(&registry, &format!("env {{ }}\nsource {{ {source} }}\nsink {{ Assert {{ rules {{ {rules} }} }} }}"))
}

fn field(name: &str, rule: &str) -> Result<usize, String> {
    run(FAKE, &format!("field_rules = [ {{ field_name = {name}, {rule} }} ]"))
}

fn value(name: &str, rule: &str) -> Result<usize, String> {
    field(name, &format!("field_value = [ {{ {rule} }} ]"))
}

#[test]
fn numbers_of_rows_are_bounded() {
    let rows = |rules: &str| run(FAKE, &format!("row_rules = [ {rules} ]"));
    assert_eq!(rows("{ rule_type = MAX_ROW, rule_value = 2 }, { rule_type = MIN_ROW, rule_value = 2 }"), Ok(2));
    let error = rows("{ rule_type = MAX_ROW, rule_value = 1 }").expect_err("too many");
    assert_eq!(error, "row num :2 fail rule: MAX_ROW 1 (table 'fake')");
    let error = rows("{ rule_type = min_row, rule_value = 3 }").expect_err("too few");
    assert_eq!(error, "row num :2 fail rule: MIN_ROW 3 (table 'fake')");
}

#[test]
fn rows_of_all_writers_count_together() {
    let text = "rules { row_rules = [ { rule_type = MIN_ROW, rule_value = 4 } ] }";
    let table = Arc::new(TableSchema::new(
        egret_runtime::row::TablePath::bare("fake"),
        vec![egret_runtime::row::Column::new("a", egret_runtime::row::DataType::Int)],
    ));
    let rows = |count: usize| {
        let column = Arc::new(arrow::array::Int32Array::from(vec![1; count]));
        let rows = arrow::array::RecordBatch::try_new(Arc::clone(table.arrow()), vec![column]).expect("rows");
        Batch::inserts(egret_runtime::row::TableIndex(0), rows)
    };
    for (of_tasks, held) in [(vec![vec![rows(3)], vec![rows(1)]], true), (vec![vec![rows(3)], vec![]], false)] {
        let (object, context) = (testing::options(text), context("sink[0] Assert", 2, JobMode::Batch));
        let options = Options::new(&object, options::OPTIONS);
        let sink = Assert.plan(options, &[Arc::clone(&table)], &context, &mut Problems::default()).expect("a plan");
        assert_eq!(crate::testing::write_all(sink.as_ref(), of_tasks).is_ok(), held);
    }
}

#[test]
fn null_and_not_null_are_told_apart() {
    assert!(value("name", "rule_type = NOT_NULL").is_ok());
    assert!(value("nothing", "rule_type = NULL").is_ok());
    assert!(value("nothing", "rule_type = NOT_NULL").is_err());
    assert!(value("name", "rule_type = NULL").is_err());
    let error = value("maybe", "rule_type = NOT_NULL").expect_err("a null");
    assert!(error.starts_with("row :SeaTunnelRow{tableId=fake, kind=+I, fields=[1, A, 100, "), "{error}");
    assert!(error.ends_with("fail rule: field 'maybe' NOT_NULL (table 'fake', row 1 of task 0)"), "{error}");
    let error = value("maybe", "rule_type = NULL").expect_err("a value");
    assert!(error.ends_with("field 'maybe' NULL (table 'fake', row 2 of task 0)"), "{error}");
}

#[test]
fn numbers_are_bounded() {
    for field in ["id", "score", "price"] {
        assert!(value(field, "rule_type = MIN, rule_value = 1").is_ok(), "{field}");
        assert!(value(field, "rule_type = MAX, rule_value = 200").is_ok(), "{field}");
        assert!(value(field, "rule_type = MAX, rule_value = 1").is_err(), "{field}");
        assert!(value(field, "rule_type = MIN, rule_value = 100.5").is_err(), "{field}");
    }
    let error = value("score", "rule_type = MAX, rule_value = 150").expect_err("too large");
    assert!(error.ends_with("field 'score' MAX 150 (table 'fake', row 2 of task 0)"), "{error}");
    let error = value("name", "rule_type = MAX, rule_value = 150").expect_err("text");
    assert!(error.contains("has type STRING, which MAX cannot judge"), "{error}");
    assert!(value("score", "rule_type = MAX").expect_err("no bound").contains("option 'rule_value': is required"));
}

#[test]
fn lengths_are_counted_in_utf16_units() {
    assert!(value("name", "rule_type = MIN_LENGTH, rule_value = 1").is_ok());
    assert!(value("name", "rule_type = MAX_LENGTH, rule_value = 4").is_ok());
    assert!(value("name", "rule_type = MAX_LENGTH, rule_value = 3").is_err());
    assert!(value("name", "rule_type = MIN_LENGTH, rule_value = 2").is_err());
    assert!(value("maybe", "rule_type = MIN_LENGTH, rule_value = 1").is_err(), "null has no length");
    assert!(value("score", "rule_type = MAX_LENGTH, rule_value = 3").is_ok());
}

#[test]
fn values_are_compared_in_the_type_of_the_column() {
    for (field, rule) in [
        ("at", "equals_to = \"2024-01-02 03:04:05\""),
        ("tags", "equals_to = [a, b]"),
        ("attributes", "equals_to = { k = 1, l = 2 }"),
        ("place", "equals_to = [0.5, 3.1]"),
        ("place", "equals_to = { x = 0.5, y = 3.1 }"),
    ] {
        assert_eq!(value(field, rule), Ok(2), "{field} {rule}");
    }
    for (field, rule) in [
        ("at", "equals_to = \"2024-01-02 03:04:06\""),
        ("tags", "equals_to = [b, a]"),
        ("tags", "equals_to = [a]"),
        ("attributes", "equals_to = { k = 1 }"),
        ("attributes", "equals_to = { k = 1, l = 3 }"),
        ("place", "equals_to = [0.5, 3.2]"),
        ("place", "equals_to = [0.5]"),
        ("maybe", "equals_to = y"),
        ("maybe", "rule_type = NOT_NULL, equals_to = x"),
    ] {
        assert!(value(field, rule).is_err(), "{field} {rule}");
    }
    assert_eq!(value("maybe", "equals_to = x"), Ok(2), "null passes unless NOT_NULL stands beside it");
    let error = value("name", "equals_to = A").expect_err("another");
    assert!(error.contains("fields=[2, BÄ😀, 200, "), "{error}");
    assert!(error.ends_with("field 'name' equals_to A (table 'fake', row 2 of task 0)"), "{error}");
    let error = value("price", "equals_to = 12.405").expect_err("digits");
    assert!(error.contains("no value of field 'price'"), "{error}");
    assert!(value("score", "equals_to = many").expect_err("text").contains("expected INT"));
    assert!(value("nothing", "equals_to = 1").expect_err("null").contains("rule_type = NULL"));
}

#[test]
fn both_parts_of_a_rule_must_hold() {
    assert!(value("tags", "rule_type = NOT_NULL, equals_to = [a, b]").is_ok());
    assert!(value("tags", "rule_type = NOT_NULL, equals_to = [a]").is_err());
    assert!(value("score", "rule_type = MAX, rule_value = 1, equals_to = 100").is_err());
}

#[test]
fn the_first_broken_row_is_told() {
    let rules = "field_rules = [ { field_name = score, field_value = [ { rule_type = MAX, rule_value = 150 } ] }, \
        { field_name = maybe, field_value = [ { rule_type = NOT_NULL } ] } ]";
    assert!(run(FAKE, rules).expect_err("both").contains("field 'maybe' NOT_NULL"));
}

#[test]
fn a_missing_field_fails_the_plan_and_another_type_every_value() {
    let error = value("nmae", "rule_type = NOT_NULL").expect_err("missing");
    assert!(error.contains("table 'fake' has no field 'nmae'") && error.contains("did you mean 'name'?"), "{error}");
    for field_type in ["bigint", "\"BIGINT\"", "long"] {
        assert!(field("id", &format!("field_type = {field_type}")).is_ok(), "{field_type}");
    }
    assert!(field("nothing", "field_type = \"null\"").is_ok());
    assert!(field("nothing", "field_type = null").is_ok());
    assert!(field("tags", "field_type = \"array<string>\"").is_ok());
    assert!(field("place", "field_type = { a = double, b = float }").is_ok(), "names of parts do not matter");
    assert!(field("place", "field_type = \"{x = double, y = float}\"").is_ok());
    let error = field("id", "field_type = int").expect_err("another");
    assert!(
        error.ends_with("field 'id' field_type INT (the column has type BIGINT) (table 'fake', row 1 of task 0)"),
        "{error}"
    );
    assert!(field("nothing", "field_type = int").is_ok(), "null is of every type");
    let error = field("maybe", "field_type = \"null\"").expect_err("a value");
    assert!(error.contains("field 'maybe' field_type NULL") && error.contains("row 2"), "{error}");
    for (name, field_type) in [
        ("place", "{ a = double }"),
        ("place", "{ a = double, b = double }"),
        ("tags", "\"array<int>\""),
        ("attributes", "\"map<string, string>\""),
        ("price", "\"decimal(10, 3)\""),
        ("name", "\"null\""),
        ("name", "strnig"),
    ] {
        assert!(field(name, &format!("field_type = {field_type}")).is_err(), "{name} {field_type}");
    }
}

#[test]
fn a_decimal_may_have_fewer_digits_than_its_column_if_its_values_do() {
    assert!(field("price", "field_type = \"decimal(10, 2)\"").is_ok());
    assert!(field("price", "field_type = \"decimal(20, 2)\"").is_ok());
    assert!(field("price", "field_type = \"decimal(4, 2)\"").is_ok());
    let error = field("price", "field_type = \"decimal(3, 2)\"").expect_err("12.40 has four digits");
    assert!(error.contains("field 'price' field_type Decimal(3, 2)") && error.contains("row 2"), "{error}");
}

#[test]
fn typos_are_warned_about_and_have_no_effect() {
    let object = testing::options("rules { rule_ruls = [ { rule_type = MAX_ROW, rule_value = 0 } ], row_rules = [] }");
    let table = Arc::new(TableSchema::new(egret_runtime::row::TablePath::bare("fake"), vec![]));
    let mut warnings = Problems::default();
    let planned = Assert.plan(
        Options::new(&object, options::OPTIONS),
        &[table],
        &context("sink[0] Assert", 1, JobMode::Batch),
        &mut warnings,
    );
    assert!(planned.is_ok());
    assert!(warnings.to_string().contains("option 'rule_ruls': is not an option here"), "{warnings}");
}

#[test]
fn rules_that_say_nothing_are_refused() {
    assert!(run(FAKE, "").expect_err("empty").contains("rule config is empty"));
}

const TWO_TABLES: &str = r#"FakeSource { plugin_output = "fake", tables_configs = [
    { row.num = 3, schema { table = "test.table1", fields { id = int } } }
    { row.num = 5, schema { table = "test.table2", fields { name = string } } }
] }"#;

#[test]
fn table_names_are_compared_as_a_set() {
    assert_eq!(run(TWO_TABLES, "table-names = [\"test.table2\", \"test.table1\"]"), Ok(8));
    let error = run(TWO_TABLES, "table-names = [\"test.table1\"]").expect_err("one is missing");
    assert!(error.contains("table names: [test.table1, test.table2] is not equal to [test.table1]"), "{error}");
}

#[test]
fn tables_have_rules_of_their_own() {
    let rules = |first: u32, second: u32| {
        format!(
            "tables_configs = [ {{ table_path = \"test.table1\", row_rules = [ {{ rule_type = MIN_ROW, rule_value = \
             {first} }} ] }}, {{ table_path = \"test.table2\", row_rules = [ {{ rule_type = MAX_ROW, rule_value = \
             {second} }} ], field_rules = [ {{ field_name = name, field_value = [ {{ rule_type = NOT_NULL }} ] }} ] }} ]"
        )
    };
    assert_eq!(run(TWO_TABLES, &rules(3, 5)), Ok(8));
    assert!(run(TWO_TABLES, &rules(4, 5)).expect_err("too few").contains("(table 'test.table1')"));
    assert!(run(TWO_TABLES, &rules(3, 4)).expect_err("too many").contains("row num :5 fail rule: MAX_ROW 4"));
    let unknown = "tables_configs = [ { table_path = \"test.table3\" } ]";
    assert!(run(TWO_TABLES, unknown).expect_err("unknown").contains("there is no table 'test.table3' here"));
}

const KEYED: &str = r#"FakeSource { plugin_output = "fake", schema {
    table = "db.t"
    columns = [
        { name = id, type = bigint, nullable = false }
        { name = name, type = string, columnLength = 20, comment = "who", defaultValue = "x" }
    ]
    primaryKey { name = "pk", columnNames = [id] }
    constraintKeys = [ { constraintName = "u", constraintType = UNIQUE_KEY,
        constraintColumns = [ { columnName = "id", sortType = ASC } ] } ]
} }"#;

#[test]
fn tables_are_judged_by_their_keys_and_columns() {
    let catalog = |rule: &str| run(KEYED, &format!("catalog_table_rule {{ {rule} }}"));
    for rule in [
        "primary_key_rule { primary_key_name = pk, primary_key_columns = [id] }",
        "primary_key_rule { primary_key_columns = [id] }",
        "constraint_key_rule = [ { constraint_key_name = u, constraint_key_type = UNIQUE_KEY, constraint_key_columns = \
         [ { constraint_key_column_name = id, constraint_key_sort_type = ASC } ] } ]",
        "column_rule = [ { name = name, type = string, column_length = 20, nullable = true, default_value = x, comment \
         = who }, { name = id, type = bigint, nullable = false } ]",
        "table_identifier_rule { table = \"db.t\" }",
    ] {
        assert_eq!(catalog(rule), Ok(5), "{rule}");
    }
    for (rule, message) in [
        ("primary_key_rule { primary_key_name = other }", "primaryKey: pk is not equal to other"),
        ("primary_key_rule { primary_key_columns = [name] }", "primaryKey columns: [id] is not equal to [name]"),
        (
            "constraint_key_rule = [ { constraint_key_name = u, constraint_key_type = INDEX_KEY, constraint_key_columns \
             = [ { constraint_key_column_name = id } ] } ]",
            "is not equal to Index u (id)",
        ),
        ("column_rule = [ { name = id, type = bigint } ]", "columns: [name] has no rule"),
        ("column_rule = [ { name = id, type = int }, { name = name } ]", "type BIGINT is not equal to INT"),
        ("column_rule = [ { name = id }, { name = name, column_length = 5 } ]", "column_length 20 is not equal to 5"),
        ("column_rule = [ { name = id, nullable = true }, { name = name } ]", "nullable false is not equal to true"),
        ("column_rule = [ { name = ids }, { name = name } ]", "has no field 'ids'"),
        ("table_identifier_rule { table = \"db.other\" }", "tableIdentifier: db.t is not equal to db.other"),
    ] {
        let error = catalog(rule).expect_err(rule);
        assert!(error.contains(message), "{rule}: {error}");
    }
    assert!(
        run(FAKE, "catalog_table_rule { primary_key_rule { primary_key_name = pk } }")
            .expect_err("no key")
            .contains("primaryKey is null")
    );
}

/// Text in which quotes end and begin parts of one value becomes JSON without quotes, which paths read all the same.
#[test]
fn json_that_lost_its_quotes_is_looked_into() {
    let mut registry = Registry::default();
    crate::register(&mut registry);
    egret_runtime::transform::register(&mut registry);
    let job = |expected: &str| {
        let text = r#"
            env { }
            source { FakeSource {
                row.num = 7
                string.template = ["{"data":{"name": "two words","count": "42","day":"'2023-10-29'","at":\"16:12:43.459\"}}"]
                schema { fields { data = string } }
            } }
            transform { JsonPath { columns = [
                { src_field = data, path = "$.data.name", dest_field = name }
                { src_field = data, path = "$.data.count", dest_field = count, dest_type = int }
                { src_field = data, path = "$.data.day", dest_field = day, dest_type = date }
                { src_field = data, path = "$.data.at", dest_field = at, dest_type = time }
            ] } }
            sink { Assert { rules { field_rules = [
                { field_name = name, field_value = [ { rule_type = NOT_NULL, equals_to = "EXPECTED" } ] }
                { field_name = count, field_type = int, field_value = [ { equals_to = 42 } ] }
                { field_name = day, field_type = date, field_value = [ { equals_to = "2023-10-29" } ] }
                { field_name = at, field_type = time, field_value = [ { equals_to = "16:12:43.459" } ] }
            ] } } }"#;
        run_job(&registry, &text.replace("EXPECTED", expected))
    };
    assert_eq!(job("two words"), Ok(7));
    assert!(job("another").expect_err("another").contains("field 'name' equals_to another"));
}

#[test]
fn the_page_shows_the_options_that_are_read() {
    let tables = [
        ("Assert", options::OPTIONS),
        ("rules", options::RULES),
        ("row_rules", options::ROW_RULE),
        ("field_rules", options::FIELD_RULE),
        ("field_value", options::FIELD_VALUE),
        ("tables_configs", options::TABLE),
        ("catalog_table_rule", options::CATALOG_TABLE),
        ("primary_key_rule", options::PRIMARY_KEY),
        ("constraint_key_rule", options::CONSTRAINT_KEY),
        ("constraint_key_columns", options::CONSTRAINT_COLUMN),
        ("column_rule", options::COLUMN),
        ("table_identifier_rule", options::TABLE_IDENTIFIER),
    ];
    crate::testing::check_page("assert.md", &tables);
}
