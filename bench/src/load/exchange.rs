//! One thread that sends and receives over all connections.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::reply::{Head, head};
use super::{Follow, Load, Next, Outcome, Priority, whole};

/// How long replies are waited for after the end.
const GRACE: Duration = Duration::from_secs(2);
/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes that are received at a time.
const BUFFER_BYTES: usize = 64 << 10;
/// 1 ns to 10 minutes with three digits.
const LONGEST_NS: u64 = 600_000_000_000;

/// A connection and the request that waits for its reply.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the request under way was due.
    due: Option<Instant>,
    /// What is to be asked next of a server that answered, and when.
    follow_up: Option<(Instant, Vec<u8>)>,
    /// A reply that nobody looks at: its length, and how much of it is still to come.
    passing: Option<(Head, usize, usize)>,
}

/// What a look at a readable connection gave.
enum Seen {
    /// More has to come.
    Nothing,
    Reply {
        status: u16,
        length: usize,
        closes: bool,
        next: Next,
    },
    /// The server has closed it.
    End,
}

struct Exchange<'l> {
    load: &'l Load<'l>,
    connections: Vec<Connection>,
    /// Those that wait for nothing; the one that waited longest goes first.
    free: VecDeque<usize>,
    /// Those that are to ask again; the one that is due first stands first, as all pauses are alike.
    pausing: VecDeque<usize>,
    outcome: Outcome,
}

pub fn run(load: &Load<'_>, priority: Priority) -> io::Result<Outcome> {
    let histogram = || Histogram::new_with_bounds(1, LONGEST_NS, 3).map_err(io::Error::other);
    let planned = u64::try_from(load.length.as_nanos() * u128::from(load.rate) / 1_000_000_000);
    let outcome = Outcome {
        latency: histogram()?,
        late: histogram()?,
        statuses: BTreeMap::new(),
        followed: 0,
        lengths: (usize::MAX, 0),
        planned: planned.map_err(io::Error::other)?,
        broken: 0,
        priority,
    };
    let connections = (0..load.connections).map(|_| Connection::open(load.address)).collect::<io::Result<Vec<_>>>()?;
    let free = (0..connections.len()).collect();
    let mut exchange = Exchange { load, connections, free, pausing: VecDeque::new(), outcome };
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
                let request = &self.load.requests[sent as usize % self.load.requests.len()];
                self.connections[index].send(request, due(sent))?;
                sent += 1;
                now = Instant::now();
            }
            let follow_up = self.follow_up(now)?;
            let next = if sent < planned && !self.free.is_empty() { due(sent) } else { end };
            let next = follow_up.map_or(next, |at| next.min(at));
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

    /// Asks what is due of what follows replies; gives the time of the next.
    fn follow_up(&mut self, now: Instant) -> io::Result<Option<Instant>> {
        while let Some(&index) = self.pausing.front() {
            let connection = &mut self.connections[index];
            match connection.follow_up.take() {
                Some((at, request)) if at > now => {
                    connection.follow_up = Some((at, request));
                    return Ok(Some(at));
                }
                Some((_, request)) => connection.write(&request)?,
                None => {}
            }
            self.pausing.pop_front();
        }
        Ok(None)
    }

    /// Reads from a connection; whether it had to be opened anew.
    fn look_at(&mut self, index: usize) -> io::Result<bool> {
        let connection = &mut self.connections[index];
        let seen = connection.look(self.load.follow)?;
        if matches!(seen, Seen::Nothing) {
            return Ok(false);
        }
        let due = connection.due.take();
        let mut ended = true;
        match (seen, due) {
            (Seen::Reply { closes: false, next: Next::Ask { request, pause }, .. }, Some(due)) => {
                connection.due = Some(due);
                connection.follow_up = Some((Instant::now() + pause, request));
                self.pausing.push_back(index);
                self.outcome.followed += 1;
                ended = false;
            }
            (Seen::Reply { status, length, closes, .. }, Some(due)) => {
                self.outcome.latency.saturating_record(nanos(due.elapsed()));
                *self.outcome.statuses.entry(status).or_default() += 1;
                let (least, most) = self.outcome.lengths;
                self.outcome.lengths = (least.min(length), most.max(length));
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
            self.pausing.retain(|pausing| *pausing != index);
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
        Ok(Self { stream, received: Vec::new(), due: None, follow_up: None, passing: None })
    }

    fn polled(&self) -> libc::pollfd {
        libc::pollfd { fd: self.stream.as_raw_fd(), events: libc::POLLIN, revents: 0 }
    }

    /// Sends a request. One at a time always fits into the socket.
    fn send(&mut self, request: &[u8], due: Instant) -> io::Result<()> {
        self.due = Some(due);
        self.write(request)
    }

    fn write(&mut self, request: &[u8]) -> io::Result<()> {
        match self.stream.write_all(request) {
            // The read side sees the end and counts the request as broken.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            outcome => outcome,
        }
    }

    fn look(&mut self, follow: Option<&Follow>) -> io::Result<Seen> {
        let mut buffer = [0u8; BUFFER_BYTES];
        let received = match self.passing {
            Some((_, _, left)) => discard(&self.stream, &mut buffer[..left.min(BUFFER_BYTES)]),
            None => self.stream.read(&mut buffer),
        };
        let received = match received {
            Ok(0) => return Ok(Seen::End),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Seen::End),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Seen::Nothing),
            Err(error) => return Err(error),
        };
        if let Some((_, _, left)) = &mut self.passing {
            *left -= received;
        } else {
            self.received.extend_from_slice(&buffer[..received]);
            match follow {
                Some(follow) => return self.followed(follow),
                None => self.begin_passing()?,
            }
        }
        let Some((head, length, 0)) = self.passing else { return Ok(Seen::Nothing) };
        self.passing = None;
        Ok(Seen::Reply { status: head.status, length, closes: head.closes, next: Next::Done })
    }

    /// Looks at a whole reply.
    fn followed(&mut self, follow: &Follow) -> io::Result<Seen> {
        let Some(reply) = whole(&self.received).map_err(io::Error::other)? else { return Ok(Seen::Nothing) };
        self.received.drain(..reply.length);
        let next = follow(&reply).map_err(io::Error::other)?;
        Ok(Seen::Reply { status: reply.status, length: reply.length, closes: reply.closes, next })
    }

    /// Lets a reply pass by from the moment on at which its length is known.
    fn begin_passing(&mut self) -> io::Result<()> {
        let Some(head) = head(&self.received).map_err(io::Error::other)? else { return Ok(()) };
        let Some(length) = head.reply_length(&self.received).map_err(io::Error::other)? else { return Ok(()) };
        let here = length.min(self.received.len());
        self.received.drain(..here);
        self.passing = Some((head, length, length - here));
        Ok(())
    }
}

