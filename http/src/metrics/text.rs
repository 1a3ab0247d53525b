//! The two text forms of metrics.

use std::time::Duration;

use egret_runtime::metrics::Times;
use egret_runtime::row::text::write_double;
use memchr::memchr3;

use super::family::{About, Kind, Table};
use super::select::Selection;

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

/// Bytes of a label's value; what is behind them is cut off. A name of a job may be as long as a body.
pub(super) const LABEL_BYTES_MAX: usize = 256;

/// The number of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// Written with all its digits.
    Whole(u64),
    /// Written with as few digits as tell it.
    Double(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<Duration> for Value {
    /// In seconds.
    fn from(value: Duration) -> Self {
        Self::Double(value.as_secs_f64())
    }
}

/// Nanoseconds as seconds.
pub(super) fn nanos(nanos: u64) -> Value {
    Duration::from_nanos(nanos).into()
}

/// Metrics as they are written. Every sample begins with the label `cluster`.
pub(super) struct Exposition {
    format: Format,
    selection: Selection,
    cluster: String,
    text: String,
}

impl Exposition {
    /// Nothing yet, with room for so many bytes.
    pub(super) fn new(format: Format, selection: Selection, cluster: &str, capacity: usize) -> Self {
        let mut label = String::from("{cluster=\"");
        escape(&mut label, cluster);
        label.push('"');
        Self { format, selection, cluster: label, text: String::with_capacity(capacity) }
    }

    /// Whether any family of a table is asked for.
    pub(super) fn wants<S>(&self, table: &'static Table<S>) -> bool {
        table.families.iter().any(|family| self.wants_family(&family.about))
    }

    pub(super) fn wants_family(&self, family: &About) -> bool {
        self.selection.has(family)
    }

    /// Announces a family. All are, whether they have samples or not, so that who looks sees what there may be.
    pub(super) fn announce(&mut self, family: &About) {
        let (suffix, kind) = match (self.format, family.kind) {
            (Format::Prometheus, Kind::Info) => (family.kind.suffix(), Kind::Gauge),
            (Format::Prometheus, kind) => (kind.suffix(), kind),
            (Format::OpenMetrics, kind) => ("", kind),
        };
        for (word, rest) in [("# HELP ", family.help), ("# TYPE ", kind.as_str())] {
            self.announcement(word, family.base, suffix, rest);
        }
        if self.format == Format::OpenMetrics && !family.unit.is_empty() {
            self.announcement("# UNIT ", family.base, "", family.unit);
        }
    }

    fn announcement(&mut self, word: &str, base: &str, suffix: &str, rest: &str) {
        [word, base, suffix, " ", rest, "\n"].into_iter().for_each(|piece| self.text.push_str(piece));
    }

    /// The samples of a family for an item that has these labels, of [`labels`].
    pub(super) fn samples<'t>(&'t mut self, family: &'static About, shared: &'t str) -> Samples<'t> {
        Samples { text: self, family, shared }
    }

    /// All of it.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// Writes the samples of one family for one item.
pub(super) struct Samples<'t> {
    text: &'t mut Exposition,
    family: &'static About,
    shared: &'t str,
}

