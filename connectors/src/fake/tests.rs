use std::collections::HashSet;
use std::time::Instant;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int32Type;
use egret_runtime::plugin::{Assignment, Progress};
use egret_runtime::row::Batch;
use futures_lite::future::block_on;

use super::*;
use crate::testing::{self, context, lines, plan_source, read_all, task};

const ALL_TYPES: &str = r#"schema { fields {
    c_null = "null", c_string = string, c_boolean = boolean, c_tinyint = tinyint, c_smallint = smallint, c_int = int,
    c_bigint = bigint, c_float = float, c_double = double, c_decimal = "decimal(30, 8)", c_bytes = bytes, c_date = date,
    c_time = time, c_timestamp = timestamp, c_array = "array<int>", c_map = "map<string, array<int>>",
    c_row = { a = int, b = "map<string, map<string, string>>", c = "null" }, c_fv = float_vector, c_bv = binary_vector,
    c_hv = float16_vector, c_gv = bfloat16_vector, c_sv = sparse_float_vector
} }"#;

fn planned(text: &str, parallelism: usize, mode: JobMode) -> Arc<dyn Source> {
    let context = context("source[0] FakeSource", parallelism, mode);
    plan_source(&FakeSource, &testing::options(text), &context).unwrap_or_else(|problems| panic!("{problems:?}")).0
}

fn batches(text: &str, parallelism: usize) -> (Vec<Arc<TableSchema>>, Vec<Batch>) {
    let source = planned(text, parallelism, JobMode::Batch);
    (source.tables().to_vec(), read_all(source.as_ref(), parallelism).expect("rows"))
}

/// Rows without table and kind.
fn rows(text: &str, parallelism: usize) -> Vec<String> {
    let (tables, batches) = batches(text, parallelism);
    let bare = |line: String| line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
    lines(&tables, &batches).into_iter().map(bare).collect()
}

fn problems(text: &str) -> Vec<String> {
    let context = context("source[0] FakeSource", 2, JobMode::Batch);
    plan_source(&FakeSource, &testing::options(text), &context).err().expect("problems")
}

/// All values of the one int column.
fn ints(batches: &[Batch]) -> Vec<i32> {
    batches.iter().flat_map(|batch| batch.rows.column(0).as_primitive::<Int32Type>().values().to_vec()).collect()
}

#[test]
fn every_type_is_generated_without_nulls_where_it_has_values() {
    let (tables, batches) = batches(&format!("row.num = 50, {ALL_TYPES}"), 1);
    assert_eq!(batches.len(), 1);
    for (column, array) in tables[0].columns.iter().zip(batches[0].rows.columns()) {
        assert_eq!(array.len(), 50);
        let nulls = if &*column.name == "c_null" { 50 } else { 0 };
        assert_eq!(array.logical_null_count(), nulls, "{}", column.name);
    }
    assert!(batches[0].rows.column(14).as_list::<i32>().value(0).len() == 5);
    assert!(batches[0].rows.column(15).as_map().value(0).len() == 5);
}

#[test]
fn rows_are_drawn_for_each_reader_and_every_value_anew() {
    let text = "row.num = 100000, string.length = 32, schema { fields { id = int, name = string } }";
    let (_, batches) = batches(text, 2);
    assert_eq!(batches.iter().map(Batch::len).sum::<usize>(), 200_000);
    let names: HashSet<String> = batches
        .iter()
        .flat_map(|batch| {
            batch.rows.column(1).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(names.len(), 200_000, "no string of 32 letters comes twice");
    assert!(names.iter().all(|name| name.len() == 32 && name.bytes().all(|letter| letter.is_ascii_alphabetic())));
    let ids: HashSet<i32> = ints(&batches).into_iter().collect();
    // Of 200,000 draws out of 2^31 about 9 pairs meet.
    assert!(ids.len() > 199_900, "{}", ids.len());
    assert!(batches.iter().all(|batch| batch.len() <= egret_runtime::row::BATCH_ROWS));
}

#[test]
fn a_split_holds_its_share_and_the_last_one_the_rest() {
    for (split_num, sizes) in [(1, vec![5]), (2, vec![3, 2]), (3, vec![2, 2, 1]), (4, vec![2, 2, 1]), (9, vec![1; 5])] {
        let text = format!("row.num = 5, split.num = {split_num}, schema {{ fields {{ id = int }} }}");
        let (_, batches) = batches(&text, 1);
        assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), sizes, "split.num = {split_num}");
    }
    assert!(rows("row.num = 0, schema { fields { id = int } }", 3).is_empty());
}

