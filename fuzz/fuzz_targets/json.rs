//! Any text is read as JSON without a panic; what is read is the same again when it is rendered and read by either
//! parser.
#![no_main]

use egret_runtime::config::{ReadOptions, Secrets, Syntax, Unresolved, read_tree, render_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (unresolved, secrets) = (Unresolved::Keep, Secrets::Keep);
    let json = ReadOptions { syntax: Syntax::Json, unresolved, secrets, ..ReadOptions::default() };
    let Ok((tree, _)) = read_tree(text, "fuzz", &json) else { return };
    let rendered = render_json(&tree, false);
    for syntax in [Syntax::Json, Syntax::Hocon] {
        let (again, _) = read_tree(&rendered, "again", &ReadOptions { syntax, ..json.clone() }).expect("read again");
        assert_eq!(again, tree);
    }
});
