//! Requests beside jobs on one CPU. `docs/core-time.md` says what the figures are for.
//!
//! A shard on one CPU echoes 120 bytes for each request on its front executor. A client on another CPU sends 1,000
//! requests a second, whatever comes back (open loop), and takes each latency from the moment at which the request was
//! due. Beside that: nothing, a job that never waits, and a flood of 32 connections that send as soon as they are
//! answered. The rows of a plain thread show what the kernel alone gives.

mod client;
mod fair;
mod machine;
mod plain;
mod server;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use egret_runtime::shard::{Shards, ShardsConfig, allowed_cpus, signals};

use client::{Flood, Paced};
use plain::Plain;
use server::Server;

/// What to measure, and for how long.
#[derive(Args)]
pub struct Options {
    /// Seconds of each round.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds of each set-up; the table shows the least and the most of them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Requests a second of the paced client.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Connections of the flood.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    flood: u32,
    /// Nice values of the work executor to compare.
    #[arg(long, value_delimiter = ',', default_value = "0,5,10,19",
        value_parser = clap::value_parser!(i32).range(0..=19))]
    nice: Vec<i32>,
    /// Seconds that fifty jobs of weights 1, 2 and 4 share one CPU; 0 leaves that out.
    #[arg(long, default_value_t = 12.0, value_parser = seconds)]
    fair_seconds: f64,
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    if (0.0..=3600.0).contains(&value) { Ok(value) } else { Err("it must be 0 to 3600 seconds".to_owned()) }
}

/// What answers the requests, and may have a job beside it.
trait Subject {
    fn address(&self) -> SocketAddr;

    /// Starts a job that never waits: steps of about half a millisecond; a task asks after each whether its slice is
    /// over.
    fn start_job(&self);

    /// Steps of the job, and CPU time of its thread.
    fn job_counts(&self) -> (u64, Duration);

    fn stop(self: Box<Self>) -> Result<(), Box<dyn Error>>;
}

/// One set-up of the table.
#[derive(Clone, Copy)]
struct Setup {
    plain: bool,
    job: bool,
    nice: i32,
    flood: u32,
}

/// What a round gave.
struct Round {
    quantiles_us: [f64; 4],
    unanswered: u64,
    flood_per_s: f64,
    /// Steps of the job against those of the same job alone, right before.
    steps_kept: f64,
    /// CPU time of the work executor against the time of the round.
    cpu_kept: f64,
    /// Share of the two CPUs that went to other processes and other virtual machines: what blurs the figures.
    others: f64,
}

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Runs the benchmark and prints its tables.
pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    signals::block_stop_signals()?;
    let watch = signals::watch()?;
    let cpus = allowed_cpus()?;
    let (server_cpu, client_cpu) = (cpus[0], *cpus.get(1).unwrap_or(&cpus[0]));
    if client_cpu == server_cpu {
        println!("There is only one CPU: the client takes from what it measures.");
    }
    let setups = [0, options.flood].into_iter().flat_map(|flood| {
        let plain = [false, true].map(|job| Setup { plain: true, job, nice: 10, flood });
        let beside = options.nice.iter().map(move |nice| Setup { plain: false, job: true, nice: *nice, flood });
        plain.into_iter().chain([Setup { plain: false, job: false, nice: 10, flood }]).chain(beside)
    });
    println!(
        "Shard on CPU {server_cpu}, client on CPU {client_cpu}; {} requests/s of 120 bytes, open loop; {} x {} s each.\n",
        options.rate, options.rounds, options.seconds
    );
    println!(
        "{:<42} {:>15} {:>15} {:>15} {:>15} {:>15} {:>13} {:>13} {:>13}",
        "least-most of the rounds",
        "p50 us",
        "p90 us",
        "p99 us",
        "p99.9 us",
        "flood 1000/s",
        "job steps %",
        "job CPU %",
        "others' CPU %"
    );
    for setup in setups {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds {
            rounds.push(round(setup, options, server_cpu, client_cpu)?);
            if watch.signal.is_set() {
                return Err("stopped".into());
            }
        }
        print_row(setup, &rounds);
    }
    idle()?;
    if options.fair_seconds > 0.0 {
        fair::run(server_cpu, Duration::from_secs_f64(options.fair_seconds))?;
    }
    Ok(())
}

