//! Where a table is written: the path with its variables replaced, and what must be so before the job runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use egret_runtime::file::{self, create_dir_durably};
use egret_runtime::plugin::TaskError;
use egret_runtime::row::TablePath;

use super::names::escape_name;

/// Where files stand until they are committed, beside the target. Sources pass over names that begin with a dot.
pub const STAGING: &str = ".egret-staging";

/// The folder that a path with variables names for a table, see [`with_table_names`]. `file://` before it is left out.
pub fn resolve_path(pattern: &str, table: &TablePath) -> PathBuf {
    let pattern = pattern.strip_prefix("file://").unwrap_or(pattern);
    PathBuf::from(with_table_names(pattern, table, true))
}

/// Replaces `${database_name}`, `${schema_name}`, `${table_name}`, `${schema_full_name}` and `${table_full_name}`,
/// also with a default: `${schema_name:public}`. For names of files and folders they are escaped: none of them can lead
/// elsewhere.
pub fn with_table_names(pattern: &str, table: &TablePath, escaped: bool) -> String {
    let full = |parts: &[Option<&str>]| {
        let parts: Vec<&str> = parts.iter().flatten().copied().collect();
        (!parts.is_empty()).then(|| parts.join("."))
    };
    let (database, schema) = (table.database.as_deref(), table.schema.as_deref());
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let inside = &rest[start + 2..start + length];
        let (name, default) = inside.split_once(':').map_or((inside, None), |(name, default)| (name, Some(default)));
        let value = match name {
            "database_name" => Some(database.map(str::to_owned)),
            "schema_name" => Some(schema.map(str::to_owned)),
            "table_name" => Some(Some(table.table.to_string())),
            "schema_full_name" => Some(full(&[database, schema])),
            "table_full_name" => Some(full(&[database, schema, Some(&table.table)])),
            _ => None,
        };
        out.push_str(&rest[..start]);
        match value {
            Some(value) => {
                let value = value.as_deref().or(default).unwrap_or_default();
                if escaped { out.push_str(&escape_name(value)) } else { out.push_str(value) }
            }
            None => out.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    out
}

/// `schema_save_mode`: for files the folder is the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaSaveMode {
    /// Emptied and made anew.
    Recreate,
    /// Made if it is missing.
    CreateIfMissing,
    /// Must be there.
    Demand,
    /// Made when the first file is.
    Ignore,
}

/// `data_save_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataSaveMode {
    /// Files that are there are removed.
    Drop,
    /// They stay.
    Append,
    /// They fail the job.
    ErrorWhenExists,
}

/// Does what the save modes say.
///
/// # Errors
/// When the folder is not as demanded, or cannot be changed.
pub async fn prepare(target: &Path, schema: SchemaSaveMode, data: DataSaveMode) -> Result<(), TaskError> {
    let folder = target.to_owned();
    let unmet = file::blocking("preparing the folder", target, move || prepare_now(&folder, schema, data)).await?;
    match unmet {
        None => Ok(()),
        Some(why) => Err(TaskError::permanent(format!("{}: {why}", target.display()))),
    }
}

/// Answers what is not as demanded.
fn prepare_now(target: &Path, schema: SchemaSaveMode, data: DataSaveMode) -> io::Result<Option<&'static str>> {
    let there = match fs::metadata(target) {
        Ok(about) if !about.is_dir() => return Ok(Some("the path is a file: a folder is needed")),
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if !there && schema == SchemaSaveMode::Demand {
        return Ok(Some("the folder is not there, and schema_save_mode is ERROR_WHEN_SCHEMA_NOT_EXIST"));
    }
    if there && data == DataSaveMode::ErrorWhenExists && holds_files(target)? {
        return Ok(Some("there are files already, and data_save_mode is ERROR_WHEN_DATA_EXISTS"));
    }
    if there && (data == DataSaveMode::Drop || schema == SchemaSaveMode::Recreate) {
        if target.parent().is_none() {
            return Ok(Some("the root folder is not emptied: name another path"));
        }
        empty(target)?;
    }
    if schema != SchemaSaveMode::Ignore {
        create_dir_durably(target)?;
    }
    Ok(None)
}

