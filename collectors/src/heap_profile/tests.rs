//! The profiler of this very process. The tests take turns.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

use super::*;
use crate::heap::tests::{is_alone, turn as heap_turn};

/// A turn, with the profiler off before and after.
struct Profiled {
    _turn: MutexGuard<'static, ()>,
}

impl Profiled {
    fn begin() -> Self {
        let profiled = Self { _turn: heap_turn() };
        assert!(find_heap_profiler().available, "these tests have a profiler");
        stop_heap_profiler().expect("off");
        profiled
    }
}

impl Drop for Profiled {
    fn drop(&mut self) {
        let _ = stop_heap_profiler();
    }
}

const BLOCKS: usize = 300;
/// A size class.
const BLOCK_BYTES: usize = 112 << 10;

#[inline(never)]
fn hold_much() -> Vec<Vec<u8>> {
    (0..BLOCKS).map(|_| black_box(vec![1; BLOCK_BYTES])).collect()
}

/// Objects and bytes of the blocks of [`hold_much`]: of stacks with a call in it or just behind it, where other functions are,
/// that allocate by the size of a block. jemalloc's own arithmetic is some per cent off.
fn held(text: &[u8]) -> (u64, u64) {
    let begin = hold_much as *const () as u64;
    let dump = HeapDump::parse(text).expect("a dump");
    let is_held = |stack: &&SampledStack| {
        let size = stack.bytes.checked_div(stack.objects).unwrap_or_default();
        size.abs_diff(BLOCK_BYTES as u64) < BLOCK_BYTES as u64 / 16
            && stack.addresses.iter().any(|address| (begin..begin + 2048).contains(address))
    };
    let estimates = dump.stacks.iter().filter(is_held).map(|stack| stack.estimate(dump.sample_bytes));
    estimates.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
}

#[test]
fn a_dump_shows_who_holds_memory_and_for_how_long() {
    let _profiled = Profiled::begin();
    let before = black_box(hold_much());
    assert!(start_heap_profiler(Some(64 << 10)).expect("on").active);
    let blocks = black_box(hold_much());
    let (objects, bytes) = held(&dump(u64::MAX).expect("a dump"));
    let (sure, most) = (BLOCKS as u64 * 3 / 4, BLOCKS as u64 * 5 / 4);
    assert!((sure..most).contains(&objects), "{objects} objects: only what was allocated since counts");
    assert!((sure..most).contains(&(bytes / BLOCK_BYTES as u64)), "{bytes} bytes");
    drop((blocks, before));
    assert_eq!(held(&dump(u64::MAX).expect("a dump")), (0, 0));
}

#[test]
fn a_profile_is_made_while_the_profiler_is_on_and_within_its_bound() {
    // Its length is that of the list of mappings, too, and so of all threads.
    let path = "heap_profile::tests::a_profile_is_made_while_the_profiler_is_on_and_within_its_bound";
    if !is_alone(path) {
        return;
    }
    let _profiled = Profiled::begin();
    let before = heap_profiler();
    assert!(matches!(heap_profile(u64::MAX), Err(HeapProfileError::Inactive)));
    start_heap_profiler(None).expect("on");
    let held = black_box(hold_much());
    let profile = heap_profile(u64::MAX).expect("a profile");
    assert_eq!(profile[..2], [0x1f, 0x8b], "gzip");
    let made = heap_profiler();
    assert!((1..u64::MAX).contains(&made.text_bytes), "{made:?}");
    let told = heap_profile(made.text_bytes / 2).expect_err("too large").to_string();
    assert!(told.ends_with(&format!("and {} are allowed", made.text_bytes / 2)), "{told}");
    let after = heap_profiler();
    assert_eq!((after.made, after.failed), (before.made + 1, before.failed + 1));
    stop_heap_profiler().expect("off");
    // Sampled blocks are freed though nobody wants to know of it any more.
    drop(held);
    assert!(matches!(heap_profile(u64::MAX), Err(HeapProfileError::Inactive)));
}

#[test]
fn the_rate_is_bounded_and_stays_until_the_profiler_is_off() {
    let _profiled = Profiled::begin();
    for rate in [0, 1, SAMPLE_BYTES_MIN - 1, SAMPLE_BYTES_MAX + 1, u64::MAX] {
        assert!(matches!(start_heap_profiler(Some(rate)), Err(HeapProfileError::Rate(wrong)) if wrong == rate));
    }
    assert_eq!(start_heap_profiler(Some(100_000)).expect("on").sample_bytes, 128 << 10, "a power of two");
    assert_eq!(start_heap_profiler(None).expect("on already").sample_bytes, 128 << 10);
    assert_eq!(start_heap_profiler(Some(128 << 10)).expect("on already").sample_bytes, 128 << 10);
    assert!(matches!(start_heap_profiler(Some(64 << 10)), Err(HeapProfileError::Active(131_072))));
    assert!(dump(u64::MAX).expect("a dump").starts_with(b"heap_v2/131072\n"));
    let off = stop_heap_profiler().expect("off");
    assert_eq!((off.active, off.sample_bytes), (false, SAMPLE_BYTES));
    assert_eq!(stop_heap_profiler().expect("off already"), off);
}

#[test]
fn one_at_a_time_is_at_the_profiler_and_nobody_waits() {
    let _profiled = Profiled::begin();
    let busy = turn().expect("a turn");
    let others = std::thread::spawn(|| {
        [heap_profile(u64::MAX).map(drop), start_heap_profiler(None).map(drop), stop_heap_profiler().map(drop)]
    });
    for refused in others.join().expect("no panic") {
        assert!(matches!(refused, Err(HeapProfileError::Busy)), "{refused:?}");
    }
    drop(busy);
}

#[test]
fn profiles_are_made_and_forgotten_while_threads_allocate_and_free() {
    let _profiled = Profiled::begin();
    let over = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..3_usize)
        .map(|seed| {
            let over = over.clone();
            std::thread::spawn(move || {
                let (mut held, mut turns) = (vec![Vec::new(); 64], seed);
                while !over.load(Ordering::Relaxed) {
                    held[turns % 64] = black_box(vec![0_u8; (turns * 7919) % 50_000]);
                    turns += 1;
                }
            })
        })
        .collect();
    for round in 0..20 {
        start_heap_profiler(Some(SAMPLE_BYTES_MIN << (round % 3))).expect("on");
        heap_profile(u64::MAX).expect("a profile");
        heap_profile(u64::MAX).expect("another one");
        stop_heap_profiler().expect("off");
    }
    over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}
