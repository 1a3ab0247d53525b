//! What is read for every sample: the machine, the process, the limits, the loads, the heap.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::group::Group;
use crate::heap::{Heap, Jemalloc};
use crate::kept::Kept;
use crate::load::{Loads, Point, Window};
use crate::text;

/// How long what the control groups allow is taken for true.
const GROUP_AGE_MAX: Duration = Duration::from_secs(10);

/// Machine and process at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vitals {
    /// The machine, or as much of it as this process may use.
    pub machine: Machine,
    /// This process.
    pub process: Process,
    /// CPU time over a window.
    pub loads: Loads,
    /// The heap; `None` when the program does not allocate by jemalloc.
    pub heap: Option<Heap>,
}

/// The machine at a moment, or as much of it as this process may use. Sizes in bytes; `None`: the kernel does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// CPUs that may be used: those of the affinity mask, and not more than the limit of the control group, rounded up.
    pub processors: Option<usize>,
    /// CPUs' worth of time that may be used: the same, not rounded.
    pub cpus: Option<f64>,
    /// Memory: the machine's, or the limit of the control group.
    pub memory_total: Option<u64>,
    /// Memory of it that nobody uses, not even as a cache.
    pub memory_free: Option<u64>,
    /// Memory of the machine that can be had without swapping.
    pub memory_available: Option<u64>,
    /// Swap space: the machine's, or the limit of the control group.
    pub swap_total: Option<u64>,
    /// Swap space of it that is free.
    pub swap_free: Option<u64>,
    /// Tasks of the machine that run or want to, on average over 1, 5 and 15 minutes.
    pub load_averages: Option<[f64; 3]>,
}

/// This process at a moment. Sizes in bytes; `None`: the kernel does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Its memory that is in RAM, with the pages of the program and of mapped files.
    pub memory_resident: Option<u64>,
    /// All of its addresses.
    pub memory_virtual: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// The most threads that any reading has found; at least five are taken in a window of the loads.
    pub threads_peak: Option<u64>,
    /// Time on CPUs.
    pub cpu_time: Duration,
    /// When it was started, in seconds since 1970.
    pub started: Option<f64>,
}

/// The files and what has to be remembered from one reading to the next.
#[derive(Debug)]
pub(crate) struct VitalsReader {
    root: PathBuf,
    stat: Kept,
    memory: Kept,
    load: Kept,
    own_stat: Kept,
    buffer: Vec<u8>,
    group: Group,
    group_read: Instant,
    allowed: Option<CpuMask>,
    window: Window,
    threads_peak: Option<u64>,
    /// Shared with who reads the size classes.
    jemalloc: Option<Arc<Jemalloc>>,
    ticks_a_second: f64,
    page_bytes: u64,
}

impl VitalsReader {
    /// Reads files below `root`, which is `/` but for tests.
    pub(crate) fn new(root: &Path, load_window: Duration, jemalloc: Option<Arc<Jemalloc>>) -> Self {
        let file = |name: &str| Kept::new(root.join("proc").join(name));
        let mut reader = Self {
            root: root.to_owned(),
            stat: file("stat"),
            memory: file("meminfo"),
            load: file("loadavg"),
            own_stat: file("self/stat"),
            buffer: Vec::new(),
            group: Group::find(root),
            group_read: Instant::now(),
            allowed: None,
            window: Window::new(load_window),
            threads_peak: None,
            jemalloc,
            ticks_a_second: procfs::ticks_per_second().max(1) as f64,
            page_bytes: procfs::page_size(),
        };
        reader.tick();
        reader
    }

    /// Notes what rates need.
    pub(crate) fn tick(&mut self) {
        let (point, _) = self.point();
        self.window.note(point);
        self.own_stat();
    }

    /// Reads everything.
    pub(crate) fn read(&mut self) -> Vitals {
        if self.group_read.elapsed() >= GROUP_AGE_MAX {
            self.group = Group::find(&self.root);
            self.group_read = Instant::now();
        }
        let (point, booted) = self.point();
        let own = self.own_stat();
        let machine = self.machine();
        let loads = self.window.loads(&point, machine.cpus, self.group.cpus().is_some());
        let since_boot = own.map(|own| own.started as f64 / self.ticks_a_second);
        let process = Process {
            memory_resident: own.and_then(|own| own.resident_pages.checked_mul(self.page_bytes)),
            memory_virtual: own.map(|own| own.virtual_bytes),
            threads: own.map(|own| own.threads),
            threads_peak: self.threads_peak,
            cpu_time: point.process,
            started: booted.zip(since_boot).map(|(booted, since)| booted as f64 + since),
        };
        let heap = self.jemalloc.as_ref().and_then(|jemalloc| {
            jemalloc.begin_epoch();
            jemalloc.heap()
        });
        Vitals { machine, process, loads, heap }
    }