/// Has the kernel drop what it received, up to the length of the buffer, without copying it. On the CPUs that the
/// client shares with the server a copy of each large reply would be charged to all other requests.
fn discard(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of the buffer, which nobody else looks at meanwhile.
    let count = unsafe { libc::recv(stream.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_TRUNC) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
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
        let requests = vec![super::super::get("localhost", "/")];
        Load { address, requests, rate, length, connections, follow: None }.run().expect("a run")
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

    #[test]
    fn what_follows_a_reply_counts_as_part_of_its_request() {
        let address = server(2, |served| {
            Some(match served % 3 {
                2 => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone",
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyet",
            })
        });
        let pause = Duration::from_millis(5);
        let request = || super::super::get("localhost", "/");
        let follow = move |reply: &super::super::Reply| match &reply.body[..] {
            b"done" => Ok(Next::Done),
            b"yet" => Ok(Next::Ask { request: request(), pause }),
            other => Err(format!("{other:?}")),
        };
        let length = Duration::from_millis(200);
        let load = Load { address, requests: vec![request()], rate: 50, length, connections: 2, follow: Some(&follow) };
        let outcome = load.run().expect("a run");
        assert_eq!((outcome.planned, outcome.ok(), outcome.followed), (10, 10, 20));
        assert_eq!(outcome.lengths, (42, 42));
        assert!(outcome.latency.min() >= 10_000_000, "{}", outcome.latency.min());
    }

    #[test]
    fn a_long_reply_counts_at_its_last_byte() {
        const BODY: usize = 1 << 20;
        let reply: &'static str =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n{}", "x".repeat(BODY)).leak();
        static REPLY: std::sync::OnceLock<&str> = std::sync::OnceLock::new();
        REPLY.set(reply).expect("set once");
        let address = server(2, |_| REPLY.get().copied());
        let outcome = load(address, 50, 200, 2);
        assert_eq!((outcome.ok(), outcome.lengths), (10, (reply.len(), reply.len())));
    }
}
