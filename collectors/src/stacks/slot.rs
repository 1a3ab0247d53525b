//! What the handler of the stack signal writes to. Everything here is fit for a signal's handler: no allocation, no lock,
//! no panic, loops with a bound.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use super::registers::Registers;

/// Slots: threads that are asked at a time.
pub(super) const SLOTS: usize = 64;
/// Most bytes that are copied of a stack.
pub(super) const STACK_BYTES_MAX: usize = 128 << 10;
const WORDS: usize = STACK_BYTES_MAX / 8;
/// A longer distance between the stack pointer and the top of the stack is not believed.
const SPAN_MAX: u64 = 1 << 30;

/// The lowest bits of a slot's state; the number of the request stands above them.
const PHASE_BITS: u32 = 3;
/// Belongs to nobody.
const FREE: u64 = 0;
/// Its thread may write to it.
const ARMED: u64 = 1;
/// Its thread writes to it.
const WRITING: u64 = 2;
/// Its thread is through; it belongs to whoever armed it.
const DONE: u64 = 3;
/// Its thread writes to it and nobody waits for that any more.
const GIVEN_UP: u64 = 4;

/// A thread's answer: its registers and a copy of its stack.
///
/// Who may touch the contents is said by the state alone: the interrupted thread while it is `WRITING` or `GIVEN_UP`, and
/// whoever armed the slot while it is `DONE`.
pub(super) struct Slot {
    state: AtomicU64,
    /// The thread that is asked.
    thread: AtomicI32,
    registers: UnsafeCell<Registers>,
    /// Words of `stack` that were written.
    length: UnsafeCell<usize>,
    stack: UnsafeCell<[u64; WORDS]>,
}

// SAFETY: the contents are touched by one thread at a time, as the state says; its changes order what they do.
unsafe impl Sync for Slot {}

/// What a thread has answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) registers: Registers,
    /// The stack from its pointer on.
    pub(super) stack: Vec<u64>,
}

/// How a wait for an answer stands.
pub(super) enum Taken {
    /// It is there.
    Answer(Answer),
    /// The thread has not begun.
    NotYet,
    /// The thread is at it.
    Writing,
}

fn with_phase(request: u64, phase: u64) -> u64 {
    request << PHASE_BITS | phase
}

impl Slot {
    /// Takes a free slot for a thread. `request` is a number that no other request has.
    pub(super) fn arm(&self, request: u64, thread: i32) -> bool {
        let free = self.state.load(Ordering::Relaxed);
        if free != FREE {
            return false;
        }
        // Taken first as one that is written to, so that nobody answers before the thread is named.
        let claimed = with_phase(request, WRITING);
        if self.state.compare_exchange(free, claimed, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        self.thread.store(thread, Ordering::Relaxed);
        self.state.store(with_phase(request, ARMED), Ordering::Release);
        true
    }

    /// The answer, if it is there; the slot is free then.
    pub(super) fn take(&self, request: u64) -> Taken {
        // Acquire: what the thread wrote is seen.
        let state = self.state.load(Ordering::Acquire);
        if state != with_phase(request, DONE) {
            return if state == with_phase(request, WRITING) { Taken::Writing } else { Taken::NotYet };
        }
        // SAFETY: DONE, and of this request: it belongs to the caller, who armed it.
        let answer = unsafe {
            let length = (*self.length.get()).min(WORDS);
            let stack = (&(*self.stack.get()))[..length].to_vec();
            Answer { registers: *self.registers.get(), stack }
        };
        self.state.store(FREE, Ordering::Release);
        Taken::Answer(answer)
    }

    /// Gives a request up. A late answer to it does nothing. The answer that has come just now, if any.
    pub(super) fn give_up(&self, request: u64) -> Option<Answer> {
        let armed = with_phase(request, ARMED);
        if self.state.compare_exchange(armed, FREE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return None;
        }
        let writing = with_phase(request, WRITING);
        let given_up = with_phase(request, GIVEN_UP);
        if self.state.compare_exchange(writing, given_up, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return None;
        }
        match self.take(request) {
            Taken::Answer(answer) => Some(answer),
            Taken::NotYet | Taken::Writing => None,
        }
    }

    /// The interrupted thread answers; false when the request was given up or is not for it. `first_stack_end` is the end
    /// of the stack of the process' first thread.
    ///
    /// # Safety
    /// To be called by the handler of a signal, with the context that the kernel gave it, which is that of this thread.
    pub(super) unsafe fn answer(&self, request: u64, context: &libc::ucontext_t, first_stack_end: u64) -> bool {
        let armed = with_phase(request, ARMED);
        let writing = with_phase(request, WRITING);
        // SAFETY: both calls take nothing and cannot fail.
        let (own, process) = unsafe { (libc::gettid(), libc::getpid()) };
        // Whom the slot is for was written before it was armed.
        if self.state.load(Ordering::Acquire) != armed
            || self.thread.load(Ordering::Relaxed) != own
            || self.state.compare_exchange(armed, writing, Ordering::Acquire, Ordering::Relaxed).is_err()
        {
            return false;
        }
        let registers = Registers::of_context(context);
        let sp = registers.sp() & !7;
        let end = stack_end(context, sp, own == process, first_stack_end);
        // SAFETY: WRITING, by this thread: the contents are its. `sp` to `end` is this thread's stack above its frame, see
        // `stack_end`; it is aligned, and nothing there is unmapped while the thread is in this handler. The words may be
        // written by other threads meanwhile, who have borrowed them: read as volatile they are just values.
        unsafe {
            *self.registers.get() = registers;
            let words = (end.saturating_sub(sp) / 8).min(WORDS as u64) as usize;
            let stack = self.stack.get().cast::<u64>();
            let mut word = 0;
            while word < words {
                stack.add(word).write((sp as *const u64).add(word).read_volatile());
                word += 1;
            }
            *self.length.get() = words;
        }
        if self
            .state
            .compare_exchange(writing, with_phase(request, DONE), Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            self.state.store(FREE, Ordering::Release);
        }
        true
    }
}

/// Where the stack ends that `sp` points into; `sp` itself when that is not known. Everything between is mapped: it holds
/// the frames of the callers.
fn stack_end(context: &libc::ucontext_t, sp: u64, is_first: bool, first_stack_end: u64) -> u64 {
    let alternate = context.uc_stack.ss_sp as u64;
    let alternate_end = alternate.wrapping_add(context.uc_stack.ss_size as u64);
    let end = if alternate != 0 && sp >= alternate && sp < alternate_end {
        // A handler of another signal was interrupted.
        alternate_end
    } else if is_first {
        first_stack_end
    } else {
        // SAFETY: the call takes nothing and cannot fail. It reads this thread's own block, which the C library puts above
        // the stack in the same mapping.
        unsafe { libc::pthread_self() as u64 }
    };
    if end > sp && end - sp <= SPAN_MAX { end } else { sp }
}
