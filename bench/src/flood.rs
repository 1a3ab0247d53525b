//! Tiny jobs in great numbers: whether all of them end, and what becomes of memory, open files and logs.

use std::error::Error;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use egret_runtime::shard::signals::StopWatch;

use crate::child::egret;
use crate::load::{Load, Outcome};
use crate::node::Node;
use crate::show::{extent, median, micros, verdict};
use crate::submits::{ROWS, submission};

/// Time between two looks at the node.
const LOOK: Duration = Duration::from_secs(1);
/// Looks to a line of the table.
const LOOKS_PER_LINE: usize = 10;
/// How long jobs that were submitted last may take.
const LAST_JOBS: Duration = Duration::from_secs(1);
/// Memory may grow by so much between the second and the last quarter: pages of an allocator that settles.
const AIM_GROWTH: f64 = 0.05;
/// Open files may differ by so much: connections that come and go with the looks.
const AIM_FILES: f64 = 4.0;

/// How many jobs, and what is remembered of them.
#[derive(Args)]
pub struct Options {
    /// Jobs a minute.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(60..=6_000_000))]
    per_minute: u32,
    /// Seconds.
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(10..=3600))]
    seconds: u64,
    /// Connections that are kept open.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Ended jobs that the node remembers [default: the node's own].
    #[arg(long)]
    history_jobs_max: Option<u32>,
    /// Jobs whose logs the node keeps [default: the node's own].
    #[arg(long)]
    logs_max: Option<u32>,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// The node at one moment.
struct Look {
    at: Duration,
    rss_mib: f64,
    files: usize,
    unfinished: u64,
    remembered: u64,
    cpu: Duration,
}

/// What the node keeps of jobs on the disk.
struct Logs {
    files: usize,
    mib: f64,
}

/// Runs the flood and prints its table.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    let bounds = [("--history-jobs-max", options.history_jobs_max), ("--logs-max", options.logs_max)];
    let arguments = bounds.iter().filter_map(|(flag, value)| Some([(*flag).to_owned(), value.as_ref()?.to_string()]));
    let arguments = arguments.flatten().collect::<Vec<_>>();
    let node = Node::start_with(&egret(options.egret.as_deref())?, &arguments)?;
    let rate = options.per_minute.div_ceil(60);
    println!(
        "POST submit-job, FakeSource ({ROWS} rows) to Blackhole: {rate} jobs/s for {} s; node on all CPUs {}",
        options.seconds,
        arguments.join(" ")
    );
    println!(
        "{:>5} {:>9} {:>10} {:>8} {:>6} {:>9} {:>8} {:>9}",
        "s", "unfinished", "remembered", "RSS MiB", "files", "node CPUs", "logs", "logs MiB"
    );
    let load = Load {
        address: node.address,
        requests: vec![submission()],
        rate,
        length: Duration::from_secs(options.seconds),
        connections: usize::from(options.connections),
        follow: None,
    };
    let cpu = node.child.cpu()?;
    let (outcome, looks) = thread::scope(|scope| {
        let flood = scope.spawn(|| load.run().map_err(|error| error.to_string()));
        let looks = look_until(&node, watch, || flood.is_finished());
        let outcome = flood.join().map_err(|_| "the client panicked")??;
        Ok::<_, Box<dyn Error>>((outcome, looks?))
    })?;
    let pending = wait_for_last(&node)?;
    let cpu = node.child.cpu()? - cpu;
    let ended = ended(&node)?;
    conclude(&outcome, &looks, pending, ended, cpu);
    node.stop()?;
    let lost = outcome.planned - outcome.ok();
    if lost == 0 && pending == 0 { Ok(()) } else { Err(format!("{lost} refused, {pending} left").into()) }
}

