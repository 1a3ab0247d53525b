//! Memory, processors and files of the machine and of this process.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use procfs::{Current, CurrentSI, KernelStats, LoadAverage, Meminfo, ProcError};

/// Loads are measured over at least this long.
const LOAD_SPAN_MIN: Duration = Duration::from_secs(1);

/// The kernel does not tell.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {file}: {cause}")]
pub struct VitalsError {
    file: &'static str,
    #[source]
    cause: ProcError,
}

impl VitalsError {
    pub(crate) fn read(file: &'static str) -> impl FnOnce(ProcError) -> Self {
        move |cause| Self { file, cause }
    }
}

/// The machine at a moment. Sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// CPUs.
    pub processors: usize,
    /// Memory.
    pub memory_total: u64,
    /// Memory that nobody uses, not even as a cache.
    pub memory_free: u64,
    /// Swap space.
    pub swap_total: u64,
    /// Swap space that is free.
    pub swap_free: u64,
    /// Tasks that run or want to, on average over a minute.
    pub load_average: f64,
    /// Time of all CPUs at work, and of all CPUs, since the machine was started, in ticks.
    cpu: (u64, u64),
}

/// This process at a moment. Sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Memory of its own that is in RAM: heaps, stacks.
    pub memory_own: u64,
    /// All of its memory that is in RAM, with the pages of the program and of mapped files.
    pub memory_resident: u64,
    /// All of its addresses.
    pub memory_virtual: u64,
    /// What it may have at most: the limit of its control group, or the machine's memory.
    pub memory_max: u64,
    /// Threads.
    pub threads: u64,
    /// Open files.
    pub files: u64,
    /// Files that it may open.
    pub files_max: u64,
    /// Time on CPUs, in seconds.
    pub cpu_seconds: f64,
    /// When it was started, in seconds since 1970.
    pub started: f64,
}

/// Everything that was read at a moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// When.
    pub taken: Instant,
    /// The machine.
    pub machine: Machine,
    /// This process.
    pub process: Process,
    /// Share of all CPUs that this process has used of late, 0 to 1.
    pub process_load: f64,
    /// Share of all CPUs that was used of late, 0 to 1.
    pub system_load: f64,
    /// The most threads that a reading has found.
    pub threads_peak: u64,
}

/// Takes readings, and keeps the last one.
#[derive(Debug, Default)]
pub struct Vitals {
    latest: ArcSwapOption<Reading>,
    /// What loads are measured against.
    base: Mutex<Option<Arc<Reading>>>,
}

impl Vitals {
    /// The last reading if it is not older than `age_max`. Does not block.
    pub fn latest(&self, age_max: Duration) -> Option<Arc<Reading>> {
        self.latest.load_full().filter(|reading| reading.taken.elapsed() <= age_max)
    }

    /// The last reading if it is not older than `age_max`, else a new one. Reads `/proc`: for blocking threads.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn read(&self, age_max: Duration) -> Result<Arc<Reading>, VitalsError> {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = self.latest(age_max) {
            return Ok(reading);
        }
        let (machine, process) = (Machine::read()?, Process::read()?);
        let last = self.latest.load_full();
        let mut reading = Reading {
            taken: Instant::now(),
            process_load: 0.0,
            system_load: 0.0,
            threads_peak: process.threads.max(last.as_ref().map_or(0, |last| last.threads_peak)),
            machine,
            process,
        };
        if let Some(base) = &*base {
            reading.measure_loads(base);
        }
        let reading = Arc::new(reading);
        // The next loads are measured from the last reading that is old enough.
        let due = |base: &Arc<Reading>| reading.taken.duration_since(base.taken) >= LOAD_SPAN_MIN;
        if base.as_ref().is_none_or(due) {
            *base = Some(last.filter(due).unwrap_or_else(|| reading.clone()));
        }
        self.latest.store(Some(reading.clone()));
        Ok(reading)
    }
}

impl Reading {
    fn measure_loads(&mut self, base: &Self) {
        let seconds = self.taken.duration_since(base.taken).as_secs_f64() * self.machine.processors as f64;
        let used = self.process.cpu_seconds - base.process.cpu_seconds;
        self.process_load = share(used, seconds);
        let ((busy, all), (busy_then, all_then)) = (self.machine.cpu, base.machine.cpu);
        self.system_load = share(busy.saturating_sub(busy_then) as f64, all.saturating_sub(all_then) as f64);
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 }
}

