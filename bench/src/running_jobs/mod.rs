//! The list of running jobs, asked for at a steady pace: without jobs, and beside jobs that take all they can get.

mod csv;
pub mod jobs;

use std::error::Error;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use egret_runtime::shard::signals::StopWatch;

use crate::child::egret;
use crate::load::{Load, Outcome, get};
use crate::node::{Node, RUNNING_JOBS};
use crate::show::{Micros, median, micros, verdict};
use jobs::Jobs;

/// The 99th percentile beside jobs may be this, however low it is without them.
const AIM_P99_US: f64 = 600.0;

/// What to measure, and for how long.
#[derive(Args)]
pub struct Options {
    /// Requests a second, whatever comes back.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Seconds of each round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds of each set-up; they take turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Connections that are kept open.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// What runs beside the requests, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "none,waiting,spinning,csv")]
    beside: Vec<Beside>,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// What runs beside the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Beside {
    /// Nothing: the list is empty.
    None,
    /// As many jobs as spin, but they wait: the list is as long, the cores are free.
    Waiting,
    /// FakeSource to Blackhole without an end.
    Spinning,
    /// LocalFile csv to LocalFile parquet.
    Csv,
}

impl Beside {
    fn title(self) -> &'static str {
        match self {
            Self::None => "without jobs",
            Self::Waiting => "beside jobs that wait",
            Self::Spinning => "beside spinning jobs",
            Self::Csv => "beside csv to parquet",
        }
    }
}

/// What a round gave.
struct Round {
    beside: Beside,
    load: Outcome,
    /// CPU time of the node against the time of the round: the cores that it kept busy.
    node_cores: f64,
    /// Rows that the jobs read, a second.
    rows_per_second: f64,
}

/// Runs the benchmark and prints its table.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    let egret = egret(options.egret.as_deref())?;
    let cpus = egret_runtime::shard::allowed_cpus()?.len();
    let jobs = Jobs::prepare(cpus, options.beside.contains(&Beside::Csv))?;
    let node = Node::start(&egret, None)?;
    println!(
        "GET {RUNNING_JOBS}: {} requests/s, open loop, {} connections; {} rounds of {} s each in turn; {cpus} CPUs, which client and node share",
        options.rate, options.connections, options.rounds, options.seconds
    );
    println!(
        "{:<24} {:>5} {} {:>8} {:>8} {:>8} {:>9} {:>9}",
        "us, from due to answer",
        "round",
        Micros::HEADER,
        "200",
        "other",
        "late p99",
        "node CPUs",
        "Mrows/s"
    );
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        for beside in &options.beside {
            let round = one_round(&node, &jobs, *beside, options)?;
            if rounds.is_empty() {
                println!("{}", round.load.priority);
            }
            print_round(number, &round);
            rounds.push(round);
            if watch.signal.is_set() {
                return Err("stopped".into());
            }
        }
    }
    node.stop()?;
    conclude(options, &rounds);
    let bad: u64 = rounds.iter().map(|round| round.load.planned - round.load.ok()).sum();
    if bad == 0 { Ok(()) } else { Err(format!("{bad} requests were not answered with 200").into()) }
}

fn one_round(node: &Node, jobs: &Jobs, beside: Beside, options: &Options) -> Result<Round, Box<dyn Error>> {
    let started = jobs.start(node, beside)?;
    // What a start leaves behind, compiled plans or files just opened, is not what the round is about.
    thread::sleep(Duration::from_millis(200));
    let load = Load {
        address: node.address,
        requests: vec![get("localhost", RUNNING_JOBS)],
        rate: options.rate,
        length: Duration::from_secs(options.seconds),
        connections: usize::from(options.connections),
        follow: None,
    };
    let (rows, cpu, began) = (jobs::rows_read(node)?, node.child.cpu()?, Instant::now());
    let load = load.run()?;
    let elapsed = began.elapsed().as_secs_f64();
    let node_cores = (node.child.cpu()? - cpu).as_secs_f64() / elapsed;
    if node.running_jobs()?.len() != started.len() {
        return Err(format!("jobs ended before their round ({}): make rounds shorter", beside.title()).into());
    }
    let rows_per_second = (jobs::rows_read(node)? - rows) as f64 / elapsed;
    started.stop(node)?;
    Ok(Round { beside, load, node_cores, rows_per_second })
}

fn print_round(number: u32, round: &Round) {
    let (ok, planned) = (round.load.ok(), round.load.planned);
    println!(
        "{:<24} {number:>5} {} {ok:>8} {:>8} {:>8.1} {:>9.2} {:>9.2}",
        round.beside.title(),
        Micros(&round.load.latency),
        planned - ok,
        micros(&round.load.late, 0.99),
        round.node_cores,
        round.rows_per_second / 1e6
    );
}

/// Prints the medians of the rounds, and how they stand to those without jobs.
fn conclude(options: &Options, rounds: &[Round]) {
    let middle = |beside: Beside, quantile: f64| {
        let of_set_up = rounds.iter().filter(|round| round.beside == beside);
        median(of_set_up.map(|round| micros(&round.load.latency, quantile)))
    };
    println!();
    let (p50_alone, p99_alone) = (middle(Beside::None, 0.5), middle(Beside::None, 0.99));
    for beside in &options.beside {
        let (p50, p99, p999) = (middle(*beside, 0.5), middle(*beside, 0.99), middle(*beside, 0.999));
        print!("{:<24} median p50 {p50:.1} us, p99 {p99:.1} us, p99.9 {p999:.1} us", beside.title());
        if matches!(beside, Beside::Spinning | Beside::Csv) && !p50_alone.is_nan() {
            let limit = (2.0 * p99_alone).max(AIM_P99_US);
            print!(
                "; p50 no worse than without jobs: {}; p99 at most {limit:.0} us: {}",
                verdict(p50 <= p50_alone),
                verdict(p99 <= limit)
            );
        }
        println!();
    }
}
