//! The texts that are read for every sample: pure functions that take any text.

/// Time of CPUs since the machine was started, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    /// At work.
    pub(crate) busy: u64,
    /// At work or not.
    pub(crate) all: u64,
}

impl CpuTicks {
    fn add(&mut self, other: Self) {
        self.busy = self.busy.saturating_add(other.busy);
        self.all = self.all.saturating_add(other.all);
    }
}

/// What `/proc/stat` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KernelStat {
    /// The CPUs that count, together.
    pub(crate) cpus: Option<CpuTicks>,
    /// When the machine was started, in seconds since 1970.
    pub(crate) booted: Option<u64>,
}

/// `/proc/stat`. Only CPUs that `counts` names count; where none of them is listed, all do.
pub(crate) fn kernel_stat(text: &str, counts: impl Fn(usize) -> bool) -> KernelStat {
    let mut stat = KernelStat::default();
    let mut whole = None;
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        match name.strip_prefix("cpu") {
            Some("") => whole = cpu_ticks(rest),
            Some(number) => {
                if number.parse().is_ok_and(&counts)
                    && let Some(ticks) = cpu_ticks(rest)
                {
                    stat.cpus.get_or_insert_default().add(ticks);
                }
            }
            // Interrupts by number, a long line, stand before it.
            None if name == "btime" => {
                stat.booted = rest.trim().parse().ok();
                break;
            }
            None => {}
        }
    }
    stat.cpus = stat.cpus.or(whole);
    stat
}

/// `user nice system idle iowait irq softirq steal`; the time of guests, behind them, is in that of users already.
fn cpu_ticks(text: &str) -> Option<CpuTicks> {
    let mut ticks = CpuTicks::default();
    let mut fields = 0;
    for (index, field) in text.split_ascii_whitespace().take(8).enumerate() {
        let amount: u64 = field.parse().ok()?;
        ticks.all = ticks.all.saturating_add(amount);
        if index != 3 && index != 4 {
            ticks.busy = ticks.busy.saturating_add(amount);
        }
        fields = index + 1;
    }
    // The first four are there since Linux 2.0.
    (fields >= 4).then_some(ticks)
}

/// What `/proc/meminfo` says, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemInfo {
    pub(crate) total: Option<u64>,
    pub(crate) free: Option<u64>,
    pub(crate) available: Option<u64>,
    pub(crate) swap_total: Option<u64>,
    pub(crate) swap_free: Option<u64>,
}

/// `/proc/meminfo`.
pub(crate) fn mem_info(text: &str) -> MemInfo {
    let mut memory = MemInfo::default();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let place = match name {
            "MemTotal" => &mut memory.total,
            "MemFree" => &mut memory.free,
            "MemAvailable" => &mut memory.available,
            "SwapTotal" => &mut memory.swap_total,
            "SwapFree" => {
                memory.swap_free = kibibytes(rest);
                // The last of the five.
                break;
            }
            _ => continue,
        };
        *place = kibibytes(rest);
    }
    memory
}

fn kibibytes(text: &str) -> Option<u64> {
    let number: u64 = text.split_ascii_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

/// The loads of `/proc/loadavg` over 1, 5 and 15 minutes.
pub(crate) fn load_averages(text: &str) -> Option<[f64; 3]> {
    let mut fields = text.split_ascii_whitespace();
    let mut next = || fields.next()?.parse::<f64>().ok().filter(|load| load.is_finite() && *load >= 0.0);
    Some([next()?, next()?, next()?])
}

/// What the `stat` of a process or of one of its threads says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskStat<'t> {
    /// Its name.
    pub(crate) name: &'t str,
    /// The kernel's letter for its state.
    pub(crate) state: char,
    /// Time on CPUs, in ticks.
    pub(crate) cpu_ticks: u64,
    /// Threads of the process.
    pub(crate) threads: u64,
    /// When it was started, in ticks since the machine was.
    pub(crate) started: u64,
    /// Addresses in use, in bytes.
    pub(crate) virtual_bytes: u64,
    /// Pages in RAM.
    pub(crate) resident_pages: u64,
}

