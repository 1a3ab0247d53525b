//! What a poll is charged to its group.
//!
//! By the clock alone a job would pay for the time in which the kernel gave the CPU to requests or to other processes;
//! by CPU time alone a task that blocks in its poll would hold the token for nothing. So a poll is charged the CPU time
//! it used, and the time by the clock where it waited of its own accord.

use std::mem;

use super::stall::CpuClock;

/// Polls shorter than this are charged by the clock: asking the kernel would cost too much of them.
const LONG_NS: u64 = 100_000;

/// What the kernel knows of this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    cpu_ns: u64,
    /// Times that it waited of its own accord.
    waits: u64,
}

/// Measures the polls of a driver.
#[derive(Default)]
pub(super) struct Meter {
    /// The last reading; `None` while there is nothing to share.
    mark: Option<Usage>,
    /// What was charged by the clock since.
    short_ns: u64,
}

impl Meter {
    /// A run of the driver begins. Only a driver with several groups asks the kernel.
    pub(super) fn begin(&mut self, several_groups: bool) {
        self.mark = several_groups.then(usage).flatten();
        self.short_ns = 0;
    }

    /// The charge for a poll that took so long by the clock.
    pub(super) fn charge(&mut self, clock_ns: u64) -> u64 {
        match self.mark {
            Some(_) if clock_ns >= LONG_NS => self.charge_long(clock_ns, usage()),
            _ => {
                self.short_ns += clock_ns;
                clock_ns
            }
        }
    }

    fn charge_long(&mut self, clock_ns: u64, now: Option<Usage>) -> u64 {
        let before = mem::replace(&mut self.mark, now);
        let short_ns = mem::take(&mut self.short_ns);
        match (before, now) {
            (Some(before), Some(now)) if before.waits == now.waits => {
                now.cpu_ns.saturating_sub(before.cpu_ns).saturating_sub(short_ns).min(clock_ns)
            }
            _ => clock_ns,
        }
    }
}

/// The CPU time is that of the thread's clock: `getrusage` tells it as it was at the kernel's last tick, which is up to
/// 4 ms ago and longer than a slice, so that one poll would be charged for the ones before it and those for nothing.
fn usage() -> Option<Usage> {
    // SAFETY: an all-zero rusage is valid.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a live value.
    if unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) } != 0 {
        return None;
    }
    Some(Usage { cpu_ns: CpuClock::OWN.read()?, waits: usage.ru_nvcsw as u64 })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    const MS: u64 = 1_000_000;

    fn marked(cpu_ns: u64, waits: u64) -> Meter {
        Meter { mark: Some(Usage { cpu_ns, waits }), short_ns: 0 }
    }

    #[test]
    fn a_poll_is_not_charged_for_time_that_others_had_the_cpu() {
        let mut meter = marked(10 * MS, 3);
        assert_eq!(meter.charge_long(9 * MS, Some(Usage { cpu_ns: 12 * MS, waits: 3 })), 2 * MS);
        // The next one starts from there.
        assert_eq!(meter.charge_long(3 * MS, Some(Usage { cpu_ns: 15 * MS, waits: 3 })), 3 * MS);
    }

    #[test]
    fn a_poll_that_blocks_is_charged_by_the_clock() {
        let mut meter = marked(10 * MS, 3);
        assert_eq!(meter.charge_long(9 * MS, Some(Usage { cpu_ns: 11 * MS, waits: 4 })), 9 * MS);
        let mut meter = Meter::default();
        meter.begin(true);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(meter.charge(5 * MS), 5 * MS);
    }

    #[test]
    fn short_polls_are_charged_once() {
        let mut meter = marked(10 * MS, 3);
        assert_eq!(meter.charge(LONG_NS - 1) + meter.charge(1), LONG_NS);
        let now = Usage { cpu_ns: 12 * MS + LONG_NS, waits: 3 };
        assert_eq!(meter.charge_long(5 * MS, Some(now)), 2 * MS);
    }

    #[test]
    fn each_poll_is_charged_what_it_computed_and_not_what_came_up_at_the_kernels_tick() {
        let mut meter = Meter::default();
        meter.begin(true);
        for poll in 0..40 {
            let (began, before) = (Instant::now(), CpuClock::OWN.read().expect("a time"));
            while CpuClock::OWN.read().expect("a time") - before < MS / 2 {
                std::hint::spin_loop();
            }
            let used = CpuClock::OWN.read().expect("a time") - before;
            // By the clock it may have taken longer: that others had the CPU is not charged.
            let charged = meter.charge(began.elapsed().as_nanos() as u64);
            assert!(charged >= MS / 2 - MS / 100, "poll {poll}: {charged} of {used}");
        }
    }
}
