//! Which CPUs there are to use.

use std::path::Path;
use std::str::FromStr;
use std::{fmt, fs, io};

use super::affinity;

/// CPUs by number, as in `0-3,6`: ascending, each once, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList(Vec<usize>);

/// Why a text is no CPU list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuListError {
    /// Nothing between two commas, or nothing at all.
    #[error("a CPU number is missing; write CPUs like 0-3,6")]
    Empty,
    /// Neither a number nor a range of two.
    #[error("`{0}` is no CPU number or range; write CPUs like 0-3,6")]
    NotANumber(String),
    /// A range whose end is below its start.
    #[error("the range {0}-{1} runs backwards; write {1}-{0}")]
    Backwards(usize, usize),
    /// A number that no Linux machine has.
    #[error("CPU {0} is out of range; the largest is {max}", max = CpuList::CPU_MAX)]
    TooLarge(usize),
}

impl CpuList {
    /// The largest CPU number that Linux knows.
    pub const CPU_MAX: usize = 8191;

    /// The CPUs, ascending.
    pub fn cpus(&self) -> &[usize] {
        &self.0
    }
}

impl FromStr for CpuList {
    type Err = CpuListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut cpus = Vec::new();
        for part in text.trim().split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (cpu_number(first)?, cpu_number(last)?),
                None => cpu_number(part).map(|cpu| (cpu, cpu))?,
            };
            if first > last {
                return Err(CpuListError::Backwards(first, last));
            }
            cpus.extend(first..=last);
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }
}

fn cpu_number(text: &str) -> Result<usize, CpuListError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(CpuListError::Empty);
    }
    let bad = || CpuListError::NotANumber(text.to_owned());
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    let cpu = text.parse().map_err(|_| bad())?;
    if cpu > CpuList::CPU_MAX { Err(CpuListError::TooLarge(cpu)) } else { Ok(cpu) }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        while let [first, ..] = rest {
            let run = rest.iter().zip(*first..).take_while(|(cpu, next)| **cpu == *next).count();
            let comma = if rest.len() == self.0.len() { "" } else { "," };
            match run {
                1 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{}", rest[run - 1])?,
            }
            rest = &rest[run..];
        }
        Ok(())
    }
}

/// The CPUs that this process may use, ascending, at least one.
///
/// They are those of the affinity mask (`taskset`, the cgroup's cpuset), the lowest first, and no more of them than the
/// cgroup's CPU quota pays for, rounded up.
///
/// # Errors
/// If the kernel does not tell the affinity mask.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    let mut cpus = affinity::affinity()?;
    if let Some(limit) = quota_cpus(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")) {
        cpus.truncate(limit.max(1));
    }
    Ok(cpus)
}

/// CPUs that the cgroups' quotas pay for, rounded up; `None` without a quota. A file that is not there sets none.
fn quota_cpus(membership: &Path, mount: &Path) -> Option<usize> {
    let membership = fs::read_to_string(membership).ok()?;
    let mut quota: Option<usize> = None;
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (root, read): (_, fn(&Path) -> Option<usize>) = if controllers.is_empty() {
            (mount.to_path_buf(), quota_v2)
        } else if controllers.split(',').any(|name| name == "cpu") {
            (mount.join(if mount.join(controllers).is_dir() { controllers } else { "cpu" }), quota_v1)
        } else {
            continue;
        };
        // A parent's quota binds too. In a container the path may not exist below the mount: the mount itself counts.
        let group = root.join(path.trim_start_matches('/'));
        for folder in group.ancestors().take_while(|folder| folder.starts_with(&root)) {
            quota = quota.into_iter().chain(read(folder)).min();
        }
    }
    quota
}

/// `cpu.max` holds `quota period`, both in microseconds, or `max period`.
fn quota_v2(folder: &Path) -> Option<usize> {
    let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
    let mut fields = text.split_whitespace();
    rounded_up(fields.next()?, fields.next()?)
}

