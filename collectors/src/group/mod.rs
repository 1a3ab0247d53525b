//! What the control groups of this process allow it, and what they use of it.
//!
//! In version 1 each controller has a hierarchy of its own, in version 2 all share one, and a machine may have both: each
//! controller is looked for by itself, first in a hierarchy of version 1. Limits hold for all that is below them, so the
//! lowest on the way from the group of the process up to the mount counts. What lies above the mount cannot be seen.

mod place;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use place::{Hierarchies, Version};

use crate::kept::{Kept, read_once};

/// The limits that there are, with the open files that say what is used of them.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// CPUs' worth of time that may be used.
    cpus: Option<f64>,
    cpu_time: Option<CpuTime>,
    memory: Vec<Level>,
    swap: Vec<Level>,
}

/// A limit of a group in bytes, and what is used of it.
#[derive(Debug)]
struct Level {
    limit: u64,
    used: Used,
}

#[derive(Debug)]
enum Used {
    File(Kept),
    /// Version 1 counts memory and swap space together.
    Difference(Kept, Kept),
}

/// The file that tells the CPU time of the group that has the lowest limit.
#[derive(Debug)]
enum CpuTime {
    /// `cpuacct.usage`: nanoseconds.
    Nanoseconds(Kept),
    /// `cpu.stat`: a line `usage_usec`.
    Microseconds(Kept),
}

/// A limit and what is free of it, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// The limit.
    pub(crate) total: u64,
    /// What is free of it; `None` when the use of it is not known.
    pub(crate) free: Option<u64>,
}

impl Group {
    /// Looks the groups of this process up, below `root` (`/` but for tests).
    pub(crate) fn find(root: &Path) -> Self {
        let hierarchies = Hierarchies::read(root);
        let mut group = Self::default();
        group.find_cpu(&hierarchies);
        match hierarchies.way_up("memory") {
            Some((Version::One, way)) => group.find_memory_v1(&way),
            Some((Version::Two, way)) => {
                group.memory = levels(&way, "memory.max", "memory.current");
                group.swap = levels(&way, "memory.swap.max", "memory.swap.current");
            }
            None => {}
        }
        group
    }

    /// CPUs' worth of time that may be used; `None` without a limit.
    pub(crate) fn cpus(&self) -> Option<f64> {
        self.cpus
    }

    /// CPU time, in nanoseconds, of the group whose limit on CPUs counts; `None` without a limit.
    pub(crate) fn cpu_time(&mut self, buffer: &mut Vec<u8>) -> Option<u64> {
        match self.cpu_time.as_mut()? {
            CpuTime::Nanoseconds(file) => number(file.read(buffer)?),
            CpuTime::Microseconds(file) => {
                let text = file.read(buffer)?;
                let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
                number(usage)?.checked_mul(1000)
            }
        }
    }

    /// The lowest limit on memory; `None` without one.
    pub(crate) fn memory(&mut self, buffer: &mut Vec<u8>) -> Option<Room> {
        room(&mut self.memory, buffer)
    }

    /// The lowest limit on swap space; `None` without one.
    pub(crate) fn swap(&mut self, buffer: &mut Vec<u8>) -> Option<Room> {
        room(&mut self.swap, buffer)
    }

    fn find_cpu(&mut self, hierarchies: &Hierarchies) {
        let Some((version, way)) = hierarchies.way_up("cpu") else { return };
        let allowed = |folder: &PathBuf| match version {
            Version::One => quota_v1(folder),
            Version::Two => read_once(&folder.join("cpu.max")).and_then(|text| quota_v2(&text)),
        };
        let limits = way.iter().enumerate().filter_map(|(level, folder)| Some((level, allowed(folder)?)));
        let Some((level, cpus)) = limits.min_by(|(_, a), (_, b)| a.total_cmp(b)) else { return };
        self.cpus = Some(cpus);
        self.cpu_time = match version {
            Version::Two => Some(CpuTime::Microseconds(Kept::new(way[level].join("cpu.stat")))),
            // The controller that counts may have a hierarchy of its own, with the same groups in it.
            Version::One => hierarchies.way_up("cpuacct").and_then(|(_, counted)| {
                let folder = counted.get(level).filter(|_| counted.len() == way.len())?;
                Some(CpuTime::Nanoseconds(Kept::new(folder.join("cpuacct.usage"))))
            }),
        };
    }

    fn find_memory_v1(&mut self, way: &[PathBuf]) {
        self.memory = levels(way, "memory.limit_in_bytes", "memory.usage_in_bytes");
        self.swap = way
            .iter()
            .filter_map(|folder| {
                let both = limit(&folder.join("memory.memsw.limit_in_bytes"))?;
                let memory = limit(&folder.join("memory.limit_in_bytes"))?;
                let used = |name: &str| Kept::new(folder.join(name));
                let used = Used::Difference(used("memory.memsw.usage_in_bytes"), used("memory.usage_in_bytes"));
                Some(Level { limit: both.saturating_sub(memory), used })
            })
            .collect();
    }
}

fn levels(way: &[PathBuf], limit_name: &str, used_name: &str) -> Vec<Level> {
    let level = |folder: &PathBuf| {
        let limit = limit(&folder.join(limit_name))?;
        Some(Level { limit, used: Used::File(Kept::new(folder.join(used_name))) })
    };
    way.iter().filter_map(level).collect()
}

fn room(levels: &mut [Level], buffer: &mut Vec<u8>) -> Option<Room> {
    let total = levels.iter().map(|level| level.limit).min()?;
    let mut free = Some(total);
    for level in levels {
        let used = match &mut level.used {
            Used::File(file) => file.read(buffer).and_then(number),
            Used::Difference(both, one) => {
                let both = both.read(buffer).and_then(number);
                let one = one.read(buffer).and_then(number);
                both.zip(one).map(|(both, one)| both.saturating_sub(one))
            }
        };
        let left = used.map(|used| level.limit.saturating_sub(used));
        free = free.zip(left).map(|(free, left)| free.min(left));
    }
    Some(Room { total, free })
}

/// A limit in bytes. Version 1 writes the largest number of whole pages where there is none, version 2 `max`.
fn limit(path: &Path) -> Option<u64> {
    const NONE: u64 = 1 << 62;
    number(&read_once(path)?).filter(|limit| *limit < NONE)
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn quota_v1(folder: &Path) -> Option<f64> {
    let quota = read_once(&folder.join("cpu.cfs_quota_us"))?;
    let period = read_once(&folder.join("cpu.cfs_period_us"))?;
    quota_v2(&format!("{} {}", quota.trim(), period.trim()))
}

/// `quota period`, both in microseconds; a quota of `max` or -1 is none.
fn quota_v2(text: &str) -> Option<f64> {
    let mut fields = text.split_ascii_whitespace();
    let quota: u64 = fields.next()?.parse().ok()?;
    let period: u64 = fields.next()?.parse().ok()?;
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}
