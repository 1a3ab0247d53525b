//! Dumps of this process, with threads in states that are known.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use super::*;

fn settings(age_max: Duration) -> StackSettings {
    StackSettings { age_max, wait_max: StackSettings::WAIT_MAX, ..StackSettings::default() }
}

fn wait(mut dump: oneshot::Receiver<Arc<StackDump>>) -> Arc<StackDump> {
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(dump) = dump.try_recv().expect("the thread answers") {
            return dump;
        }
        assert!(Instant::now() < patience, "no dump");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The stack of this thread. All slots may be those of other tests for a while.
fn own_stack(stacks: &Stacks) -> CapturedStack {
    let patience = Instant::now() + Duration::from_secs(60);
    // SAFETY: the call takes nothing and cannot fail.
    let own = unsafe { libc::gettid() };
    loop {
        if let Some(stack) = stacks.capture(own) {
            return stack;
        }
        assert!(Instant::now() < patience, "no stack");
    }
}

fn dump(stacks: &Stacks) -> Arc<StackDump> {
    wait(stacks.dump().expect("few wait"))
}

#[inline(never)]
fn count_down(from: u32, bottom: &dyn Fn()) -> u32 {
    if from == 0 {
        bottom();
        return 0;
    }
    std::hint::black_box(count_down(from - 1, bottom)) + 1
}

#[test]
fn a_known_recursion_is_named_call_by_call_with_its_lines() {
    let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
    let (go, gate) = mpsc::sync_channel::<()>(0);
    let (tell, told) = mpsc::sync_channel(1);
    let waiting = move || {
        count_down(50, &|| {
            let _ = tell.send(());
            let _ = gate.recv();
        });
    };
    let thread = thread::Builder::new().name("counts-down".to_owned()).spawn(waiting).expect("a thread");
    told.recv().expect("it is at the bottom");
    let patience = Instant::now() + Duration::from_secs(60);
    let found = loop {
        let dump = dump(&stacks);
        let found = dump.threads.iter().find(|thread| thread.name == "counts-down").expect("the thread").clone();
        // It takes a moment to fall asleep, and another test's dump may have it in a handler.
        if found.lines.iter().any(|line| line.contains("::recv")) {
            break found;
        }
        assert!(Instant::now() < patience, "{found:#?}");
    };
    let calls: Vec<_> = found.lines.iter().filter(|line| line.contains("service::tests::count_down(")).collect();
    assert_eq!(calls.len(), 51, "{:#?}", found.lines);
    assert!(calls.iter().all(|call| call.contains("(collectors/src/stacks/service/tests.rs:")), "{calls:?}");
    // All but the innermost are at the line of the call.
    assert!(calls[1..].iter().all(|call| *call == calls[1]), "{calls:?}");
    assert!(found.lines.iter().any(|line| line.starts_with("std::sync::mpsc")), "{:#?}", found.lines);
    assert!(!found.lines.iter().any(|line| line.starts_with('(')), "{:#?}", found.lines);
    drop(go);
    thread.join().expect("ended");
}

#[test]
fn threads_in_every_state_are_told_and_a_blocked_one_says_why_it_has_no_stack() {
    let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
    let stop = Arc::new(AtomicBool::new(false));
    let until = stop.clone();
    let (go, gate) = mpsc::sync_channel::<()>(0);
    let (tell, told) = mpsc::sync_channel(2);
    // A thread gives itself its name, before it does anything else.
    let begun = tell.clone();
    let spins = move || {
        let _ = begun.send(());
        while !until.load(Ordering::Relaxed) {}
    };
    let spinning = thread::Builder::new().name("spins".to_owned()).spawn(spins).expect("a thread");
    let deaf = move || {
        block_all(true);
        let _ = tell.send(());
        let _ = gate.recv();
    };
    let blocking = thread::Builder::new().name("is-deaf".to_owned()).spawn(deaf).expect("a thread");
    told.recv().expect("one has begun");
    told.recv().expect("and the other one: it blocks signals");
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        let dump = dump(&stacks);
        let named = |name: &str| dump.threads.iter().find(|thread| thread.name == name).expect("the thread");
        let (spins, deaf) = (named("spins"), named("is-deaf"));
        assert_eq!(&**deaf.lines.last().expect("a line"), "(no stack: the thread blocks signals)");
        let is_named = |thread: &ThreadStack, name: &str| thread.lines.iter().any(|line| line.contains(name));
        // Other tests have such threads, too.
        let mut own = dump.threads.iter().filter(|thread| thread.name == "egret-stacks");
        // The states were read a moment before.
        if spins.state == ThreadState::Runnable
            && deaf.state == ThreadState::Waiting
            && is_named(spins, "in_every_state")
            && own.any(|own| own.state == ThreadState::Runnable && is_named(own, "Worker::dump"))
        {
            break;
        }
        assert!(Instant::now() < patience, "{:#?}", dump.threads);
    }
    stop.store(true, Ordering::Relaxed);
    drop(go);
    spinning.join().expect("ended");
    blocking.join().expect("ended");
    assert!(stacks.stats().missing > 0);
}

