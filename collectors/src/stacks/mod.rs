//! Stacks of this process' threads, taken inside of it. `docs/thread-dump.md` says how, and why that is safe under load.
//!
//! [`slot`] is what runs in a signal's handler; [`capture`] sends the signals, to whom [`rounds`] says; what comes back is unwound ([`unwind`]) by the
//! tables of the loaded files ([`modules`]) and named ([`symbols`]) on one thread ([`service`]).

mod capture;
mod modules;
mod names;
mod registers;
mod rounds;
mod service;
mod slot;
mod symbols;
mod unwind;

pub use service::{CapturedStack, StackDump, StackRefused, StackSettings, StackStats, Stacks, ThreadStack};
pub(crate) use symbols::{Frame, Symbols};
