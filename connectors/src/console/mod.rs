//! `Console`: prints rows on standard output (contract D.2).

mod printer;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use egret_runtime::config::{OptionKind, OptionSpec, OptionTable, Options, Problems};
use egret_runtime::plugin::{PlanContext, Plugin, Prepared, Sink, SinkFactory, SinkWriter, TaskContext, TaskError};
use egret_runtime::row::show::write_row;
use egret_runtime::row::{Batch, TableSchema};
use egret_runtime::shard;

use self::printer::{Printer, PrinterHandle};

/// Text that is handed to the printer at a time: large enough for few system calls, small enough that rows show up
/// while the batch is still being formatted.
const PIECE_BYTES: usize = 64 << 10;

const OPTIONS: OptionTable = &[
    OptionSpec::new("log.print.data", OptionKind::Boolean, "Whether rows are printed; if not they are only counted.")
        .default("true"),
    OptionSpec::new("log.print.delay.ms", OptionKind::COUNT, "Pause after each row, in milliseconds.").default("0"),
];

/// See the module.
pub struct Console;

impl Plugin for Console {
    fn name(&self) -> &'static str {
        "Console"
    }

    fn options(&self) -> OptionTable {
        OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Prints rows on the standard output of the process, one line each."
    }
}

impl SinkFactory for Console {
    fn plan(
        &self,
        options: Options<'_>,
        inputs: &[Arc<TableSchema>],
        _context: &PlanContext,
        _warnings: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems> {
        let delay = options.integer("log.print.delay.ms").and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
        Ok(Arc::new(PlannedConsole {
            tables: inputs.to_vec(),
            print: options.boolean("log.print.data").unwrap_or(true),
            delay: Duration::from_millis(delay),
        }))
    }
}

struct PlannedConsole {
    tables: Vec<Arc<TableSchema>>,
    print: bool,
    delay: Duration,
}

impl PlannedConsole {
    fn writer_on(&self, printer: &Printer, index: usize) -> ConsoleWriter {
        let mut header = String::new();
        for table in &self.tables {
            header.push_str("output rowType: ");
            for (index, column) in table.columns.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                let _ = write!(header, "{comma}{}<{}>", column.name, column.data_type);
            }
            header.push('\n');
        }
        ConsoleWriter {
            tables: self.tables.iter().map(|table| (Arc::clone(table), table.path.to_string(), 0)).collect(),
            print: self.print,
            delay: self.delay,
            index,
            lines: header,
            hand: printer.hand(),
        }
    }
}

#[async_trait(?Send)]
impl Sink for PlannedConsole {
    fn writer(&self, context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        let printer = Printer::process()
            .map_err(|error| TaskError::transient("cannot start the thread that prints").caused_by(error))?;
        Ok(Box::new(self.writer_on(printer, context.index)))
    }
}

struct ConsoleWriter {
    /// Each table, its path as text, and the rows seen of it.
    tables: Vec<(Arc<TableSchema>, String, u64)>,
    print: bool,
    delay: Duration,
    index: usize,
    /// Lines not handed over yet.
    lines: String,
    hand: PrinterHandle,
}

impl ConsoleWriter {
    fn format(&mut self, batch: &Batch, row: usize) {
        let (table, path, seen) = &mut self.tables[usize::from(batch.table.0)];
        *seen += 1;
        if !self.print {
            return;
        }
        let (index, kind) = (self.index, batch.kind(row));
        let _ = write!(
            self.lines,
            "subtaskIndex={index}  rowIndex={seen}:  SeaTunnelRow#tableId={path} SeaTunnelRow#kind={kind} : ",
        );
        write_row(&mut self.lines, &batch.rows, &table.columns, row);
        self.lines.push('\n');
    }

    async fn hand_over(&mut self) -> Result<(), TaskError> {
        self.hand.print(std::mem::take(&mut self.lines)).await
    }
}

#[async_trait(?Send)]
impl SinkWriter for ConsoleWriter {
    /// Hands all lines over, so that nothing is held back while the source is idle.
    async fn write(&mut self, batch: Batch) -> Result<(), TaskError> {
        for row in 0..batch.len() {
            self.format(&batch, row);
            if !self.delay.is_zero() {
                self.hand_over().await?;
                shard::sleep(self.delay).await;
            } else if self.lines.len() >= PIECE_BYTES {
                self.hand_over().await?;
            }
        }
        self.hand_over().await
    }

    /// A pause after each row makes a batch long; a row that was handed over is printed all the same.
    fn can_be_interrupted(&self) -> bool {
        true
    }

    async fn prepare(&mut self, _checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
        self.hand_over().await?;
        self.hand.flush().await?;
        Ok(Vec::new())
    }

    async fn abort(&mut self) {
        self.lines.clear();
    }

    async fn close(&mut self) -> Result<(), TaskError> {
        self.hand_over().await?;
        self.hand.flush().await
    }
}

#[cfg(test)]
mod tests;
