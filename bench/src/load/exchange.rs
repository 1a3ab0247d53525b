//! One thread that sends and receives over all connections.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{Load, Outcome, Priority, whole};

/// How long replies are waited for after the end.
const GRACE: Duration = Duration::from_secs(2);
/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// 1 ns to 10 minutes with three digits.
const LONGEST_NS: u64 = 600_000_000_000;

/// A connection and the request that waits for its reply.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the request under way was due.
    due: Option<Instant>,
}

/// What a look at a readable connection gave.
enum Seen {
    /// More has to come.
    Nothing,
    Reply {
        status: u16,
        closes: bool,
    },
    /// The server has closed it.
    End,
}

struct Exchange<'l> {
    load: &'l Load,
    connections: Vec<Connection>,
    /// Those that wait for nothing; the one that waited longest goes first.
    free: VecDeque<usize>,
    outcome: Outcome,
}

pub fn run(load: &Load, priority: Priority) -> io::Result<Outcome> {
    let histogram = || Histogram::new_with_bounds(1, LONGEST_NS, 3).map_err(io::Error::other);
    let planned = u64::try_from(load.length.as_nanos() * u128::from(load.rate) / 1_000_000_000);
    let outcome = Outcome {
        latency: histogram()?,
        late: histogram()?,
        statuses: BTreeMap::new(),
        planned: planned.map_err(io::Error::other)?,
        broken: 0,
        priority,
    };
    let connections = (0..load.connections).map(|_| Connection::open(load.address)).collect::<io::Result<Vec<_>>>()?;
    let free = (0..connections.len()).collect();
    let mut exchange = Exchange { load, connections, free, outcome };
    exchange.run()?;
    Ok(exchange.outcome)
}

