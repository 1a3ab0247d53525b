//! The client: answers as servers really give them.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::server::{Reply, Server, answer, json};
use super::{read, took_at_least};

fn text_of(server: &Server, rest: &str) -> Result<Vec<String>, String> {
    read(&format!(r#"url = "{}", {rest}"#, server.url("/"))).map_err(|error| error.to_string())
}

#[test]
fn chunked_and_open_ended_answers_are_whole() {
    let chunked = Server::start(|_, _| {
        Reply::Send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n".to_vec(),
        )
    });
    assert_eq!(text_of(&chunked, ""), Ok(vec!["abcde".into()]));
    let open = Server::start(|_, _| Reply::SendAndClose(b"HTTP/1.0 200 OK\r\n\r\nabcde".to_vec()));
    assert_eq!(text_of(&open, ""), Ok(vec!["abcde".into()]));
}

#[test]
fn packed_answers_are_unpacked() {
    let server = Server::start(|number, _| {
        let text = b"text ".repeat(1000);
        if number == 0 {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&text).expect("in memory");
            answer("200 OK", "Content-Encoding: gzip\r\n", &encoder.finish().expect("in memory"))
        } else {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&text).expect("in memory");
            answer("200 OK", "Content-Encoding: deflate\r\n", &encoder.finish().expect("in memory"))
        }
    });
    for _ in 0..2 {
        assert_eq!(text_of(&server, "").expect("text")[0], "text ".repeat(1000));
    }
}

#[test]
fn an_answer_beyond_the_bound_is_refused_by_name() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n",
    ] {
        let server = Server::start(move |_, _| Reply::Send([reply.as_bytes(), &[b'x'; 2000]].concat()));
        let error = text_of(&server, "max_response_bytes = 1999, retry = 3").expect_err("too large");
        assert!(error.contains("max_response_bytes = 1999"), "{error}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn redirects_are_followed_to_their_end() {
    let server = Server::start(|_, asked| match asked.line.split(' ').nth(1) {
        Some("/") => answer("302 Found", "Location: b/c?x=1\r\n", b"moved"),
        Some("/b/c?x=1") => answer("307 Go", "Location: ../d\r\n", b""),
        Some("/d") => answer("200 OK", "", b"here"),
        _ => answer("301 Round", "Location: /loop\r\n", b""),
    });
    assert_eq!(text_of(&server, "headers { token = t }"), Ok(vec!["here".into()]));
    assert_eq!(server.asked()[2].header("token"), Some("t"));
    let endless = read(&format!(r#"url = "{}""#, server.url("/loop"))).expect_err("endless").to_string();
    assert!(endless.contains("50 redirects"), "{endless}");
    // A POST is not repeated elsewhere unasked.
    let error = text_of(&server, "method = POST, body = x").expect_err("a redirect").to_string();
    assert!(error.contains("302"), "{error}");
}

#[test]
fn secrets_do_not_follow_to_another_server() {
    let other = Server::start(|_, _| answer("200 OK", "", b"ok"));
    let location = format!("Location: {}\r\n", other.url("/"));
    let server = Server::start(move |_, _| answer("302 Found", &location, b""));
    assert_eq!(text_of(&server, "headers { token = t, Authorization = a, Accept = b }"), Ok(vec!["ok".into()]));
    let asked = &other.asked()[0];
    assert_eq!((asked.header("token"), asked.header("authorization"), asked.header("accept")), (None, None, Some("b")));
}

#[test]
fn broken_connections_are_tried_again_as_often_as_asked() {
    let broken_twice = || {
        Server::start(|number, _| match number {
            0 => Reply::Close,
            1 => Reply::SendAndClose(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbroken".to_vec()),
            _ => answer("200 OK", "", b"whole"),
        })
    };
    let server = broken_twice();
    let begin = Instant::now();
    let text = text_of(&server, "retry = 2, retry_backoff_multiplier_ms = 30, retry_backoff_max_ms = 40");
    assert_eq!(text, Ok(vec!["whole".into()]));
    assert!(took_at_least(begin, 60), "no pauses");
    let server = broken_twice();
    let error = text_of(&server, "retry = 1, retry_backoff_multiplier_ms = 1").expect_err("one try too few");
    assert!(error.contains("after 2 tries"), "{error}");
    let server = broken_twice();
    assert!(text_of(&server, "").is_err());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_kept_connection_that_the_server_closed_is_replaced_unasked() {
    let server = Server::start(|number, _| {
        let page = if number < 3 { r#"[{"a":1}]"# } else { "[]" };
        match json(page) {
            Reply::Send(bytes) => Reply::SendAndClose(bytes),
            other => other,
        }
    });
    let config = format!(
        r#"url = "{}", format = json, schema {{ fields {{ a = int }} }}, pageing {{ batch_size = 1 }}"#,
        server.url("/")
    );
    assert_eq!(read(&config).expect("rows"), ["1", "1", "1"]);
    let connections: Vec<usize> = server.asked().iter().map(|asked| asked.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3]);
}

#[test]
fn a_silent_server_is_given_up() {
    let server = Server::start(|_, _| Reply::Hang);
    let error = text_of(&server, "socket_timeout_ms = 50").expect_err("silence");
    assert!(error.contains("socket_timeout_ms = 50"), "{error}");
    let half = Server::start(|number, _| match number {
        0 => Reply::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec()),
        _ => Reply::Hang,
    });
    let error = text_of(&half, "socket_timeout_ms = 50").expect_err("silence");
    assert!(error.contains("socket_timeout_ms = 50"), "{error}");
}

#[test]
fn nobody_there_is_told_with_the_address() {
    // No server of another test has this address.
    let address = "127.0.0.99:9";
    let error = read(&format!(r#"url = "http://{address}/x", connect_timeout_ms = 60000"#)).expect_err("refused");
    assert!(error.is_retryable());
    assert!(error.to_string().contains(address), "{error}");
}

#[test]
fn what_is_no_http_is_told() {
    let server = Server::start(|_, _| Reply::SendAndClose(b"SSH-2.0-OpenSSH\r\n".to_vec()));
    assert!(text_of(&server, "").is_err());
    let packed = Server::start(|_, _| answer("200 OK", "Content-Encoding: br\r\n", b"x"));
    assert!(text_of(&packed, "").expect_err("brotli").contains("'br'"));
}

#[test]
fn a_slow_answer_is_waited_for_piece_by_piece() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (done, ended) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut request = [0; 4096];
        let _ = std::io::Read::read(&mut socket, &mut request);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        for piece in head.as_bytes().chunks(7).chain([b"a".as_slice(), b"b", b"c", b"d", b"e"]) {
            socket.write_all(piece).expect("the client listens");
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = done.send(());
    });
    assert_eq!(read(&format!(r#"url = "http://{address}/""#)).expect("text"), ["abcde"]);
    ended.recv_timeout(Duration::from_secs(60)).expect("the server ends");
}
