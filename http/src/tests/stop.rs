//! Starting and stopping.

use super::*;
use crate::StartError;
use egret_runtime::net::ClaimError;
use egret_runtime::shard::ShardId;
use std::net::TcpStream;

#[test]
fn a_port_in_use_fails_the_start() {
    let running = Running::new();
    let config = ServerConfig {
        listeners: vec![ListenerConfig { port: running.address().port(), ..anywhere() }],
        ..ServerConfig::default()
    };
    let error = Server::start(&running.shards, &config, &running.jobs).expect_err("the port is held");
    assert!(matches!(error, StartError::Claim(ClaimError::InUse { .. })), "{error}");
}

#[test]
fn a_limit_that_makes_no_sense_fails_the_start() {
    let running = Running::new();
    let limits = HttpLimits { connections_max: 0, ..HttpLimits::default() };
    let config = ServerConfig { listeners: vec![anywhere()], limits, ..ServerConfig::default() };
    let error = Server::start(&running.shards, &config, &running.jobs).expect_err("no connections");
    assert!(error.to_string().contains("connections_max"), "{error}");
}

#[test]
fn every_port_answers_on_every_shard() {
    let shards = Shards::start(ShardsConfig::default()).expect("shards");
    let config = ServerConfig { listeners: vec![anywhere(), anywhere()], ..ServerConfig::default() };
    let jobs = jobs_on(&shards);
    let server = Server::start(&shards, &config, &jobs).expect("a server");
    for address in server.local_addrs() {
        let mut clients: Vec<_> = (0..64).map(|_| Client::connect(*address)).collect();
        assert!(clients.iter_mut().all(|client| client.get("/test/ok").status == 200));
    }
    assert!(server.stats().iter().all(|stats| stats.accepted.get() > 0), "a shard got no connection");
    assert_eq!(server.stats().iter().map(|stats| stats.accepted.get()).sum::<u64>(), 128);
    assert_eq!(server.stop(PATIENCE), 0);
    shards.stop(PATIENCE).expect("stopped");
}

#[test]
fn requests_are_finished_idle_connections_closed_and_new_ones_refused() {
    let mut running = Running::new();
    let address = running.address();
    let mut idle = running.client();
    assert_eq!(idle.get("/test/ok").status, 200);
    let mut fresh = running.client();
    let mut busy = running.client();
    busy.send("GET /test/sleep/2000 HTTP/1.1\r\nhost: x\r\n\r\n");
    eventually("all are connected", || running.stats().open.get() == 3 && running.stats().bytes_in.get() > 70);
    assert_eq!(running.stop(PATIENCE), 0);
    let response = busy.response();
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert!(busy.is_closed() && idle.is_closed() && fresh.is_closed());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn what_does_not_finish_in_time_is_cut() {
    let mut running = Running::new();
    let mut stuck = running.client();
    stuck.send("GET /test/sleep/600000 HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut half = running.client();
    half.send("POST /test/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf");
    eventually("both are being served", || running.stats().bytes_in.get() > 100);
    let begun = std::time::Instant::now();
    assert_eq!(running.stop(Duration::from_millis(200)), 2);
    assert!(begun.elapsed() < PATIENCE);
    assert!(stuck.is_closed() && half.is_closed());
}

/// The server's executor stands still until this goes.
struct StandsStill(std::sync::mpsc::SyncSender<()>);

impl StandsStill {
    fn begin(running: &Running) -> Self {
        let (begun, stands) = std::sync::mpsc::sync_channel(1);
        let (go, gate) = std::sync::mpsc::sync_channel::<()>(0);
        let blocked = running.shards.front(ShardId(0)).spawn(move || async move {
            begun.send(()).expect("the test waits");
            assert!(gate.recv().is_err());
        });
        blocked.expect("room");
        stands.recv().expect("it stands still");
        Self(go)
    }

    /// Has the server stop, which is to be found when the executor goes on, a while later.
    fn stop(self, running: &mut Running) -> usize {
        let later = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(500));
            drop(self.0);
        });
        let cut = running.stop(PATIENCE);
        later.join().expect("no panic");
        cut
    }
}

/// The executor stands still while requests arrive and the stop is asked for: all of them are in the kernel's buffers
/// when it goes on.
#[test]
fn requests_that_have_arrived_unseen_are_answered() {
    let mut running = Running::new();
    let mut kept: Vec<_> = (0..20).map(|_| running.client()).collect();
    assert!(kept.iter_mut().all(|client| client.get("/test/ok").status == 200));
    let mut fresh: Vec<_> = (0..20).map(|_| running.client()).collect();
    eventually("all are connected", || running.stats().open.get() == 40);
    let still = StandsStill::begin(&running);
    for client in kept.iter_mut().chain(&mut fresh) {
        client.send("GET /test/ok HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    assert_eq!(still.stop(&mut running), 0);
    for client in kept.iter_mut().chain(&mut fresh) {
        assert_eq!(client.response().status, 200);
        assert!(client.is_closed());
    }
}

#[test]
fn a_request_that_has_arrived_in_part_is_waited_for() {
    let mut running = Running::new();
    let mut kept = running.client();
    assert_eq!(kept.get("/test/ok").status, 200);
    let before = running.stats().bytes_in.get();
    kept.send("GET /test/ok HT");
    eventually("the part has arrived", || running.stats().bytes_in.get() > before);
    let address = running.address();
    let rest = std::thread::spawn(move || {
        eventually("nobody is let in any more", || TcpStream::connect(address).is_err());
        kept.send("TP/1.1\r\nhost: x\r\n\r\n");
        let response = kept.response();
        (response.status, response.header("connection") == Some("close"), kept.is_closed())
    });
    assert_eq!(running.stop(PATIENCE), 0);
    assert_eq!(rest.join().expect("a client"), (200, true, true));
}

/// As above, but nobody has been accepted yet.
#[test]
fn connections_that_wait_to_be_accepted_are_answered() {
    let mut running = Running::new();
    let still = StandsStill::begin(&running);
    let mut clients: Vec<_> = (0..200).map(|_| running.client()).collect();
    let (silent, asking) = clients.split_at_mut(20);
    for client in asking.iter_mut() {
        client.send("GET /test/ok HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    assert_eq!(running.stats().accepted.get(), 0);
    assert_eq!(still.stop(&mut running), 0);
    for client in asking {
        let response = client.response();
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        assert!(client.is_closed());
    }
    assert!(silent.iter_mut().all(Client::is_closed));
}

#[test]
fn a_new_connection_may_still_ask_when_the_stop_has_begun() {
    let mut running = Running::with(HttpLimits { grace_timeout: PATIENCE, ..HttpLimits::default() });
    let mut fresh = running.client();
    eventually("it is accepted", || running.stats().open.get() == 1);
    let address = running.address();
    let asked = std::thread::spawn(move || {
        eventually("nobody is let in any more", || TcpStream::connect(address).is_err());
        fresh.send("GET /test/ok HTTP/1.1\r\nhost: x\r\n\r\n");
        (fresh.response().status, fresh.is_closed())
    });
    assert_eq!(running.stop(PATIENCE), 0);
    assert_eq!(asked.join().expect("a client"), (200, true));
}

#[test]
fn a_flood_of_connections_does_not_hold_up_the_end() {
    let mut running = Running::new();
    let address = running.address();
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flood = std::thread::spawn({
        let ended = ended.clone();
        move || {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                drop(TcpStream::connect(address));
            }
        }
    });
    eventually("the flood has begun", || running.stats().accepted.get() > 100);
    let begun = std::time::Instant::now();
    running.stop(2 * PATIENCE);
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    flood.join().expect("no panic");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}
