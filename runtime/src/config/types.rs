//! Types as configs write them (contract C.6).

use super::hocon;
use super::limits::{DEPTH_MAX, Limits};
use super::problem::{Problem, nearest};
use super::value::{Object, Position, Value, ValueKind};
use super::variables::Variables;
use crate::row::{DataType, Field};

/// Most digits of a decimal.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// A text that is not a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeError {
    /// The part that is not a type, as written.
    pub written: String,
    /// What to write instead, if that can be told.
    pub help: Option<String>,
}

impl TypeError {
    fn new(written: impl Into<String>) -> Self {
        Self { written: written.into(), help: None }
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The message as clients know it. `plugin` says where it happened.
    pub fn message(&self, plugin: &str, field: &str) -> String {
        format!(
            "ErrorCode:[COMMON-07], ErrorDescription:['{plugin}' unsupported data type '{}' of '{field}']",
            self.written
        )
    }

    fn into_problem(self, position: &Position, plugin: &str, field: &str) -> Problem {
        let problem = Problem::error(position.clone(), self.message(plugin, field));
        match self.help {
            Some(help) => problem.with_help(help),
            None => problem,
        }
    }
}

/// Reads a type: a text, or an object for a row. `plugin` and `field` are for the message.
///
/// # Errors
/// When it is not a type; the problem has the value's position.
pub fn parse_type(value: &Value, plugin: &str, field: &str) -> Result<DataType, Problem> {
    type_of_value(value, 0).map_err(|error| error.into_problem(&value.position, plugin, field))
}

/// Reads a type from text: a name, `decimal(p, s)`, `array<T>`, `map<K, V>`, or `{ name = T, ... }` in the config
/// language or JSON.
///
/// # Errors
/// When it is not a type.
pub fn parse_type_text(text: &str) -> Result<DataType, TypeError> {
    type_of_text(text, 0)
}

fn type_of_value(value: &Value, depth: usize) -> Result<DataType, TypeError> {
    match &value.kind {
        ValueKind::Text(text) => type_of_text(text, depth),
        ValueKind::Object(object) => row_of(object, depth),
        // `c = null` without quotes.
        ValueKind::Null => Ok(DataType::Null),
        ValueKind::Number(number) => Err(TypeError::new(number.as_ref())),
        ValueKind::Boolean(boolean) => Err(TypeError::new(boolean.to_string())),
        ValueKind::List(_) => Err(TypeError::new("[...]").with_help("a list is written \"array<T>\"")),
    }
}

fn row_of(object: &Object, depth: usize) -> Result<DataType, TypeError> {
    deep_enough(depth)?;
    let fields: Result<Vec<Field>, TypeError> = object
        .entries()
        .iter()
        .map(|entry| Ok(Field { name: entry.key.clone(), data_type: type_of_value(&entry.value, depth + 1)? }))
        .collect();
    Ok(DataType::Row(fields?.into()))
}

fn deep_enough(depth: usize) -> Result<(), TypeError> {
    if depth < DEPTH_MAX { Ok(()) } else { Err(TypeError::new("...").with_help("it is nested too deep")) }
}

fn type_of_text(text: &str, depth: usize) -> Result<DataType, TypeError> {
    deep_enough(depth)?;
    let text = text.trim();
    if text.starts_with('{') {
        return row_of_text(text, depth);
    }
    if let Some(inside) = enclosed(text, "array", '<', '>') {
        return Ok(DataType::Array(Box::new(type_of_text(inside?, depth + 1)?)));
    }
    if let Some(inside) = enclosed(text, "map", '<', '>') {
        let inside = inside?;
        let Some((key, value)) = split_at_comma(inside) else {
            return Err(TypeError::new(text).with_help("a map is written map<key type, value type>"));
        };
        let (key, value) = (type_of_text(key, depth + 1)?, type_of_text(value, depth + 1)?);
        return Ok(DataType::Map(Box::new(key), Box::new(value)));
    }
    if let Some(inside) = enclosed(text, "decimal", '(', ')') {
        return decimal(text, inside?);
    }
    named(text)
}

/// `{ a = int, b = "string" }` as text.
fn row_of_text(text: &str, depth: usize) -> Result<DataType, TypeError> {
    let parsed = hocon::parse(
        text,
        "type".into(),
        hocon::Kind::Fragment,
        &Variables::default(),
        hocon::Includes::Forbidden,
        Limits::default(),
    );
    if let Some(problem) = parsed.problems.errors().next() {
        return Err(TypeError::new(text).with_help(problem.message.clone()));
    }
    row_of(&parsed.tree, depth)
}

/// What stands in the brackets of `name<...>`; an error when the closing one is missing.
fn enclosed<'t>(text: &'t str, name: &str, open: char, close: char) -> Option<Result<&'t str, TypeError>> {
    let head = text.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name))?;
    let behind = text[head.len()..].trim_start().strip_prefix(open)?;
    Some(behind.strip_suffix(close).ok_or_else(|| TypeError::new(text).with_help(format!("the '{close}' is missing"))))
}

