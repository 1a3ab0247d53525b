//! The files that this process runs: where they lie in memory, their unwind tables, their names.

use std::borrow::Cow;
use std::ffi::{CStr, OsStr};
use std::mem;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, LittleEndian, ParsedEhFrameHdr};

use super::symbols::Symbols;

/// How gimli reads bytes.
pub(super) type Bytes<'b> = gimli::EndianSlice<'b, LittleEndian>;

/// Most files whose tables are kept; the others' code has no stacks.
const MODULES_MAX: usize = 256;

/// One file: the program itself, or a shared library.
pub(super) struct Module {
    /// Empty for the program itself.
    pub(super) path: PathBuf,
    /// What is added to the file's addresses.
    pub(super) base: u64,
    /// What tells this file from others of its name; empty when it has nothing of the kind.
    build_id: Vec<u8>,
    /// Its code.
    text: Vec<Range<u64>>,
    tables: Option<Tables>,
    /// Made when a name is first wanted.
    symbols: Option<Symbols>,
}

/// The unwind tables.
struct Tables {
    index: Vec<u8>,
    frames: Cow<'static, [u8]>,
    bases: BaseAddresses,
}

/// The tables ready to be read.
pub(super) struct Unwinding<'m> {
    pub(super) index: ParsedEhFrameHdr<Bytes<'m>>,
    pub(super) frames: EhFrame<Bytes<'m>>,
    pub(super) bases: &'m BaseAddresses,
}

impl Module {
    /// Lines for the functions at an address, the innermost first.
    pub(super) fn name(&mut self, address: u64) -> Vec<Arc<str>> {
        let symbols = self.symbols.get_or_insert_with(|| Symbols::open(&self.path, &self.build_id, self.base));
        symbols.name(address.wrapping_sub(self.base))
    }

    /// Forgets the symbols, until a name is wanted again.
    pub(super) fn forget_symbols(&mut self) {
        self.symbols = None;
    }

    /// The unwind tables, if it has any that can be read.
    pub(super) fn unwinding(&self) -> Option<Unwinding<'_>> {
        let tables = self.tables.as_ref()?;
        let index = EhFrameHdr::new(&tables.index, LittleEndian).parse(&tables.bases, 8).ok()?;
        let mut frames = EhFrame::new(&tables.frames, LittleEndian);
        frames.set_address_size(8);
        // Return addresses may be signed there.
        if cfg!(target_arch = "aarch64") {
            frames.set_vendor(gimli::Vendor::AArch64);
        }
        Some(Unwinding { index, frames, bases: &tables.bases })
    }
}

/// All files that were found so far.
#[derive(Default)]
pub(super) struct Modules {
    list: Vec<Module>,
    /// What the loader has counted: the files that it has ever loaded and unloaded.
    seen: Option<(u64, u64)>,
}

impl Modules {
    /// Looks which files there are now; whether there may be others than before.
    pub(super) fn renew(&mut self) -> bool {
        let mut walk = Walk { known: mem::take(&mut self.list), found: Vec::new(), seen: self.seen, unchanged: false };
        // SAFETY: the walk is live for the duration of the call, and the callback takes it as what it is.
        unsafe { libc::dl_iterate_phdr(Some(on_module), (&raw mut walk).cast()) };
        self.list = if walk.unchanged { walk.known } else { walk.found };
        self.seen = walk.seen;
        !walk.unchanged
    }

    /// The file whose code is at an address.
    pub(super) fn at(&self, address: u64) -> Option<usize> {
        self.list.iter().position(|module| module.text.iter().any(|range| range.contains(&address)))
    }

    /// Has all of them forget their symbols.
    pub(super) fn forget_symbols(&mut self) {
        self.list.iter_mut().for_each(Module::forget_symbols);
    }

