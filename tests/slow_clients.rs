//! `egret serve` among clients that are slow, silent or idle: they are sent away in time, and others are served.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::http::Client;
use support::node::Node;
use support::{PATIENCE, eventually};

/// Clients that send a byte now and then: half of them of a head, half of a body.
const SLOW: usize = 100;
/// Clients that keep their connection: half of them after a request, half without a word.
const IDLE: usize = 500;
/// The node's patience with each of them.
const TIMEOUT: Duration = Duration::from_secs(1);

/// A client that sends byte by byte, and never the last one.
struct Slow {
    stream: TcpStream,
    received: Vec<u8>,
    ended: Option<Instant>,
}

impl Slow {
    fn open(address: SocketAddr, beginning: &str) -> Self {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).expect("connect");
        stream.write_all(beginning.as_bytes()).expect("the beginning is sent");
        stream.set_nonblocking(true).expect("an option of the socket");
        Self { stream, received: Vec::new(), ended: None }
    }

    /// Sends a byte and looks at what has come.
    fn go_on(&mut self) {
        // The node may have closed its side; what it said before can be read all the same.
        let _ = self.stream.write(b"x");
        let mut buffer = [0; 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.ended = Some(Instant::now()),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The node has closed the connection long ago, and this client has looked late: the answer was read before.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && !self.received.is_empty() => {
                self.ended = Some(Instant::now());
            }
            Err(error) => {
                panic!("reset before its answer was read: {error}; {:?}", String::from_utf8_lossy(&self.received))
            }
        }
    }
}

/// The sum of a family's samples that hold a label.
fn metric(client: &mut Client, family: &str, label: &str) -> f64 {
    let text = client.get("/metrics").text();
    let samples = text.lines().filter(|line| line.starts_with(family) && line.contains(label));
    samples.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")).sum()
}

#[test]
fn slow_and_idle_clients_are_sent_away_while_others_are_served() {
    let seconds = format!("{}s", TIMEOUT.as_secs());
    let timeouts = ["header", "body", "idle"].map(|what| format!("--http-{what}-timeout={seconds}"));
    let node = Node::with(&timeouts);
    let address = node.address();
    // Whatever is opened at the first use is open.
    assert_eq!(node.client().get("/metrics").status, 200);
    eventually("no connection is left", || match metric(&mut node.client(), "egret_http_connections{", "") {
        open if open <= 1.0 => Ok(()),
        open => Err(open),
    });
    let files = node.program().open_files();

    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let healthy = scope.spawn(|| {
            let mut answered = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(Client::connect(address).get("/running-jobs").status, 200);
                answered += 1;
            }
            answered
        });
        let began = Instant::now();
        let mut slow: Vec<Slow> = (0..SLOW)
            .map(|number| match number % 2 {
                0 => Slow::open(address, "GET /running-jobs?"),
                _ => Slow::open(address, "POST /submit-job HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"),
            })
            .collect();
        let mut idle: Vec<Client> = (0..IDLE).map(|_| Client::connect(address)).collect();
        for client in idle.iter_mut().step_by(2) {
            // On a busy machine it may be too late already.
            client.try_get("/running-jobs");
        }
        while slow.iter().any(|client| client.ended.is_none()) {
            assert!(began.elapsed() < PATIENCE, "slow clients are never sent away");
            slow.iter_mut().filter(|client| client.ended.is_none()).for_each(Slow::go_on);
            // The pace of the clients.
            thread::sleep(Duration::from_millis(20));
        }
        for client in &slow {
            let said = String::from_utf8_lossy(&client.received);
            assert!(said.starts_with("HTTP/1.1 408 ") && said.contains(r#"{"status":"fail","message":"#), "{said}");
            assert!(client.ended.is_some_and(|ended| ended - began >= TIMEOUT));
        }
        assert!(idle.iter_mut().all(Client::is_closed));
        over.store(true, Ordering::Relaxed);
        assert!(healthy.join().expect("every request of the healthy client is answered") > 0);
    });

    let mut client = node.client();
    let refused =
        |client: &mut Client, limit: &str| metric(client, "egret_http_refused_total{", &format!("\"{limit}\""));
    assert_eq!(refused(&mut client, "body_timeout"), (SLOW / 2) as f64);
    let (heads, idle) = (refused(&mut client, "header_timeout"), refused(&mut client, "idle_timeout"));
    assert_eq!(heads + idle, (SLOW / 2 + IDLE) as f64);
    assert!(heads >= (SLOW / 2 + IDLE / 2) as f64, "{heads} silent clients and slow heads");
    assert_eq!(refused(&mut client, "panic"), 0.0);
    assert_eq!(metric(&mut client, "egret_http_body_bytes{", ""), 0.0);
    drop(client);
    eventually("the descriptors are those of the start", || match node.program().open_files() {
        now if now <= files => Ok(()),
        now => Err(format!("{now} instead of {files}")),
    });
    node.stop().expect_exit(0);
}

#[test]
fn a_node_without_free_descriptors_goes_on_when_there_are_some_again() {
    const FREE: usize = 20;
    let node = Node::start();
    assert_eq!(node.client().get("/metrics").status, 200);
    node.program().limit_open_files(node.program().open_files() + FREE);
    let mut clients: Vec<Client> = (0..4 * FREE).map(|_| Client::connect(node.address())).collect();
    node.program()
        .wait_for_stderr("the lack in the log", |log| log.contains("raise the limit on open files").then_some(()));
    // Those that were let in are served; the others wait for them to go.
    let served = clients.iter_mut().find_map(|client| client.try_get_within(Duration::from_secs(1), "/running-jobs"));
    assert_eq!(served.expect("somebody is served").status, 200);
    drop(clients);
    eventually("new clients are served", || match node.client().try_get_within(Duration::from_secs(1), "/metrics") {
        Some(response) if response.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(metric(&mut node.client(), "egret_http_refused_total{", "\"accept\"") > 0.0);
    node.stop().expect_exit(0);
}
