//! What scrapers want besides the vitals: files and I/O of the process, networks, disks, pressure.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use procfs::process::{Io, LimitValue, Limits, Status};
use procfs::{CpuPressure, DiskStats, FromBufRead, IoPressure, MemoryPressure, PressureRecord};

use crate::kept::Kept;

/// Interfaces and disks of a machine that are told of; further ones are left out.
const DEVICES_MAX: usize = 256;
/// What `/proc/diskstats` counts sizes in, whatever the disk.
const SECTOR_BYTES: u64 = 512;

/// Details at a moment. `None`: the kernel does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Open files.
    pub files: Option<u64>,
    /// Files that may be open.
    pub files_max: Option<u64>,
    /// Memory of the process' own that is in RAM, in bytes: heaps and stacks.
    pub memory_own: Option<u64>,
    /// The most memory of the process that was in RAM, in bytes.
    pub memory_peak: Option<u64>,
    /// What the process read and wrote.
    pub io: Option<ProcessIo>,
    /// Network interfaces that this process can see.
    pub interfaces: Option<Vec<Interface>>,
    /// Disks and partitions that were used since the machine was started.
    pub disks: Option<Vec<Disk>>,
    /// Waiting for a CPU.
    pub pressure_cpu: Option<Pressure>,
    /// Waiting for memory.
    pub pressure_memory: Option<Pressure>,
    /// Waiting for I/O.
    pub pressure_io: Option<Pressure>,
}

/// I/O of the process since its start, in bytes and calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessIo {
    /// Bytes read, from wherever.
    pub read_bytes: u64,
    /// Bytes written, to wherever.
    pub written_bytes: u64,
    /// Calls that read.
    pub reads: u64,
    /// Calls that wrote.
    pub writes: u64,
    /// Bytes that disks were asked for.
    pub disk_read_bytes: u64,
    /// Bytes that disks were or will be given.
    pub disk_written_bytes: u64,
}

/// A network interface; counts are since it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Bytes received.
    pub received_bytes: u64,
    /// Packets received.
    pub received_packets: u64,
    /// Packets that were received broken, or dropped.
    pub received_lost: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Packets that could not be sent, or were dropped.
    pub sent_lost: u64,
}

/// A disk or partition; counts are since the start of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Reads done.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Writes done.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Milliseconds in which it had something to do.
    pub busy_ms: u64,
}

/// Waiting for something (the kernel's "pressure stall information").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pressure {
    /// Time in which at least one task waited.
    pub some: Stalls,
    /// Time in which all tasks waited that were not idle.
    pub full: Stalls,
}

/// Time in which tasks waited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stalls {
    /// Shares of the last 10, 60 and 300 seconds, 0 to 1.
    pub shares: [f64; 3],
    /// In all, in microseconds.
    pub total_us: u64,
}

/// The files of [`Details`].
#[derive(Debug)]
pub(crate) struct DetailsReader {
    status: Kept,
    io: Kept,
    limits: Kept,
    network: Kept,
    disks: Kept,
    pressure: [Kept; 3],
    open_files: PathBuf,
    buffer: Vec<u8>,
}

impl DetailsReader {
    /// Reads files below `root`, which is `/` but for tests.
    pub(crate) fn new(root: &Path) -> Self {
        let file = |name: &str| Kept::new(root.join("proc").join(name));
        Self {
            status: file("self/status"),
            io: file("self/io"),
            limits: file("self/limits"),
            network: file("self/net/dev"),
            disks: file("diskstats"),
            pressure: ["cpu", "memory", "io"].map(|of| file(&format!("pressure/{of}"))),
            open_files: root.join("proc/self/fd"),
            buffer: Vec::new(),
        }
    }

    pub(crate) fn read(&mut self) -> Details {
        let buffer = &mut self.buffer;
        let status = self.status.read(buffer).and_then(parsed::<Status>);
        let bytes = |kibibytes: Option<u64>| kibibytes.and_then(|kibibytes| kibibytes.checked_mul(1024));
        let [cpu, memory, io] = &mut self.pressure;
        Details {
            files: open_files(&self.open_files),
            files_max: self.limits.read(buffer).and_then(parsed::<Limits>).and_then(|limits| {
                match limits.max_open_files.soft_limit {
                    LimitValue::Value(files) => Some(files),
                    LimitValue::Unlimited => None,
                }
            }),
            memory_own: bytes(status.as_ref().and_then(|status| status.rssanon)),
            memory_peak: bytes(status.as_ref().and_then(|status| status.vmhwm)),
            io: self.io.read(buffer).and_then(parsed::<Io>).map(ProcessIo::from),
            interfaces: self.network.read(buffer).map(interfaces),
            disks: self.disks.read(buffer).and_then(parsed::<DiskStats>).map(disks),
            pressure_cpu: cpu.read(buffer).and_then(parsed::<CpuPressure>).map(|it| pressure(&it.some, &it.full)),
            pressure_memory: memory
                .read(buffer)
                .and_then(parsed::<MemoryPressure>)
                .map(|it| pressure(&it.some, &it.full)),
            pressure_io: io.read(buffer).and_then(parsed::<IoPressure>).map(|it| pressure(&it.some, &it.full)),
        }
    }
}

/// A text by the library's parser. It is written for texts of the kernel: should another one make it panic, that text is
/// not known, and the sample goes on.
fn parsed<T: FromBufRead>(text: &str) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| T::from_buf_read(text.as_bytes()).ok())).ok().flatten()
}

