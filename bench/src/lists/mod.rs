//! Lists of a thousand running jobs, and other requests beside them.
//!
//! Jobs stand still or spin, lists are asked for or not, over one face or the other: each combination is a round, and
//! all that is asked in it is asked at the same time by clients of their own.

pub mod jobs;
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use egret_runtime::shard::signals::StopWatch;

use crate::child::egret;
use crate::load::{Load, Outcome, get};
use crate::node::Node;

/// How long the node is left alone to learn what its jobs take by themselves.
const ALONE: Duration = Duration::from_secs(3);

/// How many jobs, what is asked, and how often.
#[derive(Args)]
pub struct Options {
    /// Running jobs of three vertices.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    jobs: u32,
    /// Lists a second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    lists: u32,
    /// job-info a second, of one job after the other.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    infos: u32,
    /// overview a second.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    overviews: u32,
    /// Seconds of each round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Times that each of the eight rounds is made; they take turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The `egret` to measure [default: the one beside this program].
    #[arg(long)]
    egret: Option<PathBuf>,
}

/// A generation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    V1,
    V2,
}

/// The circumstances of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SetUp {
    /// Whether jobs spin on all cores.
    busy: bool,
    /// Whether lists are asked for.
    lists: bool,
    face: Face,
}

/// What a round gave.
struct Round {
    set_up: SetUp,
    infos: Outcome,
    overviews: Outcome,
    lists: Option<Outcome>,
    /// CPU time of the node.
    cpu: Duration,
    length: Duration,
}

impl Face {
    fn prefix(self) -> &'static str {
        match self {
            Self::V1 => "/hazelcast/rest/maps",
            Self::V2 => "",
        }
    }
}

impl Round {
    fn loads(&self) -> impl Iterator<Item = (&'static str, &Outcome)> {
        let lists = self.lists.as_ref().map(|lists| ("running-jobs", lists));
        [("job-info", &self.infos), ("overview", &self.overviews)].into_iter().chain(lists)
    }
}

/// Runs the rounds and prints what they gave.
pub fn run(options: &Options, watch: &StopWatch) -> Result<(), Box<dyn Error>> {
    let cpus = egret_runtime::shard::allowed_cpus()?.len();
    let node = Node::start(&egret(options.egret.as_deref())?, None)?;
    let ids = jobs::start_idle(&node, options.jobs)?;
    let cpu = node.child.cpu()?;
    thread::sleep(ALONE);
    let alone = (node.child.cpu()? - cpu).as_secs_f64() / ALONE.as_secs_f64();
    report::begin(options, cpus, alone);
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        for busy in [false, true] {
            let spinning = if busy { jobs::start_spinning(&node, cpus)? } else { Vec::new() };
            for (lists, face) in [(false, Face::V1), (false, Face::V2), (true, Face::V1), (true, Face::V2)] {
                let round = one_round(&node, &ids, SetUp { busy, lists, face }, options)?;
                report::round(number, &round);
                rounds.push(round);
                if watch.signal.is_set() {
                    return Err("stopped".into());
                }
            }
            jobs::check(&node, ids.len() + spinning.len())?;
            jobs::stop(&node, &spinning, ids.len())?;
        }
    }
    node.stop()?;
    report::conclude(&rounds, alone);
    let lost = |load: &Outcome| load.planned - load.ok();
    let bad: u64 = rounds.iter().flat_map(Round::loads).map(|(_, load)| lost(load)).sum();
    if bad == 0 { Ok(()) } else { Err(format!("{bad} requests were not answered with 200").into()) }
}

fn one_round(node: &Node, ids: &[String], set_up: SetUp, options: &Options) -> Result<Round, Box<dyn Error>> {
    // What was left to do before, starts of jobs or large answers, is not what the round is about.
    thread::sleep(Duration::from_millis(300));
    let prefix = set_up.face.prefix();
    let load = |requests, rate, connections| Load {
        address: node.address,
        requests,
        rate,
        length: Duration::from_secs(options.seconds),
        connections,
        follow: None,
    };
    let request = |path: &str| get("localhost", &format!("{prefix}/{path}"));
    let infos = load(ids.iter().map(|id| request(&format!("job-info/{id}"))).collect(), options.infos, 8);
    let overviews = load(vec![request("overview")], options.overviews, 4);
    let lists = load(vec![request("running-jobs")], options.lists, 8);
    let (cpu, began) = (node.child.cpu()?, Instant::now());
    let (infos, overviews, lists) = thread::scope(|scope| {
        let start = |load| scope.spawn(move || Load::run(load).map_err(|error| error.to_string()));
        let (infos, overviews) = (start(&infos), start(&overviews));
        let lists = set_up.lists.then(|| start(&lists));
        let (infos, overviews) = (infos.join(), overviews.join());
        (infos, overviews, lists.map(|lists| lists.join()))
    });
    let (cpu, length) = (node.child.cpu()? - cpu, began.elapsed());
    let panicked = |_| "a client panicked";
    let lists = match lists {
        Some(lists) => Some(lists.map_err(panicked)??),
        None => None,
    };
    let (infos, overviews) = (infos.map_err(panicked)??, overviews.map_err(panicked)??);
    if let Some(load) = &lists
        && load.lengths.0 < ids.len() * jobs::JOB_BYTES_LEAST
    {
        return Err(format!("a list of {} jobs had {} bytes: some are missing", ids.len(), load.lengths.0).into());
    }
    Ok(Round { set_up, infos, overviews, lists, cpu, length })
}
