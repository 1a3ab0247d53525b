//! Names of the calls in profiles, from the files that this process runs.

use std::path::PathBuf;

use super::mappings::CodeMapping;
use crate::stacks::{Frame, Symbols};

/// The symbols of the files that calls were in so far. They are kept: looking for them takes longer than what is made of
/// them, and a process has few files.
pub(super) struct Names {
    files: Vec<Named>,
}

struct Named {
    path: PathBuf,
    build_id: Vec<u8>,
    symbols: Symbols,
}

impl Names {
    pub(super) const fn new() -> Self {
        Self { files: Vec::new() }
    }

    /// The functions at an address in memory, the innermost first; more than one where the compiler has put one into another.
    pub(super) fn frames(&mut self, mapping: &CodeMapping, address: u64) -> Vec<Frame<'_>> {
        let is_it = |named: &Named| named.path == mapping.path && named.build_id == mapping.build_id;
        let at = self.files.iter().position(is_it).unwrap_or_else(|| {
            let symbols = Symbols::open(&mapping.path, &mapping.build_id, mapping.base);
            self.files.push(Named { path: mapping.path.clone(), build_id: mapping.build_id.clone(), symbols });
            self.files.len() - 1
        });
        self.files[at].symbols.frames(address.wrapping_sub(mapping.base))
    }
}

#[cfg(test)]
mod tests {
    use super::super::mappings::code_mappings;
    use super::*;

    #[inline(never)]
    fn somewhere() -> u32 {
        std::hint::black_box(line!())
    }

    #[test]
    fn a_function_of_this_test_has_its_name_and_place() {
        let (mappings, mut names) = (code_mappings(), Names::new());
        let address = somewhere as *const () as u64 + 1;
        for _ in 0..2 {
            let frames = names.frames(&mappings[0], address);
            let outer = frames.last().expect("a function");
            assert!(outer.function.ends_with("names::tests::somewhere"), "{outer:?}");
            let (file, line) = outer.place.expect("a place");
            assert!(file.ends_with("names.rs") && line.abs_diff(somewhere()) <= 1, "{outer:?}");
        }
        assert_eq!(names.files.len(), 1, "it is read once");
    }
}
