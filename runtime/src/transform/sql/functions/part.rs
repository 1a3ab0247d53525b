//! Functions that cut texts, or find and replace parts of them.

use arrow::datatypes::{Int32Type, Int64Type};
use memchr::memmem;

use super::super::bind::{Binder, Refusal};
use super::super::expr::Expr;
use super::super::value::{Numbers, Texts, number_rows, some, text_rows};
use super::text::{byte_at, clamp, count};
use super::{Args, Function, call};
use crate::row::DataType::{self, Int};
use crate::row::JavaPattern;

pub(super) static FUNCTIONS: &[Function] = &[
    Function { names: &["INSERT"], min: 4, max: 4, usage: "INSERT(text, start, length, added): STRING", bind: insert },
    Function {
        names: &["LEFT"],
        min: 2,
        max: 2,
        usage: "LEFT(text, count): STRING",
        bind: |args, _| left_or_right(args, true),
    },
    Function {
        names: &["RIGHT"],
        min: 2,
        max: 2,
        usage: "RIGHT(text, count): STRING",
        bind: |args, _| left_or_right(args, false),
    },
    Function {
        names: &["LOCATE"],
        min: 2,
        max: 3,
        usage: "LOCATE(sought, text[, start]): INT",
        bind: |args, _| locate(args, true),
    },
    Function {
        names: &["POSITION"],
        min: 2,
        max: 2,
        usage: "POSITION(sought, text): INT",
        bind: |args, _| locate(args, true),
    },
    Function {
        names: &["INSTR"],
        min: 2,
        max: 3,
        usage: "INSTR(text, sought[, start]): INT",
        bind: |args, _| locate(args, false),
    },
    Function {
        names: &["LTRIM"],
        min: 1,
        max: 2,
        usage: "LTRIM(text[, character]): STRING",
        bind: |args, _| trim(args, true, false),
    },
    Function {
        names: &["RTRIM"],
        min: 1,
        max: 2,
        usage: "RTRIM(text[, character]): STRING",
        bind: |args, _| trim(args, false, true),
    },
    Function {
        names: &["TRIM"],
        min: 1,
        max: 2,
        usage: "TRIM(text[, character]): STRING",
        bind: |args, _| trim(args, true, true),
    },
    Function {
        names: &["REPLACE"],
        min: 2,
        max: 3,
        usage: "REPLACE(text, sought[, replacement]): STRING",
        bind: replace,
    },
    Function {
        names: &["SUBSTRING", "SUBSTR"],
        min: 2,
        max: 3,
        usage: "SUBSTRING(text, start[, length]): STRING",
        bind: substring,
    },
];

type Bound = Result<Expr, Refusal>;

fn left_or_right(mut args: Args, left: bool) -> Bound {
    Ok(call(
        if left { "LEFT" } else { "RIGHT" },
        vec![args.text()?, args.integer()?],
        DataType::String,
        false,
        move |call| {
            let (texts, counts) = (Texts::of(&call.args[0]), Numbers::<Int64Type>::of(&call.args[1]));
            text_rows(call.rows, texts.bytes(call.rows), |row, out| {
                let (text, wanted) = (some!(texts.get(row)), clamp(some!(counts.get(row))));
                let part = if left {
                    &text[..byte_at(text, wanted)]
                } else {
                    &text[byte_at(text, count(text).saturating_sub(wanted))..]
                };
                out.push(part).map(Some)
            })
        },
    ))
}

fn trim(mut args: Args, leading: bool, trailing: bool) -> Bound {
    let mut parts = vec![args.text()?];
    if args.more() {
        parts.push(args.text()?);
    }
    let name = match (leading, trailing) {
        (true, false) => "LTRIM",
        (false, true) => "RTRIM",
        _ => "TRIM",
    };
    Ok(call(name, parts, DataType::String, false, move |call| {
        let texts = Texts::of(&call.args[0]);
        let letters = call.args.get(1).map(Texts::of);
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let mut text = some!(texts.get(row));
            let letter =
                letters.and_then(|letters| letters.get(row)).and_then(|text| text.chars().next()).unwrap_or(' ');
            if leading {
                text = text.trim_start_matches(letter);
            }
            if trailing {
                text = text.trim_end_matches(letter);
            }
            out.push(text).map(Some)
        })
    }))
}

/// From 1, a negative start counts from the end; an empty result is null.
fn substring(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let text = readable(args.any()?)?;
    let mut parts = vec![text, args.integer()?];
    if args.more() {
        parts.push(args.integer()?);
    }
    Ok(call("SUBSTRING", parts, DataType::String, false, |call| {
        let (texts, starts) = (Texts::of(&call.args[0]), Numbers::<Int64Type>::of(&call.args[1]));
        let lengths = call.args.get(2).map(Numbers::<Int64Type>::of);
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (text, start) = (some!(texts.get(row)), some!(starts.get(row)));
            let length = count(text) as i64;
            let start = match start {
                0 => 1,
                1.. => start,
                _ => length.saturating_add(start).saturating_add(1),
            };
            let end = match lengths.as_ref().and_then(|lengths| lengths.get(row)) {
                None => length + 1,
                Some(wanted) => start.saturating_add(wanted).min(length + 1),
            };
            let start = start.max(1);
            if start > length || end <= start {
                return Ok(None);
            }
            let from = byte_at(text, clamp(start - 1));
            let to = from + byte_at(&text[from..], clamp(end - start));
            out.push(&text[from..to]).map(Some)
        })
    }))
}