/// Open files, without the one that this looks at them by.
fn open_files(folder: &Path) -> Option<u64> {
    let metadata = std::fs::metadata(folder).ok()?;
    // Since Linux 6.2 the size of the folder is their number; before it is 0, and they are counted.
    match metadata.len() {
        0 => Some((std::fs::read_dir(folder).ok()?.count() as u64).saturating_sub(1)),
        files => Some(files),
    }
}

/// `/proc/net/dev`, a line at a time: the library gives up all of them for one that it does not know.
fn interfaces(text: &str) -> Vec<Interface> {
    text.lines().filter_map(interface).take(DEVICES_MAX).collect()
}

fn interface(line: &str) -> Option<Interface> {
    let (name, counts) = line.rsplit_once(':')?;
    let mut numbers = [0u64; 16];
    let mut fields = counts.split_ascii_whitespace();
    for number in &mut numbers {
        *number = fields.next()?.parse().ok()?;
    }
    let [received_bytes, received_packets, broken, dropped, _, _, _, _, sent_bytes, sent_packets, failed, left, ..] =
        numbers;
    Some(Interface {
        name: name.trim().to_owned(),
        received_bytes,
        received_packets,
        received_lost: broken.saturating_add(dropped),
        sent_bytes,
        sent_packets,
        sent_lost: failed.saturating_add(left),
    })
}

fn disks(stats: DiskStats) -> Vec<Disk> {
    let used = stats.0.into_iter().filter(|disk| disk.reads > 0 || disk.writes > 0).take(DEVICES_MAX);
    let disk = |disk: procfs::DiskStat| Disk {
        name: disk.name,
        reads: disk.reads,
        read_bytes: disk.sectors_read.saturating_mul(SECTOR_BYTES),
        writes: disk.writes,
        written_bytes: disk.sectors_written.saturating_mul(SECTOR_BYTES),
        busy_ms: disk.time_in_progress,
    };
    used.map(disk).collect()
}

fn pressure(some: &PressureRecord, full: &PressureRecord) -> Pressure {
    let stalls = |record: &PressureRecord| Stalls {
        shares: [record.avg10, record.avg60, record.avg300].map(|percent| f64::from(percent) / 100.0),
        total_us: record.total,
    };
    Pressure { some: stalls(some), full: stalls(full) }
}

impl From<Io> for ProcessIo {
    fn from(io: Io) -> Self {
        Self {
            read_bytes: io.rchar,
            written_bytes: io.wchar,
            reads: io.syscr,
            writes: io.syscw,
            disk_read_bytes: io.read_bytes,
            disk_written_bytes: io.write_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    const INTERFACES: &str = "Inter-|   Receive |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n\
        \x20   lo: 10 2 1 3 0 0 0 0 20 4 5 6 0 0 0 0\n eth0:1: 7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n broken: 1 2\n";

    #[test]
    fn files_and_io_are_those_of_this_process() {
        let mut reader = DetailsReader::new(Path::new("/"));
        let before = reader.read();
        let opened: Vec<_> = (0..500).map(|_| fs::File::open("/dev/null").expect("a file")).collect();
        let during = reader.read();
        // What other tests open and close meanwhile is within the tolerance.
        let more = during.files.expect("files").abs_diff(before.files.expect("files"));
        assert!((350..650).contains(&more), "{more}");
        drop(opened);
        let counted = fs::read_dir("/proc/self/fd").expect("files").count() as u64;
        assert!(reader.read().files.is_some_and(|files| files.abs_diff(counted) < 150), "{counted}");
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a live rlimit, which the call fills.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
        assert_eq!(before.files_max, Some(limit.rlim_cur));
        let (io, then) = (during.io.expect("I/O"), before.io.expect("I/O"));
        assert!(io.read_bytes > then.read_bytes && io.reads > then.reads, "files were read: {io:?}");
        assert!(before.memory_own.is_some_and(|own| own > 0) && before.memory_own <= before.memory_peak);
    }

    #[test]
    fn interfaces_are_told_apart_by_name() {
        let interfaces = interfaces(INTERFACES);
        let names: Vec<&str> = interfaces.iter().map(|interface| &*interface.name).collect();
        assert_eq!(names, ["lo", "eth0:1"]);
        let lo = &interfaces[0];
        assert_eq!((lo.received_bytes, lo.received_lost, lo.sent_bytes, lo.sent_lost), (10, 4, 20, 11));
    }

    #[test]
    fn disks_and_pressure_are_in_bytes_and_shares() {
        let tree = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(tree.path().join("proc/pressure")).expect("created");
        let file = |path: &str, text: &str| fs::write(tree.path().join("proc").join(path), text).expect("written");
        file("diskstats", "7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n254 0 vda 10 1 100 5 20 2 200 7 0 33 12 0 0 0 0\n");
        file(
            "pressure/io",
            "some avg10=1.50 avg60=0.00 avg300=0.00 total=10\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=5\n",
        );
        let details = DetailsReader::new(tree.path()).read();
        let vda =
            Disk { name: "vda".into(), reads: 10, read_bytes: 51_200, writes: 20, written_bytes: 102_400, busy_ms: 33 };
        assert_eq!(details.disks, Some(vec![vda]));
        let io = details.pressure_io.expect("pressure");
        assert_eq!((io.some.shares[0], io.some.total_us, io.full.total_us), (0.015, 10, 5));
        assert_eq!((details.pressure_cpu, details.io, details.files, details.interfaces), (None, None, None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).{0,300}", line in "[a-z:]{0,5}:( [0-9]{0,22}){0,18}") {
            interfaces(&text);
            interfaces(&line);
            parsed::<Status>(&text);
            parsed::<Limits>(&text);
            parsed::<Io>(&text);
            parsed::<DiskStats>(&text);
            parsed::<CpuPressure>(&text);
        }
    }
}
