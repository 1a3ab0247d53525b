//! Files for work executors: read ahead, written behind, over io_uring.
//!
//! Nothing here blocks the executor. Reads and writes are submitted to the ring and awaited; what the ring cannot do
//! (renames, folders) runs on the blocking pool, see [`blocking`]. Files go through the page cache, which every file
//! system offers; positions are 64 bits wide, so size is no matter.
//!
//! **Closing.** [`ReadFile::close`], [`WriteFile::finish`] and [`WriteFile::abandon`] close a file and tell of
//! failures. A file that is dropped instead, because its task was cancelled, is closed at the reactor's next turn: no
//! descriptor leaks as long as the executor lives, but nobody hears of an error, what was written and not finished
//! may be lost, and the file stays where it is.
//!
//! Failures are [`TaskError`]s that name what was being done and the path: `writing /data/x.csv: No space left on
//! device`. Those that another try cannot mend (no permission, a name too long, ...) are permanent.

mod read;
mod write;

pub use read::{ReadFile, ReadStream};
pub use write::WriteFile;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glommio::{GlommioError, LocalExecutorBuilder, Placement};

use crate::plugin::TaskError;
use crate::shard;

/// Bytes of one read; a stream holds [`READS_AHEAD_MAX`] of them at most.
pub const READ_CHUNK_BYTES: usize = 512 << 10;

/// Reads that a stream keeps under way or ready.
pub const READS_AHEAD_MAX: usize = 2;

/// Bytes that a file under construction gathers before it writes them.
pub const WRITE_CHUNK_BYTES: usize = 256 << 10;

/// Bytes of the longest single write. A kernel thread copies a buffered write into the page cache, and a kernel that
/// does not preempt itself gives the CPU to nobody meanwhile, requests included: writes of many megabytes cost them
/// milliseconds.
pub const WRITE_BYTES_MAX: usize = 2 * WRITE_CHUNK_BYTES;

/// Writes that a file under construction keeps under way before it makes its owner wait.
pub const WRITES_BEHIND_MAX: usize = 2;

/// A failure of the operating system as a task failure: `writing /x: No space left on device`.
pub fn failure(doing: &str, path: &Path, error: &io::Error) -> TaskError {
    use io::ErrorKind as Kind;
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or(&text);
    let message = format!("{doing} {}: {reason}", path.display());
    match error.kind() {
        Kind::PermissionDenied
        | Kind::NotADirectory
        | Kind::IsADirectory
        | Kind::InvalidFilename
        | Kind::InvalidInput
        | Kind::ReadOnlyFilesystem => TaskError::permanent(message),
        _ => TaskError::transient(message),
    }
}

fn ring_failure(doing: &str, path: &Path, error: GlommioError<()>) -> TaskError {
    failure(doing, path, &ring_error(error))
}

fn ring_error(error: GlommioError<()>) -> io::Error {
    match error {
        GlommioError::IoError(source) | GlommioError::EnhancedIoError { source, .. } => source,
        other => io::Error::other(other.to_string()),
    }
}

/// Runs file operations that the ring cannot do on the blocking pool: the one place where `std::fs` is right.
/// `doing` and `path` name them should they fail.
///
/// # Errors
/// Those of the closure.
pub async fn blocking<T: Send + 'static>(
    doing: &'static str,
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, TaskError> {
    run_blocking(work).await.map_err(|error| failure(doing, path, &error))
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    if shard::current_shard().is_some() {
        return shard::run_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    }
    // An executor of `block_on` has no pool but its own thread. A panic there would hang the caller for ever.
    let guarded = move || std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    match glommio::executor().spawn_blocking(guarded).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::other("blocking work panicked")),
    }
}

/// Renames a file; an existing target is replaced.
///
/// # Errors
/// As the operating system tells.
pub async fn rename(from: &Path, to: &Path) -> Result<(), TaskError> {
    let (source, target) = (from.to_owned(), to.to_owned());
    blocking("renaming", from, move || std::fs::rename(source, target)).await
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// As the operating system tells.
pub async fn remove(path: &Path) -> Result<(), TaskError> {
    let target = path.to_owned();
    blocking("removing", path, move || match std::fs::remove_file(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    })
    .await
}

/// Makes the entries of a folder (files created in it, renamed into it) durable.
///
/// # Errors
/// As the operating system tells.
pub async fn sync_dir(path: &Path) -> Result<(), TaskError> {
    let target = path.to_owned();
    blocking("syncing", path, move || sync_dir_now(&target)).await
}

/// As [`sync_dir`], for code that runs on a thread which may block.
///
/// # Errors
/// As the operating system tells.
pub fn sync_dir_now(path: &Path) -> io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

/// Makes a folder and those above it that are missing.
///
/// # Errors
/// As the operating system tells.
pub async fn create_dir_all(path: &Path) -> Result<(), TaskError> {
    let target = path.to_owned();
    blocking("creating the folder", path, move || std::fs::create_dir_all(target)).await
}

/// Makes a folder and those above it that are missing, durably: the folder that holds each new entry is synced. For
/// threads that may block.
///
/// # Errors
/// As the operating system tells.
pub fn create_dir_durably(path: &Path) -> io::Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = path;
    while !at.exists() {
        missing.push(at.to_owned());
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent,
            _ => break,
        }
    }
    std::fs::create_dir_all(path)?;
    for made in missing.iter().rev() {
        if let Some(parent) = made.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir_now(parent)?;
        }
    }
    Ok(())
}

/// Runs a future that uses files to its end, on an executor made for it on the calling thread. For tools and tests:
/// within a node the shards have executors. Must not be called on one.
///
/// # Errors
/// When no executor can be made (no io_uring, too little locked memory).
pub fn block_on<F: Future>(make: impl FnOnce() -> F) -> io::Result<F::Output> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(64 << 10)
        .ring_depth(64)
        .preempt_timer(Duration::from_millis(100))
        .make()
        .map_err(ring_error)?;
    Ok(executor.run(async move { make().await }))
}

#[cfg(test)]
mod tests;
