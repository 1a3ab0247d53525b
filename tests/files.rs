//! Files in and out: LocalFile through the whole program (contract D.4).

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use support::node::Node;
use support::program::run_config;
use support::{Folder, assert_holds, eventually};

const FILES: usize = 4;
const ROWS_PER_FILE: usize = 500;

/// A row as the query below makes it.
#[derive(Clone, Debug, PartialEq)]
struct Drink {
    name: Option<String>,
    twice: f64,
    class: String,
}

const NAMES: [&str; 4] = ["espresso", "café, au lait", "\"lungo\"", ""];

/// Writes some csv files, with a header each; gives what the query makes of them.
fn write_input(folder: &Path) -> BTreeMap<i64, Drink> {
    let mut expected = BTreeMap::new();
    for file in 0..FILES {
        let mut text = String::from("id,name,price\n");
        for row in 0..ROWS_PER_FILE {
            let id = file * ROWS_PER_FILE + row;
            let name = NAMES[id % NAMES.len()];
            let price = id as f64 / 4.0;
            let quoted = if name.is_empty() { String::new() } else { format!("\"{}\"", name.replace('"', "\"\"")) };
            writeln!(text, "{id},{quoted},{price}").expect("a string");
            if !id.is_multiple_of(3) {
                let class = if price > 100.0 { "dear" } else { "fair" };
                let name = (!name.is_empty()).then(|| name.to_uppercase());
                expected.insert(id as i64, Drink { name, twice: price * 2.0, class: class.to_owned() });
            }
        }
        std::fs::write(folder.join(format!("drinks-{file}.csv")), text).expect("written");
    }
    expected
}

fn config(input: &Path, parquet: &Path, json: &Path) -> String {
    format!(
        r#"
        env {{ job.mode = "BATCH", parallelism = 2 }}
        source {{ LocalFile {{ plugin_output = "drinks", path = "{}", file_format_type = "csv", skip_header_row_number = 1
          schema {{ fields {{ id = "bigint", name = "string", price = "double" }} }} }} }}
        transform {{ Sql {{ plugin_input = "drinks", plugin_output = "some"
          query = "select id, upper(name) as name, price * 2 as twice, case when price > 100 then 'dear' else 'fair' end as class from drinks where mod(id, 3) <> 0" }} }}
        sink {{
          LocalFile {{ plugin_input = "some", path = "{}", file_format_type = "parquet", compress_codec = "zstd" }}
          LocalFile {{ plugin_input = "some", path = "{}", file_format_type = "json" }}
        }}
        "#,
        input.display(),
        parquet.display(),
        json.display()
    )
}

/// All files below a folder, those with hidden names too.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Those that a reader of the folder takes: no part of the path below it begins with a dot.
fn visible_below(folder: &Path) -> Vec<PathBuf> {
    let is_visible = |path: &PathBuf| {
        let below = path.strip_prefix(folder).expect("below");
        below.iter().all(|part| !part.as_encoded_bytes().starts_with(b"."))
    };
    files_below(folder).into_iter().filter(is_visible).collect()
}