impl Samples<'_> {
    /// The one sample of a family without labels of its own.
    pub(super) fn value(&mut self, value: impl Into<Value>) {
        self.labelled(&[], value);
    }

    /// The same, where there is a value: what the kernel does not tell is not there.
    pub(super) fn known(&mut self, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.value(value);
        }
    }

    /// A sample whose labels have these values, in the order of the family's labels.
    pub(super) fn labelled(&mut self, labels: &[&str], value: impl Into<Value>) {
        debug_assert_ne!(self.family.kind, Kind::Histogram, "{} has buckets", self.family.base);
        self.line(self.family.kind.suffix(), labels, None, value.into());
    }

    /// A histogram whose labels have these values. The bounds of its buckets are nanoseconds, and rise.
    pub(super) fn histogram<const N: usize>(&mut self, labels: &[&str], bounds: &[u64; N], times: &Times) {
        debug_assert_eq!(self.family.kind, Kind::Histogram, "{} has no buckets", self.family.base);
        for (bound, count) in bounds.iter().zip(times.at_most(bounds)) {
            let mut buffer = ryu::Buffer::new();
            let bound = buffer.format_finite(Duration::from_nanos(*bound).as_secs_f64());
            self.line("_bucket", labels, Some(bound), count.into());
        }
        self.line("_bucket", labels, Some("+Inf"), times.count().into());
        self.line("_count", labels, None, times.count().into());
        self.line("_sum", labels, None, nanos(times.sum()));
    }

    fn line(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: Value) {
        debug_assert_eq!(labels.len(), self.family.labels.len(), "{} has other labels", self.family.base);
        let Exposition { format, cluster, text, .. } = &mut *self.text;
        for piece in [self.family.base, suffix, cluster, self.shared] {
            text.push_str(piece);
        }
        for (name, value) in self.family.labels.iter().zip(labels) {
            label(text, name, value);
        }
        if let Some(bound) = bound {
            // A number: nothing to escape.
            for piece in [",le=\"", bound, "\""] {
                text.push_str(piece);
            }
        }
        text.push_str(if *format == Format::Prometheus { ",} " } else { "} " });
        write_value(text, value, self.family.is_original);
        text.push('\n');
    }
}

/// Appends `,name="value"` for each of the names.
pub(super) fn labels(text: &mut String, names: &[&str], values: &[&str]) {
    debug_assert_eq!(names.len(), values.len(), "a value for each of {names:?}");
    names.iter().zip(values).for_each(|(name, value)| label(text, name, value));
}

fn label(text: &mut String, name: &str, value: &str) {
    for piece in [",", name, "=\""] {
        text.push_str(piece);
    }
    escape(text, value);
    text.push('"');
}

