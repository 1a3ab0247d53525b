//! Numbers with one writer and any number of readers.

mod buckets;
mod counted;
mod counter;
mod folded;
mod layout;
pub mod timeline;
mod times;

pub use buckets::Buckets;
pub use counted::Counted;
pub use counter::Counter;
pub use folded::Folded;
pub use times::{QUANTILES, Times};
