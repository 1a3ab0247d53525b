//! The run of a task: take rows, pass them through the chain, look at the orders between two batches.

use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures_lite::future::or;

use super::chain::{ChainTask, Sealed, TaskOutcome};
use super::control::{Order, TaskControl};
use super::limit::Pace;
use super::measured::{Measured, Took};
use super::probe::{Activity, TaskProbe, VertexStats};
use super::times::TaskTime;
use crate::flow::{Disconnected, Inputs, Message, Received};
use crate::plan::{ChainVertex, TableMap, VertexWork};
use crate::plugin::{Assignment, Prepared, Progress, SinkWriter, SourceReader, TaskContext, TaskError, Transform};
use crate::row::{Batch, TableSchema, metric_bytes};
use crate::shard;

/// Why a task stops before the end of its input.
enum Exit {
    Stopped,
    Failed(TaskError),
}

impl From<TaskError> for Exit {
    fn from(error: TaskError) -> Self {
        Self::Failed(error)
    }
}

/// The neighbour has failed or was stopped and says so itself.
impl From<Disconnected> for Exit {
    fn from(_: Disconnected) -> Self {
        Self::Stopped
    }
}

/// Where rows come from.
enum Head {
    Source(Box<dyn SourceReader>),
    Links(Inputs),
}

/// A vertex behind the head.
enum Stage {
    /// For each transform in turn, the worker of each table.
    Transforms(Vec<Vec<Box<dyn Transform>>>),
    Sink(Box<dyn SinkWriter>),
}

/// A task while it runs.
pub(super) struct Running {
    task: ChainTask,
    probe: Rc<TaskProbe>,
    stages: Vec<Stage>,
    /// Newest checkpoint that this task has taken part in.
    checkpoint: u64,
    /// The read limits of a source task.
    pace: Option<Pace>,
}

/// Longest that a barrier waits for the rest of a paced batch.
const BARRIER_WAIT: Duration = Duration::from_secs(1);

impl Running {
    pub async fn run(task: ChainTask) -> TaskOutcome {
        let probe = Rc::new(TaskProbe::new(Arc::clone(&task.stats)));
        let context = TaskContext {
            job_id: task.job_id,
            index: task.id.index,
            parallelism: task.pipeline().parallelism,
            attempt: task.attempt,
            probe: Rc::clone(&probe),
        };
        let checkpoint = task.checkpoint;
        let pace = Pace::new(task.limits);
        let mut running = Self { task, probe: Rc::clone(&probe), stages: Vec::new(), checkpoint, pace };
        let ended = match running.open(&context) {
            Ok(head) => running.flow(head).await,
            Err(error) => Err(error.into()),
        };
        let outcome = match ended {
            Ok(pieces) => TaskOutcome::Finished(pieces),
            Err(exit) => {
                running.abort().await;
                match exit {
                    Exit::Stopped => TaskOutcome::Stopped,
                    Exit::Failed(error) => TaskOutcome::Failed(error),
                }
            }
        };
        probe.enter(Activity::Ended, 0);
        outcome
    }

    /// Makes the workers of the chain.
    fn open(&mut self, context: &TaskContext) -> Result<Head, TaskError> {
        let plan = Arc::clone(&self.task.plan);
        let pipeline = &plan.pipelines[self.task.pipeline];
        for vertex in &pipeline.chains[self.task.id.chain].vertices {
            match &vertex.work {
                VertexWork::Source => {}
                VertexWork::Transforms(steps) => {
                    let mut workers = Vec::with_capacity(steps.len());
                    for tables in steps {
                        let step: Result<Vec<_>, _> = tables.iter().map(|plan| plan.transform(context)).collect();
                        workers.push(step?);
                    }
                    self.stages.push(Stage::Transforms(workers));
                }
                VertexWork::Sink { sink } => self.stages.push(Stage::Sink(plan.sinks[*sink].writer(context)?)),
            }
        }
        Ok(match self.task.chain().inputs {
            None => Head::Source(pipeline.source.reader(context)?),
            Some(_) => Head::Links(Inputs::new(std::mem::take(&mut self.task.inputs))),
        })
    }

    async fn flow(&mut self, head: Head) -> Result<Vec<Prepared>, Exit> {
        match head {
            Head::Source(reader) => self.flow_from_source(reader).await?,
            Head::Links(inputs) => self.flow_from_links(inputs).await?,
        }
        self.end().await
    }

