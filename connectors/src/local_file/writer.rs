//! Writes the rows of one task into files: parts, by table and folder.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use async_trait::async_trait;
use egret_runtime::file::{self, WriteFile, create_dir_durably};
use egret_runtime::plugin::{Prepared, SinkWriter, TaskContext, TaskError};
use egret_runtime::row::Batch;
use egret_runtime::task::TaskProbe;
use rustc_hash::FxHashMap;

use super::commit::{StagedFile, Transaction, discard};
use super::names::format_now;
use super::options::FileFormat;
use super::patterns::Patterns;
use super::pieces::Pieces;
use super::sink::{SinkPlan, Target};
use super::write::cells::{Cells, Scribe};
use super::write::{Encoder, encoder};

/// Files that a task has open at once; the one that was longest without a row is ended for a further one.
pub const OPEN_PARTS_MAX: usize = 128;

/// Bytes that the encoders of a task may hold back in all.
pub const HELD_BYTES_MAX: usize = 128 << 20;

/// Bytes that each encoder may hold back in any case.
const HELD_BYTES_MIN: usize = 1 << 20;

/// Folder of files without partitions, within a transaction's.
pub const NON_PARTITION: &str = "NON_PARTITION";

/// How often a file is made anew when another task removes the empty staging folder at the same moment.
const CREATE_TRIES: usize = 8;

/// Writes the rows of one task.
pub struct LocalFileWriter {
    plan: Arc<SinkPlan>,
    job_id: u64,
    /// First digits of a random id: what tells the files of two starts of the job apart.
    start: String,
    task: usize,
    /// Checkpoint that the files will be part of.
    checkpoint: u64,
    open: FxHashMap<(u16, Box<str>), Part>,
    /// Next part number by folder.
    numbers: FxHashMap<PathBuf, u64>,
    /// Files that come in pieces.
    pieces: Pieces,
    /// Files that are ended, not yet prepared.
    ended: Vec<StagedTable>,
    clock: u64,
    probe: Rc<TaskProbe>,
}

/// A file that is ended, of a table.
pub struct StagedTable {
    /// The table.
    pub table: u16,
    /// The folder that it stands in.
    pub folder: PathBuf,
    /// The file.
    pub file: StagedFile,
}

struct Part {
    file: WriteFile,
    encoder: Box<dyn Encoder>,
    folder: PathBuf,
    name: String,
    rows: u64,
    used: u64,
}

impl LocalFileWriter {
    /// Begins a transaction; nothing is made before the first row.
    pub fn new(plan: Arc<SinkPlan>, context: &TaskContext) -> Self {
        Self {
            plan,
            job_id: context.job_id,
            start: format!("{:032x}", fastrand::u128(..))[..10].to_owned(),
            task: context.index,
            checkpoint: 1,
            open: FxHashMap::default(),
            numbers: FxHashMap::default(),
            pieces: Pieces::default(),
            ended: Vec::new(),
            clock: 0,
            probe: Rc::clone(&context.probe),
        }
    }

    fn transaction_id(&self) -> String {
        format!("T_{}_{}_{}_{}", self.job_id, self.start, self.task, self.checkpoint)
    }

    /// Folder of the transaction's files of one table.
    fn staging(&self, target: &Target) -> PathBuf {
        target.staging.join(self.job_id.to_string()).join(&self.start).join(self.transaction_id())
    }

    /// Where a file is while it is written.
    fn folder(&self, target: &Target, folders: &str) -> PathBuf {
        match (self.plan.settings.transaction, folders) {
            (true, "") => self.staging(target).join(NON_PARTITION),
            (true, folders) => self.staging(target).join(folders),
            (false, folders) => target.folder.join(folders),
        }
    }

    fn file_name(&mut self, target: &Target, folder: &Path) -> String {
        let settings = &self.plan.settings;
        let number = self.numbers.entry(folder.to_owned()).or_default();
        let part = *number;
        *number += 1;
        let now = format_now(&settings.time_format);
        let name = target
            .name
            .replace("${transactionId}", &self.transaction_id())
            .replace("${now}", &now)
            .replace("${uuid}", &uuid());
        match part {
            0 if settings.single_file => format!("{name}{}", settings.suffix),
            part => format!("{name}_{part}{}", settings.suffix),
        }
    }

