//! An open-loop load generator: requests are due at a steady pace, whatever comes back.
//!
//! A request goes out over a connection that waits for nothing; when there is none, it goes out late, and its latency
//! is counted from the moment at which it was due all the same. So a server that stands still for a while is charged
//! with every request of that while.

mod exchange;
mod reply;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use hdrhistogram::Histogram;

pub use reply::{Reply, whole};

/// What to send.
pub struct Load<'l> {
    pub address: SocketAddr,
    /// The bytes of the requests, at least one; they take turns.
    pub requests: Vec<Vec<u8>>,
    /// Requests a second, at least 1.
    pub rate: u32,
    pub length: Duration,
    /// Connections that are kept open, at least 1.
    pub connections: usize,
    /// What to do with a reply; without it the first reply is the answer.
    pub follow: Option<&'l Follow>,
}

/// Looks at a reply and says how it goes on; an error ends the run.
pub type Follow = dyn Fn(&Reply) -> Result<Next, String> + Sync;

/// How it goes on after a reply.
pub enum Next {
    /// The request has its answer.
    Done,
    /// This is asked after a pause, over the same connection; the clock goes on.
    Ask { request: Vec<u8>, pause: Duration },
}

/// What came back.
pub struct Outcome {
    /// Nanoseconds from the moment at which a request was due to the last byte of its reply.
    pub latency: Histogram<u64>,
    /// Nanoseconds from the moment at which a request was due to the moment at which it was sent: what the client
    /// itself, or the lack of a connection that waits for nothing, has added.
    pub late: Histogram<u64>,
    /// Answers of each status.
    pub statuses: BTreeMap<u16, u64>,
    /// Replies that were followed by another request.
    pub followed: u64,
    /// Bytes of the shortest and of the longest answer, with their heads.
    pub lengths: (usize, usize),
    /// Requests of the plan, those that follow a reply not counted.
    pub planned: u64,
    /// Requests whose connection ended before the reply.
    pub broken: u64,
    pub priority: Priority,
}

impl Outcome {
    /// Answers of status 200.
    pub fn ok(&self) -> u64 {
        self.statuses.get(&200).copied().unwrap_or(0)
    }

    /// Answers of any status.
    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Requests without a reply two seconds after the last one was due.
    pub fn unanswered(&self) -> u64 {
        self.planned - self.answered() - self.broken
    }
}

/// Whether the client goes before the server on a CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Priority {
    /// SCHED_RR, priority 1.
    RealTime,
    /// The kernel refused it, for this reason.
    Normal(String),
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RealTime => write!(f, "client at real-time priority (SCHED_RR 1)"),
            Self::Normal(cause) => write!(f, "client at NORMAL priority, it may wait for a CPU itself ({cause})"),
        }
    }
}

impl Load<'_> {
    /// Sends for the whole time and waits up to two seconds more for replies.
    pub fn run(&self) -> Result<Outcome, Box<dyn Error>> {
        thread::scope(|scope| {
            let client = thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, || {
                let priority = keep_time();
                exchange::run(self, priority)
            })?;
            Ok(client.join().map_err(|_| "the client panicked")??)
        })
    }
}

/// A GET that keeps its connection.
pub fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes()
}

/// A POST that keeps its connection.
pub fn post(host: &str, path: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Has this thread woken on time: no timer slack, and ahead of others where that is allowed.
fn keep_time() -> Priority {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: plain calls; the pointer is to a live value.
    let refused = unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1);
        libc::sched_setscheduler(0, libc::SCHED_RR, &priority)
    };
    if refused == 0 { Priority::RealTime } else { Priority::Normal(io::Error::last_os_error().to_string()) }
}
