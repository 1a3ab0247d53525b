//! What a job has read and written, summed over its tasks (contract A.6).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::plan::JobGraph;
use crate::plugin::PluginKind;
use crate::task::TaskStats;

/// Rows and bytes with their lifetime means.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    /// Bytes by the table of contract A.6.
    pub bytes: u64,
    /// Rows a second since the tasks were made, summed over the tasks.
    pub rows_per_second: f64,
    /// Bytes a second, likewise.
    pub bytes_per_second: f64,
}

impl Totals {
    fn add(&mut self, rows: u64, bytes: u64, seconds: f64) {
        self.rows += rows;
        self.bytes += bytes;
        if seconds > 0.0 {
            self.rows_per_second += rows as f64 / seconds;
            self.bytes_per_second += bytes as f64 / seconds;
        }
    }
}

/// What a job has read and written, without its tables: what [`JobMetrics`] say, at a fraction of the cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobTotals {
    /// Rows that the sources handed out.
    pub source_rows: u64,
    /// Their bytes, by the table of contract A.6.
    pub source_bytes: u64,
    /// Rows that the sinks have written.
    pub sink_rows: u64,
    /// Their bytes.
    pub sink_bytes: u64,
    /// Warnings about data.
    pub warnings: u64,
}

impl JobTotals {
    /// Sums up what these tasks of a job count now.
    pub fn sum<'a>(graph: &JobGraph, tasks: impl IntoIterator<Item = &'a Arc<TaskStats>>) -> Self {
        let mut totals = Self::default();
        for task in tasks {
            totals.warnings += task.warnings.get();
            for counted in &task.vertices {
                let kind = graph.vertex(counted.vertex).map(|vertex| vertex.kind);
                for table in &counted.tables {
                    match kind {
                        Some(PluginKind::Source) => {
                            totals.source_rows += table.rows_out.get();
                            totals.source_bytes += table.bytes_out.get();
                        }
                        Some(PluginKind::Sink) => {
                            totals.sink_rows += table.rows_in.get();
                            totals.sink_bytes += table.bytes_in.get();
                        }
                        Some(PluginKind::Transform) | None => {}
                    }
                }
            }
        }
        totals
    }
}

impl From<&JobMetrics> for JobTotals {
    fn from(metrics: &JobMetrics) -> Self {
        Self {
            source_rows: metrics.source.rows,
            source_bytes: metrics.source.bytes,
            sink_rows: metrics.sink.rows,
            sink_bytes: metrics.sink.bytes,
            warnings: metrics.warnings,
        }
    }
}

/// What a job has read and written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobMetrics {
    /// Handed out by the sources.
    pub source: Totals,
    /// Written by the sinks.
    pub sink: Totals,
    /// [`JobMetrics::source`] by table path.
    pub source_tables: BTreeMap<Arc<str>, Totals>,
    /// [`JobMetrics::sink`] by table path.
    pub sink_tables: BTreeMap<Arc<str>, Totals>,
    /// Warnings about data.
    pub warnings: u64,
}

impl JobMetrics {
    /// Sums up what these tasks of a job count now.
    pub fn sum<'a>(graph: &JobGraph, tasks: impl IntoIterator<Item = &'a Arc<TaskStats>>) -> Self {
        let mut metrics = Self::default();
        for task in tasks {
            // Rates are per millisecond of age, as the original's meters are.
            let seconds = task.started().elapsed().as_millis().max(1) as f64 / 1000.0;
            metrics.warnings += task.warnings.get();
            for counted in &task.vertices {
                let Some(vertex) = graph.vertex(counted.vertex) else { continue };
                let (total, tables) = match vertex.kind {
                    PluginKind::Source => (&mut metrics.source, &mut metrics.source_tables),
                    PluginKind::Sink => (&mut metrics.sink, &mut metrics.sink_tables),
                    PluginKind::Transform => continue,
                };
                for (table, path) in counted.tables.iter().zip(&vertex.table_paths) {
                    let (rows, bytes) = match vertex.kind {
                        PluginKind::Source => (table.rows_out.get(), table.bytes_out.get()),
                        _ => (table.rows_in.get(), table.bytes_in.get()),
                    };
                    if rows > 0 {
                        total.add(rows, bytes, seconds);
                        tables.entry(Arc::clone(path)).or_default().add(rows, bytes, seconds);
                    }
                }
            }
        }
        metrics
    }
}
