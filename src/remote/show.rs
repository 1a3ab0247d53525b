//! Tables for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{HumanBytes, HumanCount};

use super::job::{Flow, JobView};

/// A text without anything that a terminal could take for an order.
pub fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A table without lines; the columns from `right_from` on are numbers.
pub fn table(header: &[&str], right_from: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().copied());
    rows.into_iter().for_each(|row| _ = table.add_row(row.iter().map(|cell| plain(cell))));
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if at >= right_from {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Rows with separators.
pub fn count(rows: u64) -> String {
    HumanCount(rows).to_string()
}

/// Bytes with a unit.
pub fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A rate of rows.
pub fn rate(per_second: f64) -> String {
    count(per_second.max(0.0).round() as u64)
}

/// `egret list`
pub fn list(jobs: &[JobView]) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let row = |job: &JobView| {
        vec![
            job.id(),
            job.name().to_owned(),
            job.state().to_owned(),
            job.text("createTime").to_owned(),
            job.time_of_end().to_owned(),
            count(job.read().rows),
            count(job.written().rows),
        ]
    };
    table(&["JOB", "NAME", "STATE", "SUBMITTED", "ENDED", "READ", "WRITTEN"], 5, jobs.iter().map(row))
}

/// `egret info`
pub fn info(job: &JobView) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{label:<12} {}", plain(value));
        }
    };
    line("Job", &job.id());
    line("Name", job.name());
    line("State", job.state());
    line("Submitted", job.text("createTime"));
    line("Ended", job.time_of_end());
    line("Read", &flow(job.read()));
    line("Written", &flow(job.written()));
    for error in job.error().unwrap_or_default().lines() {
        line("Error", error);
    }
    let vertices = job.vertices();
    if !vertices.is_empty() {
        text.push('\n');
        text.push_str(&table(&["TYPE", "VERTEX"], 2, vertices.into_iter().map(|(kind, name)| vec![kind, name])));
    }
    let (read, written) = (job.tables("TableSourceReceivedCount"), job.tables("TableSinkWriteCount"));
    if !read.is_empty() || !written.is_empty() {
        let rows = |way: &'static str, tables: Vec<(String, String)>| {
            tables.into_iter().map(move |(table, rows)| vec![way.to_owned(), table, rows])
        };
        text.push('\n');
        text.push_str(&table(&["WAY", "TABLE", "ROWS"], 2, rows("read", read).chain(rows("written", written))));
    }
    text
}

fn flow(flow: Flow) -> String {
    format!(
        "{} rows, {} ({} rows/s, {}/s)",
        count(flow.rows),
        bytes(flow.bytes),
        rate(flow.rows_per_second),
        bytes(flow.bytes_per_second.max(0.0) as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobView {
        JobView(serde_json::json!({
            "jobId": "12", "jobName": "naïve \u{1b}[2J", "jobStatus": "FAILED", "createTime": "2024-10-20 12:00:00",
            "finishTime": "2024-10-20 12:00:05", "errorMsg": "first\nsecond",
            "metrics": {"SourceReceivedCount": "1234567", "TableSourceReceivedCount": {"fake": "1234567"}},
            "jobDag": {"vertexInfoMap": [{"type": "source", "vertexName": "pipeline-1 [Source[0]-FakeSource]"}]},
        }))
    }

    #[test]
    fn a_list_has_a_line_for_each_job_and_no_orders_for_terminals() {
        let text = list(&[job(), job()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("JOB"));
        assert!(lines[1].starts_with("12") && lines[1].contains("FAILED") && lines[1].contains("1,234,567"), "{text}");
        assert!(!text.contains('\u{1b}'));
        assert_eq!(list(&[]), "no jobs\n");
    }

    #[test]
    fn info_tells_state_error_tables_and_vertices() {
        let text = info(&job());
        for part in
            ["State        FAILED\n", "Error        first\n", "Error        second\n", "fake", "Source[0]-FakeSource"]
        {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
