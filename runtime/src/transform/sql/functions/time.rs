//! Functions that reckon with dates, times and timestamps.

use arrow::array::{Date32Array, Time64NanosecondArray, TimestampMicrosecondArray};
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, Time64NanosecondType, TimestampMicrosecondType};

use super::super::bind::{Binder, Refusal};
use super::super::cast::OnFailure;
use super::super::cast_times::day_of;
use super::super::expr::Expr;
use super::super::value::{Numbers, Value, number_rows, some, text_rows};
use super::{Args, Function, call, one, volatile_call};
use crate::row::DataType::{self, BigInt, Date, Int, Time, Timestamp};
use crate::row::java_time::{day_of_year, iso_week, month_name, weekday, weekday_name};
use crate::row::text::{DAY_MICROS, DAY_NANOS, days_of, ymd_of};

macro_rules! of_date {
    ($names:expr, $usage:literal, $field:expr) => {
        Function { names: $names, min: 1, max: 1, usage: $usage, bind: |args, _| date_field(args, $field) }
    };
}

macro_rules! of_time {
    ($name:literal, $field:expr) => {
        Function {
            names: &[$name],
            min: 1,
            max: 1,
            usage: concat!($name, "(time): INT"),
            bind: |args, _| time_field(args, $field),
        }
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    Function { names: &["CURRENT_DATE"], min: 0, max: 0, usage: "CURRENT_DATE: DATE", bind: current_date },
    Function { names: &["CURRENT_TIME"], min: 0, max: 0, usage: "CURRENT_TIME: TIME", bind: current_time },
    Function {
        names: &["CURRENT_TIMESTAMP", "NOW"],
        min: 0,
        max: 0,
        usage: "CURRENT_TIMESTAMP: TIMESTAMP",
        bind: current_timestamp,
    },
    of_date!(&["YEAR"], "YEAR(date): INT", |days| ymd_of(days).0),
    of_date!(&["MONTH"], "MONTH(date): INT", |days| ymd_of(days).1 as i32),
    of_date!(&["QUARTER"], "QUARTER(date): INT", quarter),
    of_date!(&["WEEK"], "WEEK(date): INT", week),
    of_date!(&["DAY_OF_MONTH", "DAYOFMONTH", "DAY"], "DAY_OF_MONTH(date): INT", |days| ymd_of(days).2 as i32),
    of_date!(&["DAY_OF_WEEK", "DAYOFWEEK"], "DAY_OF_WEEK(date): INT", |days| weekday(days) as i32),
    of_date!(&["DAY_OF_YEAR", "DAYOFYEAR"], "DAY_OF_YEAR(date): INT", |days| day_of_year(days) as i32),
    of_time!("HOUR", 3_600_000_000_000),
    of_time!("MINUTE", 60_000_000_000),
    of_time!("SECOND", 1_000_000_000),
    Function {
        names: &["DAYNAME"],
        min: 1,
        max: 1,
        usage: "DAYNAME(date): STRING",
        bind: |args, _| date_name("DAYNAME", args, weekday_name),
    },
    Function {
        names: &["MONTHNAME"],
        min: 1,
        max: 1,
        usage: "MONTHNAME(date): STRING",
        bind: |args, _| date_name("MONTHNAME", args, |days| month_name(ymd_of(days).1)),
    },
    Function {
        names: &["EXTRACT"],
        min: 2,
        max: 2,
        usage: "EXTRACT(field FROM time): INT; BIGINT for EPOCH",
        bind: extract,
    },
    Function {
        names: &["DATEADD", "TIMESTAMPADD"],
        min: 2,
        max: 3,
        usage: "DATEADD(time, count[, 'unit']): as the time",
        bind: dateadd,
    },
    Function { names: &["DATEDIFF"], min: 2, max: 3, usage: "DATEDIFF(from, to[, 'unit']): BIGINT", bind: datediff },
    Function {
        names: &["DATE_TRUNC"],
        min: 1,
        max: 2,
        usage: "DATE_TRUNC(time[, 'unit']): TIMESTAMP",
        bind: date_trunc,
    },
];

type Bound = Result<Expr, Refusal>;

// --------------------------------------------------------------------------------------------------- moments

/// Reads dates, times and timestamps alike.
pub(super) enum Moments<'a> {
    Dates(Numbers<'a, Date32Type>),
    Times(Numbers<'a, Time64NanosecondType>),
    Timestamps(Numbers<'a, TimestampMicrosecondType>),
}

impl<'a> Moments<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        use arrow::datatypes::DataType as Arrow;
        match value.array.data_type() {
            Arrow::Date32 => Self::Dates(Numbers::of(value)),
            Arrow::Time64(_) => Self::Times(Numbers::of(value)),
            _ => Self::Timestamps(Numbers::of(value)),
        }
    }

    /// Days since 1970-01-01; of a time that of 1970-01-01.
    fn days(&self, row: usize) -> Option<i32> {
        match self {
            Self::Dates(days) => days.get(row),
            Self::Times(nanos) => nanos.get(row).map(|_| 0),
            Self::Timestamps(micros) => micros.get(row).map(day_of),
        }
    }

    /// Nanoseconds since midnight; of a date none.
    fn nanos(&self, row: usize) -> Option<i64> {
        match self {
            Self::Dates(days) => days.get(row).map(|_| 0),
            Self::Times(nanos) => nanos.get(row),
            Self::Timestamps(micros) => micros.get(row).map(|micros| micros.rem_euclid(DAY_MICROS) * 1000),
        }
    }

    /// Microseconds since 1970-01-01T00:00:00.
    fn micros(&self, row: usize) -> Option<i64> {
        match self {
            Self::Dates(days) => days.get(row).map(|days| i64::from(days) * DAY_MICROS),
            Self::Times(nanos) => nanos.get(row).map(|nanos| nanos / 1000),
            Self::Timestamps(micros) => micros.get(row),
        }
    }
}

/// An argument that is one of `allowed`; null is taken for the first of them.
fn moment(args: &mut Args, allowed: &[DataType], wanted: &str) -> Bound {
    let value = args.any()?;
    if value.data_type == DataType::Null {
        return Ok(value.cast_to(&allowed[0], OnFailure::Fail));
    }
    if allowed.contains(&value.data_type) {
        return Ok(value);
    }
    let mut refusal = args.wrong(wanted, &value.data_type);
    if value.data_type == DataType::String {
        refusal.help = Some("read texts with PARSEDATETIME(text, 'pattern') or CAST first".into());
    }
    Err(refusal)
}

fn date(args: &mut Args) -> Bound {
    moment(args, &[Timestamp, Date], "a date or a timestamp")
}

pub(super) fn any_moment(args: &mut Args) -> Bound {
    moment(args, &[Timestamp, Date, Time], "a date, a time or a timestamp")
}

// ----------------------------------------------------------------------------------------------------- now

fn current_date(_: Args, _: &mut Binder<'_>) -> Bound {
    Ok(volatile_call("CURRENT_DATE", vec![], Date, false, |call| Ok(one(Date32Array::from(vec![call.now.days()])))))
}

fn current_time(_: Args, _: &mut Binder<'_>) -> Bound {
    Ok(volatile_call("CURRENT_TIME", vec![], Time, false, |call| {
        Ok(one(Time64NanosecondArray::from(vec![call.now.nanos_of_day()])))
    }))
}

fn current_timestamp(_: Args, _: &mut Binder<'_>) -> Bound {
    Ok(volatile_call("CURRENT_TIMESTAMP", vec![], Timestamp, false, |call| {
        Ok(one(TimestampMicrosecondArray::from(vec![call.now.micros])))
    }))
}

// -------------------------------------------------------------------------------------------------- fields

fn quarter(days: i32) -> i32 {
    (ymd_of(days).1 as i32 - 1) / 3 + 1
}

fn date_field(mut args: Args, field: fn(i32) -> i32) -> Bound {
    Ok(call("YEAR", vec![date(&mut args)?], Int, false, move |call| {
        let moments = Moments::of(&call.args[0]);
        number_rows::<Int32Type>(call.rows, |row| Ok(moments.days(row).map(field)))
    }))
}

fn time_field(mut args: Args, unit_nanos: i64) -> Bound {
    let value = moment(&mut args, &[Timestamp, Time], "a time or a timestamp")?;
    let modulus = if unit_nanos == 3_600_000_000_000 { 24 } else { 60 };
    Ok(call("HOUR", vec![value], Int, false, move |call| {
        let moments = Moments::of(&call.args[0]);
        number_rows::<Int32Type>(call.rows, |row| {
            Ok(moments.nanos(row).map(|nanos| (nanos / unit_nanos % modulus) as i32))
        })
    }))
}

fn date_name(name: &'static str, mut args: Args, of: fn(i32) -> &'static str) -> Bound {
    Ok(call(name, vec![date(&mut args)?], DataType::String, false, move |call| {
        let moments = Moments::of(&call.args[0]);
        text_rows(call.rows, call.rows * 8, |row, out| out.push(of(some!(moments.days(row)))).map(Some))
    }))
}

/// Centuries and millennia begin with their year 1.
fn period_of_years(days: i32, years: i32) -> i32 {
    let year = ymd_of(days).0;
    if year > 0 { (year - 1) / years + 1 } else { year / years }
}

/// The week as the original counts it: one more than the number of the week, weeks beginning on Mondays and the first of
/// a year being the first with four of its days.
fn week(days: i32) -> i32 {
    (day_of_year(days) as i32 - weekday(days) as i32 + 10) / 7 + 1
}

fn extract(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let field = args.any()?;
    let Some(field) = field.as_literal_text().map(str::to_uppercase) else {
        return Err("the field must be a name".into());
    };
    let of_date: Option<fn(i32) -> i32> = match field.as_str() {
        "YEAR" | "YEARS" => Some(|days| ymd_of(days).0),
        "QUARTER" => Some(quarter),
        "MONTH" | "MONTHS" => Some(|days| ymd_of(days).1 as i32),
        "WEEK" | "WEEKS" | "ISOWEEK" => Some(|days| iso_week(days).1 as i32),
        "DAY" | "DAYS" => Some(|days| ymd_of(days).2 as i32),
        "DOW" | "DAYOFWEEK" => Some(|days| weekday(days) as i32 % 7),
        "ISODOW" => Some(|days| weekday(days) as i32),
        "DOY" | "DAYOFYEAR" => Some(|days| day_of_year(days) as i32),
        "ISOYEAR" => Some(|days| iso_week(days).0),
        "DECADE" => Some(|days| ymd_of(days).0 / 10),
        "CENTURY" => Some(|days| period_of_years(days, 100)),
        "MILLENNIUM" | "MILLENIUM" => Some(|days| period_of_years(days, 1000)),
        _ => None,
    };
    if let Some(of_date) = of_date {
        return date_field(args, of_date);
    }
    if field == "EPOCH" {
        return Ok(call("EXTRACT", vec![date(&mut args)?], BigInt, false, |call| {
            let moments = Moments::of(&call.args[0]);
            number_rows::<Int64Type>(call.rows, |row| {
                Ok(moments.micros(row).map(|micros| micros.div_euclid(1_000_000)))
            })
        }));
    }
    let (unit, modulus) = match field.as_str() {
        "HOUR" | "HOURS" => return time_field(args, 3_600_000_000_000),
        "MINUTE" | "MINUTES" => return time_field(args, 60_000_000_000),
        "SECOND" | "SECONDS" => return time_field(args, 1_000_000_000),
        // What is behind the point of the seconds.
        "MILLISECOND" => (1_000_000, 1000),
        "MICROSECOND" => (1000, 1_000_000),
        // With the seconds, in the smaller unit.
        "MILLISECONDS" => (1_000_000, 60_000),
        "MICROSECONDS" => (1000, 60_000_000),
        other => return Err(format!("'{other}' is not a field of a date or a time").into()),
    };
    let value = moment(&mut args, &[Timestamp, Time], "a time or a timestamp")?;
    Ok(call("EXTRACT", vec![value], Int, false, move |call| {
        let moments = Moments::of(&call.args[0]);
        number_rows::<Int32Type>(call.rows, |row| Ok(moments.nanos(row).map(|nanos| (nanos / unit % modulus) as i32)))
    }))
}

// ------------------------------------------------------------------------------------------------ reckoning

/// A unit of calendar or clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Months(i64),
    Days(i64),
    Micros(i64),
}

