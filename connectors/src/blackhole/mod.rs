//! `Blackhole`: takes rows and forgets them. Its only trace are the counters of its vertex, which makes it the sink to
//! measure everything else with.

use std::sync::Arc;

use async_trait::async_trait;
use egret_runtime::config::{OptionTable, Options, Problems};
use egret_runtime::plugin::{PlanContext, Plugin, Prepared, Sink, SinkFactory, SinkWriter, TaskContext, TaskError};
use egret_runtime::row::{Batch, TableSchema};

/// See the module.
pub struct Blackhole;

impl Plugin for Blackhole {
    fn name(&self) -> &'static str {
        "Blackhole"
    }

    fn options(&self) -> OptionTable {
        &[]
    }

    fn summary(&self) -> &'static str {
        "Counts rows and drops them. It has no options."
    }
}

impl SinkFactory for Blackhole {
    fn plan(
        &self,
        _options: Options<'_>,
        _inputs: &[Arc<TableSchema>],
        _context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems> {
        Ok(Arc::new(Drain))
    }
}

struct Drain;

#[async_trait(?Send)]
impl Sink for Drain {
    fn writer(&self, _context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        Ok(Box::new(Drain))
    }
}

#[async_trait(?Send)]
impl SinkWriter for Drain {
    async fn write(&mut self, batch: Batch) -> Result<(), TaskError> {
        // The task has counted the batch on its way in.
        drop(batch);
        Ok(())
    }

    async fn prepare(&mut self, _checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
        Ok(Vec::new())
    }

    async fn abort(&mut self) {}
}

#[cfg(test)]
mod tests {
    use egret_runtime::plugin::JobMode;
    use egret_runtime::row::{Column, DataType, TableIndex, TablePath};

    use super::*;
    use crate::testing::{check_page, context, write_all};

    #[test]
    fn rows_are_taken_and_dropped() {
        let table = Arc::new(TableSchema::new(TablePath::bare("t"), vec![Column::new("a", DataType::Int)]));
        let column = Arc::new(arrow::array::Int32Array::from(vec![1; 10]));
        let rows = arrow::array::RecordBatch::try_new(Arc::clone(table.arrow()), vec![column.clone()]).expect("rows");
        let context = context("sink[0] Blackhole", 1, JobMode::Batch);
        let object = egret_runtime::config::Object::default();
        let options = Options::new(&object, Blackhole.options());
        let sink = Blackhole.plan(options, &[table], &context, &mut Problems::default()).expect("a plan");
        let batch = Batch::inserts(TableIndex(0), rows);
        assert_eq!(write_all(sink.as_ref(), vec![vec![batch.clone(), batch]]).expect("written"), 20);
        assert_eq!(Arc::strong_count(&column), 1, "nothing is kept");
        check_page("blackhole.md", &[("Blackhole", Blackhole.options())]);
    }
}
