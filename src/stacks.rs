//! Gives the shards the stacks of their stalls.

use std::sync::{Arc, OnceLock};

use egret_collectors::{CapturedStack, Stacks};
use egret_runtime::shard::{NamedLater, StackHook, StackSource, WithLines};

struct Source(Arc<OnceLock<Stacks>>);

impl StackSource for Source {
    fn capture(&self, thread: i32) -> Option<Box<dyn NamedLater>> {
        Some(Box::new(Captured(self.0.get()?.capture(thread)?)))
    }
}

struct Captured(CapturedStack);

impl NamedLater for Captured {
    fn name(self: Box<Self>, then: WithLines) {
        self.0.name(move |lines| then(&lines));
    }
}

/// What the shards are given, and the place for who takes the stacks, which is filled once they run.
pub fn hook() -> (StackHook, Arc<OnceLock<Stacks>>) {
    let late = Arc::new(OnceLock::new());
    (StackHook(Arc::new(Source(late.clone()))), late)
}
