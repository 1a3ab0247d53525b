//! Copies of files from one format to another, beside the same copies by DuckDB.

mod duck;
mod table;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use egret_runtime::shard::signals::StopWatch;
use serde_json::json;

use crate::child::{Child, Ended, bind, egret};
use crate::show::{median, verdict};
use duck::Duck;

/// Rows of a row group of parquet, in both.
const ROW_GROUP_ROWS: usize = 122_880;
/// A copy is to run at this part of DuckDB's rate at least.
const AIM_RATIO: f64 = 0.8;
/// A copy that takes longer is given up.
const COPY_TIMEOUT: Duration = Duration::from_secs(600);

/// What to copy, and how often.
#[derive(Args)]
#[command(after_help = "\
Examples:
  egret-bench files --duckdb-python /tmp/venv/bin/python
  egret-bench files --bytes 200000000 --rounds 5 --copies csv-to-parquet --codec zstd
  egret-bench files --keep --folder /data    # to profile: the job configs stay in the folder

A Python with DuckDB: python3 -m venv /tmp/venv && /tmp/venv/bin/pip install duckdb")]
pub struct Options {
    /// Bytes of the table, of csv and of json each.
    #[arg(long, default_value_t = 1_000_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    bytes: u64,
    /// Files that the table is in: as many tasks can share it.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    files: u64,
    /// Rounds of each copy; those who copy take turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Compression of parquet.
    #[arg(long, default_value = "snappy", value_parser = ["none", "snappy", "zstd"])]
    codec: String,
    /// Which copies, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "csv-to-json,csv-to-parquet,json-to-parquet")]
    copies: Vec<Copy>,
    /// A Python interpreter that can import duckdb; without one Egret runs alone.
    #[arg(long, value_name = "PATH")]
    duckdb_python: Option<PathBuf>,
    /// Where the files stand while it runs [default: the system's folder for such files].
    #[arg(long, value_name = "PATH")]
    folder: Option<PathBuf>,
    /// Leave the files and job configs where they are.
    #[arg(long)]
    keep: bool,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// From which format to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Copy {
    CsvToJson,
    CsvToParquet,
    JsonToParquet,
}

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Json,
    Parquet,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }
}

impl Copy {
    fn from(self) -> Format {
        if self == Self::JsonToParquet { Format::Json } else { Format::Csv }
    }

    fn to(self) -> Format {
        if self == Self::CsvToJson { Format::Json } else { Format::Parquet }
    }

    fn title(self) -> String {
        format!("{} to {}", self.from().name(), self.to().name())
    }
}

/// Who copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Egret { parallelism: usize },
    Duck,
}

impl Who {
    fn title(self) -> String {
        match self {
            Self::Egret { parallelism } => {
                format!("egret, {parallelism} core{}", if parallelism > 1 { "s" } else { "" })
            }
            Self::Duck => "duckdb, 1 thread".to_owned(),
        }
    }
}

/// What a copy took.
struct Run {
    copy: Copy,
    who: Who,
    round: u32,
    seconds: f64,
    ended: Ended,
}

/// The files, and those who copy them.
struct Bench<'a> {
    options: &'a Options,
    folder: PathBuf,
    egret: PathBuf,
    duck: Option<Duck>,
    cpus: Vec<usize>,
}

/// Runs the benchmark and prints its table.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    let place = options.folder.clone().unwrap_or_else(std::env::temp_dir);
    let mut folder = tempfile::Builder::new().prefix("egret-bench-files-").tempdir_in(place)?;
    folder.disable_cleanup(options.keep);
    let duck = options.duckdb_python.as_deref().map(|python| Duck::new(python, folder.path())).transpose()?;
    let cpus = egret_runtime::shard::allowed_cpus()?;
    let egret = egret(options.egret.as_deref())?;
    let bench = Bench { options, folder: folder.path().to_owned(), egret, duck, cpus };
    let mut sizes = Vec::new();
    for format in [Format::Csv, Format::Json] {
        if options.copies.iter().any(|copy| copy.from() == format) {
            let (rows, bytes) = table::write(&bench.folder.join(format.name()), format, options.bytes, options.files)?;
            println!("{}: {rows} rows, {bytes} bytes in {} files", format.name(), options.files);
            sizes.push((format, bytes));
        }
    }
    if options.keep {
        println!("files stay in {}", bench.folder.display());
    }
    println!("parquet: {}, row groups of {ROW_GROUP_ROWS} rows\n", options.codec);
    println!(
        "{:<16} {:<17} {:>5} {:>9} {:>8} {:>8} {:>9} {:>7}",
        "copy", "by", "round", "seconds", "MB/s", "CPU s", "peak MiB", "ratio"
    );
    let mut runs: Vec<Run> = Vec::new();
    for copy in &options.copies {
        let bytes = sizes.iter().find(|(format, _)| *format == copy.from()).map_or(0, |(_, bytes)| *bytes);
        for round in 1..=options.rounds {
            for who in bench.takers(round) {
                let run = bench.copy(*copy, who, round)?;
                print_run(&run, bytes, &runs);
                runs.push(run);
                if watch.signal.is_set() {
                    return Err("stopped".into());
                }
            }
            if round == 1 {
                bench.compare(*copy)?;
            }
        }
    }
    conclude(options, &runs);
    Ok(())
}

