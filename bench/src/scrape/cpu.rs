//! CPU time of a process by what its threads are for.

use std::error::Error;
use std::fs;
use std::ops::Sub;
use std::time::Duration;

/// Threads that run the tasks of jobs: what they use is not the scrapes', and beside busy cores it is all there is.
const WORK: &str = "egret-work-";
/// The thread that reads the kernel.
const SAMPLER: &str = "egret-sampler";

/// CPU time of a process so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Of all its threads but those for the tasks of jobs.
    pub all: Duration,
    /// Of the sampler's thread, which is among them.
    pub sampler: Duration,
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        // A thread that has ended takes its time along.
        Self { all: self.all.saturating_sub(before.all), sampler: self.sampler.saturating_sub(before.sampler) }
    }
}

impl Cpu {
    /// As the kernel counts it for each thread, to the nanosecond.
    pub fn of(pid: u32) -> Result<Self, Box<dyn Error>> {
        let mut cpu = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = task?.path();
            // A thread may end while it is looked at.
            let (Ok(name), Ok(text)) =
                (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
            else {
                continue;
            };
            cpu.count(name.trim_end(), on_cpu(&text).ok_or("the kernel does not tell the CPU time of a thread")?);
        }
        Ok(cpu)
    }

    fn count(&mut self, thread: &str, time: Duration) {
        if !thread.starts_with(WORK) {
            self.all += time;
        }
        if thread == SAMPLER {
            self.sampler += time;
        }
    }
}

/// The first number: nanoseconds on a CPU.
fn on_cpu(schedstat: &str) -> Option<Duration> {
    schedstat.split_ascii_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_the_jobs_is_left_out_and_that_of_the_sampler_is_told_apart() {
        let mut cpu = Cpu::default();
        for (thread, nanos) in [("egret-front-0", 5), ("egret-work-0", 1000), ("egret-sampler", 2), ("main", 1)] {
            cpu.count(thread, Duration::from_nanos(nanos));
        }
        assert_eq!(cpu, Cpu { all: Duration::from_nanos(8), sampler: Duration::from_nanos(2) });
        assert_eq!(on_cpu("1234 5 6\n"), Some(Duration::from_nanos(1234)));
        assert_eq!(on_cpu(""), None);
    }

    #[test]
    fn the_time_of_this_process_grows_with_what_it_does() {
        let before = Cpu::of(std::process::id()).expect("a time");
        let begun = std::time::Instant::now();
        while (Cpu::of(std::process::id()).expect("a time") - before).all < Duration::from_millis(5) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it stands still");
        }
    }
}
