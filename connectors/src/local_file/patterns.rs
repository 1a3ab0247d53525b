//! The patterns of dates, times and datetimes that file formats allow (contract D.4).

use egret_runtime::row::text;

const MICROS: i64 = 1_000_000;
const NANOS: i64 = 1_000_000_000;

/// `yyyy-MM-dd`, `yyyy.MM.dd` or `yyyy/MM/dd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatePattern {
    separator: u8,
}

/// `HH:mm:ss`, or with 3, 6 or 9 digits of a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimePattern {
    fraction: u8,
}

/// A date, a blank or `T`, and a time; or `yyyyMMddHHmmss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateTimePattern {
    /// `yyyyMMddHHmmss`
    Compact,
    /// Everything else.
    Split {
        /// The date.
        date: DatePattern,
        /// What stands between: a blank or `T`.
        between: u8,
        /// The time.
        time: TimePattern,
    },
}

/// What the options `date_format`, `time_format` and `datetime_format` say. Where one is not given, reading takes any
/// of the patterns, and writing takes the default, with a fraction where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    /// `date_format`
    pub date: Option<DatePattern>,
    /// `time_format`
    pub time: Option<TimePattern>,
    /// `datetime_format`
    pub datetime: Option<DateTimePattern>,
}

/// What may be given as `date_format`.
pub const DATE_FORMATS: &[&str] = &["yyyy-MM-dd", "yyyy.MM.dd", "yyyy/MM/dd"];
/// What may be given as `time_format`.
pub const TIME_FORMATS: &[&str] = &["HH:mm:ss", "HH:mm:ss.SSS", "HH:mm:ss.SSSSSS", "HH:mm:ss.SSSSSSSSS"];

impl DatePattern {
    /// Reads a pattern.
    pub fn of(pattern: &str) -> Option<Self> {
        DATE_FORMATS.contains(&pattern).then(|| Self { separator: pattern.as_bytes()[4] })
    }

    fn parse(self, text: &[u8]) -> Option<i32> {
        if text.len() != 10 || text[4] != self.separator || text[7] != self.separator {
            return None;
        }
        text::days_of(number(&text[..4])? as i32, number(&text[5..7])?, number(&text[8..])?)
    }

    fn write(self, out: &mut Vec<u8>, days: i32) {
        let (year, month, day) = text::ymd_of(days);
        let ([month, month_end], [day, day_end]) = (two(month), two(day));
        match u32::try_from(year) {
            Ok(year) if year <= 9999 => {
                let ([century, century_end], [year, year_end]) = (two(year / 100), two(year % 100));
                let separator = self.separator;
                let date = [century, century_end, year, year_end, separator, month, month_end, separator, day, day_end];
                out.extend_from_slice(&date);
            }
            _ => {
                write_year(out, year);
                out.extend_from_slice(&[self.separator, month, month_end, self.separator, day, day_end]);
            }
        }
    }
}

impl TimePattern {
    /// Reads a pattern.
    pub fn of(pattern: &str) -> Option<Self> {
        let at = TIME_FORMATS.iter().position(|known| *known == pattern)?;
        Some(Self { fraction: 3 * at as u8 })
    }

    fn parse(self, text: &[u8]) -> Option<i64> {
        let fraction = usize::from(self.fraction);
        let length = 8 + if fraction == 0 { 0 } else { 1 + fraction };
        if text.len() != length || text[2] != b':' || text[5] != b':' || (fraction > 0 && text[8] != b'.') {
            return None;
        }
        let (hour, minute, second) = (number(&text[..2])?, number(&text[3..5])?, number(&text[6..8])?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let nanos = if fraction == 0 { 0 } else { number(&text[9..])? * 10u32.pow(9 - u32::from(self.fraction)) };
        Some(i64::from(hour * 3600 + minute * 60 + second) * NANOS + i64::from(nanos))
    }

    /// Writes a time; answers whether digits were cut off.
    fn write(self, out: &mut Vec<u8>, nanos: i64) -> bool {
        let (seconds, fraction) = ((nanos / NANOS) as u32, (nanos % NANOS) as u32);
        let ([hour, hour_end], [minute, minute_end]) = (two(seconds / 3600), two(seconds / 60 % 60));
        let [second, second_end] = two(seconds % 60);
        out.extend_from_slice(&[hour, hour_end, b':', minute, minute_end, b':', second, second_end]);
        match self.fraction {
            0 => fraction != 0,
            6 => {
                let micros = fraction / 1000;
                let [[a, b], [c, d], [e, f]] = [two(micros / 10_000), two(micros / 100 % 100), two(micros % 100)];
                out.extend_from_slice(&[b'.', a, b, c, d, e, f]);
                !fraction.is_multiple_of(1000)
            }
            digits => {
                let unit = 10u32.pow(9 - u32::from(digits));
                out.push(b'.');
                write_digits(out, fraction / unit, usize::from(digits));
                !fraction.is_multiple_of(unit)
            }
        }
    }

    /// The shortest pattern that keeps every digit.
    fn fitting(nanos: i64) -> Self {
        let fraction = nanos % NANOS;
        let digits = [(0, NANOS), (3, 1_000_000), (6, 1_000), (9, 1)];
        Self { fraction: digits.iter().find(|(_, unit)| fraction % unit == 0).map_or(9, |(digits, _)| *digits) }
    }
}

impl DateTimePattern {
    /// Reads a pattern; `T` may be quoted as Java wants it.
    pub fn of(pattern: &str) -> Option<Self> {
        if pattern == "yyyyMMddHHmmss" {
            return Some(Self::Compact);
        }
        let date = DatePattern::of(pattern.get(..10)?)?;
        let rest = &pattern[10..];
        let (between, time) =
            if let Some(time) = rest.strip_prefix("'T'") { (b'T', time) } else { (b' ', rest.strip_prefix(' ')?) };
        Some(Self::Split { date, between, time: TimePattern::of(time)? })
    }

