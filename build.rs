//! Links the command with packed relocations where that can be.
//!
//! A position-independent executable is relocated at each start, before `main`: without packing the loader reads a table
//! of 2.5 MB for it, which then counts as resident memory for as long as the process lives. The packed table (`DT_RELR`) has
//! 34 KB.

use std::env;
use std::process::Command;

/// The first C library whose loader reads the packed table; the link binds the program to it.
const GLIBC_MIN: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("HOST") == env::var("TARGET") && glibc().is_some_and(|version| version >= GLIBC_MIN) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's C library; `None` when it is another one. What is built here need not run on older ones.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
