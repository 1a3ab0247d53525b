//! Random rows, drawn and dropped: what the data plane costs without input and output.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use egret_runtime::shard::allowed_cpus;
use egret_runtime::shard::signals::StopWatch;
use serde_json::json;

use crate::child::{Child, egret};
use crate::show::verdict;

/// Rows a second that one core is to give.
const AIM_ROWS_PER_SECOND: f64 = 3e6;
/// A run that takes longer is ended.
const RUN_TIMEOUT: Duration = Duration::from_secs(300);
/// Time between two looks at the memory.
const SAMPLE: Duration = Duration::from_millis(20);

/// How many rows, and where.
#[derive(Args)]
pub struct Options {
    /// Rows of each run.
    #[arg(long, value_delimiter = ',', default_value = "10000000,10000000,10000000,100000000",
        value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    rows: Vec<u64>,
    /// The CPU to run on [default: the last one that may be used].
    #[arg(long)]
    cpu: Option<usize>,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// One run of the job.
struct Round {
    rows: u64,
    wall: Duration,
    cpu: Duration,
    /// Resident memory in KiB: after a tenth of the run, at its end, and the most there ever was.
    early_kib: u64,
    late_kib: u64,
    peak_kib: u64,
}

/// Runs the job with each number of rows and prints what it cost.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    let egret = egret(options.egret.as_deref())?;
    let cpu = match options.cpu {
        Some(cpu) => cpu,
        None => *allowed_cpus()?.last().ok_or("no CPU may be used")?,
    };
    println!("egret run --cores {cpu}: FakeSource (int, string of 32 letters) to Blackhole, parallelism 1\n");
    println!(
        "{:>12} {:>8} {:>8} {:>14} {:>14} {:>12} {:>11} {:>11} {:>11}",
        "rows", "wall s", "CPU s", "rows/s", "rows/CPU s", "CPU ns/row", "RSS 10% MB", "RSS end MB", "RSS peak MB"
    );
    let mut rounds = Vec::new();
    for rows in &options.rows {
        let round = one_run(&egret, cpu, *rows, watch)?;
        let (wall, cpu) = (round.wall.as_secs_f64(), round.cpu.as_secs_f64());
        let rows = round.rows as f64;
        println!(
            "{:>12} {wall:>8.2} {cpu:>8.2} {:>14.0} {:>14.0} {:>12.1} {:>11.1} {:>11.1} {:>11.1}",
            round.rows,
            rows / wall,
            rows / cpu,
            cpu * 1e9 / rows,
            megabytes(round.early_kib),
            megabytes(round.late_kib),
            megabytes(round.peak_kib),
        );
        rounds.push(round);
    }
    conclude(&rounds);
    Ok(())
}

fn conclude(rounds: &[Round]) {
    let (Some(least), Some(most)) =
        (rounds.iter().min_by_key(|round| round.rows), rounds.iter().max_by_key(|round| round.rows))
    else {
        return;
    };
    let rate = most.rows as f64 / most.wall.as_secs_f64();
    println!(
        "\n{rate:.0} rows/s on one core over {} rows, start and end of the process included; aim {AIM_ROWS_PER_SECOND:.0}: {}",
        most.rows,
        verdict(rate >= AIM_ROWS_PER_SECOND)
    );
    if most.rows > least.rows {
        println!(
            "peak memory {:.1} MB over {} rows, {:.1} MB over {} rows",
            megabytes(least.peak_kib),
            least.rows,
            megabytes(most.peak_kib),
            most.rows
        );
    }
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

fn one_run(egret: &Path, cpu: usize, rows: u64, watch: &StopWatch) -> Result<Round, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("fake.json");
    std::fs::write(&config, fake_job("fake", rows, 1).to_string())?;
    let log = folder.path().join("log");
    let mut command = Command::new(egret);
    command.arg("run").args(["--no-progress", "--cores", &cpu.to_string()]).arg(&config);
    command.current_dir(folder.path()).stdin(Stdio::null());
    command.stdout(std::fs::File::create(folder.path().join("out"))?).stderr(std::fs::File::create(&log)?);
    let mut child = Child::spawn(command)?;
    let mut samples: Vec<(Instant, u64)> = Vec::new();
    let mut peak_kib = 0;
    let ended = loop {
        if let Some(ended) = child.wait(SAMPLE)? {
            break ended;
        }
        // A process that is just ending tells no memory.
        if let (Ok(now), Ok(peak)) = (child.memory_kib("VmRSS"), child.memory_kib("VmHWM")) {
            samples.push((Instant::now(), now));
            peak_kib = peak;
        }
        if child.started.elapsed() > RUN_TIMEOUT {
            return Err(format!("the job did not end within {RUN_TIMEOUT:?}").into());
        }
        if watch.signal.is_set() {
            return Err("stopped".into());
        }
    };
    let wall = child.started.elapsed();
    if !ended.status.success() {
        return Err(format!("egret ended with {}:\n{}", ended.status, std::fs::read_to_string(&log)?).into());
    }
    check_count(&std::fs::read_to_string(folder.path().join("out"))?, rows)?;
    let early = samples.iter().find(|(at, _)| *at >= child.started + wall / 10);
    Ok(Round {
        rows,
        wall,
        cpu: ended.cpu,
        early_kib: early.map_or(0, |(_, kib)| *kib),
        late_kib: samples.last().map_or(0, |(_, kib)| *kib),
        peak_kib,
    })
}

/// The job's own statistics must tell as many rows as were asked for.
fn check_count(statistics: &str, rows: u64) -> Result<(), Box<dyn Error>> {
    let line = statistics.lines().find(|line| line.starts_with("Total Write Count"));
    let count = line.and_then(|line| line.rsplit(':').next()?.trim().parse::<u64>().ok());
    if count == Some(rows) { Ok(()) } else { Err(format!("{rows} rows were asked for, written: {count:?}").into()) }
}

/// A job of random rows that are dropped. `rows` are those of each parallel reader.
pub fn fake_job(name: &str, rows: u64, parallelism: usize) -> serde_json::Value {
    json!({
        "env": {"job.name": name, "job.mode": "BATCH", "parallelism": parallelism},
        "source": [{
            "plugin_name": "FakeSource",
            "plugin_output": "fake",
            "row.num": rows,
            "string.length": 32,
            "schema": {"fields": {"number": "int", "text": "string"}}
        }],
        "transform": [],
        "sink": [{"plugin_name": "Blackhole", "plugin_input": "fake"}]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_other_than_the_one_asked_for_is_an_error() {
        let statistics =
            "Total Read Count          :                  10\nTotal Write Count         :                  10\n";
        assert!(check_count(statistics, 10).is_ok());
        assert!(check_count(statistics, 11).is_err());
        assert!(check_count("", 0).is_err());
    }
}
