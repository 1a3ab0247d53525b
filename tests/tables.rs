//! Several tables through one job, and what is judged before anything is published (contract C.4, C.7).

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::node::Node;
use support::program::run_config;
use support::{Folder, assert_holds};

/// Two tables of one source, with a key each.
fn two_tables() -> &'static str {
    r#"FakeSource { plugin_output = "fake", tables_configs = [
        { row.num = 7, schema { table = "shop.orders", fields { id = bigint, note = string }
            primaryKey { name = pk, columnNames = [id] } } }
        { row.num = 4, schema { table = "shop.public.items", fields { id = bigint, note = string }
            constraintKeys = [ { constraintName = u, constraintType = UNIQUE_KEY, constraintColumns = [ { columnName = note } ] } ] } }
    ] }"#
}

/// Lines of all files in a folder; 0 when there is none.
fn lines_in(folder: &Path) -> usize {
    let Ok(files) = std::fs::read_dir(folder) else { return 0 };
    let files = files.map(|file| file.expect("a file").path()).filter(|path| path.is_file());
    files.map(|path| std::fs::read_to_string(path).expect("text").lines().count()).sum()
}

#[test]
fn every_table_of_a_source_goes_through_the_transforms_to_a_place_of_its_own() {
    let folder = Folder::new();
    let target = folder.path().display();
    let config = format!(
        r#"env {{ job.mode = "BATCH" }}
        source {{ {} }}
        transform {{
          Copy {{ plugin_input = "fake", plugin_output = "more", fields {{ again = id }} }}
          FilterRowKind {{ plugin_input = "more", plugin_output = "rest", exclude_kinds = [DELETE] }}
        }}
        sink {{
          LocalFile {{ plugin_input = "rest", path = "{target}/${{database_name}}/${{schema_name:none}}/${{table_name}}", file_format_type = "csv"
            schema_save_mode = "RECREATE_SCHEMA", data_save_mode = "DROP_DATA" }}
          Assert {{ plugin_input = "rest", rules {{ table-names = ["shop.orders", "shop.public.items"], row_rules = [ {{ rule_type = MIN_ROW, rule_value = 4 }} ] }} }}
        }}"#,
        two_tables()
    );
    for _ in 0..2 {
        run_config(&config).expect_exit(0);
        assert_eq!(lines_in(&folder.at("shop/none/orders")), 7);
        assert_eq!(lines_in(&folder.at("shop/public/items")), 4);
    }
}

#[test]
fn a_transform_is_for_the_tables_that_it_names() {
    run_config(&format!(
        r#"env {{ job.mode = "BATCH" }}
        source {{ {} }}
        transform {{
          Copy {{ plugin_input = "fake", plugin_output = "more", table_match_regex = "shop[.]o.*", src_field = id, dest_field = again }}
          Sql {{ plugin_input = "more", plugin_output = "rest", query = "select id, again from dual", table_match_regex = "none"
            table_transform = [ {{ table_path = "shop.public.items", query = "select length(note) as letters from dual" }} ] }}
        }}
        sink {{ Assert {{ plugin_input = "rest", rules {{ tables_configs = [
          {{ table_path = "shop.orders", catalog_table_rule {{ column_rule = [ {{ name = id, type = bigint }}, {{ name = note, type = string }}, {{ name = again, type = bigint }} ] }} }}
          {{ table_path = "shop.public.items", field_rules = [ {{ field_name = letters, field_type = bigint, field_value = [ {{ rule_type = MIN, rule_value = 1 }} ] }} ] }}
        ] }} }} }}"#,
        two_tables()
    ))
    .expect_exit(0);
}

#[test]
fn several_sources_meet_in_one_sink() {
    let folder = Folder::new();
    let config = format!(
        r#"env {{ }}
        source {{
          FakeSource {{ plugin_output = "a", row.num = 3, schema {{ fields {{ id = int }} }} }}
          FakeSource {{ result_table_name = "b", row.num = 5, schema {{ fields {{ id = int }} }} }}
        }}
        sink {{ LocalFile {{ source_table_name = "a,b", path = "{}/${{table_name}}", file_format_type = "json" }} }}"#,
        folder.path().display()
    );
    run_config(&config).expect_exit(0);
    assert_eq!((lines_in(&folder.at("a")), lines_in(&folder.at("b"))), (3, 5));
}

