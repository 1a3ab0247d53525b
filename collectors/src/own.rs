//! What this process uses, for who notes it once a second: two system calls, without the sampler's thread.

use std::path::Path;
use std::time::Duration;

use crate::kept::Kept;
use crate::vitals::cpu_time;

/// Reads the CPU time and the memory of this process.
#[derive(Debug)]
pub struct OwnUsage {
    memory: Kept,
    buffer: Vec<u8>,
    page_bytes: u64,
}

impl Default for OwnUsage {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl OwnUsage {
    /// With another root of the file system.
    fn below(root: &Path) -> Self {
        Self { memory: Kept::new(root.join("proc/self/statm")), buffer: Vec::new(), page_bytes: procfs::page_size() }
    }

    /// Time on CPUs.
    pub fn cpu_time(&self) -> Duration {
        cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID)
    }

    /// Memory in RAM, in bytes; `None` when the kernel does not tell.
    pub fn memory_resident(&mut self) -> Option<u64> {
        // All pages, then those in RAM.
        let pages: u64 = self.memory.read(&mut self.buffer)?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        pages.checked_mul(self.page_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_second_number_of_statm_in_pages() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("proc/self");
        std::fs::create_dir_all(&folder).expect("a folder");
        let read = |text: &str| {
            std::fs::write(folder.join("statm"), text).expect("written");
            OwnUsage::below(root.path()).memory_resident()
        };
        assert_eq!(read("1000 20 5 1 0 900 0\n"), Some(20 * procfs::page_size()));
        for wrong in ["", "1000", "1000 x", "1 99999999999999999999", "1 18446744073709551615"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(OwnUsage::below(Path::new("/nowhere")).memory_resident(), None);
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let mut usage = OwnUsage::default();
        assert!(usage.memory_resident().expect("it is told") > 1 << 20);
        assert!(usage.cpu_time() > Duration::ZERO);
    }
}