/// `/proc/<pid>/stat`, `/proc/<pid>/task/<tid>/stat`. The name may hold anything, also spaces and brackets.
pub(crate) fn task_stat(text: &str) -> Option<TaskStat<'_>> {
    let (before, rest) = text.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // The state is the third field of proc(5); the next one is the fourth.
    let mut numbers = [0u64; 21];
    for number in &mut numbers {
        // Some of those that are not looked at are negative.
        *number = fields.next()?.parse::<i128>().ok()?.try_into().unwrap_or_default();
    }
    let field = |number: usize| numbers[number - 4];
    Some(TaskStat {
        name,
        state,
        cpu_ticks: field(14).saturating_add(field(15)),
        threads: field(20),
        started: field(22),
        virtual_bytes: field(23),
        resident_pages: field(24),
    })
}

/// Signals of a thread, bit by bit from signal 1 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignalMasks {
    /// Those that wait for it alone.
    pub(crate) pending: u64,
    /// Those that it does not take now.
    pub(crate) blocked: u64,
}

/// `/proc/<pid>/task/<tid>/status`; a mask that is not there is empty.
pub(crate) fn signal_masks(text: &str) -> SignalMasks {
    let mask = |key: &str| {
        let digits = text.lines().find_map(|line| line.strip_prefix(key))?;
        u64::from_str_radix(digits.trim(), 16).ok()
    };
    SignalMasks { pending: mask("SigPnd:").unwrap_or_default(), blocked: mask("SigBlk:").unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use procfs::{FromBufRead as _, FromRead as _};
    use proptest::prelude::*;

    use super::*;

    const STAT: &str = "cpu  10 1 5 100 7 2 3 4 9 9\ncpu0 6 1 3 40 2 1 1 0 0 0\ncpu1 4 0 2 60 5 1 2 4 9 9\n\
                        intr 1 2 3\nctxt 5\nbtime 1700000000\nprocesses 4\n";

    #[test]
    fn time_of_the_cpus_that_count_is_summed_up() {
        let all = kernel_stat(STAT, |_| true);
        assert_eq!(all, KernelStat { cpus: Some(CpuTicks { busy: 25, all: 132 }), booted: Some(1_700_000_000) });
        let one = kernel_stat(STAT, |cpu| cpu == 1).cpus;
        assert_eq!(one, Some(CpuTicks { busy: 13, all: 78 }));
        assert_eq!(kernel_stat(STAT, |cpu| cpu == 7).cpus, all.cpus, "none of them is listed");
        assert_eq!(kernel_stat("cpu 1 2 x 4\n", |_| true), KernelStat::default());
        assert_eq!(kernel_stat("cpu 1 2 3\n", |_| true), KernelStat::default());
    }

    #[test]
    fn memory_is_in_bytes_and_what_is_missing_is_absent() {
        let text = "MemTotal:       100 kB\nMemFree:  7 kB\nBuffers: 1 kB\nSwapFree: 0 kB\n";
        let memory = mem_info(text);
        assert_eq!((memory.total, memory.free, memory.swap_free), (Some(102_400), Some(7_168), Some(0)));
        assert_eq!((memory.available, memory.swap_total), (None, None));
    }

    #[test]
    fn masks_of_signals_are_hexadecimal_and_may_be_missing() {
        let text = "Name:\tx\nSigPnd:\t0000000800000000\nShdPnd:\tffff\nSigBlk:\t0000000000004002\nSigIgn:\t1\n";
        assert_eq!(signal_masks(text), SignalMasks { pending: 1 << 35, blocked: 0x4002 });
        assert_eq!(signal_masks("SigBlk: x\n"), SignalMasks::default());
    }

    #[test]
    fn a_name_may_hold_anything() {
        let text =
            "12 (a) b (c) S 1 12 12 0 -1 4194560 5 0 0 0 30 12 0 0 20 0 7 0 4321 1048576 99 18446744073709551615 1";
        let stat = task_stat(text).expect("a stat");
        assert_eq!((stat.name, stat.state), ("a) b (c", 'S'));
        assert_eq!((stat.cpu_ticks, stat.threads, stat.started), (42, 7, 4321));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (1_048_576, 99));
        assert_eq!(task_stat("12 (x) S 1 2 3"), None);
        assert_eq!(task_stat(") ("), None);
    }

    #[test]
    fn the_kernels_own_texts_are_read_as_the_library_reads_them() {
        let text = std::fs::read_to_string("/proc/self/stat").expect("a stat");
        let (ours, theirs) = (task_stat(&text).expect("ours"), procfs::process::Stat::from_read(text.as_bytes()));
        let theirs = theirs.expect("theirs");
        assert_eq!((ours.name, ours.state), (&*theirs.comm, theirs.state));
        assert_eq!((ours.cpu_ticks, ours.started), (theirs.utime + theirs.stime, theirs.starttime));
        assert_eq!((ours.virtual_bytes, ours.resident_pages), (theirs.vsize, theirs.rss));
        assert_eq!(ours.threads, theirs.num_threads as u64);
        let text = std::fs::read_to_string("/proc/meminfo").expect("memory");
        let (ours, theirs) = (mem_info(&text), procfs::Meminfo::from_buf_read(text.as_bytes()).expect("theirs"));
        assert_eq!((ours.total, ours.free), (Some(theirs.mem_total), Some(theirs.mem_free)));
        assert_eq!((ours.swap_total, ours.swap_free), (Some(theirs.swap_total), Some(theirs.swap_free)));
        assert_eq!(ours.available, theirs.mem_available);
        let text = std::fs::read_to_string("/proc/stat").expect("a stat");
        let theirs = procfs::FromBufReadSI::from_buf_read(text.as_bytes(), procfs::current_system_info());
        let theirs: procfs::KernelStats = theirs.expect("theirs");
        let ours = kernel_stat(&text, |_| false);
        let all = &theirs.total;
        let idle = all.idle + all.iowait.unwrap_or_default();
        let busy = [Some(all.user), Some(all.nice), Some(all.system), all.irq, all.softirq, all.steal];
        let busy: u64 = busy.into_iter().flatten().sum();
        assert_eq!(ours.cpus, Some(CpuTicks { busy, all: busy + idle }));
        assert_eq!(ours.booted, Some(theirs.btime));
    }

    /// A text of the kernel with a piece of it cut out or replaced by anything.
    fn damaged(text: &'static str) -> impl Strategy<Value = String> {
        (0..text.len(), 0..text.len(), ".{0,12}").prop_map(move |(from, to, with)| {
            let (from, to) = (from.min(to), from.max(to));
            format!("{}{with}{}", &text[..from], &text[to..])
        })
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).{0,400}") {
            kernel_stat(&text, |cpu| cpu % 2 == 0);
            mem_info(&text);
            load_averages(&text);
            task_stat(&text);
        }

        #[test]
        fn damaged_texts_are_read_without_a_panic(
            stat in damaged(STAT),
            memory in damaged("MemTotal: 99999999999999999999 kB\nMemFree: 18446744073709551615 kB\nSwapFree: 1 kB\n"),
            load in damaged("0.10 1e999 NaN 1/2 3"),
            task in damaged("12 (a b) S 1 12 12 0 -1 41 5 0 0 0 30 12 0 0 20 0 7 0 4321 1048576 99 1844674407370955 1"),
        ) {
            kernel_stat(&stat, |_| true);
            mem_info(&memory);
            if let Some(loads) = load_averages(&load) {
                prop_assert!(loads.iter().all(|load| load.is_finite()));
            }
            task_stat(&task);
        }
    }
}
