//! Archives (option `archive_compress_codec`): the files in them, read one after the other.
//!
//! As in the reference engine, only entries whose names end as the format's files do are read; the others are passed
//! over with a warning. Folders, empty files and those whose names begin with a dot are passed over silently.

mod tar;
mod zip;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use egret_runtime::file::ReadFile;
use egret_runtime::plugin::TaskError;
use egret_runtime::shard::give_way;
use egret_runtime::task::TaskProbe;

use super::super::table::FileTable;
use super::bytes::{ByteStream, Decoded};
use super::codec::Gzip;
use super::{FileReader, Place};

pub use zip::inflated_bytes;

/// Words of `archive_compress_codec`.
pub const ARCHIVES: &[&str] = &["none", "zip", "tar", "tar_gz", "gz"];

/// What a file is an archive of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// Zip.
    Zip,
    /// Tar.
    Tar,
    /// Tar within gzip.
    TarGz,
    /// A single file within gzip.
    Gz,
}

impl ArchiveKind {
    /// The kind of a word of [`ARCHIVES`]; none for `none`.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "zip" => Self::Zip,
            "tar" => Self::Tar,
            "tar_gz" => Self::TarGz,
            "gz" => Self::Gz,
            _ => return None,
        })
    }
}

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub name: Box<str>,
    /// Whether it can hold anything: no folder, no link, not empty.
    pub has_bytes: bool,
}

/// Walks over the files of an archive. A dropped future loses nothing.
#[async_trait(?Send)]
pub trait Archive {
    /// Steps to the next entry, over whatever is left of the current one.
    async fn next_entry(&mut self) -> Result<Option<Entry>, TaskError>;

    /// Appends a piece of the current entry; answers how many bytes it has, 0 at the end.
    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError>;

    /// Lets go of the file.
    async fn close(self: Box<Self>) -> Result<(), TaskError>;
}

type Home = Rc<RefCell<Option<Box<dyn Archive>>>>;

/// The current entry's bytes. Owns the archive while it is read and gives it back at the end of its life.
struct EntryStream {
    archive: Option<Box<dyn Archive>>,
    home: Home,
}

#[async_trait(?Send)]
impl ByteStream for EntryStream {
    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError> {
        match &mut self.archive {
            Some(archive) => archive.fill(into).await,
            None => Ok(0),
        }
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        Ok(())
    }
}

impl Drop for EntryStream {
    fn drop(&mut self) {
        *self.home.borrow_mut() = self.archive.take();
    }
}

/// The archive that a file holds.
fn archive_of(kind: ArchiveKind, file: ReadFile, path: &str, probe: &Rc<TaskProbe>) -> Box<dyn Archive> {
    let gunzip = |file: ReadFile| {
        let raw: Box<dyn ByteStream> = Box::new(file.stream(0));
        Box::new(Decoded::new(raw, Box::<Gzip>::default(), path)) as Box<dyn ByteStream>
    };
    match kind {
        ArchiveKind::Zip => Box::new(zip::Zip::new(file, Rc::clone(probe))),
        ArchiveKind::Tar => Box::new(tar::Tar::new(Box::new(file.stream(0)), path)),
        ArchiveKind::TarGz => Box::new(tar::Tar::new(gunzip(file), path)),
        ArchiveKind::Gz => {
            let name = path.strip_suffix(".gz").unwrap_or(path);
            let name = name.rsplit('/').next().unwrap_or(name);
            Box::new(Single { name: name.into(), stream: gunzip(file), begun: false })
        }
    }
}

/// One compressed file as an archive of one.
struct Single {
    name: Box<str>,
    stream: Box<dyn ByteStream>,
    begun: bool,
}

#[async_trait(?Send)]
impl Archive for Single {
    async fn next_entry(&mut self) -> Result<Option<Entry>, TaskError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(None);
        }
        Ok(Some(Entry { name: self.name.clone(), has_bytes: true }))
    }

    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError> {
        self.stream.fill(into).await
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.stream.close().await
    }
}

/// Reads the files of one archive.
pub struct ArchiveReader {
    table: Arc<FileTable>,
    path: Box<str>,
    kind: ArchiveKind,
    probe: Rc<TaskProbe>,
    archive: Option<Box<dyn Archive>>,
    home: Home,
    current: Option<Box<dyn FileReader>>,
    /// Where to go on: the number of the entry, and the place within it.
    place: Place,
    /// Entries that were stepped over, the current one not among them.
    passed: u32,
    ended: bool,
}

impl ArchiveReader {
    /// Goes on from a place; `path` names the file.
    pub fn new(
        table: &Arc<FileTable>,
        kind: ArchiveKind,
        file: ReadFile,
        path: &str,
        place: Place,
        probe: &Rc<TaskProbe>,
    ) -> Self {
        Self {
            table: Arc::clone(table),
            path: path.into(),
            kind,
            probe: Rc::clone(probe),
            archive: Some(archive_of(kind, file, path, probe)),
            home: Home::default(),
            current: None,
            place,
            passed: 0,
            ended: false,
        }
    }

    /// Steps to the next entry that is wanted and begins to read it.
    async fn advance(&mut self) -> Result<(), TaskError> {
        if let Some(archive) = self.home.borrow_mut().take() {
            self.archive = Some(archive);
        }
        let Some(archive) = &mut self.archive else {
            return Err(TaskError::permanent(format!("{}: the archive was lost on the way", self.path)));
        };
        let Some(entry) = archive.next_entry().await? else {
            self.ended = true;
            return Ok(());
        };
        let place = if self.passed == self.place.entry { self.place } else { Place::default() };
        if self.passed < self.place.entry || !self.is_wanted(&entry) {
            self.passed += 1;
            return Ok(());
        }
        self.place = Place { entry: self.passed, ..place };
        let stream = EntryStream { archive: self.archive.take(), home: Rc::clone(&self.home) };
        let about = format!("{}/{}", self.path, entry.name);
        self.current = Some(self.table.entry_reader(Box::new(stream), &about, place, &self.probe));
        Ok(())
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        let name = entry.name.rsplit('/').next().unwrap_or_default();
        if !entry.has_bytes || name.starts_with('.') {
            return false;
        }
        let fits = self.kind == ArchiveKind::Gz || self.table.has_suffix(name);
        if !fits {
            tracing::warn!(archive = %self.path, entry = %entry.name, "is not read: its name does not end as the format's files do");
            self.probe.warn(1);
        }
        fits
    }
}

#[async_trait(?Send)]
impl FileReader for ArchiveReader {
    async fn next(&mut self) -> Result<Option<RecordBatch>, TaskError> {
        while !self.ended {
            let Some(current) = &mut self.current else {
                self.advance().await?;
                give_way().await;
                continue;
            };
            if let Some(rows) = current.next().await? {
                self.place = Place { entry: self.passed, ..current.place() };
                return Ok(Some(rows));
            }
            // Gives the archive back.
            self.current = None;
            self.passed += 1;
            self.place = Place { entry: self.passed, ..Place::default() };
        }
        Ok(None)
    }

    fn place(&self) -> Place {
        self.place
    }

    async fn close(mut self: Box<Self>) -> Result<(), TaskError> {
        self.current = None;
        let back = self.home.borrow_mut().take();
        match back.or(self.archive.take()) {
            Some(archive) => archive.close().await,
            None => Ok(()),
        }
    }
}
