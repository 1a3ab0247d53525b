//! The heap, by jemalloc's own count.

use std::ffi::CStr;
use std::hint::black_box;
use std::io;
use std::mem::size_of;
use std::ptr;

use tikv_jemalloc_sys as jemalloc;

/// What jemalloc holds, in bytes. What C libraries take from `malloc` of the C library is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    /// Given to the program and not given back.
    pub allocated: u64,
    /// Pages that hold something of it.
    pub active: u64,
    /// Pages that are in RAM, with jemalloc's own books and pages that it has not given back to the kernel yet.
    pub resident: u64,
    /// Addresses that are kept for later and hold nothing.
    pub retained: u64,
    /// jemalloc's own books.
    pub metadata: u64,
}

/// Live allocations of one size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeClass {
    /// Size of each, in bytes: what was asked for, rounded up to the class.
    pub bytes: u64,
    /// How many there are.
    pub live: u64,
}

/// The place of a value among jemalloc's names, looked up once.
type Place<const N: usize> = [usize; N];

/// Reads jemalloc's statistics. They stand still until [`Jemalloc::begin_epoch`].
#[derive(Debug)]
pub(crate) struct Jemalloc {
    epoch: Place<1>,
    allocated: Place<2>,
    active: Place<2>,
    resident: Place<2>,
    retained: Place<2>,
    metadata: Place<2>,
    bins: Classes,
    extents: Classes,
}

/// The size classes of a kind: how many, and the places of their size and their count, in which a number stands for the
/// class.
#[derive(Debug)]
struct Classes {
    count: u32,
    size: Place<4>,
    live: Place<6>,
}

/// jemalloc's number for all arenas together (MALLCTL_ARENAS_ALL).
const ALL_ARENAS: usize = 4096;

impl Jemalloc {
    /// `None` when the program allocates by something else, or jemalloc was built without statistics.
    pub(crate) fn find() -> Option<Self> {
        if !is_the_allocator() {
            return None;
        }
        Some(Self {
            epoch: place(c"epoch")?,
            allocated: place(c"stats.allocated")?,
            active: place(c"stats.active")?,
            resident: place(c"stats.resident")?,
            retained: place(c"stats.retained")?,
            metadata: place(c"stats.metadata")?,
            bins: Classes {
                count: read(&place::<2>(c"arenas.nbins")?)?,
                size: place(c"arenas.bin.0.size")?,
                live: in_all_arenas(place(c"stats.arenas.0.bins.0.curregs")?),
            },
            extents: Classes {
                count: read(&place::<2>(c"arenas.nlextents")?)?,
                size: place(c"arenas.lextent.0.size")?,
                live: in_all_arenas(place(c"stats.arenas.0.lextents.0.curlextents")?),
            },
        })
    }

    /// Brings the statistics up to date, for everybody in this process: the sampler alone calls it.
    pub(crate) fn begin_epoch(&self) {
        let mut now = 1u64;
        // SAFETY: the place has one number, and `epoch` takes a u64, which `now` is for the whole call.
        unsafe {
            jemalloc::mallctlbymib(
                self.epoch.as_ptr(),
                self.epoch.len(),
                ptr::null_mut(),
                ptr::null_mut(),
                (&raw mut now).cast(),
                size_of::<u64>(),
            )
        };
    }

    /// The heap as of the last epoch.
    pub(crate) fn heap(&self) -> Option<Heap> {
        let bytes = |place: &Place<2>| read::<usize>(place).map(|bytes| bytes as u64);
        Some(Heap {
            allocated: bytes(&self.allocated)?,
            active: bytes(&self.active)?,
            resident: bytes(&self.resident)?,
            retained: bytes(&self.retained)?,
            metadata: bytes(&self.metadata)?,
        })
    }

