//! Bodies: answers as chains of shared pieces, requests gathered within their limits.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use crate::stats::ShardStats;
use crate::wire::{Phase, State};

/// Bytes of a body that go out between two looks at the rest of the executor's work.
const TURN_BYTES: usize = 64 << 10;

/// A body up to this length is read although nobody wants it.
const SKIP_BYTES_MAX: u64 = 4 << 10;

/// The body of an answer: pieces that are sent one after the other, not copied together before.
#[derive(Clone, Debug, Default)]
pub struct Body {
    pieces: VecDeque<Bytes>,
    remaining: u64,
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.remaining += piece.len() as u64;
            self.pieces.push_back(piece);
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.remaining
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.remaining == 0
    }

    /// All bytes in one piece, for tests and for small bodies.
    pub fn into_bytes(mut self) -> Bytes {
        match (self.pieces.pop_front(), self.pieces.is_empty()) {
            (None, _) => Bytes::new(),
            (Some(only), true) => only,
            (Some(first), false) => {
                let mut all = BytesMut::from(first);
                self.pieces.iter().for_each(|piece| all.extend_from_slice(piece));
                all.freeze()
            }
        }
    }

    /// The pieces, in their order.
    #[cfg(test)]
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter()
    }

    /// Takes a piece of up to `bytes_max`.
    fn pop(&mut self, bytes_max: usize) -> Option<Bytes> {
        let first = self.pieces.front_mut()?;
        let piece = if first.len() > bytes_max { first.split_to(bytes_max) } else { self.pieces.pop_front()? };
        self.remaining -= piece.len() as u64;
        Some(piece)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let mut body = Self::empty();
        body.push(bytes);
        body
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl FromIterator<Bytes> for Body {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let mut body = Self::empty();
        pieces.into_iter().for_each(|piece| body.push(piece));
        body
    }
}

impl<const N: usize> From<[Bytes; N]> for Body {
    fn from(pieces: [Bytes; N]) -> Self {
        pieces.into_iter().collect()
    }
}

/// A body on its way to the client of a connection.
///
/// A large body is offered in turns, and not while the socket is full. That keeps other requests moving, and what hyper
/// and the connection hold small.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Body,
    state: Rc<State>,
    turn_bytes: usize,
}

impl Outgoing {
    pub(crate) fn new(body: Body, state: Rc<State>) -> Self {
        Self { body, state, turn_bytes: 0 }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.state.answer_given();
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.body.is_empty() {
            return Poll::Ready(None);
        }
        if self.turn_bytes >= TURN_BYTES {
            self.turn_bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.state.is_write_blocked() {
            // The socket wakes this task when it takes bytes again.
            return Poll::Pending;
        }
        let room = TURN_BYTES - self.turn_bytes;
        let piece = self.body.pop(room);
        if let Some(piece) = &piece {
            self.turn_bytes += piece.len();
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.len())
    }
}

/// Why a request's body could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("The request body is larger than {0} bytes.")]
    TooLarge(usize),
    #[error("The node is reading too many large requests, try again later.")]
    NoRoom,
    #[error("The request body is malformed or ended early.")]
    Broken,
    #[error("The request body did not arrive in time.")]
    TimedOut,
}

