//! Tiny jobs at a steady pace: the time from their submission to their end.

use std::error::Error;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use egret_runtime::shard::signals::StopWatch;
use serde_json::Value;

use crate::child::egret;
use crate::fake::fake_job;
use crate::load::{Load, Next, Outcome, Reply, get, post};
use crate::node::Node;
use crate::show::{Micros, median, micros, verdict};

/// From the POST to FINISHED, 99 of 100 jobs.
const AIM_P99_MS: f64 = 10.0;
/// Rows of a job.
pub const ROWS: u64 = 100;
/// Time between the answer to a look at a job that has not ended and the next look.
const PAUSE: Duration = Duration::from_micros(500);

/// How many jobs, and how often.
#[derive(Args)]
pub struct Options {
    /// Jobs a second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Seconds of each round.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Connections that are kept open; each follows one job at a time.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// A request that submits a tiny job.
pub fn submission() -> Vec<u8> {
    post("localhost", "/hazelcast/rest/maps/submit-job", &fake_job("tiny", ROWS, 1).to_string())
}

/// Runs the rounds and prints their table.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    let node = Node::start(&egret(options.egret.as_deref())?, None)?;
    println!(
        "POST submit-job, FakeSource ({ROWS} rows) to Blackhole: {} jobs/s, open loop, {} rounds of {} s; the end is seen \
         by job-info over the same connection, {PAUSE:?} after the answer before",
        options.rate, options.rounds, options.seconds
    );
    println!(
        "{:<10} {:>8} {} {:>9} {:>9} {:>12}",
        "us   round",
        "jobs",
        Micros::HEADER,
        "late p99",
        "looks/job",
        "CPU us/job"
    );
    let mut p99s = Vec::new();
    for number in 1..=options.rounds {
        let (load, cpu) = one_round(&node, options)?;
        let jobs = load.ok();
        println!(
            "{number:>10} {jobs:>8} {} {:>9.1} {:>9.1} {:>12.0}",
            Micros(&load.latency),
            micros(&load.late, 0.99),
            load.followed as f64 / jobs as f64,
            cpu.as_secs_f64() * 1e6 / jobs as f64
        );
        if number == 1 {
            println!("{}", load.priority);
        }
        if jobs != load.planned {
            return Err(
                format!("{} of {} jobs did not end: {:?}", load.planned - jobs, load.planned, load.statuses).into()
            );
        }
        p99s.push(micros(&load.latency, 0.99) / 1e3);
        if watch.signal.is_set() {
            return Err("stopped".into());
        }
    }
    let p99 = median(p99s);
    println!("\nmedian p99 {p99:.2} ms; aim below {AIM_P99_MS} ms: {}", verdict(p99 < AIM_P99_MS));
    node.stop()
}

/// What came back, and the CPU time of the node, the looks included.
fn one_round(node: &Node, options: &Options) -> Result<(Outcome, Duration), Box<dyn Error>> {
    // What the round before leaves behind, logs to be written, is not what the round is about.
    thread::sleep(Duration::from_millis(500));
    let load = Load {
        address: node.address,
        requests: vec![submission()],
        rate: options.rate,
        length: Duration::from_secs(options.seconds),
        connections: usize::from(options.connections),
        follow: Some(&follow),
    };
    let (cpu, began) = (node.child.cpu()?, Instant::now());
    let outcome = load.run()?;
    let taken = node.child.cpu()? - cpu;
    let length = began.elapsed();
    // What the node takes without jobs is not theirs.
    let (cpu, pause) = (node.child.cpu()?, Duration::from_secs(1));
    thread::sleep(pause);
    let idle = (node.child.cpu()? - cpu).mul_f64(length.as_secs_f64() / pause.as_secs_f64());
    Ok((outcome, taken.saturating_sub(idle)))
}

/// Asks for the job that was submitted until it has ended, and ended well.
fn follow(reply: &Reply) -> Result<Next, String> {
    if reply.status != 200 {
        return Ok(Next::Done);
    }
    let text = String::from_utf8_lossy(&reply.body);
    let job: Value = serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))?;
    let id = job["jobId"].as_str().map_or_else(|| job["jobId"].to_string(), str::to_owned);
    match job["jobStatus"].as_str() {
        Some("FINISHED") if rows_written(&job) == Some(ROWS) => Ok(Next::Done),
        Some("FINISHED" | "FAILED" | "CANCELED" | "UNKNOWABLE") => Err(format!("a job did not end well: {text}")),
        _ => Ok(Next::Ask { request: get("localhost", &format!("/hazelcast/rest/maps/job-info/{id}")), pause: PAUSE }),
    }
}

fn rows_written(job: &Value) -> Option<u64> {
    job["metrics"]["SinkWriteCount"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &str) -> Reply {
        Reply { status: 200, body: body.into(), length: 0, closes: false }
    }

    #[test]
    fn a_job_is_followed_to_its_end() {
        let Ok(Next::Ask { request, .. }) = follow(&reply(r#"{"jobId": 12, "jobName": "tiny"}"#)) else {
            panic!("a job that was just submitted has not ended")
        };
        assert!(request.starts_with(b"GET /hazelcast/rest/maps/job-info/12 HTTP/1.1\r\n"));
        assert!(matches!(follow(&reply(r#"{"jobId": "12", "jobStatus": "RUNNING"}"#)), Ok(Next::Ask { .. })));
        let ended = r#"{"jobId": "12", "jobStatus": "FINISHED", "metrics": {"SinkWriteCount": "100"}}"#;
        assert!(matches!(follow(&reply(ended)), Ok(Next::Done)));
    }

    #[test]
    fn a_job_that_fails_or_loses_rows_is_an_error() {
        let lost = r#"{"jobId": "12", "jobStatus": "FINISHED", "metrics": {"SinkWriteCount": "99"}}"#;
        for body in [lost, r#"{"jobId": "12", "jobStatus": "FAILED"}"#, "no JSON"] {
            assert!(follow(&reply(body)).is_err(), "{body}");
        }
    }
}
