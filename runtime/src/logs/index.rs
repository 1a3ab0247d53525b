//! Which logs there are, how large and how old, and which must go.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{JobLogSettings, LogFile};

/// One of the two files of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The file that is written.
    Current,
    /// The one before.
    Rolled,
}

impl Part {
    /// Name of the file.
    pub fn name(self, job: i64) -> String {
        match self {
            Self::Current => format!("job-{job}.log"),
            Self::Rolled => format!("job-{job}.log.1"),
        }
    }

    /// The job and the part that a file's name stands for. A name that this module would not have given is none.
    pub fn parse(name: &str) -> Option<(i64, Self)> {
        let (job, ending) = name.strip_prefix("job-")?.split_once(".log")?;
        let job = job.parse().ok()?;
        let part = if ending.is_empty() { Self::Current } else { Self::Rolled };
        (part.name(job) == name).then_some((job, part))
    }
}

/// What is kept of a job's log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Place in the order of writing.
    order: u64,
    written: SystemTime,
    /// Bytes of the file that is written.
    pub current: u64,
    /// Bytes of the one before, 0 when there is none.
    pub rolled: u64,
}

impl Kept {
    fn bytes(&self) -> u64 {
        self.current + self.rolled
    }
}

/// All logs.
#[derive(Debug, Default)]
pub(super) struct Index {
    jobs: BTreeMap<i64, Kept>,
    /// Jobs by [`Kept::order`].
    oldest_first: BTreeMap<u64, i64>,
    bytes: u64,
    next: u64,
}

impl Index {
    /// The logs that a folder holds. What else is there is left alone.
    pub fn scan(folder: &Path) -> io::Result<Self> {
        let mut found: BTreeMap<i64, Kept> = BTreeMap::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let Some((job, part)) = entry.file_name().to_str().and_then(Part::parse) else { continue };
            let data = entry.metadata()?;
            if !data.is_file() {
                continue;
            }
            let written = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let kept = found.entry(job).or_insert(Kept { order: 0, written, current: 0, rolled: 0 });
            kept.written = kept.written.max(written);
            match part {
                Part::Current => kept.current = data.len(),
                Part::Rolled => kept.rolled = data.len(),
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(_, kept)| kept.written);
        let mut index = Self::default();
        for (job, kept) in found {
            index.put(job, kept.current, kept.rolled, kept.written);
        }
        Ok(index)
    }

    /// What is kept of a job's log.
    pub fn get(&self, job: i64) -> Option<Kept> {
        self.jobs.get(&job).copied()
    }

    /// Number of logs.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Bytes of all logs.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The size of a part of a log, if it is there.
    pub fn size(&self, job: i64, part: Part) -> Option<u64> {
        let kept = self.get(job)?;
        match part {
            Part::Current => Some(kept.current),
            Part::Rolled => Some(kept.rolled).filter(|bytes| *bytes > 0),
        }
    }

    /// Every file, in the order of the jobs' ids.
    pub fn files(&self) -> Vec<LogFile> {
        let of_job = |(job, kept): (&i64, &Kept)| {
            let file = |part: Part, bytes| LogFile { name: part.name(*job), job_id: *job, bytes };
            let rolled = (kept.rolled > 0).then(|| file(Part::Rolled, kept.rolled));
            [Some(file(Part::Current, kept.current)), rolled].into_iter().flatten()
        };
        self.jobs.iter().flat_map(of_job).collect()
    }

    /// Notes that a log was written, and is the newest.
    pub fn put(&mut self, job: i64, current: u64, rolled: u64, written: SystemTime) {
        self.remove(job);
        let kept = Kept { order: self.next, written, current, rolled };
        self.next += 1;
        self.bytes += kept.bytes();
        self.oldest_first.insert(kept.order, job);
        self.jobs.insert(job, kept);
    }

    fn remove(&mut self, job: i64) {
        if let Some(kept) = self.jobs.remove(&job) {
            self.oldest_first.remove(&kept.order);
            self.bytes -= kept.bytes();
        }
    }

    fn is_over(&self, bounds: &JobLogSettings) -> bool {
        self.jobs.len() > bounds.logs_max || self.bytes > bounds.logs_bytes_max
    }

    /// Forgets the logs that must go, and names their jobs: the oldest, and those of running jobs only when no others
    /// are left.
    pub fn trim(&mut self, bounds: &JobLogSettings, now: SystemTime, is_running: impl Fn(i64) -> bool) -> Vec<i64> {
        let mut gone = Vec::new();
        for _ in 0..self.len() {
            let Some((_, job)) = self.oldest_first.first_key_value().map(|(order, job)| (*order, *job)) else { break };
            let Some(kept) = self.get(job) else { break };
            let age = now.duration_since(kept.written).unwrap_or(Duration::ZERO);
            if !self.is_over(bounds) && age <= bounds.log_expire {
                break;
            }
            if is_running(job) {
                // Behind all others; its time of writing stays.
                self.put(job, kept.current, kept.rolled, kept.written);
            } else {
                self.remove(job);
                gone.push(job);
            }
        }
        while self.is_over(bounds) {
            let Some((_, job)) = self.oldest_first.pop_first() else { break };
            self.remove(job);
            gone.push(job);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> JobLogSettings {
        JobLogSettings { logs_max: 3, logs_bytes_max: 1000, ..JobLogSettings::in_folder("unused") }
    }

    fn filled(sizes: &[u64], now: SystemTime) -> Index {
        let mut index = Index::default();
        sizes.iter().zip(1..).for_each(|(bytes, job)| index.put(job, *bytes, 0, now));
        index
    }

    #[test]
    fn only_names_of_this_module_are_taken() {
        assert_eq!(Part::parse("job-7.log"), Some((7, Part::Current)));
        assert_eq!(Part::parse("job-7.log.1"), Some((7, Part::Rolled)));
        assert_eq!(Part::parse("job--7.log"), Some((-7, Part::Current)));
        for name in ["job-7.log.2", "job-07.log", "job-+7.log", "job-.log", "job-7.logx", "x.log", "", "../job-7.log"] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_many_bytes() {
        let now = SystemTime::now();
        let mut index = filled(&[10, 10, 10, 10, 10], now);
        assert_eq!(index.trim(&bounds(), now, |_| false), [1, 2]);
        let mut index = filled(&[500, 400, 300], now);
        assert_eq!(index.trim(&bounds(), now, |_| false), [1]);
        assert_eq!(index.files().len(), 2);
    }

    #[test]
    fn writing_makes_a_log_young() {
        let now = SystemTime::now();
        let mut index = filled(&[10, 10, 10, 10], now);
        index.put(1, 20, 0, now);
        assert_eq!(index.trim(&bounds(), now, |_| false), [2]);
    }

    #[test]
    fn logs_of_running_jobs_go_last() {
        let now = SystemTime::now();
        let mut index = filled(&[10, 10, 10, 10], now);
        assert_eq!(index.trim(&bounds(), now, |job| job < 3), [3]);
        // The bound is a bound, also when everything runs.
        let mut index = filled(&[10; 5], now);
        assert_eq!(index.trim(&bounds(), now, |_| true).len(), 2);
        assert_eq!((index.len(), index.oldest_first.len(), index.bytes), (3, 3, 30));
    }

    #[test]
    fn logs_expire_unless_their_jobs_run() {
        let now = SystemTime::now();
        let mut index = filled(&[10, 10], now);
        let later = now + bounds().log_expire + Duration::from_secs(1);
        assert_eq!(index.trim(&bounds(), later, |job| job == 1), [2]);
    }
}
