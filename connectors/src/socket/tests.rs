//! Tests through the plugin traits, against a server on threads of the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch};
use egret_runtime::config::{Options, Problems};
use egret_runtime::file::block_on;
use egret_runtime::plugin::{
    Assignment, JobMode, Plugin as _, Progress, SinkFactory as _, Source, SourceReader, TaskError,
};
use egret_runtime::row::{Batch, Column, DataType, TableIndex, TablePath, TableSchema};
use egret_runtime::shard::sleep;
use futures_lite::future::or;

use super::options::{SINK_OPTIONS, SOURCE_OPTIONS};
use super::{SocketSink, SocketSource};
use crate::testing::{check_page, context, options, plan_source, task};

/// Long enough for a busy machine; what is waited for comes at once otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose connections each get a script, in turn.
fn serve(scripts: Vec<Box<dyn FnOnce(TcpStream) + Send>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for script in scripts {
            let Ok((socket, _)) = listener.accept() else { return };
            let _ = socket.set_read_timeout(Some(PATIENCE));
            script(socket);
        }
    });
    address
}

fn script(script: impl FnOnce(TcpStream) + Send + 'static) -> Box<dyn FnOnce(TcpStream) + Send> {
    Box::new(script)
}

/// An address that refuses: nobody else here uses this one, so that no server of another test gets its port.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 99)), 9);

fn source(address: SocketAddr, rest: &str, mode: JobMode) -> Arc<dyn Source> {
    let config = format!("host = \"{}\", port = {} {rest}", address.ip(), address.port());
    let planned = plan_source(&SocketSource, &options(&config), &context("source[0] Socket", 1, mode));
    planned.unwrap_or_else(|problems| panic!("{problems:#?}")).0
}

fn reader(source: &Arc<dyn Source>) -> Box<dyn SourceReader> {
    let mut reader = source.reader(&task(0, 1)).expect("a reader");
    let Assignment::Splits(splits) = source.enumerate(1).expect("splits").assign(0) else { panic!("no split") };
    reader.add_splits(splits).expect("its own");
    reader
}

fn values(batch: &Batch) -> Vec<String> {
    batch.rows.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
}

/// All lines to the end of the source.
fn read(source: &Arc<dyn Source>) -> Result<Vec<String>, TaskError> {
    block_on(async || {
        let mut reader = reader(source);
        let mut lines = Vec::new();
        loop {
            match reader.next().await? {
                Progress::Rows(batch) => lines.extend(values(&batch)),
                Progress::End => return Ok(lines),
                other => panic!("{other:?}"),
            }
        }
    })
    .expect("an executor")
}

#[test]
fn a_batch_job_takes_what_is_at_hand_and_ends_although_the_server_does_not() {
    let (ended, end) = mpsc::sync_channel::<()>(1);
    let address = serve(vec![script(move |mut socket| {
        socket.write_all(b"one\r\ntwo\n\nrest").expect("sent");
        let _ = end.recv_timeout(PATIENCE);
    })]);
    let source = source(address, "", JobMode::Batch);
    assert_eq!(read(&source).expect("lines"), ["one", "two", "", "rest"]);
    drop(ended);
    assert_eq!(source.tables()[0].columns[0].name.as_ref(), "value");
    assert_eq!(source.readers_max(), Some(1));
}

#[test]
fn a_streaming_job_reads_until_the_server_closes() {
    let (more, wait) = mpsc::sync_channel::<()>(1);
    let address = serve(vec![script(move |mut socket| {
        socket.write_all(b"one\ntw").expect("sent");
        wait.recv_timeout(PATIENCE).expect("the test goes on");
        socket.write_all("o\nl\u{e4}st".as_bytes()).expect("sent");
    })]);
    let source = source(address, "", JobMode::Streaming);
    let lines = block_on(async || {
        let mut reader = reader(&source);
        let Progress::Rows(first) = reader.next().await.expect("rows") else { panic!("no rows") };
        let mut lines = values(&first);
        // A barrier that comes while nothing does loses nothing.
        let waited = or(async { Some(reader.next().await) }, async {
            sleep(Duration::from_millis(20)).await;
            None
        });
        assert!(waited.await.is_none());
        assert_eq!(reader.snapshot().expect("a position").len(), 1);
        more.send(()).expect("the server waits");
        while let Progress::Rows(batch) = reader.next().await.expect("rows") {
            lines.extend(values(&batch));
        }
        assert!(reader.snapshot().expect("a position").is_empty());
        lines
    });
    assert_eq!(lines.expect("an executor"), ["one", "two", "l\u{e4}st"]);
}

#[test]
fn a_streaming_job_connects_again_as_often_as_it_may() {
    let say = |text: &'static str| script(move |mut socket| socket.write_all(text.as_bytes()).expect("sent"));
    let address = serve(vec![say("one\nbroken"), say("two\n"), say("")]);
    let begin = Instant::now();
    let source = source(address, ", max_retries = 1", JobMode::Streaming);
    // The third connection gives nothing: the retry behind it would be the second in a row.
    assert_eq!(read(&source).expect("lines"), ["one", "broken", "two"]);
    assert!(begin.elapsed() >= Duration::from_millis(1000), "no pauses");
}

