//! Typed expressions. `evaluate` has what they do with a batch.
//!
//! Everything is decided when the query is bound: types, conversions, compiled patterns. Where SQL promises that a part is evaluated for some rows only
//! (the branches of `CASE`, the right side of `AND`), parts that can fail see just those rows.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, NullArray};
use rustc_hash::FxHashSet;

use super::arithmetic::Op;
use super::cast::{self, OnFailure};
use super::clock::Now;
use super::compare::{Comparison, Ground};
use super::like::Like;
use super::value::{RowError, Value};
use crate::row::DataType;

/// Columns of a batch and what else an expression may look at.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub columns: &'a [ArrayRef],
    pub rows: usize,
    /// The time that the batch takes for now.
    pub now: &'a Now,
}

/// What a function is given: its arguments, evaluated.
pub(super) struct Call<'a> {
    pub args: &'a [Value],
    pub rows: usize,
    pub now: &'a Now,
}

/// A function bound to its argument types and constant arguments.
pub(super) type Kernel = Arc<dyn Fn(&Call<'_>) -> Result<ArrayRef, RowError> + Send + Sync>;

/// An expression with the type of its values.
#[derive(Clone)]
pub(super) struct Expr {
    pub kind: Kind,
    pub data_type: DataType,
    /// Whether it can fail for some row. Such expressions are evaluated for the rows that need them and no other.
    pub fallible: bool,
    /// Whether it must be evaluated for each row anew (`RAND()`), or for each batch (`NOW()`).
    pub volatile: bool,
    /// How deep the tree is below and with this node.
    pub depth: usize,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// One row.
    Literal(ArrayRef),
    Column(usize),
    /// A field of a row.
    Field(Box<Expr>, usize),
    /// The value of a key of a map; the key is one row of the map's key type.
    MapKey(Box<Expr>, ArrayRef),
    /// An item of a list, counted from 0.
    Item(Box<Expr>, usize),
    Arithmetic(Op, Box<Expr>, Box<Expr>),
    Negate(Box<Expr>),
    Compare(Comparison, Ground, Box<Expr>, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    /// `IS [NOT] NULL`
    IsNull {
        value: Box<Expr>,
        negated: bool,
    },
    /// `IS [NOT] TRUE`, `IS [NOT] FALSE`
    IsTruth {
        value: Box<Expr>,
        truth: bool,
        negated: bool,
    },
    /// `[NOT] IN` of constant texts.
    InTexts {
        value: Box<Expr>,
        list: Arc<FxHashSet<Box<str>>>,
        negated: bool,
    },
    /// `[NOT] IN` of constant integers; the value is a bigint.
    InIntegers {
        value: Box<Expr>,
        list: Arc<FxHashSet<i64>>,
        negated: bool,
    },
    /// `[NOT] IN` of anything, on common ground.
    In {
        value: Box<Expr>,
        ground: Ground,
        list: Vec<Expr>,
        negated: bool,
    },
    Like {
        value: Box<Expr>,
        pattern: Arc<Like>,
        negated: bool,
    },
    /// `LIKE` with a pattern that is not constant.
    LikeExpr {
        value: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<char>,
        negated: bool,
    },
    Case {
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Coalesce(Vec<Expr>),
    Cast {
        value: Box<Expr>,
        on_failure: OnFailure,
    },
    /// To double by value, see [`cast::widen`].
    Widen(Box<Expr>),
    Call {
        name: &'static str,
        kernel: Kernel,
        args: Vec<Expr>,
        /// Whether each row asks for a value of its own although no argument differs.
        per_row: bool,
    },
}

impl Expr {
    /// A node over `parts`.
    pub(super) fn new(kind: Kind, data_type: DataType, fallible: bool) -> Self {
        let mut expr = Self { kind, data_type, fallible, volatile: false, depth: 0 };
        let mut depth = 0;
        let (mut part_fallible, mut part_volatile) = (false, false);
        expr.for_each_part(&mut |part| {
            depth = depth.max(part.depth);
            part_fallible |= part.fallible;
            part_volatile |= part.volatile;
        });
        expr.depth = depth + 1;
        expr.fallible |= part_fallible;
        expr.volatile = part_volatile;
        expr
    }

    /// One value, given as an array of one row.
    pub(super) fn literal(array: ArrayRef, data_type: DataType) -> Self {
        Self::new(Kind::Literal(array), data_type, false)
    }

    /// The literal null.
    pub(super) fn null() -> Self {
        Self::literal(Arc::new(NullArray::new(1)), DataType::Null)
    }

    /// Converts to a type, if it is another one. The caller has asked [`cast::is_possible`].
    pub(super) fn cast_to(self, data_type: &DataType, on_failure: OnFailure) -> Self {
        if self.data_type == *data_type {
            return self;
        }
        let fallible = on_failure == OnFailure::Fail && cast::is_fallible(&self.data_type, data_type);
        Self::new(Kind::Cast { value: Box::new(self), on_failure }, data_type.clone(), fallible)
    }

    /// The value, if it is a literal.
    pub(super) fn as_literal(&self) -> Option<&ArrayRef> {
        match &self.kind {
            Kind::Literal(array) => Some(array),
            _ => None,
        }
    }

    /// The text, if it is a literal text that is not null.
    pub(super) fn as_literal_text(&self) -> Option<&str> {
        let array = self.as_literal()?;
        (self.data_type == DataType::String && array.is_valid(0)).then(|| array.as_string::<i32>().value(0))
    }

    /// Calls `each` with the direct parts.
    pub(super) fn for_each_part<'a>(&'a self, each: &mut dyn FnMut(&'a Expr)) {
        match &self.kind {
            Kind::Literal(_) | Kind::Column(_) => {}
            Kind::Field(part, _)
            | Kind::MapKey(part, _)
            | Kind::Item(part, _)
            | Kind::Negate(part)
            | Kind::Not(part)
            | Kind::Widen(part) => each(part),
            Kind::IsNull { value, .. }
            | Kind::IsTruth { value, .. }
            | Kind::InTexts { value, .. }
            | Kind::InIntegers { value, .. }
            | Kind::Like { value, .. }
            | Kind::Cast { value, .. } => each(value),
            Kind::Arithmetic(_, left, right) | Kind::Compare(_, _, left, right) => {
                each(left);
                each(right);
            }
            Kind::LikeExpr { value, pattern, .. } => {
                each(value);
                each(pattern);
            }
            Kind::In { value, list, .. } => {
                each(value);
                list.iter().for_each(each);
            }
            Kind::And(parts) | Kind::Or(parts) | Kind::Coalesce(parts) | Kind::Call { args: parts, .. } => {
                parts.iter().for_each(each);
            }
            Kind::Case { whens, otherwise } => {
                for (condition, result) in whens {
                    each(condition);
                    each(result);
                }
                if let Some(otherwise) = otherwise {
                    each(otherwise);
                }
            }
        }
    }

    /// Marks the columns that the expression reads.
    pub(super) fn mark_columns(&self, used: &mut [bool]) {
        if let Kind::Column(index) = self.kind {
            used[index] = true;
        }
        self.for_each_part(&mut |part| part.mark_columns(used));
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.kind {
            Kind::Literal(_) => "literal",
            Kind::Column(_) => "column",
            Kind::Call { name, .. } => name,
            _ => "expression",
        };
        write!(f, "{name}: {}", self.data_type)
    }
}
