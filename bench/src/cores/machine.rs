//! What else the machine was doing.

use std::{fs, io};

/// Seconds that these CPUs have worked for anything but this process, the hypervisor's other guests included. Only
/// differences mean something.
pub fn foreign_time(cpus: &[usize]) -> io::Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let busy: f64 = cpus.iter().filter_map(|cpu| busy_time(&stat, *cpu)).sum();
    Ok(busy - process_time())
}

/// Seconds of CPU that this process has used.
pub fn process_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live value.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds that a CPU was not idle: all of its fields but idle, iowait and the guests', in ticks of 10 ms.
fn busy_time(stat: &str, cpu: usize) -> Option<f64> {
    let name = format!("cpu{cpu}");
    let mut fields =
        stat.lines().map(str::split_whitespace).find_map(|mut fields| (fields.next()? == name).then_some(fields))?;
    let ticks: Vec<f64> = fields.by_ref().take(8).filter_map(|field| field.parse().ok()).collect();
    let idle: f64 = ticks.get(3..5)?.iter().sum();
    Some((ticks.iter().sum::<f64>() - idle) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpus_work_is_read_from_its_own_line() {
        let stat = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 9 9 9 9 9 9 9 9 0 0\ncpu1 100 20 30 4000 500 6 7 8 90 0\n";
        assert_eq!(busy_time(stat, 1), Some(1.71));
        assert_eq!(busy_time(stat, 2), None);
    }
}