    async fn flow_from_source(&mut self, mut reader: Box<dyn SourceReader>) -> Result<(), Exit> {
        let vertex = self.vertex_id(0);
        let mut pace = self.pace.take();
        if let Some(pace) = &pace {
            reader.limit_rows(pace.rows_at_once(0.0));
        }
        loop {
            match self.task.control.order(self.checkpoint) {
                Some(Order::Stop) => return Err(Exit::Stopped),
                Some(Order::Barrier(checkpoint)) => {
                    let begun = Instant::now();
                    let splits = reader.snapshot()?;
                    let pieces = self.pass_barrier(checkpoint).await?;
                    self.sealed(begun, Sealed { checkpoint, splits, pieces });
                    if self.task.control.is_last(checkpoint) {
                        // Rows that were read now would be written, and read again by the job that goes on from here.
                        self.probe.enter(Activity::Idle, vertex);
                        return stopped(Arc::clone(&self.task.control)).await;
                    }
                    continue;
                }
                None => {}
            }
            self.probe.enter(Activity::Reading, vertex);
            let control = Arc::clone(&self.task.control);
            let done = self.checkpoint;
            let ordered = async {
                control.ordered(done).await;
                Ok(None)
            };
            let next = async { reader.next().await.map(Some) };
            let (progress, took) = Measured::new(Box::pin(or(ordered, next))).await;
            self.count(took);
            match progress? {
                None => {}
                Some(Progress::Rows(batch)) => match &mut pace {
                    None => self.take_in(batch, true).await?,
                    Some(pace) => {
                        let rows = self.take_in_paced(batch, pace).await?;
                        reader.limit_rows(rows);
                    }
                },
                Some(Progress::End) => return Ok(()),
                Some(Progress::Idle(until)) => self.idle_until(until, vertex).await,
                Some(Progress::NeedSplits) => {
                    let assignment = {
                        let mut splits = self.task.splits.lock().unwrap_or_else(PoisonError::into_inner);
                        splits.assign(self.task.id.index, self.checkpoint)
                    };
                    match assignment {
                        Assignment::Splits(splits) => reader.add_splits(splits)?,
                        Assignment::Wait(until) => self.idle_until(until, vertex).await,
                        Assignment::NoMore => return Ok(()),
                    }
                }
            }
        }
    }

    async fn flow_from_links(&mut self, mut inputs: Inputs) -> Result<(), Exit> {
        let vertex = self.vertex_id(0);
        loop {
            self.probe.enter(Activity::Reading, vertex);
            let control = Arc::clone(&self.task.control);
            let stopped = async {
                // Barriers come through the links; the only order that concerns this task is to stop.
                control.ordered(u64::MAX).await;
                Err(Disconnected)
            };
            let (received, took) = Measured::new(Box::pin(or(stopped, inputs.receive()))).await;
            self.count(took);
            match received? {
                Received::Batch(link, batch) => {
                    let chain = self.task.chain();
                    let map =
                        chain.inputs.as_ref().map(|links| Arc::clone(&self.task.pipeline().links[links[link]].tables));
                    if let Some(batch) = map.and_then(|map| translate(&map, batch)) {
                        self.take_in(batch, false).await?;
                    }
                }
                Received::Barrier(checkpoint) => {
                    let begun = Instant::now();
                    let pieces = self.pass_barrier(checkpoint).await?;
                    self.sealed(begun, Sealed { checkpoint, splits: Vec::new(), pieces });
                }
                Received::End => return Ok(()),
            }
        }
    }

    /// Passes a batch through the chain in pieces, no faster than the read limits allow. Gives how many rows the next
    /// batch should have.
    ///
    /// The reader stands behind the whole batch, so a barrier waits until it is out. When that takes too long the rest
    /// goes at once, and is waited for afterwards.
    async fn take_in_paced(&mut self, batch: Batch, pace: &mut Pace) -> Result<usize, Exit> {
        let plan = Arc::clone(&self.task.plan);
        let source = &plan.pipelines[self.task.pipeline].chains[self.task.id.chain].vertices[0];
        let counts_bytes = pace.counts_bytes();
        let counted = |batch: &Batch| if counts_bytes { bytes_of(batch, source) } else { 0 };
        let row_bytes = counted(&batch) as f64 / batch.len().max(1) as f64;
        let rows_at_once = pace.rows_at_once(row_bytes);
        let (mut offset, mut at_once) = (0, false);
        while offset < batch.len() {
            let left = batch.len() - offset;
            let piece = batch.slice(offset, left.min(rows_at_once));
            let due = pace.pay(piece.len() as u64, counted(&piece), Instant::now());
            let rest = pace.time_of(left as u64, (row_bytes * left as f64) as u64);
            if !at_once {
                at_once = self.wait_for_limit(due, rest > BARRIER_WAIT).await?;
            }
            offset += piece.len();
            self.take_in(piece, true).await?;
        }
        Ok(rows_at_once)
    }

