//! Publishing files: staged ones become visible at their target, by a rename.
//!
//! What a writer prepared is a JSON text, so that a person can see what a checkpoint holds:
//!
//! ```json
//! {"version":1,"staging":"/out/.egret-staging/7/0f3a/T_7_0f3a_0_1","target":"/out",
//!  "files":[{"from":"NON_PARTITION/T_7_0f3a_0_1_0.csv","to":"T_7_0f3a_0_1_0.csv"}]}
//! ```
//!
//! `from` is below `staging`, `to` below `target`. A file with `at` is the rest of one that an earlier transaction
//! published so many bytes of: it is put behind them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use egret_runtime::file::{self, create_dir_durably, failure, sync_dir_now};
use egret_runtime::plugin::{Prepared, SinkCommitter, TaskError};
use serde_json::{Value, json};

const VERSION: u64 = 1;

/// Folders above a transaction's that are removed with it once they are empty: the writer's, the job's, the root.
const STAGING_PARENTS: usize = 3;

/// Files of one transaction and one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Folder of the transaction.
    pub staging: PathBuf,
    /// Folder where the files belong.
    pub target: PathBuf,
    /// The files.
    pub files: Vec<StagedFile>,
}

/// A file that is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// Where it stands, below the transaction's folder.
    pub from: PathBuf,
    /// Where it belongs, below the target.
    pub to: PathBuf,
    /// Bytes of the target that it belongs behind; `None` when it is the whole file.
    pub at: Option<u64>,
}

impl Transaction {
    /// As bytes.
    pub fn encode(&self) -> Prepared {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let record = |file: &StagedFile| match file.at {
            None => json!({ "from": text(&file.from), "to": text(&file.to) }),
            Some(at) => json!({ "from": text(&file.from), "to": text(&file.to), "at": at }),
        };
        let files: Vec<Value> = self.files.iter().map(record).collect();
        let record = json!({
            "version": VERSION,
            "staging": text(&self.staging),
            "target": text(&self.target),
            "files": files,
        });
        Prepared(Bytes::from(record.to_string()))
    }

    /// From bytes; `None` when they are none of this version.
    pub fn decode(prepared: &Prepared) -> Option<Self> {
        let record: Value = serde_json::from_slice(&prepared.0).ok()?;
        let path = |value: &Value| value.as_str().map(PathBuf::from);
        if record["version"].as_u64() != Some(VERSION) {
            return None;
        }
        let pair = |file: &Value| {
            Some(StagedFile { from: path(&file["from"])?, to: path(&file["to"])?, at: file["at"].as_u64() })
        };
        Some(Self {
            staging: path(&record["staging"])?,
            target: path(&record["target"])?,
            files: record["files"].as_array()?.iter().map(pair).collect::<Option<_>>()?,
        })
    }
}

/// Publishes what writers prepared.
pub struct LocalFileCommitter;

#[async_trait(?Send)]
impl SinkCommitter for LocalFileCommitter {
    async fn commit(&mut self, prepared: &[Prepared]) -> Result<(), TaskError> {
        for prepared in prepared {
            let transaction = decoded(prepared)?;
            let target = transaction.target.clone();
            file::blocking("publishing below", &target, move || {
                Ok(publish(&transaction, |from, to| fs::rename(from, to)))
            })
            .await??;
        }
        Ok(())
    }

    async fn abort(&mut self, prepared: &[Prepared]) {
        for prepared in prepared {
            let Some(transaction) = Transaction::decode(prepared) else { continue };
            if let Err(error) = discard(transaction.staging).await {
                tracing::warn!("files of an aborted checkpoint stay behind: {error}");
            }
        }
    }
}

fn decoded(prepared: &Prepared) -> Result<Transaction, TaskError> {
    Transaction::decode(prepared).ok_or_else(|| {
        TaskError::permanent("what LocalFile prepared is of another version: it cannot be committed by this one")
    })
}

