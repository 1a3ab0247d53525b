//! `egret top`: the running jobs of a node, what they read and write, and how fast.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::api::{Api, ApiError};
use super::arguments::Top;
use super::job::{Flow, JobView};
use super::lately::{Lately, PICTURE_HEADER, SPEED_MEANING};
use super::terminal::Terminal;
use super::{interrupted, show, watch};
use crate::stdout;

/// Ended jobs that stay in sight.
const ENDED_MAX: usize = 10;

/// Shows the jobs; gives the exit status.
pub fn top(arguments: &Top) -> Result<u8, ApiError> {
    let api = Api::new(&arguments.node)?;
    let watch = watch()?;
    let mut view = View::default();
    // Before the terminal is taken: a node that is not there is told on the screen that stays.
    view.look(&api, Instant::now())?;
    let here = |error: std::io::Error| ApiError::Here(format!("cannot use the terminal: {error}"));
    let terminal = if arguments.once { None } else { Terminal::take().map_err(here)? };
    let Some(terminal) = terminal else {
        return Ok(stdout::print(view.text(api.url()), 0));
    };
    let pause = Duration::from_secs_f64(arguments.interval);
    loop {
        terminal.show(&view.text(api.url())).map_err(here)?;
        if terminal.wait_for_end(pause, || watch.signal.is_set()).map_err(here)? {
            // A key is no failure, a signal ends as signals do.
            return Ok(if watch.signal.is_set() { interrupted(&watch) } else { 0 });
        }
        let trouble = view.look(&api, Instant::now()).err();
        view.note(trouble.map(|error| error.to_string()));
    }
}

/// What was seen of a job.
struct Seen {
    job: JobView,
    at: Instant,
    read: Flow,
    written: Flow,
    /// The rows read lately, where the node tells.
    picture: String,
}

/// Where speeds come from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Speeds {
    /// It is not known yet whether the node tells them.
    #[default]
    Unknown,
    /// The node tells what jobs have done lately.
    Told,
    /// It does not, as an older release or the original: they are counted here.
    Counted,
}

/// What is shown.
#[derive(Default)]
struct View {
    speeds: Speeds,
    running: BTreeMap<String, Seen>,
    /// Newest first.
    ended: Vec<JobView>,
    trouble: Option<String>,
}

/// Between two looks, a second.
fn speed(before: &Flow, now: Flow, seconds: f64) -> Flow {
    let per_second = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds.max(0.001);
    Flow {
        rows_per_second: per_second(now.rows, before.rows),
        bytes_per_second: per_second(now.bytes, before.bytes),
        ..now
    }
}

impl View {
    /// Looks at the node.
    fn look(&mut self, api: &Api, now: Instant) -> Result<(), ApiError> {
        let running = api.running_jobs()?;
        let lately = self.ask_lately(api)?;
        let gone = self.take(running, lately.as_ref(), now);
        for id in gone.iter().rev().take(ENDED_MAX) {
            let job = match id.parse() {
                Ok(id) => api.job(id)?,
                Err(_) => None,
            };
            if let Some(job) = job {
                self.ended.insert(0, job);
            }
        }
        self.ended.truncate(ENDED_MAX);
        Ok(())
    }

    /// What the node's timelines say. One that has none is not asked again.
    fn ask_lately(&mut self, api: &Api) -> Result<Option<Lately>, ApiError> {
        if self.speeds == Speeds::Counted {
            return Ok(None);
        }
        let lately = api.lately()?;
        self.speeds = if lately.is_some() { Speeds::Told } else { Speeds::Counted };
        Ok(lately)
    }

    /// Takes the running jobs; gives the ids of those that run no more. Speeds of which the node says nothing are those
    /// since the last look; at the first one the means that the node has.
    fn take(&mut self, jobs: Vec<JobView>, lately: Option<&Lately>, now: Instant) -> Vec<String> {
        let mut before = std::mem::take(&mut self.running);
        for job in jobs {
            let id = job.id();
            let (mut read, mut written) = (job.read(), job.written());
            if let Some(seen) = before.remove(&id) {
                let seconds = now.duration_since(seen.at).as_secs_f64();
                read = speed(&seen.read, read, seconds);
                written = speed(&seen.written, written, seconds);
            }
            let mut picture = String::new();
            if let Some(lately) = lately.and_then(|lately| lately.of(&id)) {
                (read, written) = (lately.read(read), lately.written(written));
                picture.clone_from(&lately.picture);
            }
            self.running.insert(id, Seen { job, at: now, read, written, picture });
        }
        before.into_keys().collect()
    }

    fn note(&mut self, trouble: Option<String>) {
        self.trouble = trouble;
    }

    fn has_pictures(&self) -> bool {
        self.speeds == Speeds::Told
    }