#[test]
fn many_splits_cost_no_memory_before_they_are_read() {
    let source =
        planned("row.num = 1000000000000, split.num = 1000000000, schema { fields { id = int } }", 2, JobMode::Batch);
    let mut splits = source.enumerate(2).expect("splits");
    for _ in 0..3 {
        let Assignment::Splits(some) = splits.assign(1) else { panic!("splits") };
        assert!(some.len() <= 64);
    }
}

#[test]
fn two_splits_of_a_reader_begin_the_interval_apart() {
    let text = "row.num = 4, split.num = 2, split.read-interval = 40, schema { fields { id = int } }";
    let source = planned(text, 1, JobMode::Batch);
    let mut splits = source.enumerate(1).expect("splits");
    let mut reader = source.reader(&task(0, 1)).expect("a reader");
    let Assignment::Splits(both) = splits.assign(0) else { panic!("splits") };
    reader.add_splits(both).expect("splits");
    let begun = Instant::now();
    assert!(matches!(block_on(reader.next()).expect("rows"), Progress::Rows(_)));
    let Progress::Idle(until) = block_on(reader.next()).expect("a pause") else { panic!("a pause") };
    assert!(until >= begun + Duration::from_millis(40) && until <= Instant::now() + Duration::from_millis(40));
    while Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(matches!(block_on(reader.next()).expect("rows"), Progress::Rows(_)));
    assert!(matches!(block_on(reader.next()).expect("the end"), Progress::NeedSplits));
}

#[test]
fn literal_rows_come_once_for_each_split_of_each_reader() {
    let text = r#"
        row.num = 4, split.num = 2
        schema { fields { id = bigint, name = string } }
        rows = [
            { fields = [1, "A"] }
            { kind = DELETE, fields { name = "B", id = "2" } }
        ]"#;
    let (tables, batches) = batches(text, 2);
    let all = lines(&tables, &batches);
    assert_eq!(all.len(), 2 * 2 * 2);
    assert_eq!(all[..2], ["fake +I 1, A", "fake -D 2, B"]);
    assert!(rows("rows = [], schema { fields { id = int } }", 1).is_empty());
}

#[test]
fn literal_rows_are_checked_together() {
    let told = problems(
        r#"
        schema { fields { id = int, name = string } }
        rows = [
            { kind = INSRT, fields = [1, "A"] }
            { fields = ["x", "A"] }
            { kind = DELETE }
        ]"#,
    );
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().any(|problem| problem.contains("did you mean 'INSERT'?")), "{told:?}");
    assert!(told.iter().any(|problem| problem.contains("column 'id': expected INT")), "{told:?}");
    assert!(told.iter().any(|problem| problem.contains("option 'fields': is required")), "{told:?}");
}

fn today() -> String {
    chrono::Local::now().format("%Y-%m-%d").to_string()
}

#[test]
fn words_for_now_are_read_when_rows_are_sent() {
    let before = today();
    let told =
        rows("schema { fields { d = date, s = string } }, rows = [ { fields = [CURRENT_DATE, CURRENT_DATE] } ]", 1);
    // Midnight may fall between.
    assert!([before, today()].iter().any(|today| told == [format!("{today}, CURRENT_DATE")]), "{told:?}");
}

