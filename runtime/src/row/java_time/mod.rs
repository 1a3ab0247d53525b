//! Date and time patterns of Java's `DateTimeFormatter`, compiled once and then used for every row.
//!
//! Letters: `G` era, `u y` year, `Y` week-based year, `Q q` quarter, `M L` month, `w` ISO week, `W F` week of month,
//! `d` day, `D` day of year, `E e c` day of week, `a` AM/PM, `h K` hour of half a day, `H k` hour of a day, `m` minute,
//! `s` second, `S` fraction, `A` millisecond of the day, `n` nanosecond, `N` nanosecond of the day,
//! `V z O X x Z` zone; `'quoted'` text, `''` for a quote, `[` and `]` around optional parts. Names are English.
//!
//! As in Java, reading is strict about widths (`MM` takes exactly two digits) and resolves "smart": the 31st of a
//! shorter month is its last day.

mod compile;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

use self::compile::{Compiler, collect, reserve_digits};
use self::read::{Parts, read_items};
use self::write::{Moment, write_items};
use super::text::{DAY_MICROS, DAY_NANOS, days_of, ymd_of};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// English name of a month, 1 to 12.
pub fn month_name(month: u32) -> &'static str {
    MONTHS[(month as usize).clamp(1, 12) - 1]
}

/// English name of the weekday of a number of days since 1970-01-01.
pub fn weekday_name(days: i32) -> &'static str {
    WEEKDAYS[weekday(days) as usize - 1]
}

/// Day of the week of a number of days since 1970-01-01, 1 (Monday) to 7.
pub fn weekday(days: i32) -> u32 {
    (i64::from(days) + 3).rem_euclid(7) as u32 + 1
}

/// Day of the year of a number of days since 1970-01-01, from 1.
pub fn day_of_year(days: i32) -> u32 {
    let (year, _, _) = ymd_of(days);
    days_of(year, 1, 1).map_or(1, |first| (days - first) as u32 + 1)
}

