//! Tasks: what they count and what they tell while they run.

mod probe;

pub use probe::{Activity, TableStats, TaskProbe, TaskStats, VertexStats};
