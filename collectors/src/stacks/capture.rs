//! Taking the stacks of threads of this process: a signal to each, and what its handler copies.

use std::io;
use std::mem;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::registers::Registers;
use super::slot::{Answer, SLOTS, Slot, Taken};

/// Where the handler finds everything; made once, never freed.
struct Area {
    slots: &'static [Slot],
    /// Number of the next request; its rest by the number of slots is the slot.
    next: AtomicU64,
    /// Counts answers; those who wait sleep on it.
    answers: AtomicU32,
    signal: i32,
    first_stack_end: u64,
}

static AREA: OnceLock<Result<Area, String>> = OnceLock::new();

/// The stack of one thread as it was at a moment, not unwound yet.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) registers: Registers,
    pub(super) stack: Vec<u64>,
}

/// Why there is no stack of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// It has ended.
    Gone,
    /// It blocks the signal.
    Blocked,
    /// An earlier signal has not reached it yet.
    Pending,
    /// It did not answer in time.
    Late,
    /// The kernel does not take another signal for this user.
    Refused,
    /// The handler could not be installed.
    NoHandler,
}

impl Missing {
    /// In words.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "the thread has ended",
            Self::Blocked => "the thread blocks signals",
            Self::Pending => "an earlier signal has not reached the thread yet",
            Self::Late => "the thread did not answer in time",
            Self::Refused => "the kernel has no room for another signal",
            Self::NoHandler => "the signal's handler could not be installed",
        }
    }
}

/// What became of a thread's request.
pub(super) type Outcome = Result<Capture, Missing>;

/// The signal: the C library keeps the first two of the real-time signals, others like to take the next.
fn signal_number() -> i32 {
    libc::SIGRTMIN() + 3
}

/// Its bit in the masks of `/proc/<pid>/status`.
pub(super) fn signal_bit() -> u64 {
    1 << (signal_number() - 1)
}

/// The bits of the signals that are blocked while the handler runs, in the masks of `/proc/<pid>/status`.
pub(super) fn signals_blocked_by_handler() -> u64 {
    let set = all_signals();
    // SAFETY: the set is initialised; the numbers are those of signals, and of the C library's own, which it does not tell.
    let is_blocked = |signal: &i32| unsafe { libc::sigismember(&set, *signal) } == 1;
    let blocked = (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)).filter(is_blocked);
    blocked.fold(0, |mask, signal| mask | 1 << (signal - 1))
}

/// Installs the handler, once for the process.
///
/// # Errors
/// What the kernel said, in words.
pub(super) fn install() -> Result<(), String> {
    area().map(drop).map_err(str::to_owned)
}

fn area() -> Result<&'static Area, &'static str> {
    let area = AREA.get_or_init(|| {
        let area = Area {
            slots: map_slots().map_err(|error| format!("no memory for stacks: {error}"))?,
            next: AtomicU64::new(SLOTS as u64),
            answers: AtomicU32::new(0),
            signal: signal_number(),
            first_stack_end: first_stack_end(),
        };
        set_handler(area.signal).map_err(|error| format!("the stack signal cannot be handled: {error}"))?;
        Ok(area)
    });
    area.as_ref().map_err(|error| &**error)
}

/// Zeroed slots, of whose pages only those take memory that are written to.
fn map_slots() -> io::Result<&'static [Slot]> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, whose place the kernel chooses.
    let place = unsafe { libc::mmap(ptr::null_mut(), SLOTS * mem::size_of::<Slot>(), protection, flags, -1, 0) };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping is as long, aligned to a page, zeroed, which is a valid slot (a free one), and never unmapped.
    Ok(unsafe { std::slice::from_raw_parts(place.cast::<Slot>(), SLOTS) })
}

/// Where the stack of the process' first thread ends; 0 when the kernel does not tell: then it has no stack to show.
fn first_stack_end() -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let line = maps.lines().find(|line| line.ends_with("[stack]"));
    let end = line.and_then(|line| line.split_once(' ')?.0.split_once('-'));
    end.and_then(|(_, end)| u64::from_str_radix(end, 16).ok()).unwrap_or(0)
}

