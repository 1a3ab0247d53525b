//! Loads: CPU time over a window.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::text::CpuTicks;

/// Points in a window: the start of what is measured is this part of the window off at most.
pub(crate) const POINTS: u32 = 5;

/// CPU time up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) at: Instant,
    /// Of this process.
    pub(crate) process: Duration,
    /// Of the CPUs that this process may use.
    pub(crate) cpus: Option<CpuTicks>,
    /// Of the group whose limit on CPUs counts, in nanoseconds.
    pub(crate) group_ns: Option<u64>,
}

/// Shares of the CPUs that this process may use, 0 to 1, over the last window; `None` where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Loads {
    /// Used by this process.
    pub process: Option<f64>,
    /// Used by anybody: with a limit on CPUs by all of the group that has it, otherwise by all of the machine.
    pub system: Option<f64>,
    /// How far the window reaches back.
    pub window: Duration,
}

/// The points of the last window.
#[derive(Debug)]
pub(crate) struct Window {
    length: Duration,
    /// From old to new; the first is the base.
    points: VecDeque<Point>,
}

impl Window {
    pub(crate) fn new(length: Duration) -> Self {
        Self { length, points: VecDeque::new() }
    }

    /// Notes a point. The newest that is as old as the window stays, older ones go.
    pub(crate) fn note(&mut self, point: Point) {
        self.points.push_back(point);
        let is_old = |other: &Point| point.at.saturating_duration_since(other.at) >= self.length;
        while self.points.get(1).is_some_and(is_old) {
            self.points.pop_front();
        }
    }

    /// The loads up to a point; `cpus` is how many CPUs' worth of time may be used, `limited` whether by a group's limit.
    pub(crate) fn loads(&self, now: &Point, cpus: Option<f64>, limited: bool) -> Loads {
        let is_old = |other: &&Point| now.at.saturating_duration_since(other.at) >= self.length;
        let Some(base) = self.points.iter().rev().find(is_old).or(self.points.front()) else { return Loads::default() };
        let window = now.at.saturating_duration_since(base.at);
        let could = cpus.map(|cpus| cpus * window.as_secs_f64());
        let process = now.process.saturating_sub(base.process).as_secs_f64();
        let group = now.group_ns.zip(base.group_ns).map(|(now, base)| now.saturating_sub(base) as f64 / 1e9);
        let machine = now.cpus.zip(base.cpus).and_then(|(now, base)| {
            share(now.busy.saturating_sub(base.busy) as f64, now.all.saturating_sub(base.all) as f64)
        });
        let system = if limited { group.zip(could).and_then(|(group, could)| share(group, could)) } else { machine };
        Loads { process: could.and_then(|could| share(process, could)), system, window }
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(start: Instant, ms: u64, process_ms: u64, busy: u64, all: u64) -> Point {
        Point {
            at: start + Duration::from_millis(ms),
            process: Duration::from_millis(process_ms),
            cpus: Some(CpuTicks { busy, all }),
            group_ns: Some(process_ms * 2_000_000),
        }
    }

    #[test]
    fn loads_are_shares_of_the_cpus_over_the_window() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(5));
        // Two CPUs: idle for 10 seconds, then one of them is used.
        for second in 0..=20u64 {
            let busy = second.saturating_sub(10);
            window.note(point(start, second * 1000, busy * 1000, busy * 100, second * 200));
        }
        assert_eq!(window.points.len(), 6, "what is older than the window is forgotten");
        let loads = window.loads(&point(start, 20_500, 10_500, 1050, 4100), Some(2.0), false);
        assert_eq!(loads.window, Duration::from_millis(5500));
        assert_eq!((loads.process, loads.system), (Some(0.5), Some(0.5)));
        let limited = window.loads(&point(start, 20_500, 10_500, 1050, 4100), Some(4.0), true);
        assert_eq!((limited.process, limited.system), (Some(0.25), Some(0.5)));
    }

    #[test]
    fn what_is_not_known_is_no_load() {
        let start = Instant::now();
        let mut window = Window::new(Duration::from_secs(5));
        let now = point(start, 1000, 10, 5, 5);
        assert_eq!(window.loads(&now, Some(1.0), false), Loads::default());
        window.note(Point { cpus: None, group_ns: None, ..point(start, 0, 0, 0, 0) });
        let loads = window.loads(&now, None, false);
        assert_eq!((loads.process, loads.system), (None, None));
        let loads = window.loads(&now, Some(1.0), true);
        assert_eq!((loads.process, loads.system), (Some(0.01), None));
        // Counters that went back, and a time that stood still.
        let mut window = Window::new(Duration::from_secs(5));
        window.note(point(start, 1000, 20, 9, 9));
        let loads = window.loads(&now, Some(1.0), false);
        assert_eq!((loads.process, loads.system), (None, None));
    }
}