impl Exchange<'_> {
    fn run(&mut self) -> io::Result<()> {
        let mut polled: Vec<libc::pollfd> = self.connections.iter().map(Connection::polled).collect();
        let start = Instant::now() + Duration::from_millis(10);
        let rate = u64::from(self.load.rate);
        let due = |index: u64| {
            start + Duration::from_secs(index / rate) + Duration::from_nanos(index % rate * 1_000_000_000 / rate)
        };
        let end = start + self.load.length + GRACE;
        let (planned, mut sent) = (self.outcome.planned, 0);
        while self.outcome.answered() + self.outcome.broken < planned {
            let mut now = Instant::now();
            if now >= end {
                break;
            }
            while sent < planned && due(sent) <= now {
                let Some(index) = self.free.pop_front() else { break };
                self.outcome.late.saturating_record(nanos(now - due(sent)));
                self.connections[index].send(&self.load.request, due(sent))?;
                sent += 1;
                now = Instant::now();
            }
            let next = if sent < planned && !self.free.is_empty() { due(sent) } else { end };
            if wait(&mut polled, next.saturating_duration_since(Instant::now()))? == 0 {
                continue;
            }
            for (index, polled) in polled.iter_mut().enumerate().filter(|(_, polled)| polled.revents != 0) {
                if self.look_at(index)? {
                    *polled = self.connections[index].polled();
                }
            }
        }
        Ok(())
    }

    /// Reads from a connection; whether it had to be opened anew.
    fn look_at(&mut self, index: usize) -> io::Result<bool> {
        let connection = &mut self.connections[index];
        let seen = connection.look()?;
        if matches!(seen, Seen::Nothing) {
            return Ok(false);
        }
        let due = connection.due.take();
        let mut ended = true;
        match (seen, due) {
            (Seen::Reply { status, closes }, Some(due)) => {
                self.outcome.latency.saturating_record(nanos(due.elapsed()));
                *self.outcome.statuses.entry(status).or_default() += 1;
                self.free.push_back(index);
                ended = closes;
            }
            (Seen::Reply { .. }, None) => return Err(io::Error::other("a reply came that nobody asked for")),
            (_, Some(_)) => {
                self.outcome.broken += 1;
                self.free.push_back(index);
            }
            // An idle connection that the server closes is in the list already.
            (_, None) => {}
        }
        if ended {
            self.connections[index] = Connection::open(self.load.address)?;
        }
        Ok(ended)
    }
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}")))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, received: Vec::new(), due: None })
    }

    fn polled(&self) -> libc::pollfd {
        libc::pollfd { fd: self.stream.as_raw_fd(), events: libc::POLLIN, revents: 0 }
    }

    /// Sends a request. One at a time always fits into the socket.
    fn send(&mut self, request: &[u8], due: Instant) -> io::Result<()> {
        self.due = Some(due);
        match self.stream.write_all(request) {
            // The read side sees the end and counts the request as broken.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            outcome => outcome,
        }
    }

    fn look(&mut self) -> io::Result<Seen> {
        let mut buffer = [0u8; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Ok(Seen::End),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Seen::End),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Seen::Nothing),
            Err(error) => return Err(error),
        }
        Ok(match whole(&self.received).map_err(io::Error::other)? {
            None => Seen::Nothing,
            Some(reply) => {
                self.received.drain(..reply.length);
                Seen::Reply { status: reply.status, closes: reply.closes }
            }
        })
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits until one of them can be read, to the nanosecond; how many there are.
fn wait(polled: &mut [libc::pollfd], time: Duration) -> io::Result<usize> {
    let time = libc::timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() };
    // SAFETY: both pointers are to live values and the length is theirs; no signal mask is given.
    let ready = unsafe { libc::ppoll(polled.as_mut_ptr(), polled.len() as _, &time, std::ptr::null()) };
    usize::try_from(ready).or_else(|_| match io::Error::last_os_error() {
        error if error.kind() == ErrorKind::Interrupted => Ok(0),
        error => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Serves so many connections, one thread each: for each request what `reply` gives, until that is `None`.
    fn server(connections: usize, reply: fn(u64) -> Option<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming().take(connections) {
                let mut stream = stream.expect("a connection");
                thread::spawn(move || {
                    let (mut buffer, mut served) = ([0u8; 4096], 0);
                    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                        let Some(reply) = reply(served) else { return };
                        served += 1;
                        stream.write_all(reply.as_bytes()).expect("written");
                    }
                });
            }
        });
        address
    }

    fn load(address: SocketAddr, rate: u32, milliseconds: u64, connections: usize) -> Outcome {
        let length = Duration::from_millis(milliseconds);
        let load = Load { address, request: super::super::get("localhost", "/"), rate, length, connections };
        load.run().expect("a run")
    }

    #[test]
    fn every_request_of_the_plan_is_sent_and_its_status_counted() {
        let address = server(4, |served| {
            Some(match served % 2 {
                0 => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
                _ => "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            })
        });
        let outcome = load(address, 500, 200, 4);
        assert_eq!((outcome.planned, outcome.answered(), outcome.broken, outcome.unanswered()), (100, 100, 0, 0));
        assert!(outcome.ok() >= 50 && outcome.ok() < 100, "{:?}", outcome.statuses);
        assert_eq!(outcome.latency.len(), 100);
    }

    #[test]
    fn a_server_that_stands_still_is_charged_with_all_requests_of_that_time() {
        let address = server(1, |served| {
            if served == 0 {
                thread::sleep(Duration::from_millis(300));
            }
            Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        });
        let outcome = load(address, 100, 300, 1);
        assert_eq!(outcome.ok(), 30);
        // The requests were due over the whole 300 ms, so about half of them waited more than half of it.
        assert!(outcome.latency.value_at_quantile(0.4) > 100_000_000, "{}", outcome.latency.value_at_quantile(0.4));
    }

    #[test]
    fn connections_that_the_server_ends_are_counted_and_opened_anew() {
        let address = server(100, |served| (served < 3).then_some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
        let outcome = load(address, 200, 200, 1);
        assert_eq!((outcome.planned, outcome.ok(), outcome.broken, outcome.unanswered()), (40, 30, 10, 0));
    }
}
