//! The one writer of the process' standard output.
//!
//! Standard output may block (a pipe whose reader is slow), and a task must not. So a thread of its own writes, and
//! tasks hand it whole lines: they come out in the order in which they were handed over, and lines of several tasks
//! never mix. What waits to be written is bounded; beyond that tasks wait.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use egret_runtime::plugin::TaskError;

/// Bytes that may wait to be written. One piece is taken whatever its size, so that none waits for ever.
const QUEUE_BYTES_MAX: usize = 1 << 20;

/// A thread that writes what it is handed.
pub(super) struct Printer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Piece>,
    queued_bytes: usize,
    /// Pieces handed over, ever.
    handed: u64,
    /// Pieces written or given up, ever.
    done: u64,
    /// Tasks that wait for room or for their lines.
    waiting: Vec<Waker>,
}

struct Piece {
    lines: Vec<u8>,
    trouble: Arc<OnceLock<Trouble>>,
}

/// Why lines were not written.
#[derive(Clone, Debug)]
struct Trouble {
    kind: io::ErrorKind,
    message: String,
}

impl Trouble {
    fn to_error(&self) -> TaskError {
        let message = format!("cannot write to standard output: {}", self.message);
        // Who closed the pipe does not open it again.
        if self.kind == io::ErrorKind::BrokenPipe {
            TaskError::permanent(message)
        } else {
            TaskError::transient(message)
        }
    }
}

impl Shared {
    /// The state holds together at every point at which a panic could strike, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes pieces for ever.
    fn write_all(&self, mut output: impl Write) {
        loop {
            let mut state = self.lock();
            while state.queue.is_empty() {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let Some(piece) = state.queue.pop_front() else { continue };
            drop(state);
            if let Err(error) = output.write_all(&piece.lines).and_then(|()| output.flush()) {
                let _ = piece.trouble.set(Trouble { kind: error.kind(), message: error.to_string() });
            }
            let mut state = self.lock();
            state.queued_bytes -= piece.lines.len();
            state.done += 1;
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

impl State {
    fn wait(&mut self, context: &Context<'_>) {
        if !self.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            self.waiting.push(context.waker().clone());
        }
    }
}

impl Printer {
    /// The printer of this process' standard output.
    pub(super) fn process() -> io::Result<&'static Self> {
        static PRINTER: OnceLock<Printer> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        match PRINTER.get() {
            Some(printer) => Ok(printer),
            None => {
                let started = Self::start(io::stdout())?;
                Ok(PRINTER.get_or_init(|| started))
            }
        }
    }

    /// Starts a thread that writes to `output` as long as the process lives.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new() });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new().name("console".into()).spawn(move || writer.write_all(output))?;
        Ok(Self { shared })
    }

    /// A handle for one task.
    pub(super) fn hand(&self) -> PrinterHandle {
        PrinterHandle { shared: Arc::clone(&self.shared), last: 0, trouble: Arc::default() }
    }
}

/// Hands lines over, for one task.
pub(super) struct PrinterHandle {
    shared: Arc<Shared>,
    /// Number of the last piece handed over.
    last: u64,
    trouble: Arc<OnceLock<Trouble>>,
}

impl PrinterHandle {
    /// Hands over whole lines, once there is room for them. They are written soon, without being asked for again.
    ///
    /// # Errors
    /// When lines handed over before could not be written.
    pub(super) async fn print(&mut self, lines: String) -> Result<(), TaskError> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut lines = Some(lines.into_bytes());
        poll_fn(|context| {
            self.check()?;
            let mut state = self.shared.lock();
            let size = lines.as_ref().map_or(0, Vec::len);
            if state.queued_bytes > 0 && state.queued_bytes + size > QUEUE_BYTES_MAX {
                state.wait(context);
                return Poll::Pending;
            }
            if let Some(lines) = lines.take() {
                state.queued_bytes += size;
                state.handed += 1;
                self.last = state.handed;
                state.queue.push_back(Piece { lines, trouble: Arc::clone(&self.trouble) });
                self.shared.work.notify_one();
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Waits until all that was handed over is written.
    ///
    /// # Errors
    /// When it could not be written.
    pub(super) async fn flush(&mut self) -> Result<(), TaskError> {
        poll_fn(|context| {
            let mut state = self.shared.lock();
            // Pieces are written in the order in which they were handed over.
            if state.done < self.last {
                state.wait(context);
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        self.check()
    }

    fn check(&self) -> Result<(), TaskError> {
        match self.trouble.get() {
            Some(trouble) => Err(trouble.to_error()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_lite::future::{block_on, poll_once};

    use super::*;

    /// Writes when it is let, and keeps what it wrote.
    struct Gate {
        written: Arc<Mutex<Vec<u8>>>,
        let_through: mpsc::Receiver<()>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.let_through.recv_timeout(Duration::from_secs(60)).map_err(io::Error::other)?;
            self.written.lock().expect("a lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Shelf(Arc<Mutex<Vec<u8>>>);

    impl Write for Shelf {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("a lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_task_waits_while_too_much_is_unwritten_and_goes_on_when_there_is_room() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (open, let_through) = mpsc::sync_channel(8);
        let printer = Printer::start(Gate { written: Arc::clone(&written), let_through }).expect("a thread");
        let mut hand = printer.hand();
        let half = "x".repeat(QUEUE_BYTES_MAX / 2);
        block_on(async {
            hand.print(half.clone()).await.expect("room");
            hand.print(half.clone()).await.expect("room");
            assert!(poll_once(hand.print("y".into())).await.is_none(), "no room");
            assert!(poll_once(hand.flush()).await.is_none(), "nothing is written yet");
            open.send(()).expect("the writer");
            hand.print("y".into()).await.expect("room");
            open.send(()).expect("the writer");
            open.send(()).expect("the writer");
            hand.flush().await.expect("written");
        });
        assert_eq!(written.lock().expect("a lock").len(), 2 * half.len() + 1);
    }

    #[test]
    fn lines_of_several_tasks_never_mix() {
        let shelf = Shelf::default();
        let printer = Printer::start(shelf.clone()).expect("a thread");
        std::thread::scope(|scope| {
            for task in 0..4 {
                let mut hand = printer.hand();
                scope.spawn(move || {
                    block_on(async {
                        for line in 0..200 {
                            let lines = format!("{task}:{line}:{}\n", "z".repeat(line)).repeat(2);
                            hand.print(lines).await.expect("room");
                        }
                        hand.flush().await.expect("written");
                    });
                });
            }
        });
        let written = String::from_utf8(shelf.0.lock().expect("a lock").clone()).expect("text");
        assert_eq!(written.lines().count(), 4 * 200 * 2);
        let mut next = [0; 4];
        for pair in written.lines().collect::<Vec<_>>().chunks(2) {
            assert_eq!(pair[0], pair[1]);
            let task: usize = pair[0][..1].parse().expect("a task");
            assert!(pair[0].starts_with(&format!("{task}:{}:", next[task])), "{}", pair[0]);
            next[task] += 1;
        }
    }

    #[test]
    fn a_closed_pipe_is_an_error_that_no_retry_mends() {
        let printer = Printer::start(ClosedPipe).expect("a thread");
        let mut hand = printer.hand();
        let error = block_on(async {
            hand.print("x\n".into()).await.expect("room");
            hand.flush().await.expect_err("a closed pipe")
        });
        assert!(error.to_string().contains("standard output"), "{error}");
        assert!(!error.is_retryable());
        assert!(block_on(hand.print("y\n".into())).is_err());
    }
}