fn look_until(node: &Node, watch: &StopWatch, over: impl Fn() -> bool) -> Result<Vec<Look>, Box<dyn Error>> {
    let began = Instant::now();
    let mut looks = Vec::new();
    loop {
        thread::sleep(LOOK);
        // Without its clients a node has fewer files open.
        if over() {
            return Ok(looks);
        }
        let look = Look {
            at: began.elapsed(),
            rss_mib: node.child.memory_kib("VmRSS")? as f64 / 1024.0,
            files: node.child.open_files()?,
            unfinished: node.overview("runningJobs")?,
            remembered: node.overview("finishedJobs")?,
            cpu: node.child.cpu()?,
        };
        looks.push(look);
        if looks.len().is_multiple_of(LOOKS_PER_LINE) {
            print_line(&looks[looks.len() - LOOKS_PER_LINE..], &logs(node)?);
        }
        if watch.signal.is_set() {
            return Err("stopped".into());
        }
    }
}

fn print_line(looks: &[Look], logs: &Logs) {
    let [first, .., last] = looks else { return };
    let cpus = (last.cpu - first.cpu).as_secs_f64() / (last.at - first.at).as_secs_f64();
    println!(
        "{:>5.0} {:>10} {:>10} {:>8.1} {:>6} {cpus:>9.2} {:>8} {:>9.1}",
        last.at.as_secs_f64(),
        looks.iter().map(|look| look.unfinished).max().unwrap_or_default(),
        last.remembered,
        last.rss_mib,
        last.files,
        logs.files,
        logs.mib
    );
}

/// The logs of jobs. One may go between its listing and the look at it.
fn logs(node: &Node) -> Result<Logs, Box<dyn Error>> {
    let mut logs = Logs { files: 0, mib: 0.0 };
    for file in std::fs::read_dir(node.logs())? {
        if let Ok(data) = file?.metadata() {
            logs.files += 1;
            logs.mib += data.len() as f64 / f64::from(1 << 20);
        }
    }
    Ok(logs)
}

/// Jobs that have not ended a moment after the last one was submitted.
fn wait_for_last(node: &Node) -> Result<u64, Box<dyn Error>> {
    let deadline = Instant::now() + LAST_JOBS;
    loop {
        let pending = node.overview("runningJobs")?;
        if pending == 0 || Instant::now() >= deadline {
            return Ok(pending);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Jobs that have ended well since the node was started, remembered or not.
fn ended(node: &Node) -> Result<u64, Box<dyn Error>> {
    let metrics = node.get("/metrics")?;
    let line = metrics.lines().find(|line| line.starts_with("egret_jobs_ended") && line.contains("\"finished\""));
    let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    count.map(|count| count as u64).ok_or_else(|| "the metrics have no egret_jobs_ended".into())
}

fn conclude(load: &Outcome, looks: &[Look], pending: u64, ended: u64, cpu: Duration) {
    println!(
        "\n{}; POST answered after p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us; late p99 {:.0} us; CPU {:.0} us a job",
        load.priority,
        micros(&load.latency, 0.5),
        micros(&load.latency, 0.99),
        micros(&load.latency, 0.999),
        micros(&load.late, 0.99),
        cpu.as_secs_f64() * 1e6 / load.ok() as f64
    );
    println!("{} jobs accepted of {}: {}", load.ok(), load.planned, verdict(load.ok() == load.planned));
    println!("{pending} left pending {LAST_JOBS:?} after the last: {}", verdict(pending == 0));
    println!("{ended} ended well, {} lost: {}", load.ok().saturating_sub(ended), verdict(ended == load.ok()));
    let quarter = looks.len() / 4;
    let (second, last) = (&looks[quarter..2 * quarter], &looks[3 * quarter..]);
    let memory = |looks: &[Look]| median(looks.iter().map(|look| look.rss_mib));
    let (before, after) = (memory(second), memory(last));
    let growth = (after - before) / before;
    println!(
        "RSS {before:.1} MiB in the second quarter, {after:.1} MiB in the last: {:+.1} %; aim at most {:.0} %: {}",
        growth * 100.0,
        AIM_GROWTH * 100.0,
        verdict(growth <= AIM_GROWTH)
    );
    let (least, most) = extent(looks[quarter..].iter().map(|look| look.files as f64));
    println!(
        "open files {least} to {most} from the second quarter on; aim within {AIM_FILES}: {}",
        verdict(most - least <= AIM_FILES)
    );
}