#[test]
fn bounds_templates_and_sizes_are_kept() {
    let text = r#"
        row.num = 300
        string.template = [red, green]
        tinyint.min = 1, tinyint.max = 9
        smallint.min = -3, smallint.max = -1
        int.template = [7, 8], int.fake.mode = TEMPLATE
        bigint.min = 30, bigint.max = 30
        float.min = 40.0, float.max = 43.0
        double.template = [1.5, 2.5]
        array.size = 3, map.size = 2, bytes.length = 7
        date.year.template = [2023, 2024], date.month.template = [2], date.day.template = [29, 30]
        time.hour.template = [1], time.minute.template = [2], time.second.template = [3]
        schema { fields {
            s = string, t = tinyint, m = smallint, i = int, b = bigint, f = float, d = double, a = "array<int>", y = bytes,
            at = timestamp, day = date, time = time, map = "map<string, int>"
        } }"#;
    let (_, batches) = batches(text, 1);
    let rows = &batches[0].rows;
    for row in rows.column(0).as_string::<i32>() {
        assert!(matches!(row, Some("red" | "green")));
    }
    assert!(rows.column(1).as_primitive::<arrow::datatypes::Int8Type>().values().iter().all(|n| (1..9).contains(n)));
    assert!(rows.column(2).as_primitive::<arrow::datatypes::Int16Type>().values().iter().all(|n| (-3..-1).contains(n)));
    assert!(rows.column(3).as_primitive::<Int32Type>().values().iter().all(|n| [7, 8].contains(n)));
    assert!(rows.column(4).as_primitive::<arrow::datatypes::Int64Type>().values().iter().all(|n| *n == 30));
    let floats = rows.column(5).as_primitive::<arrow::datatypes::Float32Type>();
    assert!(floats.values().iter().all(|n| (40.0..43.0).contains(n)));
    let doubles = rows.column(6).as_primitive::<arrow::datatypes::Float64Type>();
    assert!(doubles.values().iter().all(|n| [1.5, 2.5].contains(n)));
    assert!((0..300).all(|row| rows.column(7).as_list::<i32>().value(row).len() == 3));
    assert!(rows.column(8).as_binary::<i32>().iter().flatten().all(|bytes| bytes.len() == 7));
    // In map<string, int> the templates make keys meet: the map then has one entry.
    let entries: HashSet<usize> = (0..300).map(|row| rows.column(12).as_map().value(row).len()).collect();
    assert_eq!(entries, HashSet::from([1, 2]));
    // Only 2024 has a 29th of February.
    let mut shown = String::new();
    egret_runtime::row::show::write_value(
        &mut shown,
        rows.column(9).as_ref(),
        &egret_runtime::row::DataType::Timestamp,
        7,
    );
    assert_eq!(shown, "2024-02-29T01:02:03");
}

#[test]
fn templates_go_before_ranges_whatever_the_mode_and_a_mode_demands_its_template() {
    for data_type in ["string", "tinyint", "smallint", "int", "bigint", "float", "double"] {
        let schema = format!("schema {{ fields {{ c = {data_type} }} }}");
        for mode in ["", "RANGE", "template"] {
            let mode = if mode.is_empty() { String::new() } else { format!("{data_type}.fake.mode = {mode}, ") };
            let text = format!("row.num = 50, {mode}{data_type}.template = [11, 12], {schema}");
            let drawn: HashSet<String> = rows(&text, 1).into_iter().collect();
            let point = if ["float", "double"].contains(&data_type) { ".0" } else { "" };
            assert_eq!(drawn, HashSet::from([format!("11{point}"), format!("12{point}")]), "{text}");
        }
        let told = problems(&format!("{data_type}.fake.mode = TEMPLATE, {schema}"));
        assert!(told[0].contains(&format!("TEMPLATE demands '{data_type}.template'")), "{told:?}");
    }
}