/// Cuts at the first comma that is not within brackets or quotes: that of the map itself, also behind a decimal key.
fn split_at_comma(text: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    let mut in_quotes = false;
    for (index, next) in text.char_indices() {
        match next {
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            '<' | '(' | '{' | '[' => open += 1,
            '>' | ')' | '}' | ']' => open = open.saturating_sub(1),
            ',' if open == 0 => return Some((&text[..index], &text[index + 1..])),
            _ => {}
        }
    }
    None
}

fn decimal(text: &str, inside: &str) -> Result<DataType, TypeError> {
    let parts: Option<Vec<i64>> = inside.split(',').map(|part| part.trim().parse().ok()).collect();
    match parts.as_deref() {
        Some([precision, scale]) => {
            let valid = (1..=i64::from(DECIMAL_PRECISION_MAX)).contains(precision) && (0..=*precision).contains(scale);
            match (u8::try_from(*precision), i8::try_from(*scale)) {
                (Ok(precision), Ok(scale)) if valid => Ok(DataType::Decimal { precision, scale }),
                _ => Err(TypeError::new(text).with_help(format!(
                    "the precision is 1 to {DECIMAL_PRECISION_MAX} digits, the scale 0 to the precision"
                ))),
            }
        }
        Some([precision]) => Err(TypeError::new(text).with_help(format!("write decimal({precision}, 0)"))),
        _ => Err(TypeError::new(text).with_help("a decimal is written decimal(precision, scale)")),
    }
}

const NAMES: [(&str, DataType); 22] = [
    ("string", DataType::String),
    ("boolean", DataType::Boolean),
    ("tinyint", DataType::TinyInt),
    ("byte", DataType::TinyInt),
    ("smallint", DataType::SmallInt),
    ("short", DataType::SmallInt),
    ("int", DataType::Int),
    ("bigint", DataType::BigInt),
    ("long", DataType::BigInt),
    ("float", DataType::Float),
    ("double", DataType::Double),
    ("null", DataType::Null),
    ("bytes", DataType::Bytes),
    ("date", DataType::Date),
    ("time", DataType::Time),
    ("timestamp", DataType::Timestamp),
    ("binary_vector", DataType::BinaryVector),
    ("float_vector", DataType::FloatVector),
    ("float16_vector", DataType::Float16Vector),
    ("bfloat16_vector", DataType::BFloat16Vector),
    ("sparse_float_vector", DataType::SparseFloatVector),
    // Refused below; here so that it is found as a near miss.
    ("decimal", DataType::Null),
];

/// Names of other systems, with what they are called here.
const FOREIGN: [(&str, &str); 21] = [
    ("integer", "int"),
    ("int32", "int"),
    ("int64", "bigint"),
    ("int16", "smallint"),
    ("int8", "tinyint"),
    ("bool", "boolean"),
    ("varchar", "string"),
    ("char", "string"),
    ("text", "string"),
    ("str", "string"),
    ("real", "float"),
    ("float32", "float"),
    ("float64", "double"),
    ("datetime", "timestamp"),
    ("numeric", "decimal(precision, scale)"),
    ("number", "decimal(precision, scale)"),
    ("binary", "bytes"),
    ("blob", "bytes"),
    ("list", "array<T>"),
    ("row", "{ name = T, ... }"),
    ("struct", "{ name = T, ... }"),
];

