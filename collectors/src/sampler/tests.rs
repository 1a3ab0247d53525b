//! The sampler as those see it who ask.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn settings(age_max: Duration) -> SamplerSettings {
    SamplerSettings { age_max, ..SamplerSettings::default() }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never came about: {what}");
        std::thread::yield_now();
    }
}

/// What was sampled, once the thread rests: who waits may see a sample before it is counted.
fn samples(sampler: &Sampler) -> [u64; Part::ALL.len()] {
    eventually("it rests", || sampler.shared().is_idle());
    sampler.stats().samples
}

#[test]
fn a_fresh_sample_serves_all_and_an_old_one_is_renewed() {
    let sampler = Sampler::start(settings(Duration::from_secs(3600))).expect("a sampler");
    assert_eq!(sampler.wait(Part::Vitals, PATIENCE), Renewal::Fresh);
    let first = sampler.vitals();
    assert!(first.machine.memory_total.is_some());
    assert_eq!(sampler.wait(Part::Vitals, PATIENCE), Renewal::Fresh);
    assert!(Arc::ptr_eq(&first, &sampler.vitals()), "it is not old yet");
    let taken = first.taken.expect("it was taken").elapsed();
    assert!(sampler.age(Part::Vitals).is_some_and(|age| age >= taken));

    let sampler = Sampler::start(settings(Duration::ZERO)).expect("a sampler");
    for _ in 0..3 {
        let asked = Instant::now();
        assert_eq!(sampler.wait(Part::Vitals, PATIENCE), Renewal::Fresh);
        assert!(sampler.vitals().taken.is_some_and(|taken| taken >= asked));
    }
}

#[test]
fn parts_are_read_when_they_are_asked_for() {
    let sampler = Sampler::start(settings(Duration::from_secs(3600))).expect("a sampler");
    assert!(!sampler.is_fresh(Part::Threads));
    assert_eq!(sampler.patience(Part::Threads), SamplerSettings::FIRST_WAIT_MAX);
    assert_eq!((sampler.age(Part::Details), sampler.threads().len()), (None, 0));
    assert_eq!(sampler.wait(Part::Vitals | Part::Threads, PATIENCE), Renewal::Fresh);
    assert!(sampler.threads().iter().any(|thread| thread.name == "egret-sampler"));
    assert!(sampler.age(Part::Details).is_none(), "nobody asked");
    assert_eq!(sampler.patience(Part::Vitals | Part::Threads), sampler.settings().wait_max);
    assert_eq!(sampler.wait(Part::Details | Part::Allocations, PATIENCE), Renewal::Fresh);
    assert!(sampler.details().files.is_some());
    assert!(!sampler.allocations().is_empty() && sampler.vitals().heap.is_some(), "these tests allocate by jemalloc");
    assert_eq!(samples(&sampler), [1, 1, 1, 1]);
    assert!(sampler.stats().cpu_time > Duration::ZERO);
}

#[test]
fn many_who_wait_share_a_sample() {
    let sampler = Sampler::start(settings(Duration::from_secs(3600))).expect("a sampler");
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert_eq!(sampler.wait(Part::Threads, PATIENCE), Renewal::Fresh));
        }
    });
    assert_eq!(samples(&sampler)[Part::Threads as usize], 1);
}

#[test]
fn nothing_is_sampled_while_nobody_asks_but_the_loads_go_on() {
    let window = SamplerSettings::LOAD_WINDOW_MIN;
    let sampler =
        Sampler::start(SamplerSettings { load_window: window, ..settings(Duration::ZERO) }).expect("a sampler");
    sampler.wait(Part::Vitals, PATIENCE);
    let taken = samples(&sampler);
    let begun = Instant::now();
    // Several ticks of the loads.
    while begun.elapsed() < window * 5 {
        std::hint::spin_loop();
    }
    assert_eq!(sampler.stats().samples, taken);
    // The base is of the last ticks, however long ago the last sample was: on a busy machine they come late.
    eventually("loads of the last ticks", || {
        sampler.wait(Part::Vitals, PATIENCE);
        let loads = sampler.vitals().loads;
        assert!(loads.process.is_some_and(|load| load > 0.0) && loads.window >= window, "{loads:?}");
        loads.window < begun.elapsed()
    });
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let none = SamplerSettings { waiters_max: 0, ..SamplerSettings::default() };
    let refused = |settings| Sampler::start(settings).expect_err("it makes no sense").to_string();
    assert_eq!(refused(none), "sample_waiters_max is 0; it must be 1 to 1048576");
    let patient = SamplerSettings { wait_max: Duration::from_secs(11), ..SamplerSettings::default() };
    assert_eq!(refused(patient), "sample_wait_max is 11s; it must be at most 10s");
    let short = SamplerSettings { load_window: Duration::from_millis(1), ..SamplerSettings::default() };
    assert_eq!(refused(short), "load_window is 1ms; it must be 100ms to 3600s");
}

