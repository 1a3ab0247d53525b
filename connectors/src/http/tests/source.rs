//! Rows of answers: formats, paging, polling, checkpoints.

use std::time::{Duration, Instant};

use egret_runtime::file::block_on;
use egret_runtime::plugin::{JobMode, Progress};
use egret_runtime::shard::sleep;
use futures_lite::future::or;

use super::server::{Reply, Server, answer, json};
use super::{next_rows, read, reader_at, rows_of, source_of, took_at_least};

const PEOPLE: &str = "format = json, schema { fields { name = string, age = int } }";

fn page(number: i64, rows: usize) -> String {
    let rows: Vec<String> = (0..rows).map(|row| format!(r#"{{"name":"{number}.{row}","age":{row}}}"#)).collect();
    format!("[{}]", rows.join(","))
}

/// The number in the query `?p=3`.
fn asked_page(line: &str) -> i64 {
    let value = line.split(['?', '&', ' ']).find_map(|part| part.strip_prefix("p="));
    value.expect("a page").parse().expect("a number")
}

#[test]
fn a_list_of_objects_is_read_with_what_the_config_sends() {
    let server = Server::start(|_, _| json(r#"[{"name":"a","age":18},{"age":"19","name":"b"}]"#));
    let config = format!(
        r#"url = "{}", headers {{ token = abc, Accept = "application/json" }}, params {{ q = "x y" }}, {PEOPLE}"#,
        server.url("/people?z=1")
    );
    assert_eq!(read(&config).expect("rows"), ["a, 18", "b, 19"]);
    let asked = server.asked();
    assert_eq!(asked[0].line, "GET /people?z=1&q=x+y HTTP/1.1");
    assert_eq!(asked[0].header("token"), Some("abc"));
    assert_eq!(asked[0].header("accept"), Some("application/json"));
    assert_eq!(asked[0].header("accept-encoding"), Some("gzip,deflate"));
    assert_eq!(asked[0].header("host"), Some(server.address.to_string().as_str()));
    assert!(asked[0].header("user-agent").is_some_and(|agent| agent.starts_with("egret/")));
    assert_eq!((asked[0].header("content-type"), asked[0].body.as_str()), (None, ""));
}

#[test]
fn every_type_keeps_its_digits() {
    let server = Server::start(|_, _| {
        json(
            r#"[{"c_map":{"k":"v"},"c_array":[1,2],"c_string":"s","c_boolean":false,"c_tinyint":-90,
            "c_bigint":4712806879122100224,"c_float":162047600000000000000000000000000000000,
            "c_double":2.5e300,"c_bytes":"Q3NrVnQ=","c_date":"2022-04-27",
            "c_decimal":88574263949141714798.835853182708550244,"c_timestamp":"2022-01-26T17:39:00",
            "c_row":{"A":1,"B":[0.1]}}]"#,
        )
    });
    let config = format!(
        r#"url = "{}", format = json, schema {{ fields {{ c_map = "map<string,string>", c_array = "array<int>",
        c_string = string, c_boolean = boolean, c_tinyint = tinyint, c_bigint = bigint, c_float = float,
        c_double = double, c_bytes = bytes, c_date = date, c_decimal = "decimal(38, 18)", c_timestamp = timestamp,
        c_row = {{ A = int, B = "array<double>" }} }} }}"#,
        server.url("/")
    );
    let rows = read(&config).expect("rows");
    assert!(rows[0].contains("88574263949141714798.835853182708550244"), "{rows:?}");
    assert!(rows[0].contains("4712806879122100224") && rows[0].contains("2022-01-26T17:39"), "{rows:?}");
}

