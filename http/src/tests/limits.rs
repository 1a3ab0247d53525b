//! Bounds: sizes, times and numbers.

use super::*;
use std::time::Instant;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let running = Running::with(HttpLimits { header_bytes_max: 8 << 10, ..HttpLimits::default() });
    let mut client = running.client();
    let _ = client.try_send(format!("GET /test/ok HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000)).as_bytes());
    let refused = client.response();
    assert_eq!((refused.status, refused.message().as_str()), (431, "The request's head is too large."));
    assert!(client.is_closed());
    assert_eq!((running.stats().heads_too_large.get(), running.stats().malformed.get()), (1, 0));
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let running = Running::with(HttpLimits { uri_bytes_max: 100, ..HttpLimits::default() });
    let mut client = running.client();
    assert_eq!(client.get(&format!("/test/ok?{}", "x".repeat(50))).status, 200);
    let refused = client.get(&format!("/test/ok?{}", "x".repeat(100)));
    assert_eq!(refused.status, 414);
    assert!(refused.message().contains("too long"));
    assert_eq!(running.stats().uris_too_long.get(), 1);
    let mut client = running.client();
    let _ = client.try_send(format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000)).as_bytes());
    assert!(matches!(client.response().status, 414 | 431));
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_client_can_read_why() {
    let running = Running::with(HttpLimits { body_bytes_max: 1000, ..HttpLimits::default() });
    let mut client = running.client();
    let _ = client.try_send(b"POST /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n");
    let _ = client.try_send(&vec![b'x'; 500_000]);
    let refused = client.response();
    assert_eq!((refused.status, refused.message().as_str()), (413, "The request body is larger than 1000 bytes."));
    assert!(client.is_closed());
    let mut client = running.client();
    client.send("POST /test/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    for _ in 0..20 {
        let _ = client.try_send(format!("64\r\n{}\r\n", "x".repeat(100)).as_bytes());
    }
    assert_eq!(client.response().status, 413);
    assert!(client.is_closed());
    assert_eq!(running.stats().bodies_too_large.get(), 2);
    assert_eq!(running.client().post("/test/echo", &"x".repeat(1000)).body.len(), 1000);
}

#[test]
fn all_bodies_together_are_bounded() {
    let limits = HttpLimits { body_bytes_max: 1000, bodies_bytes_max: 1500, ..HttpLimits::default() };
    let running = Running::with(limits);
    let mut first = running.client();
    first.send(format!("POST /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{}", "x".repeat(900)));
    eventually("the first body is being read", || running.stats().bytes_in.get() > 900);
    let refused = running.client().post("/test/echo", &"y".repeat(1000));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(first.send("x".repeat(100)).response().body.len(), 1000);
    assert_eq!(running.client().post("/test/echo", &"y".repeat(1000)).status, 200);
    assert_eq!(running.stats().bodies_without_room.get(), 1);
}

#[test]
fn a_head_that_comes_too_slowly_is_given_up() {
    let running = Running::with(HttpLimits { header_timeout: millis(200), ..HttpLimits::default() });
    let mut slow = running.client();
    let mut silent = running.client();
    let begun = Instant::now();
    slow.send("GET /test/ok HT");
    let refused = slow.response();
    assert!(begun.elapsed() >= millis(200) && begun.elapsed() < PATIENCE);
    assert_eq!((refused.status, refused.message().as_str()), (408, "The request's head did not arrive in time."));
    assert!(slow.is_closed());
    assert!(silent.is_closed(), "a silent client gets no answer");
    assert_eq!(running.stats().header_timeouts.get(), 2);
}

#[test]
fn a_head_that_trickles_is_given_up_too() {
    let running = Running::with(HttpLimits { header_timeout: millis(300), ..HttpLimits::default() });
    let mut client = running.client();
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && client.try_send(b"x").is_ok() && running.stats().header_timeouts.get() == 0 {
        std::thread::sleep(millis(10));
    }
    assert_eq!(client.response().status, 408);
}

#[test]
fn a_body_that_comes_too_slowly_is_given_up() {
    let running = Running::with(HttpLimits { body_timeout: millis(200), ..HttpLimits::default() });
    let mut client = running.client();
    client.send("POST /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf");
    let refused = client.response();
    assert_eq!((refused.status, refused.message().as_str()), (408, "The request body did not arrive in time."));
    assert!(client.is_closed());
    assert_eq!(running.stats().body_timeouts.get(), 1);
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let running = Running::with(HttpLimits { idle_timeout: millis(2_000), ..HttpLimits::default() });
    let mut idle = running.client();
    let mut busy = running.client();
    assert_eq!(idle.get("/test/ok").status, 200);
    let begun = Instant::now();
    while running.stats().idle_timeouts.get() == 0 {
        assert_eq!(busy.get("/test/ok").status, 200);
        assert!(begun.elapsed() < PATIENCE, "the idle connection was never closed");
        std::thread::sleep(millis(20));
    }
    assert!(begun.elapsed() >= millis(1_900));
    assert!(idle.is_closed());
    assert_eq!(busy.get("/test/ok").status, 200);
}

#[test]
fn a_handler_that_takes_too_long_is_given_up() {
    let running = Running::with(HttpLimits { handler_timeout: millis(200), ..HttpLimits::default() });
    let mut client = running.client();
    let refused = client.get("/test/sleep/60000");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(refused.message().contains("did not finish"));
    assert_eq!(running.stats().handler_timeouts.get(), 1);
    assert_eq!(running.client().get("/test/sleep/1").status, 200);
}

#[test]
fn a_client_that_reads_nothing_is_cut() {
    let running = Running::with(HttpLimits { write_timeout: millis(300), ..HttpLimits::default() });
    let mut client = running.client();
    client.send("GET /test/bytes/40000000 HTTP/1.1\r\nhost: x\r\n\r\n");
    eventually("the client is cut", || running.stats().write_timeouts.get() == 1);
    eventually("its place is free", || running.stats().open.get() == 0);
    assert!(running.stats().bytes_out.get() < 40_000_000);
}

#[test]
fn a_client_that_reads_slowly_is_served() {
    let limits = HttpLimits { write_timeout: millis(4_000), idle_timeout: millis(4_000), ..HttpLimits::default() };
    let running = Running::with(limits);
    let mut client = running.client();
    client.send("GET /test/bytes/20000000 HTTP/1.1\r\nhost: x\r\n\r\n");
    std::thread::sleep(millis(500));
    assert_eq!(client.response().body.len(), 20_000_000);
}

#[test]
fn a_burst_of_connections_does_not_get_past_the_limit() {
    let running = Running::with(HttpLimits { connections_max: 10, ..HttpLimits::default() });
    let _clients: Vec<_> = (0..50).map(|_| running.client()).collect();
    eventually("all are accepted", || running.stats().accepted.get() == 50);
    assert_eq!((running.stats().open.get(), running.stats().refused.get()), (10, 40));
}

#[test]
fn one_connection_too_many_is_told_so() {
    let running = Running::with(HttpLimits { connections_max: 3, ..HttpLimits::default() });
    let mut clients: Vec<_> = (0..3).map(|_| running.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/test/ok").status, 200);
    }
    let mut one_more = running.client();
    let _ = one_more.try_send(b"GET /test/ok HTTP/1.1\r\nhost: x\r\n\r\n");
    let refused = one_more.response();
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.message(), "Too many connections, try again later.");
    assert!(one_more.is_closed());
    assert_eq!(running.stats().refused.get(), 1);
    drop(clients.pop());
    eventually("a place is free", || running.stats().open.get() == 2);
    assert_eq!(running.client().get("/test/ok").status, 200);
}
