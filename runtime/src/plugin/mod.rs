//! What a plugin is: sources, transforms and sinks behind traits that are made for exactly-once.
//!
//! A plugin has two lives. At **plan time** its factory reads the options and answers with an immutable plan
//! ([`Source`], [`TransformPlan`], [`Sink`]) that knows the tables; nothing has been read or written yet, save for
//! file headers that hold a schema. At **run time** the plan makes one worker for each parallel task
//! ([`SourceReader`], [`Transform`], [`SinkWriter`]). Workers live on one work executor and never move, so they need
//! not be `Send`; plans are shared by all tasks of the job.
//!
//! Exactly-once in short (see `ARCHITECTURE.md`, "Exactly-once"): a reader's position is its splits, as bytes; on a
//! barrier a task takes [`SourceReader::snapshot`], a writer seals what it wrote in [`SinkWriter::prepare`]; once the
//! checkpoint that holds both is durable, [`SinkCommitter::commit`] publishes it, as often as it takes.

mod error;
mod fixed_splits;
pub mod reference;
mod registry;

pub use error::TaskError;
pub use fixed_splits::FixedSplits;
pub use registry::{PluginKind, Registry};

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;

use crate::config::{OptionTable, Options, Position, Problem, Problems};
use crate::row::{Batch, TableSchema};
use crate::task::TaskProbe;

/// Batch or streaming (contract B.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobMode {
    /// Bounded sources; the job ends with them.
    #[default]
    Batch,
    /// The job runs until it is stopped.
    Streaming,
}

/// What a factory learns about the block that it plans.
#[derive(Clone, Debug)]
pub struct PlanContext {
    /// Id of the job; 0 where a config is only checked.
    pub job_id: u64,
    /// Name of the job.
    pub job_name: Arc<str>,
    /// Batch or streaming.
    pub mode: JobMode,
    /// Parallel tasks that the block will have.
    pub parallelism: usize,
    /// The block for messages: `source[0] FakeSource`.
    pub block: String,
    /// The plugin name as written in the config.
    pub plugin_name: Arc<str>,
    /// Where the block stands.
    pub position: Position,
    /// `plugin_output` (`result_table_name`), if given.
    pub output: Option<Arc<str>>,
    /// Whether the job goes on from a savepoint: save modes are then skipped (contract B.7), unless it was made before
    /// they were carried out.
    pub restored: bool,
}

impl PlanContext {
    /// An error about the block, ready to be given an option and a place.
    pub fn error(&self, message: impl Into<String>) -> Problem {
        Problem::error(self.position.clone(), message).in_block(self.block.clone())
    }

    /// A warning about the block.
    pub fn warning(&self, message: impl Into<String>) -> Problem {
        Problem::warning(self.position.clone(), message).in_block(self.block.clone())
    }
}

/// What a worker learns about the task that it serves.
#[derive(Clone)]
pub struct TaskContext {
    /// Id of the job.
    pub job_id: u64,
    /// Index of this task among the block's parallel tasks.
    pub index: usize,
    /// How many parallel tasks the block has.
    pub parallelism: usize,
    /// Start of the task's pipeline, counted from 0: a pipeline that is restarted counts up.
    pub attempt: u32,
    /// What the task is doing, told to whoever asks; also the way to count warnings.
    pub probe: Rc<TaskProbe>,
}

/// What every plugin tells about itself.
pub trait Plugin: Send + Sync {
    /// Its name; configs may write it in any case.
    fn name(&self) -> &'static str;

    /// Its options. Options that every block has (`plugin_input`, `parallelism`, ...) are not among them.
    fn options(&self) -> OptionTable;

    /// One paragraph for the documentation.
    fn summary(&self) -> &'static str;
}

// ------------------------------------------------------------------------------------------------ sources

/// Makes [`Source`]s from options.
pub trait SourceFactory: Plugin {
    /// Reads the options, which [`Options::check`] has found valid one by one.
    ///
    /// # Errors
    /// With every further problem of the block.
    fn plan(
        &self,
        options: Options<'_>,
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn Source>, Problems>;
}

/// A planned source.
pub trait Source: Send + Sync {
    /// The tables that the rows belong to; [`Batch::table`] points into this list. Never empty.
    fn tables(&self) -> &[Arc<TableSchema>];

    /// The largest number of readers that can share the work; `None` when there is no such bound. Single-reader
    /// sources say 1.
    fn readers_max(&self) -> Option<usize> {
        None
    }

