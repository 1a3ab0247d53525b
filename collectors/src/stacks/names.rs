//! From what was captured to lines of text, with what was looked up before remembered.

use std::collections::HashMap;
use std::sync::Arc;

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

    fn name(&mut self, address: u64) -> Arc<[Arc<str>]> {
        if let Some(lines) = self.known.get(&address) {
            return lines.clone();
        }
        let lines: Arc<[Arc<str>]> = match self.modules.at(address) {
            Some(module) => self.modules.get_mut(module).name(address).into(),
            None => [format!("0x{address:x}(Unknown Source)").into()].into(),
        };
        if self.known.len() >= PLACES_CACHED_MAX {
            self.known.clear();
        }
        self.known.insert(address, lines.clone());
        lines
    }
}
