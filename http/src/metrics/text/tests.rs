use egret_runtime::metrics::Buckets;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::metrics::family::{Family, counter, gauge, histogram, info, original};

fn nothing(_: &(), _: &mut Samples<'_>) {}

static STATES: Family<()> = original(Kind::Gauge, "job_count", &["type"], "All jobs.", "", nothing);
static CPU: Family<()> = original(Kind::Counter, "process_cpu_seconds_total", &[], "Time.", "", nothing);
static ROWS: Family<()> = counter("egret_rows_total", "Rows.", "", nothing).by(&["job"]);
static TIME: Family<()> = histogram("egret_time_seconds", "Time.", "", nothing);
static BUILD: Family<()> = info("egret_build_info", "The program.", "", nothing).by(&["version"]);
static BOUNDS: Bounds<2> = Bounds::new([1_000_000, 500_000_000]);
static SHARE: Family<()> = gauge("egret_share_ratio", "Share.", "", nothing);

fn exposition(format: Format) -> Exposition {
    Exposition::new(format, Selection::default(), "sea\"tunnel")
}

fn buckets() -> Buckets {
    let buckets = Buckets::default();
    [500_000, 2_000_000, 97_500_000, 2_400_000_000].into_iter().for_each(|nanos| buckets.record(nanos));
    buckets
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
            _ => samples.histogram(&[], &BOUNDS, [&buckets()]),
        }
    }
    text_of(text)
}

fn text_of(text: Exposition) -> String {
    String::from_utf8(text.end().into_bytes().into()).expect("UTF-8")
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
        let mut text = Vec::new();
        write_value(&mut text, value, false);
        String::from_utf8(text).expect("UTF-8")
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
    text.announce(&SHARE.about);
    text.samples(&SHARE.about, "").known(None::<f64>);
    assert!(text_of(text).ends_with("# TYPE egret_share_ratio gauge\n"));
}

#[test]
fn long_values_of_labels_are_cut_between_letters() {
    let mut text = String::new();
    escape(&mut text, &"\u{6d4b}".repeat(LABEL_BYTES_MAX));
    assert_eq!(text, "\u{6d4b}".repeat(LABEL_BYTES_MAX / 3));
}

/// A sample as a plain formatter writes it.
fn plainly(format: Format, begin: &str, labels: &[(&str, &str)], number: &str) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let comma = if format == Format::Prometheus { "," } else { "" };
    format!("{begin}{{{}{comma}}} {number}\n", labels.join(","))
}

fn label_value() -> impl Strategy<Value = String> {
    "[a-z\\\\\"\n\u{6d4b} {}=,]{0,40}"
}

proptest! {
    /// Whatever is written, and wherever a piece of the text ends, the whole is what a plain formatter gives.
    #[test]
    fn pieces_come_to_the_text_of_a_plain_formatter(
        open_metrics in any::<bool>(),
        cluster in label_value(),
        items in vec((label_value(), label_value(), any::<u64>(), any::<f64>()), 0..60),
        durations in vec(1u64..3_000_000_000, 0..20),
        rounds in 1usize..8,
    ) {
        let format = if open_metrics { Format::OpenMetrics } else { Format::Prometheus };
        let buckets = Buckets::default();
        durations.iter().for_each(|nanos| buckets.record(*nanos));
        let counted = Counted::of(&BOUNDS.nanos, [&buckets]);
        let mut text = Exposition::new(format, Selection::default(), &cluster);
        let mut expected = String::new();
        let first = ("cluster", &*cluster);
        for _ in 0..rounds {
            text.announce(&ROWS.about);
            let name = if open_metrics { "egret_rows" } else { "egret_rows_total" };
            expected.push_str(&format!("# HELP {name} Rows.\n# TYPE {name} counter\n"));
            for (shared, own, whole, _) in &items {
                let mut rendered = String::new();
                labels(&mut rendered, &["r"], &[shared]);
                text.samples(&ROWS.about, &rendered).labelled(&[own], *whole);
                let all = [first, ("r", shared), ("job", own)];
                expected.push_str(&plainly(format, "egret_rows_total", &all, &whole.to_string()));
            }
            text.announce(&SHARE.about);
            expected.push_str("# HELP egret_share_ratio Share.\n# TYPE egret_share_ratio gauge\n");
            expected.push_str(if open_metrics { "# UNIT egret_share_ratio ratio\n" } else { "" });
            for (.., double) in items.iter().filter(|(.., double)| double.is_finite()) {
                text.samples(&SHARE.about, "").value(*double);
                let number = ryu::Buffer::new().format(*double).to_owned();
                expected.push_str(&plainly(format, "egret_share_ratio", &[first], &number));
            }
            text.announce(&TIME.about);
            text.samples(&TIME.about, "").histogram(&[], &BOUNDS, [&buckets]);
            expected.push_str("# HELP egret_time_seconds Time.\n# TYPE egret_time_seconds histogram\n");
            expected.push_str(if open_metrics { "# UNIT egret_time_seconds seconds\n" } else { "" });
            let [low, high] = *counted.at_most();
            for (bound, count) in [("0.001", low), ("0.5", high), ("+Inf", counted.count())] {
                let all = [first, ("le", bound)];
                expected.push_str(&plainly(format, "egret_time_seconds_bucket", &all, &count.to_string()));
            }
            expected.push_str(&plainly(format, "egret_time_seconds_count", &[first], &counted.count().to_string()));
            let sum = Duration::from_nanos(counted.sum()).as_secs_f64();
            expected.push_str(&plainly(format, "egret_time_seconds_sum", &[first], ryu::Buffer::new().format(sum)));
        }
        expected.push_str(if open_metrics { "# EOF\n" } else { "" });
        prop_assert!(text_of(text) == expected);
    }
}

#[test]
fn a_text_grows_by_pieces_and_none_of_them_is_moved() {
    let mut text = exposition(Format::Prometheus);
    text.announce(&SHARE.about);
    while text.written.len() < 3 * PIECE_BYTES as u64 {
        text.samples(&SHARE.about, "").value(0.5);
    }
    let begin = text.written.clone();
    let whole = text.end();
    assert!(whole.len() >= 4 * (PIECE_BYTES - LINE_BYTES * 2) as u64);
    assert_eq!(begin.pieces().next().map(|piece| piece.as_ptr()), whole.pieces().next().map(|piece| piece.as_ptr()));
    assert!(whole.pieces().all(|piece| piece.len() <= PIECE_BYTES));
}