    /// Divides the work. Called once for each start of the pipeline, on a thread that may block.
    ///
    /// # Errors
    /// When the input cannot be listed.
    fn enumerate(&self, readers: usize) -> Result<Box<dyn SplitEnumerator>, TaskError>;

    /// A reader for one task.
    ///
    /// # Errors
    /// When it cannot be made.
    fn reader(&self, context: &TaskContext) -> Result<Box<dyn SourceReader>, TaskError>;
}

/// A part of a source's input and how far it has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Names the part within the source; the same for the same input on every start.
    pub id: Arc<str>,
    /// What the source needs to begin or go on, in the source's own encoding.
    pub state: Bytes,
}

/// Hands out splits to the readers of a pipeline. Calls are short; they hold a lock that the pipeline's tasks share.
pub trait SplitEnumerator: Send {
    /// Answers a reader that has nothing to read.
    fn assign(&mut self, reader: usize) -> Assignment;

    /// Splits come back: those of a checkpoint that the pipeline goes on from, after
    /// [`restore_snapshot`](Self::restore_snapshot) and before the first [`assign`](Self::assign). They replace fresh
    /// splits of the same id. There is a list for each reader of this start: of those that reader `i` had then,
    /// `i % readers` takes over (contract B.7).
    fn restore(&mut self, splits: Vec<Vec<Split>>);

    /// Whatever else must survive (which inputs were handed out already).
    fn snapshot(&self) -> Bytes;

    /// Takes what [`snapshot`](Self::snapshot) gave.
    ///
    /// # Errors
    /// When the bytes are not a snapshot of this source.
    fn restore_snapshot(&mut self, snapshot: &[u8]) -> Result<(), TaskError>;
}

/// Answer of a [`SplitEnumerator`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// Read these.
    Splits(Vec<Split>),
    /// Nothing now; ask again at this time.
    Wait(Instant),
    /// Nothing, now or ever.
    NoMore,
}

/// Reads splits, in one task.
#[async_trait(?Send)]
pub trait SourceReader {
    /// Takes further splits to read.
    ///
    /// # Errors
    /// When a split's state cannot be understood.
    fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError>;

    /// The next rows. Between two batches the task looks at its stop flag, takes barriers and gives way, so a batch
    /// should hold a few thousand rows ([`BATCH_ROWS`](crate::row::BATCH_ROWS)) or one
    /// [`BATCH_BYTES`](crate::row::BATCH_BYTES).
    ///
    /// The future may be dropped while it waits for input, for a barrier say: what was read but not returned must
    /// not be lost then.
    ///
    /// # Errors
    /// When input cannot be read or does not fit the schema.
    async fn next(&mut self) -> Result<Progress, TaskError>;

    /// From now on a batch should hold at most so many rows: the job has a read limit, and a barrier waits until the
    /// batch that was read is out. Readers that cannot cut their batches leave this as it is.
    fn limit_rows(&mut self, _rows: usize) {}

    /// The splits that are not read to their end, with the position behind the last row that [`next`](Self::next)
    /// returned.
    ///
    /// # Errors
    /// When the position cannot be told.
    fn snapshot(&mut self) -> Result<Vec<Split>, TaskError>;

    /// The checkpoint that holds this reader's snapshot is durable.
    ///
    /// # Errors
    /// When the input's own bookkeeping (offsets in a broker) cannot be brought up to date.
    async fn checkpoint_completed(&mut self, _checkpoint: u64) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Answer of [`SourceReader::next`].
#[derive(Debug)]
pub enum Progress {
    /// Rows, in the order of the input.
    Rows(Batch),
    /// Every split taken so far is read to its end.
    NeedSplits,
    /// Nothing before this time (`split.read-interval`, a poll interval): the task sleeps until then.
    Idle(Instant),
    /// The source has ended for good although it may hold unfinished input (an unbounded source was told to stop).
    End,
}

// --------------------------------------------------------------------------------------------- transforms

/// Makes [`TransformPlan`]s from options.
pub trait TransformFactory: Plugin {
    /// Reads the options against one input table. A block that reads several tables is planned once for each.
    ///
    /// # Errors
    /// With every further problem of the block (an unknown column, a query that does not parse, ...).
    fn plan(
        &self,
        options: Options<'_>,
        input: &Arc<TableSchema>,
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn TransformPlan>, Problems>;
}

/// A planned transform of one table.
pub trait TransformPlan: Send + Sync {
    /// The table it gives.
    fn output(&self) -> &Arc<TableSchema>;