fn named(text: &str) -> Result<DataType, TypeError> {
    let found = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    if text.eq_ignore_ascii_case("decimal") {
        return Err(TypeError::new(text).with_help("a decimal is written decimal(precision, scale)"));
    }
    if let Some((_, data_type)) = found {
        return Ok(data_type.clone());
    }
    let error = TypeError::new(text);
    let head = text.split(['(', '<']).next().unwrap_or(text).trim();
    if let Some((_, name)) = FOREIGN.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(head)) {
        return Err(error.with_help(format!("here it is called {name}")));
    }
    if head.eq_ignore_ascii_case("array") || head.eq_ignore_ascii_case("map") {
        return Err(error.with_help("write \"array<T>\" or \"map<key type, value type>\""));
    }
    Err(match nearest(head, NAMES.iter().map(|(name, _)| *name)) {
        Some(name) => error.with_help(format!("did you mean '{name}'?")),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        parse_type_text(text).map_or_else(
            |error| format!("! {} ({})", error.written, error.help.unwrap_or_default()),
            |data_type| data_type.to_string(),
        )
    }

    #[test]
    fn every_type_of_the_grammar_is_read_in_any_case() {
        for (name, data_type) in NAMES.iter().filter(|(name, _)| *name != "decimal") {
            assert_eq!(parse_type_text(name).as_ref(), Ok(data_type), "{name}");
            assert_eq!(parse_type_text(&format!(" {} ", name.to_uppercase())).as_ref(), Ok(data_type), "{name}");
        }
        for (text, expected) in [
            ("decimal(10,2)", "Decimal(10, 2)"),
            ("DECIMAL ( 38 , 38 )", "Decimal(38, 38)"),
            ("array<int>", "ARRAY<INT>"),
            ("Array< array<String> >", "ARRAY<ARRAY<STRING>>"),
            ("map<string,int>", "Map<STRING, INT>"),
            ("map<decimal(10, 2), map<int, array<date>>>", "Map<Decimal(10, 2), Map<INT, ARRAY<DATE>>>"),
            ("map<{a = int, b = int}, string>", "Map<ROW<a INT,b INT>, STRING>"),
            ("{ a = int, b = \"map<int, string>\" }", "ROW<a INT,b Map<INT, STRING>>"),
            ("map<string, {k=int\nv=string}>", "Map<STRING, ROW<k INT,v STRING>>"),
            ("map<string, {k=int,v={w=date}}>", "Map<STRING, ROW<k INT,v ROW<w DATE>>>"),
            (r#"map<string, {"k":"int","v":"decimal(3,1)"}>"#, "Map<STRING, ROW<k INT,v Decimal(3, 1)>>"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn what_is_no_type_is_told_with_a_cure() {
        for (text, expected) in [
            ("decimal", "! decimal (a decimal is written decimal(precision, scale))"),
            ("decimal(10)", "! decimal(10) (write decimal(10, 0))"),
            ("decimal(39, 2)", "! decimal(39, 2) (the precision is 1 to 38 digits, the scale 0 to the precision)"),
            ("decimal(5, 6)", "! decimal(5, 6) (the precision is 1 to 38 digits, the scale 0 to the precision)"),
            ("decimal(5, -1)", "! decimal(5, -1) (the precision is 1 to 38 digits, the scale 0 to the precision)"),
            ("strin", "! strin (did you mean 'string'?)"),
            ("array<integer>", "! integer (here it is called int)"),
            ("varchar(20)", "! varchar(20) (here it is called string)"),
            ("array<int", "! array<int (the '>' is missing)"),
            ("map<string>", "! map<string> (a map is written map<key type, value type>)"),
            ("array", "! array (write \"array<T>\" or \"map<key type, value type>\")"),
            ("{ a = int", "! { a = int (this '{' is never closed: expected '}' before the end of the text)"),
            ("banana", "! banana ()"),
            ("", "!  ()"),
        ] {
            assert_eq!(shown(text), expected);
        }
        let value = Value {
            kind: ValueKind::Text("strin".into()),
            position: Position { file: "job.conf".into(), line: 3, column: 9 },
        };
        assert_eq!(
            parse_type(&value, "FakeSource", "name").expect_err("no type").to_string(),
            "error: job.conf:3:9: ErrorCode:[COMMON-07], ErrorDescription:['FakeSource' unsupported data type 'strin' of 'name'] (help: did you mean 'string'?)"
        );
    }

    #[test]
    fn types_nest_only_so_deep() {
        assert!(parse_type_text(&format!("{}int{}", "array<".repeat(50), ">".repeat(50))).is_ok());
        assert!(parse_type_text(&format!("{}int{}", "array<".repeat(50_000), ">".repeat(50_000))).is_err());
        assert!(parse_type_text(&format!("{}a=int{}", "{a=".repeat(50_000), "}".repeat(50_000))).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(text in "(array|map|decimal|[a-z<>(){},= 0-9\"é]){0,20}") {
            let _ = parse_type_text(&text);
        }
    }
}
