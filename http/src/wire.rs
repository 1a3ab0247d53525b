//! One connection between hyper and the socket.
//!
//! hyper reads through [`Io`] straight into its own buffer. What it writes is collected for one turn of the
//! connection's task and sent at its end by [`Wire::poll_send`], so that the answers to pipelined requests share a
//! system call. (hyper's own `pipeline_flush` does the same, but holds back answers without bound as long as input
//! is there, and loses those before a malformed request.)

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use egret_runtime::net::Stream;
use http::StatusCode;
use hyper::rt::ReadBufCursor;

use crate::limits::HttpLimits;
use crate::node;
use crate::reply::{self, Reply};
use crate::stats::ShardStats;

/// Bytes that are collected before they are sent within a turn.
const OUT_BYTES_MAX: usize = 64 << 10;
/// A piece of so many bytes is sent from where it lies: that is cheaper than to copy it.
const DIRECT_BYTES_MIN: usize = 16 << 10;
/// Pieces of an answer that one call sends. hyper has no more than these at a time: a head, and 16 pieces of a body.
const PIECES_MAX: usize = 17;

/// What a connection is waiting for, which says how long it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first byte of its first request.
    Fresh,
    /// The rest of a request's head.
    Head,
    /// The rest of a request's body.
    Body,
    /// The handler.
    Handling,
    /// The client to take the answer.
    Answering,
    /// The next request.
    Idle,
    /// The client to read its last answer.
    Lingering,
}

/// What has become of a connection that waited too long, or whose server has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Close: too long in this phase. In [`Phase::Body`] and [`Phase::Handling`] the service answers first.
    TimedOut(Phase),
    /// Close: the client takes no bytes.
    WriteBlocked,
    /// Close: the server's patience with its own end is over.
    Cut,
}

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// After its request; one that was opened and has asked nothing yet is waited for.
    Patient,
    /// After its request, if that has begun.
    Now,
}

/// Memory that the connections of a shard use in turn.
#[derive(Debug, Default)]
pub(crate) struct SpareBuffer(RefCell<Vec<u8>>);

/// The socket of a connection and what is known about it.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: RefCell<Stream>,
    out: RefCell<Vec<u8>>,
    spare: Rc<SpareBuffer>,
    stats: std::sync::Arc<ShardStats>,
    state: Rc<State>,
    /// Place in the registry.
    pub(crate) slot: Cell<usize>,
}

/// The part of a connection's state that needs no socket.
#[derive(Debug)]
pub(crate) struct State {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    blocked_since: Cell<Option<Instant>>,
    verdict: Cell<Option<Verdict>>,
    /// Close after the request. The connection's task has not heard of it yet.
    finish: Cell<bool>,
    /// The same, for good.
    ending: Cell<Option<Ending>>,
    waker: RefCell<Option<Waker>>,
    /// hyper has an answer of ours to write: what it writes is not its own.
    answering: Cell<bool>,
    /// hyper holds the last byte of the answer.
    answer_given: Cell<bool>,
    /// The socket is to be drained before it is closed: input was refused.
    refused_input: Cell<bool>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            phase: Cell::new(Phase::Fresh),
            since: Cell::new(Instant::now()),
            blocked_since: Cell::new(None),
            verdict: Cell::new(None),
            finish: Cell::new(false),
            ending: Cell::new(None),
            waker: RefCell::new(None),
            answering: Cell::new(false),
            answer_given: Cell::new(false),
            refused_input: Cell::new(false),
        }
    }
}

impl State {
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Enters a phase that begins now.
    pub(crate) fn enter(&self, phase: Phase, now: Instant) {
        self.phase.set(phase);
        self.since.set(now);
        if matches!(self.verdict.get(), Some(Verdict::TimedOut(_))) {
            self.verdict.set(None);
        }
    }

    /// A request has begun: an answer is due.
    pub(crate) fn request_begins(&self, now: Instant) {
        self.enter(Phase::Handling, now);
        self.answering.set(true);
        self.answer_given.set(false);
    }

    /// hyper has taken the last byte of the answer, or does not want it.
    pub(crate) fn answer_given(&self) {
        self.answer_given.set(true);
    }

    /// hyper has written all that it had.
    fn flushed(&self) {
        if self.answer_given.replace(false) {
            self.answering.set(false);
            if self.phase.get() == Phase::Answering {
                self.enter(Phase::Idle, Instant::now());
            }
        }
    }

    /// The rest of the input will not be read.
    pub(crate) fn refuse_input(&self) {
        self.refused_input.set(true);
    }

    pub(crate) fn has_refused_input(&self) -> bool {
        self.refused_input.get()
    }

