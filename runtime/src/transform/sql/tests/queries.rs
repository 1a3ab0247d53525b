//! Whole queries, and the transform as a plugin.

use std::sync::Arc;

use arrow::array::UInt8Array;

use super::super::{SqlFactory, parse};
use super::{now, plan, rows, run, table};
use crate::config::{Object, Options, Position, Problems, Value, ValueKind};
use crate::plugin::{JobMode, PlanContext, Plugin, TransformFactory};
use crate::row::{Batch, TableIndex};

#[test]
fn columns_are_named_by_alias_name_or_text() {
    let names = |query: &str| {
        let plan = plan(query).expect(query);
        plan.query.table.columns.iter().map(|column| column.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        names("SELECT i AS x, s, `two words`, r.inner.n, m.k, i+1, upper(s), s `y z`, 'a' FROM t"),
        ["x", "s", "two words", "n", "k", "i + 1", "upper(s)", "y z", "'a'"]
    );
    assert_eq!(names("SELECT i one, t.* FROM t").len(), 1 + table().columns.len());
    assert_eq!(names("SELECT *, i AS again FROM t").last().map(String::as_str), Some("again"));
}

#[test]
fn words_that_mean_nothing_here_may_be_names() {
    let words = "date time timestamp year month day hour minute second type key name user comment index position level \
                 number owner password precision role row rows schema session size source state status system text \
                 title token version zone url id count sum min max avg char data format replace insert truncate \
                 length mod floor ceil extract substring array map struct local language object percent \
                 temp kind first last action begin commit column database domain enable end_time file function hash \
                 lower upper ascii log sign pi left right value start";
    let mut refused = Vec::new();
    for word in words.split_whitespace() {
        for query in [
            format!("SELECT {word} FROM t"),
            format!("SELECT id, {word}, name FROM t WHERE {word} = 1"),
            format!("SELECT id AS {word} FROM t"),
            format!("SELECT id {word}, name FROM t"),
            format!("SELECT upper({word}) FROM t"),
        ] {
            if let Err(error) = parse::parse(&query) {
                refused.push(format!("{query}: {error}"));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn columns_that_are_only_passed_on_are_not_copied() {
    let rows = rows();
    let (_, batch) = run("SELECT s, i AS number FROM t", rows.clone()).expect("query");
    for (place, source) in [(0, 0), (1, 4)] {
        assert!(Arc::ptr_eq(batch.rows.column(place), rows.column(source)));
    }
}

#[test]
fn where_keeps_the_rows_for_which_it_is_true_and_their_kinds() {
    let plan = plan("SELECT i FROM t WHERE i < 0 OR s IS NULL").expect("query");
    let kinds = Some(UInt8Array::from(vec![0, 1, 3]));
    let batch = Batch { table: TableIndex(4), rows: rows(), kinds };
    let result = plan.query.run(batch, &now(), 0).expect("rows");
    assert_eq!((result.len(), result.table), (2, TableIndex(4)));
    assert_eq!(result.kinds.map(|kinds| kinds.values().to_vec()), Some(vec![1, 3]));
    let (_, none) = run("SELECT 1 AS one, upper(s) FROM t WHERE false", rows()).expect("query");
    assert_eq!((none.len(), none.rows.num_columns()), (0, 2));
}

#[test]
fn errors_name_the_row_of_the_input() {
    let error = run("SELECT CAST(s AS INT) FROM t WHERE s = 'größe'", rows()).expect_err("cast");
    assert!(error.contains("row 3: cannot cast 'größe' to int"), "{error}");
    let error = run("SELECT i FROM t WHERE CASE WHEN i < 0 THEN 1 / (i + 3) END = 1", rows()).expect_err("division");
    assert!(error.contains("row 3: division by zero (in WHERE"), "{error}");
}

#[test]
fn empty_batches_pass_through() {
    let query = "SELECT *, upper(s), i + 1, CASE WHEN b THEN 1 ELSE 2 END, COALESCE(s, 'x'), NOW() FROM t WHERE i > 1";
    let (_, batch) = run(query, rows().slice(0, 0)).expect("query");
    assert_eq!(batch.len(), 0);
}

#[test]
fn long_chains_are_bound_or_refused_without_overflowing_the_stack() {
    assert!(plan(&format!("SELECT {}i FROM t", "i + ".repeat(100))).is_ok());
    assert!(plan(&format!("SELECT {}i FROM t", "i + ".repeat(400))).err().expect("deep").contains("levels"));
    assert!(plan(&format!("SELECT {}s FROM t", "s || ".repeat(499))).is_ok());
    let long = format!("SELECT i FROM t WHERE {}i = 1", "i > 1 OR ".repeat(240));
    assert_eq!(run(&long, rows()).expect("query").1.len(), 1);
    assert!(
        plan(&format!("SELECT i{} FROM t", " IS NULL".repeat(200))).err().expect("deep").contains("nested too deeply")
    );
    assert!(plan(&format!("SELECT {}s{} FROM t", "upper(".repeat(40), ")".repeat(40))).is_ok());
    for (open, close) in [("(", ")"), ("upper(", ")"), ("CASE WHEN ", " THEN true END"), ("NOT ", ""), ("-", "")] {
        let query = format!("SELECT {}b{} FROM t", open.repeat(300), close.repeat(300));
        let _ = plan(&query);
    }
}

fn position() -> Position {
    Position { file: "job.conf".into(), line: 3, column: 9 }
}

fn planned(entries: &[(&str, &str)]) -> Result<Problems, Problems> {
    let mut object = Object::default();
    for (key, text) in entries {
        object.insert(key, position(), Value { kind: ValueKind::Text((*text).into()), position: position() });
    }
    let context = PlanContext {
        job_id: 0,
        job_name: "job".into(),
        mode: JobMode::Batch,
        parallelism: 1,
        block: "transform[0] Sql".into(),
        plugin_name: "Sql".into(),
        position: position(),
        output: None,
        restored: false,
    };
    let mut warnings = Problems::default();
    SqlFactory.plan(Options::new(&object, SqlFactory.options()), &table(), &context, &mut warnings).map(|_| warnings)
}

#[test]
fn all_mistakes_of_a_query_are_told_with_block_option_and_place() {
    let problems = planned(&[("query", "SELECT nope, uper(s), i FROM t WHERE s > 1")]).expect_err("mistakes");
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(
        shown[0].starts_with("error: job.conf:3:9: transform[0] Sql, option 'query': unknown column 'nope'"),
        "{}",
        shown[0]
    );
}

#[test]
fn another_table_and_a_repeated_name_are_warned_about() {
    let warned = |query: &str| {
        let problems = planned(&[("query", query), ("plugin_input", "fake")]).expect("plan");
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(warned("SELECT i FROM fake").is_empty());
    assert!(warned("SELECT i FROM t").is_empty());
    assert!(warned("SELECT i FROM dual").is_empty());
    assert!(warned("SELECT i FROM other")[0].contains("the query reads 'other', but the input is 'fake'"));
    assert!(warned("SELECT *, i FROM fake")[0].contains("two columns are named 'i'"));
}
