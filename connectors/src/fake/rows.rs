//! Rows written in the config.

use arrow::array::UInt8Array;
use egret_runtime::config::{Options, Problem, Problems, Value};
use egret_runtime::plugin::TaskError;
use egret_runtime::row::literal::{Literals, depends_on_time};
use egret_runtime::row::{Batch, RowKind, TableIndex, TableSchema};

use super::keep;
use super::options::ROW_OPTIONS;
use super::recipe::Report;

/// The rows of `rows`, converted.
pub(super) struct LiteralRows {
    kinds: Vec<RowKind>,
    values: Vec<Value>,
    /// `None` when they hold words for the current time and mean something else each time.
    fixed: Option<Batch>,
}

impl LiteralRows {
    /// Reads and checks all rows; what is wrong goes to the report.
    pub(super) fn read(entries: &[&Value], table: &TableSchema, report: &mut Report<'_>) -> Option<Self> {
        let mut rows = Self { kinds: Vec::new(), values: Vec::new(), fixed: None };
        let mut valid = true;
        for (index, entry) in entries.iter().enumerate() {
            let Some(object) = entry.as_object() else { continue };
            let options = Options::new(object, ROW_OPTIONS);
            let mut found = Problems::default();
            options.check(&format!("{}, rows[{index}]", report.block), &entry.position, &[], &mut found);
            valid &= !found.has_errors();
            keep(found, report.problems, report.warnings);
            let kind = options.word("kind").and_then(RowKind::parse);
            if let (Some(kind), Some(fields)) = (kind, options.value("fields")) {
                rows.kinds.push(kind);
                rows.values.push(fields.clone());
            }
        }
        let mut literals = Literals::default();
        match rows.convert(&mut literals, table) {
            Ok(batch) if !rows.values.iter().any(depends_on_time) => rows.fixed = Some(batch),
            Ok(_) => {}
            Err(problems) => {
                valid = false;
                for problem in problems.iter() {
                    report.problems.push(problem.clone().in_block(report.block).of_option("rows"));
                }
            }
        }
        for warning in literals.warnings().iter() {
            report.warnings.push(warning.clone().in_block(report.block).of_option("rows"));
        }
        if literals.digits_lost() > 0 {
            let message = format!("{} values have more digits than their columns hold", literals.digits_lost());
            report
                .warnings
                .push(Problem::warning(report.place.clone(), message).in_block(report.block).of_option("rows"));
        }
        valid.then_some(rows)
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// All rows, as they are now.
    pub(super) fn batch(&self, table: &TableSchema, index: TableIndex) -> Result<Batch, TaskError> {
        let batch = match &self.fixed {
            Some(batch) => batch.clone(),
            None => self
                .convert(&mut Literals::default(), table)
                .map_err(|problems| TaskError::permanent(problems.to_string()))?,
        };
        Ok(Batch { table: index, ..batch })
    }

    fn convert(&self, literals: &mut Literals, table: &TableSchema) -> Result<Batch, Problems> {
        let values: Vec<&Value> = self.values.iter().collect();
        let rows = literals.rows(table, &values)?;
        let inserts = self.kinds.iter().all(|kind| *kind == RowKind::Insert);
        let kinds = (!inserts).then(|| self.kinds.iter().map(|kind| *kind as u8).collect::<UInt8Array>());
        Ok(Batch { table: TableIndex(0), rows, kinds })
    }
}