    /// Whether the socket takes no bytes.
    pub(crate) fn is_write_blocked(&self) -> bool {
        self.blocked_since.get().is_some()
    }

    #[cfg(test)]
    pub(crate) fn set_write_blocked(&self, blocked: bool) {
        self.blocked_since.set(blocked.then(Instant::now));
    }

    /// Whether an answer is due or on its way.
    pub(crate) fn is_answering(&self) -> bool {
        self.answering.get()
    }

    /// Judges the connection, and wakes its task if there is something for it to do.
    pub(crate) fn sweep(&self, now: Instant, limits: &HttpLimits) {
        let waited = now.saturating_duration_since(self.since.get());
        let phase = self.phase.get();
        let patience = match phase {
            Phase::Fresh | Phase::Head => limits.header_timeout,
            Phase::Body => limits.body_timeout,
            Phase::Handling => limits.handler_timeout,
            Phase::Answering => Duration::MAX,
            Phase::Idle => limits.idle_timeout,
            Phase::Lingering => limits.linger_timeout,
        };
        let blocked = self.blocked_since.get().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        if blocked >= limits.write_timeout && blocked > Duration::ZERO {
            self.judge(Verdict::WriteBlocked);
        } else if waited >= patience && blocked.is_zero() {
            self.judge(Verdict::TimedOut(phase));
        }
    }

    pub(crate) fn judge(&self, verdict: Verdict) {
        self.verdict.set(Some(verdict));
        self.wake();
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.verdict.get()
    }

    /// Asks the connection to close after its request.
    pub(crate) fn finish(&self, ending: Ending) {
        self.finish.set(true);
        self.ending.set(Some(ending));
        self.wake();
    }

    pub(crate) fn take_finish(&self) -> bool {
        self.finish.take()
    }

    /// Whether the answer is to be the connection's last.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.get().is_some()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn remember_waker(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        match waker.as_mut() {
            Some(known) => known.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
    }

    /// Ready once the phase has lasted too long. The connection's task is woken for it.
    pub(crate) fn poll_timed_out(&self, phase: Phase) -> Poll<()> {
        match self.verdict.get() {
            Some(Verdict::TimedOut(late)) if late == phase => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

impl Wire {
    pub(crate) fn new(stream: Stream, spare: Rc<SpareBuffer>, stats: std::sync::Arc<ShardStats>) -> Self {
        Self {
            stream: RefCell::new(stream),
            out: RefCell::default(),
            spare,
            stats,
            state: Rc::default(),
            slot: Cell::new(0),
        }
    }

    pub(crate) fn state(&self) -> &Rc<State> {
        &self.state
    }

    /// Whether the other side is on this machine. A connection that is gone is not.
    pub(crate) fn is_from_here(&self) -> bool {
        self.stream.borrow().peer().is_ok_and(|peer| node::is_loopback(peer.ip()))
    }

    /// Whether a request is to be waited for before the connection ends: it has begun to arrive, as far as anybody can
    /// tell, or is to be expected.
    pub(crate) fn awaits_request(&self) -> bool {
        match self.state.phase() {
            Phase::Head => true,
            Phase::Fresh if self.state.ending.get() == Some(Ending::Patient) => true,
            Phase::Fresh | Phase::Idle => self.stream.borrow().has_unread(),
            Phase::Body | Phase::Handling | Phase::Answering | Phase::Lingering => false,
        }
    }

    /// Sends what was collected. Ready when nothing is left.
    pub(crate) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut out = self.out.borrow_mut();
        let mut sent = 0;
        while sent < out.len() {
            match self.poll_write_through(cx, &out[sent..]) {
                Poll::Ready(Ok(bytes)) => sent += bytes,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    out.drain(..sent);
                    return Poll::Pending;
                }
            }
        }
        if out.capacity() > 0 {
            out.clear();
            self.spare.0.replace(std::mem::take(&mut *out));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_through(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.note_written(self.stream.borrow_mut().poll_write(cx, bytes))
    }

    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending if self.state.blocked_since.get().is_none() => {
                self.state.blocked_since.set(Some(Instant::now()));
            }
            Poll::Pending => {}
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(done) => {
                self.state.blocked_since.set(None);
                self.stats.bytes_out.add(*done.as_ref().unwrap_or(&0) as u64);
            }
        }
        written
    }

    /// Takes pieces of hyper's: small ones are collected; large ones, and those for which there is no more room, are sent
    /// at once, behind what was collected before.
    fn poll_collect(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let bytes: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut out = self.out.borrow_mut();
        if out.len() + bytes > OUT_BYTES_MAX || pieces.iter().any(|piece| piece.len() >= DIRECT_BYTES_MIN) {
            drop(out);
            return self.poll_send_with(cx, pieces);
        }
        if out.capacity() == 0 {
            *out = self.spare.0.take();
        }
        pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        Poll::Ready(Ok(bytes))
    }

    /// Sends what was collected and these pieces behind it, in one call as far as the socket takes them. Gives how many
    /// bytes of the pieces it took, at least one.
    fn poll_send_with(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let mut out = self.out.borrow_mut();
            let mut all = [IoSlice::new(&[]); 1 + PIECES_MAX];
            all[0] = IoSlice::new(&out);
            all.iter_mut().skip(1).zip(pieces).for_each(|(slice, piece)| *slice = *piece);
            let written = self.stream.borrow_mut().poll_write_vectored(cx, &all[..1 + pieces.len().min(PIECES_MAX)]);
            let sent = ready!(self.note_written(written))?;
            if sent < out.len() {
                out.drain(..sent);
                continue;
            }
            let sent = sent - out.len();
            if out.capacity() > 0 {
                out.clear();
                self.spare.0.replace(std::mem::take(&mut *out));
            }
            if sent > 0 {
                return Poll::Ready(Ok(sent));
            }
        }
    }

    /// Answers outside of hyper, which has given up on the connection or never had it.
    pub(crate) async fn answer(&self, reply: Reply) -> io::Result<()> {
        self.state.enter(Phase::Lingering, Instant::now());
        self.out.borrow_mut().extend_from_slice(&reply::last_words(reply));
        poll_fn(|cx| {
            self.state.remember_waker(cx);
            if self.state.verdict().is_some() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.poll_send(cx)
        })
        .await?;
        self.stream.borrow().shutdown_write()
    }

    /// Lets the client read its last answer: the socket is closed once the client has, or after a while.
    pub(crate) async fn linger(&self, mut bytes_max: usize) {
        self.state.enter(Phase::Lingering, Instant::now());
        poll_fn(|cx| {
            self.state.remember_waker(cx);
            match self.state.verdict() {
                None => self.stream.borrow_mut().poll_drain(cx, &mut bytes_max),
                Some(_) => Poll::Ready(()),
            }
        })
        .await;
    }
}

