//! Rounds: a process that is left alone, and then scraped at one rate after the other.

use std::error::Error;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use egret_runtime::shard::signals::StopWatch;
use hdrhistogram::Histogram;

use super::cpu::Cpu;
use super::exporter::Exporter;
use super::{MONITORING, Options, TARGETS};
use crate::load::{Load, Outcome, get};
use crate::node::{Node, exchange};

/// Before each round: what is left to do of the last one is over, and samples are old again.
const SETTLE: Duration = Duration::from_millis(200);
/// The counter of the sampler's CPU time.
const SAMPLER_CPU: &str = "egret_sampler_cpu_seconds_total";
/// What the node's own count of that may be off from the kernel's: what the thread did since it was asked last.
const SAMPLER_CPU_OFF_MAX: f64 = 0.05;

/// What is scraped, and under which circumstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scraped {
    pub target: &'static str,
    /// Whether jobs spin on all cores.
    pub busy: bool,
    pub rate: u32,
}

/// What a round gave.
pub struct Round {
    pub scraped: Scraped,
    pub outcome: Outcome,
    /// CPU time of a scrape, in microseconds: what the process took beyond what it takes while nobody asks.
    pub cpu_us: f64,
    /// What of it was the sampler's; 0 for a process that has none.
    pub sampling_us: f64,
    /// CPU time of all scrapes of a second, as a share of one core.
    pub core: f64,
    /// Series, or values, of an answer.
    pub series: usize,
}

impl Round {
    /// Scrapes that were not answered with 200.
    pub fn lost(&self) -> u64 {
        self.outcome.planned - self.outcome.ok()
    }

    pub fn latency(&self) -> &Histogram<u64> {
        &self.outcome.latency
    }
}

/// What a process takes while nobody asks, in seconds of CPU time a second.
struct Alone {
    all: f64,
    sampler: f64,
}

/// Scrapes the node's targets in turn.
pub fn of_node(
    node: &Node,
    busy: bool,
    options: &Options,
    watch: &StopWatch,
    rounds: &mut Vec<Round>,
) -> Result<(), Box<dyn Error>> {
    let pid = node.child.id();
    let alone = leave_alone(options, || Cpu::of(pid))?;
    for rate in &options.rates {
        for (target, path) in TARGETS {
            thread::sleep(SETTLE);
            let sampler = sampler_cpu(node)?;
            let (begun, before) = (Instant::now(), Cpu::of(pid)?);
            let outcome = load(node.address, path, *rate, options).run()?;
            let (cpu, length) = (Cpu::of(pid)? - before, begun.elapsed());
            let sampling = sampler_cpu(node)? - sampler - alone.sampler * length.as_secs_f64();
            let body = node.get(path)?;
            let series = if target == MONITORING { values(&body)? } else { series(&body) };
            let scraped = Scraped { target, busy, rate: *rate };
            rounds.push(round(scraped, outcome, cpu.all.as_secs_f64(), sampling, &alone, length, series));
            if watch.signal.is_set() {
                return Err("stopped".into());
            }
        }
    }
    Ok(())
}

/// Scrapes the node exporter.
pub fn of_exporter(
    exporter: &Exporter,
    options: &Options,
    watch: &StopWatch,
    rounds: &mut Vec<Round>,
) -> Result<(), Box<dyn Error>> {
    let cpu = || -> Result<Cpu, Box<dyn Error>> { Ok(Cpu { all: exporter.child.cpu()?, ..Cpu::default() }) };
    let alone = leave_alone(options, cpu)?;
    let body = exchange(exporter.address, &get("localhost", "/metrics"))?.body;
    let series = series(&String::from_utf8(body)?);
    for rate in &options.exporter_rates {
        thread::sleep(SETTLE);
        let (begun, before) = (Instant::now(), cpu()?);
        let outcome = load(exporter.address, "/metrics", *rate, options).run()?;
        let (cpu, length) = (cpu()? - before, begun.elapsed());
        let scraped = Scraped { target: super::report::EXPORTER, busy: false, rate: *rate };
        rounds.push(round(scraped, outcome, cpu.all.as_secs_f64(), 0.0, &alone, length, series));
        if watch.signal.is_set() {
            return Err("stopped".into());
        }
    }
    Ok(())
}

fn round(
    scraped: Scraped,
    outcome: Outcome,
    cpu: f64,
    sampling: f64,
    alone: &Alone,
    length: Duration,
    series: usize,
) -> Round {
    let scrapes = outcome.answered().max(1) as f64;
    // Noise of a process that takes next to nothing may be below what it took alone.
    let cpu = (cpu - alone.all * length.as_secs_f64()).max(0.0);
    Round {
        scraped,
        outcome,
        cpu_us: cpu / scrapes * 1e6,
        sampling_us: sampling.max(0.0) / scrapes * 1e6,
        core: cpu / scrapes * f64::from(scraped.rate),
        series,
    }
}

fn leave_alone(options: &Options, cpu: impl Fn() -> Result<Cpu, Box<dyn Error>>) -> Result<Alone, Box<dyn Error>> {
    thread::sleep(SETTLE);
    let (begun, before) = (Instant::now(), cpu()?);
    thread::sleep(Duration::from_secs(options.seconds));
    let (taken, length) = (cpu()? - before, begun.elapsed().as_secs_f64());
    Ok(Alone { all: taken.all.as_secs_f64() / length, sampler: taken.sampler.as_secs_f64() / length })
}

/// As scrapers do it: over connections that stay, a few more where answers may come late.
fn load<'l>(address: SocketAddr, path: &str, rate: u32, options: &Options) -> Load<'l> {
    Load {
        address,
        requests: vec![get("localhost", path)],
        rate,
        length: Duration::from_secs(options.seconds),
        connections: if rate < 100 { 1 } else { 8 },
        follow: None,
    }
}

/// CPU time of the sampler, in seconds, as the node tells it. To ask for this alone has nothing sampled.
fn sampler_cpu(node: &Node) -> Result<f64, Box<dyn Error>> {
    let text = node.get(&format!("/metrics?name={SAMPLER_CPU}"))?;
    sample(&text, SAMPLER_CPU).ok_or_else(|| format!("/metrics has no {SAMPLER_CPU}").into())
}

/// Holds what the node says of its sampler against the kernel.
pub fn check_sampler(node: &Node) -> Result<(), Box<dyn Error>> {
    let (told, known) = (sampler_cpu(node)?, Cpu::of(node.child.id())?.sampler.as_secs_f64());
    println!("{SAMPLER_CPU}: {told:.4} s; the kernel counts {known:.4} s for the thread");
    if (told - known).abs() <= SAMPLER_CPU_OFF_MAX { Ok(()) } else { Err("the two are not the same".into()) }
}

/// The value of the first sample of a name.
fn sample(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// Samples of a text for scrapers.
fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count()
}

/// Values of system-monitoring-information.
fn values(body: &str) -> Result<usize, Box<dyn Error>> {
    let members: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(body)?;
    Ok(members.first().map_or(0, serde_json::Map::len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_the_lines_that_are_no_comments() {
        let text = "# HELP a b\n# TYPE a gauge\na{x=\"1 2\"} 3.5\nab 4.0E-3\n\n";
        assert_eq!(series(text), 2);
        assert_eq!((sample(text, "a"), sample(text, "ab"), sample(text, "b")), (Some(3.5), Some(0.004), None));
        assert_eq!(values(r#"[{"a":"1","b":"2"}]"#).expect("JSON"), 2);
    }
}