fn set_handler(signal: i32) -> io::Result<()> {
    // SAFETY: an all-zero action is valid; its fields are set below.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    // The alternate stack, if the thread has one: a deep recursion may have left little of its own.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // Nothing interrupts the handler.
    action.sa_mask = all_signals();
    // SAFETY: the action is initialised, its handler is fit for a signal, and the old action is not asked for.
    match unsafe { libc::sigaction(signal, &action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// All signals but those that the C library keeps for itself.
fn all_signals() -> libc::sigset_t {
    // SAFETY: an all-zero set is a valid place for `sigfillset` to write to.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigfillset(&mut set);
        set
    }
}

/// What a signal carries with it, in the kernel's layout (`siginfo_t` with `_sifields._rt`).
#[repr(C)]
struct QueuedSignal {
    signal: i32,
    errno: i32,
    code: i32,
    padding: i32,
    process: i32,
    user: u32,
    value: u64,
    rest: [u64; 12],
}

const _: () = assert!(mem::size_of::<QueuedSignal>() == mem::size_of::<libc::siginfo_t>());

/// The handler. It may interrupt any code, in any thread: no allocation, no lock, no panic.
extern "C" fn on_signal(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO both, for as long as it runs. `errno` is this thread's own.
    unsafe {
        let errno = libc::__errno_location();
        let kept = *errno;
        let queued = &*info.cast::<QueuedSignal>();
        // The area is there: the handler is installed by its initialisation, which precedes every request. A signal from
        // elsewhere before that finds nothing.
        if queued.code == libc::SI_QUEUE
            && let Some(Ok(area)) = AREA.get()
            && let Some(slot) = area.slots.get((queued.value % SLOTS as u64) as usize)
            && slot.answer(queued.value, &*context.cast::<libc::ucontext_t>(), area.first_stack_end)
        {
            area.answers.fetch_add(1, Ordering::Release);
            futex_wake(&area.answers);
        }
        *errno = kept;
    }
}

/// Wakes all who wait for answers. Fit for a signal's handler.
fn futex_wake(word: &AtomicU32) {
    // SAFETY: the word is live; the call only reads its address. It may set `errno`, which the handler keeps.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, i32::MAX);
    }
}

/// Sleeps until the word is another than `seen`, or for `timeout`, or less.
fn futex_wait(word: &AtomicU32, seen: u32, timeout: Duration) {
    let timeout = libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // SAFETY: the word and the time are live for the duration of the call.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            seen,
            &raw const timeout,
        );
    }
}

/// A request on its way.
struct Asked {
    /// Which of the threads.
    index: usize,
    request: u64,
}

/// Takes the stacks of threads of this process, `SLOTS` at a time, all of them until `deadline`. Outcomes come in the order
/// of the threads.
pub(super) fn capture(threads: &[i32], deadline: Instant) -> Vec<Outcome> {
    let area = match area() {
        Ok(area) => area,
        Err(_) => return threads.iter().map(|_| Err(Missing::NoHandler)).collect(),
    };
    let mut outcomes: Vec<Option<Outcome>> = threads.iter().map(|_| None).collect();
    let mut asked: Vec<Asked> = Vec::with_capacity(SLOTS);
    let mut left = threads.iter().enumerate().peekable();
    loop {
        let seen = area.answers.load(Ordering::Acquire);
        while let Some(&(index, &thread)) = left.peek() {
            // Without a free slot: when one of these threads has answered, or another caller is through.
            let Some(request) = area.arm(thread) else { break };
            left.next();
            match area.send(thread, request) {
                Ok(()) => asked.push(Asked { index, request }),
                Err(missing) => outcomes[index] = Some(area.slot(request).give_up(request).map(of).ok_or(missing)),
            }
        }
        asked.retain(|Asked { index, request }| match area.slot(*request).take(*request) {
            Taken::Answer(answer) => {
                outcomes[*index] = Some(Ok(of(answer)));
                false
            }
            Taken::NotYet | Taken::Writing => true,
        });
        if asked.is_empty() && left.peek().is_none() {
            break;
        }
        let now = Instant::now();
        if now >= deadline {
            break;
        }
        futex_wait(&area.answers, seen, (deadline - now).min(LOOK_AGAIN));
        // A thread that ends meanwhile takes no signal any more.
        if area.answers.load(Ordering::Acquire) == seen {
            asked.retain(|Asked { index, request }| {
                let is_there = exists(threads[*index]);
                if !is_there {
                    outcomes[*index] = Some(area.slot(*request).give_up(*request).map(of).ok_or(Missing::Gone));
                }
                is_there
            });
        }
    }
    for Asked { index, request } in asked {
        outcomes[index] = Some(area.slot(request).give_up(request).map(of).ok_or(Missing::Late));
    }
    outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Missing::Late))).collect()
}

