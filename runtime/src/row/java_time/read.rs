//! Reading dates and times by a pattern.

use super::write::Moment;
use super::{Field, Item, MONTHS, Name, Style, WEEKDAYS};
use crate::row::text::{DAY_NANOS, days_of, ymd_of};

/// What a text has told so far.
#[derive(Clone, Default)]
pub(super) struct Parts {
    numbers: [Option<i64>; Field::NanoOfDay as usize + 1],
    fraction: Option<i64>,
    pm: Option<bool>,
}

impl Parts {
    fn get(&self, field: Field) -> Option<i64> {
        self.numbers[field as usize]
    }

    /// Keeps a value; `None` when another one was told before.
    fn put(&mut self, field: Field, value: i64) -> Option<()> {
        let place = &mut self.numbers[field as usize];
        if place.is_some_and(|told| told != value) {
            return None;
        }
        *place = Some(value);
        Some(())
    }

    fn within(&self, field: Field, from: i64, to: i64) -> Option<Option<i64>> {
        match self.get(field) {
            Some(value) if !(from..=to).contains(&value) => None,
            value => Some(value),
        }
    }

    /// The date, if it was told wholly and without contradiction.
    pub(super) fn date(&self) -> Option<i32> {
        let year = i32::try_from(self.within(Field::Year, 1, 9999)??).ok()?;
        let month = self.within(Field::Month, 1, 12)?;
        let day = self.within(Field::Day, 1, 31)?;
        let days = match (month, day, self.within(Field::DayOfYear, 1, 366)?) {
            (Some(month), Some(day), _) => {
                // A day that the month lacks is the month's last.
                (0..=3).find_map(|less| days_of(year, month as u32, (day - less) as u32))?
            }
            (_, _, Some(day)) => {
                let days = days_of(year, 1, 1)? + day as i32 - 1;
                (ymd_of(days).0 == year).then_some(days)?
            }
            _ => return None,
        };
        let told = Moment { days: Some(days), nanos: None, zone: None };
        let agrees = |field| self.get(field).is_none_or(|value| value == told.value(field));
        [Field::DayOfYear, Field::Weekday, Field::Quarter, Field::Week, Field::WeekYear]
            .into_iter()
            .all(agrees)
            .then_some(days)
    }

    /// The time of day, likewise; minutes and what is smaller may be missing.
    pub(super) fn time(&self) -> Option<i64> {
        let half = |pm: bool| if pm { 12 } else { 0 };
        let hour = if let Some(hour) = self.within(Field::Hour, 0, 23)? {
            Some(hour)
        } else if let Some(hour) = self.within(Field::ClockHour, 1, 24)? {
            Some(hour % 24)
        } else if let Some(hour) = self.within(Field::ClockHourOfHalf, 1, 12)? {
            Some(hour % 12 + half(self.pm?))
        } else if let Some(hour) = self.within(Field::HourOfHalf, 0, 11)? {
            Some(hour + half(self.pm?))
        } else {
            None
        };
        let Some(hour) = hour else {
            if let Some(nanos) = self.within(Field::NanoOfDay, 0, DAY_NANOS - 1)? {
                return Some(nanos);
            }
            return self.within(Field::MilliOfDay, 0, DAY_NANOS / 1_000_000 - 1)?.map(|millis| millis * 1_000_000);
        };
        if self.pm.is_some_and(|pm| pm != (hour >= 12)) {
            return None;
        }
        let minute = self.within(Field::Minute, 0, 59)?.unwrap_or(0);
        let second = self.within(Field::Second, 0, 59)?.unwrap_or(0);
        let nano = self.within(Field::Nano, 0, 999_999_999)?.or(self.fraction).unwrap_or(0);
        Some(((hour * 60 + minute) * 60 + second) * 1_000_000_000 + nano)
    }
}

