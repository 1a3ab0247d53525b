//! Http: rows from the answers of web services, and rows posted to them (contract D.5).
//!
//! [`client`] speaks HTTP over the shard's own sockets and knows nothing of rows; [`request`], [`paging`] and [`decode`]
//! are pure: what is asked, which page comes next, what an answer means. [`reader`] and [`writer`] join them.

mod client;
mod decode;
mod options;
mod paging;
mod reader;
mod request;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod url;
mod writer;

pub use sink::HttpSink;
pub use source::HttpSource;
