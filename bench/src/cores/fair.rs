//! Fifty jobs of weights 1, 2 and 4 on one CPU.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use egret_runtime::shard::{Signal, WorkGroup, give_way};

use super::server::{SHARD, shard_on, spin};

const JOBS: usize = 50;

/// One of the jobs.
struct Job {
    weight: u32,
    group: WorkGroup,
    steps: Arc<AtomicU64>,
}

/// Runs the jobs for a time and prints what each weight got. A job's share is counted in steps of equal work.
pub fn run(cpu: usize, length: Duration) -> Result<(), Box<dyn Error>> {
    let shards = shard_on(cpu, 10)?;
    let go = Signal::new();
    let jobs: Vec<Job> = (0..JOBS)
        .map(|job| Job { weight: 1 << (job % 3), group: WorkGroup::new(1 << (job % 3)), steps: Arc::default() })
        .collect();
    for job in &jobs {
        let (steps, wait) = (job.steps.clone(), go.wait());
        let work = move || async move {
            wait.await;
            loop {
                spin(50_000);
                steps.fetch_add(1, Ordering::Relaxed);
                give_way().await;
            }
        };
        shards.work(SHARD).spawn(&job.group, work)?;
    }
    go.set();
    std::thread::sleep(length);
    let counts: Vec<(u32, f64)> =
        jobs.iter().map(|job| (job.weight, job.steps.load(Ordering::Relaxed) as f64)).collect();
    shards.stop(Duration::from_secs(5))?;
    let unit = counts.iter().map(|(_, steps)| steps).sum::<f64>()
        / f64::from(counts.iter().map(|(weight, _)| weight).sum::<u32>());
    println!("\n{JOBS} jobs on CPU {cpu} for {length:?}; a fair share is {unit:.0} steps for each unit of weight");
    println!("{:>6} {:>5} {:>22} {:>22}", "weight", "jobs", "share of the fair one", "least-most of a job");
    for weight in [1, 2, 4] {
        let shares: Vec<f64> = counts
            .iter()
            .filter(|(own, _)| *own == weight)
            .map(|(_, steps)| steps / (unit * f64::from(weight)) * 100.0)
            .collect();
        let (least, most) =
            shares.iter().fold((f64::MAX, f64::MIN), |(least, most), share| (least.min(*share), most.max(*share)));
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        println!("{weight:>6} {:>5} {mean:>20.1} % {:>22}", shares.len(), format!("{least:.1}-{most:.1} %"));
    }
    Ok(())
}