/// What hyper reads from and writes to.
#[derive(Debug)]
pub(crate) struct Io {
    wire: Rc<Wire>,
    /// Our words for an error that hyper found by itself, in place of hyper's own.
    instead: Bytes,
}

impl Io {
    pub(crate) fn new(wire: Rc<Wire>) -> Self {
        Self { wire, instead: Bytes::new() }
    }

    /// hyper answers a malformed head by itself, with an empty body: the status is kept, the answer is ours.
    fn poll_own_words(&mut self, cx: &mut Context<'_>, hypers: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_empty() {
            let Some(reply) = reply::for_parse_error(hypers) else {
                return self.wire.poll_collect(cx, &[IoSlice::new(hypers)]);
            };
            match reply.status {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => self.wire.stats.heads_too_large.add(1),
                StatusCode::URI_TOO_LONG => self.wire.stats.uris_too_long.add(1),
                _ => self.wire.stats.malformed.add(1),
            }
            self.wire.state.refuse_input();
            self.instead = reply::last_words(reply);
        }
        while !self.instead.is_empty() {
            let taken = ready!(self.wire.poll_collect(cx, &[IoSlice::new(&self.instead)]))?;
            let _ = self.instead.split_to(taken);
        }
        Poll::Ready(Ok(hypers.len()))
    }
}

impl hyper::rt::Read for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<Result<(), io::Error>> {
        let state = &self.wire.state;
        // SAFETY: the stream writes to the slice and never makes bytes of it uninitialised again.
        let spare = unsafe { cursor.as_mut() };
        let read = ready!(self.wire.stream.borrow_mut().poll_read(cx, spare))?;
        // SAFETY: the stream has initialised the first `read` bytes of the slice.
        unsafe { cursor.advance(read) };
        self.wire.stats.bytes_in.add(read as u64);
        if read > 0 && matches!(state.phase(), Phase::Fresh | Phase::Idle) {
            state.enter(Phase::Head, Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// Has hyper leave the pieces of an answer where they are, instead of copying them together.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.wire.state.answering.get() {
            return self.wire.poll_collect(cx, pieces);
        }
        let first = pieces.iter().find(|piece| !piece.is_empty()).map_or(&[][..], |piece| piece);
        self.poll_own_words(cx, first)
    }

    /// The driver of the connection sends at the end of its turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.state.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_send(cx))?;
        Poll::Ready(self.wire.stream.borrow().shutdown_write())
    }
}