/// Reads the constant unit that a call ends with; `DAY` when it has none.
fn unit(args: &mut Args) -> Result<(Unit, String), Refusal> {
    if !args.more() {
        return Ok((Unit::Days(1), "DAY".into()));
    }
    let value = args.any()?;
    if value.as_literal().is_some_and(|array| arrow::array::Array::logical_null_count(array.as_ref()) > 0) {
        return Ok((Unit::Days(1), "DAY".into()));
    }
    let Some(text) = value.as_literal_text() else {
        return Err("the unit must be a constant text, as 'DAY'".into());
    };
    let name = text.to_uppercase();
    let unit = match name.strip_suffix('S').unwrap_or(&name) {
        "YEAR" => Unit::Months(12),
        "QUARTER" => Unit::Months(3),
        "MONTH" => Unit::Months(1),
        "WEEK" => Unit::Days(7),
        "DAY" => Unit::Days(1),
        "HOUR" => Unit::Micros(3_600_000_000),
        "MINUTE" => Unit::Micros(60_000_000),
        "SECOND" => Unit::Micros(1_000_000),
        "MILLISECOND" => Unit::Micros(1000),
        "MICROSECOND" => Unit::Micros(1),
        _ => {
            return Err(format!(
                "'{text}' is not a unit: there are YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, \
                 MILLISECOND and MICROSECOND"
            )
            .into());
        }
    };
    Ok((unit, name))
}

