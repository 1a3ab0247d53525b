//! One sink made of a sink for each table: where the options hold words of the table, every table has options of its
//! own.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Buf, BufMut, BytesMut};

use crate::plugin::{Prepared, Sink, SinkCommitter, SinkWriter, TaskContext, TaskError};
use crate::row::{Batch, TableIndex};

/// A sink for each table, in the order of the tables.
pub(super) struct TableSinks(pub Vec<Arc<dyn Sink>>);

#[async_trait(?Send)]
impl Sink for TableSinks {
    async fn prepare_target(&self) -> Result<(), TaskError> {
        for sink in &self.0 {
            sink.prepare_target().await?;
        }
        Ok(())
    }

    fn writer(&self, context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        let writers = self.0.iter().map(|sink| sink.writer(context)).collect::<Result<_, _>>()?;
        Ok(Box::new(TableWriters(writers)))
    }

    fn committer(&self) -> Option<Box<dyn SinkCommitter>> {
        let committers: Vec<_> = self.0.iter().map(|sink| sink.committer()).collect();
        committers.iter().any(Option::is_some).then(|| Box::new(TableCommitters(committers)) as Box<dyn SinkCommitter>)
    }

    fn commits_in_memory(&self) -> bool {
        // All are of one plugin.
        self.0.iter().any(|sink| sink.commits_in_memory())
    }

    fn finish(&self) -> Result<(), TaskError> {
        self.0.iter().try_for_each(|sink| sink.finish())
    }
}

struct TableWriters(Vec<Box<dyn SinkWriter>>);

#[async_trait(?Send)]
impl SinkWriter for TableWriters {
    async fn write(&mut self, mut batch: Batch) -> Result<(), TaskError> {
        let table = usize::from(batch.table.0);
        // Each of them was planned with one table.
        batch.table = TableIndex(0);
        match self.0.get_mut(table) {
            Some(writer) => writer.write(batch).await,
            None => Err(TaskError::permanent(format!("rows of table {table}, which the sink does not have"))),
        }
    }

    fn can_be_interrupted(&self) -> bool {
        self.0.iter().all(|writer| writer.can_be_interrupted())
    }

    async fn prepare(&mut self, checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
        let mut pieces = Vec::new();
        for (table, writer) in self.0.iter_mut().enumerate() {
            let of_table = writer.prepare(checkpoint).await?;
            pieces.extend(of_table.into_iter().map(|piece| wrapped(table, &piece)));
        }
        Ok(pieces)
    }

    async fn abort(&mut self) {
        for writer in &mut self.0 {
            writer.abort().await;
        }
    }

    async fn close(&mut self) -> Result<(), TaskError> {
        for writer in &mut self.0 {
            writer.close().await?;
        }
        Ok(())
    }
}

struct TableCommitters(Vec<Option<Box<dyn SinkCommitter>>>);

impl TableCommitters {
    /// The pieces of each table that has a committer.
    fn divided(&self, prepared: &[Prepared]) -> Result<Vec<Vec<Prepared>>, TaskError> {
        let mut tables: Vec<Vec<Prepared>> = self.0.iter().map(|_| Vec::new()).collect();
        for piece in prepared {
            let (table, piece) = unwrapped(piece).filter(|(table, _)| *table < tables.len()).ok_or_else(|| {
                TaskError::permanent("a checkpoint holds pieces of another sink: was the config changed?")
            })?;
            tables[table].push(piece);
        }
        Ok(tables)
    }
}

#[async_trait(?Send)]
impl SinkCommitter for TableCommitters {
    async fn commit(&mut self, prepared: &[Prepared]) -> Result<(), TaskError> {
        let tables = self.divided(prepared)?;
        for (committer, pieces) in self.0.iter_mut().zip(tables) {
            if let Some(committer) = committer.as_mut().filter(|_| !pieces.is_empty()) {
                committer.commit(&pieces).await?;
            }
        }
        Ok(())
    }

    async fn abort(&mut self, prepared: &[Prepared]) {
        let tables = match self.divided(prepared) {
            Ok(tables) => tables,
            Err(error) => return tracing::warn!(%error, "prepared pieces are left behind"),
        };
        for (committer, pieces) in self.0.iter_mut().zip(tables) {
            if let Some(committer) = committer.as_mut().filter(|_| !pieces.is_empty()) {
                committer.abort(&pieces).await;
            }
        }
    }
}

/// The table's position (2 bytes, big endian), then the piece.
fn wrapped(table: usize, piece: &Prepared) -> Prepared {
    let mut bytes = BytesMut::with_capacity(2 + piece.0.len());
    // A job has far fewer tables: a batch counts them with 16 bits.
    bytes.put_u16(u16::try_from(table).unwrap_or(u16::MAX));
    bytes.extend_from_slice(&piece.0);
    Prepared(bytes.freeze())
}

