//! Functions that write and read dates and times by Java's patterns.

use arrow::array::ArrayRef;
use arrow::datatypes::{Date32Type, Int64Type, Time64NanosecondType, TimestampMicrosecondType};

use super::super::bind::{Binder, Refusal};
use super::super::cast::type_name;
use super::super::clock::Zone;
use super::super::expr::{Call, Expr};
use super::super::value::{Numbers, RowError, Texts, boolean_rows, number_rows, some, text_rows};
use super::time::{Moments, any_moment};
use super::{Args, Function, call};
use crate::row::DataType::{self, Date, Time, Timestamp};
use crate::row::JavaPattern;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        names: &["FORMATDATETIME"],
        min: 2,
        max: 2,
        usage: "FORMATDATETIME(time, 'pattern'): STRING",
        bind: formatdatetime,
    },
    Function { names: &["TO_CHAR"], min: 1, max: 2, usage: "TO_CHAR(value[, 'pattern']): STRING", bind: to_char },
    Function {
        names: &["PARSEDATETIME", "TO_DATE"],
        min: 2,
        max: 2,
        usage: "PARSEDATETIME(text, 'pattern'): TIMESTAMP, DATE or TIME",
        bind: parsedatetime,
    },
    Function { names: &["IS_DATE"], min: 2, max: 2, usage: "IS_DATE(text, 'pattern'): BOOLEAN", bind: is_date },
    Function {
        names: &["FROM_UNIXTIME"],
        min: 2,
        max: 3,
        usage: "FROM_UNIXTIME(seconds, 'pattern'[, 'zone']): STRING",
        bind: from_unixtime,
    },
];

type Bound = Result<Expr, Refusal>;

fn compile(pattern: &str) -> Result<JavaPattern, String> {
    JavaPattern::compile(pattern).map_err(|error| error.to_string())
}

/// Refuses patterns that print what the type lacks.
fn check_format(pattern: &JavaPattern, data_type: &DataType) -> Result<(), String> {
    let fits = match data_type {
        Date => pattern.formats_dates(),
        Time => pattern.formats_times(),
        _ => pattern.formats_timestamps(),
    };
    if fits {
        return Ok(());
    }
    let name = type_name(data_type);
    Err(format!("the pattern '{}' asks for parts that a {name} does not have", pattern.as_str()))
}

fn format_row(pattern: &JavaPattern, moments: &Moments<'_>, row: usize, out: &mut String) -> bool {
    match moments {
        Moments::Dates(days) => days.get(row).map(|days| pattern.format_date(out, days)),
        Moments::Times(nanos) => nanos.get(row).map(|nanos| pattern.format_time(out, nanos)),
        Moments::Timestamps(micros) => micros.get(row).map(|micros| pattern.format_timestamp(out, micros)),
    }
    .is_some()
}

/// Texts of a date, a time or a timestamp by a pattern that fits it.
pub(super) fn format(value: Expr, pattern: JavaPattern) -> Expr {
    call("FORMATDATETIME", vec![value], DataType::String, false, move |call| {
        let moments = Moments::of(&call.args[0]);
        let mut text = String::new();
        text_rows(call.rows, call.rows * pattern.as_str().len(), |row, out| {
            text.clear();
            if !format_row(&pattern, &moments, row, &mut text) {
                return Ok(None);
            }
            out.push(&text).map(Some)
        })
    })
}

/// A compiled form of what a column holds, made anew when a row differs from the one before.
struct Compiled<T> {
    last: Option<(String, T)>,
}

impl<T> Compiled<T> {
    fn new() -> Self {
        Self { last: None }
    }

    fn get(&mut self, text: &str, compile: impl FnOnce(&str) -> Result<T, String>) -> Result<&T, String> {
        if self.last.as_ref().is_none_or(|(known, _)| known != text) {
            self.last = Some((text.to_owned(), compile(text)?));
        }
        // Set right above.
        self.last.as_ref().map(|(_, compiled)| compiled).ok_or_else(String::new)
    }
}

fn format_by_column(value: Expr, pattern: Expr) -> Expr {
    let data_type = value.data_type.clone();
    call("FORMATDATETIME", vec![value, pattern], DataType::String, true, move |call| {
        let (moments, patterns) = (Moments::of(&call.args[0]), Texts::of(&call.args[1]));
        let mut compiled = Compiled::new();
        let mut text = String::new();
        text_rows(call.rows, call.rows * 20, |row, out| {
            let pattern = compiled.get(some!(patterns.get(row)), |text| {
                let pattern = compile(text)?;
                check_format(&pattern, &data_type).map(|()| pattern)
            })?;
            text.clear();
            if !format_row(pattern, &moments, row, &mut text) {
                return Ok(None);
            }
            out.push(&text).map(Some)
        })
    })
}

fn formatdatetime(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let value = any_moment(&mut args)?;
    let pattern = args.text()?;
    let Some(text) = pattern.as_literal_text() else {
        return Ok(format_by_column(value, pattern));
    };
    let pattern = compile(text)?;
    check_format(&pattern, &value.data_type)?;
    Ok(format(value, pattern))
}

/// Dates and the like by a pattern, everything else as `CAST` writes it.
fn to_char(mut args: Args, binder: &mut Binder<'_>) -> Bound {
    let value = args.any()?;
    if args.more() && matches!(value.data_type, Date | Time | Timestamp) {
        let rest = args.rest();
        return formatdatetime(Args::new(std::iter::once(value).chain(rest).collect()), binder);
    }
    super::as_text(value, "argument 1")
}