fn read_parquet(path: &Path, into: &mut BTreeMap<i64, Drink>) {
    let file = File::open(path).expect("a file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("parquet").build().expect("a reader");
    for batch in reader {
        let batch = batch.expect("a batch");
        let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        let (ids, twice) = (column("id").as_primitive::<Int64Type>(), column("twice").as_primitive::<Float64Type>());
        let (names, classes) = (column("name").as_string::<i32>(), column("class").as_string::<i32>());
        for row in 0..batch.num_rows() {
            let name = (!names.is_null(row)).then(|| names.value(row).to_owned());
            let drink = Drink { name, twice: twice.value(row), class: classes.value(row).to_owned() };
            assert_eq!(into.insert(ids.value(row), drink), None, "each row once");
        }
    }
}

fn read_json(path: &Path, into: &mut BTreeMap<i64, Drink>) {
    for line in std::fs::read_to_string(path).expect("a file").lines() {
        let row: Value = serde_json::from_str(line).expect("a row");
        let drink = Drink {
            name: row["name"].as_str().map(str::to_owned),
            twice: row["twice"].as_f64().expect("a number"),
            class: row["class"].as_str().expect("a text").to_owned(),
        };
        assert_eq!(into.insert(row["id"].as_i64().expect("a number"), drink), None, "each row once");
    }
}

#[test]
fn csv_goes_through_sql_to_parquet_and_json_and_back() {
    let folder = Folder::new();
    let (input, parquet, json) = (folder.at("in"), folder.at("out/parquet"), folder.at("out/json"));
    std::fs::create_dir(&input).expect("a folder");
    let expected = write_input(&input);
    let ended = run_config(&config(&input, &parquet, &json)).expect_exit(0);
    let (read, written) = (FILES * ROWS_PER_FILE, 2 * expected.len());
    assert_holds(
        &ended.stdout,
        &[
            &format!("Total Read Count          : {read:>19}\n"),
            &format!("Total Write Count         : {written:>19}\n"),
        ],
    );

    let mut from_parquet = BTreeMap::new();
    let parts = visible_below(&parquet);
    parts.iter().for_each(|path| read_parquet(path, &mut from_parquet));
    assert!(from_parquet == expected, "{} rows of parquet", from_parquet.len());
    assert!(parts.iter().all(|path| path.extension().is_some_and(|ending| ending == "parquet")), "{parts:?}");
    let mut from_json = BTreeMap::new();
    visible_below(&json).iter().for_each(|path| read_json(path, &mut from_json));
    assert!(from_json == expected, "{} rows of json", from_json.len());
    assert_eq!(
        files_below(&folder.at("out")).len(),
        parts.len() + visible_below(&json).len(),
        "nothing staged is left"
    );

    // And by the program itself: parquet with the schema that its files bring.
    for (path, format) in
        [(&parquet, "file_format_type = parquet".to_owned()), (&json, format!("file_format_type = json, {SCHEMA}"))]
    {
        let ended = run_config(&format!(
            r#"
            env {{ job.mode = "BATCH", parallelism = 2 }}
            source {{ LocalFile {{ plugin_output = "t", path = "{}", {format} }} }}
            sink {{ Console {{ plugin_input = "t" }} }}
            "#,
            path.display()
        ))
        .expect_exit(0);
        let mut rows: Vec<&str> =
            ended.stdout.lines().filter_map(|line| Some(line.split_once("#kind=INSERT : ")?.1)).collect();
        rows.sort_unstable();
        let mut lines: Vec<String> = expected
            .iter()
            .map(|(id, row)| {
                format!("{id}, {}, {:?}, {}", row.name.as_deref().unwrap_or_default(), row.twice, row.class)
            })
            .collect();
        lines.sort_unstable();
        assert!(rows == lines, "{} rows printed, {} expected; for example {:?}", rows.len(), lines.len(), rows.first());
    }
}

const SCHEMA: &str = r#"schema { fields { id = bigint, name = string, twice = double, class = string } }"#;

/// A job that writes `rows` rows into a folder, in many small files.
fn file_job(target: &Path, mode: &str, rows: usize) -> Value {
    json!({
        "env": { "job.mode": mode, "checkpoint.interval": 3_600_000 },
        "source": [{
            "plugin_name": "FakeSource", "plugin_output": "t", "row.num": rows, "split.num": 20,
            "split.read-interval": 10, "schema": { "fields": { "id": "bigint" } },
        }],
        "sink": [{ "plugin_name": "LocalFile", "plugin_input": "t", "path": target, "file_format_type": "json", "batch_size": 10 }],
    })
}

#[test]
fn staged_files_are_never_visible() {
    let folder = Folder::new();
    let target = folder.at("target");
    let node = Node::start();
    // One that never completes: its rows are in files, and nobody sees them.
    let id = node.submit(&file_job(&target, "STREAMING", 200));
    node.wait_for(id, "RUNNING", |job| job["metrics"]["SinkWriteCount"] == "200");
    assert_eq!(visible_below(&target), Vec::<PathBuf>::new());
    node.post("/stop-job", &json!({ "jobId": id }).to_string()).ok();
    node.wait_for_state(id, "CANCELED");
    assert_eq!(files_below(&target), Vec::<PathBuf>::new(), "what was staged is gone");

    // One that completes: whatever is seen of it at any time is whole.
    let id = node.submit(&file_job(&target, "BATCH", 400));
    let mut seen = BTreeMap::new();
    eventually("FINISHED", || {
        for path in visible_below(&target) {
            let text = std::fs::read_to_string(&path).expect("a visible file can be read");
            let first = seen.entry(path).or_insert_with(|| text.clone());
            assert_eq!(*first, text);
        }
        let job = node.job(id);
        if job["jobStatus"] == "FINISHED" { Ok(()) } else { Err(job) }
    });
    let files = visible_below(&target);
    let rows: usize = files.iter().map(|path| std::fs::read_to_string(path).expect("a file").lines().count()).sum();
    assert_eq!((rows, files.len()), (400, 40));
    for (path, text) in seen {
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), text);
    }
    assert_eq!(files_below(&target), files, "nothing staged is left");
}

