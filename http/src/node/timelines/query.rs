//! What a query asks for.

use egret_runtime::metrics::timeline::Resolution;

use crate::query::decode;

/// Slots that are given where the query does not say how many.
const SLOTS: i64 = 60;

/// What the series are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Node,
    /// All of them, each by itself.
    RunningJobs,
    Job(i64),
}

/// Which vertices' tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vertices {
    All,
    One(u32),
}

impl Vertices {
    pub(super) fn has(self, vertex: u32) -> bool {
        self == Self::All || self == Self::One(vertex)
    }
}

/// A query, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) about: About,
    pub(super) vertices: Option<Vertices>,
    pub(super) index: Option<usize>,
    pub(super) resolution: Resolution,
    /// Names; empty for all.
    metrics: Vec<String>,
    start: Option<i64>,
    end: Option<i64>,
}

impl Query {
    /// Reads `jobId=..&vertexId=..&index=..&metric=..,..&resolution=..&start=..&end=..`.
    ///
    /// # Errors
    /// With the text for the client.
    pub(super) fn read(query: &str) -> Result<Self, String> {
        let mut read = Self {
            about: About::Node,
            vertices: None,
            index: None,
            resolution: Resolution::Second,
            metrics: Vec::new(),
            start: None,
            end: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let broken = || format!("'{pair}' has a % without two digits behind it.");
            let (key, value) = (decode(key).ok_or_else(broken)?, decode(value).ok_or_else(broken)?);
            read.set(&key, &value)?;
        }
        read.checked()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "jobId" if value == "*" => self.about = About::RunningJobs,
            "jobId" => self.about = About::Job(number(key, value, "the id of a job, or *")?),
            "vertexId" if value == "*" => self.vertices = Some(Vertices::All),
            "vertexId" => self.vertices = Some(Vertices::One(number(key, value, "the id of a vertex, or *")?)),
            "index" => self.index = Some(number(key, value, "a whole number")?),
            "metric" => {
                self.metrics.extend(value.split(',').filter(|name| !name.is_empty()).map(str::to_owned));
            }
            "resolution" => {
                let resolution = value.parse().ok().and_then(Resolution::of_seconds);
                self.resolution = resolution.ok_or_else(|| format!("resolution is 1, 10 or 60, not '{value}'."))?;
            }
            "start" => self.start = Some(number(key, value, "a time in seconds")?),
            "end" => self.end = Some(number(key, value, "a time in seconds")?),
            _ => {
                return Err(format!(
                    "'{key}' is no parameter; they are jobId, vertexId, index, metric, resolution, start and end."
                ));
            }
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, String> {
        if self.vertices.is_some() && !matches!(self.about, About::Job(_)) {
            return Err("vertexId needs the jobId of one job.".to_owned());
        }
        if self.index.is_some() && self.vertices.is_none() {
            return Err("index needs a vertexId.".to_owned());
        }
        Ok(self)
    }

    /// The time that is asked about, up to now: Unix seconds. Negative ones are counted back from now.
    ///
    /// # Errors
    /// With the text for the client.
    pub(super) fn range(&self, now: i64) -> Result<(i64, i64), String> {
        let absolute = |time: i64| if time < 0 { now.saturating_add(time) } else { time };
        let length = i64::try_from(self.resolution.seconds()).unwrap_or(1);
        let end = self.end.map_or(i64::MAX, absolute);
        let start = self.start.map_or_else(|| end.min(now).saturating_sub(SLOTS * length), absolute);
        if start > end {
            return Err(format!("start ({start}) is behind end ({end})."));
        }
        Ok((start, end))
    }

    /// The metrics that are asked for; all when none is named.
    ///
    /// # Errors
    /// With the text for the client, who names one that there is not.
    pub(super) fn metrics<M: Copy>(
        &self,
        what: &str,
        all: &[M],
        name_of: impl Fn(&M) -> &'static str,
    ) -> Result<Vec<M>, String> {
        let known = |name: &String| all.iter().find(|metric| name_of(metric) == name);
        if let Some(unknown) = self.metrics.iter().find(|name| known(name).is_none()) {
            let names: Vec<&str> = all.iter().map(&name_of).collect();
            return Err(format!("'{unknown}' is no metric of {what}; they are {}.", names.join(", ")));
        }
        let is_wanted =
            |metric: &&M| self.metrics.is_empty() || self.metrics.iter().any(|name| name == name_of(metric));
        Ok(all.iter().filter(is_wanted).copied().collect())
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str, expected: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{key} is {expected}, not '{value}'."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(query: &str) -> Query {
        Query::read(query).expect("a query")
    }

    #[test]
    fn a_query_says_what_it_is_about() {
        assert_eq!(read("").about, About::Node);
        assert_eq!(read("jobId=*&metric=").about, About::RunningJobs);
        let query = read("jobId=-7&vertexId=2&index=3&resolution=60&metric=a,b&metric=c%2Cd&start=-5&end=9");
        assert_eq!((query.about, query.vertices, query.index), (About::Job(-7), Some(Vertices::One(2)), Some(3)));
        assert_eq!(
            (query.resolution, query.metrics.as_slice()),
            (Resolution::Minute, &["a", "b", "c", "d"].map(String::from)[..])
        );
        assert_eq!((query.start, query.end), (Some(-5), Some(9)));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_right() {
        for (query, part) in [
            ("jobId=abc", "jobId is the id of a job, or *, not 'abc'."),
            ("jobId=", "not ''"),
            ("resolution=5", "resolution is 1, 10 or 60, not '5'."),
            ("start=now", "start is a time in seconds, not 'now'."),
            ("job=1", "'job' is no parameter; they are jobId,"),
            ("metric=%4", "has a % without"),
            ("vertexId=1", "vertexId needs the jobId of one job."),
            ("jobId=*&vertexId=1", "vertexId needs the jobId of one job."),
            ("jobId=1&index=1", "index needs a vertexId."),
        ] {
            let told = Query::read(query).expect_err(query);
            assert!(told.contains(part), "{query}: {told}");
        }
        let told =
            read("metric=one,three").metrics("a test", &["one", "two"], |name| name).expect_err("no such metric");
        assert_eq!(told, "'three' is no metric of a test; they are one, two.");
    }

    #[test]
    fn times_are_absolute_or_counted_back_and_the_last_slots_by_default() {
        let range = |query: &str| read(query).range(1000);
        assert_eq!(range(""), Ok((940, i64::MAX)));
        assert_eq!(range("resolution=10"), Ok((400, i64::MAX)));
        assert_eq!(range("start=-20&end=-5"), Ok((980, 995)));
        assert_eq!(range("end=500"), Ok((440, 500)));
        assert_eq!(range("start=7&end=7"), Ok((7, 7)));
        assert_eq!(range("start=8&end=7"), Err("start (8) is behind end (7).".to_owned()));
        assert!(range("start=-9223372036854775808&end=9223372036854775807").is_ok());
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused(query in "(jobId|start|end|metric|vertexId|index|resolution|[ -~]{0,9})=[ -~]{0,20}") {
            if let Ok(read) = Query::read(&query) {
                let _ = read.range(1_700_000_000);
            }
        }
    }
}