#[test]
fn every_range_is_kept_from_its_lower_to_below_its_upper_bound() {
    for (data_type, min, max) in [
        ("tinyint", -5.0, 5.0),
        ("smallint", 300.0, 310.0),
        ("int", -70_000.0, -69_990.0),
        ("bigint", 5e9, 5e9 + 3.0),
        ("float", 0.5, 1.5),
        ("double", -2.5, -1.5),
    ] {
        let text = format!(
            "row.num = 200, {data_type}.min = {min}, {data_type}.max = {max}, schema {{ fields {{ c = {data_type} }} }}"
        );
        for number in rows(&text, 1) {
            let number: f64 = number.parse().expect("a number");
            assert!((min..max).contains(&number), "{text}: {number}");
        }
    }
}

#[test]
fn dates_are_of_this_year_and_exist() {
    let before = today();
    let told = rows("row.num = 500, schema { fields { d = date } }", 1);
    let years = [&before[..5], &today()[..5]];
    assert!(told.iter().all(|date| years.iter().any(|year| date.starts_with(year))));
    let months: HashSet<&str> = told.iter().map(|date| &date[5..7]).collect();
    assert_eq!(months.len(), 12);
}

#[test]
fn defaults_are_repeated_and_lengths_and_scales_of_columns_are_kept() {
    let text = r#"
        row.num = 20
        schema { columns = [
            { name = a, type = string, defaultValue = "x" }
            { name = b, type = "array<int>", defaultValue = 7 }
            { name = c, type = string, columnLength = 3 }
            { name = d, type = double, columnScale = 1 }
            { name = e, type = bytes, defaultValue = "AB" }
            { name = f, type = float_vector, columnScale = 2 }
            { name = g, type = date, defaultValue = CURRENT_DATE }
        ] }
        double.max = 10"#;
    let before = today();
    for row in rows(text, 1) {
        let cells: Vec<&str> = row.splitn(2, "], ").collect();
        assert_eq!(cells[0], "x, [7, 7, 7, 7, 7");
        let cells: Vec<&str> = cells[1].splitn(3, ", ").collect();
        assert_eq!(cells[0].len(), 3, "{row}");
        assert_eq!(cells[1].split('.').nth(1).map(str::len), Some(1), "{row}");
        assert!(cells[2].starts_with("[65, 66], ["), "{row}");
        let floats = cells[2].split(['[', ']']).nth(3).expect("a vector");
        assert_eq!(floats.split(", ").count(), 2, "{row}");
        assert!(row.ends_with(&before) || row.ends_with(&today()), "{row}");
    }
}

#[test]
fn vectors_have_their_dimensions_and_bounds() {
    let text = "row.num = 10, vector.dimension = 6, binary.vector.dimension = 24, vector.float.min = 1, \
        vector.float.max = 2, schema { fields { f = float_vector, b = binary_vector, h = float16_vector, \
        g = bfloat16_vector, s = sparse_float_vector } }";
    let (_, batches) = batches(text, 1);
    let rows = &batches[0].rows;
    for row in 0..10 {
        let floats = rows.column(0).as_list::<i32>().value(row);
        assert!(floats.as_primitive::<arrow::datatypes::Float32Type>().values().iter().all(|n| (1.0..2.0).contains(n)));
        assert_eq!(floats.len(), 6);
        assert_eq!(rows.column(1).as_binary::<i32>().value(row).len(), 3);
        assert_eq!(rows.column(2).as_binary::<i32>().value(row).len(), 12);
        assert_eq!(rows.column(3).as_binary::<i32>().value(row).len(), 12);
        assert_eq!(rows.column(4).as_map().value(row).len(), 6);
    }
}