#[test]
fn a_rule_on_the_number_of_rows_keeps_the_files_of_another_sink_back() {
    let folder = Folder::new();
    let target = folder.at("out");
    let config = |least: u32| {
        format!(
            r#"env {{ job.retry.times = 0 }}
            source {{ FakeSource {{ plugin_output = "t", row.num = 5, schema {{ fields {{ id = int }} }} }} }}
            sink {{
              LocalFile {{ plugin_input = "t", path = "{}", file_format_type = "csv" }}
              Assert {{ plugin_input = "t", rules {{ row_rules = [ {{ rule_type = MIN_ROW, rule_value = {least} }} ] }} }}
            }}"#,
            target.display()
        )
    };
    let ended = run_config(&config(6)).expect_exit(1);
    assert_holds(&ended.stderr, &["row num :5 fail rule"]);
    assert_eq!(lines_in(&target), 0);
    let left: Vec<_> = std::fs::read_dir(&target).map(|files| files.flatten().collect()).unwrap_or_default();
    assert!(left.iter().all(|entry| entry.file_name().as_encoded_bytes().starts_with(b".")), "{left:?}");
    run_config(&config(5)).expect_exit(0);
    assert_eq!(lines_in(&target), 5);
}

#[test]
fn a_save_mode_that_is_not_met_fails_the_job_before_its_first_row() {
    let folder = Folder::new();
    folder.write("already", "there");
    let config = format!(
        r#"env {{ savemode.execute.location = "CLIENT" }}
        source {{ FakeSource {{ row.num = 5, schema {{ fields {{ id = int }} }} }} }}
        sink {{ LocalFile {{ path = "{}", file_format_type = "csv", data_save_mode = "ERROR_WHEN_DATA_EXISTS" }} }}"#,
        folder.path().display()
    );
    let ended = run_config(&config).expect_exit(1);
    assert_holds(&ended.stderr, &["ERROR_WHEN_DATA_EXISTS"]);
    assert_holds(&ended.stdout, &["Total Read Count          :                   0"]);
}

#[test]
fn a_node_names_the_vertices_of_several_tables_and_keeps_the_read_limit() {
    let node = Node::with(&["--work-nice", "0", "--task-stop-timeout", "60s"]);
    let table = |path: &str| json!({ "row.num": 100_000, "schema": { "table": path, "fields": { "id": "bigint" } } });
    let begin = Instant::now();
    let id = node.submit(&json!({
        "env": { "job.mode": "STREAMING", "job": { "name": "limited" }, "read_limit.rows_per_second": 100, "other": { "x": [1, "y"] } },
        "source": [{ "plugin_name": "FakeSource", "result_table_name": "f", "tables_configs": [table("db.a"), table("db.b")] }],
        "sink": [{ "plugin_name": "Blackhole", "source_table_name": "f", "multi_table_sink_replica": 1 }],
    }));
    let rows = |job: &Value| job["metrics"]["SourceReceivedCount"].as_str().and_then(|rows| rows.parse::<f64>().ok());
    let job = node.wait_for(id, "RUNNING", |job| rows(job).is_some_and(|rows| rows > 50.0));
    // The count was read before now.
    assert!(rows(&job).expect("a count") <= 100.0 * begin.elapsed().as_secs_f64() + 1.0, "{job}");
    let vertices = job["jobDag"]["vertexInfoMap"].as_array().expect("vertices");
    let names: Vec<&str> = vertices.iter().filter_map(|vertex| vertex["vertexName"].as_str()).collect();
    assert_eq!(names, ["pipeline-1 [Source[0]-FakeSource]", "pipeline-1 [Sink[0]-Blackhole-MultiTableSink]"]);
    assert_eq!(vertices[1]["tablePaths"], json!(["db.a", "db.b"]));
    let shown = json!({ "job.mode": "STREAMING", "job.name": "limited", "read_limit.rows_per_second": "100", "other.x": "[1, y]" });
    assert_eq!((&job["jobName"], &job["envOptions"]), (&json!("limited"), &shown));
    let stopping = Instant::now();
    node.post("/stop-job", &json!({ "jobId": id }).to_string()).ok();
    node.wait_for_state(id, "CANCELED");
    assert!(stopping.elapsed() < Duration::from_secs(30), "before tasks are dropped: {:?}", stopping.elapsed());
}

