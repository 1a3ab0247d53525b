//! What the end-to-end tests share: the real program, started and watched, and a client that speaks plain HTTP.
//!
//! Every wait has a deadline, and what a test has started ends with it.
#![allow(dead_code, reason = "each test program uses its part of this")]

pub mod http;
pub mod node;
pub mod program;
pub mod stopped;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take that normally takes milliseconds; machines that test are often busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer, as a client of an API without events has to.
///
/// # Panics
/// When there is none in time; the message is the last thing seen.
pub fn eventually<T, E: std::fmt::Display>(what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(seen) => assert!(Instant::now() < deadline, "never came about: {what}; last seen: {seen}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A folder that goes when the test does.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of something in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.at(name);
        std::fs::write(&path, text).expect("a file is written");
        path
    }
}

/// Asserts that a text holds each of the parts.
#[track_caller]
pub fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in:\n{text}");
    }
}