/// A thread named `name` that runs `body` with a gate to wait at; it is told when the thread has begun.
fn gated(
    name: &str,
    body: impl FnOnce(mpsc::Receiver<()>) + Send + 'static,
) -> (mpsc::SyncSender<()>, thread::JoinHandle<()>) {
    let (go, gate) = mpsc::sync_channel(0);
    let (tell, told) = mpsc::sync_channel(1);
    let begun = move || {
        let _ = tell.send(());
        body(gate);
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(begun).expect("a thread");
    told.recv().expect("it has begun");
    (go, thread)
}

/// Sets whether this thread blocks all signals, as it does in a handler of the stack signal.
fn block_all(block: bool) {
    let how = if block { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
    // SAFETY: the set is initialised by the first call.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::pthread_sigmask(how, &set, std::ptr::null_mut());
    }
}

/// Whether the stack signal waits for this thread.
fn is_asked() -> bool {
    // SAFETY: the set is initialised by the first call; the number is a valid signal.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigpending(&mut set);
        (1..=64).any(|signal| 1 << (signal - 1) == capture::signal_bit() && libc::sigismember(&set, signal) == 1)
    }
}

/// The lines of the only thread of this name.
fn lines_of(dump: &StackDump, name: &str) -> Vec<Arc<str>> {
    dump.threads.iter().find(|thread| thread.name == name).expect("the thread").lines.clone()
}

/// Dumps until the thread of this name has answered: those of other tests ask it, too.
fn until_answered(stacks: &Stacks, name: &str) {
    let patience = Instant::now() + Duration::from_secs(60);
    while lines_of(&dump(stacks), name).iter().any(|line| line.starts_with('(')) {
        assert!(Instant::now() < patience, "{name} does not answer");
    }
}

#[test]
fn a_thread_that_has_answered_and_still_is_in_the_handler_is_waited_for() {
    let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
    // It stays in the state that a thread without a CPU is in before it has left the handler, until it is asked anew.
    let (go, thread) = gated("leaves-late", |gate| {
        while gate.recv().is_ok() {
            block_all(true);
            let patience = Instant::now() + Duration::from_secs(60);
            let _ = gate.recv();
            while !is_asked() && Instant::now() < patience {
                thread::sleep(Duration::from_millis(1));
            }
            block_all(false);
        }
    });
    for _ in 0..5 {
        until_answered(&stacks, "leaves-late");
        (0..2).for_each(|_| go.send(()).expect("it blocks signals"));
        let lines = lines_of(&dump(&stacks), "leaves-late");
        assert!(!lines.iter().any(|line| line.starts_with('(')), "{lines:#?}");
    }
    drop(go);
    thread.join().expect("ended");
}

