//! A node that has nothing to do: how soon it is there, and what it takes.

use std::error::Error;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use egret_runtime::shard::allowed_cpus;
use egret_runtime::shard::signals::StopWatch;

use crate::child::egret;
use crate::node::Node;
use crate::show::{median, verdict};

/// From the start of the process to the first answer.
const AIM_START_MS: f64 = 100.0;
/// Resident memory.
const AIM_RSS_MIB: f64 = 20.0;
/// CPU time against one core.
const AIM_CPU_PERCENT: f64 = 0.5;

/// How often and how long.
#[derive(Args)]
pub struct Options {
    /// Starts of the node.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    starts: u32,
    /// Seconds that the last node is left alone.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Shards of the node; there are never more than CPUs.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    shards: u16,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// Starts nodes, looks at the last one and prints what was seen.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    let egret = egret(options.egret.as_deref())?;
    let cpus = allowed_cpus()?;
    let cores: Vec<String> = cpus.iter().take(usize::from(options.shards)).map(ToString::to_string).collect();
    println!("egret serve --cores {} ({} shards), no jobs", cores.join(","), cores.len());
    let cores = cores.join(",");
    let mut starts = Vec::new();
    let node = loop {
        let node = Node::start(&egret, Some(&cores))?;
        starts.push(node.first_answer.as_secs_f64() * 1e3);
        if watch.signal.is_set() {
            return Err("stopped".into());
        }
        if starts.len() == options.starts as usize {
            break node;
        }
        node.stop()?;
    };
    let (least, most) = starts.iter().fold((f64::MAX, 0f64), |(least, most), ms| (least.min(*ms), most.max(*ms)));
    let middle = median(starts.iter().copied());
    println!(
        "start to first answer, {} times: least {least:.1} ms, median {middle:.1} ms, most {most:.1} ms; \
         aim below {AIM_START_MS} ms: {}",
        starts.len(),
        verdict(middle < AIM_START_MS)
    );
    leave_alone(&node, Duration::from_secs(options.seconds))?;
    node.stop()
}

/// What a node takes that nobody asks for anything.
fn leave_alone(node: &Node, length: Duration) -> Result<(), Box<dyn Error>> {
    // What the start leaves to be done is not what an idle node does.
    thread::sleep(Duration::from_secs(1));
    let (began, before) = (Instant::now(), node.child.cpu()?);
    thread::sleep(length);
    let cpu = (node.child.cpu()? - before).as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
    let mib = |line| node.child.memory_kib(line).map(|kib| kib as f64 / 1024.0);
    let rss = mib("VmRSS")?;
    println!(
        "resident memory after {} s: {rss:.1} MiB (of its own {:.1}, of files {:.1}; peak {:.1}); aim below {AIM_RSS_MIB} MiB: {}",
        length.as_secs() + 1,
        mib("RssAnon")?,
        mib("RssFile")?,
        mib("VmHWM")?,
        verdict(rss < AIM_RSS_MIB)
    );
    println!(
        "CPU over {} s: {cpu:.3} % of one core; aim below {AIM_CPU_PERCENT} %: {}",
        length.as_secs(),
        verdict(cpu < AIM_CPU_PERCENT)
    );
    Ok(())
}