#[test]
fn who_is_polled_again_before_a_sample_comes_waits_once() {
    use std::future::Future as _;
    use std::task::{Context, Waker};
    let hanging = Hanging::new();
    let sampler = Sampler::start_at(hanging.folder.path(), settings(Duration::from_secs(3600))).expect("a sampler");
    let mut cx = Context::from_waker(Waker::noop());
    let (mut one, mut other) = (sampler.renewed(Part::Vitals), sampler.renewed(Part::Vitals));
    for renewed in [&mut one, &mut other] {
        (0..5).for_each(|_| assert!(std::pin::Pin::new(&mut *renewed).poll(&mut cx).is_pending()));
    }
    let places = || sampler.shared().places();
    assert_eq!((sampler.stats().waiting, places()), (2, 2));
    drop(other);
    assert_eq!((sampler.stats().waiting, places()), (1, 2), "who has given up is found out with the next sample");
    eventually("the other has its sample", || {
        hanging.release();
        std::pin::Pin::new(&mut one).poll(&mut cx).is_ready()
    });
    drop(one);
    // Who looks for itself may see a sample before it is called.
    eventually("nobody waits", || (sampler.stats().waiting, places()) == (0, 0));
}

/// A root below which `/proc/loadavg` lets nobody open it until something writes there.
struct Hanging {
    folder: tempfile::TempDir,
}

impl Hanging {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let hanging = Self { folder };
        fs::create_dir(hanging.folder.path().join("proc")).expect("created");
        let path = CString::new(hanging.pipe().as_os_str().as_bytes()).expect("a path");
        // SAFETY: the path ends in a zero byte and lives through the call.
        assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
        hanging
    }

    fn pipe(&self) -> PathBuf {
        self.folder.path().join("proc/loadavg")
    }

    /// Lets the reader go on; what it reads is no file that can be read at 0.
    fn release(&self) {
        drop(fs::File::options().read(true).write(true).open(self.pipe()).expect("opened"));
    }
}

#[test]
fn a_sampler_that_hangs_leaves_waits_bounded_and_the_old_values() {
    let hanging = Hanging::new();
    let bounds = SamplerSettings { waiters_max: 3, ..settings(Duration::from_secs(3600)) };
    let sampler = Sampler::start_at(hanging.folder.path(), bounds).expect("a sampler");
    let begun = Instant::now();
    assert_eq!(sampler.wait(Part::Vitals, Duration::from_millis(20)), Renewal::Late);
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(
        (sampler.vitals().taken, sampler.age(Part::Vitals)),
        (None, None),
        "there is no old value, and it says so"
    );
    // Each wait leaves a waker; then there is no room, and nobody waits.
    let outcomes: Vec<Renewal> = (0..5).map(|_| sampler.wait(Part::Vitals, Duration::from_millis(1))).collect();
    assert_eq!(outcomes.last(), Some(&Renewal::Refused), "{outcomes:?}");
    let stats = sampler.stats();
    assert!(stats.late >= 1 && stats.refused >= 1, "{stats:?}");
    assert_eq!((stats.waiting, sampler.shared().places()), (0, 3), "those who gave up still have their places");
    eventually("it answers again", || {
        hanging.release();
        sampler.wait(Part::Vitals, Duration::from_millis(20)) == Renewal::Fresh
    });
    assert_eq!(sampler.vitals().machine.load_averages, None, "a pipe is no such file");
}
