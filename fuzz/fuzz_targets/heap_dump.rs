//! Any bytes are read as a dump of jemalloc's heap profiler without a panic, and into no more memory than their own.
#![no_main]

use egret_collectors::HeapDump;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(dump) = HeapDump::parse(text) else { return };
    assert!(dump.sample_bytes > 0);
    // The shortest address is ` 0x1`, the shortest stack `@` and a line of counts.
    let addresses: usize = dump.stacks.iter().map(|stack| stack.addresses.len()).sum();
    assert!(addresses * 4 + dump.stacks.len() * 10 <= text.len());
    for stack in &dump.stacks {
        let (objects, bytes) = stack.estimate(dump.sample_bytes);
        let is_sampled = stack.objects > 0 && stack.bytes > 0;
        assert_eq!((objects > 0, bytes > 0), (is_sampled, is_sampled));
    }
});