#[test]
fn primary_keys_are_consecutive_over_all_readers_and_splits() {
    let text = "row.num = 10000, split.num = 3, auto.increment.enabled = true, auto.increment.start = 100, \
        schema { fields { id = int, name = string }, primaryKey { name = pk, columnNames = [id] } }";
    let (_, batches) = batches(text, 3);
    let mut ids = ints(&batches);
    ids.sort_unstable();
    assert_eq!(ids, (100..30_100).collect::<Vec<_>>());
    let told = problems(
        "row.num = 100, auto.increment.enabled = true, schema { fields { id = tinyint }, primaryKey { columnNames = [id] } }",
    );
    assert!(told[0].contains("numbers from 1 to 200 do not fit"), "{told:?}");
    let context = context("source[0] FakeSource", 1, JobMode::Batch);
    let keyless = testing::options("auto.increment.enabled = true, schema { fields { id = int } }");
    let (_, warnings) = plan_source(&FakeSource, &keyless, &context).expect("a plan");
    assert!(warnings[0].contains("no primary key"), "{warnings:?}");
}

#[test]
fn several_tables_have_their_own_options_and_paths() {
    let text = r#"tables_configs = [
        { row.num = 3, schema { table = "test.table1", fields { id = int } } }
        { row.num = 2, string.length = 1, schema { table = "test.table2", fields { name = string } } }
    ]"#;
    let (tables, batches) = batches(text, 1);
    let all = lines(&tables, &batches);
    assert_eq!(all.iter().filter(|line| line.starts_with("test.table1 +I ")).count(), 3);
    assert_eq!(all.iter().filter(|line| line.starts_with("test.table2 +I ") && line.len() == 16).count(), 2);
}

#[test]
fn the_table_is_named_by_schema_then_output_then_default() {
    let path = |text: &str, output: Option<&str>| {
        let context =
            PlanContext { output: output.map(Arc::from), ..context("source[0] FakeSource", 1, JobMode::Batch) };
        let (source, _) = plan_source(&FakeSource, &testing::options(text), &context).expect("a plan");
        source.tables()[0].path.to_string()
    };
    let fields = "fields { id = int }";
    assert_eq!(path(&format!("schema {{ table = \"a.b\", {fields} }}"), Some("fake")), "a.b");
    assert_eq!(path(&format!("schema {{ {fields} }}"), Some("fake")), "fake");
    assert_eq!(path(&format!("schema {{ {fields} }}"), None), "default.default.default");
}

#[test]
fn wrong_options_are_told_together() {
    let told = problems(
        r#"
        int.min = 5, int.max = 3
        tinyint.template = [1, 300]
        string.fake.mode = TEMPLATE
        binary.vector.dimension = 12
        date.month.template = [13]
        date.day.template = [31]
        float.max = 1e300
        schema { fields { id = int, name = strin } }"#,
    );
    for expected in [
        "option 'int.min': 5 is above 'int.max' = 3",
        "option 'tinyint.template': 300 is not a tinyint",
        "option 'string.fake.mode': TEMPLATE demands 'string.template'",
        "option 'binary.vector.dimension': 12 is not a multiple of 8",
        "option 'date.month.template': 13 is out of range",
        "option 'float.max'",
        "unsupported data type 'strin'",
    ] {
        assert!(told.iter().any(|problem| problem.contains(expected)), "{expected}: {told:?}");
    }
    let february = problems("date.month.template = [2], date.day.template = [30], schema { fields { d = date } }");
    assert!(february[0].contains("none of the months"), "{february:?}");
    assert!(problems("row.num = 5")[0].contains("option 'schema': is required"));
    assert!(problems("schema { }")[0].contains("has no columns"));
    let both = problems("schema { fields { a = int } }, tables_configs = [ { schema { fields { a = int } } } ]");
    assert!(both[0].contains("excludes 'tables_configs'"), "{both:?}");
    let twins = problems("tables_configs = [ { schema { fields { a = int } } }, { schema { fields { a = int } } } ]");
    assert!(twins[0].contains("two tables are named 'fake'"), "{twins:?}");
    let huge = problems("array.size = 60000000, schema { fields { a = \"array<bigint>\" } }");
    assert!(huge[0].contains("a row would take about"), "{huge:?}");
}

