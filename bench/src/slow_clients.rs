//! A client that does everything right, beside thousands that send a byte a second, or nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use egret_runtime::net::raise_open_files_limit;
use egret_runtime::shard::signals::StopWatch;

use crate::child::egret;
use crate::load::{Load, Outcome, get, whole};
use crate::node::{Node, RUNNING_JOBS};
use crate::show::{Micros, micros, verdict};

/// p99 beside slow clients is in order below this, or below twice what it is without them.
const AIM_P99_US: f64 = 600.0;
/// Time between two bytes of a slow client.
const BYTE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the node may take to be rid of them, and a connection to be there.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many, and how long.
#[derive(Args)]
pub struct Options {
    /// Clients that send a byte of a request a second, and come again when they are sent away.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    slow: u32,
    /// Clients that ask once and then keep their connection.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(0..=20_000))]
    idle: u32,
    /// Requests a second of the client that does everything right.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Its connections.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Seconds before, during and after the slow clients, each.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// Runs the benchmark and prints its table.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    raise_open_files_limit()?;
    let node = Node::start(&egret(options.egret.as_deref())?, None)?;
    println!(
        "GET {RUNNING_JOBS}: {} requests/s, open loop, {} connections, {} s each; {} clients that send a byte a second, \
         {} idle ones",
        options.rate, options.connections, options.seconds, options.slow, options.idle
    );
    println!(
        "{:<24} {} {:>8} {:>8} {:>8} {:>9} {:>8} {:>8}",
        "us, from due to answer",
        Micros::HEADER,
        "200",
        "other",
        "late p99",
        "node CPUs",
        "RSS MiB",
        "fds"
    );
    let before = measure("before", &node, options)?;
    println!("{}", before.priority);
    let fds = node.child.open_files()?;
    let idle = (0..options.idle).map(|_| ask_once(node.address)).collect::<Result<Vec<_>, _>>()?;
    let (crowd, during) = beside_slow(&node, options, watch)?;
    println!(
        "  slow clients: {} bytes sent, {} times told 408, {} times closed otherwise",
        crowd.bytes.into_inner(),
        crowd.told.into_inner(),
        crowd.closed.into_inner()
    );
    let alive = idle.iter().filter(|stream| is_open(stream)).count();
    println!("  idle clients: {alive} of {} connections still open", idle.len());
    drop(idle);
    let patience = Instant::now() + TIMEOUT;
    while node.child.open_files()? > fds && Instant::now() < patience && !watch.signal.is_set() {
        thread::sleep(Duration::from_millis(10));
    }
    let left = node.child.open_files()?.saturating_sub(fds);
    let after = measure("after", &node, options)?;
    node.stop()?;
    conclude(&[before, during, after], left)
}

