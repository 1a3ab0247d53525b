//! `COALESCE`, `IFNULL`, `NULLIF`, `MULTI_IF` and `UUID`.

use std::fmt::Write as _;

use super::super::bind::{Binder, Refusal};
use super::super::compare::Comparison;
use super::super::expr::{Expr, Kind};
use super::super::value::text_rows;
use super::{Args, Function, volatile_call};
use crate::row::DataType;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        names: &["COALESCE"],
        min: 1,
        max: usize::MAX,
        usage: "COALESCE(value, ...): as the first value",
        bind: coalesce,
    },
    Function { names: &["IFNULL"], min: 2, max: 2, usage: "IFNULL(value, other): as the first value", bind: coalesce },
    Function { names: &["NULLIF"], min: 2, max: 2, usage: "NULLIF(value, other): as the first value", bind: nullif },
    Function {
        names: &["MULTI_IF"],
        min: 3,
        max: usize::MAX,
        usage: "MULTI_IF(condition, value, ..., otherwise): as the values",
        bind: multi_if,
    },
    Function { names: &["UUID"], min: 0, max: 0, usage: "UUID(): STRING", bind: uuid },
];

/// The first value that is not null, converted to the type of the first argument (that is not the constant null).
fn coalesce(args: Args, binder: &mut Binder<'_>) -> Result<Expr, Refusal> {
    let values = args.rest();
    let data_type = values.iter().map(|value| &value.data_type).find(|data_type| **data_type != DataType::Null);
    let Some(data_type) = data_type.cloned() else {
        return Ok(Expr::null());
    };
    let values = values.into_iter().map(|value| binder.convert(value, &data_type)).collect::<Result<Vec<_>, _>>()?;
    Ok(Expr::new(Kind::Coalesce(values), data_type, false))
}

/// Null where both are equal, else the first.
fn nullif(mut args: Args, binder: &mut Binder<'_>) -> Result<Expr, Refusal> {
    let (value, other) = (args.any()?, args.any()?);
    let data_type = value.data_type.clone();
    let shown = value.clone();
    let equal = binder.compare(Comparison::Equal, value, other)?;
    let different = Expr::new(Kind::Not(Box::new(equal)), DataType::Boolean, false);
    Ok(Expr::new(Kind::Case { whens: vec![(different, shown)], otherwise: None }, data_type, false))
}

fn multi_if(args: Args, binder: &mut Binder<'_>) -> Result<Expr, Refusal> {
    let mut rest = args.rest();
    if rest.len().is_multiple_of(2) {
        return Err("it takes conditions and values in turn, and one value for all else".into());
    }
    let Some(otherwise) = rest.pop() else {
        return Err("a value for all else is missing".into());
    };
    let mut whens = Vec::with_capacity(rest.len() / 2);
    let mut parts = rest.into_iter();
    while let (Some(condition), Some(value)) = (parts.next(), parts.next()) {
        whens.push((condition, value));
    }
    binder.choice(whens, otherwise)
}

/// A random (version 4) UUID for each row.
fn uuid(_: Args, _: &mut Binder<'_>) -> Result<Expr, Refusal> {
    Ok(volatile_call("UUID", vec![], DataType::String, true, |call| {
        let mut text = String::with_capacity(36);
        text_rows(call.rows, call.rows * 36, |_, out| {
            let bits = (fastrand::u128(..) & !(0xF << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
            text.clear();
            // Writing to memory does not fail.
            let _ = write!(
                text,
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                bits >> 96,
                (bits >> 80) & 0xFFFF,
                (bits >> 64) & 0xFFFF,
                (bits >> 48) & 0xFFFF,
                bits & 0xFFFF_FFFF_FFFF
            );
            out.push(&text).map(Some)
        })
    }))
}