/// ISO 8601 week-based year and week of a number of days since 1970-01-01.
pub fn iso_week(days: i32) -> (i32, u32) {
    let thursday = days.saturating_sub(weekday(days) as i32 - 4);
    let (year, _, _) = ymd_of(thursday);
    (year, (day_of_year(thursday) - 1) / 7 + 1)
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PatternError {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    WeekYear,
    Quarter,
    Month,
    Week,
    WeekOfMonth,
    AlignedWeek,
    Day,
    DayOfYear,
    Weekday,
    HourOfHalf,
    ClockHourOfHalf,
    Hour,
    ClockHour,
    Minute,
    Second,
    Nano,
    MilliOfDay,
    NanoOfDay,
}

impl Field {
    fn is_date(self) -> bool {
        (self as u8) < (Self::HourOfHalf as u8)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Era(Style),
    Month(Style),
    Quarter(Style),
    Weekday(Style),
    AmPm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Short,
    Full,
    Narrow,
}

/// How an offset from UTC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OffsetForm {
    /// `+08:00` rather than `+0800`.
    colon: bool,
    /// Minutes even when they are zero.
    minutes: bool,
    /// `Z` for UTC.
    zulu: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Text(Box<str>),
    /// `reserve`: digits right behind that belong to numbers of fixed width.
    Number {
        field: Field,
        min: u8,
        max: u8,
        reserve: u8,
    },
    /// Two digits of a year from 2000 on.
    TwoDigitYear(Field),
    Fraction(u8),
    Name(Name),
    Offset(OffsetForm),
    /// `GMT+8`
    GmtOffset,
    ZoneId,
    Optional(Vec<Item>),
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct JavaPattern {
    text: Box<str>,
    items: Vec<Item>,
    needs_date: bool,
    needs_time: bool,
    needs_zone: bool,
    gives_date: bool,
    gives_time: bool,
}

impl JavaPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When it holds a letter that is none, a letter too often, or quotes or brackets that do not match.
    pub fn compile(pattern: &str) -> Result<Self, PatternError> {
        let mut items = Compiler::new(pattern).items(0)?;
        reserve_digits(&mut items);
        let mut all = Vec::new();
        let mut required = Vec::new();
        collect(&items, true, &mut all, &mut required);
        let is_date = |item: &&Item| match item {
            Item::Number { field, .. } => field.is_date(),
            Item::TwoDigitYear(_) => true,
            Item::Name(name) => *name != Name::AmPm,
            _ => false,
        };
        let is_time = |item: &&Item| match item {
            Item::Number { field, .. } => !field.is_date(),
            Item::Fraction(_) => true,
            Item::Name(name) => *name == Name::AmPm,
            _ => false,
        };
        let is_zone = |item: &&Item| matches!(item, Item::Offset(_) | Item::GmtOffset | Item::ZoneId);
        let has = |wanted: Field| {
            all.iter().any(|item| match item {
                Item::Number { field, .. } | Item::TwoDigitYear(field) => *field == wanted,
                Item::Name(Name::Month(_)) => wanted == Field::Month,
                _ => false,
            })
        };
        let half = has(Field::HourOfHalf) || has(Field::ClockHourOfHalf);
        Ok(Self {
            needs_date: required.iter().any(is_date),
            needs_time: required.iter().any(is_time),
            needs_zone: required.iter().any(is_zone),
            gives_date: has(Field::Year) && (has(Field::DayOfYear) || (has(Field::Month) && has(Field::Day))),
            gives_time: [Field::Hour, Field::ClockHour, Field::MilliOfDay, Field::NanoOfDay].into_iter().any(has)
                || (half && all.iter().any(|item| **item == Item::Name(Name::AmPm))),
            text: pattern.into(),
            items,
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether dates have all that the pattern prints.
    pub fn formats_dates(&self) -> bool {
        !self.needs_time && !self.needs_zone
    }

    /// Whether times have all that the pattern prints.
    pub fn formats_times(&self) -> bool {
        !self.needs_date && !self.needs_zone
    }

    /// Whether timestamps (which have no zone) have all that the pattern prints.
    pub fn formats_timestamps(&self) -> bool {
        !self.needs_zone
    }

    /// Whether a text of the pattern holds a whole date.
    pub fn parses_dates(&self) -> bool {
        self.gives_date
    }

    /// Whether a text of the pattern holds a time.
    pub fn parses_times(&self) -> bool {
        self.gives_time
    }

    /// Whether a text of the pattern holds a date and a time.
    pub fn parses_timestamps(&self) -> bool {
        self.gives_date && self.gives_time
    }

    /// Appends a date, days since 1970-01-01. Parts that a date lacks print as those of midnight.
    pub fn format_date(&self, out: &mut String, days: i32) {
        write_items(&self.items, out, &Moment { days: Some(days), nanos: None, zone: None });
    }

    /// Appends a time, nanoseconds since midnight. Parts that a time lacks print as those of 1970-01-01.
    pub fn format_time(&self, out: &mut String, nanos: i64) {
        write_items(&self.items, out, &Moment { days: None, nanos: Some(nanos.rem_euclid(DAY_NANOS)), zone: None });
    }

    /// Appends a timestamp, microseconds since 1970-01-01T00:00:00. Zones print as UTC.
    pub fn format_timestamp(&self, out: &mut String, micros: i64) {
        write_items(&self.items, out, &Moment::of_micros(micros, None));
    }

    /// Appends a local timestamp of a zone that is `offset_seconds` ahead of UTC and named `zone`.
    pub fn format_zoned(&self, out: &mut String, micros: i64, offset_seconds: i32, zone: &str) {
        write_items(&self.items, out, &Moment::of_micros(micros, Some((offset_seconds, zone))));
    }

    /// Reads a date, days since 1970-01-01; a time in the text is read and dropped.
    pub fn parse_date(&self, text: &str) -> Option<i32> {
        self.parse(text)?.date()
    }

    /// Reads a time, nanoseconds since midnight; a date in the text is read and dropped.
    pub fn parse_time(&self, text: &str) -> Option<i64> {
        self.parse(text)?.time()
    }

    /// Reads a timestamp, microseconds since 1970-01-01T00:00:00. Finer digits are cut.
    pub fn parse_timestamp(&self, text: &str) -> Option<i64> {
        let parts = self.parse(text)?;
        Some(i64::from(parts.date()?) * DAY_MICROS + parts.time()? / 1000)
    }

    fn parse(&self, text: &str) -> Option<Parts> {
        let mut parts = Parts::default();
        let rest = read_items(&self.items, text, &mut parts)?;
        rest.is_empty().then_some(parts)
    }
}
