//! What a scrape costs: metrics and system-monitoring-information at several rates, beside Debian's node exporter.

mod cpu;
mod exporter;
mod report;
mod round;

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use egret_runtime::shard::signals::StopWatch;
use serde_json::{Value, json};

use crate::child::egret;
use crate::fake::fake_job;
use crate::lists::jobs::{start_spinning, stop};
use crate::node::Node;
use crate::running_jobs::jobs::{ENDLESS, rows};

use exporter::Exporter;
use round::Round;

/// What is scraped of the node: its name in the table and its path.
const TARGETS: [(&str, &str); 2] = [("metrics", "/metrics"), (MONITORING, "/system-monitoring-information")];
/// Values of system-monitoring-information have a table of their own.
const MONITORING: &str = "monitoring";
/// Rows a second of each job.
const ROWS_PER_SECOND: u64 = 10;
/// Milliseconds between two checkpoints of a job: longer than any run, so that none falls into a round.
const CHECKPOINT_MS: u64 = 3_600_000;

/// What to scrape, how often and for how long.
#[derive(Args)]
pub struct Options {
    /// Jobs that run on the node: streams of 10 rows a second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    jobs: u32,
    /// Scrapes a second.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rates: Vec<u32>,
    /// Scrapes a second of the node exporter.
    #[arg(long, value_delimiter = ',', default_value = "1,10",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    exporter_rates: Vec<u32>,
    /// Seconds of each round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Times that each round is made; they take turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The node exporter to compare with [default: prometheus-node-exporter or node_exporter of the PATH].
    #[arg(long)]
    node_exporter: Option<PathBuf>,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// Runs the rounds and prints their table.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    let cpus = egret_runtime::shard::allowed_cpus()?.len();
    let node = Node::start(&egret(options.egret.as_deref())?, None)?;
    let jobs = start_jobs(&node, options.jobs)?;
    let exporter = Exporter::start(options.node_exporter.as_deref())?;
    report::begin(options, cpus, exporter.as_ref());
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        for busy in [false, true] {
            let spinning = if busy { start_spinning(&node, cpus)? } else { Vec::new() };
            round::of_node(&node, busy, options, watch, &mut rounds)?;
            all_run(&node, jobs.len() + spinning.len())?;
            stop(&node, &spinning, jobs.len())?;
        }
        if let Some(exporter) = &exporter {
            round::of_exporter(exporter, options, watch, &mut rounds)?;
        }
        eprintln!("round {number} of {} done", options.rounds);
    }
    report::conclude(options, &rounds);
    round::check_sampler(&node)?;
    node.stop()?;
    let lost: u64 = rounds.iter().map(Round::lost).sum();
    if lost == 0 { Ok(()) } else { Err(format!("{lost} scrapes were not answered with 200").into()) }
}

/// Starts streams that read a few rows a second for ever; gives their ids once all run.
fn start_jobs(node: &Node, jobs: u32) -> Result<Vec<String>, Box<dyn Error>> {
    let ids = (0..jobs).map(|number| node.submit(&steady_job(number))).collect::<Result<Vec<_>, _>>()?;
    let steady = |job: &Value| job["jobStatus"] == "RUNNING" && rows(job) > 0;
    node.wait_for_jobs("jobs that read rows", |jobs| jobs.len() == ids.len() && jobs.iter().all(steady))?;
    Ok(ids)
}

fn steady_job(number: u32) -> Value {
    let mut job = fake_job(&format!("steady-{number}"), ENDLESS, 1);
    job["env"]["job.mode"] = json!("STREAMING");
    job["env"]["checkpoint.interval"] = json!(CHECKPOINT_MS);
    job["env"]["read_limit.rows_per_second"] = json!(ROWS_PER_SECOND);
    job
}

/// Makes sure that what the rounds were made beside was there to their end.
fn all_run(node: &Node, jobs: usize) -> Result<(), Box<dyn Error>> {
    let running = node.running_jobs()?.iter().filter(|job| job["jobStatus"] == "RUNNING").count();
    if running == jobs { Ok(()) } else { Err(format!("{jobs} jobs should run, {running} do").into()) }
}