#[test]
fn a_thread_that_has_answered_and_has_become_deaf_costs_one_wait() {
    let wait_max = Duration::from_millis(200);
    let stacks = Stacks::start(StackSettings { wait_max, ..settings(Duration::ZERO) }).expect("a thread");
    let (go, thread) = gated("becomes-deaf", |gate| {
        let _ = gate.recv();
        block_all(true);
        while gate.recv().is_ok() {}
    });
    let last_line = |stacks: &Stacks| lines_of(&dump(stacks), "becomes-deaf").last().cloned().expect("a line");
    until_answered(&stacks, "becomes-deaf");
    (0..2).for_each(|_| go.send(()).expect("it blocks signals"));
    assert_eq!(&*last_line(&stacks), "(no stack: the thread did not answer in time)");
    for _ in 0..3 {
        assert_eq!(&*last_line(&stacks), "(no stack: the thread blocks signals)");
    }
    drop(go);
    thread.join().expect("ended");
}

#[test]
fn dumps_go_on_while_threads_start_and_end() {
    let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = thread::spawn(|| std::hint::black_box(count_down(20, &|| ()))).join();
                }
            });
        }
        for _ in 0..200 {
            let dump = dump(&stacks);
            assert!(dump.threads.iter().any(|thread| thread.name == "egret-stacks"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!((stacks.stats().dumps, stacks.stats().panics), (200, 0));
}

#[test]
fn requests_that_come_together_share_a_dump_and_a_fresh_one_serves_again() {
    let stacks = Stacks::start(settings(Duration::from_secs(3600))).expect("a thread");
    let requests: Vec<_> = (0..100).map(|_| stacks.dump().expect("few wait")).collect();
    let first = dump(&stacks);
    assert!(requests.into_iter().all(|request| Arc::ptr_eq(&wait(request), &first)));
    assert_eq!(stacks.stats().dumps, 1);
}

#[test]
fn symbols_that_were_not_needed_for_a_while_are_forgotten_and_the_next_dump_reads_them_again() {
    let settings = StackSettings { symbols_kept: Duration::from_millis(50), ..settings(Duration::ZERO) };
    let stacks = Stacks::start(settings).expect("a thread");
    let forgotten = || stacks.counters.forgotten.load(Ordering::Relaxed);
    // Other tests have such a thread, too; this one's is at it.
    let names_its_own =
        || dump(&stacks).threads.iter().any(|thread| thread.lines.iter().any(|line| line.contains("Worker::dump")));
    assert!(names_its_own());
    let patience = Instant::now() + Duration::from_secs(60);
    while forgotten() == 0 {
        assert!(Instant::now() < patience, "they are kept for ever");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(names_its_own());
}

#[test]
fn too_many_requests_are_refused_and_a_stack_that_cannot_be_named_has_no_lines() {
    let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
    let (go, gate) = mpsc::sync_channel::<()>(0);
    let (tell, told) = mpsc::sync_channel(1);
    own_stack(&stacks).name(move |lines| {
        let _ = tell.send(lines.len());
        let _ = gate.recv();
    });
    assert!(told.recv().expect("named") > 1);
    // The thread is held up now.
    let waiting: Vec<_> = (0..REQUESTS_MAX).map(|_| stacks.dump().expect("there is room")).collect();
    assert_eq!(stacks.dump().err(), Some(StackRefused));
    let (tell, told) = mpsc::sync_channel(1);
    own_stack(&stacks).name(move |lines| drop(tell.send(lines)));
    assert_eq!(told.recv().expect("called").len(), 0);
    assert_eq!(stacks.stats().refused, 2);
    drop(go);
    waiting.into_iter().for_each(|request| drop(wait(request)));
}

#[test]
fn a_callback_that_panics_is_counted_and_the_thread_goes_on() {
    let stacks = Stacks::start(settings(Duration::ZERO)).expect("a thread");
    own_stack(&stacks).name(|_| panic!("as planned"));
    assert!(!dump(&stacks).threads.is_empty());
    assert_eq!(stacks.stats().panics, 1);
}
