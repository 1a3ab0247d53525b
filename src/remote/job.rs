//! A job as a node answers it (contract A.6).

use serde_json::Value;

/// The JSON of a job, running or ended.
#[derive(Clone, Debug)]
pub struct JobView(pub Value);

/// Rows and bytes, and how many a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    pub rows: u64,
    pub bytes: u64,
    pub rows_per_second: f64,
    pub bytes_per_second: f64,
}

impl JobView {
    /// A field that is text; empty when it is not there.
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_default()
    }

    /// Its id: text, of releases that write it as a number the digits.
    pub fn id(&self) -> String {
        match &self.0["jobId"] {
            Value::String(id) => id.clone(),
            other => other.to_string(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.text("jobName")
    }

    /// Its state.
    pub fn state(&self) -> &str {
        self.text("jobStatus")
    }

    /// When it ended, by whichever name the release has for it.
    pub fn time_of_end(&self) -> &str {
        let time = self.text("finishTime");
        if time.is_empty() { self.text("finishedTime") } else { time }
    }

    /// Why it failed.
    pub fn error(&self) -> Option<&str> {
        self.0["errorMsg"].as_str().filter(|error| !error.is_empty())
    }

    /// Numbers of metrics are text.
    fn metric<T: std::str::FromStr + Default>(&self, key: &str) -> T {
        let value = &self.0["metrics"][key];
        value.as_str().map_or_else(|| value.to_string().parse(), str::parse).unwrap_or_default()
    }

    /// What its sources have read.
    pub fn read(&self) -> Flow {
        self.flow("SourceReceived")
    }

    /// What its sinks have written.
    pub fn written(&self) -> Flow {
        self.flow("SinkWrite")
    }

    fn flow(&self, prefix: &str) -> Flow {
        Flow {
            rows: self.metric(&format!("{prefix}Count")),
            bytes: self.metric(&format!("{prefix}Bytes")),
            rows_per_second: self.metric(&format!("{prefix}QPS")),
            bytes_per_second: self.metric(&format!("{prefix}BytesPerSeconds")),
        }
    }

    /// Tables with the rows that were read from or written to each.
    pub fn tables(&self, key: &str) -> Vec<(String, String)> {
        let tables = self.0["metrics"][key].as_object();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        tables.into_iter().flatten().map(|(table, rows)| (table.clone(), text(rows))).collect()
    }

    /// Type and name of each vertex.
    pub fn vertices(&self) -> Vec<(String, String)> {
        let vertices = self.0["jobDag"]["vertexInfoMap"].as_array();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let vertex = |vertex: &Value| (text(&vertex["type"]), text(&vertex["vertexName"]));
        vertices.into_iter().flatten().map(vertex).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_text_and_missing_ones_are_zero() {
        let job = JobView(serde_json::json!({
            "jobId": 7, "jobName": "x",
            "metrics": {"SourceReceivedCount": "5", "SourceReceivedQPS": "1.0E7", "SinkWriteCount": 3},
        }));
        assert_eq!((job.read().rows, job.read().rows_per_second, job.written().rows), (5, 1.0e7, 3));
        assert_eq!((job.read().bytes, job.id().as_str(), job.error()), (0, "7", None));
    }
}