/// A request's body, read when a handler asks for it.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    state: Rc<State>,
    room: Rc<BodyRoom>,
    reserved: usize,
    ended: bool,
    failed: Option<BodyError>,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, state: Rc<State>, room: Rc<BodyRoom>) -> Self {
        Self { incoming, state, room, reserved: 0, ended: false, failed: None }
    }

    /// Whether part of the body is still to come.
    pub(crate) fn is_unread(&self) -> bool {
        !self.ended && !self.incoming.is_end_stream()
    }

    /// Reads past a body that no handler asked for, if it is short and on its way, so that the connection can go on.
    pub(crate) async fn skip_if_small(&mut self) {
        let announced = self.incoming.size_hint().exact();
        if self.is_unread() && self.failed.is_none() && announced.is_some_and(|bytes| bytes <= SKIP_BYTES_MAX) {
            // Where that fails, the connection ends with the answer.
            let _ = self.gather().await;
        }
    }

    /// Why it could not be read, if a handler tried.
    pub(crate) fn failure(&self) -> Option<BodyError> {
        self.failed
    }

    /// All of it. A body that came in one piece is not copied.
    pub(crate) async fn gather(&mut self) -> Result<Bytes, BodyError> {
        let gathered = self.gather_in_time().await;
        self.failed = gathered.as_ref().err().copied();
        gathered
    }

    async fn gather_in_time(&mut self) -> Result<Bytes, BodyError> {
        let announced = self.incoming.size_hint().exact();
        if announced.is_some_and(|bytes| bytes > self.room.body_bytes_max as u64) {
            return Err(BodyError::TooLarge(self.room.body_bytes_max));
        }
        self.state.enter(Phase::Body, Instant::now());
        let gathered = self.gather_frames(announced).await;
        self.state.enter(Phase::Handling, Instant::now());
        gathered
    }

    async fn gather_frames(&mut self, announced: Option<u64>) -> Result<Bytes, BodyError> {
        let mut first = Bytes::new();
        let mut more = BytesMut::new();
        while let Some(frame) = self.next_frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            self.reserve(data.len())?;
            if announced == Some(data.len() as u64) {
                return Ok(data);
            }
            if first.is_empty() && more.is_empty() {
                first = data;
                continue;
            }
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
        }
        self.ended = true;
        Ok(if more.is_empty() { first } else { more.freeze() })
    }

    async fn next_frame(&mut self) -> Option<Result<Frame<Bytes>, BodyError>> {
        poll_fn(|cx| match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(|_| BodyError::Broken))),
            Poll::Pending => self.state.poll_timed_out(Phase::Body).map(|()| Some(Err(BodyError::TimedOut))),
        })
        .await
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), BodyError> {
        if self.reserved + bytes > self.room.body_bytes_max {
            return Err(BodyError::TooLarge(self.room.body_bytes_max));
        }
        if !self.room.take(bytes) {
            return Err(BodyError::NoRoom);
        }
        self.reserved += bytes;
        Ok(())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.room.give_back(self.reserved);
    }
}

/// Memory for the request bodies of a shard.
#[derive(Debug)]
pub(crate) struct BodyRoom {
    body_bytes_max: usize,
    bodies_bytes_max: usize,
    used: std::cell::Cell<usize>,
    stats: Arc<ShardStats>,
}

impl BodyRoom {
    pub(crate) fn new(body_bytes_max: usize, bodies_bytes_max: usize, stats: Arc<ShardStats>) -> Self {
        Self { body_bytes_max, bodies_bytes_max, used: std::cell::Cell::new(0), stats }
    }

    fn take(&self, bytes: usize) -> bool {
        let used = self.used.get() + bytes;
        let fits = used <= self.bodies_bytes_max;
        if fits {
            self.set(used);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.set(self.used.get() - bytes);
        }
    }

    fn set(&self, used: usize) {
        self.used.set(used);
        self.stats.body_bytes.set(used as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn frames(body: Body) -> Vec<usize> {
        let mut outgoing = Outgoing::new(body, Rc::default());
        let mut cx = Context::from_waker(Waker::noop());
        let mut lengths = Vec::new();
        while !outgoing.is_end_stream() {
            match Pin::new(&mut outgoing).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => lengths.push(frame.into_data().expect("data").len()),
                Poll::Ready(None) => break,
                Poll::Pending => lengths.push(0),
                Poll::Ready(Some(Err(never))) => match never {},
            }
        }
        lengths
    }

    #[test]
    fn a_large_body_goes_out_in_turns() {
        let mut body = Body::from(Bytes::from(vec![b'x'; TURN_BYTES + 10]));
        body.push(Bytes::from_static(b"tail"));
        assert_eq!(body.len(), TURN_BYTES as u64 + 14);
        assert_eq!(frames(body), [TURN_BYTES, 0, 10, 4]);
    }

    #[test]
    fn nothing_is_offered_while_the_socket_is_full() {
        let state = Rc::new(State::default());
        let mut outgoing = Outgoing::new(Bytes::from_static(b"hello").into(), state.clone());
        let mut cx = Context::from_waker(Waker::noop());
        state.set_write_blocked(true);
        assert!(Pin::new(&mut outgoing).poll_frame(&mut cx).is_pending());
        state.set_write_blocked(false);
        assert!(Pin::new(&mut outgoing).poll_frame(&mut cx).is_ready());
    }

    #[test]
    fn pieces_come_out_as_one() {
        let body = Body::from([Bytes::from_static(b"a"), Bytes::new(), Bytes::from_static(b"bc")]);
        assert_eq!(&body.into_bytes()[..], b"abc");
        assert!(Body::empty().into_bytes().is_empty());
    }

    #[test]
    fn the_room_for_bodies_is_bounded() {
        let stats = Arc::new(ShardStats::new(0));
        let room = BodyRoom::new(10, 15, stats.clone());
        assert!(room.take(10));
        assert!(!room.take(6));
        room.give_back(10);
        assert!(room.take(15));
        assert_eq!(stats.body_bytes.get(), 15);
    }
}
