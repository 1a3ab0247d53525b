//! The shard under test: an echo on its front executor, a job on its work executor.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Subject;
use egret_runtime::shard::net::{TcpListener, TcpStream};
use egret_runtime::shard::{ShardId, Shards, ShardsConfig, Signal, WorkGroup, give_way, spawn_local};
use futures_lite::future::{block_on, or};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

/// The only shard.
pub const SHARD: ShardId = ShardId(0);

/// A shard that echoes.
pub struct Server {
    address: SocketAddr,
    shards: Shards,
    stop: Signal,
    group: WorkGroup,
    counts: Arc<Counts>,
}

/// What the job has done; written by it alone.
#[derive(Default)]
pub struct Counts {
    steps: AtomicU64,
    cpu_ns: AtomicU64,
}

impl Counts {
    /// Makes a step of so many rounds.
    pub fn step(&self, rounds: u64) {
        spin(rounds);
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.cpu_ns.store(thread_cpu_ns(), Ordering::Relaxed);
    }

    /// Steps made, and CPU time of the thread that made them.
    pub fn read(&self) -> (u64, Duration) {
        (self.steps.load(Ordering::Relaxed), Duration::from_nanos(self.cpu_ns.load(Ordering::Relaxed)))
    }
}

/// A shard on one CPU.
pub fn shard_on(cpu: usize, nice: i32) -> Result<Shards, Box<dyn Error>> {
    let cpus = Some(cpu.to_string().parse()?);
    Ok(Shards::start(ShardsConfig { cpus, work_nice: nice, blocking_threads: 1, ..ShardsConfig::default() })?)
}

impl Server {
    pub fn start(cpu: usize, nice: i32) -> Result<Self, Box<dyn Error>> {
        let shards = shard_on(cpu, nice)?;
        let stop = Signal::new();
        let stopping = stop.clone();
        let bound = shards.front(SHARD).call(move || async move {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            spawn_local(accept(listener, stopping));
            io::Result::Ok(address)
        });
        let address = block_on(bound)??;
        Ok(Self { address, shards, stop, group: WorkGroup::new(1), counts: Arc::default() })
    }
}

impl Subject for Server {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn start_job(&self) {
        let (counts, rounds) = (self.counts.clone(), calibrated());
        let job = move || async move {
            loop {
                counts.step(rounds);
                give_way().await;
            }
        };
        // The mailbox of a fresh shard is empty.
        if let Err(full) = self.shards.work(SHARD).spawn(&self.group, job) {
            eprintln!("egret-bench: the job was not started: {full}");
        }
    }

    fn job_counts(&self) -> (u64, Duration) {
        self.counts.read()
    }

    fn stop(self: Box<Self>) -> Result<(), Box<dyn Error>> {
        self.stop.set();
        Ok(self.shards.stop(Duration::from_secs(5))?)
    }
}

async fn accept(listener: TcpListener, stop: Signal) {
    loop {
        let accepted = or(async { Some(listener.accept().await) }, async {
            stop.wait().await;
            None
        });
        match accepted.await {
            Some(Ok(stream)) => spawn_local(async move {
                // A client that went away ends its connection, nothing else.
                let _ = echo(stream).await;
            }),
            Some(Err(error)) => eprintln!("egret-bench: accept: {error}"),
            None => return,
        }
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0u8; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// Work that only the CPU takes part in.
pub fn spin(rounds: u64) {
    let mut state = rounds | 1;
    for _ in 0..rounds {
        state = std::hint::black_box(state.wrapping_mul(0x5851_F42D_4C95_7F2D).rotate_left(17));
    }
}

/// Rounds of [`spin`] that take about half a millisecond.
pub fn calibrated() -> u64 {
    const PROBE: u64 = 1_000_000;
    let began = Instant::now();
    spin(PROBE);
    let nanos = began.elapsed().as_nanos().max(1);
    u64::try_from(u128::from(PROBE) * 500_000 / nanos).unwrap_or(PROBE).max(1)
}

fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live value.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
