//! Texts of requests, read where that holds up nobody.

use bytes::Bytes;
use egret_runtime::shard::run_blocking;

use crate::reply::Reply;

/// A text up to this length is read at once, which takes less than going elsewhere with it.
pub(super) const AT_ONCE_BYTES_MAX: usize = 64 << 10;

/// Reads a text: a long one on a blocking thread, because all requests of a core would wait for its front executor.
///
/// # Errors
/// 503 when too many blocking calls wait already.
pub(super) async fn read_text<T: Send + 'static>(
    text: Bytes,
    read: impl FnOnce(&Bytes) -> T + Send + 'static,
) -> Result<T, Reply> {
    if text.len() <= AT_ONCE_BYTES_MAX {
        return Ok(read(&text));
    }
    run_blocking(move || read(&text)).await.map_err(|error| Reply::busy(&error.to_string()))
}