    pub(super) fn get(&self, index: usize) -> &Module {
        &self.list[index]
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut Module {
        &mut self.list[index]
    }
}

/// A walk over the loader's list.
struct Walk {
    known: Vec<Module>,
    found: Vec<Module>,
    seen: Option<(u64, u64)>,
    unchanged: bool,
}

/// Called for each file, the program first, while the loader's list is locked: none of them goes away meanwhile.
unsafe extern "C" fn on_module(
    info: *mut libc::dl_phdr_info,
    size: libc::size_t,
    walk: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: both are live for the duration of the call; the walk is that of `Modules::renew`.
    let (info, walk) = unsafe { (&*info, &mut *walk.cast::<Walk>()) };
    // Loaders that do not count have a shorter record.
    if walk.found.is_empty() && size >= mem::size_of::<libc::dl_phdr_info>() {
        let seen = Some((info.dlpi_adds, info.dlpi_subs));
        if walk.seen == seen {
            walk.unchanged = true;
            return 1;
        }
        walk.seen = seen;
    }
    let path = if info.dlpi_name.is_null() {
        PathBuf::new()
    } else {
        // SAFETY: a text that ends in 0, of the loader.
        OsStr::from_bytes(unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes()).into()
    };
    let base = info.dlpi_addr;
    let known = walk.known.iter().position(|module| module.base == base && module.path == path);
    let module = match known {
        Some(index) => walk.known.swap_remove(index),
        None => module(info, path, walk.found.is_empty()),
    };
    walk.found.push(module);
    libc::c_int::from(walk.found.len() >= MODULES_MAX)
}

fn module(info: &libc::dl_phdr_info, path: PathBuf, is_program: bool) -> Module {
    let base = info.dlpi_addr;
    // SAFETY: the loader's table of segments, as long as it says, for as long as its list is locked.
    let segments = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let range = |segment: &libc::Elf64_Phdr| {
        let start = base.wrapping_add(segment.p_vaddr);
        start..start.wrapping_add(segment.p_memsz)
    };
    let loaded = || segments.iter().filter(|segment| segment.p_type == libc::PT_LOAD);
    let text = loaded().filter(|segment| segment.p_flags & libc::PF_X != 0).map(range).collect();
    let index = segments.iter().find(|segment| segment.p_type == libc::PT_GNU_EH_FRAME).map(range);
    let readable = || loaded().filter(|segment| segment.p_flags & libc::PF_R != 0).map(range);
    let tables = index.and_then(|index| tables(index, readable, is_program));
    let notes = segments.iter().filter(|segment| segment.p_type == libc::PT_NOTE).map(range);
    // SAFETY: notes lie within what is loaded.
    let build_id = notes.filter_map(|notes| build_id(unsafe { bytes_at(&notes) })).next().unwrap_or_default();
    Module { path, base, build_id, text, tables, symbols: None }
}

/// The build id among notes: each has the lengths of its name and of its text, its kind, and both, filled up to 4 bytes.
fn build_id(mut notes: &[u8]) -> Option<Vec<u8>> {
    const GNU_BUILD_ID: u32 = 3;
    loop {
        let (head, rest) = notes.split_at_checked(12)?;
        let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let (name_length, length, kind) = (number(0)? as usize, number(4)? as usize, number(8)?);
        let (name, rest) = rest.split_at_checked(name_length.next_multiple_of(4))?;
        let text = rest.get(..length)?;
        if kind == GNU_BUILD_ID && name.starts_with(b"GNU\0") {
            return Some(text.to_vec());
        }
        notes = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// Copies the tables of a library, which may be unloaded one day; those of the program stay where they are.
fn tables<R: Iterator<Item = Range<u64>>>(
    index: Range<u64>,
    readable: impl Fn() -> R,
    is_program: bool,
) -> Option<Tables> {
    readable().find(|segment| segment.start <= index.start && index.end <= segment.end)?;
    // SAFETY: within a segment that is loaded and may be read.
    let header = unsafe { bytes_at(&index) };
    let bases = BaseAddresses::default().set_eh_frame_hdr(index.start);
    let frames = EhFrameHdr::new(header, LittleEndian).parse(&bases, 8).ok()?.eh_frame_ptr().direct().ok()?;
    let segment = readable().find(|segment| segment.contains(&frames))?;
    // The index does not say where the frames end: a frame does, so the rest of the segment is as good.
    // SAFETY: as above.
    let bytes: &'static [u8] = unsafe { bytes_at(&(frames..segment.end)) };
    let frames_bytes = if is_program { Cow::Borrowed(bytes) } else { Cow::Owned(bytes.to_vec()) };
    Some(Tables { index: header.to_vec(), frames: frames_bytes, bases: bases.set_eh_frame(frames) })
}

/// # Safety
/// The range must be mapped and readable, and stay so for as long as the bytes are used; nobody writes to it.
unsafe fn bytes_at(range: &Range<u64>) -> &'static [u8] {
    let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(range.start as *const u8, length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_id_is_found_among_notes_and_rubbish_has_none() {
        let note = |name: &[u8], text: &[u8], kind: u32| {
            let mut note = Vec::new();
            for number in [name.len() as u32, text.len() as u32, kind] {
                note.extend(number.to_le_bytes());
            }
            for part in [name, text] {
                note.extend(part);
                note.resize(note.len().next_multiple_of(4), 0);
            }
            note
        };
        let mut notes = note(b"GNU\0", b"abi", 1);
        notes.extend(note(b"X\0", b"other", 3));
        assert_eq!(build_id(&notes), None);
        notes.extend(note(b"GNU\0", b"\x01\x02\x03", 3));
        assert_eq!(build_id(&notes), Some(vec![1, 2, 3]));
        assert_eq!(build_id(&[0xff; 40]), None);
    }

    #[test]
    fn the_program_and_its_libraries_are_found_once() {
        let mut modules = Modules::default();
        modules.renew();
        let here = the_program_and_its_libraries_are_found_once as *const () as u64;
        let own = modules.at(here).expect("the program");
        assert_eq!(modules.get(own).path, PathBuf::new());
        assert!(modules.get(own).unwinding().is_some());
        let libc = modules.at(libc::getpid as *const () as u64).map(|index| modules.get(index).path.clone());
        assert!(libc.is_some(), "the C library, or the program where that is in it");
        let count = modules.list.len();
        modules.renew();
        modules.seen = None;
        modules.renew();
        assert_eq!((modules.list.len(), modules.at(here).is_some()), (count, true));
        assert_eq!(modules.at(0), None);
    }
}
