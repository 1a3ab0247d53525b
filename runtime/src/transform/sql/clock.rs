//! The time of day that queries ask for, and time zones.
//!
//! Zones come from `chrono-tz`, which carries the IANA table within the program: a server need not have `tzdata`
//! installed, and every server gives the same answer.

use chrono::{Datelike, Local, NaiveDateTime, Offset, TimeZone, Timelike, Utc};

use crate::row::text::{DAY_MICROS, days_of};

/// One moment, local to the process' time zone, that all rows of a batch take for now.
#[derive(Clone, Debug)]
pub(super) struct Now {
    /// Microseconds since 1970-01-01T00:00:00, local.
    pub micros: i64,
}

impl Now {
    /// The present.
    pub(super) fn read() -> Self {
        Self { micros: micros_of(&Local::now().naive_local()) }
    }

    /// Days since 1970-01-01.
    pub(super) fn days(&self) -> i32 {
        super::cast_times::day_of(self.micros)
    }

    /// Nanoseconds since midnight.
    pub(super) fn nanos_of_day(&self) -> i64 {
        self.micros.rem_euclid(DAY_MICROS) * 1000
    }
}

fn micros_of(time: &NaiveDateTime) -> i64 {
    let days = days_of(time.year(), time.month(), time.day()).unwrap_or(0);
    let seconds = i64::from(time.num_seconds_from_midnight());
    i64::from(days) * DAY_MICROS + seconds * 1_000_000 + i64::from(time.nanosecond() / 1000)
}

/// A time zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Zone {
    /// That of the process.
    Local,
    /// Always so many seconds ahead of UTC.
    Fixed(i32, Box<str>),
    /// With a history.
    Named(chrono_tz::Tz),
}

impl Zone {
    /// Reads a zone as Java's `ZoneId.of` does: `Z`, `+8`, `+08:00`, `UTC+8`, `GMT-3:30`, `Asia/Shanghai`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if matches!(text, "Z" | "z") {
            return Some(Self::Fixed(0, "Z".into()));
        }
        let offset = ["UTC", "GMT", "UT"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        if offset.is_empty() && !text.is_empty() {
            return Some(Self::Fixed(0, text.into()));
        }
        if offset.starts_with(['+', '-']) {
            return Some(Self::Fixed(read_offset(offset)?, text.into()));
        }
        text.parse().ok().map(Self::Named)
    }

    /// Seconds ahead of UTC at a moment, seconds since 1970 (UTC).
    pub(super) fn offset_at(&self, seconds: i64) -> i32 {
        let utc = || Utc.timestamp_opt(seconds, 0).single().unwrap_or_default();
        match self {
            Self::Fixed(offset, _) => *offset,
            Self::Local => utc().with_timezone(&Local).offset().fix().local_minus_utc(),
            Self::Named(zone) => utc().with_timezone(zone).offset().fix().local_minus_utc(),
        }
    }

    /// The zone's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Local => "local",
            Self::Fixed(_, name) => name,
            Self::Named(zone) => zone.name(),
        }
    }
}

/// `+8`, `+08`, `+0830`, `+08:30`, `+08:30:15`, at most 18 hours.
fn read_offset(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') {
        return None;
    }
    let parts: Vec<&str> = if digits.contains(':') {
        digits.split(':').collect()
    } else if digits.len() <= 2 {
        vec![digits]
    } else {
        vec![digits.get(..2)?, digits.get(2..4)?, digits.get(4..)?]
    };
    let mut seconds = 0;
    for (index, part) in parts.iter().filter(|part| !part.is_empty()).enumerate() {
        let value: i32 = part.parse().ok()?;
        let unit = *[3600, 60, 1].get(index)?;
        if index > 0 && (part.len() != 2 || value > 59) || part.len() > 2 {
            return None;
        }
        seconds += value * unit;
    }
    (!digits.is_empty() && seconds <= 18 * 3600).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_as_java_reads_them() {
        for (text, seconds) in [
            ("UTC+8", 28_800),
            ("UTC", 0),
            ("Z", 0),
            ("GMT-3:30", -12_600),
            ("+08:00", 28_800),
            ("-0530", -19_800),
            ("UTC+08:00", 28_800),
        ] {
            assert_eq!(Zone::parse(text).map(|zone| zone.offset_at(0)), Some(seconds), "{text}");
        }
        let shanghai = Zone::parse("Asia/Shanghai").expect("zone");
        assert_eq!(shanghai.offset_at(1_672_502_400), 28_800);
        let berlin = Zone::parse("Europe/Berlin").expect("zone");
        assert_eq!((berlin.offset_at(1_704_067_200), berlin.offset_at(1_719_792_000)), (3600, 7200));
        for wrong in ["", "+", "UTC+", "UTC+19", "+8:5", "Mars/Olympus", "++8", "+08:60", "+é8"] {
            assert_eq!(Zone::parse(wrong), None, "{wrong}");
        }
    }
}
