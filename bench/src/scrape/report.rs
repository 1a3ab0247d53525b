//! The table and the aims.

use hdrhistogram::Histogram;

use super::exporter::Exporter;
use super::round::{Round, Scraped};
use super::{MONITORING, Options, TARGETS};
use crate::show::{extent, median, micros, verdict};

/// The node exporter's name in the table.
pub const EXPORTER: &str = "node exporter";

/// CPU time of a series, as a part of the node exporter's at the same rate.
const AIM_OF_EXPORTER: f64 = 0.1;
/// Of one core, for system-monitoring-information at [`AIM_CORE_RATE`].
const AIM_CORE: f64 = 0.05;
const AIM_CORE_RATE: u32 = 1000;
/// The 99th percentile beside busy cores at [`AIM_P99_RATE`].
const AIM_P99_US: f64 = 1000.0;
const AIM_P99_RATE: u32 = 100;

pub fn begin(options: &Options, cpus: usize, exporter: Option<&Exporter>) {
    println!(
        "{} jobs of 10 rows a second on {cpus} CPUs, which client and node share; {} rounds of {} s each in turn; busy \
         cores: {cpus} more jobs, each with a task on every CPU that never waits",
        options.jobs, options.rounds, options.seconds
    );
    match exporter {
        Some(exporter) => println!("beside {}, with its own choice of collectors", exporter.path.display()),
        None => println!("NOT compared with the node exporter: none is on the PATH (--node-exporter names one)"),
    }
}

/// All rounds of one kind together.
struct Row {
    scraped: Scraped,
    latency: Histogram<u64>,
    cpu_us: f64,
    cpu_extent_us: (f64, f64),
    sampling_us: f64,
    core: f64,
    series: usize,
    bytes: usize,
    scrapes: u64,
}

impl Row {
    fn of(rounds: &[Round], scraped: Scraped) -> Option<Self> {
        let rounds: Vec<&Round> = rounds.iter().filter(|round| round.scraped == scraped).collect();
        let (first, others) = rounds.split_first()?;
        let mut latency = first.latency().clone();
        // The histograms have the same bounds.
        others.iter().for_each(|round| latency += round.latency());
        let of = |value: fn(&Round) -> f64| rounds.iter().map(move |round| value(round));
        Some(Self {
            scraped,
            latency,
            cpu_us: median(of(|round| round.cpu_us)),
            cpu_extent_us: extent(of(|round| round.cpu_us)),
            sampling_us: median(of(|round| round.sampling_us)),
            core: median(of(|round| round.core)),
            series: first.series,
            bytes: rounds.iter().map(|round| round.outcome.lengths.1).max().unwrap_or(0),
            scrapes: rounds.iter().map(|round| round.outcome.answered()).sum(),
        })
    }

    fn ns_per_series(&self) -> f64 {
        self.cpu_us * 1e3 / self.series.max(1) as f64
    }

    fn print(&self) {
        let (least, most) = self.cpu_extent_us;
        println!(
            "{:<14} {:<5} {:>5} {:>7} {:>8.0} {:>8.0} {:>8.1} {:>15} {:>8.1} {:>8.1} {:>6.2} {:>6} {:>8} {:>9.0}",
            self.scraped.target,
            if self.scraped.busy { "busy" } else { "free" },
            self.scraped.rate,
            self.scrapes,
            micros(&self.latency, 0.5),
            micros(&self.latency, 0.99),
            self.cpu_us,
            format!("{least:.0}-{most:.0}"),
            (self.cpu_us - self.sampling_us).max(0.0),
            self.sampling_us,
            self.core * 100.0,
            self.series,
            self.bytes,
            self.ns_per_series()
        );
    }
}

/// Prints the table and whether the aims are met.
pub fn conclude(options: &Options, rounds: &[Round]) {
    if let Some(round) = rounds.first() {
        println!("{}", round.outcome.priority);
    }
    println!(
        "\n{:<14} {:<5} {:>5} {:>7} {:>8} {:>8} {:>8} {:>15} {:>8} {:>8} {:>6} {:>6} {:>8} {:>9}",
        "a scrape of",
        "cores",
        "per s",
        "scrapes",
        "p50 us",
        "p99 us",
        "CPU us",
        "least-most",
        "serving",
        "sampling",
        "core %",
        "series",
        "bytes",
        "ns/series"
    );
    for busy in [false, true] {
        for (target, _) in TARGETS {
            let of = |rate: &u32| Row::of(rounds, Scraped { target, busy, rate: *rate });
            options.rates.iter().filter_map(of).for_each(|row| row.print());
        }
    }
    let of = |rate: &u32| Row::of(rounds, Scraped { target: EXPORTER, busy: false, rate: *rate });
    options.exporter_rates.iter().filter_map(of).for_each(|row| row.print());
    println!(
        "CPU is of all threads but those of the jobs' tasks, beyond what they take while nobody asks; latencies are of all \
         rounds, CPU times medians of them"
    );
    aims(options, rounds);
}

fn aims(options: &Options, rounds: &[Round]) {
    let row = |target, busy, rate| Row::of(rounds, Scraped { target, busy, rate });
    for rate in &options.exporter_rates {
        if let (Some(ours), Some(theirs)) = (row("metrics", false, *rate), row(EXPORTER, false, *rate)) {
            let part = ours.ns_per_series() / theirs.ns_per_series();
            println!(
                "CPU of a series at {rate} a second: {part:.3} of the node exporter's; aim at most {AIM_OF_EXPORTER}: {}",
                verdict(part <= AIM_OF_EXPORTER)
            );
        }
    }
    if let Some(row) = row(MONITORING, false, AIM_CORE_RATE) {
        println!(
            "system-monitoring-information at {AIM_CORE_RATE} a second: {:.2} % of one core; aim below {:.0} %: {}",
            row.core * 100.0,
            AIM_CORE * 100.0,
            verdict(row.core < AIM_CORE)
        );
    }
    for (target, _) in TARGETS {
        if let Some(row) = row(target, true, AIM_P99_RATE) {
            let p99 = micros(&row.latency, 0.99);
            println!(
                "{target} at {AIM_P99_RATE} a second beside busy cores: p99 {p99:.0} us; aim below {AIM_P99_US:.0} us: {}",
                verdict(p99 < AIM_P99_US)
            );
        }
    }
}