#[test]
fn a_line_beyond_the_bound_fails_the_job() {
    let address = serve(vec![script(|mut socket| socket.write_all(b"short\n0123456789a").expect("sent"))]);
    let error = read(&source(address, ", max_line_bytes = 10", JobMode::Streaming)).expect_err("too long");
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("max_line_bytes = 10") && text.contains(&address.to_string()), "{text}");
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_address() {
    let address = NOBODY;
    let begin = Instant::now();
    let error = read(&source(address, ", max_retries = 1", JobMode::Batch)).expect_err("refused");
    assert!(error.is_retryable() && error.to_string().contains(&address.to_string()), "{error}");
    assert!(begin.elapsed() >= Duration::from_millis(500), "no pause before the retry");
}

fn rows(ids: std::ops::Range<i32>) -> (Arc<TableSchema>, Batch) {
    let table = Arc::new(TableSchema::new(TablePath::bare("t"), vec![Column::new("id", DataType::Int)]));
    let column: ArrayRef = Arc::new(Int32Array::from_iter_values(ids));
    let rows = RecordBatch::try_new(Arc::clone(table.arrow()), vec![column]).expect("a batch");
    (table, Batch::inserts(TableIndex(0), rows))
}

fn write(address: SocketAddr, rest: &str, batches: &[(i32, i32)]) -> Result<(), TaskError> {
    let object = options(&format!("host = \"{}\", port = {} {rest}", address.ip(), address.port()));
    let planned = SocketSink.plan(
        Options::new(&object, SINK_OPTIONS),
        &[rows(0..1).0],
        &context("sink[0] Socket", 1, JobMode::Batch),
        &mut Problems::default(),
    );
    let sink = planned.unwrap_or_else(|problems| panic!("{problems}"));
    block_on(async || {
        let mut writer = sink.writer(&task(0, 1))?;
        for (first, behind) in batches {
            writer.write(rows(*first..*behind).1).await?;
        }
        assert!(writer.prepare(1).await?.is_empty());
        writer.close().await
    })
    .expect("an executor")
}

/// A script that tells all that it reads.
fn listen() -> (Box<dyn FnOnce(TcpStream) + Send>, mpsc::Receiver<String>) {
    let (told, heard) = mpsc::sync_channel(1);
    let listening = script(move |mut socket| {
        let mut text = String::new();
        let _ = socket.read_to_string(&mut text);
        let _ = told.send(text);
    });
    (listening, heard)
}

#[test]
fn rows_are_sent_as_objects_with_nothing_between_them() {
    let (listening, heard) = listen();
    write(serve(vec![listening]), "", &[(1, 3), (3, 4)]).expect("written");
    assert_eq!(heard.recv_timeout(PATIENCE).expect("heard"), r#"{"id":1}{"id":2}{"id":3}"#);
}

#[test]
fn many_rows_arrive_whole() {
    let (listening, heard) = listen();
    write(serve(vec![listening]), "", &[(0, 100_000)]).expect("written");
    let text = heard.recv_timeout(PATIENCE).expect("heard");
    assert_eq!(text.matches("{\"id\":").count(), 100_000);
    assert!(text.ends_with("{\"id\":99999}"));
}

#[test]
fn a_server_that_is_not_there_fails_the_sink_after_its_retries() {
    let address = NOBODY;
    let error = write(address, ", max_retries = 0", &[(0, 1)]).expect_err("refused");
    assert!(error.is_retryable() && error.to_string().contains(&address.to_string()), "{error}");
    let begin = Instant::now();
    write(address, ", max_retries = 1", &[(0, 1)]).expect_err("refused twice");
    assert!(begin.elapsed() >= Duration::from_millis(500), "no pause before the retry");
}

#[test]
fn rows_go_on_over_a_new_connection_when_the_old_one_breaks() {
    let (listening, heard) = listen();
    let broken = script(|socket| read_a_little_and_close(&socket));
    let address = serve(vec![broken, listening]);
    // More than the sockets' buffers hold, so that the break is noticed.
    write(address, ", max_retries = 3", &[(0, 100_000)]).expect("written");
    let text = heard.recv_timeout(PATIENCE).expect("heard");
    assert!(text.starts_with("{\"id\":") && text.ends_with("{\"id\":99999}"), "a row was cut");
}

/// Leaves input unread, which makes the close a reset.
fn read_a_little_and_close(socket: &TcpStream) {
    let mut some = [0; 10];
    let _ = { socket }.read(&mut some);
}

#[test]
fn wrong_options_are_told_with_their_name() {
    let problems = |config: &str| match plan_source(&SocketSource, &options(config), &context("s", 1, JobMode::Batch)) {
        Ok((_, warnings)) => warnings.join("\n"),
        Err(problems) => problems.join("\n"),
    };
    assert!(problems("port = 1").contains("'host'"));
    assert!(problems("host = h").contains("'port'"));
    assert!(problems("host = h, port = 65536").contains("'port'"));
    assert!(problems("host = \"http://h\", port = 1").contains("'host'"));
    assert!(problems("host = h, port = 1, max_line_bytes = 0").contains("'max_line_bytes'"));
    assert!(problems("host = h, port = 1, max_retries = -2").contains("'max_retries'"));
    assert!(problems("host = h, port = 1, connect_timeout_ms = 0").contains("'connect_timeout_ms'"));
    assert_eq!(problems("host = \"[::1]\", port = 1, max_retries = -1"), "");
}

#[test]
fn the_page_of_the_documentation_is_up_to_date() {
    assert_eq!(SocketSource.options().len(), SOURCE_OPTIONS.len());
    check_page("socket.md", &[("Socket source", SOURCE_OPTIONS), ("Socket sink", SINK_OPTIONS)]);
}