#[test]
fn a_failed_job_leaves_nothing_at_the_target() {
    let folder = Folder::new();
    let target = folder.at("target");
    let sink = format!(
        r#"LocalFile {{ plugin_input = "{{table}}", path = "{}", file_format_type = "csv", batch_size = 2 }}"#,
        target.display()
    );
    let rows: String = (0..20).map(|row| format!("{{ fields = [\"{row}\"] }}, ")).collect();
    let source = format!(
        r#"FakeSource {{ plugin_output = "t", schema {{ fields {{ v = "string" }} }}, rows = [ {rows} {{ fields = ["three"] }} ] }}"#
    );
    // In the chain of the files themselves, and beside it.
    let cast =
        r#"transform { Sql { plugin_input = "t", plugin_output = "u", query = "select cast(v as int) as v from t" } }"#;
    let rule = r#"Assert { plugin_input = "t", rules { field_rules = [
      { field_name = v, field_type = string, field_value = [ { rule_type = MAX_LENGTH, rule_value = 2 } ] } ] } }"#;
    let cases = [
        (format!("source {{ {source} }} {cast} sink {{ {} }}", sink.replace("{table}", "u")), "cannot cast 'three'"),
        (
            format!("source {{ {source} }} sink {{ {} {rule} }}", sink.replace("{table}", "t")),
            "fail rule: field 'v' MAX_LENGTH 2",
        ),
    ];
    for (blocks, why) in cases {
        let ended = run_config(&format!("env {{ job.mode = BATCH }} {blocks}")).expect_exit(1);
        assert_holds(&ended.stderr, &[why]);
        assert_eq!(files_below(&target), Vec::<PathBuf>::new(), "{blocks}");
    }
}

#[test]
fn partitions_are_folders_in_and_out() {
    let folder = Folder::new();
    let target = folder.at("target");
    run_config(&format!(
        r#"
        env {{ job.mode = BATCH }}
        source {{ FakeSource {{ plugin_output = t, schema {{ fields {{ day = string, id = int }} }}
          rows = [ {{ fields = [monday, 1] }}, {{ fields = [tuesday, 2] }}, {{ fields = [monday, 3] }} ] }} }}
        sink {{ LocalFile {{ plugin_input = t, path = "{}", file_format_type = csv, have_partition = true, partition_by = [day] }} }}
        "#,
        target.display()
    ))
    .expect_exit(0);
    let folders: Vec<_> = visible_below(&target).iter().map(|path| path.parent().map(Path::to_owned)).collect();
    assert_eq!(folders, [Some(target.join("day=monday")), Some(target.join("day=tuesday"))]);
    let ended = run_config(&format!(
        r#"
        env {{ job.mode = BATCH }}
        source {{ LocalFile {{ path = "{}", file_format_type = csv, schema {{ fields {{ id = int }} }} }} }}
        sink {{ Console {{ }} }}
        "#,
        target.display()
    ))
    .expect_exit(0);
    assert_holds(&ended.stdout, &["output rowType: id<INT>, day<STRING>\n"]);
    for row in ["1, monday", "2, tuesday", "3, monday"] {
        assert_holds(&ended.stdout, &[&format!("#kind=INSERT : {row}\n")]);
    }
}

#[test]
fn a_missing_path_fails_the_submission() {
    let ended = run_config(
        r#"
        env { job.mode = BATCH }
        source { LocalFile { path = "/no/such/folder", file_format_type = text } }
        sink { Console { } }
        "#,
    )
    .expect_exit(1);
    assert_eq!(ended.stdout, "", "nothing was run");
    assert_holds(&ended.stderr, &["source[0] LocalFile, option 'path'", "/no/such/folder", "1 error; nothing was run"]);
}
