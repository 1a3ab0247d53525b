//! The two text forms of metrics.

use std::fmt::Write;

use egret_runtime::row::text::write_double;

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4, written as the original's library writes it: with a comma behind the last label.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What scrapers tell the form by.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    /// Its samples end in `_total`, its name does not.
    Counter,
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// Metrics as they are written. Every sample begins with the label `cluster`.
pub(super) struct Exposition {
    format: Format,
    cluster: String,
    text: String,
    family: &'static str,
    kind: Kind,
}

impl Exposition {
    pub(super) fn new(format: Format, cluster: &str) -> Self {
        let mut labels = String::from("{cluster=\"");
        escape(&mut labels, cluster);
        labels.push('"');
        Self { format, cluster: labels, text: String::with_capacity(32 << 10), family: "", kind: Kind::Gauge }
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> &mut Self {
        let suffix = if kind == Kind::Counter && self.format == Format::Prometheus { "_total" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(self.text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {}\n", kind.as_str());
        (self.family, self.kind) = (name, kind);
        self
    }

    /// A sample of the family with labels behind `cluster`.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        self.line(suffix, labels, value)
    }

    /// A histogram of seconds: `counts` are those up to each bound, and the last one all.
    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], bounds: &[f64], counts: &[u64], sum: f64) {
        for (index, count) in counts.iter().enumerate() {
            let mut bound = String::new();
            match bounds.get(index) {
                Some(value) => write_double(&mut bound, *value),
                None => bound.push_str("+Inf"),
            }
            let with_bound: Vec<_> = labels.iter().copied().chain([("le", &*bound)]).collect();
            self.line("_bucket", &with_bound, *count as f64);
        }
        self.line("_count", labels, counts.last().copied().unwrap_or_default() as f64);
        self.line("_sum", labels, sum);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.text.push_str(self.family);
        self.text.push_str(suffix);
        self.text.push_str(&self.cluster);
        for (name, value) in labels {
            let _ = write!(self.text, ",{name}=\"");
            escape(&mut self.text, value);
            self.text.push('"');
        }
        self.text.push_str(if self.format == Format::Prometheus { ",} " } else { "} " });
        write_double(&mut self.text, value);
        self.text.push('\n');
        self
    }

    /// All of it.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// The inside of a label's value.
fn escape(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format) -> String {
        let mut text = Exposition::new(format, "sea\"tunnel");
        text.family(Kind::Gauge, "job_count", "All jobs.").sample(&[("type", "running")], 1.0);
        text.family(Kind::Counter, "rows", "Rows.").sample(&[("job", "a\\b\nc")], 1e7);
        text.family(Kind::Histogram, "time", "Seconds.").histogram(&[("r", "x")], &[0.001, 0.5], &[1, 3, 4], 2.5);
        text.end()
    }

    #[test]
    fn prometheus_text_is_that_of_the_original() {
        assert_eq!(
            written(Format::Prometheus),
            "# HELP job_count All jobs.\n# TYPE job_count gauge\n\
             job_count{cluster=\"sea\\\"tunnel\",type=\"running\",} 1.0\n\
             # HELP rows_total Rows.\n# TYPE rows_total counter\n\
             rows_total{cluster=\"sea\\\"tunnel\",job=\"a\\\\b\\nc\",} 1.0E7\n\
             # HELP time Seconds.\n# TYPE time histogram\n\
             time_bucket{cluster=\"sea\\\"tunnel\",r=\"x\",le=\"0.001\",} 1.0\n\
             time_bucket{cluster=\"sea\\\"tunnel\",r=\"x\",le=\"0.5\",} 3.0\n\
             time_bucket{cluster=\"sea\\\"tunnel\",r=\"x\",le=\"+Inf\",} 4.0\n\
             time_count{cluster=\"sea\\\"tunnel\",r=\"x\",} 4.0\n\
             time_sum{cluster=\"sea\\\"tunnel\",r=\"x\",} 2.5\n"
        );
    }

    #[test]
    fn open_metrics_has_no_last_comma_and_says_where_it_ends() {
        let text = written(Format::OpenMetrics);
        assert!(text.contains("job_count{cluster=\"sea\\\"tunnel\",type=\"running\"} 1.0\n"), "{text}");
        assert!(text.contains("# TYPE rows counter\nrows_total{"), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }
}