/// Two files of one number each; a quota of -1 is none.
fn quota_v1(folder: &Path) -> Option<usize> {
    let quota = fs::read_to_string(folder.join("cpu.cfs_quota_us")).ok()?;
    let period = fs::read_to_string(folder.join("cpu.cfs_period_us")).ok()?;
    rounded_up(quota.trim(), period.trim())
}

fn rounded_up(quota: &str, period: &str) -> Option<usize> {
    let quota: u64 = quota.parse().ok()?;
    let period: u64 = period.parse().ok().filter(|period| *period > 0)?;
    usize::try_from(quota.div_ceil(period)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_names_cpus_and_ranges() {
        let list: CpuList = "6, 0-3,2".parse().expect("list");
        assert_eq!(list.cpus(), [0, 1, 2, 3, 6]);
        assert_eq!(list.to_string(), "0-3,6");
    }

    #[test]
    fn a_wrong_list_says_what_is_wrong() {
        assert_eq!("".parse::<CpuList>(), Err(CpuListError::Empty));
        assert_eq!("1,,2".parse::<CpuList>(), Err(CpuListError::Empty));
        assert_eq!("3-1".parse::<CpuList>(), Err(CpuListError::Backwards(3, 1)));
        assert_eq!("a".parse::<CpuList>(), Err(CpuListError::NotANumber("a".into())));
        assert_eq!("+1".parse::<CpuList>(), Err(CpuListError::NotANumber("+1".into())));
        assert_eq!("0-9999999".parse::<CpuList>(), Err(CpuListError::TooLarge(9_999_999)));
    }

    proptest! {
        #[test]
        fn a_list_reads_as_it_is_written(cpus in proptest::collection::btree_set(0usize..200, 1..40)) {
            let list = CpuList(cpus.into_iter().collect());
            prop_assert_eq!(list.to_string().parse::<CpuList>(), Ok(list));
        }

        #[test]
        fn no_text_breaks_the_parser(text in "[0-9,\\- a]{0,12}") {
            if let Ok(list) = text.parse::<CpuList>() {
                prop_assert!(!list.cpus().is_empty());
            }
        }
    }

    #[test]
    fn a_quota_counts_rounded_up_and_the_tightest_parent_wins() {
        let folder = tempfile::tempdir().expect("folder");
        let mount = folder.path().join("mount");
        fs::create_dir_all(mount.join("outer/inner")).expect("folders");
        let membership = folder.path().join("cgroup");
        fs::write(&membership, "0::/outer/inner\n").expect("membership");
        assert_eq!(quota_cpus(&membership, &mount), None);
        fs::write(mount.join("outer/inner/cpu.max"), "max 100000\n").expect("quota");
        assert_eq!(quota_cpus(&membership, &mount), None);
        fs::write(mount.join("outer/cpu.max"), "150000 100000\n").expect("quota");
        assert_eq!(quota_cpus(&membership, &mount), Some(2));
        fs::write(mount.join("outer/inner/cpu.max"), "10000 100000\n").expect("quota");
        assert_eq!(quota_cpus(&membership, &mount), Some(1));
    }

    #[test]
    fn the_first_generation_of_cgroups_counts_too() {
        let folder = tempfile::tempdir().expect("folder");
        let mount = folder.path().join("mount");
        fs::create_dir_all(mount.join("cpu,cpuacct/box")).expect("folders");
        let membership = folder.path().join("cgroup");
        fs::write(&membership, "5:memory:/box\n4:cpu,cpuacct:/box\n").expect("membership");
        let group = mount.join("cpu,cpuacct/box");
        fs::write(group.join("cpu.cfs_quota_us"), "-1\n").expect("quota");
        fs::write(group.join("cpu.cfs_period_us"), "100000\n").expect("period");
        assert_eq!(quota_cpus(&membership, &mount), None);
        fs::write(group.join("cpu.cfs_quota_us"), "310000\n").expect("quota");
        assert_eq!(quota_cpus(&membership, &mount), Some(4));
    }

    #[test]
    fn this_process_may_use_a_cpu() {
        let cpus = allowed_cpus().expect("cpus");
        assert!(!cpus.is_empty() && cpus.is_sorted());
    }
}
