//! Any path is read or refused without a panic; what it finds in any document is a list unless it is definite.
//! The input is a path, a line break, and a document; the end of the document's first line may name a type to fill.
#![no_main]

use egret_runtime::config::parse_type_text;
use egret_runtime::json_path::{FOUND_MAX, Json, JsonPath, fill};
use egret_runtime::row::{ColumnBuilder, DataType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (path, document) = text.split_once('\n').unwrap_or((text, "{}"));
    let (document, data_type) = document.rsplit_once('\n').unwrap_or((document, "string"));
    let data_type = parse_type_text(data_type).unwrap_or(DataType::String);
    let document = Json::read(document);
    if let Ok(document) = &document {
        let written = document.to_string();
        assert_eq!(Json::read(&written).as_ref(), Ok(document), "{written}");
    }
    let (Ok(path), Ok(document)) = (JsonPath::parse(path), document) else { return };
    if let Ok(found) = path.list(&document) {
        assert!(found.len() <= FOUND_MAX);
    }
    if let Ok(found) = path.read(&document) {
        assert!(path.is_definite() || found.as_list().is_some());
        let mut column = ColumnBuilder::new(&data_type, 1);
        let filled = fill(&mut column, &data_type, &found).is_ok();
        assert_eq!(column.finish().len(), usize::from(filled));
    }
});
