//! Where the code of this process lies in memory, and from which files it comes.

use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::slice;

/// What addresses in profiles are told by: the kernel maps files by whole pages.
const PAGE_BYTES: u64 = 4096;

/// A part of a file that holds code and is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CodeMapping {
    /// Its first address.
    pub(super) start: u64,
    /// The address behind it.
    pub(super) end: u64,
    /// Where in the file it begins, in bytes.
    pub(super) file_offset: u64,
    /// What was added to the file's addresses.
    pub(super) base: u64,
    /// The file; empty for the program itself.
    pub(super) path: PathBuf,
    /// The file's build id, by which tools find its symbols; empty where it has none.
    pub(super) build_id: Vec<u8>,
}

/// All of them, those of the program first, as the loader knows them.
pub(super) fn code_mappings() -> Vec<CodeMapping> {
    let mut found = Vec::new();
    // SAFETY: the callback takes what is passed for the `Vec` that it is, and the call ends before `found` is used again.
    unsafe { libc::dl_iterate_phdr(Some(note_object), (&raw mut found).cast()) };
    found
}

/// Called by the loader for each file that it has loaded, which stays loaded meanwhile.
unsafe extern "C" fn note_object(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> c_int {
    // SAFETY: `code_mappings` passes a pointer to a `Vec` that nobody else uses during the call.
    let found = unsafe { &mut *found.cast::<Vec<CodeMapping>>() };
    // SAFETY: the loader passes a description that is valid during the call.
    let info = unsafe { &*info };
    // A panic must not go on into the loader.
    let noted = catch_unwind(AssertUnwindSafe(|| note(info, found)));
    c_int::from(noted.is_err())
}

fn note(info: &libc::dl_phdr_info, found: &mut Vec<CodeMapping>) {
    if info.dlpi_phdr.is_null() {
        return;
    }
    // SAFETY: the loader says where the headers are and how many, and they stay as long as the file is loaded.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let build_id = headers.iter().filter(|header| header.p_type == libc::PT_NOTE).find_map(|header| {
        let notes = notes_of(info, headers, header)?;
        build_id(notes, header.p_align)
    });
    let build_id = build_id.unwrap_or_default();
    let code = |header: &&libc::Elf64_Phdr| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
    for header in headers.iter().filter(code) {
        let start = info.dlpi_addr.wrapping_add(header.p_vaddr);
        // The kernel maps whole pages.
        let before = start % PAGE_BYTES;
        found.push(CodeMapping {
            start: start - before,
            end: start.saturating_add(header.p_memsz).next_multiple_of(PAGE_BYTES),
            file_offset: header.p_offset.saturating_sub(before),
            base: info.dlpi_addr,
            path: path_of(info),
            build_id: build_id.to_vec(),
        });
    }
}

/// The notes of a header, where they are in memory.
fn notes_of<'l>(
    info: &'l libc::dl_phdr_info,
    headers: &[libc::Elf64_Phdr],
    notes: &libc::Elf64_Phdr,
) -> Option<&'l [u8]> {
    let end = notes.p_vaddr.checked_add(notes.p_memsz)?;
    let is_within = |load: &libc::Elf64_Phdr| {
        let readable = load.p_type == libc::PT_LOAD && load.p_flags & libc::PF_R != 0;
        readable && load.p_vaddr <= notes.p_vaddr && load.p_vaddr.checked_add(load.p_filesz).is_some_and(|to| end <= to)
    };
    if !headers.iter().any(is_within) {
        return None;
    }
    let address = info.dlpi_addr.wrapping_add(notes.p_vaddr) as *const u8;
    // SAFETY: the notes lie within a part of the file that the loader has mapped for reading, as was just looked up, and
    // that stays mapped, and unchanged, while the file is loaded.
    Some(unsafe { slice::from_raw_parts(address, usize::try_from(notes.p_memsz).ok()?) })
}

fn path_of(info: &libc::dl_phdr_info) -> PathBuf {
    if info.dlpi_name.is_null() {
        return PathBuf::new();
    }
    // SAFETY: the loader's names end in a zero byte and stay as long as the file is loaded.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    PathBuf::from(OsStr::from_bytes(name.to_bytes()))
}

/// The build id among notes: each has the lengths of its name and of what it says, its type, and both, padded.
fn build_id(mut notes: &[u8], alignment: u64) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    let alignment = if alignment == 8 { 8 } else { 4 };
    loop {
        let (head, rest) = notes.split_first_chunk::<12>()?;
        let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (name_length, length) = (usize::try_from(word(0)).ok()?, usize::try_from(word(4)).ok()?);
        let name = rest.get(..name_length)?;
        // Padding counts from the beginning of the note.
        let at = (12 + name_length).next_multiple_of(alignment) - 12;
        let says = rest.get(at..at.checked_add(length)?)?;
        if word(8) == NT_GNU_BUILD_ID && name == b"GNU\0" {
            return Some(says);
        }
        let next = (12 + at + length).next_multiple_of(alignment) - 12;
        notes = rest.get(next..)?;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn note(name: &[u8], kind: u32, says: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        [name.len() as u32, says.len() as u32, kind].iter().for_each(|word| note.extend(word.to_ne_bytes()));
        note.extend(name);
        note.resize(note.len().next_multiple_of(4), 0);
        note.extend(says);
        note.resize(note.len().next_multiple_of(4), 0);
        note
    }

    #[test]
    fn the_build_id_is_found_behind_other_notes() {
        let notes = [note(b"GNU\0", 1, &[1; 16]), note(b"Go", 3, b"xyz"), note(b"GNU\0", 3, &[0xab, 0xcd, 1])].concat();
        assert_eq!(build_id(&notes, 4), Some(&[0xab, 0xcd, 1][..]));
        assert_eq!(build_id(&notes[..notes.len() - 4], 4), None, "cut off");
        assert_eq!(build_id(&note(b"GNU\0", 5, &[]), 4), None);
    }

    #[test]
    fn this_test_lies_in_the_first_mapping_of_code() {
        let mappings = code_mappings();
        let here = this_test_lies_in_the_first_mapping_of_code as *const () as u64;
        let main = mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&here)).expect("a mapping");
        assert_eq!(main, &mappings[0]);
        assert_eq!(main.path, PathBuf::new(), "the program itself");
        // What the kernel says of the same address.
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let line = maps.lines().find(|line| {
            let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
            let place = |text| u64::from_str_radix(text, 16).expect("an address");
            (place(start)..place(end)).contains(&here)
        });
        let words: Vec<&str> = line.expect("a line").split_whitespace().collect();
        assert_eq!(words[0], format!("{:x}-{:x}", main.start, main.end), "{main:?}");
        assert_eq!(u64::from_str_radix(words[2], 16), Ok(main.file_offset));
        // The id is in the file.
        let mut bytes = [0; 4 << 10];
        File::open("/proc/self/exe").and_then(|mut file| file.read_exact(&mut bytes)).expect("the program");
        let length = main.build_id.len();
        assert!(length >= 8 && bytes.windows(length).any(|window| window == main.build_id), "{main:?}");
    }

    proptest! {
        #[test]
        fn no_notes_make_it_panic(notes in prop::collection::vec(any::<u8>(), 0..200), alignment in 0u64..10) {
            let _ = build_id(&notes, alignment);
            let _ = build_id(&[note(b"GNU\0", 1, &notes), notes].concat(), alignment);
        }
    }
}