/// The inside of a label's value.
fn escape(text: &mut String, value: &str) {
    let mut end = value.len().min(LABEL_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    let mut rest = &value[..end];
    while let Some(place) = memchr3(b'\\', b'"', b'\n', rest.as_bytes()) {
        text.push_str(&rest[..place]);
        text.push_str(match rest.as_bytes()[place] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &rest[place + 1..];
    }
    text.push_str(rest);
}

fn write_value(text: &mut String, value: Value, is_original: bool) {
    match value {
        // As a double of Java: `1.0`, `1.0E7`.
        Value::Whole(value) if is_original => write_double(text, value as f64),
        Value::Double(value) if is_original => write_double(text, value),
        Value::Whole(value) => text.push_str(itoa::Buffer::new().format(value)),
        Value::Double(value) if value.is_finite() => text.push_str(ryu::Buffer::new().format_finite(value)),
        Value::Double(value) if value.is_nan() => text.push_str("NaN"),
        Value::Double(value) => text.push_str(if value > 0.0 { "+Inf" } else { "-Inf" }),
    }
}

#[cfg(test)]
mod tests {
    use egret_runtime::metrics::Buckets;

    use super::super::family::{Family, counter, gauge, histogram, info, original};
    use super::*;

    fn nothing(_: &(), _: &mut Samples<'_>) {}

    static STATES: Family<()> = original(Kind::Gauge, "job_count", &["type"], "All jobs.", "", nothing);
    static CPU: Family<()> = original(Kind::Counter, "process_cpu_seconds_total", &[], "Time.", "", nothing);
    static ROWS: Family<()> = counter("egret_rows_total", "Rows.", "", nothing).by(&["job"]);
    static TIME: Family<()> = histogram("egret_time_seconds", "Time.", "", nothing);
    static BUILD: Family<()> = info("egret_build_info", "The program.", "", nothing).by(&["version"]);
    static SHARE: Family<()> = gauge("egret_share_ratio", "Share.", "", nothing);

    fn exposition(format: Format) -> Exposition {
        Exposition::new(format, Selection::default(), "sea\"tunnel", 0)
    }

    fn times() -> Times {
        let (buckets, mut times) = (Buckets::default(), Times::default());
        [500_000, 2_000_000, 97_500_000, 2_400_000_000].into_iter().for_each(|nanos| buckets.record(nanos));
        times.add(&buckets);
        times
    }

    fn written(format: Format) -> String {
        let mut text = exposition(format);
        for family in [&STATES, &CPU, &ROWS, &TIME, &BUILD] {
            text.announce(&family.about);
            let mut samples = text.samples(&family.about, if family.about.is_original { "" } else { ",r=\"x\"" });
            match family.about.base {
                "job_count" => samples.labelled(&["running"], 1u64),
                "process_cpu_seconds" => samples.value(1e7),
                "egret_rows" => samples.labelled(&["a\\b\nc"], 10_000_000u64),
                "egret_build" => samples.labelled(&["0.1.0"], 1u64),
                _ => samples.histogram(&[], &[1_000_000, 500_000_000], &times()),
            }
        }
        text.end()
    }

    #[test]
    fn prometheus_text_is_that_of_the_original() {
        assert_eq!(
            written(Format::Prometheus),
            "# HELP job_count All jobs.\n# TYPE job_count gauge\n\
             job_count{cluster=\"sea\\\"tunnel\",type=\"running\",} 1.0\n\
             # HELP process_cpu_seconds_total Time.\n# TYPE process_cpu_seconds_total counter\n\
             process_cpu_seconds_total{cluster=\"sea\\\"tunnel\",} 1.0E7\n\
             # HELP egret_rows_total Rows.\n# TYPE egret_rows_total counter\n\
             egret_rows_total{cluster=\"sea\\\"tunnel\",r=\"x\",job=\"a\\\\b\\nc\",} 10000000\n\
             # HELP egret_time_seconds Time.\n# TYPE egret_time_seconds histogram\n\
             egret_time_seconds_bucket{cluster=\"sea\\\"tunnel\",r=\"x\",le=\"0.001\",} 1\n\
             egret_time_seconds_bucket{cluster=\"sea\\\"tunnel\",r=\"x\",le=\"0.5\",} 3\n\
             egret_time_seconds_bucket{cluster=\"sea\\\"tunnel\",r=\"x\",le=\"+Inf\",} 4\n\
             egret_time_seconds_count{cluster=\"sea\\\"tunnel\",r=\"x\",} 4\n\
             egret_time_seconds_sum{cluster=\"sea\\\"tunnel\",r=\"x\",} 2.5\n\
             # HELP egret_build_info The program.\n# TYPE egret_build_info gauge\n\
             egret_build_info{cluster=\"sea\\\"tunnel\",r=\"x\",version=\"0.1.0\",} 1\n"
        );
    }

    #[test]
    fn open_metrics_names_families_without_their_suffix_and_says_units_and_where_it_ends() {
        let text = written(Format::OpenMetrics);
        assert!(text.contains("job_count{cluster=\"sea\\\"tunnel\",type=\"running\"} 1.0\n"), "{text}");
        assert!(text.contains("# TYPE egret_rows counter\negret_rows_total{"), "{text}");
        assert!(text.contains("# TYPE egret_time_seconds histogram\n# UNIT egret_time_seconds seconds\n"), "{text}");
        assert!(text.contains("# TYPE egret_build info\negret_build_info{"), "{text}");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        let written = |value: Value| {
            let mut text = String::new();
            write_value(&mut text, value, false);
            text
        };
        assert_eq!(written(u64::MAX.into()), "18446744073709551615");
        for value in [0.0, 0.1 + 0.2, 1e-9, 123_456_789.123_456_79, f64::MAX, f64::MIN_POSITIVE] {
            assert_eq!(written(value.into()).parse(), Ok(value));
        }
        assert_eq!(
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| written(value.into())),
            ["NaN", "+Inf", "-Inf"]
        );
        assert_eq!(written(nanos(1_500_000_000)), "1.5");
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let mut text = exposition(Format::Prometheus);
        text.samples(&SHARE.about, "").known(None::<f64>);
        assert_eq!(text.end(), "");
    }

    #[test]
    fn long_values_of_labels_are_cut_between_letters() {
        let mut text = String::new();
        escape(&mut text, &"\u{6d4b}".repeat(LABEL_BYTES_MAX));
        assert_eq!(text, "\u{6d4b}".repeat(LABEL_BYTES_MAX / 3));
    }
}
