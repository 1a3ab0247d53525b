//! From what was captured to lines of text, with what was looked up before remembered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::capture::Capture;
use super::modules::Modules;
use super::unwind::unwind;

/// Addresses whose names are remembered. Where there are more, it begins anew.
const PLACES_CACHED_MAX: usize = 65_536;

/// The last line of a stack that goes on.
const GOES_ON: &str = "(and further frames)";

/// Knows the names of addresses.
#[derive(Default)]
pub(super) struct Names {
    modules: Modules,
    known: HashMap<u64, Arc<[Arc<str>]>>,
    /// When symbols were last needed; `None` while there are none.
    needed: Option<Instant>,
}

impl Names {
    /// The lines of a stack, innermost first.
    pub(super) fn lines(&mut self, capture: &Capture) -> Vec<Arc<str>> {
        if self.modules.renew() {
            // What was loaded at an address may be something else by now.
            self.known.clear();
        }
        let frames = unwind(capture, &self.modules);
        let mut lines = Vec::with_capacity(frames.addresses.len() + 1);
        for address in frames.addresses {
            lines.extend(self.name(address).iter().cloned());
        }
        if !frames.complete {
            lines.push(GOES_ON.into());
        }
        lines
    }

    /// When symbols were last needed; `None` while none are in memory.
    pub(super) fn symbols_needed(&self) -> Option<Instant> {
        self.needed
    }

    /// Forgets symbols, and nothing that was named by them.
    pub(super) fn forget_symbols(&mut self) {
        self.modules.forget_symbols();
        self.needed = None;
    }

    fn name(&mut self, address: u64) -> Arc<[Arc<str>]> {
        if let Some(lines) = self.known.get(&address) {
            return lines.clone();
        }
        let lines: Arc<[Arc<str>]> = match self.modules.at(address) {
            Some(module) => {
                self.needed = Some(Instant::now());
                self.modules.get_mut(module).name(address).into()
            }
            None => [format!("0x{address:x}(Unknown Source)").into()].into(),
        };
        if self.known.len() >= PLACES_CACHED_MAX {
            self.known.clear();
        }
        self.known.insert(address, lines.clone());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_named_needs_no_symbols_and_what_is_new_has_them_read_again() {
        let mut names = Names::default();
        names.modules.renew();
        let here = what_was_named_needs_no_symbols_and_what_is_new_has_them_read_again as *const () as u64;
        let there = Names::forget_symbols as *const () as u64;
        let named = names.name(here);
        assert!(names.symbols_needed().is_some() && named[0].contains("what_was_named"), "{named:?}");
        names.forget_symbols();
        assert_eq!((names.name(here), names.symbols_needed()), (named, None));
        assert!(names.name(there).iter().any(|line| line.contains("forget_symbols")));
        assert!(names.symbols_needed().is_some());
    }
}
