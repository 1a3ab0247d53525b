//! How expressions are evaluated over a batch: one walk over the tree, whole columns at a time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, NullArray, StructArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{FilterBuilder, FilterPredicate, take};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;

use super::arithmetic;
use super::cast;
use super::choice::Choice;
use super::compare::{self, Comparison, Ground};
use super::expr::{Call, Expr, Frame, Kind};
use super::like::Like;
use super::value::{Numbers, RowError, Texts, Value, boolean_rows, null_is_false};

impl Expr {
    /// The values for the rows of a frame.
    pub(super) fn evaluate(&self, frame: &Frame<'_>) -> Result<Value, RowError> {
        let rows = frame.rows;
        Ok(match &self.kind {
            Kind::Literal(array) => Value::constant(array.clone()),
            Kind::Column(index) => Value::column(frame.columns[*index].clone()),
            Kind::Field(part, index) => part.evaluate(frame)?.map(|array| Ok(field_of(array.as_struct(), *index)))?,
            Kind::MapKey(part, key) => part.evaluate(frame)?.map(|array| lookup(array, key))?,
            Kind::Item(part, index) => part.evaluate(frame)?.map(|array| item_of(array, *index))?,
            Kind::Arithmetic(op, left, right) => {
                let (left, right) = (left.evaluate(frame)?, right.evaluate(frame)?);
                let constant = left.constant && right.constant;
                let rows = if constant { 1 } else { rows };
                Value { array: arithmetic::evaluate(*op, &left, &right, &self.data_type, rows)?, constant }
            }
            Kind::Negate(part) => {
                let value = part.evaluate(frame)?;
                Value { array: arithmetic::negate(&value)?, constant: value.constant }
            }
            Kind::Compare(comparison, ground, left, right) => {
                let (left, right) = (left.evaluate(frame)?, right.evaluate(frame)?);
                let constant = left.constant && right.constant;
                let rows = if constant { 1 } else { rows };
                let truths = compare::evaluate(*comparison, ground, &left, &right, rows)?;
                Value { array: Arc::new(BooleanArray::new(truths, None)), constant }
            }
            Kind::And(parts) => booleans(all_of(parts, frame)?),
            Kind::Or(parts) => booleans(any_of(parts, frame)?),
            Kind::Not(part) => part.evaluate(frame)?.map(|array| {
                let array = array.as_boolean();
                Ok(Arc::new(BooleanArray::new(!array.values(), array.nulls().cloned())))
            })?,
            Kind::IsNull { value, negated } => value.evaluate(frame)?.map(|array| {
                // A logical null of a null array counts too.
                let nulls = array.logical_nulls();
                let valid = nulls.map_or_else(|| BooleanBuffer::new_set(array.len()), NullBuffer::into_inner);
                Ok(Arc::new(BooleanArray::new(if *negated { valid } else { !&valid }, None)))
            })?,
            Kind::IsTruth { value, truth, negated } => value.evaluate(frame)?.map(|array| {
                let array = array.as_boolean();
                let truths = if *truth {
                    null_is_false(array)
                } else {
                    null_is_false(&BooleanArray::new(!array.values(), array.nulls().cloned()))
                };
                Ok(Arc::new(BooleanArray::new(if *negated { !&truths } else { truths }, None)))
            })?,
            Kind::InTexts { value, list, negated } => {
                let value = value.evaluate(frame)?;
                let texts = Texts::of(&value);
                let holds = |row| texts.get(row).is_some_and(|text| list.contains(text) != *negated);
                rows_where(&value, rows, holds)
            }
            Kind::InIntegers { value, list, negated } => {
                let value = value.evaluate(frame)?;
                let numbers = Numbers::<Int64Type>::of(&value);
                let holds = |row| numbers.get(row).is_some_and(|number| list.contains(&number) != *negated);
                rows_where(&value, rows, holds)
            }
            Kind::In { value, ground, list, negated } => booleans(in_list(value, ground, list, *negated, frame)?),
            Kind::Like { value, pattern, negated } => {
                let value = value.evaluate(frame)?;
                let rows = if value.constant { 1 } else { rows };
                let found = pattern.evaluate(Texts::of(&value), *negated, rows);
                Value { array: Arc::new(BooleanArray::new(found, None)), constant: value.constant }
            }
            Kind::LikeExpr { value, pattern, escape, negated } => {
                let (value, pattern) = (value.evaluate(frame)?, pattern.evaluate(frame)?);
                Value::column(like_expr(&value, &pattern, *escape, *negated, rows)?)
            }
            Kind::Case { whens, otherwise } => self.evaluate_case(whens, otherwise.as_deref(), frame)?,
            Kind::Coalesce(parts) => self.evaluate_coalesce(parts, frame)?,
            Kind::Cast { value: part, on_failure } => {
                let value = part.evaluate(frame)?;
                let array = cast::evaluate(&value, &part.data_type, &self.data_type, *on_failure)?;
                Value { array, constant: value.constant }
            }
            Kind::Widen(part) => {
                let value = part.evaluate(frame)?;
                Value { array: cast::widen(&value, &part.data_type)?, constant: value.constant }
            }
            Kind::Call { kernel, args, per_row, .. } => {
                let args = args.iter().map(|arg| arg.evaluate(frame)).collect::<Result<Vec<_>, _>>()?;
                let constant = !per_row && args.iter().all(|arg| arg.constant);
                let rows = if constant { 1 } else { rows };
                Value { array: kernel(&Call { args: &args, rows, now: frame.now })?, constant }
            }
        })
    }