    /// A worker for one task.
    ///
    /// # Errors
    /// When it cannot be made.
    fn transform(&self, context: &TaskContext) -> Result<Box<dyn Transform>, TaskError>;
}

/// Changes batches, in one task.
pub trait Transform {
    /// The rows that come of these; may be fewer, may be none. The batch keeps its [`Batch::table`].
    ///
    /// # Errors
    /// When a row cannot be transformed.
    fn apply(&mut self, batch: Batch) -> Result<Batch, TaskError>;
}

// -------------------------------------------------------------------------------------------------- sinks

/// Makes [`Sink`]s from options.
pub trait SinkFactory: Plugin {
    /// Whether one sink takes several tables: its vertex is then named `Sink[i]-X-MultiTableSink` (contract A.5),
    /// else there is one sink for each table.
    fn takes_many_tables(&self) -> bool {
        true
    }

    /// Whether the sink replaces words of the table (`${table_name}`, contract C.4) in its options itself. Of others
    /// the planner plans one for each table, with the words replaced.
    fn fills_table_words(&self) -> bool {
        false
    }

    /// Reads the options against the tables that will be written.
    ///
    /// # Errors
    /// With every further problem of the block.
    fn plan(
        &self,
        options: Options<'_>,
        inputs: &[Arc<TableSchema>],
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems>;
}

/// A planned sink.
#[async_trait(?Send)]
pub trait Sink: Send + Sync {
    /// Brings the target into shape before the first task runs (schema and data save modes, contract C.7). Runs on
    /// a work executor; not on a start from a savepoint.
    ///
    /// # Errors
    /// When the target is not as the save mode demands, or cannot be changed.
    async fn prepare_target(&self) -> Result<(), TaskError> {
        Ok(())
    }

    /// A writer for one task. [`Batch::table`] points into the inputs that the sink was planned with.
    ///
    /// # Errors
    /// When it cannot be made.
    fn writer(&self, context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError>;

    /// The one that publishes what writers prepared; `None` for sinks whose rows are out as soon as written.
    fn committer(&self) -> Option<Box<dyn SinkCommitter>> {
        None
    }

    /// Whether commits only keep sums in this process (Assert's row counts). They are then repeated when the job goes on
    /// from a savepoint, and the sink takes no slot of its own for them (contract B.3).
    fn commits_in_memory(&self) -> bool {
        false
    }

    /// Looks at the whole of what was written (Assert's row rules), once every task's writer has closed without an error
    /// and before what they prepared last is published: a sink that does not agree keeps the other sinks' rows back
    /// too. May be asked twice.
    ///
    /// # Errors
    /// When the job must fail after all.
    fn finish(&self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// What a writer sealed and a committer publishes, in the sink's own encoding. Small: names, not rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared(pub Bytes);

/// Writes rows, in one task.
#[async_trait(?Send)]
pub trait SinkWriter {
    /// Takes rows. May hold them back until [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// When rows are refused or the target cannot be written.
    async fn write(&mut self, batch: Batch) -> Result<(), TaskError>;

    /// Whether a stop of the job may drop [`write`](Self::write) wherever it waits; [`abort`](Self::abort) is the only
    /// call that follows then. A writer that paces itself says so, or the stop takes as long as its batch.
    fn can_be_interrupted(&self) -> bool {
        false
    }

    /// Seals everything written since the last call so that a later commit cannot fail for lack of data: flushed,
    /// synced, closed. Called at every barrier and at the end of the input.
    ///
    /// # Errors
    /// When it cannot be sealed; the checkpoint then fails and the pipeline with it.
    async fn prepare(&mut self, checkpoint: u64) -> Result<Vec<Prepared>, TaskError>;

    /// Drops what was written and not prepared, and lets go of the target. Also the end of a writer after a failure.
    async fn abort(&mut self);

    /// The regular end, after the last [`prepare`](Self::prepare).
    ///
    /// # Errors
    /// When the target does not let go cleanly.
    async fn close(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Publishes what writers prepared. Runs on a work executor, one call at a time.
#[async_trait(?Send)]
pub trait SinkCommitter {
    /// Publishes. Idempotent: after a crash the same pieces come again, published or not.
    ///
    /// # Errors
    /// When a piece is neither published nor there to be published.
    async fn commit(&mut self, prepared: &[Prepared]) -> Result<(), TaskError>;

    /// Drops prepared pieces that will not be published. What cannot be dropped is logged.
    async fn abort(&mut self, prepared: &[Prepared]);
}
