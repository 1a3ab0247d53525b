//! `Assert`: rules that the rows must keep; a broken one fails the job (contract D.3).
//!
//! What the tables alone can tell (names, columns, types, keys) is judged when the job is planned, the values row by
//! row, and the numbers of rows once all writers are done.

mod catalog;
mod field;
mod ledger;
mod options;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use egret_runtime::config::{OptionTable, Options, Problems};
use egret_runtime::plugin::{
    PlanContext, Plugin, Prepared, Sink, SinkCommitter, SinkFactory, SinkWriter, TaskContext, TaskError,
};
use egret_runtime::row::show::write_row;
use egret_runtime::row::{Batch, TableSchema};

use self::ledger::{Ledger, LedgerCommitter, WriterId, encode};
use self::rules::TableRules;

/// See the module.
pub struct Assert;

impl Plugin for Assert {
    fn name(&self) -> &'static str {
        "Assert"
    }

    fn options(&self) -> OptionTable {
        options::OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Checks rows, columns and tables against rules. A rule that is broken fails the job, with the row and the rule."
    }
}

impl SinkFactory for Assert {
    fn plan(
        &self,
        options: Options<'_>,
        inputs: &[Arc<TableSchema>],
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems> {
        let rules = rules::read(&options, inputs, context, warnings)?;
        let ledger = Arc::new(Ledger::new(inputs.len()));
        Ok(Arc::new(PlannedAssert { tables: inputs.to_vec(), rules: Arc::new(rules), ledger }))
    }
}

struct PlannedAssert {
    tables: Vec<Arc<TableSchema>>,
    /// By table.
    rules: Arc<Vec<TableRules>>,
    ledger: Arc<Ledger>,
}

#[async_trait(?Send)]
impl Sink for PlannedAssert {
    fn writer(&self, context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        let id = WriterId::of(context);
        self.ledger.begin(id, context.attempt);
        Ok(Box::new(AssertWriter {
            tables: self.tables.clone(),
            rules: Arc::clone(&self.rules),
            ledger: Arc::clone(&self.ledger),
            id,
            rows: vec![0; self.tables.len()],
            base: None,
        }))
    }

    fn committer(&self) -> Option<Box<dyn SinkCommitter>> {
        Some(Box::new(LedgerCommitter(Arc::clone(&self.ledger))))
    }

    fn commits_in_memory(&self) -> bool {
        true
    }

    fn finish(&self) -> Result<(), TaskError> {
        let totals = self.ledger.totals();
        for (table, rules) in self.tables.iter().zip(self.rules.iter()) {
            // Tables of several sources may share a path; they count together.
            let of_path = self.tables.iter().zip(&totals).filter(|(other, _)| other.path == table.path);
            let rows: u64 = of_path.map(|(_, rows)| rows).sum();
            if let Some(rule) = rules.rows.iter().find(|rule| !rule.holds(rows)) {
                let message = format!("row num :{rows} fail rule: {} (table '{}')", rule.text, table.path);
                return Err(TaskError::permanent(message));
            }
        }
        Ok(())
    }
}

struct AssertWriter {
    tables: Vec<Arc<TableSchema>>,
    rules: Arc<Vec<TableRules>>,
    ledger: Arc<Ledger>,
    id: WriterId,
    /// Rows of each table seen by this writer.
    rows: Vec<u64>,
    /// Rows of each table seen before it, known at its first checkpoint.
    base: Option<Vec<u64>>,
}

impl AssertWriter {
    fn judge(&self, batch: &Batch) -> Result<(), TaskError> {
        let index = usize::from(batch.table.0);
        let mut first: Option<(usize, &str)> = None;
        for rule in &self.rules[index].fields {
            let broken = rule.first_failure(batch.rows.column(rule.column))?;
            if let Some(row) = broken.filter(|row| first.is_none_or(|(earlier, _)| *row < earlier)) {
                first = Some((row, &rule.text));
            }
        }
        let Some((row, rule)) = first else { return Ok(()) };
        let table = &self.tables[index];
        let kind = batch.kind(row).short_name();
        let mut message = format!("row :SeaTunnelRow{{tableId={}, kind={kind}, fields=[", table.path);
        write_row(&mut message, &batch.rows, &table.columns, row);
        let number = self.rows[index] + row as u64 + 1;
        message.push_str(&format!(
            "]}} fail rule: {rule} (table '{}', row {number} of task {})",
            table.path, self.id.task
        ));
        Err(TaskError::permanent(message))
    }

    /// Rows of each table, with those before a restart.
    fn sums(&mut self) -> Vec<u64> {
        let base = self.base.get_or_insert_with(|| self.ledger.base(self.id));
        base.iter().zip(&self.rows).map(|(before, rows)| before + rows).collect()
    }
}

#[async_trait(?Send)]
impl SinkWriter for AssertWriter {
    async fn write(&mut self, batch: Batch) -> Result<(), TaskError> {
        self.judge(&batch)?;
        self.rows[usize::from(batch.table.0)] += batch.len() as u64;
        Ok(())
    }

    async fn prepare(&mut self, checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
        let sums = self.sums();
        let prepared = encode(self.id, checkpoint, &sums);
        self.ledger.tell(self.id, sums);
        Ok(vec![prepared])
    }

    async fn abort(&mut self) {}

    async fn close(&mut self) -> Result<(), TaskError> {
        let sums = self.sums();
        self.ledger.tell(self.id, sums);
        Ok(())
    }
}
