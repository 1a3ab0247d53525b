//! binary: rows that hold pieces of files, as the binary source gives them: `data`, `relativePath` and `partIndex`.

use std::path::{Component, Path};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::{DataType, TableSchema};

/// The columns that rows of pieces have.
pub const COLUMNS: [(&str, DataType); 3] =
    [("data", DataType::Bytes), ("relativePath", DataType::String), ("partIndex", DataType::BigInt)];

/// The number of a row that ends a file and holds no bytes.
const END: i64 = -1;

/// A piece of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The bytes.
    pub data: &'a [u8],
    /// The file, below the folder.
    pub path: &'a str,
    /// Which piece of the file it is; the first is 0.
    pub number: u64,
}

/// Why a table does not hold pieces of files.
pub fn problem(table: &TableSchema) -> Option<String> {
    let fits = table.columns.len() == COLUMNS.len()
        && table
            .columns
            .iter()
            .zip(&COLUMNS)
            .all(|(column, (name, kind))| column.name.eq_ignore_ascii_case(name) && column.data_type == *kind);
    (!fits).then(|| {
        format!(
            "table {} does not hold pieces of files: binary is written from what a source reads as binary (columns data \
             bytes, relativePath string, partIndex bigint), unchanged",
            table.path
        )
    })
}

/// The piece in a row; `None` for one that ends a file.
///
/// # Errors
/// When the row holds none.
pub fn piece(rows: &RecordBatch, row: usize) -> Result<Option<Piece<'_>>, TaskError> {
    let (data, path) = (rows.column(0).as_binary::<i32>(), rows.column(1).as_string::<i32>());
    let numbers = rows.column(2).as_primitive::<Int64Type>();
    if data.is_null(row) || path.is_null(row) || numbers.is_null(row) {
        return Err(TaskError::permanent("a piece of a file with a null in its row"));
    }
    match numbers.value(row) {
        END => Ok(None),
        number => {
            let number = u64::try_from(number).map_err(|_| {
                TaskError::permanent(format!("piece {number} of {}: numbers begin with 0", path.value(row)))
            })?;
            Ok(Some(Piece { data: data.value(row), path: path.value(row), number }))
        }
    }
}

/// The path of a file as folders, with `/` behind each but the last, and a name.
///
/// # Errors
/// When it would lead out of the folder.
pub fn safe_path(path: &str) -> Result<(String, String), TaskError> {
    let refused = || {
        TaskError::permanent(format!(
            "the relativePath '{path}' leads out of the folder that is written, or to no file"
        ))
    };
    let mut names: Vec<&str> = Vec::new();
    for component in Path::new(path.trim_start_matches('/')).components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().ok_or_else(refused)?),
            Component::CurDir => {}
            _ => return Err(refused()),
        }
    }
    let name = names.pop().filter(|name| !name.contains('\0')).ok_or_else(refused)?;
    if path.ends_with('/') || names.first().is_some_and(|first| *first == super::super::target::STAGING) {
        return Err(refused());
    }
    Ok((names.join("/"), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_folder() {
        let parts = |path: &str| safe_path(path).map(|(folders, name)| format!("{folders}|{name}"));
        assert_eq!(parts("a/b/c.png").ok().as_deref(), Some("a/b|c.png"));
        assert_eq!(parts("c").ok().as_deref(), Some("|c"));
        assert_eq!(parts("/c").ok().as_deref(), Some("|c"));
        assert_eq!(parts("./a//c").ok().as_deref(), Some("a|c"));
        for path in ["", "/", "..", "../c", "a/../c", "a/..", "a/", ".egret-staging/c", "a\0"] {
            assert!(parts(path).is_err(), "{path:?}");
        }
    }
}