    /// Live allocations as of the last epoch, the smallest first; classes without any are left out.
    pub(crate) fn size_classes(&self) -> Vec<SizeClass> {
        let classes = [&self.bins, &self.extents].into_iter().flat_map(|kind| (0..kind.count).map(move |n| (kind, n)));
        classes.filter_map(|(kind, number)| kind.class(number as usize)).filter(|class| class.live > 0).collect()
    }
}

impl Classes {
    fn class(&self, number: usize) -> Option<SizeClass> {
        let (mut size, mut live) = (self.size, self.live);
        size[2] = number;
        live[4] = number;
        Some(SizeClass { bytes: read::<usize>(&size)? as u64, live: read::<usize>(&live)? as u64 })
    }
}

fn in_all_arenas(mut live: Place<6>) -> Place<6> {
    live[2] = ALL_ARENAS;
    live
}

/// Whether an allocation of this program is seen by jemalloc, which is linked in either way.
pub(crate) fn is_the_allocator() -> bool {
    let Some(counted) = place::<2>(c"thread.allocated") else { return false };
    let Some(before) = read::<u64>(&counted) else { return false };
    let taken = black_box(vec![1u8; 4096]);
    let after = read::<u64>(&counted);
    drop(taken);
    after.is_some_and(|after| after > before)
}

/// Looks a name of N parts up.
fn place<const N: usize>(name: &CStr) -> Option<Place<N>> {
    let (mut place, mut length) = ([0usize; N], N);
    // SAFETY: the name ends in a zero byte; at most `length` numbers are written, and `place` has room for as many.
    let status = unsafe { jemalloc::mallctlnametomib(name.as_ptr(), place.as_mut_ptr(), &raw mut length) };
    (status == 0 && length == N).then_some(place)
}

/// Values that jemalloc writes: plain integers, of which any bits are one.
pub(crate) trait Plain: Copy + Default {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for usize {}

/// The value of a name of N parts; `None` when there is none, or not one of this size.
pub(crate) fn value<const N: usize, T: Plain>(name: &CStr) -> Option<T> {
    read(&place::<N>(name)?)
}

/// Sets the value of a name; jemalloc looks at its size.
///
/// # Errors
/// jemalloc's.
pub(crate) fn set<T>(name: &CStr, mut value: T) -> io::Result<()> {
    let new = (&raw mut value).cast();
    // SAFETY: the name ends in a zero byte; nothing is read, and `value` has as many bytes as are said, for the whole call.
    // jemalloc refuses a value of another size than it has itself.
    let status = unsafe { jemalloc::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), new, size_of::<T>()) };
    if status == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(status)) }
}

/// Gives memory back to the kernel that is free: what the calling thread keeps for its next allocations, and free pages of
/// all threads. For the end of a phase that has allocated much; without jemalloc it does nothing.
pub fn trim_heap() {
    for name in [c"thread.tcache.flush", c"arena.4096.purge"] {
        // SAFETY: the name ends in a zero byte; nothing is read or set. jemalloc does both at any time in any thread.
        unsafe { jemalloc::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) };
    }
}

