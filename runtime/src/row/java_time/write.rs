//! Writing dates and times by a pattern.

use std::fmt::Write as _;

use super::{Field, Item, Name, OffsetForm, Style, day_of_year, iso_week, month_name, weekday, weekday_name};
use crate::row::text::{DAY_MICROS, ymd_of};

/// What is written: a date, a time, or both, and a zone.
pub(super) struct Moment<'a> {
    pub(super) days: Option<i32>,
    pub(super) nanos: Option<i64>,
    pub(super) zone: Option<(i32, &'a str)>,
}

impl<'a> Moment<'a> {
    pub(super) fn of_micros(micros: i64, zone: Option<(i32, &'a str)>) -> Self {
        let days = micros.div_euclid(DAY_MICROS);
        let days = i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX });
        Self { days: Some(days), nanos: Some(micros.rem_euclid(DAY_MICROS) * 1000), zone }
    }

    /// Whether everything that an optional part prints is there.
    fn has(&self, items: &[Item]) -> bool {
        items.iter().all(|item| match item {
            Item::Number { field, .. } if field.is_date() => self.days.is_some(),
            Item::Number { .. } | Item::Fraction(_) | Item::Name(Name::AmPm) => self.nanos.is_some(),
            Item::TwoDigitYear(_) | Item::Name(_) => self.days.is_some(),
            Item::Offset(_) | Item::GmtOffset | Item::ZoneId => self.zone.is_some(),
            Item::Text(_) | Item::Optional(_) => true,
        })
    }

    pub(super) fn value(&self, field: Field) -> i64 {
        let days = self.days.unwrap_or(0);
        let nanos = self.nanos.unwrap_or(0);
        let hour = nanos / 3_600_000_000_000;
        let (year, month, day) = ymd_of(days);
        match field {
            Field::Year => i64::from(year),
            Field::WeekYear => i64::from(iso_week(days).0),
            Field::Quarter => i64::from((month - 1) / 3 + 1),
            Field::Month => i64::from(month),
            Field::Week => i64::from(iso_week(days).1),
            // Weeks begin on Monday; the one with at least four days of the month is the first.
            Field::WeekOfMonth => i64::from(day) / 7 + i64::from((day % 7) + 3 >= weekday(days)),
            Field::AlignedWeek => i64::from((day - 1) / 7 + 1),
            Field::Day => i64::from(day),
            Field::DayOfYear => i64::from(day_of_year(days)),
            Field::Weekday => i64::from(weekday(days)),
            Field::HourOfHalf => hour % 12,
            Field::ClockHourOfHalf => (hour + 11) % 12 + 1,
            Field::Hour => hour,
            Field::ClockHour => (hour + 23) % 24 + 1,
            Field::Minute => nanos / 60_000_000_000 % 60,
            Field::Second => nanos / 1_000_000_000 % 60,
            Field::Nano => nanos % 1_000_000_000,
            Field::MilliOfDay => nanos / 1_000_000,
            Field::NanoOfDay => nanos,
        }
    }
}

/// Appends what the items describe.
pub(super) fn write_items(items: &[Item], out: &mut String, moment: &Moment<'_>) {
    for item in items {
        match item {
            Item::Text(text) => out.push_str(text),
            Item::Number { field, min, .. } => write_number(out, moment.value(*field), usize::from(*min)),
            Item::TwoDigitYear(field) => write_number(out, moment.value(*field).rem_euclid(100), 2),
            Item::Fraction(digits) => {
                let fraction = moment.value(Field::Nano) / 10i64.pow(9 - u32::from(*digits));
                write_number(out, fraction, usize::from(*digits));
            }
            Item::Name(name) => write_name(out, *name, moment),
            Item::Offset(form) => write_offset(out, *form, moment.zone.map_or(0, |zone| zone.0)),
            Item::GmtOffset => write_gmt(out, moment.zone.map_or(0, |zone| zone.0)),
            Item::ZoneId => out.push_str(moment.zone.map_or("UTC", |zone| zone.1)),
            Item::Optional(inner) if moment.has(inner) => write_items(inner, out, moment),
            Item::Optional(_) => {}
        }
    }
}

/// The formatting machinery costs more than a row's other work, hence by hand.
fn write_number(out: &mut String, value: i64, width: usize) {
    if value < 0 {
        let _ = write!(out, "-{:0width$}", value.unsigned_abs());
        return;
    }
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    while rest > 0 || at + width > digits.len() || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    for digit in &digits[at..] {
        out.push(char::from(*digit));
    }
}

fn write_name(out: &mut String, name: Name, moment: &Moment<'_>) {
    let styled = |style, full: &'static str, short: usize| match style {
        Style::Short => &full[..short],
        Style::Full => full,
        Style::Narrow => &full[..1],
    };
    match name {
        Name::Era(Style::Full) => out.push_str("Anno Domini"),
        Name::Era(style) => out.push_str(styled(style, "AD", 2)),
        Name::Month(style) => out.push_str(styled(style, month_name(moment.value(Field::Month) as u32), 3)),
        Name::Weekday(style) => out.push_str(styled(style, weekday_name(moment.days.unwrap_or(0)), 3)),
        Name::Quarter(style) => {
            let quarter = moment.value(Field::Quarter);
            let _ = match style {
                Style::Short => write!(out, "Q{quarter}"),
                Style::Narrow => write!(out, "{quarter}"),
                Style::Full => write!(out, "{} quarter", ["1st", "2nd", "3rd", "4th"][(quarter as usize - 1) & 3]),
            };
        }
        Name::AmPm => out.push_str(if moment.value(Field::Hour) < 12 { "AM" } else { "PM" }),
    }
}

fn write_offset(out: &mut String, form: OffsetForm, seconds: i32) {
    if form.zulu && seconds == 0 {
        out.push('Z');
        return;
    }
    out.push(if seconds < 0 { '-' } else { '+' });
    let minutes = seconds.unsigned_abs() / 60;
    let _ = write!(out, "{:02}", minutes / 60);
    if form.minutes || !minutes.is_multiple_of(60) {
        let _ = write!(out, "{}{:02}", if form.colon { ":" } else { "" }, minutes % 60);
    }
}

fn write_gmt(out: &mut String, seconds: i32) {
    out.push_str("GMT");
    let minutes = seconds.unsigned_abs() / 60;
    if minutes != 0 {
        let _ = write!(out, "{}{}", if seconds < 0 { '-' } else { '+' }, minutes / 60);
        if !minutes.is_multiple_of(60) {
            let _ = write!(out, ":{:02}", minutes % 60);
        }
    }
}