    /// The values for the rows that `mask` selects, in their order.
    pub(super) fn evaluate_masked(&self, frame: &Frame<'_>, mask: &BooleanBuffer) -> Result<Value, RowError> {
        let selected = mask.count_set_bits();
        if selected == frame.rows {
            return self.evaluate(frame);
        }
        let mut used = vec![false; frame.columns.len()];
        self.mark_columns(&mut used);
        let predicate = BooleanArray::new(mask.clone(), None);
        let filter = FilterBuilder::new(&predicate).optimize().build();
        let columns =
            filter_used(frame.columns, &used, &filter, selected).map_err(|error| RowError::from_kernel(&error))?;
        self.evaluate(&Frame { columns: &columns, rows: selected, now: frame.now }).map_err(|mut error| {
            error.row = mask.set_indices().nth(error.row).unwrap_or(error.row);
            error
        })
    }

    /// The rows, among those of `mask`, for which the expression is true.
    fn truths_within(&self, frame: &Frame<'_>, mask: &BooleanBuffer) -> Result<BooleanBuffer, RowError> {
        let selected = mask.count_set_bits();
        if !self.fallible || selected == frame.rows {
            let truths = self.evaluate(frame)?.truths(frame.rows);
            return Ok(&truths & mask);
        }
        let truths = self.evaluate_masked(frame, mask)?.truths(selected);
        let mut out = vec![false; frame.rows];
        for (place, row) in mask.set_indices().enumerate() {
            out[row] = truths.value(place);
        }
        Ok(BooleanBuffer::from(out))
    }

    fn evaluate_case(
        &self,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        frame: &Frame<'_>,
    ) -> Result<Value, RowError> {
        let mut choice = Choice::new(&self.data_type, frame.rows);
        for (condition, result) in whens {
            if choice.is_settled() {
                break;
            }
            let mask = condition.truths_within(frame, &choice.open)?;
            choice.take(result, &mask, frame)?;
        }
        if let Some(otherwise) = otherwise {
            let mask = choice.open.clone();
            choice.take(otherwise, &mask, frame)?;
        }
        choice.finish()
    }

    fn evaluate_coalesce(&self, parts: &[Expr], frame: &Frame<'_>) -> Result<Value, RowError> {
        let mut choice = Choice::new(&self.data_type, frame.rows);
        for part in parts {
            if choice.is_settled() {
                break;
            }
            choice.take_valid(part, frame)?;
        }
        choice.finish()
    }
}

/// Filters the columns that are used; the others become placeholders.
pub(super) fn filter_used(
    columns: &[ArrayRef],
    used: &[bool],
    filter: &FilterPredicate,
    rows: usize,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let unused: ArrayRef = Arc::new(NullArray::new(rows));
    let filtered =
        columns.iter().zip(used).map(|(column, used)| if *used { filter.filter(column) } else { Ok(unused.clone()) });
    filtered.collect()
}

impl Value {
    /// The values that come of these, one by one.
    fn map(self, change: impl FnOnce(&ArrayRef) -> Result<ArrayRef, RowError>) -> Result<Self, RowError> {
        Ok(Self { array: change(&self.array)?, constant: self.constant })
    }
}

fn booleans(truths: BooleanBuffer) -> Value {
    Value::column(Arc::new(BooleanArray::new(truths, None)))
}

/// Whether it holds for each row of a value; once where the value is the same for all.
fn rows_where(value: &Value, rows: usize, holds: impl FnMut(usize) -> bool) -> Value {
    let rows = if value.constant { 1 } else { rows };
    let found = BooleanBuffer::collect_bool(rows, holds);
    Value { array: Arc::new(BooleanArray::new(found, None)), constant: value.constant }
}

