//! Handles: how other threads reach an executor.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use futures_lite::FutureExt;

use super::core::{Core, LocalFuture, Message};
use super::driver::words_of;
use super::group::WorkGroup;
use super::{ShardId, local};

/// An executor did not take a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MailboxFull {
    /// Name of the executor.
    pub executor: String,
    /// Messages that its mailbox holds.
    pub capacity: usize,
    /// The executor has stopped, which is why it takes none.
    pub stopped: bool,
}

impl std::fmt::Display for MailboxFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.stopped {
            true => write!(f, "{} has stopped", self.executor),
            false => write!(f, "the mailbox of {} is full ({} messages)", self.executor, self.capacity),
        }
    }
}

/// Why a call to another executor has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The mailbox was full: nothing was started. Try again later.
    #[error("{0}")]
    Full(MailboxFull),
    /// The call was dropped: its executor stopped or its group was cancelled.
    #[error("the executor stopped, or the job was cancelled, before the call was done")]
    Gone,
    /// The called code panicked, with these words.
    #[error("the call panicked: {0}")]
    Panicked(String),
}

/// Why a task has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It panicked, with these words.
    #[error("the task panicked: {0}")]
    Panicked(String),
    /// It was dropped: its group was cancelled or its executor stopped.
    #[error("the task was cancelled")]
    Cancelled,
}

/// The error of a [`JoinHandle`].
pub type TaskPanicked = JoinError;

/// The result of a task, to be awaited on any executor or thread. Dropping it lets the task go on.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct JoinHandle<R> {
    result: oneshot::Receiver<Result<R, String>>,
}

impl<R> Future for JoinHandle<R> {
    type Output = Result<R, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.result.poll(cx).map(|result| match result {
            Ok(result) => result.map_err(JoinError::Panicked),
            Err(oneshot::Canceled) => Err(JoinError::Cancelled),
        })
    }
}

/// The reply to a call, to be awaited on any executor or thread. Dropping it lets the called code go on.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Call<R> {
    reply: Result<JoinHandle<R>, MailboxFull>,
}

impl<R> Future for Call<R> {
    type Output = Result<R, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.reply {
            Ok(handle) => handle.poll(cx).map_err(|error| match error {
                JoinError::Panicked(words) => CallError::Panicked(words),
                JoinError::Cancelled => CallError::Gone,
            }),
            Err(full) if full.stopped => Poll::Ready(Err(CallError::Gone)),
            Err(full) => Poll::Ready(Err(CallError::Full(full.clone()))),
        }
    }
}

/// A task whose result, or whose panic, goes to a handle.
pub(super) fn joined<R, Fut>(make: impl FnOnce() -> Fut) -> (impl Future<Output = ()>, JoinHandle<R>)
where
    Fut: Future<Output = R>,
{
    let (sender, result) = oneshot::channel();
    (deliver(make, sender), JoinHandle { result })
}

async fn deliver<R, Fut>(make: impl FnOnce() -> Fut, sender: oneshot::Sender<Result<R, String>>)
where
    Fut: Future<Output = R>,
{
    let outcome = AssertUnwindSafe(async move { make().await }).catch_unwind().await;
    let outcome = outcome.map_err(|panic| {
        let words = words_of(panic);
        tracing::error!("a task panicked: {words}");
        local::with(|local| local.core.counters.panicked.add(1));
        words
    });
    // Nobody may be waiting any more.
    let _ = sender.send(outcome);
}

/// The front executor of a shard, for any thread.
#[derive(Clone, Debug)]
pub struct FrontHandle {
    core: Arc<Core>,
}

impl FrontHandle {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        self.core.shard
    }

    /// Starts a task there. `make` is sent over and called there, so what it makes need not be `Send`.
    ///
    /// # Errors
    /// If the mailbox is full or the executor has stopped; nothing was started then.
    pub fn spawn<Fut>(&self, make: impl FnOnce() -> Fut + Send + 'static) -> Result<(), MailboxFull>
    where
        Fut: Future<Output = ()> + 'static,
    {
        self.core.send(Message { group: None, build: Box::new(move || Box::pin(async move { make().await })) })
    }

    /// Runs code there and brings its result back. The message is sent at once, not at the first poll.
    pub fn call<R, Fut>(&self, make: impl FnOnce() -> Fut + Send + 'static) -> Call<R>
    where
        Fut: Future<Output = R> + 'static,
        R: Send + 'static,
    {
        Call { reply: send_joined(&self.core, None, make) }
    }
}

/// The work executor of a shard, for any thread.
#[derive(Clone, Debug)]
pub struct WorkHandle {
    core: Arc<Core>,
}

impl WorkHandle {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        self.core.shard
    }

    /// Starts a task of a group there. `make` is sent over and called there, so what it makes need not be `Send`.
    ///
    /// # Errors
    /// If the mailbox is full or the executor has stopped; nothing was started then.
    pub fn spawn<Fut>(&self, group: &WorkGroup, make: impl FnOnce() -> Fut + Send + 'static) -> Result<(), MailboxFull>
    where
        Fut: Future<Output = ()> + 'static,
    {
        group.state().join(&self.core);
        let build = Box::new(move || -> LocalFuture { Box::pin(async move { make().await }) });
        self.core.send(Message { group: Some(group.state().clone()), build })
    }

    /// As [`WorkHandle::spawn`], with a handle for the result.
    ///
    /// # Errors
    /// If the mailbox is full or the executor has stopped; nothing was started then.
    pub fn spawn_joined<R, Fut>(
        &self,
        group: &WorkGroup,
        make: impl FnOnce() -> Fut + Send + 'static,
    ) -> Result<JoinHandle<R>, MailboxFull>
    where
        Fut: Future<Output = R> + 'static,
        R: Send + 'static,
    {
        send_joined(&self.core, Some(group), make)
    }

    /// Runs code of a group there and brings its result back. The message is sent at once, not at the first poll.
    pub fn call<R, Fut>(&self, group: &WorkGroup, make: impl FnOnce() -> Fut + Send + 'static) -> Call<R>
    where
        Fut: Future<Output = R> + 'static,
        R: Send + 'static,
    {
        Call { reply: send_joined(&self.core, Some(group), make) }
    }
}

fn send_joined<R, Fut>(
    core: &Arc<Core>,
    group: Option<&WorkGroup>,
    make: impl FnOnce() -> Fut + Send + 'static,
) -> Result<JoinHandle<R>, MailboxFull>
where
    Fut: Future<Output = R> + 'static,
    R: Send + 'static,
{
    if let Some(group) = group {
        group.state().join(core);
    }
    let (sender, result) = oneshot::channel();
    let build = Box::new(move || -> LocalFuture { Box::pin(deliver(make, sender)) });
    core.send(Message { group: group.map(|group| group.state().clone()), build })?;
    Ok(JoinHandle { result })
}