    /// Microseconds, and whether finer digits were lost.
    fn parse(self, text: &[u8]) -> Option<(i64, bool)> {
        let (days, nanos) = match self {
            Self::Compact => {
                if text.len() != 14 || !text.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                let two = |at: usize| number(&text[at..at + 2]);
                let days = text::days_of(number(&text[..4])? as i32, two(4)?, two(6)?)?;
                let (hour, minute, second) = (two(8)?, two(10)?, two(12)?);
                if hour > 23 || minute > 59 || second > 59 {
                    return None;
                }
                (days, i64::from(hour * 3600 + minute * 60 + second) * NANOS)
            }
            Self::Split { date, between, time } => {
                if text.len() < 11 || text[10] != between {
                    return None;
                }
                (date.parse(&text[..10])?, time.parse(&text[11..])?)
            }
        };
        Some((i64::from(days) * text::DAY_MICROS + nanos / 1000, nanos % 1000 != 0))
    }

    fn write(self, out: &mut Vec<u8>, micros: i64) -> bool {
        let (days, nanos) = (days_in(micros), micros.rem_euclid(text::DAY_MICROS) * 1000);
        match self {
            Self::Compact => {
                let (year, month, day) = text::ymd_of(days);
                let seconds = (nanos / NANOS) as u32;
                write_year(out, year);
                for part in [month, day, seconds / 3600, seconds / 60 % 60, seconds % 60] {
                    write_two(out, part);
                }
                nanos % NANOS != 0
            }
            Self::Split { date, between, time } => {
                date.write(out, days);
                out.push(between);
                time.write(out, nanos)
            }
        }
    }
}

impl Patterns {
    /// Days since 1970-01-01.
    pub fn parse_date(&self, text: &[u8]) -> Option<i32> {
        match self.date {
            Some(pattern) => pattern.parse(text),
            None => DatePattern { separator: b'-' }.parse(text).or_else(|| text::parse_date(as_text(text)?)),
        }
    }

    /// Nanoseconds since midnight.
    pub fn parse_time(&self, text: &[u8]) -> Option<i64> {
        match self.time {
            Some(pattern) => pattern.parse(text),
            None => text::parse_time(as_text(text)?),
        }
    }

    /// Microseconds since 1970-01-01T00:00:00, and whether finer digits were lost.
    pub fn parse_datetime(&self, text: &[u8]) -> Option<(i64, bool)> {
        match self.datetime {
            Some(pattern) => pattern.parse(text),
            None => usual_datetime(text).or_else(|| text::parse_timestamp(as_text(text)?)),
        }
    }

    /// Writes a date.
    pub fn write_date(&self, out: &mut Vec<u8>, days: i32) {
        self.date.unwrap_or(DatePattern { separator: b'-' }).write(out, days);
    }

    /// Writes a time; answers whether digits were cut off, which happens with a pattern that was given alone.
    pub fn write_time(&self, out: &mut Vec<u8>, nanos: i64) -> bool {
        let nanos = nanos.rem_euclid(text::DAY_NANOS);
        self.time.unwrap_or_else(|| TimePattern::fitting(nanos)).write(out, nanos)
    }

    /// Writes a datetime, with `between` (a blank or `T`) when no pattern is given; answers whether digits were cut
    /// off.
    pub fn write_datetime(&self, out: &mut Vec<u8>, micros: i64, between: u8) -> bool {
        let pattern = self.datetime.unwrap_or_else(|| DateTimePattern::Split {
            date: DatePattern { separator: b'-' },
            between,
            time: TimePattern::fitting(micros.rem_euclid(MICROS) * 1000),
        });
        pattern.write(out, micros)
    }
}

fn days_in(micros: i64) -> i32 {
    // 2^63 microseconds are about 107 million days.
    micros.div_euclid(text::DAY_MICROS) as i32
}

fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |value, digit| {
        digit.is_ascii_digit().then(|| value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')))
    })
}

