//! The clients: plain threads on another CPU.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use egret_runtime::shard::pin_thread;
use hdrhistogram::Histogram;

/// Bytes of a request and of its reply.
const REQUEST: usize = 120;

/// A client that sends at a steady pace, whatever comes back.
pub struct Paced {
    pub address: SocketAddr,
    pub rate: u32,
    pub length: Duration,
    pub cpu: usize,
}

/// What the paced client saw.
pub struct PacedResult {
    /// Nanoseconds from the moment at which a request was due to its reply.
    pub latency: Histogram<u64>,
    /// Requests without a reply 2 s after the end.
    pub unanswered: u64,
}

impl Paced {
    /// Sends for the whole time and waits for the replies.
    pub fn run(self) -> io::Result<PacedResult> {
        thread::Builder::new()
            .name("paced".to_owned())
            .spawn(move || {
                pin_thread(self.cpu)?;
                keep_time();
                self.exchange()
            })?
            .join()
            .map_err(|_| io::Error::other("the paced client panicked"))?
    }

    fn exchange(&self) -> io::Result<PacedResult> {
        let mut stream = connect(self.address)?;
        let period = Duration::from_secs(1) / self.rate;
        let total = (self.length.as_nanos() / period.as_nanos()).try_into().unwrap_or(u32::MAX);
        let start = Instant::now() + Duration::from_millis(10);
        let end = start + self.length + Duration::from_secs(2);
        // 1 ns to 10 minutes with three digits: constants that are within hdrhistogram's bounds.
        let mut latency = Histogram::new_with_bounds(1, 600_000_000_000, 3).map_err(io::Error::other)?;
        let (mut sent, mut answered, mut bytes) = (0u32, 0u32, 0usize);
        let mut buffer = [0u8; 16 << 10];
        while answered < total {
            let now = Instant::now();
            if now >= end {
                break;
            }
            while sent < total && start + period * sent <= now {
                // 120 bytes always fit: the socket takes megabytes.
                stream.write_all(&[b'x'; REQUEST])?;
                sent += 1;
            }
            let next = if sent < total { start + period * sent } else { end };
            if !readable(&stream, next.saturating_duration_since(Instant::now()))? {
                continue;
            }
            bytes += read_some(&mut stream, &mut buffer)?;
            let now = Instant::now();
            while bytes >= REQUEST {
                bytes -= REQUEST;
                let due = start + period * answered;
                answered += 1;
                latency.saturating_record(u64::try_from((now - due).as_nanos()).unwrap_or(u64::MAX));
            }
        }
        Ok(PacedResult { latency, unanswered: u64::from(total - answered) })
    }
}

/// Connections that each send again as soon as they are answered.
pub struct Flood {
    /// Replies so far.
    pub answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flood {
    pub fn start(address: SocketAddr, connections: u32, cpu: usize) -> io::Result<Self> {
        let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let streams = (0..connections).map(|_| connect(address)).collect::<io::Result<Vec<_>>>()?;
        let (count, stopping) = (answered.clone(), stop.clone());
        let thread = thread::Builder::new().name("flood".to_owned()).spawn(move || {
            pin_thread(cpu)?;
            flood(streams, &count, &stopping)
        })?;
        Ok(Self { answered, stop, thread })
    }

    pub fn stop(self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the flood panicked"))?
    }
}

fn flood(mut streams: Vec<TcpStream>, answered: &AtomicU64, stop: &AtomicBool) -> io::Result<()> {
    let mut polled: Vec<libc::pollfd> = streams
        .iter()
        .map(|stream| libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let mut bytes = vec![0usize; streams.len()];
    let mut buffer = [0u8; REQUEST];
    for stream in &mut streams {
        stream.write_all(&[b'x'; REQUEST])?;
    }
    while !stop.load(Ordering::Relaxed) {
        // SAFETY: the array is live and its length is given.
        let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, 100) };
        if ready < 0 {
            return Err(io::Error::last_os_error());
        }
        for (index, stream) in streams.iter_mut().enumerate().filter(|(index, _)| polled[*index].revents != 0) {
            bytes[index] += read_some(stream, &mut buffer)?;
            if bytes[index] >= REQUEST {
                bytes[index] = 0;
                answered.fetch_add(1, Ordering::Relaxed);
                stream.write_all(&[b'x'; REQUEST])?;
            }
        }
    }
    Ok(())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Bytes read without waiting; an end is an error.
fn read_some(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer) {
        Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        outcome => outcome,
    }
}

/// Waits until the stream can be read, to the nanosecond.
fn readable(stream: &TcpStream, wait: Duration) -> io::Result<bool> {
    let mut polled = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let wait = libc::timespec { tv_sec: wait.as_secs() as _, tv_nsec: wait.subsec_nanos().into() };
    // SAFETY: both pointers are to live values; no signal mask is given.
    match unsafe { libc::ppoll(&mut polled, 1, &wait, std::ptr::null()) } {
        ready if ready >= 0 => Ok(ready > 0),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has this thread woken on time: no timer slack, and ahead of others where that is allowed.
fn keep_time() {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: plain calls; the pointer is to a live value. A refused real-time priority leaves the normal one.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1);
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &priority);
    }
}
