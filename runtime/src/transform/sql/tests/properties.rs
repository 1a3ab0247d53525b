//! Batch evaluation against row-by-row evaluation, for random expressions over random batches.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat;
use proptest::prelude::*;

use super::super::functions;
use super::{plan, rows, run, texts};

/// Expressions of a type over the table, some levels deep.
fn expressions(depth: u32) -> BoxedStrategy<String> {
    let number = prop_oneof![
        Just("i".to_owned()),
        Just("l".into()),
        Just("ti".into()),
        Just("d".into()),
        Just("f".into()),
        Just("dec".into()),
        Just("r.inner.n".into()),
        Just("NULL".into()),
        (-20i32..20).prop_map(|number| number.to_string()),
        (-20i32..20).prop_map(|number| format!("{number}.5")),
    ];
    let text = prop_oneof![
        Just("s".to_owned()),
        Just("r.a".into()),
        Just("m.k".into()),
        "'[a-zäß0-9]{0,3}'",
        Just("CAST(i AS STRING)".into()),
    ];
    let moment = prop_oneof![Just("dt".to_owned()), Just("ts".into()), Just("CURRENT_TIMESTAMP".into())];
    let leaf = prop_oneof![number, text, moment];
    leaf.prop_recursive(depth, 32, 3, |inner| {
        let one = inner.clone();
        let two = (inner.clone(), inner.clone());
        let three = (inner.clone(), inner.clone(), inner);
        prop_oneof![
            (two.clone(), "[-+*/%]").prop_map(|((left, right), op)| format!("({left} {op} {right})")),
            (two.clone(), "<|>|=|<>|<=|>=").prop_map(|((left, right), op)| format!("({left} {op} {right})")),
            two.clone().prop_map(|(left, right)| format!("({left} || {right})")),
            two.clone().prop_map(|(left, right)| format!("COALESCE({left}, {right})")),
            two.clone().prop_map(|(left, right)| format!("NULLIF({left}, {right})")),
            two.clone().prop_map(|(left, right)| format!("({left} IS NULL AND {right} IS NOT NULL)")),
            two.clone().prop_map(|(left, right)| format!("({left} > {right} OR NOT {right} IN ({left}, 3))")),
            three.clone().prop_map(|(one, two, three)| format!("CASE WHEN {one} > 1 THEN {two} ELSE {three} END")),
            three.prop_map(|(one, two, three)| format!("CONCAT({one}, {two}, {three})")),
            one.clone().prop_map(|value| format!("UPPER({value})")),
            one.clone().prop_map(|value| format!("SUBSTRING({value}, -3, 2)")),
            one.clone().prop_map(|value| format!("LENGTH({value})")),
            one.clone().prop_map(|value| format!("ROUND({value}, 1)")),
            one.clone().prop_map(|value| format!("ABS({value})")),
            one.clone().prop_map(|value| format!("TRY_CAST({value} AS INT)")),
            one.clone().prop_map(|value| format!("CAST({value} AS DECIMAL(20, 3))")),
            one.clone().prop_map(|value| format!("DATEADD({value}, 1, 'MONTH')")),
            one.clone().prop_map(|value| format!("YEAR({value})")),
            one.clone().prop_map(|value| format!("({value} LIKE '%l%')")),
            one.prop_map(|value| format!("REGEXP_REPLACE({value}, '[a-m]', '<$0>')")),
        ]
    })
    .boxed()
}