fn unwrapped(piece: &Prepared) -> Option<(usize, Prepared)> {
    let mut bytes = piece.0.clone();
    let table = bytes.try_get_u16().ok()?;
    Some((usize::from(table), Prepared(bytes)))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Mutex;

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};
    use bytes::Bytes;
    use futures_lite::future::block_on;

    use super::*;
    use crate::task::{TaskProbe, TaskStats};

    /// Notes what it is told.
    struct Noted {
        name: &'static str,
        commits: bool,
        notes: Arc<Mutex<Vec<String>>>,
    }

    impl Noted {
        fn note(&self, what: &str) {
            self.notes.lock().expect("lock").push(format!("{} {what}", self.name));
        }

        fn copy(&self) -> Self {
            Self { name: self.name, commits: self.commits, notes: Arc::clone(&self.notes) }
        }
    }

    #[async_trait(?Send)]
    impl Sink for Noted {
        async fn prepare_target(&self) -> Result<(), TaskError> {
            self.note("target");
            Ok(())
        }
        fn writer(&self, _: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
            Ok(Box::new(self.copy()))
        }
        fn committer(&self) -> Option<Box<dyn SinkCommitter>> {
            self.commits.then(|| Box::new(self.copy()) as Box<dyn SinkCommitter>)
        }
        fn finish(&self) -> Result<(), TaskError> {
            self.note("finish");
            if self.name == "c" { Err(TaskError::permanent("c refuses")) } else { Ok(()) }
        }
    }

    #[async_trait(?Send)]
    impl SinkWriter for Noted {
        async fn write(&mut self, batch: Batch) -> Result<(), TaskError> {
            assert_eq!(batch.table, TableIndex(0));
            self.note(&format!("writes {}", batch.len()));
            Ok(())
        }
        async fn prepare(&mut self, checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
            let piece = Prepared(Bytes::from(format!("{}{checkpoint}", self.name)));
            Ok(if self.commits { vec![piece] } else { Vec::new() })
        }
        async fn abort(&mut self) {
            self.note("aborts");
        }
        async fn close(&mut self) -> Result<(), TaskError> {
            self.note("closes");
            Ok(())
        }
    }

    #[async_trait(?Send)]
    impl SinkCommitter for Noted {
        async fn commit(&mut self, prepared: &[Prepared]) -> Result<(), TaskError> {
            self.note(&format!("commits {prepared:?}"));
            Ok(())
        }
        async fn abort(&mut self, prepared: &[Prepared]) {
            self.note(&format!("drops {}", prepared.len()));
        }
    }

    fn rows(table: u16, rows: i64) -> Batch {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let column = Arc::new(Int64Array::from((0..rows).collect::<Vec<_>>()));
        Batch::inserts(TableIndex(table), RecordBatch::try_new(schema, vec![column]).expect("rows"))
    }

    #[test]
    fn each_table_goes_its_own_way_from_the_target_to_the_commit() {
        let notes: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = |name, commits| Arc::new(Noted { name, commits, notes: Arc::clone(&notes) }) as Arc<dyn Sink>;
        let sinks = TableSinks(vec![noted("a", true), noted("b", false), noted("c", true)]);
        let context = TaskContext {
            job_id: 1,
            index: 0,
            parallelism: 1,
            attempt: 0,
            probe: Rc::new(TaskProbe::new(Arc::new(TaskStats::new([])))),
        };
        let told = || std::mem::take(&mut *notes.lock().expect("lock"));
        block_on(async {
            sinks.prepare_target().await.expect("targets");
            assert_eq!(told(), ["a target", "b target", "c target"]);
            let mut writer = sinks.writer(&context).expect("a writer");
            for (table, count) in [(2, 3), (0, 1), (1, 2)] {
                writer.write(rows(table, count)).await.expect("written");
            }
            assert!(writer.write(rows(3, 1)).await.is_err());
            assert_eq!(told(), ["c writes 3", "a writes 1", "b writes 2"]);
            let pieces = writer.prepare(7).await.expect("prepared");
            assert_eq!(pieces.len(), 2);
            writer.close().await.expect("closed");
            writer.abort().await;
            told();
            let mut committer = sinks.committer().expect("a committer");
            committer.commit(&pieces).await.expect("committed");
            assert_eq!(told(), ["a commits [Prepared(b\"a7\")]", "c commits [Prepared(b\"c7\")]"]);
            committer.abort(&pieces[1..]).await;
            assert_eq!(told(), ["c drops 1"]);
            assert!(committer.commit(&[Prepared(Bytes::from_static(b"x"))]).await.is_err());
            assert!(committer.commit(&[Prepared(Bytes::from_static(b"\0\x09x"))]).await.is_err());
        });
        assert_eq!(sinks.finish().expect_err("c").to_string(), "c refuses");
        assert!(TableSinks(vec![noted("b", false)]).committer().is_none());
    }
}
