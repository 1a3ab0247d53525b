//! Reads files one after the other, in one task.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use async_trait::async_trait;
use egret_runtime::plugin::{Progress, SourceReader, Split, TaskError};
use egret_runtime::row::{Batch, TableIndex};
use egret_runtime::task::TaskProbe;

use super::read::{FileReader, Place};
use super::source::SplitState;
use super::table::FileTable;

/// Reads the files of one task.
pub struct LocalFileReader {
    tables: Vec<Arc<FileTable>>,
    waiting: VecDeque<Work>,
    current: Option<Current>,
    probe: Rc<TaskProbe>,
}

struct Work {
    id: Arc<str>,
    table: u16,
    file: usize,
    place: Place,
}

struct Current {
    work: Work,
    file: Box<dyn FileReader>,
    partitions: Partitions,
}

impl LocalFileReader {
    /// Reads nothing until it gets splits.
    pub fn new(tables: Vec<Arc<FileTable>>, probe: Rc<TaskProbe>) -> Self {
        Self { tables, waiting: VecDeque::new(), current: None, probe }
    }

    fn work_of(&self, split: Split) -> Result<Work, TaskError> {
        let unknown = |what: &str| TaskError::permanent(format!("split '{}' of LocalFile: {what}", split.id));
        let state = SplitState::decode(&split.state).ok_or_else(|| unknown("its state is of another version"))?;
        let table = self.tables.get(usize::from(state.table)).ok_or_else(|| unknown("there is no such table"))?;
        let path = if self.tables.len() > 1 {
            split.id.split_once(':').map_or("", |(_, path)| path)
        } else {
            split.id.as_ref()
        };
        // The files are sorted.
        let file = table.files.binary_search_by(|file| file.path.as_ref().cmp(path));
        let file = file.map_err(|_| unknown("the file is no longer there"))?;
        Ok(Work { id: split.id, table: state.table, file, place: state.place })
    }

    async fn open_next(&mut self) -> Result<bool, TaskError> {
        let Some(work) = self.waiting.front() else { return Ok(false) };
        let table = &self.tables[usize::from(work.table)];
        let found = &table.files[work.file];
        // The split stays in the queue until its file is open: this future may be dropped.
        let file = table.open(&found.path, work.place, &self.probe).await?;
        let partitions = Partitions::new(table, work.file);
        self.current = self.waiting.pop_front().map(|work| Current { work, file, partitions });
        Ok(true)
    }
}

#[async_trait(?Send)]
impl SourceReader for LocalFileReader {
    fn add_splits(&mut self, splits: Vec<Split>) -> Result<(), TaskError> {
        for split in splits {
            let work = self.work_of(split)?;
            self.waiting.push_back(work);
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Progress, TaskError> {
        loop {
            let Some(current) = &mut self.current else {
                if self.open_next().await? {
                    continue;
                }
                return Ok(Progress::NeedSplits);
            };
            if let Some(rows) = current.file.next().await? {
                let table = &self.tables[usize::from(current.work.table)];
                let rows = current.partitions.append(table, rows)?;
                return Ok(Progress::Rows(Batch::inserts(TableIndex(current.work.table), rows)));
            }
            if let Some(done) = self.current.take() {
                done.file.close().await?;
            }
        }
    }

    fn snapshot(&mut self) -> Result<Vec<Split>, TaskError> {
        let reading = self.current.as_ref().map(|current| (&current.work, current.file.place()));
        let waiting = self.waiting.iter().map(|work| (work, work.place));
        Ok(reading
            .into_iter()
            .chain(waiting)
            .map(|(work, place)| Split {
                id: Arc::clone(&work.id),
                state: SplitState { table: work.table, place }.encode(),
            })
            .collect())
    }
}

/// The columns that come from a file's folders, with some rows in stock.
struct Partitions {
    values: Vec<Option<Box<str>>>,
    stock: Vec<ArrayRef>,
    rows: usize,
}

impl Partitions {
    fn new(table: &FileTable, file: usize) -> Self {
        let found = &table.files[file].partitions;
        let value =
            |name: &str| found.iter().find(|(key, _)| key.as_ref() == name).and_then(|(_, value)| value.clone());
        Self { values: table.partitions.iter().map(|name| value(name)).collect(), stock: Vec::new(), rows: 0 }
    }

    fn append(&mut self, table: &FileTable, rows: RecordBatch) -> Result<RecordBatch, TaskError> {
        let count = rows.num_rows();
        if self.rows < count {
            let column = |value: &Option<Box<str>>| {
                Arc::new(StringArray::from_iter(std::iter::repeat_n(value.as_deref(), count))) as ArrayRef
            };
            self.stock = self.values.iter().map(column).collect();
            self.rows = count;
        }
        let mut columns = rows.columns().to_vec();
        columns.extend(self.stock.iter().map(|column| column.slice(0, count)));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(Arc::clone(table.schema.arrow()), columns, &options)?)
    }
}