fn in_list(
    value: &Expr,
    ground: &Ground,
    list: &[Expr],
    negated: bool,
    frame: &Frame<'_>,
) -> Result<BooleanBuffer, RowError> {
    let rows = frame.rows;
    let value = value.evaluate(frame)?;
    let mut found = BooleanBuffer::new_unset(rows);
    for item in list {
        let item = item.evaluate(frame)?;
        let equal = if value.constant && item.constant {
            let one = compare::evaluate(Comparison::Equal, ground, &value, &item, 1)?;
            BooleanBuffer::collect_bool(rows, |_| one.value(0))
        } else {
            compare::evaluate(Comparison::Equal, ground, &value, &item, rows)?
        };
        found = &found | &equal;
    }
    if negated {
        found = BooleanBuffer::collect_bool(rows, |row| !found.value(row) && !value.is_null(row));
    }
    Ok(found)
}

fn all_of(parts: &[Expr], frame: &Frame<'_>) -> Result<BooleanBuffer, RowError> {
    let mut truths = BooleanBuffer::new_set(frame.rows);
    for part in parts {
        if truths.count_set_bits() == 0 {
            break;
        }
        truths = part.truths_within(frame, &truths)?;
    }
    Ok(truths)
}

fn any_of(parts: &[Expr], frame: &Frame<'_>) -> Result<BooleanBuffer, RowError> {
    let mut open = BooleanBuffer::new_set(frame.rows);
    for part in parts {
        if open.count_set_bits() == 0 {
            break;
        }
        let truths = part.truths_within(frame, &open)?;
        open = &open & &!&truths;
    }
    Ok(!&open)
}

/// A field of rows; a row that is null has null fields.
fn field_of(rows: &StructArray, index: usize) -> ArrayRef {
    let field = rows.column(index);
    match rows.nulls() {
        None => field.clone(),
        Some(nulls) if nulls.null_count() == 0 => field.clone(),
        Some(nulls) => {
            let nulls = NullBuffer::union(Some(nulls), field.logical_nulls().as_ref());
            match field.to_data().into_builder().nulls(nulls).build() {
                Ok(data) => arrow::array::make_array(data),
                // Null arrays take no null buffer and need none.
                Err(_) => field.clone(),
            }
        }
    }
}

/// The values of one key of each map, null where a map lacks it.
fn lookup(maps: &ArrayRef, key: &ArrayRef) -> Result<ArrayRef, RowError> {
    let maps = maps.as_map();
    let wanted = arrow::array::Scalar::new(key.clone());
    let equal =
        arrow::compute::kernels::cmp::eq(maps.keys(), &wanted).map_err(|error| RowError::from_kernel(&error))?;
    let found = null_is_false(&equal);
    let offsets = maps.value_offsets();
    let places: UInt32Array = (0..maps.len())
        .map(|row| {
            let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
            // Of a key that is there twice the last value counts.
            (maps.is_valid(row)).then(|| (from..to).rev().find(|entry| found.value(*entry))).flatten()
        })
        .map(|place| place.map(|place| place as u32))
        .collect();
    take(maps.values(), &places, None).map_err(|error| RowError::from_kernel(&error))
}

/// One item of each list, null where a list has fewer.
fn item_of(lists: &ArrayRef, index: usize) -> Result<ArrayRef, RowError> {
    let lists = lists.as_list::<i32>();
    let offsets = lists.value_offsets();
    let places: UInt32Array = (0..lists.len())
        .map(|row| {
            let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
            let place = from.checked_add(index).filter(|place| *place < to && lists.is_valid(row));
            place.and_then(|place| u32::try_from(place).ok())
        })
        .collect();
    take(lists.values(), &places, None).map_err(|error| RowError::from_kernel(&error))
}

/// `LIKE` with a pattern for each row; a pattern is compiled when it differs from the row before.
fn like_expr(
    value: &Value,
    pattern: &Value,
    escape: Option<char>,
    negated: bool,
    rows: usize,
) -> Result<ArrayRef, RowError> {
    let (texts, patterns) = (Texts::of(value), Texts::of(pattern));
    let mut last: Option<(&str, Like)> = None;
    boolean_rows(rows, |row| {
        let (Some(text), Some(pattern)) = (texts.get(row), patterns.get(row)) else {
            return Ok(Some(false));
        };
        if last.as_ref().is_none_or(|(compiled, _)| *compiled != pattern) {
            last = Some((pattern, Like::compile(pattern, escape)?));
        }
        Ok(last.as_ref().map(|(_, like)| like.matches(text) != negated))
    })
}
