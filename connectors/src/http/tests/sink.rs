//! Rows that are posted.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use egret_runtime::file::block_on;
use egret_runtime::plugin::{SinkWriter, TaskError};
use egret_runtime::row::{Batch, Column, DataType, TableIndex, TablePath, TableSchema};

use super::server::{Reply, Server, answer};
use super::{plan_sink, took_at_least};
use crate::testing::{options, task};

fn table(path: &str) -> Arc<TableSchema> {
    let columns = vec![Column::new("id", DataType::Int), Column::new("name", DataType::String)];
    Arc::new(TableSchema::new(TablePath::parse(path, false).expect("a path"), columns))
}

fn rows(table: u16, ids: std::ops::Range<i32>) -> Batch {
    let names: Vec<Option<String>> = ids.clone().map(|id| (id != 2).then(|| format!("n{id}"))).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int32Array::from_iter_values(ids)), Arc::new(StringArray::from_iter(names))];
    let rows = RecordBatch::try_new(Arc::clone(self::table("t").arrow()), columns).expect("a batch");
    Batch::inserts(TableIndex(table), rows)
}

/// Writes batches as a task would, to the regular end.
fn write(config: &str, batches: Vec<Batch>) -> Result<(), TaskError> {
    let (sink, _) = plan_sink(&options(config), &[table("db.a"), table("db.b")]).expect("a sink");
    let written = block_on(async || {
        let mut writer: Box<dyn SinkWriter> = sink.writer(&task(0, 1))?;
        for batch in batches {
            writer.write(batch).await?;
        }
        assert!(writer.prepare(1).await?.is_empty());
        writer.close().await
    });
    written.expect("an executor")
}

fn ok() -> Reply {
    answer("200 OK", "", b"")
}

#[test]
fn each_row_is_posted_as_an_object_over_one_connection() {
    let server = Server::start(|_, _| ok());
    let config = format!(r#"url = "{}", headers {{ token = t }}, params {{ q = "a b" }}"#, server.url("/hook"));
    write(&config, vec![rows(0, 1..3)]).expect("written");
    let asked = server.asked();
    let bodies: Vec<&str> = asked.iter().map(|asked| asked.body.as_str()).collect();
    assert_eq!(bodies, [r#"{"id":1,"name":"n1"}"#, r#"{"id":2,"name":null}"#]);
    for asked in &asked {
        assert_eq!(asked.line, "POST /hook?q=a+b HTTP/1.1");
        assert_eq!((asked.header("token"), asked.header("content-type")), (Some("t"), Some("application/json")));
        assert_eq!(asked.connection, 0);
    }
}

#[test]
fn lists_go_out_when_they_are_full_and_at_the_checkpoint() {
    let server = Server::start(|_, _| ok());
    let config = format!(r#"url = "{}", array_mode = true, batch_size = 2"#, server.url("/lists"));
    write(&config, vec![rows(0, 3..6), rows(1, 7..8)]).expect("written");
    let asked: Vec<(String, String)> = server.asked().into_iter().map(|asked| (asked.line, asked.body)).collect();
    let asked: Vec<(&str, &str)> = asked.iter().map(|(line, body)| (line.as_str(), body.as_str())).collect();
    assert_eq!(
        asked,
        [
            ("POST /lists HTTP/1.1", r#"[{"id":3,"name":"n3"},{"id":4,"name":"n4"}]"#),
            ("POST /lists HTTP/1.1", r#"[{"id":5,"name":"n5"}]"#),
            ("POST /lists HTTP/1.1", r#"[{"id":7,"name":"n7"}]"#),
        ]
    );
}

#[test]
fn requests_keep_their_distance() {
    let server = Server::start(|_, _| ok());
    let begin = Instant::now();
    let config = format!(r#"url = "{}", request_interval_ms = 30"#, server.url("/"));
    write(&config, vec![rows(0, 3..6)]).expect("written");
    assert!(took_at_least(begin, 60), "three requests have two pauses");
}

#[test]
fn an_answer_that_is_no_success_does_not_fail_the_job_but_none_at_all_does() {
    let server = Server::start(
        |number, _| if number == 0 { answer("500 Oops", "", b"no") } else { answer("201 Made", "", b"") },
    );
    write(&format!(r#"url = "{}""#, server.url("/")), vec![rows(0, 1..3)]).expect("written");
    assert_eq!(server.asked().len(), 2, "refused rows are not posted again");
    let closing = Server::start(|_, _| Reply::Close);
    let config = format!(r#"url = "{}", retry = 2, retry_backoff_multiplier_ms = 1"#, closing.url("/"));
    let error = write(&config, vec![rows(0, 1..2)]).expect_err("no answer");
    assert!(error.is_retryable() && error.to_string().contains("after 3 tries"), "{error}");
    assert_eq!(closing.asked().len(), 3);
}

#[test]
fn a_content_type_of_the_config_is_the_only_one() {
    let server = Server::start(|_, _| ok());
    let config = format!(r#"url = "{}", headers {{ content-type = "application/json; v=2" }}"#, server.url("/"));
    write(&config, vec![rows(0, 1..2)]).expect("written");
    let asked = &server.asked()[0];
    let types: Vec<&(String, String)> = asked.headers.iter().filter(|(name, _)| name == "content-type").collect();
    assert_eq!(types, [&("content-type".to_owned(), "application/json; v=2".to_owned())]);
}

#[test]
fn wrong_options_of_the_sink_are_told() {
    let tables = [table("a")];
    let problems =
        |text: &str| plan_sink(&options(text), &tables).map(|(_, warnings)| warnings).unwrap_or_else(|errors| errors);
    assert!(problems(r#"url = "ftp://h/""#)[0].contains("'url'"));
    assert!(problems(r#"url = "http://h/", batch_size = 0"#)[0].contains("'batch_size'"));
    assert!(problems(r#"url = "http://h/", batch_size = 5"#)[0].contains("array_mode"));
    assert!(problems(r#"url = "http://h/", headers { "" = x }"#)[0].contains("'headers'"));
    assert_eq!(problems(r#"url = "http://h/", array_mode = true, batch_size = 5"#), Vec::<String>::new());
}
