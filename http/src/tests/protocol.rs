//! What HTTP/1.1 asks of a server, and what clients do to it.

use super::*;

const GET_OK: &str = "GET /test/ok HTTP/1.1\r\nhost: x\r\n\r\n";

#[test]
fn a_request_may_come_byte_by_byte() {
    let running = Running::new();
    let mut client = running.client();
    for byte in "POST /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello".bytes() {
        client.send([byte]);
    }
    let response = client.response();
    assert_eq!((response.status, &response.body[..]), (200, &b"hello"[..]));
    assert_eq!(response.header("content-type"), Some("application/json"));
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let running = Running::new();
    let mut client = running.client();
    let requests: String = (0..200).map(|n| format!("GET /test/bytes/{n} HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
    client.send(&requests);
    for length in 0..200 {
        assert_eq!(client.response().body.len(), length);
    }
    assert_eq!(client.get("/test/ok").status, 200);
}

#[test]
fn answers_before_a_malformed_request_are_not_lost() {
    let running = Running::new();
    let mut client = running.client();
    client.send(format!("{GET_OK}{GET_OK}\u{1}garbage\r\n\r\n"));
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 200);
    let refused = client.response();
    assert_eq!(refused.status, 400);
    assert_eq!(refused.message(), "The request is not valid HTTP/1.1.");
    assert!(client.is_closed());
    assert_eq!(running.stats().malformed.get(), 1);
}

#[test]
fn an_answer_before_trailing_bytes_is_not_lost() {
    let running = Running::new();
    let mut client = running.client();
    client.send("GET /test/ok HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\ntrailing bytes");
    assert_eq!(client.response().status, 200);
    assert!(client.is_closed());
}

#[test]
fn garbage_is_refused_in_the_envelope() {
    let running = Running::new();
    for garbage in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n"] {
        let mut client = running.client();
        let refused = client.send(garbage).response();
        assert_eq!((refused.status, refused.message().as_str()), (400, "The request is not valid HTTP/1.1."));
        assert_eq!(refused.header("connection"), Some("close"));
        assert!(client.is_closed());
    }
}

#[test]
fn a_client_that_shut_down_its_half_gets_its_answer() {
    let running = Running::new();
    let mut client = running.client();
    assert_eq!(client.send(GET_OK).shutdown_write().response().status, 200);
    assert!(client.is_closed());
    let mut client = running.client();
    client.send("GET /test/sleep/30 HTTP/1.1\r\nhost: x\r\n\r\n").shutdown_write();
    assert_eq!(client.response().status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_connection_serves_many_requests_and_bodies_of_both_kinds() {
    let running = Running::new();
    let mut client = running.client();
    assert_eq!(client.post("/test/echo", "one").body, b"one");
    client.send("POST /test/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n").send("4;extension=1\r\ndefg\r\n").send("0\r\ntrailer: x\r\n\r\n");
    assert_eq!(client.response().body, b"abcdefg");
    client.send("PUT /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(client.response().body, b"");
    assert_eq!(running.stats().accepted.get(), 1);
    assert_eq!(running.stats().routes[0].by_class(), [0, 3, 0, 0, 0]);
}

#[test]
fn a_large_body_comes_and_goes_whole() {
    let running = Running::new();
    let mut client = running.client();
    let body = "0123456789abcdef".repeat(1 << 16);
    assert_eq!(client.post("/test/echo", &body).body, body.as_bytes());
    assert_eq!(client.get("/test/bytes/9000000").body.len(), 9_000_000);
}

#[test]
fn large_answers_to_pipelined_requests_wait_for_the_client() {
    let running = Running::new();
    let mut client = running.client();
    for _ in 0..20 {
        client.send("GET /test/bytes/3000000 HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    assert_eq!(running.client().get("/test/ok").status, 200, "others are served meanwhile");
    for _ in 0..20 {
        assert_eq!(client.response().body.len(), 3_000_000);
    }
}

#[test]
fn a_broken_chunk_is_refused() {
    let running = Running::new();
    let mut client = running.client();
    client.send("POST /test/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnot hex\r\n");
    let refused = client.response();
    assert_eq!(refused.status, 400);
    assert!(refused.message().contains("malformed"));
    assert!(client.is_closed());
}

#[test]
fn a_body_that_ends_early_takes_no_harm() {
    let running = Running::new();
    let mut client = running.client();
    client.send("POST /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf").shutdown_write();
    assert_eq!(client.response().status, 400);
    assert!(client.is_closed());
    assert_eq!(running.client().get("/test/ok").status, 200);
}

#[test]
fn older_clients_get_one_answer_a_connection() {
    let running = Running::new();
    let mut client = running.client();
    let response = client.send("GET /test/ok HTTP/1.0\r\n\r\n").response();
    assert!(response.head.starts_with("HTTP/1.0 200"), "{}", response.head);
    assert!(client.is_closed());
}

#[test]
fn head_answers_without_the_body() {
    let running = Running::new();
    let mut client = running.client();
    let response = client.send("HEAD /test/bytes/77 HTTP/1.1\r\nhost: x\r\n\r\n").bare_response();
    assert_eq!((response.status, response.header("content-length")), (200, Some("77")));
    let response = client.send("HEAD /nowhere HTTP/1.1\r\nhost: x\r\n\r\n").bare_response();
    assert_eq!(response.status, 404);
    assert_eq!(client.get("/test/ok").body, b"[]");
}

#[test]
fn unknown_paths_and_wrong_methods_are_told_apart() {
    let running = Running::new();
    let mut client = running.client();
    let missing = client.get("/nowhere?x=1");
    assert_eq!((missing.status, missing.message().as_str()), (404, "There is no resource /nowhere."));
    let refused = client.get("/hazelcast/rest/maps/submit-job");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST, PUT")));
    assert!(refused.message().contains("GET is not allowed"));
    let refused = client.send("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n").response();
    assert_eq!(refused.status, 404);
    assert_eq!(client.get("/test/ok").status, 200);
}

#[test]
fn a_client_that_waits_for_leave_is_given_it() {
    let running = Running::new();
    let mut client = running.client();
    client.send("POST /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n");
    assert_eq!(client.bare_response().status, 100);
    assert_eq!(client.send("ok").response().body, b"ok");
}

#[test]
fn a_panicking_handler_costs_one_answer_only() {
    let running = Running::new();
    let mut client = running.client();
    let failed = client.get("/test/panic");
    assert_eq!(failed.status, 500);
    assert!(failed.message().contains("Internal error"));
    assert_eq!(running.client().get("/test/ok").status, 200);
    assert_eq!(running.stats().panics.get(), 1);
    assert_eq!(running.stats().routes[0].by_class()[4], 1);
}

#[test]
fn an_unread_body_ends_the_connection_but_not_the_answer() {
    let running = Running::new();
    let mut client = running.client();
    client.send("POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    let _ = client.try_send(&vec![b'x'; 1_000_000]);
    let refused = client.response();
    assert_eq!((refused.status, refused.header("connection")), (404, Some("close")));
    assert!(client.is_closed());
}

#[test]
fn a_short_body_that_nobody_wants_does_not_end_the_connection() {
    let running = Running::new();
    let mut client = running.client();
    client.send("GET /test/ok HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}");
    assert_eq!(client.response().header("connection"), None);
    assert_eq!(client.get("/test/ok").status, 200);
}

#[test]
fn a_connection_that_is_reset_frees_its_place() {
    let running = Running::new();
    for _ in 0..20 {
        let mut client = running.client();
        client.send("POST /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf");
    }
    eventually("all places are free", || running.stats().accepted.get() == 20 && running.stats().open.get() == 0);
}
