//! Job configs: from text to a typed, validated job (contract C).

mod options;
mod problem;
mod value;

pub use options::{OptionKind, OptionSpec, OptionTable, Options};
pub use problem::{Problem, Problems, Severity, nearest};
pub use value::{Entry, Object, Position, SECRET_MASK, Value, ValueKind, is_secret_key};
