//! What is printed of the rounds.

use super::{Face, Options, Round, SetUp};
use crate::load::Outcome;
use crate::show::{Micros, median, micros, verdict};

/// Lists, 99 of 100.
const AIM_LIST_US: f64 = 10_000.0;
/// Other requests beside the lists, 99 of 100.
const AIM_OTHER_US: f64 = 600.0;
/// What one face may cost more than the other.
const AIM_FACES: f64 = 0.1;

/// Prints what is measured, and the head of the table.
pub fn begin(options: &Options, cpus: usize, alone: f64) {
    println!(
        "{} running jobs of three vertices; {} running-jobs/s, {} job-info/s, {} overview/s at the same time, open loop; \
         rounds of {} s in turn; {cpus} CPUs, which clients and node share; without requests the node takes {alone:.3} CPUs",
        options.jobs, options.lists, options.infos, options.overviews, options.seconds
    );
    println!(
        "{:<32} {:>4} {:>5} {} {:>7} {:>6} {:>9} {:>9}",
        "us, from due to answer",
        "face",
        "round",
        Micros::HEADER,
        "200",
        "other",
        "late p99",
        "node CPUs"
    );
}

/// Prints a round, a line for each route.
pub fn round(number: u32, round: &Round) {
    for (route, load) in round.loads() {
        println!(
            "{:<32} {:>4} {number:>5} {} {:>7} {:>6} {:>9.1} {:>9.3}",
            title(route, round.set_up),
            format!("{:?}", round.set_up.face).to_lowercase(),
            Micros(&load.latency),
            load.ok(),
            load.planned - load.ok(),
            micros(&load.late, 0.99),
            round.cpu.as_secs_f64() / round.length.as_secs_f64()
        );
    }
}

fn title(route: &str, set_up: SetUp) -> String {
    let cores = if set_up.busy { "busy cores" } else { "free cores" };
    match (route, set_up.lists) {
        ("running-jobs", _) => format!("running-jobs, {cores}"),
        (route, true) => format!("{route} beside lists, {cores}"),
        (route, false) => format!("{route}, {cores}"),
    }
}

/// Prints the medians of the rounds against their aims.
pub fn conclude(rounds: &[Round], alone: f64) {
    let first = rounds.first().map_or(String::new(), |round| round.infos.priority.to_string());
    let length = rounds.iter().find_map(|round| round.lists.as_ref()).map_or(0, |lists| lists.lengths.1);
    println!("\n{first}; a list has {length} bytes; medians of the rounds over both faces:");
    let quantile = |set_up: &dyn Fn(SetUp) -> bool, route: &str, quantile: f64| {
        let matching = rounds.iter().filter(|round| set_up(round.set_up)).flat_map(Round::loads);
        let of_route = matching.filter(|(name, _)| *name == route);
        median(of_route.map(|(_, load): (_, &Outcome)| micros(&load.latency, quantile)))
    };
    for busy in [false, true] {
        for (route, lists, aim) in [
            ("running-jobs", true, AIM_LIST_US),
            ("job-info", false, f64::NAN),
            ("job-info", true, AIM_OTHER_US),
            ("overview", false, f64::NAN),
            ("overview", true, AIM_OTHER_US),
        ] {
            let matches = |set_up: SetUp| set_up.busy == busy && set_up.lists == lists;
            let (p50, p99) = (quantile(&matches, route, 0.5), quantile(&matches, route, 0.99));
            print!("{:<32} p50 {p50:>7.1} us, p99 {p99:>7.1} us", title(route, SetUp { busy, lists, face: Face::V1 }));
            if aim.is_nan() {
                println!();
            } else {
                println!("; aim p99 below {aim:.0} us: {}", verdict(p99 < aim));
            }
        }
    }
    conclude_cpu(rounds, alone);
}

/// CPU time of a request over each face: of a small one where nothing else is asked, of a list by what it adds to that.
fn conclude_cpu(rounds: &[Round], alone: f64) {
    let of = |face: Face, lists: bool| {
        let matching = rounds.iter().filter(move |round| round.set_up == SetUp { busy: false, lists, face });
        median(matching.map(|round| round.cpu.as_secs_f64() / round.length.as_secs_f64()))
    };
    let rate = |route: &str| {
        let load = rounds.iter().filter(|round| !round.set_up.busy).flat_map(|round| {
            round.loads().filter(|(name, _)| *name == route).map(move |(_, load)| (load.ok(), round.length))
        });
        median(load.map(|(count, length)| count as f64 / length.as_secs_f64()))
    };
    let small =
        [Face::V1, Face::V2].map(|face| (of(face, false) - alone) / (rate("job-info") + rate("overview")) * 1e6);
    let list = [Face::V1, Face::V2].map(|face| (of(face, true) - of(face, false)) / rate("running-jobs") * 1e6);
    for (what, [v1, v2]) in [("job-info or overview", small), ("running-jobs", list)] {
        let apart = (v1 - v2).abs() / v1.min(v2);
        println!(
            "CPU of the node for a {what}: v1 {v1:.1} us, v2 {v2:.1} us, {:.0} % apart; aim at most {:.0} %: {}",
            apart * 100.0,
            AIM_FACES * 100.0,
            verdict(apart <= AIM_FACES)
        );
    }
}
