//! Patterns against what Java makes of them.

use proptest::prelude::*;

use super::*;
use crate::row::text::{parse_date, parse_time, parse_timestamp};

fn pattern(text: &str) -> JavaPattern {
    JavaPattern::compile(text).expect(text)
}

fn micros(text: &str) -> i64 {
    parse_timestamp(text).expect(text).0
}

fn shown(pattern_text: &str, timestamp: &str) -> String {
    let mut out = String::new();
    pattern(pattern_text).format_timestamp(&mut out, micros(timestamp));
    out
}

#[test]
fn timestamps_print_as_java_prints_them() {
    let at = "2024-01-02T03:04:05.006007";
    for (text, expected) in [
        ("yyyy-MM-dd HH:mm:ss", "2024-01-02 03:04:05"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2024-01-02T03:04:05.006"),
        ("yyyy-MM-dd HH:mm:ss.SSSSSS", "2024-01-02 03:04:05.006007"),
        ("SSSSSSSSS S n A", "006007000 0 6007000 11045006"),
        ("yy M d H m s", "24 1 2 3 4 5"),
        ("yyyyMMddHHmmss", "20240102030405"),
        ("y u uuuu yyyyy", "2024 2024 2024 02024"),
        ("EEE, dd MMM yyyy", "Tue, 02 Jan 2024"),
        ("EEEE MMMM MMMMM EEEEE e", "Tuesday January J T 2"),
        ("hh:mm a K k", "03:04 AM 3 3"),
        ("Q QQ QQQ QQQQ G", "1 01 Q1 1st quarter AD"),
        ("D DDD w ww YYYY F W", "2 002 1 01 2024 1 1"),
        ("'o''clock' '' yyyy", "o'clock ' 2024"),
        ("yyyy年MM月dd日", "2024年01月02日"),
        ("yyyy[ HH][ X]", "2024 03"),
    ] {
        assert_eq!(shown(text, at), expected, "{text}");
    }
    assert_eq!(shown("h a K k", "2024-01-02 00:00:00"), "12 AM 0 24");
    assert_eq!(shown("h a K k", "2024-01-02 12:00:00"), "12 PM 0 12");
    assert_eq!(shown("YYYY-'W'ww-e", "2021-01-03"), "2020-W53-7");
    assert_eq!(shown("YYYY-'W'ww-e", "2024-12-30"), "2025-W01-1");
}

#[test]
fn zones_print_in_every_form() {
    for (text, expected) in
        [("XXX", "+08:00"), ("X", "+08"), ("xx", "+0800"), ("Z", "+0800"), ("O", "GMT+8"), ("VV", "Asia/Shanghai")]
    {
        let mut out = String::new();
        pattern(text).format_zoned(&mut out, 0, 8 * 3600, "Asia/Shanghai");
        assert_eq!(out, expected, "{text}");
    }
    let mut out = String::new();
    pattern("XXX ZZZZ x").format_zoned(&mut out, 0, -19_800, "X");
    assert_eq!(out, "-05:30 GMT-5:30 -0530");
}

#[test]
fn texts_are_read_as_strictly_as_java_reads_them() {
    for (text, input, expected) in [
        ("yyyy-MM-dd HH:mm:ss", "2024-01-02 03:04:05", Some("2024-01-02T03:04:05")),
        ("yyyy-MM-dd HH:mm:ss", "2024-1-02 03:04:05", None),
        ("yyyy-M-d H:m:s", "2024-1-2 3:4:5", Some("2024-01-02T03:04:05")),
        ("yyyyMMddHHmmss", "20240102030405", Some("2024-01-02T03:04:05")),
        ("yyyyMMddHHmmssSSS", "20240102030405678", Some("2024-01-02T03:04:05.678")),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSSSS", "2024-01-02T03:04:05.000001", Some("2024-01-02T03:04:05.000001")),
        ("dd/MMM/yyyy hh:mm a", "02/Jan/2024 12:04 AM", Some("2024-01-02T00:04")),
        ("dd/MMM/yyyy hh:mm a", "02/jan/2024 12:04 AM", None),
        ("EEEE dd MMMM yy HH", "Tuesday 02 January 24 23", Some("2024-01-02T23:00")),
        ("EEEE dd MMMM yy HH", "Monday 02 January 24 23", None),
        ("yyyy-MM-dd HH", "2023-02-30 00", Some("2023-02-28T00:00")),
        ("yyyy-MM-dd HH", "2023-02-32 00", None),
        ("yyyy-MM-dd HH", "2023-13-01 00", None),
        ("yyyy-DDD HH:mm", "2024-366 23:59", Some("2024-12-31T23:59")),
        ("yyyy-DDD HH:mm", "2023-366 23:59", None),
        ("yyyy-MM-dd HH:mm", "12024-01-01 00:00", None),
        ("yyyy-MM-dd HH:mm[:ss]", "2024-01-02 03:04", Some("2024-01-02T03:04")),
        ("yyyy-MM-dd HH:mm[:ss]", "2024-01-02 03:04:05", Some("2024-01-02T03:04:05")),
        ("yyyy-MM-dd HH:mm:ss", "2024-01-02 03:04:05 ", None),
        ("yyyy-MM-dd HH:mm:ssXXX", "2024-01-02 03:04:05+08:00", Some("2024-01-02T03:04:05")),
        ("yyyy-MM-dd", "2024-01-02", None),
    ] {
        assert_eq!(pattern(text).parse_timestamp(input), expected.map(micros), "{text} {input}");
    }
    assert_eq!(pattern("yyyy-MM-dd").parse_date("2024-01-02"), parse_date("2024-01-02"));
    assert_eq!(pattern("HH:mm").parse_time("23:59"), parse_time("23:59"));
    assert_eq!(pattern("HHmmss").parse_time("235109"), parse_time("23:51:09"));
}

#[test]
fn a_pattern_knows_what_it_needs_and_gives() {
    let date = pattern("yyyy-MM-dd");
    assert!(date.formats_dates() && !date.formats_times() && date.parses_dates() && !date.parses_timestamps());
    let time = pattern("hh:mm a");
    assert!(!time.formats_dates() && time.formats_times() && time.parses_times());
    assert!(!pattern("hh:mm").parses_times());
    assert!(!pattern("yyyy-MM").parses_dates());
    assert!(!pattern("yyyy Z").formats_timestamps());
    let both = pattern("yyyy-MM-dd[ HH:mm]");
    assert!(both.formats_dates() && both.parses_timestamps());
    let mut out = String::new();
    both.format_date(&mut out, 0);
    assert_eq!(out, "1970-01-01");
}

#[test]
fn wrong_patterns_are_refused_with_their_reason() {
    for (text, reason) in [
        ("yyyy-bb", "'b' is not a pattern letter"),
        ("HHH", "too often"),
        ("yyyy 'x", "a quote is not closed"),
        ("[yyyy", "'[' without ']'"),
        ("yyyy]", "']' without '['"),
        ("{}", "must be quoted"),
        ("SSSSSSSSSS", "too often"),
    ] {
        let error = JavaPattern::compile(text).expect_err(text).to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert!(JavaPattern::compile(&"[".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(micros in -62_135_596_800_000_000i64..=253_402_300_799_999_999) {
        for text in ["yyyy-MM-dd HH:mm:ss.SSSSSS", "yyyyMMddHHmmssSSSSSS", "d MMM y, h:m:s.SSSSSS a", "y-D A n"] {
            let pattern = pattern(text);
            let mut out = String::new();
            pattern.format_timestamp(&mut out, micros);
            let expected = if text.contains('A') { micros.div_euclid(1000) * 1000 } else { micros };
            prop_assert_eq!(pattern.parse_timestamp(&out), Some(expected), "{} {}", text, out);
        }
    }

    #[test]
    fn no_pattern_and_no_text_make_it_panic(text in "[yMdHmsSEQaDwWFkKhGXzO'\\[\\] :-]{0,20}|.{0,20}", input in ".{0,30}|[0-9:. APM-]{0,30}", micros: i64) {
        if let Ok(pattern) = JavaPattern::compile(&text) {
            let mut out = String::new();
            pattern.format_timestamp(&mut out, micros);
            let _ = (pattern.parse_date(&input), pattern.parse_time(&input), pattern.parse_timestamp(&input));
            let _ = (pattern.parse_date(&out), pattern.parse_timestamp(&out));
        }
    }
}