fn holds_files(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type()?;
        if !kind.is_dir() || holds_files(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes everything but the staging folder, in which other jobs may be writing. Links are removed, not followed.
fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == STAGING {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_name_their_folder_and_cannot_leave_it() {
        let path = |pattern: &str, table: &str| {
            let mut path = TablePath::parse("db.sc.t", false).expect("a path");
            path.table = table.into();
            resolve_path(pattern, &path).display().to_string()
        };
        assert_eq!(path("/out/${database_name}/${schema_name}/${table_name}", "t"), "/out/db/sc/t");
        assert_eq!(path("/out/${table_full_name}/${other}", "t"), "/out/db.sc.t/${other}");
        assert_eq!(path("/out/${table_name}", "../../etc"), "/out/%2E.%2F..%2Fetc");
        let bare = TablePath::bare("t");
        assert_eq!(resolve_path("file:///out/${table_name}", &bare), Path::new("/out/t"));
        assert_eq!(with_table_names("${table_name}", &TablePath::bare("a/b"), false), "a/b");
        assert_eq!(resolve_path("/out/${schema_name:public}/${table_name}", &bare), Path::new("/out/public/t"));
    }

    /// Every pair of modes, on a folder that is missing, empty, or holds a file: what is there afterwards, or the
    /// refusal.
    #[test]
    fn every_pair_of_save_modes_is_told() {
        use DataSaveMode as Data;
        use SchemaSaveMode as Schema;
        const NO_FOLDER: &str = "ERROR_WHEN_SCHEMA_NOT_EXIST";
        const FILES: &str = "ERROR_WHEN_DATA_EXISTS";
        let table = [
            (Schema::Recreate, Data::Drop, ["empty", "empty", "empty"]),
            (Schema::Recreate, Data::Append, ["empty", "empty", "empty"]),
            (Schema::Recreate, Data::ErrorWhenExists, ["empty", "empty", FILES]),
            (Schema::CreateIfMissing, Data::Drop, ["empty", "empty", "empty"]),
            (Schema::CreateIfMissing, Data::Append, ["empty", "empty", "file"]),
            (Schema::CreateIfMissing, Data::ErrorWhenExists, ["empty", "empty", FILES]),
            (Schema::Demand, Data::Drop, [NO_FOLDER, "empty", "empty"]),
            (Schema::Demand, Data::Append, [NO_FOLDER, "empty", "file"]),
            (Schema::Demand, Data::ErrorWhenExists, [NO_FOLDER, "empty", FILES]),
            (Schema::Ignore, Data::Drop, ["missing", "empty", "empty"]),
            (Schema::Ignore, Data::Append, ["missing", "empty", "file"]),
            (Schema::Ignore, Data::ErrorWhenExists, ["missing", "empty", FILES]),
        ];
        for (schema, data, expected) in table {
            for (before, expected) in ["missing", "empty", "file"].into_iter().zip(expected) {
                let root = tempfile::tempdir().expect("a folder");
                let target = root.path().join("out");
                if before != "missing" {
                    fs::create_dir(&target).expect("a folder");
                }
                if before == "file" {
                    fs::write(target.join("a"), "x").expect("write");
                }
                let found = match prepare_now(&target, schema, data).expect("no failure") {
                    Some(why) => why.rsplit(' ').next().unwrap_or_default(),
                    None if !target.exists() => "missing",
                    None if target.join("a").exists() => "file",
                    None => "empty",
                };
                assert_eq!(found, expected, "{schema:?}, {data:?}, {before}");
            }
        }
    }

    #[test]
    fn save_modes_do_what_they_say() {
        let root = tempfile::tempdir().expect("a folder");
        let target = root.path().join("out/deep");
        use DataSaveMode as Data;
        use SchemaSaveMode as Schema;
        let unmet = |schema, data| prepare_now(&target, schema, data).expect("no failure");
        assert!(unmet(Schema::Demand, Data::Append).is_some_and(|why| why.contains("not there")));
        assert_eq!(unmet(Schema::Ignore, Data::Drop), None);
        assert!(!target.exists());
        assert_eq!(unmet(Schema::CreateIfMissing, Data::ErrorWhenExists), None);
        fs::create_dir_all(target.join("day=1")).expect("a folder");
        fs::create_dir_all(target.join(STAGING)).expect("a folder");
        assert_eq!(unmet(Schema::Demand, Data::ErrorWhenExists), None, "folders alone are no data");
        fs::write(target.join("day=1/a"), "x").expect("write");
        assert!(unmet(Schema::CreateIfMissing, Data::ErrorWhenExists).is_some());
        assert_eq!(unmet(Schema::CreateIfMissing, Data::Append), None);
        assert!(target.join("day=1/a").exists());
        assert_eq!(unmet(Schema::CreateIfMissing, Data::Drop), None);
        assert!(!target.join("day=1").exists() && target.join(STAGING).exists());
        fs::write(root.path().join("file"), "x").expect("write");
        let file = prepare_now(&root.path().join("file"), Schema::Recreate, Data::Append).expect("no failure");
        assert!(file.is_some_and(|why| why.contains("is a file")));
    }
}