/// Reads what the items describe at the start of `text`; gives what is left.
pub(super) fn read_items<'a>(items: &[Item], mut text: &'a str, parts: &mut Parts) -> Option<&'a str> {
    for item in items {
        text = match item {
            Item::Text(expected) => text.strip_prefix(expected.as_ref())?,
            Item::Number { field, min, max, reserve } => {
                let (value, rest) = read_number(text, *min, *max, *reserve)?;
                // A year written with four letters or more has exactly that many digits unless it has a sign.
                if matches!(field, Field::Year | Field::WeekYear)
                    && *min >= 4
                    && text.len() - rest.len() > *min as usize
                {
                    return None;
                }
                parts.put(*field, value)?;
                rest
            }
            Item::TwoDigitYear(field) => {
                let (value, rest) = read_number(text, 2, 2, 0)?;
                parts.put(*field, 2000 + value)?;
                rest
            }
            Item::Fraction(digits) => {
                let (value, rest) = read_number(text, *digits, *digits, 0)?;
                parts.fraction = Some(value * 10i64.pow(9 - u32::from(*digits)));
                rest
            }
            Item::Name(name) => read_name(*name, text, parts)?,
            Item::Offset(_) => read_offset(text)?,
            Item::GmtOffset => {
                let rest = text.strip_prefix("GMT")?;
                read_offset(rest).unwrap_or(rest)
            }
            Item::ZoneId => {
                let end = text
                    .find(|letter: char| !(letter.is_ascii_alphanumeric() || "/_+-:".contains(letter)))
                    .unwrap_or(text.len());
                (end > 0).then(|| &text[end..])?
            }
            Item::Optional(inner) => {
                let mut tried = parts.clone();
                match read_items(inner, text, &mut tried) {
                    Some(rest) => {
                        *parts = tried;
                        rest
                    }
                    None => text,
                }
            }
        };
    }
    Some(text)
}

fn read_number(text: &str, min: u8, max: u8, reserve: u8) -> Option<(i64, &str)> {
    let most = usize::from(max) + usize::from(reserve);
    let run = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let take = run.saturating_sub(usize::from(reserve)).max(usize::from(min)).min(usize::from(max));
    if run < take {
        return None;
    }
    Some((text[..take].parse().ok()?, &text[take..]))
}

fn read_name<'a>(name: Name, text: &'a str, parts: &mut Parts) -> Option<&'a str> {
    let of_list = |list: &[&'static str], style| {
        list.iter().enumerate().find_map(|(index, full)| {
            let written = if style == Style::Full { full } else { &full[..3] };
            text.strip_prefix(written).map(|rest| (index as i64 + 1, rest))
        })
    };
    match name {
        // One letter does not tell a month or a day.
        Name::Month(Style::Narrow) | Name::Weekday(Style::Narrow) => None,
        Name::Month(style) => {
            let (month, rest) = of_list(&MONTHS, style)?;
            parts.put(Field::Month, month)?;
            Some(rest)
        }
        Name::Weekday(style) => {
            let (weekday, rest) = of_list(&WEEKDAYS, style)?;
            parts.put(Field::Weekday, weekday)?;
            Some(rest)
        }
        Name::Era(Style::Full) => text.strip_prefix("Anno Domini"),
        Name::Era(Style::Short) => text.strip_prefix("AD"),
        Name::Era(Style::Narrow) => text.strip_prefix('A'),
        Name::Quarter(style) => {
            let rest = if style == Style::Short { text.strip_prefix('Q')? } else { text };
            let (quarter, rest) = read_number(rest, 1, 1, 0)?;
            parts.put(Field::Quarter, quarter)?;
            match style {
                Style::Full => {
                    let suffix = *["st quarter", "nd quarter", "rd quarter", "th quarter"]
                        .get(usize::try_from(quarter).ok()?.checked_sub(1)?)?;
                    rest.strip_prefix(suffix)
                }
                _ => Some(rest),
            }
        }
        Name::AmPm => {
            parts.pm = Some(text.starts_with("PM"));
            text.strip_prefix("AM").or_else(|| text.strip_prefix("PM"))
        }
    }
}

/// Reads `Z`, `+8`, `+08`, `+0800`, `+08:00`; the value is not needed, local times carry no zone.
fn read_offset(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some(rest);
    }
    let rest = text.strip_prefix(['+', '-'])?;
    let (_, rest) = read_number(rest, 1, 2, 0)?;
    let minutes = rest.strip_prefix(':').unwrap_or(rest);
    match read_number(minutes, 2, 2, 0) {
        Some((_, rest)) => Some(rest),
        None if minutes.len() == rest.len() => Some(rest),
        None => None,
    }
}
