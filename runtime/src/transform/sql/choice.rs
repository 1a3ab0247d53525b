//! Columns of which each row comes from one of several expressions: `CASE`, `COALESCE`.

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::interleave;

use super::expr::{Expr, Frame, Kind};
use super::value::{RowError, Value};
use crate::row::DataType;

/// Puts a column together from expressions that each give some of its rows.
pub(super) struct Choice<'a> {
    data_type: &'a DataType,
    rows: usize,
    /// Rows that have no value yet.
    pub(super) open: BooleanBuffer,
    arrays: Vec<ArrayRef>,
    /// For each row: which array, and which of its rows. Array 0 is one null.
    places: Vec<(usize, usize)>,
}

impl<'a> Choice<'a> {
    pub(super) fn new(data_type: &'a DataType, rows: usize) -> Self {
        Self {
            data_type,
            rows,
            open: BooleanBuffer::new_set(rows),
            arrays: vec![new_null_array(&data_type.arrow(), 1)],
            places: vec![(0, 0); rows],
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.open.count_set_bits() == 0
    }

    /// Takes the rows of `mask` from an expression.
    pub(super) fn take(&mut self, expr: &Expr, mask: &BooleanBuffer, frame: &Frame<'_>) -> Result<(), RowError> {
        if mask.count_set_bits() == 0 {
            return Ok(());
        }
        let array = self.arrays.len();
        // What costs nothing is not filtered first.
        let whole = matches!(expr.kind, Kind::Literal(_) | Kind::Column(_));
        let value = if whole { expr.evaluate(frame)? } else { expr.evaluate_masked(frame, mask)? };
        for (place, row) in mask.set_indices().enumerate() {
            self.places[row] = (array, value.index(if whole { row } else { place }));
        }
        self.arrays.push(value.array);
        self.open = &self.open & &!mask;
        Ok(())
    }

    /// Takes the open rows for which an expression is not null.
    pub(super) fn take_valid(&mut self, expr: &Expr, frame: &Frame<'_>) -> Result<(), RowError> {
        let open = self.open.clone();
        let value = expr.evaluate_masked(frame, &open)?;
        let array = self.arrays.len();
        let mut still_open = vec![false; self.rows];
        for (place, row) in open.set_indices().enumerate() {
            if value.is_null(place) {
                still_open[row] = true;
            } else {
                self.places[row] = (array, value.index(place));
            }
        }
        self.arrays.push(value.array);
        self.open = BooleanBuffer::from(still_open);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Value, RowError> {
        // One expression gave every row in order: no copy.
        if let Some(&(array, _)) = self.places.first()
            && array > 0
            && self.arrays[array].len() == self.rows
            && self.places.iter().enumerate().all(|(row, place)| *place == (array, row))
        {
            return Ok(Value::column(self.arrays[array].clone()));
        }
        debug_assert!(self.arrays.iter().all(|array| *array.data_type() == self.data_type.arrow()));
        let arrays: Vec<&dyn Array> = self.arrays.iter().map(AsRef::as_ref).collect();
        interleave(&arrays, &self.places).map(Value::column).map_err(|error| RowError::from_kernel(&error))
    }
}
