//! Values on their way through an expression: a column, or one value that stands for every row.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Datum, PrimitiveArray, PrimitiveBuilder, Scalar,
    StringArray, StringBuilder, UInt32Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::take;

/// Bytes of text that one column of a batch may hold: Arrow counts them in 31 bits.
const COLUMN_BYTES_MAX: usize = i32::MAX as usize;

/// Why an expression has no value for a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowError {
    /// The row within the rows that were evaluated.
    pub row: usize,
    /// What went wrong with it.
    pub message: String,
}

impl RowError {
    pub(super) fn new(row: usize, message: impl Into<String>) -> Self {
        Self { row, message: message.into() }
    }

    /// An error of a kernel, which says nothing about rows.
    pub(super) fn from_kernel(error: &arrow::error::ArrowError) -> Self {
        Self::new(0, error.to_string())
    }
}

/// The values of an expression.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// One value for each row, or exactly one for all of them.
    pub array: ArrayRef,
    /// Whether the one value stands for all rows.
    pub constant: bool,
}

impl Value {
    /// One value for each row.
    pub(super) fn column(array: ArrayRef) -> Self {
        Self { array, constant: false }
    }

    /// One value for all rows.
    pub(super) fn constant(array: ArrayRef) -> Self {
        debug_assert_eq!(array.len(), 1);
        Self { array, constant: true }
    }

    /// The values as an array of `rows` rows.
    pub(super) fn into_array(self, rows: usize) -> Result<ArrayRef, RowError> {
        if !self.constant {
            return Ok(self.array);
        }
        if rows == 1 {
            return Ok(self.array);
        }
        let zeros = UInt32Array::from(vec![0; rows]);
        take(&self.array, &zeros, None).map_err(|error| RowError::from_kernel(&error))
    }

    /// Where the value of a row stands in the array.
    pub(super) fn index(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    /// Whether the value of a row is null.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(self.index(row))
    }

    /// The form in which Arrow's kernels take columns and scalars.
    pub(super) fn datum(&self) -> Box<dyn Datum> {
        if self.constant { Box::new(Scalar::new(self.array.clone())) } else { Box::new(self.array.clone()) }
    }

    /// The rows that are true; null counts as false.
    pub(super) fn truths(&self, rows: usize) -> BooleanBuffer {
        let truths = null_is_false(self.array.as_boolean());
        if !self.constant {
            truths
        } else if truths.value(0) {
            BooleanBuffer::new_set(rows)
        } else {
            BooleanBuffer::new_unset(rows)
        }
    }
}

/// The bits that are true and not null.
pub(super) fn null_is_false(array: &BooleanArray) -> BooleanBuffer {
    match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    }
}

/// Reads the texts of a value.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    array: &'a StringArray,
    constant: bool,
}

impl<'a> Texts<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        Self { array: value.array.as_string::<i32>(), constant: value.constant }
    }

    pub(super) fn get(&self, row: usize) -> Option<&'a str> {
        let index = if self.constant { 0 } else { row };
        self.array.is_valid(index).then(|| self.array.value(index))
    }

    /// Bytes of all texts together, the constant counted for each row.
    pub(super) fn bytes(&self, rows: usize) -> usize {
        if self.constant { self.array.value(0).len() * rows } else { self.array.values().len() }
    }
}

/// Reads the numbers (or days, or nanoseconds) of a value.
pub(super) struct Numbers<'a, T: ArrowPrimitiveType> {
    values: &'a [T::Native],
    nulls: Option<&'a NullBuffer>,
    constant: bool,
}

impl<'a, T: ArrowPrimitiveType> Numbers<'a, T> {
    pub(super) fn of(value: &'a Value) -> Self {
        let array: &PrimitiveArray<T> = value.array.as_primitive::<T>();
        Self { values: array.values(), nulls: array.nulls(), constant: value.constant }
    }

    pub(super) fn get(&self, row: usize) -> Option<T::Native> {
        let index = if self.constant { 0 } else { row };
        if self.nulls.is_some_and(|nulls| nulls.is_null(index)) { None } else { Some(self.values[index]) }
    }
}

/// Collects texts, row by row, without an allocation for each.
pub(super) struct TextBuilder {
    inner: StringBuilder,
}

impl TextBuilder {
    fn new(rows: usize, bytes: usize) -> Self {
        Self { inner: StringBuilder::with_capacity(rows, bytes.min(1 << 24)) }
    }

    /// Adds to the row's text.
    pub(super) fn push(&mut self, text: &str) -> Result<(), String> {
        self.room_for(text.len())?;
        // Writing to memory does not fail.
        let _ = std::fmt::Write::write_str(&mut self.inner, text);
        Ok(())
    }

    /// Adds a character to the row's text.
    pub(super) fn push_char(&mut self, letter: char) -> Result<(), String> {
        self.push(letter.encode_utf8(&mut [0; 4]))
    }

    /// Refuses texts that the column has no room for, before they are made.
    pub(super) fn room_for(&self, bytes: usize) -> Result<(), String> {
        if self.inner.values_slice().len().saturating_add(bytes) > COLUMN_BYTES_MAX {
            return Err(format!("the texts of one batch exceed {COLUMN_BYTES_MAX} bytes"));
        }
        Ok(())
    }
}

/// Makes texts: `write` writes the text of a row, or gives `None`, before writing, for null.
pub(super) fn text_rows(
    rows: usize,
    bytes: usize,
    mut write: impl FnMut(usize, &mut TextBuilder) -> Result<Option<()>, String>,
) -> Result<ArrayRef, RowError> {
    let mut out = TextBuilder::new(rows, bytes);
    for row in 0..rows {
        match write(row, &mut out).map_err(|message| RowError::new(row, message))? {
            Some(()) => out.inner.append_value(""),
            None => out.inner.append_null(),
        }
    }
    Ok(Arc::new(out.inner.finish()))
}

/// Makes numbers, `None` being null.
pub(super) fn number_rows<T: ArrowPrimitiveType>(
    rows: usize,
    mut value: impl FnMut(usize) -> Result<Option<T::Native>, String>,
) -> Result<ArrayRef, RowError> {
    let mut out = PrimitiveBuilder::<T>::with_capacity(rows);
    for row in 0..rows {
        out.append_option(value(row).map_err(|message| RowError::new(row, message))?);
    }
    Ok(Arc::new(out.finish()))
}

/// Makes booleans, `None` being null.
pub(super) fn boolean_rows(
    rows: usize,
    mut value: impl FnMut(usize) -> Result<Option<bool>, String>,
) -> Result<ArrayRef, RowError> {
    let mut out = arrow::array::BooleanBuilder::with_capacity(rows);
    for row in 0..rows {
        out.append_option(value(row).map_err(|message| RowError::new(row, message))?);
    }
    Ok(Arc::new(out.finish()))
}

/// Gives the value of an option, or ends the closure with null.
macro_rules! some {
    ($option:expr) => {
        match $option {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}
pub(super) use some;
