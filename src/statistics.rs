//! The block that a waiting client prints at the end of a job (contract H). Scripts read its labels.

use std::fmt::Write as _;

use chrono::{Local, NaiveDateTime, TimeZone as _};
use egret_runtime::job::JobEntry;

/// `yyyy-MM-dd HH:mm:ss` in the local time zone.
fn local_time(millis: i64) -> String {
    match Local.timestamp_millis_opt(millis) {
        chrono::LocalResult::Single(time) => time.format("%Y-%m-%d %H:%M:%S").to_string(),
        _ => "-".to_owned(),
    }
}

/// The statistics of a job that has ended.
pub fn block(job: &JobEntry) -> String {
    let finished = job.finished_at().unwrap_or_else(|| job.created_at());
    let metrics = job.metrics();
    let seconds = (finished - job.created_at()) / 1000;
    lines(&local_time(job.created_at()), &local_time(finished), seconds, metrics.source.rows, metrics.sink.rows)
}

/// The same of a job on a node, which tells times as text.
pub fn render(start: &str, end: &str, read: u64, written: u64) -> String {
    let time = |text| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok();
    let seconds = time(end).zip(time(start)).map_or(0, |(end, start)| (end - start).num_seconds());
    lines(start, end, seconds, read, written)
}

fn lines(start: &str, end: &str, seconds: i64, read: u64, written: u64) -> String {
    let rows = [
        ("Start Time", start.to_owned()),
        ("End Time", end.to_owned()),
        ("Total Time(s)", seconds.to_string()),
        ("Total Read Count", read.to_string()),
        ("Total Write Count", written.to_string()),
        ("Total Failed Count", (i128::from(read) - i128::from(written)).to_string()),
    ];
    let stars = "*".repeat(47);
    let mut text = format!("\n{stars}\n           Job Statistic Information\n{stars}\n");
    for (label, value) in rows {
        let _ = writeln!(text, "{label:<26}: {value:>19}");
    }
    text.push_str(&stars);
    text.push('\n');
    text
}
