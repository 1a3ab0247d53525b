//! What the shards promise when something goes wrong, seen from outside. Cases that would harm the test process run in
//! a child: this program again, with one of the `child_` cases.

use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use egret_runtime::shard::signals::{self, StopCause};
use egret_runtime::shard::{
    BlockingError, CallError, HostProblem, JoinError, ShardId, Shards, ShardsConfig, Signal, StartError, WorkGroup,
    allowed_cpus, give_way, probe_host_for, run_blocking, sleep, spawn_local,
};
use futures_lite::future::block_on;

const SHARD: ShardId = ShardId(0);
/// Longer than anything takes, also on a machine that others keep busy.
const STOP: Duration = Duration::from_secs(60);

fn one_shard() -> ShardsConfig {
    let cpu = allowed_cpus().expect("cpus")[0];
    ShardsConfig { cpus: Some(cpu.to_string().parse().expect("list")), blocking_threads: 1, ..ShardsConfig::default() }
}

fn start() -> Shards {
    Shards::start(one_shard()).expect("start")
}

/// Waits until the condition holds, a minute at most; says whether it does.
fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Thrown by a panic; panics again when it is dropped.
struct Nasty;

impl Drop for Nasty {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped, as planned");
        }
    }
}

#[test]
fn a_panicking_front_task_ends_alone() {
    let shards = start();
    let front = shards.front(SHARD);
    let go = Signal::new();
    let wait = go.wait();
    let neighbour = front.call(move || async move {
        wait.await;
        "alive"
    });
    front.spawn(|| async { panic!("as planned") }).expect("room");
    front
        .spawn(|| async {
            spawn_local(async { panic!("as planned, spawned there") });
            sleep(Duration::from_millis(1)).await;
            std::panic::panic_any(Nasty);
        })
        .expect("room");
    let failed = block_on(front.call(|| async {
        if true {
            panic!("as planned, {}", 7)
        }
    }));
    assert_eq!(failed, Err(CallError::Panicked("as planned, 7".to_owned())));
    assert!(eventually(|| shards.stats()[0].panicked == 4), "{:?}", shards.stats());
    go.set();
    assert_eq!(block_on(neighbour), Ok("alive"));
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_panicking_work_task_ends_alone() {
    let shards = start();
    let work = shards.work(SHARD);
    let (group, other) = (WorkGroup::new(1), WorkGroup::new(1));
    let go = Signal::new();
    let waits = [go.wait(), go.wait()];
    let neighbours: Vec<_> = waits
        .into_iter()
        .zip([&group, &other])
        .map(|(wait, group)| work.spawn_joined(group, move || wait).expect("room"))
        .collect();
    work.spawn(&group, || async { panic!("as planned") }).expect("room");
    work.spawn(&group, || async { std::panic::panic_any(Nasty) }).expect("room");
    // This one panics when its task is dropped.
    let doomed = WorkGroup::new(1);
    let runs = Signal::new();
    let started = runs.clone();
    let dropped = work.spawn_joined(&doomed, move || async move {
        let _nasty = Nasty;
        started.set();
        std::future::pending::<()>().await;
    });
    block_on(runs.wait());
    doomed.cancel();
    assert_eq!(block_on(dropped.expect("room")), Err(JoinError::Cancelled));
    let make_panics = work.spawn_joined(&group, || -> std::future::Ready<()> { panic!("in make, as planned") });
    let failed = block_on(make_panics.expect("room"));
    assert_eq!(failed, Err(JoinError::Panicked("in make, as planned".to_owned())));
    go.set();
    for neighbour in neighbours {
        assert_eq!(block_on(neighbour), Ok(()));
    }
    assert!(eventually(|| shards.stats()[1].panicked == 4), "{:?}", shards.stats());
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_panicking_blocking_closure_ends_neither_its_caller_nor_its_thread() {
    let shards = start();
    let group = WorkGroup::new(1);
    let outcome = block_on(shards.work(SHARD).call(&group, || async {
        let failed: Result<(), _> = run_blocking(|| panic!("as planned")).await;
        let nasty: Result<(), _> = run_blocking(|| std::panic::panic_any(Nasty)).await;
        (failed, nasty, run_blocking(|| 7).await)
    }));
    let (failed, nasty, good) = outcome.expect("the executor lives");
    assert_eq!(failed, Err(BlockingError::Panicked("as planned".to_owned())));
    assert!(matches!(nasty, Err(BlockingError::Panicked(_))));
    assert_eq!(good, Ok(7));
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_full_mailbox_is_an_error_for_the_sender_and_counted() {
    let shards = Shards::start(ShardsConfig { mailbox_capacity: 8, ..one_shard() }).expect("start");
    let front = shards.front(SHARD);
    let (busy, began) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (hold, holds) = (busy.clone(), began.clone());
    front
        .spawn(move || async move {
            holds.store(true, Ordering::SeqCst);
            while hold.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
        })
        .expect("room");
    assert!(eventually(|| began.load(Ordering::SeqCst)));
    let calls: Vec<_> = (0..8).map(|number| front.call(move || async move { number })).collect();
    let refused = front.spawn(|| async {}).expect_err("full");
    assert_eq!(refused.to_string(), "the mailbox of egret-front-0 is full (8 messages)");
    assert_eq!(block_on(front.call(|| async {})), Err(CallError::Full(refused)));
    assert_eq!((shards.stats()[0].mailbox_refused, shards.stats()[0].mailbox_depth), (2, 8));
    busy.store(false, Ordering::SeqCst);
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(block_on(call), Ok(number));
    }
    shards.stop(STOP).expect("stop");
}

#[test]
fn messages_wait_in_the_mailbox_while_there_are_too_many_tasks() {
    let config = ShardsConfig { tasks_max: 2, mailbox_capacity: 4, ..one_shard() };
    let shards = Shards::start(config).expect("start");
    let front = shards.front(SHARD);
    let go = Signal::new();
    let send = || {
        let wait = go.wait();
        front.spawn(move || wait)
    };
    (0..2).for_each(|_| send().expect("room"));
    assert!(eventually(|| shards.stats()[0].tasks == 2));
    (0..4).for_each(|_| send().expect("room"));
    assert!(!send().expect_err("full").stopped);
    assert_eq!(shards.stats()[0].tasks, 2);
    go.set();
    assert!(eventually(|| shards.stats()[0].started == 6), "{:?}", shards.stats());
    shards.stop(STOP).expect("stop");
}

#[test]
fn a_cpu_that_may_not_be_used_fails_the_start() {
    let config = ShardsConfig { cpus: Some("8191".parse().expect("list")), ..ShardsConfig::default() };
    let error = Shards::start(config).expect_err("no such CPU");
    assert!(matches!(error, StartError::CpuNotAllowed { cpu: 8191, .. }), "{error}");
    let config = ShardsConfig { preempt_timer: Duration::from_millis(10), ..one_shard() };
    assert!(matches!(Shards::start(config), Err(StartError::Config(_))));
}

/// About a tenth of a millisecond of counting.
fn step(counted: &AtomicU64) {
    let mut state = counted.fetch_add(1, Ordering::Relaxed) | 1;
    for _ in 0..20_000 {
        state = std::hint::black_box(state.wrapping_mul(0x5851_F42D_4C95_7F2D).rotate_left(17));
    }
}

#[test]
fn fifty_jobs_on_one_core_share_it_by_weight() {
    const JOBS: usize = 50;
    let shards = Shards::start(ShardsConfig { work_slice: Duration::from_micros(500), ..one_shard() }).expect("start");
    let stop = Signal::new();
    let jobs: Vec<_> = (0..JOBS).map(|job| (1u32 << (job % 3), Arc::new(AtomicU64::new(0)))).collect();
    let groups: Vec<_> = jobs.iter().map(|(weight, _)| WorkGroup::new(*weight)).collect();
    // All start to count at once.
    let go = Signal::new();
    for (group, (_, counted)) in groups.iter().zip(&jobs) {
        let (counted, stop, wait) = (counted.clone(), stop.clone(), go.wait());
        let job = move || async move {
            wait.await;
            while !stop.is_set() {
                step(&counted);
                give_way().await;
            }
        };
        shards.work(SHARD).spawn(group, job).expect("room");
    }
    go.set();
    let total = || jobs.iter().map(|(_, counted)| counted.load(Ordering::Relaxed)).sum::<u64>();
    let deadline = Instant::now() + Duration::from_secs(60);
    while total() < 30_000 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let counts: Vec<(u32, u64)> =
        jobs.iter().map(|(weight, counted)| (*weight, counted.load(Ordering::Relaxed))).collect();
    stop.set();
    shards.stop(STOP).expect("stop");
    let weights: u32 = counts.iter().map(|(weight, _)| weight).sum();
    let unit = counts.iter().map(|(_, count)| count).sum::<u64>() as f64 / f64::from(weights);
    for class in [1, 2, 4] {
        let of_class: Vec<f64> =
            counts.iter().filter(|(weight, _)| *weight == class).map(|(_, count)| *count as f64).collect();
        let mean = of_class.iter().sum::<f64>() / of_class.len() as f64 / f64::from(class);
        assert!(
            (mean / unit - 1.0).abs() < 0.1,
            "weight {class}: {mean:.1} steps for each unit, not {unit:.1}: {counts:?}"
        );
    }
}

// Children.

const CHILD: &str = "EGRET_GUARD_CHILD";

/// This test program again, to run one case that does nothing otherwise.
fn child(case: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.args(["--exact", case, "--nocapture", "--test-threads=1"]).env(CHILD, case);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn is_child(case: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == case)
}

/// What the child says, to be read line by line.
fn said(child: &mut Child) -> BufReader<ChildStdout> {
    BufReader::new(child.stdout.take().expect("piped"))
}

/// Reads up to a line that holds the text.
fn wait_for_line(reader: &mut BufReader<ChildStdout>, text: &str) -> String {
    let mut line = String::new();
    while reader.read_line(&mut line).expect("readable") > 0 {
        if line.contains(text) {
            return line;
        }
        line.clear();
    }
    panic!("the child ended without saying `{text}`");
}

#[test]
fn child_registers() {
    if !is_child("child_registers") {
        return;
    }
    // The barrier is refused to a process that has not registered for it.
    // SAFETY: a plain call without pointers.
    let barrier = || unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) };
    let before = barrier();
    // Fails before any executor is made: those would register by themselves, late.
    assert!(Shards::start(ShardsConfig { work_nice: 99, ..one_shard() }).is_err());
    println!("\nbarrier: {before} {}", barrier());
}

