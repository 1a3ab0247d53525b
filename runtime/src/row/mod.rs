//! Rows: types, tables, batches. Rows travel as Arrow record batches (see `ARCHITECTURE.md`, "The life of a row").

mod batch;
mod builder;
pub mod java_time;
pub mod literal;
mod metric_bytes;
mod schema;
pub mod show;
pub mod text;
mod types;

pub use batch::{Batch, RowKind, TableIndex};
pub use builder::{ColumnBuilder, ListColumn, MapColumn, RowColumn};
pub use java_time::{JavaPattern, PatternError};
pub use metric_bytes::metric_bytes;
pub use schema::{Column, ConstraintKey, ConstraintKind, PrimaryKey, TablePath, TableSchema};
pub use types::{DataType, Field, arrow_fields};

/// Rows that a source aims to put into one batch: large enough that the cost per batch vanishes, small enough to
/// stay in the second-level cache.
pub const BATCH_ROWS: usize = 4096;

/// Bytes at which a source closes a batch even when it has fewer rows than [`BATCH_ROWS`].
pub const BATCH_BYTES: usize = 1 << 20;

/// How long a source that gets its rows one at a time may hold a started batch back, in milliseconds.
pub const BATCH_LINGER_MS: u64 = 10;