/// What a text of the pattern is, by the pattern's letters: `yy` makes a date, `mm` a time, both a timestamp
/// (contract E.1); other spellings go by what they tell.
fn parsed_type(pattern: &JavaPattern) -> Option<DataType> {
    let text = pattern.as_str();
    let by_letters = match (text.contains("yy"), text.contains("mm")) {
        (true, true) => pattern.parses_timestamps().then_some(Timestamp),
        (true, false) => pattern.parses_dates().then_some(Date),
        (false, true) => pattern.parses_times().then_some(Time),
        (false, false) => None,
    };
    by_letters
        .or_else(|| pattern.parses_timestamps().then_some(Timestamp))
        .or_else(|| pattern.parses_dates().then_some(Date))
        .or_else(|| pattern.parses_times().then_some(Time))
}

fn parsedatetime(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let (value, pattern) = (args.text()?, args.any()?);
    let Some(pattern) = pattern.as_literal_text() else {
        return Err("the pattern must be a constant text: the result's type depends on it".into());
    };
    let pattern = compile(pattern)?;
    let Some(result) = parsed_type(&pattern) else {
        return Err(format!("the pattern '{}' tells neither a whole date nor a time", pattern.as_str()).into());
    };
    let kernel_result = result.clone();
    Ok(call("PARSEDATETIME", vec![value], result, true, move |call| {
        let wrong = |text: &str| format!("PARSEDATETIME: '{text}' does not fit the pattern '{}'", pattern.as_str());
        parse_rows(call, &kernel_result, &pattern, wrong)
    }))
}

fn parse_rows(
    call: &Call<'_>,
    result: &DataType,
    pattern: &JavaPattern,
    wrong: impl Fn(&str) -> String,
) -> Result<ArrayRef, RowError> {
    let texts = Texts::of(&call.args[0]);
    match result {
        Date => number_rows::<Date32Type>(call.rows, |row| {
            let text = some!(texts.get(row));
            pattern.parse_date(text).map(Some).ok_or_else(|| wrong(text))
        }),
        Time => number_rows::<Time64NanosecondType>(call.rows, |row| {
            let text = some!(texts.get(row));
            pattern.parse_time(text).map(Some).ok_or_else(|| wrong(text))
        }),
        _ => number_rows::<TimestampMicrosecondType>(call.rows, |row| {
            let text = some!(texts.get(row));
            pattern.parse_timestamp(text).map(Some).ok_or_else(|| wrong(text))
        }),
    }
}

/// Whether a text fits a pattern; a null text or pattern does not, nor does a pattern that is none.
fn is_date(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("IS_DATE", vec![args.text()?, args.text()?], DataType::Boolean, false, |call| {
        let (texts, patterns) = (Texts::of(&call.args[0]), Texts::of(&call.args[1]));
        let mut compiled = Compiled::new();
        boolean_rows(call.rows, |row| {
            let (Some(text), Some(pattern)) = (texts.get(row), patterns.get(row)) else {
                return Ok(Some(false));
            };
            let pattern = compiled.get(pattern, |text| {
                Ok(compile(text).ok().and_then(|pattern| parsed_type(&pattern).map(|result| (pattern, result))))
            })?;
            Ok(Some(match pattern {
                Some((pattern, Date)) => pattern.parse_date(text).is_some(),
                Some((pattern, Time)) => pattern.parse_time(text).is_some(),
                Some((pattern, _)) => pattern.parse_timestamp(text).is_some(),
                None => false,
            }))
        })
    }))
}

fn read_zone(text: &str) -> Result<Zone, String> {
    Zone::parse(text).ok_or_else(|| format!("unknown time zone '{text}': write 'UTC+8', '+08:00' or 'Asia/Shanghai'"))
}

fn from_unixtime(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let mut parts = vec![args.integer()?, args.text()?];
    if args.more() {
        parts.push(args.text()?);
    }
    // What is constant is judged now.
    if let Some(text) = parts[1].as_literal_text() {
        compile(text)?;
    }
    if let Some(text) = parts.get(2).and_then(Expr::as_literal_text) {
        read_zone(text)?;
    }
    Ok(call("FROM_UNIXTIME", parts, DataType::String, true, |call| {
        let (seconds, patterns) = (Numbers::<Int64Type>::of(&call.args[0]), Texts::of(&call.args[1]));
        let zones = call.args.get(2).map(Texts::of);
        let (mut pattern, mut zone) = (Compiled::new(), Compiled::new());
        let local = Zone::Local;
        let mut text = String::new();
        text_rows(call.rows, call.rows * 20, |row, out| {
            let seconds = some!(seconds.get(row));
            let pattern = pattern.get(some!(patterns.get(row)), compile)?;
            let zone = match &zones {
                None => &local,
                Some(zones) => zone.get(some!(zones.get(row)), read_zone)?,
            };
            let offset = zone.offset_at(seconds);
            let micros = seconds.checked_add(i64::from(offset)).and_then(|local| local.checked_mul(1_000_000));
            let micros = micros.ok_or_else(|| format!("FROM_UNIXTIME: {seconds} seconds lead out of the calendar"))?;
            text.clear();
            pattern.format_zoned(&mut text, micros, offset, zone.name());
            out.push(&text).map(Some)
        })
    }))
}
