//! Numbers with one writer and any number of readers.

mod buckets;
mod counter;

pub use buckets::Buckets;
pub use counter::Counter;