#[test]
fn the_memory_barrier_is_registered_before_anything_else() {
    let mut child = child("child_registers").spawn().expect("child");
    let mut lines = said(&mut child);
    assert_eq!(wait_for_line(&mut lines, "barrier: "), "barrier: -1 0\n");
    assert!(child.wait().expect("child").success());
}

#[test]
fn child_stalls() {
    if !is_child("child_stalls") {
        return;
    }
    // Longer than it takes to begin a step, also on a machine that others keep busy.
    let (watchdog_warn, watchdog_abort) = (Duration::from_millis(500), Duration::from_secs(2));
    let shards = Shards::start(ShardsConfig { watchdog_warn, watchdog_abort, ..one_shard() }).expect("start");
    shards.front(SHARD).spawn(|| async { std::thread::sleep(STOP) }).expect("room");
    std::thread::sleep(STOP);
}

#[test]
fn a_stalled_process_says_what_it_hangs_in_and_exits_70() {
    let output = child("child_stalls").output().expect("child");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(70), "{stderr}");
    assert!(stderr.contains("egret: egret-front-0 on CPU"), "{stderr}");
    assert!(stderr.contains("in a step of task 0 of group"), "{stderr}");
    assert!(stderr.contains("\"egret-work-0\""), "{stderr}");
}

