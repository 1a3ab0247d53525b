//! What a node's timelines say of its running jobs: how fast they are, and a small picture of it.

use std::collections::HashMap;

use serde_json::Value;

use super::job::Flow;

/// Seconds in the picture.
const PICTURE: usize = 20;
/// Seconds that a speed is the mean of.
const SPEED: usize = 5;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What the columns are called.
pub const PICTURE_HEADER: &str = "LAST 20 S";
/// What the speeds are.
pub const SPEED_MEANING: &str = "speeds of the last 5 seconds";

/// The question.
pub fn query() -> String {
    format!("jobId=*&metric=rows_read,bytes_read,rows_written,bytes_written&resolution=1&start=-{PICTURE}")
}

/// What jobs have done lately, by id.
#[derive(Debug, Default)]
pub struct Lately(HashMap<String, JobLately>);

/// What a job has done lately; `None` where nothing is known.
#[derive(Debug, Default, PartialEq)]
pub struct JobLately {
    rows_read: Option<f64>,
    bytes_read: Option<f64>,
    rows_written: Option<f64>,
    bytes_written: Option<f64>,
    /// The rows read, second by second.
    pub picture: String,
}

impl Lately {
    /// Reads the answer; `None` when it is none.
    pub fn read(answer: &Value) -> Option<Self> {
        let mut jobs: HashMap<String, JobLately> = HashMap::new();
        for series in answer["series"].as_array()? {
            let job = jobs.entry(series["jobId"].as_str()?.to_owned()).or_default();
            let values: Vec<Option<f64>> = series["values"].as_array()?.iter().map(Value::as_f64).collect();
            let place = match series["metric"].as_str()? {
                "rows_read" => {
                    job.picture = picture(&values);
                    &mut job.rows_read
                }
                "bytes_read" => &mut job.bytes_read,
                "rows_written" => &mut job.rows_written,
                "bytes_written" => &mut job.bytes_written,
                _ => continue,
            };
            *place = speed(&values);
        }
        Some(Self(jobs))
    }

    /// What is known of a job.
    pub fn of(&self, id: &str) -> Option<&JobLately> {
        self.0.get(id)
    }
}

impl JobLately {
    /// What was read, at the speed that it was lately; as it is where that is not known.
    pub fn read(&self, flow: Flow) -> Flow {
        at_speed(flow, self.rows_read, self.bytes_read)
    }

    /// What was written, likewise.
    pub fn written(&self, flow: Flow) -> Flow {
        at_speed(flow, self.rows_written, self.bytes_written)
    }
}

fn at_speed(flow: Flow, rows: Option<f64>, bytes: Option<f64>) -> Flow {
    Flow {
        rows_per_second: rows.unwrap_or(flow.rows_per_second),
        bytes_per_second: bytes.unwrap_or(flow.bytes_per_second),
        ..flow
    }
}

/// The mean of the newest values.
fn speed(values: &[Option<f64>]) -> Option<f64> {
    let newest: Vec<f64> = values.iter().rev().flatten().copied().take(SPEED).collect();
    (!newest.is_empty()).then(|| newest.iter().sum::<f64>() / newest.len() as f64)
}

/// A bar for each value, the largest as high as can be; a blank where nothing is known.
fn picture(values: &[Option<f64>]) -> String {
    let most = values.iter().flatten().fold(0.0f64, |most, value| most.max(*value));
    let bar = |value: &Option<f64>| match value {
        None => ' ',
        Some(value) if most > 0.0 => BARS[((value / most * 8.0).ceil() as usize).clamp(1, 8) - 1],
        Some(_) => BARS[0],
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn speeds_are_means_of_the_newest_known_values() {
        let answer = json!({"series": [
            {"jobId": "1", "metric": "rows_read", "values": [null, 900, 10, 20, 30, 40, 50, null]},
            {"jobId": "1", "metric": "bytes_read", "values": [8]},
            {"jobId": "1", "metric": "rows_written", "values": [null, null]},
            {"jobId": "1", "metric": "of a later release", "values": [1]},
        ]});
        let lately = Lately::read(&answer).expect("an answer");
        let before = Flow { rows: 1, bytes: 2, rows_per_second: 3.0, bytes_per_second: 4.0 };
        let job = lately.of("1").expect("a job");
        assert_eq!(job.read(before), Flow { rows_per_second: 30.0, bytes_per_second: 8.0, ..before });
        assert_eq!(job.written(before), before, "nothing is known");
        assert!(lately.of("2").is_none());
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for other in [json!(null), json!({}), json!({"series": 1}), json!({"series": [{"jobId": 1}]})] {
            assert!(Lately::read(&other).is_none(), "{other}");
        }
        assert!(Lately::read(&json!({"series": []})).is_some());
    }

    #[test]
    fn a_picture_is_as_high_as_its_largest_value() {
        assert_eq!(picture(&[None, Some(0.0), Some(1.0), Some(50.0), Some(100.0)]), " ▁▁▄█");
        assert_eq!(picture(&[Some(0.0), Some(0.0)]), "▁▁");
        assert_eq!(picture(&[]), "");
    }
}
