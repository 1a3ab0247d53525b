//! Egret's benchmarks: one module each, one subcommand each. Each prints what it measured beside what it compares with.

// A benchmark that ends tells why: tests alone may unwrap.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

mod child;
mod cores;
mod fake;
mod files;
mod flood;
mod http;
mod idle;
mod lists;
mod load;
mod node;
mod random;
mod running_jobs;
mod scrape;
mod show;
mod slow_clients;
mod submits;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use egret_runtime::shard::signals::{self, StopWatch};

/// Egret's benchmarks. Run them in a release build on a machine that does nothing else.
#[derive(Parser)]
struct Bench {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// How requests and jobs share a CPU: latency of requests beside jobs, what the jobs keep, sharing by weight.
    Cores(cores::Options),
    /// Requests at a steady pace against any HTTP/1.1 server: latency from the moment at which each was due.
    Http(http::Options),
    /// Requests for the running jobs: without jobs, beside spinning jobs, beside csv to parquet.
    RunningJobs(running_jobs::Options),
    /// Lists of a thousand running jobs, and other requests beside them, with free and with busy cores.
    Lists(lists::Options),
    /// Tiny jobs at a steady pace: from their submission to their end.
    Submits(submits::Options),
    /// Tiny jobs in great numbers: whether all end, and what becomes of memory, open files and logs.
    Flood(flood::Options),
    /// Random rows, drawn and dropped: rows a second of one core, CPU time of a row, memory.
    Fake(fake::Options),
    /// Copies of files, csv to json and parquet and json to parquet, beside DuckDB: rates, CPU, memory.
    Files(files::Options),
    /// Scrapes of metrics and system-monitoring-information: latency, CPU, beside the node exporter.
    Scrape(scrape::Options),
    /// A node without work: time to its first answer, memory, CPU.
    Idle(idle::Options),
    /// A healthy client before, beside and after thousands of slow and idle ones.
    SlowClients(slow_clients::Options),
}

fn main() -> ExitCode {
    let outcome = match Bench::parse().benchmark {
        Benchmark::Cores(options) => cores::run(&options),
        Benchmark::Http(options) => http::run(&options),
        Benchmark::RunningJobs(options) => stoppable(|watch| running_jobs::run(&options, watch)),
        Benchmark::Lists(options) => stoppable(|watch| lists::run(&options, watch)),
        Benchmark::Submits(options) => stoppable(|watch| submits::run(&options, watch)),
        Benchmark::Flood(options) => stoppable(|watch| flood::run(&options, watch)),
        Benchmark::Fake(options) => stoppable(|watch| fake::run(&options, watch)),
        Benchmark::Files(options) => stoppable(|watch| files::run(&options, watch)),
        Benchmark::Scrape(options) => stoppable(|watch| scrape::run(&options, watch)),
        Benchmark::Idle(options) => stoppable(|watch| idle::run(&options, watch)),
        Benchmark::SlowClients(options) => stoppable(|watch| slow_clients::run(&options, watch)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("egret-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a benchmark that has processes and files to clean up: it ends by itself when it is told to stop.
fn stoppable(
    benchmark: impl FnOnce(&StopWatch) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>> {
    signals::block_stop_signals()?;
    benchmark(&signals::watch()?)
}
