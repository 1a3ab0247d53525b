//! Functions at the end of a path.

use std::borrow::Cow;

use super::evaluate::{Context, PathError};
use super::{Json, JsonPath};
use crate::row::text::write_double;

/// A function and its arguments.
#[derive(Debug)]
pub(super) struct Call {
    pub function: Function,
    pub arguments: Vec<Argument>,
}

/// An argument: a value, or a path from the document's root.
#[derive(Debug)]
pub(super) enum Argument {
    Value(Json<'static>),
    Path(JsonPath),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Min,
    Max,
    Avg,
    Stddev,
    Sum,
    Concat,
    Length,
    Keys,
    Append,
    First,
    Last,
    Index,
}

impl Function {
    pub(super) const NAMES: [(&'static str, Self); 13] = [
        ("min", Self::Min),
        ("max", Self::Max),
        ("avg", Self::Avg),
        ("stddev", Self::Stddev),
        ("sum", Self::Sum),
        ("concat", Self::Concat),
        ("length", Self::Length),
        ("size", Self::Length),
        ("keys", Self::Keys),
        ("append", Self::Append),
        ("first", Self::First),
        ("last", Self::Last),
        ("index", Self::Index),
    ];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }
}

impl Call {
    /// Applies the function to what the path in front of it found.
    pub(super) fn apply(&self, input: &Json<'_>, context: &Context<'_, '_>) -> Result<Json<'static>, PathError> {
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            arguments.push(match argument {
                Argument::Value(value) => value.clone(),
                Argument::Path(path) => path.read_in(context.root, context)?.into_owned().into_owned(),
            });
        }
        Ok(match self.function {
            Function::Length => {
                // With an argument its length counts, not that of what stands in front.
                match arguments.first().map_or(input, |argument| argument) {
                    Json::List(items) => whole(items.len()),
                    Json::Object(entries) => whole(entries.len()),
                    _ => Json::Null,
                }
            }
            Function::Keys => match input {
                Json::Object(entries) => {
                    Json::List(entries.iter().map(|(key, _)| Json::Text(Cow::Owned(key.to_string()))).collect())
                }
                _ => Json::Null,
            },
            Function::Append => {
                let mut items = input.as_list().unwrap_or_default().to_vec();
                items.extend(arguments);
                Json::List(items).into_owned()
            }
            Function::Concat => {
                let mut text = String::new();
                input.as_list().unwrap_or_default().iter().for_each(|part| add_scalar(&mut text, part));
                flat(&arguments).for_each(|part| add_scalar(&mut text, part));
                Json::Text(Cow::Owned(text))
            }
            Function::First => item(input, 0)?,
            Function::Last => item(input, -1)?,
            Function::Index => item(input, self.index(&arguments)?)?,
            Function::Min | Function::Max | Function::Avg | Function::Stddev | Function::Sum => {
                let items = input.as_list().unwrap_or_default();
                let numbers = items.iter().filter_map(number).chain(flat(&arguments).filter_map(number));
                aggregate(self.function, numbers)?
            }
        })
    }

    fn index(&self, arguments: &[Json<'_>]) -> Result<i64, PathError> {
        match arguments.first() {
            Some(Json::Number(text)) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| PathError::Function("index() takes a whole number".into()))
    }
}

/// The arguments, those that are lists as their items.
fn flat<'a>(arguments: &'a [Json<'static>]) -> impl Iterator<Item = &'a Json<'static>> {
    arguments.iter().flat_map(|argument| argument.as_list().unwrap_or(std::slice::from_ref(argument)))
}

fn add_scalar(text: &mut String, value: &Json<'_>) {
    match value {
        Json::Text(part) | Json::Number(part) => text.push_str(part),
        Json::Boolean(part) => text.push_str(if *part { "true" } else { "false" }),
        Json::Null | Json::List(_) | Json::Object(_) => {}
    }
}

fn whole(count: usize) -> Json<'static> {
    Json::Number(Cow::Owned(count.to_string()))
}

fn number(value: &Json<'_>) -> Option<f64> {
    match value {
        Json::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn item(input: &Json<'_>, index: i64) -> Result<Json<'static>, PathError> {
    let Some(items) = input.as_list() else {
        return Err(PathError::Function(format!(
            "a list is expected in front of the function, found {}",
            input.kind_name()
        )));
    };
    let place = super::evaluate::place(index, items.len());
    let found = place.and_then(|place| items.get(place)).cloned().map(Json::into_owned);
    found.ok_or_else(|| PathError::Function(format!("a list of {} has no item {index}", items.len())))
}

fn aggregate(function: Function, numbers: impl Iterator<Item = f64>) -> Result<Json<'static>, PathError> {
    let (mut count, mut sum, mut squares) = (0u32, 0.0, 0.0);
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    for number in numbers {
        count += 1;
        sum += number;
        squares += number * number;
        least = least.min(number);
        most = most.max(number);
    }
    if count == 0 {
        return Err(PathError::Function("there are no numbers to aggregate".into()));
    }
    let count = f64::from(count);
    let result = match function {
        Function::Min => least,
        Function::Max => most,
        Function::Avg => sum / count,
        Function::Stddev => (squares / count - sum * sum / count / count).max(0.0).sqrt(),
        _ => sum,
    };
    if !result.is_finite() {
        return Err(PathError::Function("the result is too large for a double".into()));
    }
    let mut text = String::new();
    write_double(&mut text, result);
    Ok(Json::Number(Cow::Owned(text)))
}