/// The value at a place; `None` when there is none, or not one of this size.
fn read<T: Plain>(place: &[usize]) -> Option<T> {
    let (mut value, mut size) = (T::default(), size_of::<T>());
    // SAFETY: jemalloc writes at most `size` bytes to `value`, which has as many; for a value of another size it copies the
    // shorter part and fails. Any bits are a value of `T`. Nothing is set.
    let status = unsafe {
        jemalloc::mallctlbymib(place.as_ptr(), place.len(), (&raw mut value).cast(), &raw mut size, ptr::null_mut(), 0)
    };
    (status == 0 && size == size_of::<T>()).then_some(value)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    #[global_allocator]
    static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

    #[unsafe(export_name = "_rjem_malloc_conf")]
    static JEMALLOC: crate::HeapOptions = crate::HEAP_OPTIONS;

    fn heap(jemalloc: &Jemalloc) -> Heap {
        jemalloc.begin_epoch();
        jemalloc.heap().expect("statistics")
    }

    /// Whether this process runs one test alone, that of this path. Otherwise it is run so now, in a process of its own,
    /// and there is nothing left to do: what other tests allocate meanwhile would count.
    pub(crate) fn is_alone(test: &str) -> bool {
        const ALONE: &str = "EGRET_TEST_ALONE";
        if std::env::var_os(ALONE).is_some_and(|alone| alone == test) {
            return true;
        }
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ALONE, test);
        let output = command.output().expect("it is started");
        let [told, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(output.status.success() && told.contains("1 passed"), "{told}{errors}");
        false
    }

    /// The profiler is one for the process: those that need it take turns.
    static TURN: Mutex<()> = Mutex::new(());

    pub(crate) fn turn() -> MutexGuard<'static, ()> {
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn what_is_allocated_is_counted_and_its_pages_are_resident() {
        const BYTES: usize = 32 << 20;
        if !is_alone("heap::tests::what_is_allocated_is_counted_and_its_pages_are_resident") {
            return;
        }
        let jemalloc = Jemalloc::find().expect("jemalloc with statistics");
        let before = heap(&jemalloc);
        let taken = black_box(vec![1u8; BYTES]);
        let during = heap(&jemalloc);
        drop(taken);
        let after = heap(&jemalloc);
        let grown = during.allocated - before.allocated;
        assert!((BYTES as u64 * 3 / 4..BYTES as u64 * 5 / 4).contains(&grown), "{grown}");
        assert!(during.allocated <= during.active && during.active <= during.resident, "{during:?}");
        assert!(after.allocated < during.allocated - BYTES as u64 / 2, "{after:?}");
    }

    #[test]
    fn live_allocations_are_counted_by_their_size() {
        if !is_alone("heap::tests::live_allocations_are_counted_by_their_size") {
            return;
        }
        let jemalloc = Jemalloc::find().expect("jemalloc with statistics");
        let live = |bytes: u64| {
            jemalloc.begin_epoch();
            let classes = jemalloc.size_classes();
            assert!(classes.windows(2).all(|pair| pair[0].bytes < pair[1].bytes), "{classes:?}");
            classes.into_iter().find(|class| class.bytes == bytes).map_or(0, |class| class.live)
        };
        // One of the small classes, one of the large.
        let (small, large) = (live(7168), live(3 << 20));
        let taken: Vec<Vec<u8>> = (0..500).map(|_| black_box(Vec::with_capacity(7100))).collect();
        let also: Vec<Vec<u8>> = (0..5).map(|_| black_box(Vec::with_capacity(3 << 20))).collect();
        // A few freed ones may wait in the cache of a thread, which counts them as live.
        assert!((480..1000).contains(&(live(7168) - small)), "{} {small}", live(7168));
        assert!(live(3 << 20) >= large + 5, "{} {large}", live(3 << 20));
        drop((taken, also));
        assert!(live(3 << 20) < large + 5);
    }

    #[test]
    fn free_pages_are_given_back() {
        const BYTES: usize = 4 << 20;
        let _turn = turn();
        let jemalloc = Jemalloc::find().expect("jemalloc with statistics");
        // Pages that were written to, and are free.
        let dirty = || drop(black_box((0..BYTES / 4096).map(|_| vec![1u8; 4096]).collect::<Vec<_>>()));
        let free = || {
            let heap = heap(&jemalloc);
            heap.resident - heap.active
        };
        // Other tests do the same meanwhile.
        let given_back = (0..100).any(|_| {
            dirty();
            let before = free();
            trim_heap();
            before > free() + BYTES as u64 / 2
        });
        assert!(given_back);
    }

    #[test]
    fn a_name_that_there_is_not_has_no_place() {
        assert_eq!(place::<2>(c"no.such"), None);
        assert_eq!(place::<3>(c"stats.allocated"), None, "another length");
        let place: Place<2> = place(c"stats.allocated").expect("a place");
        assert_eq!(read::<u32>(&place), None, "another size");
    }
}