    fn text(&self, url: &str) -> String {
        let mut seen: Vec<&Seen> = self.running.values().collect();
        seen.sort_by(|one, other| other.read.rows_per_second.total_cmp(&one.read.rows_per_second));
        let sum = |part: fn(&Seen) -> f64| seen.iter().map(|seen| part(seen)).sum::<f64>();
        let mut text = format!(
            "egret top  {url}  {} running  read {} rows/s {}/s  written {} rows/s {}/s\n",
            seen.len(),
            show::rate(sum(|seen| seen.read.rows_per_second)),
            show::bytes(sum(|seen| seen.read.bytes_per_second) as u64),
            show::rate(sum(|seen| seen.written.rows_per_second)),
            show::bytes(sum(|seen| seen.written.bytes_per_second) as u64),
        );
        if let Some(trouble) = &self.trouble {
            let _ = writeln!(text, "{}", show::plain(trouble));
        }
        text.push_str(match self.speeds {
            Speeds::Unknown => "",
            Speeds::Told => SPEED_MEANING,
            Speeds::Counted => "speeds between two looks: the node does not tell those of the last seconds",
        });
        text.push_str("\n\n");
        let row = |job: &JobView, read: Flow, written: Flow, picture: &str| {
            let row = vec![
                job.id(),
                job.name().to_owned(),
                job.state().to_owned(),
                job.text("createTime").to_owned(),
                show::count(read.rows),
                show::rate(read.rows_per_second),
                show::bytes(read.bytes),
                show::bytes(read.bytes_per_second as u64),
                show::count(written.rows),
                show::rate(written.rows_per_second),
                show::bytes(written.bytes),
                show::bytes(written.bytes_per_second as u64),
            ];
            let picture = self.has_pictures().then(|| picture.to_owned());
            row.into_iter().chain(picture).collect()
        };
        let running = seen.iter().map(|seen| row(&seen.job, seen.read, seen.written, &seen.picture));
        let ended = self.ended.iter().map(|job| row(job, job.read(), job.written(), ""));
        let mut header = vec![
            "JOB",
            "NAME",
            "STATE",
            "SUBMITTED",
            "READ",
            "ROWS/S",
            "BYTES",
            "/S",
            "WRITTEN",
            "ROWS/S",
            "BYTES",
            "/S",
        ];
        header.extend(self.has_pictures().then_some(PICTURE_HEADER));
        text.push_str(&show::table(&header, 4, running.chain(ended)));
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(id: &str, rows: u64) -> JobView {
        JobView(json!({
            "jobId": id, "jobName": "name", "jobStatus": "RUNNING",
            "metrics": {"SourceReceivedCount": rows.to_string(), "SourceReceivedQPS": "7.0"},
        }))
    }

    #[test]
    fn speeds_are_those_since_the_last_look_and_the_nodes_own_at_first() {
        let (mut view, begin) = (View::default(), Instant::now());
        assert!(view.take(vec![job("1", 100)], None, begin).is_empty());
        assert_eq!(view.running["1"].read.rows_per_second, 7.0);
        view.take(vec![job("1", 500), job("2", 0)], None, begin + Duration::from_secs(2));
        assert_eq!(view.running["1"].read.rows_per_second, 200.0);
        // A restarted pipeline counts from the beginning.
        view.take(vec![job("1", 10), job("2", 0)], None, begin + Duration::from_secs(3));
        assert_eq!(view.running["1"].read.rows_per_second, 0.0);
        assert_eq!(view.take(vec![job("2", 0)], None, begin + Duration::from_secs(4)), ["1"]);
    }

    #[test]
    fn the_fastest_job_is_on_top_and_trouble_is_told() {
        let mut view = View::default();
        view.take(vec![job("slow", 1), job("fast", 1)], None, Instant::now());
        if let Some(seen) = view.running.get_mut("fast") {
            seen.read.rows_per_second = 1e6;
        }
        view.note(Some("no answer".to_owned()));
        let text = view.text("http://node");
        assert!(text.find("fast").expect("there") < text.find("slow").expect("there"), "{text}");
        assert!(text.contains("no answer\n") && text.starts_with("egret top  http://node  2 running"), "{text}");
    }

    #[test]
    fn speeds_are_the_nodes_where_it_tells_them_and_it_is_said_which_they_are() {
        let lately = json!({"series": [
            {"jobId": "1", "metric": "rows_read", "values": [null, 30, 10]},
            {"jobId": "1", "metric": "rows_written", "values": [5, 5, 5]},
        ]});
        let lately = Lately::read(&lately).expect("an answer");
        let mut view = View { speeds: Speeds::Told, ..View::default() };
        let begin = Instant::now();
        view.take(vec![job("1", 100), job("2", 0)], Some(&lately), begin);
        view.take(vec![job("1", 900), job("2", 50)], Some(&lately), begin + Duration::from_secs(1));
        let speeds = |id: &str| (view.running[id].read.rows_per_second, view.running[id].written.rows_per_second);
        assert_eq!(speeds("1"), (20.0, 5.0));
        assert_eq!(speeds("2").0, 50.0, "the node says nothing of it");
        let text = view.text("http://node");
        assert!(text.contains("speeds of the last 5 seconds\n") && text.contains("LAST 20 S"), "{text}");
        assert!(text.contains(" █▃\n"), "{text}");
        view.speeds = Speeds::Counted;
        let text = view.text("http://node");
        assert!(
            text.contains("speeds between two looks: the node does not tell") && !text.contains("LAST 20 S"),
            "{text}"
        );
    }
}