/// The healthy client for a while.
fn measure(title: &str, node: &Node, options: &Options) -> Result<Outcome, Box<dyn Error>> {
    let load = Load {
        address: node.address,
        requests: vec![get("localhost", RUNNING_JOBS)],
        rate: options.rate,
        length: Duration::from_secs(options.seconds),
        connections: usize::from(options.connections),
        follow: None,
    };
    let (cpu, began) = (node.child.cpu()?, Instant::now());
    let load = load.run()?;
    let cores = (node.child.cpu()? - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    println!(
        "{title:<24} {} {:>8} {:>8} {:>8.1} {cores:>9.2} {:>8.1} {:>8}",
        Micros(&load.latency),
        load.ok(),
        load.planned - load.ok(),
        micros(&load.late, 0.99),
        node.child.memory_kib("VmRSS")? as f64 / 1024.0,
        node.child.open_files()?
    );
    Ok(load)
}

/// What the slow clients have seen.
#[derive(Default)]
struct Crowd {
    bytes: AtomicU64,
    told: AtomicU64,
    closed: AtomicU64,
}

fn beside_slow(node: &Node, options: &Options, watch: &StopWatch) -> Result<(Crowd, Outcome), Box<dyn Error>> {
    let (crowd, ended) = (Crowd::default(), AtomicBool::new(false));
    let during = thread::scope(|scope| {
        let slow = thread::Builder::new().name("slow".to_owned()).spawn_scoped(scope, || {
            crowd.trickle(node.address, options.slow, || ended.load(Ordering::Relaxed) || watch.signal.is_set())
        })?;
        // The first of them have sent their first bytes.
        thread::sleep(BYTE_INTERVAL);
        let during = measure("beside slow clients", node, options);
        ended.store(true, Ordering::Relaxed);
        slow.join().map_err(|_| "the slow clients panicked")??;
        during
    })?;
    Ok((crowd, during))
}

impl Crowd {
    /// Has each of so many clients send a byte a second, evenly spread, until it is over.
    fn trickle(&self, address: SocketAddr, clients: u32, is_over: impl Fn() -> bool) -> std::io::Result<()> {
        let request = get("localhost", RUNNING_JOBS);
        let mut streams = (0..clients).map(|_| Slow::open(address)).collect::<std::io::Result<Vec<_>>>()?;
        let began = Instant::now();
        let due = |client: usize| began + BYTE_INTERVAL * client as u32 / clients.max(1);
        let mut queue: BinaryHeap<_> = (0..streams.len()).map(|client| Reverse((due(client), client))).collect();
        while let Some(Reverse((due, client))) = queue.pop() {
            if is_over() {
                break;
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if !streams[client].send(&request, self)? {
                streams[client] = Slow::open(address)?;
            }
            queue.push(Reverse((due + BYTE_INTERVAL, client)));
        }
        Ok(())
    }
}

/// A client that sends a byte at a time, and never the last one.
struct Slow {
    stream: TcpStream,
    sent: usize,
}

impl Slow {
    fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, sent: 0 })
    }

    /// Sends the next byte; false when the node has closed the connection.
    fn send(&mut self, request: &[u8], crowd: &Crowd) -> std::io::Result<bool> {
        let mut buffer = [0; 1024];
        match self.stream.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(count) if buffer[..count].starts_with(b"HTTP/1.1 408 ") => {
                crowd.told.fetch_add(1, Ordering::Relaxed);
                return Ok(false);
            }
            Ok(0) | Err(_) => {
                crowd.closed.fetch_add(1, Ordering::Relaxed);
                return Ok(false);
            }
            Ok(count) => {
                let said = String::from_utf8_lossy(&buffer[..count]).into_owned();
                return Err(std::io::Error::other(format!("a request that is not whole was answered: {said}")));
            }
        }
        if self.sent + 1 < request.len() && self.stream.write(&request[self.sent..=self.sent]).is_ok() {
            self.sent += 1;
            crowd.bytes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(true)
    }
}

/// A connection over which one request was answered.
fn ask_once(address: SocketAddr) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(&get("localhost", RUNNING_JOBS))?;
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    while whole(&received)?.is_none() {
        match stream.read(&mut buffer)? {
            0 => return Err("an idle client was not answered".into()),
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(stream)
}

fn is_open(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn conclude(rounds: &[Outcome; 3], left: usize) -> Result<(), Box<dyn Error>> {
    let [before, during, after] = rounds.each_ref().map(|round| micros(&round.latency, 0.99));
    let limit = (2.0 * before).max(AIM_P99_US);
    println!(
        "\np99 {before:.1} us before, {during:.1} us beside slow clients, {after:.1} us after; at most {limit:.0} us: {}; \
         descriptors left behind: {left}",
        verdict(during <= limit)
    );
    let bad: u64 = rounds.iter().map(|round| round.planned - round.ok()).sum();
    match (bad, left) {
        (0, 0) => Ok(()),
        (0, left) => Err(format!("{left} descriptors are left of connections that ended").into()),
        (bad, _) => Err(format!("{bad} requests were not answered with 200").into()),
    }
}
