//! Requests that others might read differently, and what attackers try.

use super::*;

const BASES: [&str; 2] = ["/hazelcast/rest/maps/", "/"];
const HEAD: &str = "POST /test/echo HTTP/1.1\r\nhost: x\r\n";

/// Sends bytes that must be refused for good, in the envelope, and never answered a second time.
#[track_caller]
fn refused(running: &Running, bytes: impl AsRef<[u8]>, status: u16, what: &str) {
    let mut client = running.client();
    // What is refused at its beginning may not be read to its end.
    let _ = client.try_send(bytes.as_ref());
    let response = client.response();
    assert_eq!(response.status, status, "{what}: {}", response.head);
    assert!(!response.message().is_empty());
    assert_eq!(response.header("connection"), Some("close"), "{what}");
    assert!(client.is_closed(), "{what}");
}

#[test]
fn lengths_that_can_be_read_in_two_ways_are_refused() {
    let running = Running::new();
    for lengths in [
        "content-length: 2\r\ncontent-length: 3",
        "content-length: 2, 2",
        "content-length: 2, 3",
        "content-length: +2",
        "content-length: -2",
        "content-length: 0x2",
        "content-length: 2 2",
        "content-length:",
        "content-length: 18446744073709551616",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding:",
    ] {
        refused(&running, format!("{HEAD}{lengths}\r\n\r\nhi"), 400, lengths);
    }
    refused(&running, "POST /test/echo HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, "HTTP/1.0");
    let mut client = running.client();
    let same_twice = format!("{HEAD}content-length: 2\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(client.send(same_twice).response().body, b"hi");
    assert_eq!(client.get("/test/ok").status, 200);
}

/// With both a length and chunks, the chunks count, and nothing behind them is taken for a request (RFC 9112, 6.1).
#[test]
fn a_request_hidden_behind_another_is_not_served() {
    let running = Running::new();
    let hidden = "GET /test/panic HTTP/1.1\r\nhost: x\r\n\r\n";
    let length = format!("content-length: {}\r\n", 5 + hidden.len());
    let chunked = "transfer-encoding: chunked\r\n";
    for framing in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
        let mut client = running.client();
        let response = client.send(format!("{HEAD}{framing}\r\n0\r\n\r\n{hidden}")).response();
        assert_eq!((response.status, &response.body[..]), (200, &b""[..]));
        assert!(client.is_closed(), "{framing}");
    }
    assert_eq!(running.stats().panics.get(), 0);
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_refused() {
    let running = Running::new();
    for chunks in [
        "fffffffffffffffff\r\n",
        "-1\r\nhi\r\n",
        "0x2\r\nhi\r\n",
        " 2\r\nhi\r\n",
        "2\nhi\r\n",
        "2\r\nhi\n0\r\n\r\n",
        "2\r\nhi!\r\n0\r\n\r\n",
        "\r\n2\r\nhi\r\n",
        &format!("2;{}\r\nhi\r\n", "x".repeat(100_000)),
        &format!("0\r\n{}\r\n", "x: y\r\n".repeat(20_000)),
    ] {
        let what = &chunks[..chunks.len().min(40)];
        refused(&running, format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunks}"), 400, what);
    }
    assert_eq!(running.stats().body_bytes.get(), 0);
}

#[test]
fn heads_that_break_the_rules_are_refused() {
    let running = Running::new();
    let host = "host: x\r\n";
    for head in [
        format!("GET /test/ok HTTP/1.1\r\n{host}x : y\r\n\r\n"),
        format!("GET /test/ok HTTP/1.1\r\n x: y\r\n{host}\r\n"),
        format!("GET /test/ok HTTP/1.1\r\n{host}x: y\r\n folded\r\n\r\n"),
        format!("GET /test/ok HTTP/1.1\r\n{host}x: \0\r\n\r\n"),
        format!("GET /test/ok HTTP/1.1\r\n{host}x: a\rb\r\n\r\n"),
        format!("GET /test/ok HTTP/1.1\r\n{host}no colon\r\n\r\n"),
        format!("GET /test/ok HTTP/1.1\r\n{host}: nameless\r\n\r\n"),
        format!("GET /test/\0 HTTP/1.1\r\n{host}\r\n"),
        format!("GET /test/ok HTTP/1.2\r\n{host}\r\n"),
        format!("GET /test/ok HTTP/2.0\r\n{host}\r\n"),
        format!("GET /test/ok HTTP/1.1 \r\n{host}\r\n"),
        format!("GET /test/ok\r\n{host}\r\n"),
        format!("GET test/ok HTTP/1.1\r\n{host}\r\n"),
        format!("GET ftp:///x HTTP/1.1\r\n{host}\r\n"),
        format!("GET  /test/ok HTTP/1.1\r\n{host}\r\n"),
        format!("G[T /test/ok HTTP/1.1\r\n{host}\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "GET /test/ok HTTP/1.1\r\n\r\n".to_owned(),
        "GET /test/ok HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
        "GET /test/ok HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
    ] {
        refused(&running, &head, 400, &head);
    }
    // What begins a TLS handshake.
    refused(&running, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "TLS");
    let many = format!("GET /test/ok HTTP/1.1\r\n{host}{}\r\n", "x: y\r\n".repeat(200));
    refused(&running, many, 431, "two hundred headers");
    assert_eq!(running.stats().heads_too_large.get(), 1);
}

#[test]
fn a_head_that_ends_early_is_told_so() {
    let running = Running::new();
    let mut client = running.client();
    client.send("GET /test/ok HTTP/1.1\r\nhost: x\r\n").shutdown_write();
    assert_eq!(client.response().status, 400);
    assert!(client.is_closed());
    let mut silent = running.client();
    assert!(silent.shutdown_write().is_closed(), "who has said nothing gets no answer");
    assert_eq!(running.stats().malformed.get(), 1);
}

#[test]
fn targets_may_have_every_form() {
    let running = Running::new();
    let mut client = running.client();
    let mut ask = |target: &str| client.send(format!("{target} HTTP/1.1\r\nhost: x\r\n\r\n")).response();
    assert_eq!(ask("GET http://elsewhere:1/test/ok?a=b").status, 200);
    assert_eq!(ask("GET http://elsewhere/running-jobs").body, b"[]");
    assert_eq!(ask("GET http://elsewhere").status, 404);
    assert_eq!(ask("GET /running-jobs#part").status, 200);
    let refused = ask("OPTIONS *");
    assert_eq!((refused.status, refused.message().as_str()), (404, "There is no resource *."));
    let refused = ask("OPTIONS /running-jobs");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(ask("TRACE /running-jobs").status, 405);
    assert_eq!(ask("FROB /running-jobs").status, 405);
    // A proxy is what this is not.
    let mut client = running.client();
    let refused = client.send("CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere:443\r\n\r\n").response();
    assert_eq!(refused.status, 404);
    assert!(!refused.message().is_empty());
}

#[test]
fn a_connection_ends_when_either_side_says_so() {
    let running = Running::new();
    let mut client = running.client();
    let ask = |version: &str, connection: &str| {
        format!("GET /test/ok HTTP/{version}\r\nhost: x\r\nconnection: {connection}\r\n\r\n")
    };
    let kept = client.send(ask("1.0", "keep-alive")).response();
    assert_eq!((kept.status, kept.header("connection")), (200, Some("keep-alive")));
    assert_eq!(client.send(ask("1.1", "keep-alive")).response().status, 200);
    // An upgrade that this server does not know is no reason to refuse.
    let upgrade = "upgrade: h2c\r\nconnection: upgrade";
    assert_eq!(client.send(format!("GET /test/ok HTTP/1.1\r\nhost: x\r\n{upgrade}\r\n\r\n")).response().status, 200);
    let last = client.send(ask("1.1", "close")).response();
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    assert!(client.is_closed());
    let mut client = running.client();
    assert_eq!(client.send(ask("1.0", "close")).response().status, 200);
    assert!(client.is_closed());
}

#[test]
fn nobody_is_asked_for_a_body_that_is_refused() {
    let running = Running::with(HttpLimits { body_bytes_max: 1000, ..HttpLimits::default() });
    for (path, length, status) in [("/nowhere", 10_000, 404), ("/running-jobs", 10_000, 405), ("/test/echo", 1001, 413)]
    {
        let mut client = running.client();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n");
        let response = client.send(head).response();
        assert_eq!(response.status, status);
        assert_eq!(response.header("connection"), Some("close"), "the body may come all the same");
        assert!(client.shutdown_write().is_closed());
    }
}

#[test]
fn web_pages_of_other_sites_change_nothing() {
    let running = Running::new();
    let mut client = running.client();
    for base in BASES {
        let ask = |method: &str, path: &str, site: &str| {
            format!(
                "{method} {base}{path} HTTP/1.1\r\nhost: x\r\nsec-fetch-site: {site}\r\ncontent-length: 2\r\n\r\n{{}}"
            )
        };
        let refused = running.client().send(ask("POST", "update-tags", "cross-site")).response();
        assert_eq!((refused.status, refused.header("connection")), (403, Some("close")));
        assert_eq!(refused.message(), "Web pages of other sites may not change anything here.");
        for site in ["same-origin", "same-site", "none"] {
            assert_eq!(client.send(ask("POST", "update-tags", site)).response().status, 200);
        }
        let read = client.send(ask("GET", "running-jobs", "cross-site")).response();
        assert_eq!(read.status, 200);
        assert!(!read.head.to_ascii_lowercase().contains("access-control"), "no page may read it");
    }
}

#[test]
fn odd_paths_are_not_found_or_refused() {
    let running = Running::new();
    let mut client = running.client();
    for base in BASES {
        for (path, status) in [
            ("job-info/%31", 400),
            ("job-info/%00", 400),
            ("job-info/%", 400),
            ("job-info/..%2f..", 400),
            ("../../../etc/passwd", 404),
            ("./running-jobs", 404),
            ("%72unning-jobs", 404),
            ("running%2djobs", 404),
            ("\u{e9}", 404),
            ("overview?a=%", 400),
            ("overview?%00=%ff", 200),
            ("logs/..%2f..%2fetc%2fpasswd", 404),
        ] {
            let response = client.get(&format!("{base}{path}"));
            assert_eq!(response.status, status, "{base}{path}");
            if status != 200 {
                assert!(!response.message().is_empty());
            }
        }
        let many: Vec<String> = (0..1300).map(|number| format!("n{number}")).collect();
        assert_eq!(client.get(&format!("{base}overview?{}", many.join("&"))).status, 200);
        assert_eq!(client.get(&format!("{base}finished-jobs/{}", "/".repeat(4000))).status, 200);
    }
}

#[test]
fn deep_and_wide_bodies_are_refused_or_read() {
    let running = Running::new();
    let deep =
        |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(200_000), close.repeat(200_000));
    let bodies = [
        ("arrays", deep("[", "", "]")),
        ("objects", deep("{\"a\":", "1", "}")),
        ("unclosed arrays", "[".repeat(1 << 20)),
        ("configs", format!("[{}]", vec!["{}"; 100_000].join(","))),
        ("numbers", format!("[{}1]", "1,".repeat(500_000))),
        ("one number", "9".repeat(1 << 20)),
        ("one text", format!("\"{}\"", "x".repeat(1 << 20))),
        ("backslashes", format!("\"{}\"", "\\".repeat(1 << 20))),
        ("not UTF-8", "\u{e9}".repeat(1 << 19)),
    ];
    for base in BASES {
        for path in [
            "submit-job",
            "submit-job?format=hocon",
            "submit-jobs",
            "stop-job",
            "stop-jobs",
            "encrypt-config",
            "update-tags",
        ] {
            for (what, body) in &bodies {
                let response = running.client().post(&format!("{base}{path}"), body);
                // What is no object among the configs of submit-jobs is passed over.
                if path == "submit-jobs" && response.status == 200 {
                    assert_eq!(response.body, b"[]", "{what}");
                } else {
                    assert_eq!(response.status, 400, "{path} with {what}");
                    assert!(!response.message().is_empty());
                }
            }
        }
    }
    assert_eq!((running.stats().panics.get(), running.stats().body_bytes.get()), (0, 0));
}

#[test]
fn odd_forms_are_refused() {
    let running = Running::new();
    let file = "Content-Disposition: form-data; name=\"config_file\"; filename=\"job.json\"";
    let long = "x".repeat(1 << 20);
    for (boundary, body) in [
        ("X", String::from("--X--\r\n")),
        ("X", "--X\r\n\r\n\r\n--X--\r\n".into()),
        ("X", format!("--X\r\n{file}\r\n\r\nno end")),
        ("X", format!("--X\r\n{file}\r\n\r\n\r\n--X--\r\n")),
        ("X", format!("--X\r\n{file}\r\n\r\n{{\r\n--X--\r\n")),
        ("X", format!("--X\r\n{}\r\n\r\n{{}}\r\n--X--\r\n", "x: y\r\n".repeat(1000).trim_end())),
        ("X", format!("--X\r\nx: {long}\r\n\r\n{{}}\r\n--X--\r\n")),
        ("X", format!("--X\r\n{file}\r\nContent-Type: \0\r\n\r\n{{}}\r\n--X--\r\n")),
        ("X", "\r\n--".repeat(200_000)),
        ("X", "--X\r\n".repeat(100_000)),
        ("X", "\r\n--Y".repeat(200_000)),
        ("\"", "x".into()),
        ("", "x".into()),
        (&long[..7000], "x".into()),
    ] {
        let head = format!(
            "POST /submit-job/upload HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary={boundary}\r\n"
        );
        let mut client = running.client();
        let response = client.send(format!("{head}content-length: {}\r\n\r\n{body}", body.len())).response();
        assert_eq!(response.status, 400, "{boundary:.20} {body:.60}");
        assert!(!response.message().is_empty());
    }
    assert_eq!((running.stats().panics.get(), running.stats().body_bytes.get()), (0, 0));
}

#[test]
fn no_name_leads_out_of_the_folder_of_logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("logs");
    std::fs::create_dir(&inner).expect("a folder");
    std::fs::write(folder.path().join("job-9.log"), "secret").expect("written");
    std::fs::write(inner.join("notes.log"), "secret").expect("written");
    std::fs::write(inner.join("job-1.log"), "a line").expect("written");
    std::os::unix::fs::symlink(folder.path().join("job-9.log"), inner.join("job-2.log")).expect("a link");
    let logs = JobLogs::open(JobLogSettings::in_folder(&inner)).expect("logs");
    let node = crate::NodeSettings { logs: Some(logs), ..crate::NodeSettings::default() };
    let running = Running::configured(ServerConfig { listeners: vec![anywhere()], node, ..ServerConfig::default() });
    let mut client = running.client();
    for route in BASES.iter().flat_map(|base| ["logs/", "log/"].map(|route| format!("{base}{route}"))) {
        assert_eq!(client.get(&format!("{route}job-1.log")).body, b"a line");
        assert_eq!(client.get(&format!("{route}job%2d1%2elog")).body, b"a line");
        for name in [
            "../job-9.log",
            "..%2fjob-9.log",
            "%2e%2e%2fjob-9.log",
            "%2e%2e/job-9.log",
            "..%5cjob-9.log",
            "%252e%252e%252fjob-9.log",
            "job-1.log/../../job-9.log",
            "/etc/passwd.log",
            "job-1.log%00",
            "job-1.log%2f",
            "job-01.log",
            "job-1.log.1",
            "job-2.log",
            "job-3.log",
            "notes.log",
            ".log",
        ] {
            let response = client.get(&format!("{route}{name}"));
            assert_eq!((response.status, &response.body[..]), (400, &b""[..]), "{route}{name}");
        }
    }
    assert_eq!(client.get("/get-all-log-name").body, br#"["job-1.log"]"#);
    // Links name the host by which the client came, if it is one.
    let page = |target: &str, host: &str| {
        let mut client = running.client();
        let response = client.send(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n")).response();
        String::from_utf8(response.body).expect("text")
    };
    assert!(page("/logs", "node-1:80").contains("\"http://node-1:80/logs/job-1.log\""));
    assert!(page("http://node-2/logs", "node-1").contains("\"http://node-2/logs/job-1.log\""));
    let own = format!("\"http://localhost:{}/logs/job-1.log\"", running.address().port());
    for host in ["\"><script>", "a@b", "", &"x".repeat(300)] {
        assert!(page("/logs", host).contains(&own), "{host}");
    }
}