/// Calls of every function of the registry, with as many arguments as it takes.
fn calls() -> impl Strategy<Value = String> {
    // What differs from call to call cannot be compared.
    let names: Vec<&str> = functions::names().filter(|name| !["UUID", "RAND", "RANDOM"].contains(name)).collect();
    let leaf = prop::sample::select(vec![
        "s",
        "b",
        "ti",
        "si",
        "i",
        "l",
        "f",
        "d",
        "dec",
        "bin",
        "dt",
        "tm",
        "ts",
        "n",
        "r.a",
        "r.inner.n",
        "m['k']",
        "arr[0]",
        "NULL",
        "0",
        "-1",
        "2",
        "3000000000",
        "1.5",
        "'l'",
        "''",
        "'2021-04-08'",
        "'yyyy-MM-dd'",
        "'HH:mm:ss'",
        "'MONTH'",
        "'DAY'",
        "'[a-m](.)?'",
        "'$1'",
        "'i'",
        "'UTC+8'",
        "TRUE",
        "i > 1",
    ]);
    (prop::sample::select(names), prop::collection::vec(leaf, 6), 0usize..4).prop_map(|(name, args, more)| {
        let known = functions::find(name).expect("a function");
        let count = known.min.saturating_add(more).min(known.max).min(args.len());
        match name {
            "EXTRACT" => format!("EXTRACT(MICROSECONDS FROM {})", args[0]),
            "POSITION" => format!("POSITION({} IN {})", args[0], args[1]),
            _ if known.max == 0 && name.starts_with("CURRENT_") => name.to_owned(),
            _ => format!("{name}({})", args[..count].join(", ")),
        }
    })
}

/// A batch of rows drawn from the fixture's, in any order.
fn batches() -> impl Strategy<Value = RecordBatch> {
    proptest::collection::vec(0u32..3, 0..12).prop_map(|picks| {
        let picks = arrow::array::UInt32Array::from(picks);
        arrow::compute::take_record_batch(&rows(), &picks).expect("rows")
    })
}

/// Checks that a query gives for a batch what it gives for its rows one by one, errors too.
fn compare(query: &str, batch: &RecordBatch) -> Result<(), TestCaseError> {
    if plan(query).is_err() {
        return Ok(());
    }
    let whole = run(query, batch.clone());
    let single = (0..batch.num_rows()).map(|row| run(query, batch.slice(row, 1))).collect::<Result<Vec<_>, _>>();
    match (whole, single) {
        (Ok((types, whole)), Ok(single)) => {
            let columns: Vec<ArrayRef> = single.iter().map(|(_, one)| one.rows.column(0).clone()).collect();
            let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
            let expected =
                if columns.is_empty() { Vec::new() } else { texts(&types[0], &concat(&columns).expect("concat")) };
            prop_assert_eq!(texts(&types[0], whole.rows.column(0)), expected, "{}", query);
        }
        (Err(_), Err(_)) => {}
        (whole, single) => prop_assert!(false, "{}: {:?} {:?}", query, whole.is_ok(), single.err()),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_function_gives_for_a_batch_what_it_gives_for_its_rows(call in calls(), batch in batches(), offset in 0usize..4) {
        let batch = batch.slice(offset.min(batch.num_rows()), batch.num_rows() - offset.min(batch.num_rows()));
        compare(&format!("SELECT {call} AS x FROM t"), &batch)?;
        compare(&format!("SELECT i AS x FROM t WHERE {call} > s OR {call} IS NULL"), &batch)?;
    }
}

proptest! {
    #[test]
    fn a_batch_gives_what_its_rows_give_one_by_one(
        expression in expressions(3), condition in expressions(2), batch in batches(), offset in 0usize..4,
    ) {
        for query in [
            format!("SELECT {expression} AS x FROM t"),
            format!("SELECT {expression} AS x FROM t WHERE {condition} > 1"),
        ] {
            // A slice has offsets that a fresh batch has not.
            let batch = batch.slice(offset.min(batch.num_rows()), batch.num_rows() - offset.min(batch.num_rows()));
            compare(&query, &batch)?;
        }
    }

    #[test]
    fn no_query_makes_planning_panic(text in "[a-z(),.'*+ 0-9<>=|%-]{0,60}") {
        let _ = plan(&format!("SELECT {text} FROM t"));
        let _ = plan(&format!("SELECT i FROM t WHERE {text}"));
    }
}