    /// The CPU time up to now of the CPUs that are allowed now, and when the machine was started.
    fn point(&mut self) -> (Point, Option<u64>) {
        let at = Instant::now();
        self.allowed = allowed_cpus();
        let counts = |cpu: usize| self.allowed.as_ref().is_none_or(|allowed| is_in(allowed, cpu));
        let stat = self.stat.read(&mut self.buffer).map(|text| text::kernel_stat(text, counts)).unwrap_or_default();
        let group_ns = self.group.cpu_time(&mut self.buffer);
        (Point { at, process: cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID), cpus: stat.cpus, group_ns }, stat.booted)
    }

    fn own_stat(&mut self) -> Option<OwnStat> {
        let stat = text::task_stat(self.own_stat.read(&mut self.buffer)?)?;
        self.threads_peak = self.threads_peak.max(Some(stat.threads));
        Some(OwnStat {
            threads: stat.threads,
            started: stat.started,
            virtual_bytes: stat.virtual_bytes,
            resident_pages: stat.resident_pages,
        })
    }

    fn machine(&mut self) -> Machine {
        let mut memory = self.memory.read(&mut self.buffer).map(text::mem_info).unwrap_or_default();
        let room = self.group.memory(&mut self.buffer);
        let swap = self.group.swap(&mut self.buffer);
        if let Some(room) = room {
            memory.total = lower(memory.total, Some(room.total));
            memory.free = lower(memory.free, room.free);
        }
        if let Some(swap) = swap {
            memory.swap_total = lower(memory.swap_total, Some(swap.total));
            memory.swap_free = lower(memory.swap_free, swap.free);
        }
        let load_averages = self.load.read(&mut self.buffer).and_then(text::load_averages);
        let allowed = self.allowed.as_ref().map(|cpus| f64::from(count(cpus)));
        let cpus = match (allowed, self.group.cpus()) {
            (Some(allowed), Some(limit)) => Some(allowed.min(limit)),
            (allowed, limit) => allowed.or(limit),
        };
        Machine {
            // A limit of half a CPU leaves one.
            processors: cpus.map(|cpus| (cpus.ceil() as usize).max(1)),
            cpus,
            memory_total: memory.total,
            memory_free: memory.free,
            memory_available: memory.available,
            swap_total: memory.swap_total,
            swap_free: memory.swap_free,
            load_averages,
        }
    }
}

