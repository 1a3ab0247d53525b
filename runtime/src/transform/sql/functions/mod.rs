//! The functions of the Sql transform, by name.
//!
//! A function is bound once: it takes its arguments' types, converts them, compiles constant patterns, and gives an
//! expression whose kernel works on columns. The tables of the modules here are also what `docs/sql.md` is held to.

mod crypto;
mod number;
mod part;
mod pattern;
mod regexp;
mod system;
mod text;
mod time;

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::bind::{Binder, Refusal};
use super::cast::{self, OnFailure, type_name};
use super::expr::{Call, Expr, Kind};
use super::value::RowError;
use crate::row::DataType;

pub(super) use text::concat_operator;

/// A function as queries know it.
pub(super) struct Function {
    /// Its names; the first is the one in messages.
    pub names: &'static [&'static str],
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// How to call it and what comes of it.
    pub usage: &'static str,
    /// Makes the expression of a call.
    pub bind: fn(Args, &mut Binder<'_>) -> Result<Expr, Refusal>,
}

impl Function {
    /// How many arguments it takes, in words.
    pub(super) fn arguments(&self) -> String {
        let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
        match (self.min, self.max) {
            (0, 0) => "no arguments".into(),
            (min, max) if min == max => format!("{min} {}", plural(min)),
            (min, usize::MAX) => format!("at least {min} {}", plural(min)),
            (min, max) => format!("{min} to {max} arguments"),
        }
    }
}

fn tables() -> impl Iterator<Item = &'static Function> {
    [
        text::FUNCTIONS,
        part::FUNCTIONS,
        regexp::FUNCTIONS,
        number::FUNCTIONS,
        time::FUNCTIONS,
        pattern::FUNCTIONS,
        system::FUNCTIONS,
        crypto::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}

/// The function of a name, in any case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    tables().find(|function| function.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    tables().flat_map(|function| function.names.iter().copied())
}

/// Whether arguments behind the first are evaluated only where they are needed.
pub(super) fn is_lazy(name: &str) -> bool {
    ["COALESCE", "IFNULL", "MULTI_IF"].iter().any(|lazy| lazy.eq_ignore_ascii_case(name))
}

/// The arguments of a call, taken one by one.
pub(super) struct Args {
    given: std::vec::IntoIter<Expr>,
    taken: usize,
}

impl Args {
    pub(super) fn new(given: Vec<Expr>) -> Self {
        Self { given: given.into_iter(), taken: 0 }
    }

    /// Whether there is another one.
    fn more(&self) -> bool {
        self.given.len() > 0
    }

    /// The next one as it is.
    fn any(&mut self) -> Result<Expr, Refusal> {
        self.taken += 1;
        // The number of arguments was checked against the function's table.
        self.given.next().ok_or_else(|| format!("argument {} is missing", self.taken).into())
    }

    fn wrong(&self, wanted: &str, found: &DataType) -> Refusal {
        format!("argument {} must be {wanted}, not {}", self.taken, type_name(found)).into()
    }

    /// The next one as text; every scalar has one.
    fn text(&mut self) -> Result<Expr, Refusal> {
        let value = self.any()?;
        if !cast::is_scalar(&value.data_type) {
            return Err(self.wrong("text", &value.data_type));
        }
        Ok(value.cast_to(&DataType::String, OnFailure::Fail))
    }

    /// The next one as a whole number: bigint.
    fn integer(&mut self) -> Result<Expr, Refusal> {
        let value = self.any()?;
        if value.data_type.is_numeric() || value.data_type == DataType::Null {
            return Ok(value.cast_to(&DataType::BigInt, OnFailure::Fail));
        }
        Err(self.wrong("a whole number", &value.data_type))
    }

    /// The next one as it is, if it is a number; null is taken for an int.
    fn number(&mut self) -> Result<Expr, Refusal> {
        let value = self.any()?;
        match &value.data_type {
            DataType::Null => Ok(value.cast_to(&DataType::Int, OnFailure::Fail)),
            data_type if data_type.is_numeric() => Ok(value),
            other => Err(self.wrong("a number", other)),
        }
    }

    /// The next one as a double.
    fn double(&mut self) -> Result<Expr, Refusal> {
        let value = self.number()?;
        Ok(match value.data_type {
            DataType::Double => value,
            _ => Expr::new(Kind::Widen(Box::new(value)), DataType::Double, false),
        })
    }

    /// The rest, as they are.
    fn rest(self) -> Vec<Expr> {
        self.given.collect()
    }
}

/// A value as text, for operators.
pub(super) fn as_text(value: Expr, place: &str) -> Result<Expr, Refusal> {
    if !cast::is_scalar(&value.data_type) {
        return Err(format!("{place} needs text, not {}", type_name(&value.data_type)).into());
    }
    Ok(value.cast_to(&DataType::String, OnFailure::Fail))
}

/// A call of a kernel. `fallible`: whether the kernel can refuse values.
fn call(
    name: &'static str,
    args: Vec<Expr>,
    result: DataType,
    fallible: bool,
    kernel: impl Fn(&Call<'_>) -> Result<ArrayRef, RowError> + Send + Sync + 'static,
) -> Expr {
    let kernel = Arc::new(kernel);
    Expr::new(Kind::Call { name, kernel, args, per_row: false }, result, fallible)
}

/// A call that is evaluated for each batch although its arguments are constant, or for each row.
fn volatile_call(
    name: &'static str,
    args: Vec<Expr>,
    result: DataType,
    per_row: bool,
    kernel: impl Fn(&Call<'_>) -> Result<ArrayRef, RowError> + Send + Sync + 'static,
) -> Expr {
    let kernel = Arc::new(kernel);
    let mut expr = Expr::new(Kind::Call { name, kernel, args, per_row }, result, false);
    expr.volatile = true;
    expr
}

/// An array of one value for a kernel that gives the same to every row.
fn one<A: arrow::array::Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}