/// Moves the files of a transaction to their targets, durably, and removes its folder. Files that are moved already
/// are fine. `rename` is the system's, save in tests.
fn publish(transaction: &Transaction, rename: impl Fn(&Path, &Path) -> io::Result<()>) -> Result<(), TaskError> {
    let mut folders = BTreeSet::new();
    for file in &transaction.files {
        let (from, to) = (transaction.staging.join(&file.from), transaction.target.join(&file.to));
        let folder = to.parent().unwrap_or(&transaction.target);
        if folders.insert(folder.to_owned()) {
            create_dir_durably(folder).map_err(|error| failure("creating the folder", folder, &error))?;
        }
        match file.at {
            None => publish_file(&from, &to, &rename)?,
            Some(at) => append_file(&from, &to, at).map_err(|error| failure("appending to", &to, &error))?,
        }
    }
    for folder in &folders {
        sync_dir_now(folder).map_err(|error| failure("syncing", folder, &error))?;
    }
    remove_staging(&transaction.staging).map_err(|error| failure("removing", &transaction.staging, &error))
}

fn publish_file(from: &Path, to: &Path, rename: impl Fn(&Path, &Path) -> io::Result<()>) -> Result<(), TaskError> {
    match rename(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            move_across(from, to).map_err(|error| failure("copying to", to, &error))
        }
        // Moved by an earlier try.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() && to.exists() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !from.exists() => {
            let message = format!("publishing {}: neither it nor the staged {} is there", to.display(), from.display());
            Err(TaskError::permanent(message))
        }
        Err(error) => Err(failure("publishing", to, &error)),
    }
}

/// Puts a file behind so many bytes of another. Whatever stood there is of an earlier try; a file that is gone was
/// appended by one.
fn append_file(from: &Path, to: &Path, at: u64) -> io::Result<()> {
    let mut rest = match fs::File::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && to.exists() => return Ok(()),
        opened => opened?,
    };
    let mut whole = fs::OpenOptions::new().write(true).open(to)?;
    let length = whole.metadata()?.len();
    if length < at {
        let message = format!("it has {length} bytes where {at} were written");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    whole.set_len(at)?;
    whole.seek(io::SeekFrom::Start(at))?;
    io::copy(&mut rest, &mut whole)?;
    whole.sync_all()
}

/// Copies a file to another file system, under a hidden name first: nobody sees half of it.
fn move_across(from: &Path, to: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let copy = to.with_file_name(format!(".{name}.egret-copy"));
    let copied = fs::copy(from, &copy).and_then(|_| fs::File::open(&copy)?.sync_all());
    if let Err(error) = copied.and_then(|()| fs::rename(&copy, to)) {
        // The first failure is the one to tell.
        let _ = fs::remove_file(&copy);
        return Err(error);
    }
    sync_dir_now(to.parent().unwrap_or(Path::new(".")))?;
    fs::remove_file(from)
}