    /// Sleeps until the read limits allow more; true when a barrier that will not wait came before.
    async fn wait_for_limit(&self, due: Instant, for_barriers: bool) -> Result<bool, Exit> {
        if due <= Instant::now() && !self.task.control.is_stopped() {
            return Ok(false);
        }
        self.probe.enter(Activity::Idle, self.vertex_id(0));
        let control = Arc::clone(&self.task.control);
        let done = if for_barriers { self.checkpoint } else { u64::MAX };
        let ordered = async { Some(control.ordered(done).await) };
        let slept = async {
            shard::sleep_until(due).await;
            None
        };
        let (order, took) = Measured::new(Box::pin(or(ordered, slept))).await;
        self.count(took);
        match order {
            None => Ok(false),
            Some(Order::Barrier(_)) => Ok(true),
            Some(Order::Stop) => Err(Exit::Stopped),
        }
    }

    async fn idle_until(&mut self, until: Instant, vertex: u32) {
        self.probe.enter(Activity::Idle, vertex);
        let control = Arc::clone(&self.task.control);
        let done = self.checkpoint;
        let ordered = async {
            control.ordered(done).await;
        };
        let ((), took) = Measured::new(Box::pin(or(ordered, shard::sleep_until(until)))).await;
        self.count(took);
    }

    fn count(&self, took: Took) {
        let stats = self.probe.stats();
        stats.busy_ns.add(took.busy_ns);
        stats.idle_ns.add(took.waited_ns);
    }

    fn vertex_id(&self, position: usize) -> u32 {
        self.task.chain().vertices[position].vertex
    }

    /// Passes a batch from the head through the chain.
    async fn take_in(&mut self, batch: Batch, from_source: bool) -> Result<(), Exit> {
        let begin = Instant::now();
        let task = &self.task;
        let chain = task.chain();
        let stats = self.probe.stats();
        let mut batch = batch;
        let mut bytes = None;
        let mut first = 0;
        if from_source {
            let vertex = &chain.vertices[0];
            let counted = bytes_of(&batch, vertex);
            count_out(&stats.vertices[0], &batch, counted);
            bytes = Some(counted);
            first = 1;
        }
        for (offset, stage) in self.stages.iter_mut().enumerate() {
            let position = first + offset;
            let vertex = &chain.vertices[position];
            if position > 0 {
                match translate(&vertex.incoming, batch) {
                    Some(translated) => batch = translated,
                    None => return Ok(()),
                }
            }
            self.probe.enter(Activity::Processing, vertex.vertex);
            let table = usize::from(batch.table.0);
            let counters = &stats.vertices[position];
            match stage {
                Stage::Transforms(steps) => {
                    counters.tables[table].rows_in.add(batch.len() as u64);
                    for step in steps {
                        batch = step[table].apply(batch)?;
                    }
                    bytes = None;
                    counters.tables[table].rows_out.add(batch.len() as u64);
                    if batch.is_empty() {
                        break;
                    }
                }
                Stage::Sink(writer) => {
                    let counted = bytes.unwrap_or_else(|| bytes_of(&batch, vertex));
                    let rows = batch.len() as u64;
                    let (written, took) = if writer.can_be_interrupted() {
                        let write = async { writer.write(batch).await.map_err(Exit::Failed) };
                        Measured::new(Box::pin(or(stopped(Arc::clone(&self.task.control)), write))).await
                    } else {
                        let (written, took) = Measured::new(writer.write(batch)).await;
                        (written.map_err(Exit::Failed), took)
                    };
                    written?;
                    let counters = &counters.tables[table];
                    counters.rows_in.add(rows);
                    counters.bytes_in.add(counted);
                    counters.rows_out.add(rows);
                    counters.bytes_out.add(counted);
                    stats.back_pressured_ns.add(took.waited_ns);
                    return self.batch_done(begin, took.waited_ns).await;
                }
            }
        }
        let mut waited = 0;
        if !batch.is_empty() {
            waited = self.send(&batch).await?;
        }
        self.batch_done(begin, waited).await
    }

    async fn batch_done(&self, begin: Instant, waited_ns: u64) -> Result<(), Exit> {
        let stats = self.probe.stats();
        let took = nanos_since(begin);
        stats.batches.add(1);
        self.task.node_times.record(&self.task.times, TaskTime::Batch, took);
        stats.busy_ns.add(took.saturating_sub(waited_ns));
        self.probe.enter(Activity::WaitingForToken, 0);
        shard::give_way().await;
        Ok(())
    }