/// What is used of the process' own `stat`.
#[derive(Clone, Copy)]
struct OwnStat {
    threads: u64,
    started: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// The lower one of those that are known.
fn lower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Time of a clock that counts CPU time.
pub(crate) fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec, which the call fills.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    // The clocks of the own process and thread are there since Linux 2.6.12.
    debug_assert_eq!(status, 0);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Room for 8,192 CPUs, more than the kernel has.
type CpuMask = [u64; 128];

/// The CPUs that the sampler's thread may use, which is pinned to none of them: those of the process.
fn allowed_cpus() -> Option<CpuMask> {
    let mut mask: CpuMask = [0; 128];
    // SAFETY: the kernel writes at most `size_of_val(&mask)` bytes to the mask, of which any bits are a value.
    let status = unsafe { libc::sched_getaffinity(0, size_of_val(&mask), (&raw mut mask).cast()) };
    (status == 0 && count(&mask) > 0).then_some(mask)
}

fn count(mask: &CpuMask) -> u32 {
    mask.iter().map(|word| word.count_ones()).sum()
}

fn is_in(mask: &CpuMask, cpu: usize) -> bool {
    mask.get(cpu / 64).is_some_and(|word| word >> (cpu % 64) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::read_once;

    fn reader(root: &Path) -> VitalsReader {
        VitalsReader::new(root, Duration::from_millis(200), None)
    }

    fn number_behind(text: &str, name: &str) -> u64 {
        let line = text.lines().find(|line| line.starts_with(name)).expect(name);
        line.split_ascii_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    #[test]
    fn the_machine_is_as_the_kernel_says_by_itself() {
        let mut reader = reader(Path::new("/"));
        let status = || read_once(Path::new("/proc/self/status")).expect("a status");
        let resident = |status: &str| number_behind(status, "VmRSS:") << 10;
        // Tests beside this one take memory and give it back: the reading counts that fell into a quiet moment.
        let patience = Instant::now() + Duration::from_secs(60);
        let (vitals, status) = loop {
            let (before, vitals, after) = (resident(&status()), reader.read(), status());
            if before.abs_diff(resident(&after)) < 4 << 20 {
                break (vitals, after);
            }
            assert!(Instant::now() < patience, "no quiet moment");
        };
        let (machine, process) = (vitals.machine, vitals.process);
        let memory = read_once(Path::new("/proc/meminfo")).expect("memory");
        let total = number_behind(&memory, "MemTotal:") << 10;
        assert!(machine.memory_total.is_some_and(|known| known <= total && known > 0));
        let group = Group::find(Path::new("/"));
        if group.cpus().is_none() {
            let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:")).expect("a mask");
            let bits = mask.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones).sum::<u32>();
            assert_eq!(machine.processors, Some(bits as usize));
        }
        let resident = resident(&status);
        assert!(process.memory_resident.is_some_and(|known| known.abs_diff(resident) < 32 << 20), "{process:?}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let age = now.as_secs_f64() - process.started.expect("a start");
        assert!((-1.0..3600.0).contains(&age), "{age}");
        assert!(process.threads.is_some_and(|threads| threads >= 1));
    }

    #[test]
    fn loads_follow_what_the_process_does() {
        let now = || (Instant::now(), cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID));
        let before = now();
        let mut reader = reader(Path::new("/"));
        let begun = now();
        while begun.0.elapsed() < Duration::from_millis(300) {
            std::hint::spin_loop();
        }
        let ended = now();
        let vitals = reader.read();
        let after = now();
        let cpus = vitals.machine.cpus.expect("CPUs");
        let share = |used: Duration, time: Duration| used.as_secs_f64() / (time.as_secs_f64() * cpus);
        // Other tests run in this process, and this one may be interrupted anywhere: the load lies between what was surely
        // in the window and what may have been.
        let least = share(ended.1 - begun.1, after.0 - before.0);
        let most = share(after.1 - before.1, ended.0 - begun.0);
        let load = vitals.loads.process.expect("a load");
        assert!(load >= least.min(1.0) - 0.01 && load <= most + 0.01, "{least} {load} {most}");
        // The kernel counts this one by ticks.
        let system = vitals.loads.system.expect("a load");
        assert!(system > load - 0.2 && system <= 1.0, "{system} {load}");
    }

    #[test]
    fn the_peak_of_threads_stays() {
        let mut reader = reader(Path::new("/"));
        let (stop, waiting) = std::sync::mpsc::sync_channel::<()>(0);
        let waiting = std::sync::Mutex::new(waiting);
        std::thread::scope(|scope| {
            (0..20).for_each(|_| drop(scope.spawn(|| drop(waiting.lock().map(|waiting| waiting.recv())))));
            reader.tick();
            drop(stop);
        });
        let process = reader.read().process;
        assert!(process.threads_peak.is_some_and(|peak| peak >= 21), "{process:?}");
        assert!(process.threads_peak >= process.threads);
    }

    #[test]
    fn limits_of_a_group_take_the_place_of_the_machine() {
        let tree = tempfile::tempdir().expect("a folder");
        let file = |path: &str, text: &str| {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            std::fs::write(path, text).expect("written");
        };
        file("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 900 kB\nSwapTotal: 10 kB\nSwapFree: 10 kB\n");
        file("proc/self/cgroup", "0::/\n");
        file("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        file("sys/fs/cgroup/memory.max", "102400\n");
        file("sys/fs/cgroup/memory.current", "2400\n");
        file("sys/fs/cgroup/memory.swap.max", "0\n");
        file("sys/fs/cgroup/memory.swap.current", "0\n");
        file("sys/fs/cgroup/cpu.max", "25000 100000\n");
        file("sys/fs/cgroup/cpu.stat", "usage_usec 5\n");
        let vitals = reader(tree.path()).read();
        let machine = vitals.machine;
        assert_eq!((machine.processors, machine.cpus), (Some(1), Some(0.25)));
        assert_eq!((machine.memory_total, machine.memory_free), (Some(102_400), Some(100_000)));
        assert_eq!((machine.swap_total, machine.swap_free), (Some(0), Some(0)));
        assert_eq!((machine.load_averages, vitals.process.threads), (None, None));
        assert_eq!(vitals.loads.system, Some(0.0), "nothing was used in the group");
    }

    #[test]
    fn without_files_everything_is_absent() {
        let empty = tempfile::tempdir().expect("a folder");
        let vitals = reader(empty.path()).read();
        assert_eq!(vitals.process, Process { cpu_time: vitals.process.cpu_time, ..Process::default() });
        let machine =
            Machine { processors: vitals.machine.processors, cpus: vitals.machine.cpus, ..Machine::default() };
        assert_eq!(vitals.machine, machine);
    }
}
