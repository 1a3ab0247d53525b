//! A line on its way to a job's log, and how it looks there (contract F.2).

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Local};
use tracing::Level;

use super::mask::mask;

/// Bytes of a line's text; the rest of a longer one is cut off, and the line says so.
pub(super) const LINE_BYTES_MAX: usize = 16 << 10;

/// What ends a line that was cut.
const CUT: &str = " ... (cut)";

/// A line as it was logged. What takes time, like its date, is left to the writer.
#[derive(Debug)]
pub(super) struct Line {
    pub job: i64,
    pub at: SystemTime,
    pub level: Level,
    pub target: &'static str,
    pub thread: Arc<str>,
    pub text: String,
}

impl Line {
    /// A line of this moment and thread.
    pub fn now(job: i64, level: Level, target: &'static str, mut text: String) -> Self {
        if text.len() > LINE_BYTES_MAX {
            let end = (0..=LINE_BYTES_MAX - CUT.len()).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
            text.push_str(CUT);
        }
        Self { job, at: SystemTime::now(), level, target, thread: thread_name(), text }
    }

    /// What it counts for in the queue.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// Appends `2024-10-20 12:00:00,123 INFO  [job.service                   ] [front-0] - text`. Secrets are masked.
    /// Further lines of the text are moved in, so that none can be taken for a line of its own, and control characters
    /// are shown as what they are.
    pub fn render(&self, log: &mut String) {
        let at = DateTime::<Local>::from(self.at).format("%Y-%m-%d %H:%M:%S,%3f");
        let _ = write!(log, "{at} {:<5} [{:<30}] [{}] - ", self.level, short(self.target), self.thread);
        for letter in mask(&self.text).chars() {
            match letter {
                '\n' => log.push_str("\n    "),
                '\t' => log.push('\t'),
                '\r' => {}
                letter if letter.is_control() => _ = write!(log, "{}", letter.escape_default()),
                letter => log.push(letter),
            }
        }
        log.push('\n');
    }
}

/// `egret_runtime::job::service` as `e.runtime.job.service`: the crate's first word says little.
fn short(target: &str) -> String {
    target.replacen("egret_", "e.", 1).replace("::", ".")
}

/// The name of this thread, shared between its lines.
fn thread_name() -> Arc<str> {
    thread_local! {
        static NAME: OnceCell<Arc<str>> = const { OnceCell::new() };
    }
    let name = || Arc::from(std::thread::current().name().unwrap_or("unnamed"));
    NAME.try_with(|cell| Arc::clone(cell.get_or_init(name))).unwrap_or_else(|_| name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        let mut log = String::new();
        let line = Line::now(7, Level::INFO, "egret_runtime::job::service", text.to_owned());
        line.render(&mut log);
        log
    }

    #[test]
    fn a_line_has_the_shape_that_clients_look_for() {
        let log = rendered("Init JobMaster for Job demo (7)");
        let shape: String = log.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
        assert!(shape.starts_with("0000-00-00 00:00:00,000 INFO  [e.runtime.job.service"), "{log}");
        assert!(log.contains("] - Init JobMaster for Job demo (7)\n"), "{log}");
    }

    #[test]
    fn no_text_can_pass_for_a_line_of_its_own() {
        let log = rendered("first\n2024-10-20 12:00:00,123 ERROR forged\r\x1b[2J");
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("    2024"), "{log}");
        assert!(log.contains("\\u{1b}[2J") && !log.contains('\x1b') && !log.contains('\r'), "{log}");
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let line = Line::now(1, Level::INFO, "t", "ü".repeat(LINE_BYTES_MAX));
        assert!(line.text.len() <= LINE_BYTES_MAX && line.text.ends_with(CUT));
    }
}
