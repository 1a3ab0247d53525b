//! What is gathered from outside of the jobs: the machine, this process, its threads.
//!
//! Everything here reads `/proc` and so may block: call it on a blocking thread. What handlers of requests need is kept
//! as the last reading ([`Vitals::latest`]), which costs them nothing.

// What comes from outside must not be able to end a task, let alone the process: tests alone may unwrap.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

mod threads;
mod vitals;

pub use threads::{ThreadDump, ThreadState, threads};
pub use vitals::{Machine, Process, Reading, Vitals, VitalsError};