#[test]
fn child_stops() {
    if !is_child("child_stops") {
        return;
    }
    println!("\nwaiting");
    let cause = signals::wait_for_stop().expect("signal");
    println!("\nstopping on {cause}");
    std::thread::sleep(STOP);
}

/// Starts a child in which both signals are blocked from its first thread on, as `block_stop_signals` does for a
/// command that calls it first. The test harness has threads before a test can call anything.
fn child_with_blocked_signals(case: &str) -> Child {
    let mut command = child(case);
    // SAFETY: between fork and exec only the signal mask of the child's one thread is set.
    unsafe { command.pre_exec(signals::block_stop_signals) };
    command.spawn().expect("child")
}

fn send(child: &Child, signal: i32) {
    // SAFETY: the child has not been waited for, so the number is still its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, signal) }, 0);
}

#[test]
fn the_first_signal_is_reported_and_the_second_ends_the_process() {
    for (first, second, said, code) in [
        (libc::SIGTERM, libc::SIGINT, "stopping on SIGTERM", StopCause::Interrupt.exit_code()),
        (libc::SIGINT, libc::SIGTERM, "stopping on SIGINT", StopCause::Terminate.exit_code()),
    ] {
        let mut child = child_with_blocked_signals("child_stops");
        let mut lines = self::said(&mut child);
        wait_for_line(&mut lines, "waiting");
        send(&child, first);
        wait_for_line(&mut lines, said);
        send(&child, second);
        let status = child.wait().expect("child");
        assert_eq!((status.code(), status.signal()), (Some(code), None));
    }
}