/// Removes a transaction's folder with all in it, and the folders above it that are then empty.
fn remove_staging(staging: &Path) -> io::Result<()> {
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for folder in staging.ancestors().skip(1).take(STAGING_PARENTS) {
        // Others' files are in it, or others were faster.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// Drops the files of a transaction that will not be committed.
///
/// # Errors
/// When they cannot be removed.
pub async fn discard(staging: PathBuf) -> Result<(), TaskError> {
    let path = staging.clone();
    file::blocking("removing", &path, move || remove_staging(&staging)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(from: &str, to: &str) -> StagedFile {
        StagedFile { from: from.into(), to: to.into(), at: None }
    }

    #[test]
    fn the_rest_of_a_file_is_put_behind_its_start_once() {
        let root = tempfile::tempdir().expect("a folder");
        let mut transaction = staged(root.path());
        transaction.files.push(StagedFile { from: "CONTINUED/1".into(), to: "c".into(), at: Some(3) });
        assert_eq!(Transaction::decode(&transaction.encode()), Some(transaction.clone()));
        let (from, to) = (root.path().join("rest"), root.path().join("whole"));
        fs::write(&from, "def").expect("write");
        assert!(append_file(&from, &to, 3).is_err(), "there is nothing to put it behind");
        fs::write(&to, "ab").expect("write");
        assert!(append_file(&from, &to, 3).expect_err("too short").to_string().contains("2 bytes where 3"));
        fs::write(&to, "abcde").expect("write");
        for _ in 0..2 {
            append_file(&from, &to, 3).expect("appended");
            assert_eq!(fs::read_to_string(&to).expect("text"), "abcdef");
        }
        fs::remove_file(&from).expect("remove");
        append_file(&from, &to, 3).expect("appended before");
    }

    fn staged(root: &Path) -> Transaction {
        let staging = root.join(".egret-staging/7/abc/T_7_abc_0_1");
        fs::create_dir_all(staging.join("NON_PARTITION")).expect("a folder");
        fs::create_dir_all(staging.join("day=1")).expect("a folder");
        fs::write(staging.join("NON_PARTITION/a.csv"), "a").expect("write");
        fs::write(staging.join("day=1/b.csv"), "b").expect("write");
        Transaction {
            staging,
            target: root.join("out"),
            files: vec![whole("NON_PARTITION/a.csv", "a.csv"), whole("day=1/b.csv", "day=1/b.csv")],
        }
    }

    fn all_there(root: &Path) -> bool {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        text("out/a.csv").as_deref() == Some("a")
            && text("out/day=1/b.csv").as_deref() == Some("b")
            && !root.join(".egret-staging").exists()
    }

    #[test]
    fn a_record_is_read_back() {
        let transaction = staged(tempfile::tempdir().expect("a folder").path());
        assert_eq!(Transaction::decode(&transaction.encode()), Some(transaction));
        for text in ["", "{}", "{\"version\":2}", "{\"version\":1,\"staging\":\"a\",\"target\":\"b\",\"files\":[{}]}"] {
            assert_eq!(Transaction::decode(&Prepared(Bytes::from(text))), None, "{text}");
        }
    }

    #[test]
    fn publishing_again_changes_nothing() {
        let root = tempfile::tempdir().expect("a folder");
        let transaction = staged(root.path());
        for _ in 0..3 {
            publish(&transaction, |from, to| fs::rename(from, to)).expect("published");
            assert!(all_there(root.path()));
        }
    }

    #[test]
    fn publishing_goes_on_where_a_crash_left_it() {
        let root = tempfile::tempdir().expect("a folder");
        let transaction = staged(root.path());
        let stop_at_second = |from: &Path, to: &Path| {
            if to.ends_with("b.csv") { Err(io::Error::other("crash")) } else { fs::rename(from, to) }
        };
        assert!(publish(&transaction, stop_at_second).is_err());
        assert!(!all_there(root.path()));
        publish(&transaction, |from, to| fs::rename(from, to)).expect("published");
        assert!(all_there(root.path()));
    }

    #[test]
    fn files_are_copied_where_a_rename_would_cross_file_systems() {
        let root = tempfile::tempdir().expect("a folder");
        let transaction = staged(root.path());
        publish(&transaction, |_, _| Err(io::Error::from(io::ErrorKind::CrossesDevices))).expect("published");
        assert!(all_there(root.path()));
        let left = fs::read_dir(root.path().join("out")).expect("a folder").count();
        assert_eq!(left, 2, "no copies stay behind");
        let Ok(memory) = tempfile::tempdir_in("/dev/shm") else { return };
        let moved = Transaction { target: memory.path().join("out"), ..staged(root.path()) };
        publish(&moved, |from, to| fs::rename(from, to)).expect("published");
        assert!(memory.path().join("out/day=1/b.csv").exists() && !root.path().join(".egret-staging").exists());
    }

    #[test]
    fn a_file_that_is_nowhere_fails_the_commit() {
        let root = tempfile::tempdir().expect("a folder");
        let transaction = staged(root.path());
        fs::remove_file(transaction.staging.join("day=1/b.csv")).expect("remove");
        let error = publish(&transaction, |from, to| fs::rename(from, to)).expect_err("nowhere");
        assert!(error.to_string().contains("b.csv: neither it nor the staged"), "{error}");
        assert!(!error.is_retryable());
    }

    #[test]
    fn staging_folders_of_others_stay() {
        let root = tempfile::tempdir().expect("a folder");
        let transaction = staged(root.path());
        let other = root.path().join(".egret-staging/7/def");
        fs::create_dir_all(&other).expect("a folder");
        publish(&transaction, |from, to| fs::rename(from, to)).expect("published");
        assert!(other.exists() && !root.path().join(".egret-staging/7/abc").exists());
    }
}