impl Bench<'_> {
    /// Who copies in a round: all of them, the order turned each time.
    fn takers(&self, round: u32) -> Vec<Who> {
        let mut takers = vec![Who::Egret { parallelism: 1 }];
        if self.duck.is_some() {
            takers.insert(usize::from(round.is_multiple_of(2)), Who::Duck);
        }
        if self.cpus.len() > 1 && self.options.files > 1 {
            takers.push(Who::Egret { parallelism: 2 });
        }
        takers
    }

    fn input(&self, copy: Copy) -> String {
        format!("{}/*", self.folder.join(copy.from().name()).display())
    }

    /// Where a copy goes to.
    fn output(&self, who: Who) -> PathBuf {
        self.folder.join(if who == Who::Duck { "out-duck" } else { "out-egret" })
    }

    fn copy(&self, copy: Copy, who: Who, round: u32) -> Result<Run, Box<dyn Error>> {
        let out = self.output(who);
        if out.exists() {
            fs::remove_dir_all(&out)?;
        }
        fs::create_dir(&out)?;
        // What is still to be written of the copy before is not this one's.
        // SAFETY: a plain call.
        unsafe { libc::sync() };
        let (mut command, cpus) = match (who, &self.duck) {
            (Who::Egret { parallelism }, _) => (self.egret_command(copy, parallelism, &out)?, parallelism),
            (Who::Duck, Some(duck)) => {
                let to = out.join(format!("out.{}", copy.to().name())).display().to_string();
                let statement = duck::statement(copy, &self.input(copy), &to, &self.options.codec);
                (duck.command(&["copy", &statement]), 1)
            }
            (Who::Duck, None) => return Err("there is no Python with duckdb".into()),
        };
        bind(&mut command, &self.cpus[..cpus.min(self.cpus.len())]);
        let told = fs::File::create(self.folder.join("stdout"))?;
        command.stdin(Stdio::null()).stdout(told).stderr(fs::File::create(self.folder.join("stderr"))?);
        let mut child = Child::spawn(command)?;
        let ended = child.wait(COPY_TIMEOUT)?.ok_or_else(|| format!("{} takes too long", who.title()))?;
        let elapsed = child.started.elapsed().as_secs_f64();
        if !ended.status.success() {
            let told = fs::read_to_string(self.folder.join("stderr"))?;
            return Err(format!("{}, {}: {}\n{told}", copy.title(), who.title(), ended.status).into());
        }
        // DuckDB's time is that of the statement alone: what Python takes to start is not its own.
        let seconds = match who {
            Who::Duck => fs::read_to_string(self.folder.join("stdout"))?.trim().parse()?,
            Who::Egret { .. } => elapsed,
        };
        Ok(Run { copy, who, round, seconds, ended })
    }

    fn egret_command(&self, copy: Copy, parallelism: usize, out: &Path) -> Result<Command, Box<dyn Error>> {
        let mut sink = json!({
            "plugin_name": "LocalFile", "plugin_input": "rows", "path": out, "file_format_type": copy.to().name(),
            "batch_size": i64::MAX
        });
        if copy.to() == Format::Parquet {
            sink["compress_codec"] = json!(self.options.codec);
        }
        let job = json!({
            "env": {"job.name": "copy", "job.mode": "BATCH", "parallelism": parallelism},
            "source": [{
                "plugin_name": "LocalFile", "plugin_output": "rows", "path": self.folder.join(copy.from().name()),
                "file_format_type": copy.from().name(), "schema": {"fields": table::fields()}
            }],
            "transform": [],
            "sink": [sink]
        });
        let path = self.folder.join(format!("{}-{parallelism}.json", copy.title().replace(' ', "-")));
        fs::write(&path, serde_json::to_string_pretty(&job)?)?;
        let mut command = Command::new(&self.egret);
        // What else runs on the machine is to weigh on both alike.
        command.args(["run", "--no-progress", "--work-nice", "0"]).arg(path);
        Ok(command)
    }

    /// Has DuckDB hold both copies against the table.
    fn compare(&self, copy: Copy) -> Result<(), Box<dyn Error>> {
        let Some(duck) = &self.duck else { return Ok(()) };
        let of = |who| format!("{}/*.{}", self.output(who).display(), copy.to().name());
        let scans = [
            duck::scan(copy.from(), &self.input(copy)),
            duck::scan(copy.to(), &of(Who::Duck)),
            duck::scan(copy.to(), &of(Who::Egret { parallelism: 1 })),
        ];
        let told = duck.command(&["same", &scans[0], &scans[1], &scans[2]]).output()?;
        let lines: Vec<&[u8]> = told.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        if lines.len() != 3 || lines[0] != lines[1] || lines[0] != lines[2] {
            let told = [told.stdout, told.stderr].concat();
            return Err(format!("{}: the copies differ:\n{}", copy.title(), String::from_utf8_lossy(&told)).into());
        }
        Ok(())
    }
}

