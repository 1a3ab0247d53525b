//! Names of addresses, from the symbols and line tables of a file.

use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use addr2line::Context;
use gimli::{Dwarf, LittleEndian};
use object::{Object as _, ObjectSection as _, SymbolMap, SymbolMapName};

use super::modules::Bytes;

/// The program that this process runs, also when its file was replaced.
const PROGRAM: &str = "/proc/self/exe";
/// What is shown of a function's name: those of generic code can be as long as a page.
const NAME_BYTES_MAX: usize = 400;

/// What a file knows of its addresses. Of the program itself that takes tens of megabytes once it was asked.
///
/// What is borrowed for `'static` here is borrowed from `_file`: it does not leave this struct but with the lifetime of a
/// borrow of it.
pub(crate) struct Symbols {
    names: SymbolMap<SymbolMapName<'static>>,
    lines: Option<Context<Bytes<'static>>>,
    /// What stands in brackets where there is no line.
    place: String,
    /// The folder of the sources that the program was compiled from, with a slash.
    sources: Option<String>,
    /// The last field, so that it is unmapped when those that borrow from it are gone.
    _file: Option<MappedFile>,
}

/// A file in memory until it is dropped.
struct MappedFile {
    place: *mut libc::c_void,
    length: usize,
}

// SAFETY: the mapping is this one's alone, and is only read.
unsafe impl Send for MappedFile {}

/// A function at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'s> {
    /// Its name as one writes it.
    pub(crate) function: String,
    /// File and line of the source; line 0 is not known.
    pub(crate) place: Option<(&'s str, u32)>,
}

impl Symbols {
    /// Those of a file; without any when it cannot be read, or is not the one that was loaded. An empty path is the
    /// program. `base` is what was added to the file's addresses when it was loaded.
    pub(crate) fn open(path: &Path, build_id: &[u8], base: u64) -> Self {
        let is_program = path.as_os_str().is_empty();
        let file_name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let place = if is_program { "Unknown Source".to_owned() } else { file_name };
        let path = if is_program { Path::new(PROGRAM) } else { path };
        // A name without a folder is no file: that of the kernel's page, say.
        let file = if path.is_absolute() { MappedFile::open(path) } else { None };
        // SAFETY: what borrows the bytes is dropped before the file is, see the struct.
        let bytes = file.as_ref().map(|file| unsafe { file.bytes() });
        let object = bytes.and_then(|bytes| object::File::parse(bytes).ok());
        let object =
            object.filter(|object| is_program || object.build_id().ok().flatten().unwrap_or_default() == build_id);
        let Some(object) = object else {
            return Self { names: SymbolMap::new(Vec::new()), lines: None, place, sources: None, _file: None };
        };
        let lines = lines_of(&object);
        let sources = lines.as_ref().filter(|_| is_program).and_then(|lines| sources_of(lines, base));
        Self { names: object.symbol_map(), lines, place, sources, _file: file }
    }

    /// A line for the function that an address of the file is in, and before it one for each function that was put into
    /// it there.
    pub(super) fn name(&self, address: u64) -> Vec<Arc<str>> {
        let frames = self.frames(address);
        if frames.is_empty() {
            return vec![format!("0x{address:x}({})", self.place).into()];
        }
        frames.iter().map(|frame| self.line(&frame.function, frame.place)).collect()
    }

    /// The function that an address of the file is in, and before it each function that was put into it there; nothing when
    /// the file does not know.
    pub(crate) fn frames(&self, address: u64) -> Vec<Frame<'_>> {
        let mut known = Vec::new();
        let symbol = self.names.containing(address).map(SymbolMapName::name);
        if let Some(Ok(mut frames)) = self.lines.as_ref().map(|lines| lines.find_frames(address).skip_all_loads()) {
            let mut next = frames.next();
            while let Ok(Some(frame)) = next {
                next = frames.next();
                let named = frame.function.as_ref().and_then(|function| function.raw_name().ok());
                // Line tables may have the bare name alone; that of the symbol is whole, but is that of the outermost.
                let is_outermost = !matches!(next, Ok(Some(_)));
                let name = if is_outermost { symbol.or(named.as_deref()) } else { named.as_deref() };
                let Some(name) = name else { continue };
                let place = frame.location.and_then(|location| Some((location.file?, location.line.unwrap_or(0))));
                known.push(Frame { function: function(name), place });
            }
        }
        if let (true, Some(name)) = (known.is_empty(), symbol) {
            known.push(Frame { function: function(name), place: None });
        }
        known
    }

    /// As Java writes the elements of its stack traces.
    fn line(&self, function: &str, place: Option<(&str, u32)>) -> Arc<str> {
        let mut line = function.to_owned();
        let short = |file| short_path(file, self.sources.as_deref());
        let _ = match place {
            Some((file, 0)) => write!(line, "({})", short(file)),
            Some((file, number)) => write!(line, "({}:{number})", short(file)),
            None => write!(line, "({})", self.place),
        };
        line.into()
    }
}

/// A function's name as one writes it.
fn function(name: &str) -> String {
    let mut name = match rustc_demangle::try_demangle(name) {
        Ok(name) => format!("{name:#}"),
        Err(_) => name.to_owned(),
    };
    if name.len() > NAME_BYTES_MAX {
        let end = (0..=NAME_BYTES_MAX).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        name.truncate(end);
        name.push_str("..");
    }
    // What parts a name from its place, and a line from the next, does not occur in names that compilers make.
    name.replace(['\n', '\r'], " ")
}