#[test]
fn child_watches() {
    if !is_child("child_watches") {
        return;
    }
    let watch = signals::watch().expect("thread");
    println!("\nwaiting");
    block_on(watch.signal.wait());
    println!("\nstopped by {:?}", watch.cause());
}

#[test]
fn a_stop_watch_raises_its_signal() {
    let mut child = child_with_blocked_signals("child_watches");
    let mut lines = said(&mut child);
    wait_for_line(&mut lines, "waiting");
    send(&child, libc::SIGTERM);
    wait_for_line(&mut lines, "stopped by Some(Terminate)");
    assert!(child.wait().expect("child").success());
}

#[test]
fn threads_started_after_the_block_have_the_signals_blocked() {
    let masked = || {
        // SAFETY: an all-zero set is a valid place for the old mask; nothing is changed.
        unsafe {
            let mut mask = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
            [libc::SIGINT, libc::SIGTERM].map(|signal| libc::sigismember(&mask, signal))
        }
    };
    std::thread::spawn(move || {
        signals::block_stop_signals().expect("block");
        let shards = start();
        assert_eq!(block_on(shards.front(SHARD).call(move || async move { masked() })), Ok([1, 1]));
        assert_eq!(block_on(shards.run_blocking(masked)), Ok([1, 1]));
        shards.stop(STOP).expect("stop");
    })
    .join()
    .expect("thread");
}

#[test]
fn child_probes() {
    if !is_child("child_probes") {
        return;
    }
    match probe_host_for(2) {
        Ok(()) => println!("\nprobe: fine"),
        Err(problem) => println!("\nprobe: {problem}"),
    }
    match Shards::start(one_shard()) {
        Ok(_) => println!("\nstart: fine"),
        Err(error) => println!("\nstart: {error}"),
    }
}

/// What the probe and the start say in a child that was prepared so.
fn probed(prepare: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static) -> (String, String) {
    let mut command = child("child_probes");
    // SAFETY: the callers' closures make system calls only.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.spawn().expect("child");
    let mut lines = said(&mut child);
    let probe = wait_for_line(&mut lines, "probe: ");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("readable");
    child.wait().expect("child");
    let start = rest.lines().find_map(|line| line.strip_prefix("start: ")).unwrap_or_default().to_owned();
    (probe.trim().trim_start_matches("probe: ").to_owned(), start)
}

fn limit_memlock(soft: u64, hard: u64) -> std::io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a live value.
    match unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[test]
fn too_little_memory_to_lock_is_found_by_the_probe_and_fails_the_start_with_its_cause() {
    let (probe, start) = probed(|| limit_memlock(64 << 10, 64 << 10));
    assert!(probe.starts_with("RLIMIT_MEMLOCK is 65536 bytes, 4 executors need"), "{probe}");
    assert!(start.starts_with("the executor egret-") && start.to_lowercase().contains("memlock"), "{start}");
}

#[test]
fn a_low_soft_limit_is_raised_to_the_hard_one() {
    let (probe, start) = probed(|| limit_memlock(64 << 10, 8 << 20));
    assert_eq!((probe.as_str(), start.as_str()), ("fine", "fine"));
}

/// Has a filter answer io_uring_setup with an error number, in this process and its children.
fn forbid_io_uring(errno: i32) -> std::io::Result<()> {
    // Loads the system call's number; if it is io_uring_setup the next line answers, else the one after.
    let line = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        line(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        line(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_io_uring_setup as u32),
        line(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        line(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program points to live instructions, which the kernel copies.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program)
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[test]
fn a_filter_that_forbids_io_uring_is_found_by_the_probe() {
    let (probe, start) = probed(|| forbid_io_uring(libc::EPERM));
    assert_eq!(probe, HostProblem::Forbidden.to_string());
    assert!(start.starts_with("the executor egret-"), "{start}");
    let (probe, _) = probed(|| forbid_io_uring(libc::ENOSYS));
    assert_eq!(probe, HostProblem::Missing.to_string());
}
