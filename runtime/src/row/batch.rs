//! Batches: rows of one table on their way through a job.

use std::fmt;

use arrow::array::{Array, BooleanArray, RecordBatch, UInt8Array};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;

/// What a row does to the table it belongs to (contract C.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RowKind {
    /// `+I`
    Insert = 0,
    /// `-U`: the row as it was.
    UpdateBefore = 1,
    /// `+U`: the row as it is now.
    UpdateAfter = 2,
    /// `-D`
    Delete = 3,
}

impl RowKind {
    /// All kinds, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::Insert, Self::UpdateBefore, Self::UpdateAfter, Self::Delete];

    /// The kind of a code that [`Batch::kinds`] holds. Codes outside 0 to 3 do not occur there.
    pub fn from_code(code: u8) -> Self {
        Self::ALL[usize::from(code & 3)]
    }

    /// `INSERT`, `UPDATE_BEFORE`, `UPDATE_AFTER`, `DELETE`.
    pub fn name(self) -> &'static str {
        ["INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE"][self as usize]
    }

    /// `+I`, `-U`, `+U`, `-D`.
    pub fn short_name(self) -> &'static str {
        ["+I", "-U", "+U", "-D"][self as usize]
    }

    /// Reads the long or the short name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(text) || kind.short_name().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Position of a table in the list of tables that a vertex sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableIndex(pub u16);

/// Rows of one table.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which of the vertex' tables the rows belong to.
    pub table: TableIndex,
    /// The rows; columns as in the table's [`arrow`](super::TableSchema::arrow) schema.
    pub rows: RecordBatch,
    /// One [`RowKind`] code for each row, never null; `None` when every row is an insert.
    pub kinds: Option<UInt8Array>,
}

impl Batch {
    /// A batch of inserts.
    pub fn inserts(table: TableIndex, rows: RecordBatch) -> Self {
        Self { table, rows, kinds: None }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Kind of a row.
    pub fn kind(&self, row: usize) -> RowKind {
        self.kinds.as_ref().map_or(RowKind::Insert, |kinds| RowKind::from_code(kinds.value(row)))
    }

    /// Rows `offset .. offset + length`, without a copy.
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            table: self.table,
            rows: self.rows.slice(offset, length),
            kinds: self.kinds.as_ref().map(|kinds| kinds.slice(offset, length)),
        }
    }

    /// The rows for which `keep` is true; null counts as false.
    ///
    /// # Errors
    /// When `keep` has another length than the batch.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        let kinds = match &self.kinds {
            None => None,
            Some(kinds) => {
                let kept = arrow::compute::filter(kinds, keep)?;
                kept.as_any().downcast_ref::<UInt8Array>().cloned()
            }
        };
        Ok(Self { table: self.table, rows: filter_record_batch(&self.rows, keep)?, kinds })
    }

    /// Bytes of memory that the batch keeps alive; buffers that are shared count in full.
    pub fn memory_bytes(&self) -> usize {
        self.rows.get_array_memory_size() + self.kinds.as_ref().map_or(0, |kinds| kinds.get_array_memory_size())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int32Array;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn kinds_are_filtered_and_sliced_with_their_rows() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, true)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from(vec![1, 2, 3]))]).expect("rows");
        let batch = Batch { table: TableIndex(0), rows, kinds: Some(UInt8Array::from(vec![0, 3, 2])) };
        let kept = batch.filter(&BooleanArray::from(vec![false, true, true])).expect("filter");
        assert_eq!((kept.len(), kept.kind(0), kept.kind(1)), (2, RowKind::Delete, RowKind::UpdateAfter));
        assert_eq!(batch.slice(1, 1).kind(0), RowKind::Delete);
    }

    #[test]
    fn row_kinds_are_read_by_either_name() {
        for kind in RowKind::ALL {
            assert_eq!(RowKind::parse(kind.name()), Some(kind));
            assert_eq!(RowKind::parse(kind.short_name()), Some(kind));
            assert_eq!(RowKind::from_code(kind as u8), kind);
        }
        assert_eq!(RowKind::parse("upsert"), None);
    }
}