#[test]
fn a_node_decodes_secrets_and_shows_none() {
    let node = Node::start();
    let job = |password: &str| {
        json!({
            "env": { "shade.identifier": "base64", "job.mode": "BATCH", "mine.password": "hunter2" },
            "source": [{ "plugin_name": "FakeSource", "row.num": 1, "username": "c2VhdHVubmVs", "password": password,
                         "schema": { "fields": { "id": "int" } } }],
            "sink": [{ "plugin_name": "Blackhole" }],
        })
    };
    let id = node.submit(&job("c2VhdHVubmVsX3Bhc3N3b3Jk"));
    let ended = node.wait_for_state(id, "FINISHED");
    assert_eq!(ended["jobDag"]["envOptions"]["mine.password"], "******");
    assert_eq!(ended["jobDag"]["envOptions"]["shade.identifier"], "base64");
    let refused = node.post("/submit-job", &job("hunter2!").to_string());
    let text = refused.text();
    assert_holds(&text, &["fail", "source[0] FakeSource", "Option 'password'", "not encoded as shade.identifier says"]);
    let log = node.stop();
    for shown in [ended.to_string(), text, log.stderr] {
        assert!(!shown.contains("hunter2") && !shown.contains("seatunnel_password"), "{shown}");
    }
}

#[test]
fn keys_flow_through_transforms_as_long_as_their_columns_are_there() {
    let config = |fields: &str, rules: &str| {
        format!(
            r#"env {{ }}
            source {{ FakeSource {{ plugin_output = "f", row.num = 2, schema {{ table = "db.t", fields {{ id = bigint, name = string, age = int }}
              primaryKey {{ name = pk, columnNames = [id] }}
              constraintKeys = [ {{ constraintName = u, constraintType = UNIQUE_KEY, constraintColumns = [ {{ columnName = name, sortType = ASC }} ] }} ] }} }} }}
            transform {{
              Copy {{ plugin_input = f, plugin_output = c, fields {{ again = age }} }}
              Filter {{ plugin_input = c, plugin_output = g, include_fields = [{fields}] }}
              FilterRowKind {{ plugin_input = g, plugin_output = h, exclude_kinds = [DELETE] }}
            }}
            sink {{ Assert {{ plugin_input = h, rules {{ catalog_table_rule {{ {rules} }} }} }} }}"#
        )
    };
    let primary = "primary_key_rule { primary_key_name = pk, primary_key_columns = [id] }";
    let unique = "constraint_key_rule = [ { constraint_key_name = u, constraint_key_type = UNIQUE_KEY
        constraint_key_columns = [ { constraint_key_column_name = name, constraint_key_sort_type = ASC } ] } ]";
    run_config(&config("id, name, again", &format!("{primary}\n{unique}"))).expect_exit(0);
    run_config(&config("id, age", primary)).expect_exit(0);
    let ended = run_config(&config("name, age", &format!("{primary}\n{unique}"))).expect_exit(1);
    assert_holds(&ended.stderr, &["sink[0] Assert", "primary"]);
}

#[test]
fn several_tables_of_files_are_read_and_written_apart() {
    let folder = Folder::new();
    for (name, text) in [("one", "1,a\n2,b\n"), ("two", "7\n8\n9\n")] {
        std::fs::create_dir(folder.at(name)).expect("a folder");
        folder.write(&format!("{name}/in.csv"), text);
    }
    let base = folder.path().display();
    let config = format!(
        r#"env {{ parallelism = 2 }}
        source {{ LocalFile {{ plugin_output = "files", tables_configs = [
          {{ path = "{base}/one", file_format_type = "csv", schema {{ table = "db.first", fields {{ id = int, name = string }} }} }}
          {{ path = "{base}/two", file_format_type = "csv", schema {{ table = "db.second", fields {{ id = int }} }} }} ] }} }}
        sink {{ LocalFile {{ plugin_input = "files", path = "{base}/out/${{table_full_name}}", file_format_type = "json" }} }}"#
    );
    run_config(&config).expect_exit(0);
    assert_eq!((lines_in(&folder.at("out/db.first")), lines_in(&folder.at("out/db.second"))), (2, 3));
}
