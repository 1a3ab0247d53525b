//! Files that come in pieces (binary): each row holds a piece of one, in their order.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use egret_runtime::file::{self, WriteFile, create_dir_durably};
use egret_runtime::plugin::TaskError;
use rustc_hash::FxHashMap;

use super::commit::StagedFile;
use super::sink::Target;
use super::write::binary::{Piece, piece, safe_path};
use super::writer::{NON_PARTITION, OPEN_PARTS_MAX, StagedTable};

/// Folder of the later parts of files that a checkpoint cut, within a transaction's.
const CONTINUED: &str = "CONTINUED";

/// A file by its table and path.
type Key = (u16, Box<str>);

/// Files that are being put together.
#[derive(Default)]
pub struct Pieces {
    open: FxHashMap<Key, OpenFile>,
    /// How far files are that the last checkpoint cut: the next piece, and bytes.
    cut: FxHashMap<Key, (u64, u64)>,
    /// Number of the next file in [`CONTINUED`].
    continued: u64,
    clock: u64,
}

struct OpenFile {
    file: WriteFile,
    staged: StagedFile,
    folder: PathBuf,
    /// Number of the piece that must come next.
    next: u64,
    used: u64,
}

impl Pieces {
    /// Writes the pieces of a batch; adds files that have ended to `ended`.
    ///
    /// # Errors
    /// When pieces are out of order, or a file cannot be written.
    pub async fn write(
        &mut self,
        table: u16,
        rows: &RecordBatch,
        target: &Target,
        staging: &Path,
        ended: &mut Vec<StagedTable>,
    ) -> Result<(), TaskError> {
        for row in 0..rows.num_rows() {
            let Some(piece) = piece(rows, row)? else { continue };
            let key: Key = (table, piece.path.into());
            if !self.open.contains_key(&key) {
                if self.open.len() >= OPEN_PARTS_MAX {
                    self.end_oldest(ended).await?;
                }
                let file = self.create(&key, &piece, target, staging).await?;
                self.open.insert(key.clone(), file);
            }
            let Some(open) = self.open.get_mut(&key) else { continue };
            if piece.number != open.next {
                let message = format!(
                    "pieces of {} are out of order: Last order is {}, but get {}",
                    piece.path,
                    i128::from(open.next) - 1,
                    piece.number
                );
                return Err(TaskError::permanent(message));
            }
            self.clock += 1;
            (open.next, open.used) = (piece.number + 1, self.clock);
            open.file.append(piece.data).await?;
        }
        Ok(())
    }

    async fn create(
        &mut self,
        key: &Key,
        piece: &Piece<'_>,
        target: &Target,
        staging: &Path,
    ) -> Result<OpenFile, TaskError> {
        let (folders, name) = safe_path(piece.path)?;
        let to = Path::new(&folders).join(&name);
        let (from, at) = match (self.cut.remove(key), piece.number) {
            (_, 0) => (Path::new(NON_PARTITION).join(&to), None),
            (Some((_, bytes)), _) => (self.continued_name(), Some(bytes)),
            // After a restart what a checkpoint committed stands at its target.
            (None, _) => (self.continued_name(), Some(length_of(&target.folder.join(&to)).await?)),
        };
        let path = staging.join(&from);
        let folder = path.parent().unwrap_or(staging).to_owned();
        let made = folder.clone();
        file::blocking("creating the folder", &folder, move || create_dir_durably(&made)).await?;
        let file = WriteFile::create_new(&path).await?;
        Ok(OpenFile { file, staged: StagedFile { from, to, at }, folder, next: piece.number, used: 0 })
    }

    fn continued_name(&mut self) -> PathBuf {
        self.continued += 1;
        Path::new(CONTINUED).join(self.continued.to_string())
    }

    async fn end(&mut self, key: &Key, ended: &mut Vec<StagedTable>) -> Result<(), TaskError> {
        let Some(open) = self.open.remove(key) else { return Ok(()) };
        let bytes = open.staged.at.unwrap_or_default() + open.file.finish().await?;
        self.cut.insert(key.clone(), (open.next, bytes));
        ended.push(StagedTable { table: key.0, folder: open.folder, file: open.staged });
        Ok(())
    }

    async fn end_oldest(&mut self, ended: &mut Vec<StagedTable>) -> Result<(), TaskError> {
        let oldest = self.open.iter().min_by_key(|(_, file)| file.used).map(|(key, _)| key.clone());
        match oldest {
            Some(key) => {
                self.end(&key, ended).await?;
                // Readers take one file after the other: this one is whole.
                self.cut.remove(&key);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ends all files: a checkpoint, or the end of the input.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub async fn end_all(&mut self, ended: &mut Vec<StagedTable>) -> Result<(), TaskError> {
        self.cut.clear();
        let mut keys: Vec<Key> = self.open.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.end(&key, ended).await?;
        }
        Ok(())
    }

    /// Closes all files without ending them.
    pub async fn abandon(&mut self) {
        for (_, open) in self.open.drain() {
            open.file.abandon().await;
        }
    }
}

async fn length_of(path: &Path) -> Result<u64, TaskError> {
    let target = path.to_owned();
    file::blocking("looking for the pieces before those of", path, move || Ok(std::fs::metadata(target)?.len())).await
}