/// Whether there is still such a thread in this process.
fn exists(thread: i32) -> bool {
    // SAFETY: plain numbers; no signal is sent.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, 0) == 0 }
}

/// Longest sleep before the slots are looked at again: they are others' too, who wake nobody when they free one.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

fn of(Answer { registers, stack }: Answer) -> Capture {
    Capture { registers, stack }
}

impl Area {
    fn slot(&self, request: u64) -> &Slot {
        &self.slots[(request % SLOTS as u64) as usize]
    }

    /// A free slot for a thread, if there is one: the number of the request.
    fn arm(&self, thread: i32) -> Option<u64> {
        // A number is used for one try: so each names one request and one slot.
        (0..SLOTS).find_map(|_| {
            let request = self.next.fetch_add(1, Ordering::Relaxed);
            self.slot(request).arm(request, thread).then_some(request)
        })
    }

    fn send(&self, thread: i32, request: u64) -> Result<(), Missing> {
        // SAFETY: the calls take nothing and cannot fail.
        let (process, user) = unsafe { (libc::getpid(), libc::getuid()) };
        let signal = QueuedSignal {
            signal: self.signal,
            errno: 0,
            code: libc::SI_QUEUE,
            padding: 0,
            process,
            user,
            value: request,
            rest: [0; 12],
        };
        // SAFETY: the signal's data is live for the duration of the call, in the kernel's layout.
        let sent =
            unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, self.signal, &raw const signal) };
        if sent == 0 {
            return Ok(());
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::ESRCH) => Err(Missing::Gone),
            _ => Err(Missing::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn own_id() -> i32 {
        // SAFETY: the call takes nothing and cannot fail.
        unsafe { libc::gettid() }
    }

    /// A thread that waits in `body` until it is told to go on; its id.
    fn waiting(
        body: impl FnOnce(mpsc::Receiver<()>) + Send + 'static,
    ) -> (i32, mpsc::SyncSender<()>, thread::JoinHandle<()>) {
        let (go, gate) = mpsc::sync_channel(0);
        let (tell, told) = mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            tell.send(own_id()).expect("somebody listens");
            body(gate);
        });
        (told.recv().expect("an id"), go, thread)
    }

    fn until_told(gate: mpsc::Receiver<()>) {
        let _ = gate.recv();
    }

    #[test]
    fn a_thread_that_sleeps_one_that_spins_and_this_one_answer() {
        let (sleeper, go, sleeping) = waiting(until_told);
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let (spinner, _, spinning) = waiting(move |_| while !until.load(Ordering::Relaxed) {});
        for outcome in capture(&[sleeper, spinner, own_id()], soon()) {
            let capture = outcome.expect("a stack");
            assert!(capture.registers.pc > 4096 && !capture.stack.is_empty(), "{:?}", capture.registers);
        }
        stop.store(true, Ordering::Relaxed);
        drop(go);
        sleeping.join().expect("ended");
        spinning.join().expect("ended");
    }

    #[test]
    fn a_thread_that_has_ended_is_gone() {
        let (ended, go, thread) = waiting(until_told);
        drop(go);
        thread.join().expect("ended");
        // Whoever joins a thread is told before the kernel takes it off its list, and the number may be that of a new
        // thread, of another test, by now.
        let patience = soon();
        while capture(&[ended], soon())[0].as_ref().err() != Some(&Missing::Gone) {
            assert!(Instant::now() < patience, "it is still there");
        }
    }

    #[test]
    fn a_thread_that_ends_before_it_answers_is_gone_and_not_waited_for() {
        let signal = signal_number();
        let (ends, go, ending) = waiting(move |gate| {
            // SAFETY: the set is initialised by the calls.
            unsafe {
                let mut set = mem::zeroed();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, signal);
                libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut());
            }
            let _ = gate.recv();
            let _ = gate.recv();
        });
        go.send(()).expect("it has blocked the signal");
        let asking = thread::spawn(move || {
            let begun = Instant::now();
            let outcome = capture(&[ends], soon()).remove(0);
            (outcome.err(), begun.elapsed())
        });
        // It ends with the signal pending, or it has ended before.
        thread::sleep(LOOK_AGAIN * 2);
        drop(go);
        ending.join().expect("ended");
        let (missing, took) = asking.join().expect("ended");
        assert_eq!(missing, Some(Missing::Gone));
        assert!(took < Duration::from_secs(50), "{took:?}");
    }

    #[test]
    fn what_comes_after_the_request_was_given_up_does_nothing() {
        let signal = signal_number();
        let (blocker, go, blocking) = waiting(move |gate| {
            // SAFETY: the set is initialised by the calls.
            unsafe {
                let mut set = mem::zeroed();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, signal);
                libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut());
                let _ = gate.recv();
                let _ = gate.recv();
                libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
            }
            let _ = gate.recv();
        });
        go.send(()).expect("it has blocked the signal");
        let soon_given_up = Instant::now() + Duration::from_millis(20);
        assert_eq!(capture(&[blocker], soon_given_up)[0].as_ref().err(), Some(&Missing::Late));
        // All slots are used by others meanwhile, one of them the one that was given up.
        for _ in 0..SLOTS {
            assert!(capture(&[own_id()], soon())[0].is_ok());
        }
        go.send(()).expect("it takes the late signal");
        assert!(capture(&[blocker], soon())[0].is_ok(), "and answers the next one");
        drop(go);
        blocking.join().expect("ended");
    }

    #[test]
    fn more_threads_than_slots_answer_in_turns_and_callers_share_the_slots() {
        let sleepers: Vec<_> = (0..SLOTS + 20).map(|_| waiting(until_told)).collect();
        let ids: Vec<i32> = sleepers.iter().map(|(id, ..)| *id).collect();
        thread::scope(|scope| {
            let callers: Vec<_> = (0..3).map(|_| scope.spawn(|| capture(&ids, soon()))).collect();
            for caller in callers {
                let outcomes = caller.join().expect("ended");
                assert_eq!(outcomes.len(), ids.len());
                assert!(
                    outcomes.iter().all(Result::is_ok),
                    "{:?}",
                    outcomes.iter().filter_map(|o| o.as_ref().err()).next()
                );
            }
        });
        for (_, go, thread) in sleepers {
            drop(go);
            thread.join().expect("ended");
        }
    }

    #[test]
    fn a_signal_from_elsewhere_does_nothing() {
        install().expect("a handler");
        // SAFETY: plain numbers; the signal has a handler.
        assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), own_id(), signal_number()) }, 0);
        // A value that was never armed, or is not armed any more.
        let area = area().expect("an area");
        for request in [0, 1, u64::MAX, area.next.load(Ordering::Relaxed) - 1] {
            assert!(area.send(own_id(), request).is_ok());
        }
        assert!(capture(&[own_id()], soon())[0].is_ok());
    }

    #[test]
    fn errno_is_kept() {
        install().expect("a handler");
        let area = area().expect("an area");
        // SAFETY: `errno` is this thread's own.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above; the handler runs before `send` returns, since the signal is for this thread.
        let kept = unsafe {
            *errno = 4711;
            let _ = area.send(own_id(), 0);
            *errno
        };
        assert_eq!(kept, 4711);
    }
}