    /// Sends a batch over every link out of the chain; gives the nanoseconds spent waiting for room.
    async fn send(&mut self, batch: &Batch) -> Result<u64, Exit> {
        let mut waited = 0;
        let plan = Arc::clone(&self.task.plan);
        let links = &plan.pipelines[self.task.pipeline].links;
        let chain = &plan.pipelines[self.task.pipeline].chains[self.task.id.chain];
        for (queue, link) in self.task.outputs.iter_mut().zip(&chain.outputs) {
            // The receiving chain translates the tables; what it does not take is not sent.
            if links[*link].tables.get(usize::from(batch.table.0)).copied().flatten().is_none() {
                continue;
            }
            let message = Message::Batch(batch.clone());
            if queue.is_full_for(&message) {
                let receiver = &plan.pipelines[self.task.pipeline].chains[links[*link].to];
                self.probe.enter(Activity::BackPressured, receiver.vertices[0].vertex);
            }
            let control = Arc::clone(&self.task.control);
            let stopped = async {
                loop {
                    // A barrier that is due waits until this batch is out; only a stop ends the wait.
                    if control.ordered(u64::MAX).await == Order::Stop {
                        return Err(Disconnected);
                    }
                }
            };
            let (sent, took) = Measured::new(Box::pin(or(stopped, queue.send(message)))).await;
            sent?;
            waited += took.waited_ns;
        }
        self.probe.stats().back_pressured_ns.add(waited);
        Ok(waited)
    }

    /// Passes a barrier down the chain: the sink prepares, the links forward.
    async fn pass_barrier(&mut self, checkpoint: u64) -> Result<Vec<Prepared>, Exit> {
        let mut pieces = Vec::new();
        let last = self.vertex_id(self.task.chain().vertices.len() - 1);
        self.probe.enter(Activity::InCheckpoint, last);
        for stage in &mut self.stages {
            if let Stage::Sink(writer) = stage {
                pieces = writer.prepare(checkpoint).await?;
            }
        }
        for queue in &mut self.task.outputs {
            queue.send(Message::Barrier(checkpoint)).await?;
        }
        self.checkpoint = checkpoint;
        Ok(pieces)
    }

    /// Tells of this task's part in a checkpoint that came in at `begun`.
    fn sealed(&self, begun: Instant, sealed: Sealed) {
        self.count_checkpoint(begun);
        self.task.reports.sealed(self.task.id, sealed);
    }

    fn count_checkpoint(&self, begun: Instant) {
        self.task.node_times.record(&self.task.times, TaskTime::Checkpoint, nanos_since(begun));
    }

    /// The input has ended: the sink prepares its last pieces and lets go.
    async fn end(&mut self) -> Result<Vec<Prepared>, Exit> {
        let begun = Instant::now();
        let mut pieces = Vec::new();
        let last = self.vertex_id(self.task.chain().vertices.len() - 1);
        self.probe.enter(Activity::InCheckpoint, last);
        for stage in &mut self.stages {
            if let Stage::Sink(writer) = stage {
                pieces = writer.prepare(self.checkpoint + 1).await?;
                writer.close().await?;
            }
        }
        for queue in &mut self.task.outputs {
            queue.send(Message::End).await?;
        }
        self.count_checkpoint(begun);
        Ok(pieces)
    }

    async fn abort(&mut self) {
        for stage in &mut self.stages {
            if let Stage::Sink(writer) = stage {
                writer.abort().await;
            }
        }
    }
}

/// Waits until the task is told to stop; barriers that fall due meanwhile wait for the batch.
async fn stopped<T>(control: Arc<TaskControl>) -> Result<T, Exit> {
    while control.ordered(u64::MAX).await != Order::Stop {}
    Err(Exit::Stopped)
}

/// Gives a batch the table that the receiver knows it by.
fn translate(map: &TableMap, mut batch: Batch) -> Option<Batch> {
    batch.table = map.get(usize::from(batch.table.0)).copied().flatten()?;
    Some(batch)
}

fn nanos_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn bytes_of(batch: &Batch, vertex: &ChainVertex) -> u64 {
    let table: Option<&Arc<TableSchema>> = vertex.tables.get(usize::from(batch.table.0));
    table.map_or(0, |table| metric_bytes(batch, table))
}

fn count_out(vertex: &VertexStats, batch: &Batch, bytes: u64) {
    if let Some(table) = vertex.tables.get(usize::from(batch.table.0)) {
        table.rows_out.add(batch.len() as u64);
        table.bytes_out.add(bytes);
    }
}
