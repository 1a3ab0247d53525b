//! The source.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use egret_runtime::config::{OptionTable, Options, Problems};
use egret_runtime::plugin::{
    FixedSplits, JobMode, PlanContext, Plugin, Source, SourceFactory, SourceReader, Split, SplitEnumerator,
    TaskContext, TaskError,
};
use egret_runtime::row::{Column, DataType, TablePath, TableSchema};

use super::Peer;
use super::options::{SOURCE_OPTIONS, peer};
use super::reader::SocketReader;

/// Id of the one split.
pub(super) const SPLIT: &str = "socket";

/// Reads lines of text from a TCP server.
pub struct SocketSource;

impl Plugin for SocketSource {
    fn name(&self) -> &'static str {
        "Socket"
    }

    fn options(&self) -> OptionTable {
        SOURCE_OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Reads lines of text from a TCP server, as the one column `value`. A batch job ends after what the server has \
         at hand at the first read, a streaming job when the server closes. There is one reader; lines that were sent \
         while nobody was connected are not read."
    }
}

impl SourceFactory for SocketSource {
    fn plan(
        &self,
        options: Options<'_>,
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn Source>, Problems> {
        let peer = peer(&options, context)?;
        let named = context.output.as_deref().map(TablePath::bare);
        let path = named.or_else(|| TablePath::parse("default.default.default", false));
        let path = path.unwrap_or_else(|| TablePath::bare("default"));
        let schema = Arc::new(TableSchema::new(path, vec![Column::new("value", DataType::String)]));
        let work = Work {
            peer,
            schema: Arc::clone(&schema),
            line_bytes_max: options.count("max_line_bytes").unwrap_or_default(),
            streaming: context.mode == JobMode::Streaming,
        };
        Ok(Arc::new(PlannedSocket { schemas: vec![schema], work: Arc::new(work) }))
    }
}

/// What a reader does.
pub(super) struct Work {
    pub peer: Peer,
    pub schema: Arc<TableSchema>,
    pub line_bytes_max: usize,
    pub streaming: bool,
}

struct PlannedSocket {
    schemas: Vec<Arc<TableSchema>>,
    work: Arc<Work>,
}

impl Source for PlannedSocket {
    fn tables(&self) -> &[Arc<TableSchema>] {
        &self.schemas
    }

    fn readers_max(&self) -> Option<usize> {
        Some(1)
    }

    fn enumerate(&self, readers: usize) -> Result<Box<dyn SplitEnumerator>, TaskError> {
        let split = Split { id: SPLIT.into(), state: Bytes::new() };
        Ok(Box::new(FixedSplits::new(readers, [split], |_, _| 0)))
    }

    fn reader(&self, context: &TaskContext) -> Result<Box<dyn SourceReader>, TaskError> {
        Ok(Box::new(SocketReader::new(Arc::clone(&self.work), Rc::clone(&context.probe))))
    }
}