#[test]
fn a_restored_source_goes_on_where_it_stood() {
    let text = "row.num = 10000, split.num = 4, split.read-interval = 0, auto.increment.enabled = true, \
        schema { fields { id = int }, primaryKey { columnNames = [id] } }";
    for readers_after in [1, 2, 3] {
        let source = planned(text, 2, JobMode::Batch);
        let mut splits = source.enumerate(2).expect("splits");
        let mut ids = Vec::new();
        let mut left = vec![Vec::new(); readers_after];
        for index in 0..2 {
            let mut reader = source.reader(&task(index, 2)).expect("a reader");
            if index == 0 {
                let Assignment::Splits(some) = splits.assign(0) else { panic!("splits") };
                reader.add_splits(some).expect("splits");
                for _ in 0..2 {
                    let Progress::Rows(batch) = block_on(reader.next()).expect("rows") else { panic!("rows") };
                    ids.extend(ints(&[batch]));
                }
            }
            left[index % readers_after].extend(reader.snapshot().expect("splits"));
        }
        let snapshot = splits.snapshot();
        let mut restored = source.enumerate(readers_after).expect("splits");
        restored.restore_snapshot(&snapshot).expect("a snapshot");
        restored.restore(left);
        // A checkpoint taken before anything is handed out again keeps what came back.
        let again = restored.snapshot();
        let mut restored = source.enumerate(readers_after).expect("splits");
        restored.restore_snapshot(&again).expect("a snapshot");
        for index in 0..readers_after {
            let mut reader = source.reader(&task(index, readers_after)).expect("a reader");
            loop {
                match block_on(reader.next()).expect("rows") {
                    Progress::Rows(batch) => ids.extend(ints(&[batch])),
                    Progress::NeedSplits => match restored.assign(index) {
                        Assignment::Splits(some) => reader.add_splits(some).expect("splits"),
                        _ => break,
                    },
                    other => panic!("{other:?}"),
                }
            }
        }
        ids.sort_unstable();
        assert_eq!(ids, (1..20_001).collect::<Vec<_>>(), "{readers_after} readers");
    }
}

#[test]
fn splits_of_another_source_are_refused() {
    let source = planned("schema { fields { id = int } }", 1, JobMode::Batch);
    let mut reader = source.reader(&task(0, 1)).expect("a reader");
    let foreign = egret_runtime::plugin::Split { id: "x".into(), state: bytes::Bytes::from_static(b"other") };
    assert!(!reader.add_splits(vec![foreign]).expect_err("foreign").is_retryable());
    let mut splits = source.enumerate(1).expect("splits");
    assert!(splits.restore_snapshot(b"other").is_err());
}

#[test]
fn a_streaming_source_sends_its_rows_once_and_then_stays_idle() {
    let source = planned("row.num = 3, schema { fields { id = int } }", 1, JobMode::Streaming);
    let mut splits = source.enumerate(1).expect("splits");
    assert!(matches!(splits.assign(0), Assignment::Splits(_)));
    for _ in 0..2 {
        let Assignment::Wait(until) = splits.assign(0) else { panic!("a pause without an end") };
        assert!(until > Instant::now() + Duration::from_secs(60));
    }
}

#[test]
fn wide_rows_make_small_batches() {
    let (_, batches) = batches("row.num = 40, string.length = 300000, schema { fields { s = string } }", 1);
    assert!(batches.len() > 10);
    assert!(batches.iter().all(|batch| batch.memory_bytes() < 2 * egret_runtime::row::BATCH_BYTES));
}

#[test]
fn the_page_shows_the_options_that_are_read() {
    crate::testing::check_page("fake.md", &[("FakeSource", OPTIONS), ("rows", options::ROW_OPTIONS)]);
}
