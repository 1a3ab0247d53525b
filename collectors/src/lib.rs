//! What is gathered from outside of the jobs: the machine, this process, its threads.
//!
//! Everything here reads `/proc` and so may block: call it on a blocking thread. What handlers of requests need is kept
//! as the last reading ([`Vitals::latest`]), which costs them nothing.

mod threads;
mod vitals;

pub use threads::{ThreadDump, ThreadState, threads};
pub use vitals::{Machine, Process, Reading, Vitals, VitalsError};
