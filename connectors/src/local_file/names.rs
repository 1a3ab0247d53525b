//! Names that are made from values and expressions. Values come from outside: none of them may lead out of the folder.

use std::fmt::Write as _;

use egret_runtime::row::JavaPattern;

/// What stands for null in the name of a folder, as in Hive.
pub const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Makes a value into a piece of one name: `/`, `\`, `=`, `%` and control characters become `%` and two digits.
pub fn escape(value: &str, out: &mut String) {
    for symbol in value.chars() {
        if matches!(symbol, '/' | '\\' | '=' | '%') || symbol.is_ascii_control() {
            let _ = write!(out, "%{:02X}", symbol as u32);
        } else {
            out.push(symbol);
        }
    }
}

/// Makes a value that came from outside into a whole name: as [`escape`], and a dot at the start is escaped too, so
/// that it is neither hidden nor the folder itself or the one above.
pub fn escape_name(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    match value.strip_prefix('.') {
        Some(rest) => {
            out.push_str("%2E");
            escape(rest, &mut out);
        }
        None => escape(value, &mut out),
    }
    out
}

/// Takes [`escape`] back. A `%` that no two digits follow stays.
pub fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    // Digits that make no UTF-8 were not written by `escape`: the name is then meant as it stands.
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

/// `partition_dir_expression`: the folders of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionExpression {
    /// Folders, each of pieces.
    folders: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Key(usize),
    Value(usize),
}

impl PartitionExpression {
    /// Reads an expression for so many partition columns. The default, `${k0}=${v0}/${k1}=${v1}/.../${kn}=${vn}/`,
    /// stands for a folder for each.
    ///
    /// # Errors
    /// When it leads out of the folder or names a column that there is not.
    pub fn parse(expression: &str, columns: usize) -> Result<Self, String> {
        if expression.contains("...") {
            let pair = |column| vec![Piece::Key(column), Piece::Text("=".into()), Piece::Value(column)];
            return Ok(Self { folders: (0..columns).map(pair).collect() });
        }
        let mut folders = Vec::new();
        for folder in expression.split('/').filter(|folder| !folder.is_empty()) {
            if matches!(folder, "." | "..") {
                return Err(format!("the folder '{folder}' may not be in it"));
            }
            folders.push(pieces(folder, columns)?);
        }
        Ok(Self { folders })
    }

    /// The folders of a row, with `/` behind each but the last. Keys and values are escaped.
    pub fn folders(&self, keys: &[Box<str>], values: &[Option<Box<str>>]) -> String {
        let mut out = String::new();
        for (index, folder) in self.folders.iter().enumerate() {
            if index > 0 {
                out.push('/');
            }
            let mut name = String::new();
            for piece in folder {
                match piece {
                    Piece::Text(text) => name.push_str(text),
                    Piece::Key(column) => escape(&keys[*column], &mut name),
                    Piece::Value(column) => match &values[*column] {
                        Some(value) if value.is_empty() => name.push_str(NULL_PARTITION),
                        Some(value) => escape(value, &mut name),
                        None => name.push_str(NULL_PARTITION),
                    },
                }
            }
            // Hidden folders would not be read back; `.` and `..` are no folders of their own.
            match name.strip_prefix('.') {
                Some(rest) => {
                    out.push_str("%2E");
                    out.push_str(rest);
                }
                None => out.push_str(&name),
            }
        }
        out
    }
}

fn pieces(folder: &str, columns: usize) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut rest = folder;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        if start > 0 {
            found.push(Piece::Text(rest[..start].into()));
        }
        let name = &rest[start + 2..start + length];
        let column = name.get(1..).and_then(|number| number.parse::<usize>().ok());
        let piece = match (name.as_bytes().first(), column) {
            (Some(b'k'), Some(column)) if column < columns => Piece::Key(column),
            (Some(b'v'), Some(column)) if column < columns => Piece::Value(column),
            (Some(b'k' | b'v'), Some(column)) => {
                return Err(format!("${{{name}}} means column {column} of partition_by, which has {columns}"));
            }
            _ => return Err(format!("${{{name}}} is neither a key ${{k0}} nor a value ${{v0}}")),
        };
        found.push(piece);
        rest = &rest[start + length + 1..];
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest.into()));
    }
    Ok(found)
}

/// The local time now by `filename_time_format`, as a piece of a name.
pub fn format_now(pattern: &JavaPattern) -> String {
    let now = chrono::Local::now();
    let offset = now.offset().local_minus_utc();
    let mut out = String::new();
    pattern.format_zoned(&mut out, now.naive_local().and_utc().timestamp_micros(), offset, &now.offset().to_string());
    out.replace(['/', '\0'], "-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_name_the_folders_of_a_row() {
        let keys = ["day".into(), "city".into()];
        let values = [Some("2024-01-01".into()), None];
        let folders = |expression: &str| {
            PartitionExpression::parse(expression, 2).map(|expression| expression.folders(&keys, &values))
        };
        let default = "${k0}=${v0}/${k1}=${v1}/.../${kn}=${vn}/";
        assert_eq!(folders(default).as_deref(), Ok("day=2024-01-01/city=__HIVE_DEFAULT_PARTITION__"));
        assert_eq!(folders("${v0}").as_deref(), Ok("2024-01-01"));
        assert_eq!(folders("/at/${k0}-${v0}/").as_deref(), Ok("at/day-2024-01-01"));
        assert!(folders("${k2}=${v2}").is_err());
        assert!(folders("${x}").is_err());
        assert!(folders("a/../${v0}").is_err());
    }

    #[test]
    fn times_in_names_never_part_folders() {
        let now = format_now(&JavaPattern::compile("yyyy/MM/dd'/x'").expect("a pattern"));
        assert_eq!((now.len(), now.matches('-').count()), ("2024-03-07-x".len(), 3), "{now}");
    }

    proptest! {
        #[test]
        fn no_value_leads_out_of_the_folder(value in "[./\\\\%=a\u{0}\u{e9}]{0,8}") {
            let expression = PartitionExpression::parse("${v0}/x${v0}", 1).expect("an expression");
            let folders = expression.folders(&["k".into()], &[Some(value.as_str().into())]);
            let names: Vec<&str> = folders.split('/').collect();
            prop_assert_eq!(names.len(), 2);
            for name in names {
                prop_assert!(!name.is_empty() && !name.starts_with('.') && !name.contains('\0'), "{:?}", name);
            }
            prop_assert_eq!(unescape(&escape_name(&value)), value);
        }
    }
}
