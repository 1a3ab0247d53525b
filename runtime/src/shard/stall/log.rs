//! What is said of stalls.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::stats::Side;
use super::places::Places;

/// Most lines of a stack in the log.
const LINES_MAX: usize = 64;
/// What polls a step: further out all stacks are the same.
const OUTERMOST: &str = "Driver::poll_task(";

/// Says it, from whichever thread has the stack.
#[derive(Clone)]
pub(super) struct StallLog {
    places: Arc<Mutex<Places>>,
}

/// A stall that was caught.
#[derive(Clone, Debug)]
pub(super) struct Caught {
    pub(super) executor: String,
    pub(super) side: Side,
    /// The job whose task it is.
    pub(super) job: Option<i64>,
    /// CPU time of the step so far.
    pub(super) used: Duration,
    pub(super) limit: Duration,
}

impl StallLog {
    pub(super) fn new(interval: Duration) -> Self {
        Self { places: Arc::new(Mutex::new(Places::new(interval))) }
    }

    /// A step that runs, with its stack, or without where there is none.
    pub(super) fn caught(&self, caught: &Caught, lines: &[Arc<str>]) {
        let place = place_of(lines).unwrap_or(&caught.executor);
        let Some(left_out) = self.is_due(place, 1) else { return };
        let text = text_of(caught, lines, left_out);
        match caught.job {
            Some(job) => tracing::warn!(job, "{text}"),
            None => tracing::warn!("{text}"),
        }
    }

    /// Steps that had ended before they were caught; the last of them used so much.
    pub(super) fn missed(&self, executor: &str, count: u64, used: Duration) {
        if let Some(left_out) = self.is_due(executor, count) {
            let count = count + left_out;
            tracing::warn!(
                "{executor}: steps that used too much CPU time and ended before their stacks could be taken: {count}, \
                 the last one used {used:.1?}"
            );
        }
    }

    fn is_due(&self, place: &str, count: u64) -> Option<u64> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner).stalled(place, count, Instant::now())
    }
}

/// What is said of a stall that was caught.
fn text_of(caught: &Caught, lines: &[Arc<str>], left_out: u64) -> String {
    let Caught { executor, used, limit, .. } = caught;
    let setting = setting(caught.side);
    let mut text = format!("{executor} has used {used:.1?} of CPU time in one step, more than {setting} ({limit:?})");
    if left_out > 0 {
        let _ = write!(text, "; {left_out} like it were not logged");
    }
    if lines.is_empty() {
        text.push_str("; its stack could not be taken");
    }
    for line in lines.iter().take(LINES_MAX) {
        let _ = write!(text, "\n    at {line}");
        // The closure in it, by which it guards a poll, ends otherwise.
        if line.contains(OUTERMOST) {
            break;
        }
    }
    text
}

/// The setting that has a side's limit.
fn setting(side: Side) -> &'static str {
    match side {
        Side::Front => "stall_front",
        Side::Work => "stall_work",
    }
}

/// Where it stalls: the innermost function of this program's own, without its line; or the innermost at all.
fn place_of(lines: &[Arc<str>]) -> Option<&str> {
    let line = lines.iter().find(|line| line.contains("egret_")).or(lines.first())?;
    Some(line.rsplit_once(':').map_or(line, |(place, _)| place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_told_with_its_stack_up_to_what_polls_it() {
        let caught = Caught {
            executor: "egret-work-0".to_owned(),
            side: Side::Work,
            job: None,
            used: Duration::from_micros(612_345),
            limit: Duration::from_millis(500),
        };
        let begin = "egret-work-0 has used 612.3ms of CPU time in one step, more than stall_work (500ms)";
        assert_eq!(text_of(&caught, &[], 0), format!("{begin}; its stack could not be taken"));
        let stack =
            ["a(b.rs:1)", "x::Driver::poll_task::{{closure}}(d.rs:2)", "x::Driver::poll_task(d.rs:3)", "main(m.rs:4)"];
        let text = text_of(&caught, &stack.map(Arc::from), 3);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], format!("{begin}; 3 like it were not logged"));
        assert_eq!(lines[1..], stack[..3].iter().map(|line| format!("    at {line}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_place_is_the_innermost_function_of_our_own() {
        let lines = |lines: &[&str]| lines.iter().map(|line| Arc::from(*line)).collect::<Vec<Arc<str>>>();
        let stack =
            lines(&["memchr(libc.so.6)", "egret_http::list::render(http/src/list.rs:12)", "egret_http::x(a.rs:1)"]);
        assert_eq!(place_of(&stack), Some("egret_http::list::render(http/src/list.rs"));
        assert_eq!(place_of(&lines(&["memchr(libc.so.6)", "b(Unknown Source)"])), Some("memchr(libc.so.6)"));
        assert_eq!(place_of(&[]), None);
    }
}