/// The other one of the same copy and round.
fn rival<'r>(runs: &'r [Run], run: &Run) -> Option<&'r Run> {
    let duck = |who| who == Who::Duck;
    runs.iter().find(|other| {
        other.copy == run.copy && other.round == run.round && duck(other.who) != duck(run.who) && is_single(other.who)
    })
}

fn is_single(who: Who) -> bool {
    matches!(who, Who::Duck | Who::Egret { parallelism: 1 })
}

/// Egret's rate by DuckDB's.
fn ratio(runs: &[Run], run: &Run) -> Option<f64> {
    let rival = rival(runs, run)?;
    Some(if run.who == Who::Duck { run.seconds / rival.seconds } else { rival.seconds / run.seconds })
}

fn print_run(run: &Run, bytes: u64, before: &[Run]) {
    let ratio = ratio(before, run).map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    println!(
        "{:<16} {:<17} {:>5} {:>9.3} {:>8.1} {:>8.2} {:>9.1} {ratio:>7}",
        run.copy.title(),
        run.who.title(),
        run.round,
        run.seconds,
        bytes as f64 / 1e6 / run.seconds,
        run.ended.cpu.as_secs_f64(),
        run.ended.peak_kib as f64 / 1024.0
    );
}

/// Prints the medians of the rounds.
fn conclude(options: &Options, runs: &[Run]) {
    println!();
    for copy in &options.copies {
        for parallelism in [1, 2] {
            let own = Who::Egret { parallelism };
            let of_copy: Vec<&Run> = runs.iter().filter(|run| run.copy == *copy && run.who == own).collect();
            if of_copy.is_empty() {
                continue;
            }
            let seconds = median(of_copy.iter().map(|run| run.seconds));
            print!("{:<16} {:<17} median {seconds:.3} s", copy.title(), own.title());
            let ratios = median(of_copy.iter().filter_map(|run| ratio(runs, run)));
            if !ratios.is_nan() {
                print!(", {ratios:.2} of duckdb's rate");
                if parallelism == 1 {
                    print!("; at least {AIM_RATIO}: {}", verdict(ratios >= AIM_RATIO));
                }
            }
            println!();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(who: Who, round: u32, seconds: f64) -> Run {
        let status = Command::new("true").status().expect("a process");
        let ended = Ended { status, cpu: Duration::ZERO, peak_kib: 0 };
        Run { copy: Copy::CsvToJson, who, round, seconds, ended }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let own = Who::Egret { parallelism: 1 };
        let runs = [run(Who::Duck, 1, 2.0), run(own, 1, 4.0), run(own, 2, 1.0), run(Who::Duck, 2, 3.0)];
        let ratios: Vec<Option<f64>> = runs.iter().map(|run| ratio(&runs, run)).collect();
        assert_eq!(ratios, [Some(0.5), Some(0.5), Some(3.0), Some(3.0)]);
        assert_eq!(ratio(&runs, &run(Who::Egret { parallelism: 2 }, 1, 1.0)), Some(2.0));
    }

    #[test]
    fn statements_name_codec_and_row_group() {
        let statement = duck::statement(Copy::JsonToParquet, "in/*", "out", "zstd");
        assert!(
            statement.contains("read_json('in/*'") && statement.contains("'price': 'DECIMAL(12,2)'"),
            "{statement}"
        );
        assert!(
            statement.ends_with("TO 'out' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"),
            "{statement}"
        );
    }
}