fn round(setup: Setup, options: &Options, server_cpu: usize, client_cpu: usize) -> Result<Round, Box<dyn Error>> {
    let server: Box<dyn Subject> = match setup.plain {
        true => Box::new(Plain::start(server_cpu, setup.nice)?),
        false => Box::new(Server::start(server_cpu, setup.nice)?),
    };
    let length = Duration::from_secs_f64(options.seconds);
    let alone = if setup.job { job_alone(&*server, length / 3) } else { 0.0 };
    let flood = (setup.flood > 0).then(|| Flood::start(server.address(), setup.flood, client_cpu)).transpose()?;
    // The flood gets into its stride before anything is counted.
    thread::sleep(if setup.flood > 0 { length / 10 } else { Duration::ZERO });
    let busy = machine::foreign_time(&[server_cpu, client_cpu])?;
    let began = Instant::now();
    let (steps, cpu) = server.job_counts();
    let flooded = flood.as_ref().map_or(0, |flood| flood.answered.load(Ordering::Relaxed));
    let paced = Paced { address: server.address(), rate: options.rate, length, cpu: client_cpu }.run()?;
    let elapsed = began.elapsed().as_secs_f64();
    let (steps_after, cpu_after) = server.job_counts();
    let busy_after = machine::foreign_time(&[server_cpu, client_cpu])?;
    let flooded = flood.as_ref().map_or(0, |flood| flood.answered.load(Ordering::Relaxed)) - flooded;
    if let Some(flood) = flood {
        flood.stop()?;
    }
    server.stop()?;
    Ok(Round {
        quantiles_us: QUANTILES.map(|quantile| paced.latency.value_at_quantile(quantile) as f64 / 1e3),
        unanswered: paced.unanswered,
        flood_per_s: flooded as f64 / elapsed,
        steps_kept: if alone > 0.0 { (steps_after - steps) as f64 / elapsed / alone } else { 0.0 },
        cpu_kept: (cpu_after - cpu).as_secs_f64() / elapsed,
        others: (busy_after - busy).max(0.0) / elapsed / 2.0,
    })
}

/// Starts the job and gives its steps a second while there is nothing else.
fn job_alone(server: &dyn Subject, length: Duration) -> f64 {
    server.start_job();
    // The first steps warm the CPU up.
    thread::sleep(length / 10);
    let (began, (steps, _)) = (Instant::now(), server.job_counts());
    thread::sleep(length);
    (server.job_counts().0 - steps) as f64 / began.elapsed().as_secs_f64()
}

/// What shards cost that have nothing to do: all CPUs, five seconds.
fn idle() -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let shards = Shards::start(ShardsConfig::default())?;
    let started = began.elapsed();
    let (began, cpu) = (Instant::now(), machine::process_time());
    thread::sleep(Duration::from_secs(5));
    let share = (machine::process_time() - cpu) / began.elapsed().as_secs_f64();
    println!("\n{} idle shards, started in {started:.1?}: {:.2} % of one CPU", shards.len(), share * 100.0);
    Ok(shards.stop(Duration::from_secs(5))?)
}

fn print_row(setup: Setup, rounds: &[Round]) {
    let what = if setup.plain { "plain thread" } else { "shard" };
    let job = if setup.job { format!("job at nice {}", setup.nice) } else { "no job".to_owned() };
    let beside = match setup.flood {
        0 => format!("{what}, {job}"),
        flood => format!("{what}, {job}, flood of {flood}"),
    };
    let range = |value: &dyn Fn(&Round) -> f64, digits: usize| {
        let (least, most) = rounds
            .iter()
            .map(value)
            .fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        format!("{least:.digits$}-{most:.digits$}")
    };
    let quantiles: Vec<String> = (0..4).map(|index| range(&|round| round.quantiles_us[index], 0)).collect();
    let flood = if setup.flood > 0 { range(&|round| round.flood_per_s / 1e3, 0) } else { "-".to_owned() };
    let (steps, cpu) = match setup.job {
        true => (range(&|round| round.steps_kept * 100.0, 1), range(&|round| round.cpu_kept * 100.0, 1)),
        false => ("-".to_owned(), "-".to_owned()),
    };
    let others = range(&|round| round.others * 100.0, 1);
    let [p50, p90, p99, p999] = &quantiles[..] else { return };
    println!("{beside:<42} {p50:>15} {p90:>15} {p99:>15} {p999:>15} {flood:>15} {steps:>13} {cpu:>13} {others:>13}");
    let unanswered: u64 = rounds.iter().map(|round| round.unanswered).sum();
    if unanswered > 0 {
        println!("  {unanswered} requests were not answered within 2 s after the end");
    }
}
