//! The sink.

use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use egret_runtime::config::{OptionTable, Options, Problems};
use egret_runtime::plugin::{PlanContext, Plugin, Sink, SinkFactory, SinkWriter, TaskContext, TaskError};
use egret_runtime::row::TableSchema;

use super::Peer;
use super::options::{SINK_OPTIONS, peer};
use super::writer::SocketWriter;

/// Sends rows to a TCP server.
pub struct SocketSink;

impl Plugin for SocketSink {
    fn name(&self) -> &'static str {
        "Socket"
    }

    fn options(&self) -> OptionTable {
        SINK_OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Sends each row as a JSON object to a TCP server, one behind the other with nothing between them. Rows that \
         the server's machine took but the server never read are lost with the connection: there are no receipts."
    }
}

impl SinkFactory for SocketSink {
    fn takes_many_tables(&self) -> bool {
        false
    }

    fn plan(
        &self,
        options: Options<'_>,
        inputs: &[Arc<TableSchema>],
        context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems> {
        let peer = peer(&options, context)?;
        Ok(Arc::new(PlannedSocket { peer, tables: inputs.to_vec() }))
    }
}

struct PlannedSocket {
    peer: Peer,
    tables: Vec<Arc<TableSchema>>,
}

#[async_trait(?Send)]
impl Sink for PlannedSocket {
    fn writer(&self, context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        Ok(Box::new(SocketWriter::new(self.peer.clone(), &self.tables, Rc::clone(&context.probe))))
    }
}
