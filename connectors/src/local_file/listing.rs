//! Which files there are to read, found at plan time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use egret_runtime::java_regex::{Flags, JavaRegex};

use super::names::{NULL_PARTITION, unescape};

/// Folders within each other; more are taken for a loop of links.
const DEPTH_MAX: usize = 64;

/// Which files of a folder are wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    /// What the whole name must match.
    pub name: Option<JavaRegex>,
    /// Whether that is about the whole path.
    pub by_path: bool,
    /// The path must contain one of these, unless there are none.
    pub partitions: Vec<String>,
}

/// Java's regular expression that a whole name must match.
///
/// # Errors
/// When it is none.
pub fn whole_name(pattern: &str) -> Result<JavaRegex, String> {
    JavaRegex::compile(&format!("^(?:{pattern})$"), Flags::default())
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Where it is.
    pub path: Box<str>,
    /// `key=value` folders on its path, in their order; the value that stands for null is `None`.
    pub partitions: Vec<(Box<str>, Option<Box<str>>)>,
}

/// Lists the files below a path, sorted by path. Skipped are empty files, names that begin with a dot (folders too:
/// files that another job has not yet committed stand in such) and `_SUCCESS`.
///
/// # Errors
/// With the path at fault.
pub fn list(root: &Path, wanted: &Wanted) -> Result<Vec<FoundFile>, (PathBuf, io::Error)> {
    let mut found = Vec::new();
    let about = fs::metadata(root).map_err(|error| (root.to_owned(), error))?;
    if about.is_dir() {
        walk(root, wanted, 0, &mut found)?;
    } else {
        add(root, about.len(), wanted, &mut found)?;
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn walk(folder: &Path, wanted: &Wanted, depth: usize, found: &mut Vec<FoundFile>) -> Result<(), (PathBuf, io::Error)> {
    let at = |error| (folder.to_owned(), error);
    if depth > DEPTH_MAX {
        return Err(at(io::Error::other("more than 64 folders within each other: is there a loop of links?")));
    }
    for entry in fs::read_dir(folder).map_err(at)? {
        let entry = entry.map_err(at)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let about = match fs::metadata(&path) {
            Ok(about) => about,
            // Gone since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err((path, error)),
        };
        if about.is_dir() {
            walk(&path, wanted, depth + 1, found)?;
        } else {
            add(&path, about.len(), wanted, found)?;
        }
    }
    Ok(())
}

fn add(path: &Path, bytes: u64, wanted: &Wanted, found: &mut Vec<FoundFile>) -> Result<(), (PathBuf, io::Error)> {
    let Some(text) = path.to_str() else {
        return Err((path.to_owned(), io::Error::other("the path is not UTF-8")));
    };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let named = match &wanted.name {
        Some(pattern) => {
            let matched = pattern.is_match(if wanted.by_path { text } else { name });
            matched.map_err(|error| (path.to_owned(), io::Error::other(format!("file_filter_pattern: {error}"))))?
        }
        None => true,
    };
    if bytes == 0
        || name.starts_with('.')
        || name == "_SUCCESS"
        || !named
        || !(wanted.partitions.is_empty() || wanted.partitions.iter().any(|part| text.contains(part.as_str())))
    {
        return Ok(());
    }
    found.push(FoundFile { path: text.into(), partitions: partitions_of(text) });
    Ok(())
}

fn partitions_of(path: &str) -> Vec<(Box<str>, Option<Box<str>>)> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders
        .split('/')
        .filter_map(|folder| {
            let (key, value) = folder.split_once('=')?;
            let value = (value != NULL_PARTITION).then(|| unescape(value).into());
            (!key.is_empty()).then(|| (unescape(key).into(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_and_empty_files_are_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for (path, text) in [
            ("b=2/c=x%2Fy/1.txt", "1"),
            ("a.txt", "1"),
            ("empty.txt", ""),
            ("_SUCCESS", "1"),
            (".hidden", "1"),
            (".egret-staging/1/x.txt", "1"),
            ("b=__HIVE_DEFAULT_PARTITION__/2.txt", "1"),
            ("z.csv", "1"),
        ] {
            fs::create_dir_all(root.join(path).parent().expect("a parent")).expect("folders");
            fs::write(root.join(path), text).expect("write");
        }
        let names = |wanted: &Wanted| -> Vec<String> {
            let prefix = format!("{}/", root.display());
            list(root, wanted).expect("files").iter().map(|file| file.path.replace(&prefix, "")).collect()
        };
        assert_eq!(
            names(&Wanted::default()),
            ["a.txt", "b=2/c=x%2Fy/1.txt", "b=__HIVE_DEFAULT_PARTITION__/2.txt", "z.csv"]
        );
        let text = Wanted {
            name: whole_name(".*[.]txt").ok(),
            by_path: false,
            partitions: vec!["/b=2".into(), "z.csv".into()],
        };
        assert_eq!(names(&text), ["b=2/c=x%2Fy/1.txt"]);
        let others = Wanted { name: whole_name("(?!a).*\\p{Lower}").ok(), ..Wanted::default() };
        assert_eq!(names(&others), ["b=2/c=x%2Fy/1.txt", "b=__HIVE_DEFAULT_PARTITION__/2.txt", "z.csv"]);
        let files = list(&root.join("b=2"), &Wanted::default()).expect("files");
        assert_eq!(files[0].partitions, [("b".into(), Some("2".into())), ("c".into(), Some("x/y".into()))]);
        let files = list(&root.join("b=__HIVE_DEFAULT_PARTITION__/2.txt"), &Wanted::default()).expect("files");
        assert_eq!(files[0].partitions, [("b".into(), None)]);
        let (path, error) = list(&root.join("nowhere"), &Wanted::default()).expect_err("missing");
        assert_eq!((path, error.kind()), (root.join("nowhere"), io::ErrorKind::NotFound));
    }

    #[test]
    fn a_loop_of_links_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).expect("a link");
        // Either our bound or the system's ends it.
        assert!(list(folder.path(), &Wanted::default()).is_err());
    }
}