/// The day so many months later, in a shorter month its last day.
fn add_months(days: i32, months: i64) -> Option<i32> {
    let (year, month, day) = ymd_of(days);
    let total = (i64::from(year) * 12 + i64::from(month) - 1).checked_add(months)?;
    let year = i32::try_from(total.div_euclid(12)).ok()?;
    let month = total.rem_euclid(12) as u32 + 1;
    (0..=3).find_map(|less| days_of(year, month, day.checked_sub(less)?))
}

fn add_days(days: i32, unit: Unit, count: i64) -> Option<i32> {
    match unit {
        Unit::Months(months) => add_months(days, count.checked_mul(months)?),
        Unit::Days(step) => i32::try_from(i64::from(days).checked_add(count.checked_mul(step)?)?).ok(),
        Unit::Micros(_) => None,
    }
    .filter(|days| in_calendar(*days))
}

/// Whether a day lies in the years 1 to 9999.
fn in_calendar(days: i32) -> bool {
    (1..=9999).contains(&ymd_of(days).0)
}

fn dateadd(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let (value, count) = (any_moment(&mut args)?, args.integer()?);
    let (unit, name) = unit(&mut args)?;
    let of_clock = matches!(unit, Unit::Micros(_));
    if value.data_type == Time && !of_clock {
        return Err(format!("{name}s cannot be added to a time").into());
    }
    // Hours on a date make a timestamp of it.
    let result = if value.data_type == Date && of_clock { Timestamp } else { value.data_type.clone() };
    let kernel_result = result.clone();
    Ok(call("DATEADD", vec![value, count], result, true, move |call| {
        let (moments, counts) = (Moments::of(&call.args[0]), Numbers::<Int64Type>::of(&call.args[1]));
        let out_of_range = |count: i64| format!("DATEADD: {count} {name} leads out of the calendar");
        match kernel_result {
            Date => number_rows::<Date32Type>(call.rows, |row| {
                let (days, count) = (some!(moments.days(row)), some!(counts.get(row)));
                add_days(days, unit, count).map(Some).ok_or_else(|| out_of_range(count))
            }),
            Time => number_rows::<Time64NanosecondType>(call.rows, |row| {
                let (nanos, count) = (some!(moments.nanos(row)), some!(counts.get(row)));
                let Unit::Micros(micros) = unit else { return Ok(Some(nanos)) };
                // The clock goes round.
                let step = i128::from(count) * i128::from(micros) * 1000;
                Ok(Some((i128::from(nanos) + step).rem_euclid(i128::from(DAY_NANOS)) as i64))
            }),
            _ => number_rows::<TimestampMicrosecondType>(call.rows, |row| {
                let (micros, count) = (some!(moments.micros(row)), some!(counts.get(row)));
                let moved = match unit {
                    Unit::Micros(step) => count
                        .checked_mul(step)
                        .and_then(|step| micros.checked_add(step))
                        .filter(|micros| in_calendar(day_of(*micros))),
                    _ => add_days(day_of(micros), unit, count)
                        .map(|days| i64::from(days) * DAY_MICROS + micros.rem_euclid(DAY_MICROS)),
                };
                moved.map(Some).ok_or_else(|| out_of_range(count))
            }),
        }
    }))
}

