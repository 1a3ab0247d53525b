//! The progress line of `egret run`: rows and bytes so far, and how fast, while stderr is a terminal.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use egret_runtime::job::{JobEntry, Totals};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

/// How often the line is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// Draws the line until the job ends, in a thread of its own; nothing when nobody could see it.
pub fn show(job: &Arc<JobEntry>) -> Option<JoinHandle<()>> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let job = Arc::clone(job);
    std::thread::Builder::new().name("egret-progress".to_owned()).spawn(move || draw(&job)).ok()
}

fn draw(job: &JobEntry) {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    let mut before = (Instant::now(), Totals::default());
    let mut speed = 0.0;
    while !job.wait_until(Instant::now() + REDRAW) {
        let now = (Instant::now(), job.metrics().source);
        let seconds = now.0.duration_since(before.0).as_secs_f64();
        if seconds >= 0.5 {
            speed = (now.1.rows.saturating_sub(before.1.rows)) as f64 / seconds;
            before = now;
        }
        let written = job.metrics().sink.rows;
        bar.set_message(format!(
            "{}: {} rows read ({}), {} written, {} rows/s",
            job.state(),
            HumanCount(now.1.rows),
            HumanBytes(now.1.bytes),
            HumanCount(written),
            HumanCount(speed as u64),
        ));
        bar.tick();
    }
    bar.finish_and_clear();
}