    async fn create(&mut self, table: u16, folders: &str) -> Result<Part, TaskError> {
        let plan = Arc::clone(&self.plan);
        let target = &plan.targets[usize::from(table)];
        let folder = self.folder(target, folders);
        let encoder = encoder(&plan.settings, target)?;
        let mut tries = 0;
        loop {
            let made = folder.clone();
            let created = file::blocking("creating the folder", &folder, move || create_dir_durably(&made)).await;
            let name = self.file_name(target, &folder);
            let path = folder.join(&name);
            let opened = match created {
                Ok(()) => WriteFile::create_new(&path).await,
                Err(error) => Err(error),
            };
            match opened {
                Ok(file) => return Ok(Part { file, encoder, folder, name, rows: 0, used: self.clock }),
                // Without a transaction another task may have taken the name: the next number is free. And a folder
                // may be removed, as an empty one, at the very moment.
                Err(error) if path.exists() || !folder.exists() => {
                    tries += 1;
                    if tries >= CREATE_TRIES && !path.exists() {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn write_rows(&mut self, table: u16, folders: Box<str>, rows: RecordBatch) -> Result<(), TaskError> {
        let mut from = 0;
        while from < rows.num_rows() {
            let key = (table, folders.clone());
            if !self.open.contains_key(&key) {
                if self.open.len() >= OPEN_PARTS_MAX {
                    self.end_oldest().await?;
                }
                let part = self.create(table, &folders).await?;
                self.open.insert(key.clone(), part);
            }
            let held_max = (HELD_BYTES_MAX / self.open.len()).max(HELD_BYTES_MIN);
            let Some(part) = self.open.get_mut(&key) else { continue };
            self.clock += 1;
            part.used = self.clock;
            let room = self.plan.settings.rows_max - part.rows;
            let count = (rows.num_rows() - from).min(usize::try_from(room).unwrap_or(usize::MAX));
            let lost = part.encoder.write(&rows.slice(from, count), part.file.buffer())?;
            self.probe.warn(lost);
            if part.encoder.held_bytes() > held_max {
                part.encoder.release(part.file.buffer())?;
            }
            part.file.write_behind().await?;
            part.rows += count as u64;
            from += count;
            if part.rows == self.plan.settings.rows_max {
                self.end(&key).await?;
            }
        }
        Ok(())
    }

    async fn end(&mut self, key: &(u16, Box<str>)) -> Result<(), TaskError> {
        let Some(mut part) = self.open.remove(key) else { return Ok(()) };
        part.encoder.finish(part.file.buffer())?;
        part.file.finish().await?;
        let from = Path::new(if key.1.is_empty() { NON_PARTITION } else { &key.1 }).join(&part.name);
        let file = StagedFile { from, to: Path::new(key.1.as_ref()).join(&part.name), at: None };
        self.ended.push(StagedTable { table: key.0, folder: part.folder, file });
        Ok(())
    }

    async fn end_oldest(&mut self) -> Result<(), TaskError> {
        let oldest = self.open.iter().min_by_key(|(_, part)| part.used).map(|(key, _)| key.clone());
        match oldest {
            Some(key) => self.end(&key).await,
            None => Ok(()),
        }
    }

    async fn end_all(&mut self) -> Result<(), TaskError> {
        let mut keys: Vec<(u16, Box<str>)> = self.open.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.end(&key).await?;
        }
        self.pieces.end_all(&mut self.ended).await
    }

    /// A file without rows for each table that has no file.
    async fn create_empty(&mut self) -> Result<(), TaskError> {
        for table in 0..self.plan.targets.len() as u16 {
            if self.ended.iter().all(|file| file.table != table) {
                let part = self.create(table, "").await?;
                let key = (table, Box::from(""));
                self.open.insert(key.clone(), part);
                self.end(&key).await?;
            }
        }
        Ok(())
    }

    /// Files that are ended, as transactions by table; makes their names durable.
    async fn seal(&mut self) -> Result<Vec<Transaction>, TaskError> {
        let plan = Arc::clone(&self.plan);
        let mut transactions: Vec<(u16, Transaction)> = Vec::new();
        let mut folders: Vec<PathBuf> = Vec::new();
        for StagedTable { table, folder, file } in std::mem::take(&mut self.ended) {
            let target = &plan.targets[usize::from(table)];
            folders.push(folder);
            match transactions.iter_mut().find(|(of, _)| *of == table) {
                Some((_, transaction)) => transaction.files.push(file),
                None => {
                    let (staging, target) = (self.staging(target), target.folder.clone());
                    transactions.push((table, Transaction { staging, target, files: vec![file] }));
                }
            }
        }
        folders.sort();
        folders.dedup();
        for folder in folders {
            file::sync_dir(&folder).await?;
        }
        Ok(transactions.into_iter().map(|(_, transaction)| transaction).collect())
    }
}

#[async_trait(?Send)]
impl SinkWriter for LocalFileWriter {
    async fn write(&mut self, batch: Batch) -> Result<(), TaskError> {
        let table = batch.table.0;
        let plan = Arc::clone(&self.plan);
        let target = plan.targets.get(usize::from(table)).ok_or_else(|| {
            TaskError::permanent(format!("rows of table {table}, which LocalFile was not planned for"))
        })?;
        if batch.is_empty() {
            return Ok(());
        }
        if plan.settings.format == FileFormat::Binary {
            let staging = self.staging(target);
            return self.pieces.write(table, &batch.rows, target, &staging, &mut self.ended).await;
        }
        let rows = batch.rows.project(&target.written)?;
        if target.partition_by.is_empty() {
            return self.write_rows(table, Box::from(""), rows).await;
        }
        for (folders, indices) in groups(target, &batch.rows)? {
            let rows = if indices.len() == rows.num_rows() {
                rows.clone()
            } else {
                take_record_batch(&rows, &UInt32Array::from(indices))?
            };
            self.write_rows(table, folders, rows).await?;
        }
        Ok(())
    }

    async fn prepare(&mut self, checkpoint: u64) -> Result<Vec<Prepared>, TaskError> {
        self.end_all().await?;
        if self.plan.settings.create_empty {
            self.create_empty().await?;
        }
        let transactions = self.seal().await?;
        self.checkpoint = checkpoint + 1;
        if !self.plan.settings.transaction {
            return Ok(Vec::new());
        }
        self.numbers.clear();
        Ok(transactions.iter().map(Transaction::encode).collect())
    }

    async fn abort(&mut self) {
        let plan = Arc::clone(&self.plan);
        let mut half_written = Vec::new();
        for (_, part) in self.open.drain() {
            half_written.push(part.file.path().to_owned());
            part.file.abandon().await;
        }
        self.pieces.abandon().await;
        let mut left = Vec::new();
        if plan.settings.transaction {
            for target in &plan.targets {
                left.extend(discard(self.staging(target)).await.err());
            }
        } else {
            for path in half_written {
                left.extend(file::remove(&path).await.err());
            }
        }
        self.ended.clear();
        for error in left {
            tracing::warn!("files of an aborted writer stay behind: {error}");
        }
    }
}

/// A random id of version 4.
fn uuid() -> String {
    let bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let text = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// Folders, and the rows that belong there.
type Group = (Box<str>, Vec<u32>);

/// The rows of each folder, in their order.
fn groups(target: &Target, rows: &RecordBatch) -> Result<Vec<Group>, TaskError> {
    let columns = target.partition_by.iter().zip(&target.partition_types);
    let cells =
        columns.map(|(index, data_type)| Cells::new(data_type, rows.column(*index))).collect::<Result<Vec<_>, _>>()?;
    let mut scribe = Scribe::new(Patterns::default(), b'T');
    let mut by_values: FxHashMap<Vec<u8>, usize> = FxHashMap::default();
    let mut by_folders: FxHashMap<Box<str>, usize> = FxHashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut values = Vec::new();
    for row in 0..rows.num_rows() {
        values.clear();
        for cells in &cells {
            // A length before each value, so that no two rows of different values are taken for equal.
            let start = values.len();
            values.extend_from_slice(&u32::MAX.to_le_bytes());
            if !cells.is_null(row) {
                scribe.write(cells, row, &mut values);
                let length = (values.len() - start - 4) as u32;
                values[start..start + 4].copy_from_slice(&length.to_le_bytes());
            }
        }
        let group = match by_values.get(&values) {
            Some(group) => *group,
            None => {
                let folders: Box<str> = target.expression.folders(&target.partition_keys, &texts(&values)).into();
                // Different values may share a folder.
                let group = *by_folders.entry(folders.clone()).or_insert_with(|| {
                    groups.push((folders, Vec::new()));
                    groups.len() - 1
                });
                by_values.insert(values.clone(), group);
                group
            }
        };
        groups[group].1.push(row as u32);
    }
    Ok(groups)
}

/// The values that [`groups`] wrote one behind the other.
fn texts(mut values: &[u8]) -> Vec<Option<Box<str>>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = values.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        if length == u32::MAX {
            found.push(None);
            values = rest;
        } else {
            let (value, rest) = rest.split_at(length as usize);
            found.push(Some(String::from_utf8_lossy(value).into()));
            values = rest;
        }
    }
    found
}