/// Whole months from one day to another.
fn months_between(from: i32, to: i32) -> i64 {
    let ((year, month, day), (to_year, to_month, to_day)) = (ymd_of(from), ymd_of(to));
    let months = i64::from(to_year - year) * 12 + i64::from(to_month) - i64::from(month);
    months - i64::from(months > 0 && to_day < day) + i64::from(months < 0 && to_day > day)
}

fn datediff(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let (from, to) = (any_moment(&mut args)?, any_moment(&mut args)?);
    let (unit, name) = unit(&mut args)?;
    let times = [&from, &to].iter().filter(|value| value.data_type == Time).count();
    if times == 1 {
        return Err("a time and a date have no difference".into());
    }
    if times == 2 && !matches!(unit, Unit::Micros(_)) {
        return Err(format!("times do not differ by {name}s").into());
    }
    Ok(call("DATEDIFF", vec![from, to], BigInt, false, move |call| {
        let (from, to) = (Moments::of(&call.args[0]), Moments::of(&call.args[1]));
        number_rows::<Int64Type>(call.rows, |row| {
            Ok(Some(match unit {
                Unit::Months(months) => months_between(some!(from.days(row)), some!(to.days(row))) / months,
                Unit::Days(1) => i64::from(some!(to.days(row))) - i64::from(some!(from.days(row))),
                Unit::Days(days) => some!(to.micros(row)).saturating_sub(some!(from.micros(row))) / DAY_MICROS / days,
                Unit::Micros(micros) => some!(to.micros(row)).saturating_sub(some!(from.micros(row))) / micros,
            }))
        })
    }))
}

fn date_trunc(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let value = date(&mut args)?.cast_to(&Timestamp, OnFailure::Fail);
    let (unit, _) = unit(&mut args)?;
    Ok(call("DATE_TRUNC", vec![value], Timestamp, false, move |call| {
        let moments = Moments::of(&call.args[0]);
        number_rows::<TimestampMicrosecondType>(call.rows, |row| {
            let micros = some!(moments.micros(row));
            let days = day_of(micros);
            let start = match unit {
                Unit::Micros(step) => return Ok(Some(micros - micros.rem_euclid(step))),
                Unit::Days(7) => days - (weekday(days) as i32 - 1),
                Unit::Days(_) => days,
                Unit::Months(months) => {
                    let (year, month, _) = ymd_of(days);
                    let first = (month - 1) / months as u32 * months as u32 + 1;
                    days_of(year, first, 1).unwrap_or(days)
                }
            };
            Ok(Some(i64::from(start) * DAY_MICROS))
        })
    }))
}
