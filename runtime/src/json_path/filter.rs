//! Conditions of filters, `[?(@.price < 10 && @.tags contains 'new')]`.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::evaluate::{Context, PathError};
use super::json::compare_numbers;
use super::{Json, JsonPath};
use crate::java_regex::JavaRegex;

#[derive(Debug)]
pub(super) enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    /// Whether a path finds something.
    Exists(JsonPath),
    Compare {
        left: Operand,
        operator: Operator,
        right: Operand,
    },
    /// Whether the whole text matches, or one of a list's.
    Matches {
        value: Operand,
        /// Bound to both ends of the text.
        pattern: JavaRegex,
    },
}

#[derive(Debug)]
pub(super) enum Operand {
    Path(JsonPath),
    Value(Json<'static>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    EqualTyped,
    NotEqualTyped,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
    Contains,
    All,
    SubsetOf,
    AnyOf,
    NoneOf,
    Size,
    Empty,
}

impl Operator {
    /// Operators of signs, the longer ones first.
    pub(super) const SIGNS: [(&'static str, Self); 8] = [
        ("===", Self::EqualTyped),
        ("!==", Self::NotEqualTyped),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessEqual),
        (">=", Self::GreaterEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];
    /// Operators that are words, in any case.
    pub(super) const WORDS: [(&'static str, Self); 9] = [
        ("in", Self::In),
        ("nin", Self::NotIn),
        ("contains", Self::Contains),
        ("all", Self::All),
        ("subsetof", Self::SubsetOf),
        ("anyof", Self::AnyOf),
        ("noneof", Self::NoneOf),
        ("size", Self::Size),
        ("empty", Self::Empty),
    ];
}

impl Condition {
    /// Whether the condition holds for a value.
    pub(super) fn holds<'j, 't>(&self, current: &'j Json<'t>, context: &Context<'j, 't>) -> Result<bool, PathError> {
        context.visit()?;
        match self {
            Self::Or(conditions) => any(conditions, |condition| condition.holds(current, context)),
            Self::And(conditions) => Ok(!any(conditions, |condition| Ok(!condition.holds(current, context)?))?),
            Self::Not(condition) => Ok(!condition.holds(current, context)?),
            Self::Exists(path) => Ok(match found(path, current, context)? {
                None => false,
                Some(found) if path.is_definite() => !matches!(&*found, Json::Null) || !ends_in_function(path),
                Some(found) => found.as_list().is_some_and(|found| !found.is_empty()),
            }),
            Self::Compare { left, operator, right } => {
                let (left, right) = (left.value(current, context)?, right.value(current, context)?);
                compare(left.as_deref(), *operator, right.as_deref(), context)
            }
            Self::Matches { value, pattern } => {
                let Some(value) = value.value(current, context)? else { return Ok(false) };
                let matches = |value: &Json<'_>| pattern.is_match(scalar_text(value)).map_err(PathError::Pattern);
                match &*value {
                    Json::List(items) => any(items, matches),
                    value => matches(value),
                }
            }
        }
    }
}

fn any<T>(items: &[T], mut holds: impl FnMut(&T) -> Result<bool, PathError>) -> Result<bool, PathError> {
    for item in items {
        if holds(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn ends_in_function(path: &JsonPath) -> bool {
    matches!(path.segments.last(), Some(super::Segment::Function(_)))
}

fn scalar_text<'a>(value: &'a Json<'_>) -> &'a str {
    match value {
        Json::Text(text) | Json::Number(text) => text,
        Json::Boolean(true) => "true",
        Json::Boolean(false) => "false",
        Json::Null | Json::List(_) | Json::Object(_) => "",
    }
}

/// What a path finds; nothing when it leads nowhere.
fn found<'j, 't>(
    path: &JsonPath,
    current: &'j Json<'t>,
    context: &Context<'j, 't>,
) -> Result<Option<Cow<'j, Json<'t>>>, PathError> {
    match path.read_in(current, context) {
        Ok(found) => Ok(Some(found)),
        Err(PathError::Missing { .. } | PathError::Function(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Operand {
    fn value<'v, 't>(
        &'v self,
        current: &'v Json<'t>,
        context: &Context<'v, 't>,
    ) -> Result<Option<Cow<'v, Json<'t>>>, PathError> {
        match self {
            Self::Path(path) => found(path, current, context),
            Self::Value(value) => Ok(Some(Cow::Borrowed(value))),
        }
    }
}

/// Compares two values; `None` is one that is not there, which equals nothing.
fn compare(
    left: Option<&Json<'_>>,
    operator: Operator,
    right: Option<&Json<'_>>,
    context: &Context<'_, '_>,
) -> Result<bool, PathError> {
    let equal = || left.zip(right).is_some_and(|(left, right)| equals(left, right));
    let typed = || left.zip(right).is_some_and(|(left, right)| left.kind_name() == right.kind_name());
    let lists = || left.and_then(Json::as_list).zip(right.and_then(Json::as_list));
    Ok(match operator {
        Operator::Equal => equal(),
        Operator::NotEqual => !equal(),
        Operator::EqualTyped => typed() && equal(),
        Operator::NotEqualTyped => !(typed() && equal()),
        Operator::Less => order(left, right).is_some_and(Ordering::is_lt),
        Operator::LessEqual => order(left, right).is_some_and(Ordering::is_le),
        Operator::Greater => order(left, right).is_some_and(Ordering::is_gt),
        Operator::GreaterEqual => order(left, right).is_some_and(Ordering::is_ge),
        Operator::In => has(right, left, context)?,
        Operator::NotIn => !has(right, left, context)?,
        Operator::Contains => match (left, right) {
            (Some(Json::Text(text)), Some(Json::Text(part))) => text.contains(part.as_ref()),
            _ => has(left, right, context)?,
        },
        Operator::All => match lists() {
            Some((all, wanted)) => !any(wanted, |item| Ok(!contains(all, item, context)?))?,
            None => false,
        },
        Operator::SubsetOf => match lists() {
            Some((left, right)) => !any(left, |item| Ok(!contains(right, item, context)?))?,
            None => false,
        },
        Operator::AnyOf => match lists() {
            Some((left, right)) => any(left, |item| contains(right, item, context))?,
            None => false,
        },
        Operator::NoneOf => match lists() {
            Some((left, right)) => !any(left, |item| contains(right, item, context))?,
            None => false,
        },
        Operator::Size => match (left.and_then(length), right) {
            (Some(length), Some(Json::Number(size))) => {
                compare_numbers(size, &length.to_string()) == Some(Ordering::Equal)
            }
            _ => false,
        },
        Operator::Empty => match (left.and_then(length), right) {
            (Some(length), Some(Json::Boolean(empty))) => (length == 0) == *empty,
            _ => false,
        },
    })
}

fn length(value: &Json<'_>) -> Option<usize> {
    match value {
        Json::Text(text) => Some(text.chars().count()),
        Json::List(items) => Some(items.len()),
        Json::Object(entries) => Some(entries.len()),
        _ => None,
    }
}

/// Whether two values are equal: a number beside a text counts as what stands on the left.
fn equals(left: &Json<'_>, right: &Json<'_>) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Text(right)) => compare_numbers(left, right.trim()) == Some(Ordering::Equal),
        (Json::Text(left), Json::Number(right)) => left == right,
        (left, right) => left.same(right),
    }
}

/// The order of two numbers or of two texts; a number beside a text counts as its text.
fn order(left: Option<&Json<'_>>, right: Option<&Json<'_>>) -> Option<Ordering> {
    match (left?, right?) {
        (Json::Number(left), Json::Number(right)) => compare_numbers(left, right),
        (Json::Text(left) | Json::Number(left), Json::Text(right) | Json::Number(right)) => {
            Some(left.as_ref().cmp(right.as_ref()))
        }
        _ => None,
    }
}

/// Whether a list has a value.
fn has(list: Option<&Json<'_>>, value: Option<&Json<'_>>, context: &Context<'_, '_>) -> Result<bool, PathError> {
    match (list.and_then(Json::as_list), value) {
        (Some(items), Some(value)) => contains(items, value, context),
        _ => Ok(false),
    }
}

fn contains(items: &[Json<'_>], value: &Json<'_>, context: &Context<'_, '_>) -> Result<bool, PathError> {
    any(items, |item| {
        context.visit()?;
        Ok(equals(value, item))
    })
}
