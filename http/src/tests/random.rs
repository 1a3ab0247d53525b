//! Requests cut anywhere, and bytes that are nearly requests.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// A request that is answered with its body.
fn echo(body: &[u8], chunk_bytes: Option<usize>) -> Vec<u8> {
    let mut bytes = b"POST /test/echo HTTP/1.1\r\nhost: x\r\n".to_vec();
    match chunk_bytes {
        None => {
            bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
        }
        Some(chunk_bytes) => {
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            for chunk in body.chunks(chunk_bytes.max(1)) {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
        }
    }
    bytes
}

#[test]
fn requests_cut_anywhere_are_answered_in_their_order() {
    let running = Running::new();
    let request = (vec(any::<u8>(), 0..500), proptest::option::of(1usize..100));
    let strategy = (vec(request, 1..12), vec(any::<Index>(), 0..16));
    let tried = runner(150).run(&strategy, |(requests, cuts)| {
        let bytes: Vec<u8> = requests.iter().flat_map(|(body, chunked)| echo(body, *chunked)).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).chain([bytes.len()]).collect();
        cuts.sort_unstable();
        let mut client = running.client();
        let mut sent = 0;
        for cut in cuts {
            client.send(&bytes[sent..cut]);
            sent = cut;
        }
        for (body, _) in &requests {
            prop_assert_eq!(&client.response().body, body);
        }
        Ok(())
    });
    tried.expect("every request is answered");
}

#[test]
fn whatever_comes_ends_and_harms_nobody() {
    let running = Running::new();
    let request = (vec(any::<u8>(), 0..100), proptest::option::of(1usize..40));
    let strategy = (vec(request, 1..4), vec((any::<Index>(), any::<u8>()), 0..8), any::<Index>());
    let tried = runner(150).run(&strategy, |(requests, changes, end)| {
        let mut bytes: Vec<u8> = requests.iter().flat_map(|(body, chunked)| echo(body, *chunked)).collect();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        let mut client = running.client();
        // The server may have seen enough before all is sent.
        let _ = client.try_send(&bytes);
        client.read_to_end();
        Ok(())
    });
    tried.expect("every connection ends");
    assert_eq!(running.client().get("/test/ok").status, 200);
    assert_eq!(running.stats().panics.get(), 0);
    eventually("all connections are gone", || running.stats().open.get() <= 1);
}
