//! Any text is judged as a type without a panic; a type that is one has columns that can be built and shown.
#![no_main]

use egret_runtime::config::parse_type_text;
use egret_runtime::row::ColumnBuilder;
use egret_runtime::row::show::write_value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(data_type) = parse_type_text(text) else { return };
    let mut builder = ColumnBuilder::new(&data_type, 1);
    builder.append_null();
    let column = builder.finish();
    assert_eq!(column.data_type(), &data_type.arrow());
    let mut shown = data_type.to_string();
    write_value(&mut shown, column.as_ref(), &data_type, 0);
});