/// A value as `SUBSTRING` reads it: timestamps with a blank between date and time.
fn readable(value: Expr) -> Bound {
    if value.data_type != DataType::Timestamp {
        return super::as_text(value, "argument 1");
    }
    let pattern = JavaPattern::compile("yyyy-MM-dd HH:mm:ss").map_err(|error| error.to_string())?;
    Ok(super::pattern::format(value, pattern))
}

fn insert(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let parts = vec![args.text()?, args.integer()?, args.integer()?, args.text()?];
    Ok(call("INSERT", parts, DataType::String, false, |call| {
        let (texts, added) = (Texts::of(&call.args[0]), Texts::of(&call.args[3]));
        let (starts, lengths) = (Numbers::<Int64Type>::of(&call.args[1]), Numbers::<Int64Type>::of(&call.args[2]));
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (text, added) = match (texts.get(row), added.get(row)) {
                (Some(text), Some(added)) => (text, added),
                // One that is null gives way to the other.
                (text, added) => return out.push(some!(text.or(added))).map(Some),
            };
            let (start, length) = (some!(starts.get(row)), some!(lengths.get(row)));
            if start < 1 || length <= 0 || added.is_empty() || clamp(start - 1) > count(text) {
                return out.push(text).map(Some);
            }
            let from = byte_at(text, clamp(start - 1));
            let to = from + byte_at(&text[from..], clamp(length));
            out.push(&text[..from])?;
            out.push(added)?;
            out.push(&text[to..]).map(Some)
        })
    }))
}

// ------------------------------------------------------------------------------------------------- finding

fn replace(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let mut parts = vec![args.text()?, args.text()?];
    if args.more() {
        parts.push(args.text()?);
    }
    Ok(call("REPLACE", parts, DataType::String, false, |call| {
        let (texts, sought) = (Texts::of(&call.args[0]), Texts::of(&call.args[1]));
        let replacements = call.args.get(2).map(Texts::of);
        // The usual call seeks the same in every row.
        let constant = if call.args[1].constant { sought.get(0) } else { None };
        let finder = constant.map(|sought| memmem::Finder::new(sought.as_bytes()));
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (text, sought) = (some!(texts.get(row)), some!(sought.get(row)));
            let replacement = match &replacements {
                None => "",
                Some(replacements) => some!(replacements.get(row)),
            };
            if sought.is_empty() {
                return out.push(text).map(Some);
            }
            let mut copied = 0;
            while let Some(at) = match &finder {
                Some(finder) => finder.find(&text.as_bytes()[copied..]),
                None => memmem::find(&text.as_bytes()[copied..], sought.as_bytes()),
            } {
                out.push(&text[copied..copied + at])?;
                out.push(replacement)?;
                copied += at + sought.len();
            }
            out.push(&text[copied..]).map(Some)
        })
    }))
}

/// `LOCATE` and `POSITION` name the sought text first, `INSTR` last. 0 where there is none.
fn locate(mut args: Args, sought_first: bool) -> Bound {
    let (first, second) = (args.text()?, args.text()?);
    let mut parts = if sought_first { vec![second, first] } else { vec![first, second] };
    if args.more() {
        parts.push(args.integer()?);
    }
    Ok(call("LOCATE", parts, Int, false, |call| {
        let (texts, sought) = (Texts::of(&call.args[0]), Texts::of(&call.args[1]));
        let starts = call.args.get(2).map(Numbers::<Int64Type>::of);
        number_rows::<Int32Type>(call.rows, |row| {
            let (Some(text), Some(sought)) = (texts.get(row), sought.get(row)) else {
                return Ok(Some(0));
            };
            let start = match &starts {
                None => 1,
                Some(starts) => some!(starts.get(row)),
            };
            let found = if start < 0 { find_last(text, sought, start) } else { find_first(text, sought, start) };
            Ok(Some(found.map_or(0, |byte| i32::try_from(count(&text[..byte]) + 1).unwrap_or(i32::MAX))))
        })
    }))
}

fn find_first(text: &str, sought: &str, start: i64) -> Option<usize> {
    let from = byte_at(text, clamp(start - 1));
    memmem::find(&text.as_bytes()[from..], sought.as_bytes()).map(|at| from + at)
}

/// The last one that begins at the place, counted from the end, or before it.
fn find_last(text: &str, sought: &str, start: i64) -> Option<usize> {
    let place = (count(text) as i64).saturating_add(start);
    if place < 0 {
        return None;
    }
    let end = byte_at(text, clamp(place)).saturating_add(sought.len()).min(text.len());
    memmem::rfind(&text.as_bytes()[..end], sought.as_bytes())
}
