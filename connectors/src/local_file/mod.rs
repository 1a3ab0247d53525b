//! LocalFile: files of this machine as a source and as a sink (contract D.4).
//!
//! Reading is split by format: a [`read::FileReader`] turns a file into batches, asking [`egret_runtime::file`] for
//! bytes. Writing likewise: a [`write::Encoder`] turns batches into bytes, and the writer deals with files, parts and
//! transactions. A further format is one of each, and a line where they are made.

mod charset;
mod commit;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod listing;
mod names;
mod options;
pub(crate) mod patterns;
mod pieces;
pub(crate) mod read;
mod reader;
mod settings;
mod sink;
mod sink_options;
mod source;
mod table;
mod target;
pub(crate) mod write;
mod writer;

pub use sink::LocalFileSink;
pub use source::LocalFileSource;

#[cfg(test)]
mod tests;