/// The folder of the program's sources: what stands before the path of this file, as the compiler was given it.
fn sources_of(lines: &Context<Bytes<'static>>, base: u64) -> Option<String> {
    let here = (sources_of as *const () as u64).checked_sub(base)?;
    let file = lines.find_location(here).ok()??.file?;
    Some(file.strip_suffix(file!())?.to_owned())
}

/// A path in the program's sources as it is there; of others, from one folder above the last `src` on. Where the machine
/// that compiled it keeps them is of no use.
fn short_path<'p>(path: &'p str, sources: Option<&str>) -> &'p str {
    if let Some(own) = sources.and_then(|sources| path.strip_prefix(sources)) {
        return own;
    }
    match path.rfind("/src/") {
        Some(source) => path[..source].rfind('/').map_or(path, |folder| &path[folder + 1..]),
        None => path.rfind('/').map_or(path, |folder| &path[folder + 1..]),
    }
}

fn lines_of(object: &object::File<'static>) -> Option<Context<Bytes<'static>>> {
    let section = |id: gimli::SectionId| {
        let section = object.section_by_name(id.name());
        // One that is compressed reads as empty.
        let bytes = section.and_then(|section| match section.compressed_file_range() {
            Ok(range) if range.format == object::CompressionFormat::None => section.data().ok(),
            _ => None,
        });
        Ok::<_, gimli::Error>(Bytes::new(bytes.unwrap_or_default(), LittleEndian))
    };
    Context::from_dwarf(Dwarf::load(section).ok()?).ok()
}

impl MappedFile {
    /// Maps a file. It is one whose code this process runs: the kernel does not let anybody write to the program's, and who
    /// writes to a library's changes its code under all its users as well.
    fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let length = usize::try_from(file.metadata().ok()?.len()).ok().filter(|length| *length > 0)?;
        // SAFETY: a new mapping of an open file, whose place the kernel chooses.
        let place =
            unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        (place != libc::MAP_FAILED).then_some(Self { place, length })
    }

    /// # Safety
    /// The bytes are there until the file is dropped, and no longer.
    unsafe fn bytes(&self) -> &'static [u8] {
        // SAFETY: the mapping is as long as the file, readable, and never written to by this process; the caller's promise.
        unsafe { std::slice::from_raw_parts(self.place.cast::<u8>(), self.length) }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody has bytes of it any more.
        unsafe { libc::munmap(self.place, self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn somewhere() -> u32 {
        line!()
    }

    #[test]
    fn own_code_has_its_name_file_and_line() {
        let mut modules = super::super::modules::Modules::default();
        modules.renew();
        let address = somewhere as *const () as u64;
        let base = modules.get(modules.at(address).expect("the program")).base;
        let symbols = Symbols::open(Path::new(""), &[], base);
        assert!(symbols.sources.as_deref().is_some_and(|sources| sources.ends_with('/')), "{:?}", symbols.sources);
        let lines = symbols.name(address - base);
        let line = lines.last().expect("a line");
        let place =
            line.strip_prefix("egret_collectors::stacks::symbols::tests::somewhere(collectors/src/stacks/symbols.rs:");
        let number: u32 =
            place.and_then(|place| place.strip_suffix(')')?.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        assert!(number.abs_diff(somewhere()) <= 1, "{line}");
    }

    #[test]
    fn the_file_is_unmapped_with_its_symbols() {
        let mapped = || {
            let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
            let own = std::env::current_exe().expect("a path");
            maps.lines()
                .filter(|line| line.ends_with(&*own.to_string_lossy()) && line.contains(" r--p 00000000 "))
                .count()
        };
        // Other tests map it, too: more of them than are done in a moment.
        let seen = (0..1000).any(|_| {
            let before = mapped();
            let symbols = Symbols::open(Path::new(""), &[], 0);
            let during = mapped();
            drop(symbols);
            during == before + 1 && mapped() == before
        });
        assert!(seen);
    }

    #[test]
    fn what_has_no_name_has_its_place_in_the_file() {
        let none = Symbols::open(Path::new("/no/such/libfile.so.6"), &[], 0);
        assert_eq!(&*none.name(0x1234)[0], "0x1234(libfile.so.6)");
        let kernel = Symbols::open(Path::new("linux-vdso.so.1"), &[], 0);
        assert_eq!(&*kernel.name(0x99)[0], "0x99(linux-vdso.so.1)");
    }

    #[test]
    fn paths_begin_above_their_last_src() {
        for (path, short) in [
            ("/home/me/egret/runtime/src/shard/driver.rs", "runtime/src/shard/driver.rs"),
            ("/home/me/egret/src/main.rs", "src/main.rs"),
            ("/home/me/other/src/main.rs", "other/src/main.rs"),
            ("/rustc/0123/library/std/src/thread/mod.rs", "std/src/thread/mod.rs"),
            ("/home/me/egret/collectors/benches/b.rs", "collectors/benches/b.rs"),
            ("/x/registry/src/index/glommio-0.9.0/src/executor/mod.rs", "glommio-0.9.0/src/executor/mod.rs"),
            ("runtime/src/shard/driver.rs", "runtime/src/shard/driver.rs"),
            ("/a/tests/it.rs", "it.rs"),
            ("it.rs", "it.rs"),
        ] {
            assert_eq!(short_path(path, Some("/home/me/egret/")), short);
        }
    }

    #[test]
    fn long_names_are_cut_and_others_are_as_written() {
        assert_eq!(function("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"), "core::fmt::Write::write_fmt");
        assert_eq!(function("epoll_wait"), "epoll_wait");
        let long = function(&"é".repeat(1000));
        assert!(long.len() <= NAME_BYTES_MAX + 2 && long.ends_with(".."), "{long}");
    }
}
