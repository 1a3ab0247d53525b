//! Functions on regular expressions, which are Java's.

use super::super::bind::{Binder, Refusal};
use super::super::expr::Expr;
use super::super::value::{Numbers, Texts, boolean_rows, some, text_rows};
use super::text::byte_at;
use super::{Args, Function, call};
use crate::java_regex::{Flags, JavaRegex, Replacement};
use crate::row::DataType;
use arrow::datatypes::Int64Type;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        names: &["REGEXP_REPLACE"],
        min: 3,
        max: 4,
        usage: "REGEXP_REPLACE(text, pattern, replacement[, flags]): STRING",
        bind: replace,
    },
    Function {
        names: &["REGEXP_LIKE"],
        min: 2,
        max: 3,
        usage: "REGEXP_LIKE(text, pattern[, flags]): BOOLEAN",
        bind: like,
    },
    Function {
        names: &["REGEXP_SUBSTR"],
        min: 2,
        max: 6,
        usage: "REGEXP_SUBSTR(text, pattern[, position, occurrence, flags, group]): STRING",
        bind: substr,
    },
];

/// Gives the pattern of a row: compiled once when it is constant, else whenever it changes.
struct Patterns {
    constant: Option<JavaRegex>,
}

impl Patterns {
    /// Compiles the pattern if it and the flags are constant.
    fn bind(pattern: &Expr, flags: Option<&Expr>) -> Result<Self, Refusal> {
        let constant_flags = match flags {
            None => Some(""),
            // Flags that are null are none.
            Some(flags) => flags.as_literal_text().or_else(|| flags.as_literal().map(|_| "")),
        };
        let constant = match (pattern.as_literal_text(), constant_flags) {
            (Some(pattern), Some(flags)) => Some(JavaRegex::compile(pattern, Flags::parse(flags)?)?),
            _ => None,
        };
        Ok(Self { constant })
    }
}

/// The pattern that was used last, with its text and flags.
type Last = Option<(String, String, JavaRegex)>;

fn pattern_of<'a>(
    patterns: &'a Patterns,
    last: &'a mut Last,
    pattern: &str,
    flags: &str,
) -> Result<&'a JavaRegex, String> {
    if let Some(regex) = &patterns.constant {
        return Ok(regex);
    }
    let known = last.as_ref().is_some_and(|(text, set, _)| text == pattern && set == flags);
    if !known {
        let regex = JavaRegex::compile(pattern, Flags::parse(flags)?)?;
        *last = Some((pattern.to_owned(), flags.to_owned(), regex));
    }
    match last {
        Some((_, _, regex)) => Ok(regex),
        // Set right above.
        None => Err("no pattern".into()),
    }
}

fn replace(mut args: Args, _: &mut Binder<'_>) -> Result<Expr, Refusal> {
    let mut parts = vec![args.text()?, args.text()?, args.text()?];
    if args.more() {
        parts.push(args.text()?);
    }
    let patterns = Patterns::bind(&parts[1], parts.get(3))?;
    let constant_replacement = match (&patterns.constant, parts[2].as_literal_text()) {
        (Some(regex), Some(text)) => Some(Replacement::compile(text, regex)?),
        _ => None,
    };
    Ok(call("REGEXP_REPLACE", parts, DataType::String, true, move |call| {
        let [texts, expressions, replacements] = [0, 1, 2].map(|place| Texts::of(&call.args[place]));
        let flags = call.args.get(3).map(Texts::of);
        let mut last = None;
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (text, expression) = (some!(texts.get(row)), some!(expressions.get(row)));
            let replacement = some!(replacements.get(row));
            let flags = flags.and_then(|flags| flags.get(row)).unwrap_or_default();
            let regex = pattern_of(&patterns, &mut last, expression, flags)?;
            let mut push = |piece: &str| out.push(piece);
            match &constant_replacement {
                Some(replacement) => regex.replace(text, replacement, usize::MAX, &mut push)?,
                None => regex.replace(text, &Replacement::compile(replacement, regex)?, usize::MAX, &mut push)?,
            }
            Ok(Some(()))
        })
    }))
}

fn like(mut args: Args, _: &mut Binder<'_>) -> Result<Expr, Refusal> {
    let mut parts = vec![args.text()?, args.text()?];
    if args.more() {
        parts.push(args.text()?);
    }
    let patterns = Patterns::bind(&parts[1], parts.get(2))?;
    Ok(call("REGEXP_LIKE", parts, DataType::Boolean, true, move |call| {
        let (texts, expressions) = (Texts::of(&call.args[0]), Texts::of(&call.args[1]));
        let flags = call.args.get(2).map(Texts::of);
        let mut last = None;
        boolean_rows(call.rows, |row| {
            let (text, expression) = (some!(texts.get(row)), some!(expressions.get(row)));
            let flags = flags.and_then(|flags| flags.get(row)).unwrap_or_default();
            pattern_of(&patterns, &mut last, expression, flags)?.is_match(text).map(Some)
        })
    }))
}

fn substr(mut args: Args, _: &mut Binder<'_>) -> Result<Expr, Refusal> {
    let mut parts = vec![args.text()?, args.text()?];
    for is_text in [false, false, true, false] {
        if args.more() {
            parts.push(if is_text { args.text()? } else { args.integer()? });
        }
    }
    let patterns = Patterns::bind(&parts[1], parts.get(4))?;
    Ok(call("REGEXP_SUBSTR", parts, DataType::String, true, move |call| {
        let (texts, expressions) = (Texts::of(&call.args[0]), Texts::of(&call.args[1]));
        let numbers = |place: usize| call.args.get(place).map(Numbers::<Int64Type>::of);
        let (positions, occurrences, groups) = (numbers(2), numbers(3), numbers(5));
        let flags = call.args.get(4).map(Texts::of);
        // What is missing or null takes its default.
        let number = |numbers: &Option<Numbers<'_, Int64Type>>, row: usize, default: i64| {
            let number = numbers.as_ref().and_then(|numbers| numbers.get(row)).unwrap_or(default);
            usize::try_from(number.max(default.min(1))).unwrap_or(usize::MAX)
        };
        let mut last = None;
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (text, expression) = (some!(texts.get(row)), some!(expressions.get(row)));
            let flags = flags.and_then(|flags| flags.get(row)).unwrap_or_default();
            let regex = pattern_of(&patterns, &mut last, expression, flags)?;
            let group = number(&groups, row, 0);
            if group > regex.groups() {
                return Err(format!("REGEXP_SUBSTR: the pattern '{expression}' has no group {group}"));
            }
            let from = byte_at(text, number(&positions, row, 1) - 1);
            let found = some!(regex.find(text, from, number(&occurrences, row, 1), group)?);
            out.push(found).map(Some)
        })
    }))
}
