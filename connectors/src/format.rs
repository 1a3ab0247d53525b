//! What connectors share of formats: rows from JSON text and rows as JSON text. The code stands where files are read
//! and written; connectors take it from here, not from each other.

pub(crate) use crate::local_file::patterns::Patterns;
pub(crate) use crate::local_file::read::json::decode_objects;
pub(crate) use crate::local_file::read::json_text::objects_in;
pub(crate) use crate::local_file::read::values::ValueRules;
pub(crate) use crate::local_file::write::Encoder;
pub(crate) use crate::local_file::write::json::JsonEncoder;
