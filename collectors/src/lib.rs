//! What is gathered from outside of the jobs: the machine, this process, its limits, its threads, its heap.
//!
//! One thread reads it all, the [`Sampler`]'s; who needs a value takes the newest [`Sample`], which costs a load of a
//! pointer. Another one takes the stacks of threads for who asks ([`Stacks`]; `docs/thread-dump.md`). `ARCHITECTURE.md`, "The life of a sample", has the design; `docs/system-monitoring.md` says where each value
//! comes from.
//!
//! Nothing here fails: what the kernel does not tell is `None`.

// What comes from outside must not be able to end a task, let alone the process: tests alone may unwrap.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

mod details;
mod group;
mod heap;
mod heap_profile;
mod kept;
mod load;
mod own;
mod sampler;
mod stacks;
mod text;
mod threads;
mod vitals;

pub use details::{Details, Disk, Interface, Pressure, ProcessIo, Stalls};
pub use heap::{Heap, SizeClass, trim_heap};
pub use heap_profile::{
    DumpError, HEAP_OPTIONS, HeapDump, HeapOptions, HeapProfileError, HeapProfiler, SAMPLE_BYTES, SAMPLE_BYTES_MAX,
    SAMPLE_BYTES_MIN, SampledStack, find_heap_profiler, heap_profile, heap_profiler, start_heap_profiler,
    stop_heap_profiler,
};
pub use load::Loads;
pub use own::OwnUsage;
pub use sampler::{Part, Parts, Renewal, Renewed, Sample, Sampler, SamplerSettings, SamplerStats, StartError};
pub use stacks::{CapturedStack, StackDump, StackRefused, StackSettings, StackStats, Stacks, ThreadStack};
pub use threads::{ThreadSample, ThreadState};
pub use vitals::{Machine, Process, Vitals};