#[test]
fn without_a_schema_an_answer_is_text() {
    let server = Server::start(|_, asked| answer("200 OK", "", format!("line 1\r\n{}", asked.body).as_bytes()));
    let url = server.url("/");
    assert_eq!(read(&format!(r#"url = "{url}""#)).expect("rows"), ["line 1\r\n"]);
    assert_eq!(read(&format!(r#"url = "{url}", format = text, enable_multi_lines = true"#)).expect("rows"), ["line 1"]);
    let named =
        format!(r#"url = "{url}", method = post, body = two, format = text, schema {{ fields {{ t = string }} }}"#);
    assert_eq!(read(&named).expect("rows"), ["line 1\r\ntwo"]);
}

#[test]
fn lines_of_objects_and_paths_into_documents_are_read() {
    let server = Server::start(|_, asked| match asked.line.split(' ').nth(1) {
        Some("/lines") => json("{\"age\":22,\"name\":\"J\"} \r\n {\"age\":24,\"name\":\"v\"}"),
        _ => json(r#"{"data":{"list":[{"name":"a","age":1},{"name":"b"}]},"total":2}"#),
    });
    let lines = format!(r#"url = "{}", enable_multi_lines = true, {PEOPLE}"#, server.url("/lines"));
    assert_eq!(read(&lines).expect("rows"), ["J, 22", "v, 24"]);
    let content = format!(r#"url = "{}", content_field = "$.data.list.*", {PEOPLE}"#, server.url("/"));
    assert_eq!(read(&content).expect("rows"), ["a, 1", "b, "]);
    let fields = format!(
        r#"url = "{}", json_field = {{ age = "$.data.list[*].age", name = "$.data.list[*].name" }}, {PEOPLE}"#,
        server.url("/")
    );
    assert_eq!(read(&fields).expect("rows"), ["a, 1", "b, "]);
}

#[test]
fn a_posted_body_and_form_arrive_as_the_config_means_them() {
    let server = Server::start(|_, _| json(r#"{"name":"a","age":1}"#));
    let url = server.url("/post");
    let post = |rest: &str| {
        assert_eq!(read(&format!(r#"url = "{url}", method = "POST", {rest}, {PEOPLE}"#)).expect(rest).len(), 1)
    };
    post(r#"body = "{"id":1}""#);
    post("params = { id = 1 }");
    post("params = { id = 1 }, keep_params_as_form = false");
    post(r#"headers { Content-Type = "application/x-www-form-urlencoded" }, body = """{"id":1}""""#);
    let seen: Vec<(String, String, Option<String>)> = server
        .asked()
        .into_iter()
        .map(|asked| (asked.line.clone(), asked.body.clone(), asked.header("content-type").map(str::to_owned)))
        .collect();
    let seen: Vec<(&str, &str, Option<&str>)> =
        seen.iter().map(|(line, body, kind)| (line.as_str(), body.as_str(), kind.as_deref())).collect();
    let form = "application/x-www-form-urlencoded";
    assert_eq!(
        seen,
        [
            ("POST /post HTTP/1.1", r#"{"id":1}"#, Some("application/json")),
            ("POST /post HTTP/1.1", "id=1", Some("application/x-www-form-urlencoded; charset=UTF-8")),
            ("POST /post?id=1 HTTP/1.1", "", Some("application/json")),
            ("POST /post HTTP/1.1", "id=1", Some(form)),
        ]
    );
}

#[test]
fn pages_are_read_to_the_one_that_is_not_full_over_one_connection() {
    let server = Server::start(|number, _| json(&page(number as i64, if number < 2 { 3 } else { 1 })));
    let begin = Instant::now();
    let config = format!(r#"url = "{}", pageing = {{ page_field = p, batch_size = 3 }}, {PEOPLE}"#, server.url("/"));
    assert_eq!(read(&config).expect("rows").len(), 7);
    assert!(took_at_least(begin, 20), "no pause between the pages");
    let asked = server.asked();
    let pages: Vec<i64> = asked.iter().map(|asked| asked_page(&asked.line)).collect();
    assert_eq!(pages, [1, 2, 3]);
    assert!(asked.iter().all(|asked| asked.connection == 0), "not kept: {asked:?}");
}

#[test]
fn a_known_number_of_pages_is_read_however_full_they_are() {
    let server = Server::start(|number, _| json(&page(number as i64, number)));
    let config = format!(
        r#"url = "{}", params {{ p = old }}, {PEOPLE},
        pageing {{ page_field = p, total_page_size = 4, start_page_number = 2 }}"#,
        server.url("/")
    );
    assert_eq!(read(&config).expect("rows").len(), 3);
    assert_eq!(server.lines(), ["GET /?p=2 HTTP/1.1", "GET /?p=3 HTTP/1.1", "GET /?p=4 HTTP/1.1"]);
}

#[test]
fn cursors_lead_from_page_to_page() {
    let server = Server::start(|number, _| {
        let next = if number < 2 { format!(r#","next":"c{number}""#) } else { String::new() };
        json(&format!(r#"{{"rows":[{{"name":"{number}","age":0}}]{next}}}"#))
    });
    let config = format!(
        r#"url = "{}", content_field = "$.rows", {PEOPLE}, pageing {{ page_type = Cursor, cursor_field = after,
        cursor_response_field = "$.next" }}"#,
        server.url("/")
    );
    assert_eq!(read(&config).expect("rows"), ["0, 0", "1, 0", "2, 0"]);
    assert_eq!(server.lines(), ["GET / HTTP/1.1", "GET /?after=c0 HTTP/1.1", "GET /?after=c1 HTTP/1.1"]);
}

#[test]
fn a_streaming_source_asks_again_after_its_interval() {
    let server = Server::start(|number, _| json(&page(number as i64, 1)));
    let config = format!(r#"url = "{}", poll_interval_millis = 50, {PEOPLE}"#, server.url("/"));
    let source = source_of(&config, JobMode::Streaming);
    let begin = Instant::now();
    let batches = block_on(async || {
        let mut reader = reader_at(&source, None);
        let mut batches = Vec::new();
        while batches.len() < 3 {
            batches.push(next_rows(&mut *reader).await.expect("rows"));
        }
        assert!(matches!(reader.next().await, Ok(Progress::Idle(_))));
        batches
    });
    assert_eq!(rows_of(&source, &batches.expect("an executor")), ["0.0, 0", "1.0, 0", "2.0, 0"]);
    assert!(took_at_least(begin, 100), "the interval was not kept");
}

#[test]
fn a_request_goes_on_when_a_barrier_interrupts_the_wait_for_it() {
    let (go, gate) = std::sync::mpsc::sync_channel::<()>(1);
    let gate = std::sync::Mutex::new(gate);
    let server = Server::start(move |_, _| {
        gate.lock().expect("no panic").recv().expect("the test goes on");
        json(&page(7, 1))
    });
    let config = format!(r#"url = "{}", {PEOPLE}"#, server.url("/"));
    let source = source_of(&config, JobMode::Batch);
    let batch = block_on(async || {
        let mut reader = reader_at(&source, None);
        let interrupted = or(async { Some(reader.next().await) }, async {
            while server.asked().is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
            None
        });
        assert!(interrupted.await.is_none(), "the server had not answered");
        assert_eq!(reader.snapshot().expect("a position").len(), 1);
        go.send(()).expect("the server waits");
        next_rows(&mut *reader).await.expect("rows")
    });
    assert_eq!(rows_of(&source, &[batch.expect("an executor")]), ["7.0, 0"]);
    assert_eq!(server.asked().len(), 1, "asked twice");
}

#[test]
fn a_restored_reader_goes_on_with_the_page_that_was_not_out() {
    let server =
        Server::start(|_, asked| json(&page(asked_page(&asked.line), if asked_page(&asked.line) < 3 { 2 } else { 0 })));
    let config = format!(r#"url = "{}", pageing {{ page_field = p, batch_size = 2 }}, {PEOPLE}"#, server.url("/"));
    let source = source_of(&config, JobMode::Batch);
    let rest = block_on(async || {
        let mut reader = reader_at(&source, None);
        next_rows(&mut *reader).await.expect("the first page");
        let position = reader.snapshot().expect("a position");
        drop(reader);
        let mut reader = reader_at(&source, Some(position));
        let rows = next_rows(&mut *reader).await.expect("the second page");
        loop {
            match reader.next().await.expect("the end") {
                Progress::Idle(until) => egret_runtime::shard::sleep_until(until).await,
                Progress::NeedSplits => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(reader.snapshot().expect("a position").is_empty());
        rows
    });
    assert_eq!(rows_of(&source, &[rest.expect("an executor")]), ["2.0, 0", "2.1, 1"]);
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn answers_that_are_no_success_fail_the_reader_for_now_or_for_good() {
    for (status, may_pass) in [("500 Oops", true), ("429 Slow", true), ("404 Gone", false), ("403 No", false)] {
        let server = Server::start(move |_, _| answer(status, "", b"sorry"));
        let error = read(&format!(r#"url = "{}", retry = 5, {PEOPLE}"#, server.url("/x?secret=1"))).expect_err(status);
        assert_eq!(error.is_retryable(), may_pass, "{status}: {error}");
        let text = error.to_string();
        assert!(text.contains(&status[..3]) && text.contains("sorry") && !text.contains("secret"), "{text}");
        assert_eq!(server.asked().len(), 1, "an answer is not asked for again");
    }
    let server = Server::start(|_, _| answer("207 Multi", "", b"{}"));
    assert_eq!(read(&format!(r#"url = "{}", {PEOPLE}"#, server.url("/"))).expect("a success"), [", "]);
    let server = Server::start(|_, _| answer("204 None", "", b""));
    assert!(read(&format!(r#"url = "{}", {PEOPLE}"#, server.url("/"))).expect("a success").is_empty());
}

#[test]
fn an_answer_that_is_not_of_the_schema_names_the_record() {
    let server = Server::start(|_, _| json(r#"[{"age":1},{"age":"x"}]"#));
    let error = read(&format!(r#"url = "{}", {PEOPLE}"#, server.url("/p"))).expect_err("no number");
    let text = error.to_string();
    assert!(text.contains("GET http://127.0.0.1") && text.contains("record 2") && text.contains("age"), "{text}");
    assert!(!error.is_retryable());
    let server = Server::start(|_, _| Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>".to_vec()));
    let error = read(&format!(r#"url = "{}", {PEOPLE}"#, server.url("/p"))).expect_err("no JSON").to_string();
    assert!(error.contains("JSON"), "{error}");
}