/// The forms that most files have, `2024-01-02 03:04:05` with or without a fraction; `None` for all others.
fn usual_datetime(text: &[u8]) -> Option<(i64, bool)> {
    let fraction = match text.len() {
        19 => 0,
        23 => 3,
        26 => 6,
        29 => 9,
        _ => return None,
    };
    if !matches!(text[10], b' ' | b'T') {
        return None;
    }
    let days = DatePattern { separator: b'-' }.parse(&text[..10])?;
    let nanos = TimePattern { fraction }.parse(&text[11..])?;
    Some((i64::from(days) * text::DAY_MICROS + nanos / 1000, nanos % 1000 != 0))
}

/// Two digits.
#[inline]
fn two(value: u32) -> [u8; 2] {
    [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]
}

fn write_two(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&two(value));
}

fn write_digits(out: &mut Vec<u8>, value: u32, digits: usize) {
    let start = out.len();
    out.resize(start + digits, b'0');
    let mut rest = value;
    for place in out[start..].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

fn write_year(out: &mut Vec<u8>, year: i32) {
    match u32::try_from(year) {
        Ok(year) if year <= 9999 => write_digits(out, year, 4),
        _ => out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all_datetimes() -> Vec<DateTimePattern> {
        let mut all = vec![DateTimePattern::Compact];
        for date in DATE_FORMATS {
            for between in [" ", "'T'"] {
                for time in TIME_FORMATS {
                    all.push(DateTimePattern::of(&format!("{date}{between}{time}")).expect("a pattern"));
                }
            }
        }
        all
    }

    #[test]
    fn only_the_listed_patterns_are_patterns() {
        for pattern in ["yyyy-MM.dd", "yy-MM-dd", "", "yyyy-MM-dd HH:mm:ss"] {
            assert_eq!(DatePattern::of(pattern), None, "{pattern}");
        }
        for pattern in ["yyyy-MM-ddHH:mm:ss", "yyyy-MM-dd", "ÄÖÜ-MM-dd HH:mm:ss", "yyyy-MM-dd HH:mm:ss.S"] {
            assert_eq!(DateTimePattern::of(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn values_that_do_not_exist_are_refused() {
        let patterns = Patterns { datetime: DateTimePattern::of("yyyyMMddHHmmss"), ..Patterns::default() };
        assert_eq!(patterns.parse_datetime(b"20240230000000"), None);
        assert_eq!(patterns.parse_datetime(b"20240228240000"), None);
        assert_eq!(patterns.parse_datetime(b"19700101000001"), Some((1_000_000, false)));
        let patterns = Patterns { date: DatePattern::of("yyyy/MM/dd"), ..Patterns::default() };
        assert_eq!(patterns.parse_date(b"1970-01-02"), None);
        assert_eq!(patterns.parse_date(b"1970/01/02"), Some(1));
    }

    #[test]
    fn without_a_pattern_a_fraction_is_written_where_there_is_one() {
        let write = |micros| {
            let mut out = Vec::new();
            assert!(!Patterns::default().write_datetime(&mut out, micros, b' '));
            String::from_utf8(out).expect("text")
        };
        assert_eq!(write(0), "1970-01-01 00:00:00");
        assert_eq!(write(-1), "1969-12-31 23:59:59.999999");
        assert_eq!(write(1_500_000), "1970-01-01 00:00:01.500");
    }

    proptest! {
        #[test]
        fn datetimes_round_trip(seconds in -62_135_596_800i64..253_402_300_800, micros in 0i64..1_000_000) {
            for pattern in all_datetimes() {
                let patterns = Patterns { datetime: Some(pattern), ..Patterns::default() };
                let value = seconds * MICROS + micros;
                let mut out = Vec::new();
                let cut = patterns.write_datetime(&mut out, value, b' ');
                let (read, _) = patterns.parse_datetime(&out).expect("what was written");
                prop_assert_eq!(cut, read != value);
                prop_assert!(value - read < MICROS && read <= value);
                let lenient = Patterns::default().parse_datetime(&out);
                prop_assert_eq!(lenient, Some((read, false)), "{:?}", String::from_utf8_lossy(&out));
            }
        }

        #[test]
        fn dates_and_times_round_trip(days in -719_162i32..2_932_896, nanos in 0i64..text::DAY_NANOS) {
            for date in DATE_FORMATS {
                let patterns = Patterns { date: DatePattern::of(date), ..Patterns::default() };
                let mut out = Vec::new();
                patterns.write_date(&mut out, days);
                prop_assert_eq!(patterns.parse_date(&out), Some(days));
                prop_assert_eq!(Patterns::default().parse_date(&out), Some(days));
            }
            let mut out = Vec::new();
            prop_assert!(!Patterns::default().write_time(&mut out, nanos));
            prop_assert_eq!(Patterns::default().parse_time(&out), Some(nanos));
        }
    }
}