impl Machine {
    fn read() -> Result<Self, VitalsError> {
        let memory = Meminfo::current().map_err(VitalsError::read("/proc/meminfo"))?;
        let load = LoadAverage::current().map_err(VitalsError::read("/proc/loadavg"))?;
        let stats = KernelStats::current().map_err(VitalsError::read("/proc/stat"))?;
        let cpu = &stats.total;
        let idle = cpu.idle + cpu.iowait.unwrap_or_default();
        // The time of guests is in that of users already.
        let busy = [Some(cpu.user), Some(cpu.nice), Some(cpu.system), cpu.irq, cpu.softirq, cpu.steal];
        let busy: u64 = busy.into_iter().flatten().sum();
        Ok(Self {
            processors: stats.cpu_time.len().max(1),
            memory_total: memory.mem_total,
            memory_free: memory.mem_free,
            swap_total: memory.swap_total,
            swap_free: memory.swap_free,
            // As the kernel writes it: with two digits.
            load_average: (f64::from(load.one) * 100.0).round() / 100.0,
            cpu: (busy, busy + idle),
        })
    }
}

impl Process {
    fn read() -> Result<Self, VitalsError> {
        let process = procfs::process::Process::myself().map_err(VitalsError::read("/proc/self"))?;
        let status = process.status().map_err(VitalsError::read("/proc/self/status"))?;
        let stat = process.stat().map_err(VitalsError::read("/proc/self/stat"))?;
        let memory = Meminfo::current().map_err(VitalsError::read("/proc/meminfo"))?;
        let ticks = procfs::ticks_per_second().max(1) as f64;
        let booted = procfs::boot_time_secs().map_err(VitalsError::read("/proc/stat"))?;
        let bytes = |kibibytes: Option<u64>| kibibytes.unwrap_or_default() << 10;
        Ok(Self {
            memory_own: bytes(status.rssanon),
            memory_resident: bytes(status.vmrss),
            memory_virtual: bytes(status.vmsize),
            memory_max: group_memory_max().map_or(memory.mem_total, |limit| limit.min(memory.mem_total)),
            threads: status.threads,
            files: process.fd_count().map_err(VitalsError::read("/proc/self/fd"))? as u64,
            files_max: files_max(),
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            started: booted as f64 + stat.starttime as f64 / ticks,
        })
    }
}

/// The memory limit of the control group, `None` without one.
fn group_memory_max() -> Option<u64> {
    fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

fn files_max() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit, which the call fills.
    let done = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if done == 0 { limit.rlim_cur } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_kept_for_as_long_as_its_user_likes() {
        let vitals = Vitals::default();
        assert!(vitals.latest(Duration::from_secs(60)).is_none());
        let first = vitals.read(Duration::from_secs(60)).expect("a reading");
        let again = vitals.read(Duration::from_secs(60)).expect("a reading");
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &vitals.read(Duration::ZERO).expect("a reading")));
    }

    #[test]
    fn figures_are_plausible() {
        let reading = Vitals::default().read(Duration::ZERO).expect("a reading");
        let (machine, process) = (&reading.machine, &reading.process);
        assert!(machine.processors >= 1 && machine.memory_total > machine.memory_free && machine.memory_free > 0);
        assert!(machine.swap_free <= machine.swap_total);
        assert!(process.memory_own > 0 && process.memory_own <= process.memory_resident);
        assert!(process.memory_resident < process.memory_virtual && process.memory_resident < process.memory_max);
        assert!(process.threads >= 1 && reading.threads_peak == process.threads);
        assert!(process.files >= 3 && process.files < process.files_max);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        assert!(process.started > 1.7e9 && process.started <= now.as_secs_f64() + 1.0);
    }

    #[test]
    fn loads_are_shares_of_all_processors() {
        let vitals = Vitals::default();
        vitals.read(Duration::ZERO).expect("a reading");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(200) {
            std::hint::spin_loop();
        }
        let reading = vitals.read(Duration::ZERO).expect("a reading");
        assert!(reading.process_load > 0.0 && reading.process_load <= 1.0, "{}", reading.process_load);
        assert!(reading.system_load > 0.0 && reading.system_load <= 1.0, "{}", reading.system_load);
        assert_eq!(share(2.0, 0.0), 0.0);
        assert_eq!(share(3.0, 2.0), 1.0);
    }
}
