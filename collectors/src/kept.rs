//! Files of `/proc` and `/sys` that stay open and are read from their start again and again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Most bytes that are taken of one file; `/proc/stat` of a machine with a thousand CPUs has a tenth of it.
const BYTES_MAX: usize = 4 << 20;
/// What a buffer begins with: enough for any file of a machine of common size.
const BYTES_FIRST: usize = 16 << 10;

/// A file that is opened at its first reading and kept.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    file: Option<File>,
    /// That it cannot be read was said.
    told: bool,
}

impl Kept {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None, told: false }
    }

    /// All of its text as it is now; `None` when it cannot be read, which is logged the first time.
    pub(crate) fn read<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Option<&'b str> {
        match self.read_bytes(buffer) {
            Ok(length) => match std::str::from_utf8(&buffer[..length]) {
                Ok(text) => Some(text),
                Err(_) => self.cannot("it is not UTF-8"),
            },
            Err(error) => {
                // Another file may have taken its place.
                self.file = None;
                self.cannot(&error.to_string())
            }
        }
    }

    fn read_bytes(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(File::open(&self.path)?),
        };
        read_all(buffer, |room, at| file.read_at(room, at as u64))
    }

    fn cannot<T>(&mut self, why: &str) -> Option<T> {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!("{} cannot be read, and what is in it is not known: {why}", self.path.display());
        }
        None
    }
}

/// The text of a file that is not kept, `None` when it cannot be read.
pub(crate) fn read_into<'b>(path: &Path, buffer: &'b mut Vec<u8>) -> Option<&'b str> {
    let file = File::open(path).ok()?;
    let length = read_all(buffer, |room, at| file.read_at(room, at as u64)).ok()?;
    std::str::from_utf8(&buffer[..length]).ok()
}

/// The text of a file that is read once, `None` when it cannot be.
pub(crate) fn read_once(path: &Path) -> Option<String> {
    read_into(path, &mut Vec::new()).map(str::to_owned)
}

/// Reads to the end. The kernel makes such a file anew when it is read at 0 and may hand it out in pieces, so a short
/// piece is no end.
fn read_all(buffer: &mut Vec<u8>, read_at: impl Fn(&mut [u8], usize) -> io::Result<usize>) -> io::Result<usize> {
    if buffer.is_empty() {
        buffer.resize(BYTES_FIRST, 0);
    }
    let mut length = 0;
    loop {
        if length == buffer.len() {
            if length >= BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has over {BYTES_MAX} bytes")));
            }
            buffer.resize(length * 2, 0);
        }
        match read_at(&mut buffer[length..], length) {
            Ok(0) => return Ok(length),
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_read_anew_each_time_and_grows_its_buffer() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "one").expect("written");
        let (mut kept, mut buffer) = (Kept::new(&path), Vec::new());
        assert_eq!(kept.read(&mut buffer), Some("one"));
        let long = "x".repeat(3 * BYTES_FIRST + 1);
        std::fs::write(&path, &long).expect("written");
        assert_eq!(kept.read(&mut buffer), Some(&*long));
        std::fs::write(&path, "2").expect("written");
        assert_eq!(kept.read(&mut buffer), Some("2"));
    }

    #[test]
    fn what_cannot_be_read_is_none_until_it_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let (mut kept, mut buffer) = (Kept::new(&path), Vec::new());
        assert_eq!(kept.read(&mut buffer), None);
        assert!(kept.told);
        std::fs::write(&path, b"\xff\xfe").expect("written");
        assert_eq!(kept.read(&mut buffer), None, "no text");
        std::fs::write(&path, "now").expect("written");
        assert_eq!(kept.read(&mut buffer), Some("now"));
        assert_eq!(read_once(folder.path()), None, "a folder");
    }

    #[test]
    fn a_file_without_an_end_is_given_up() {
        let mut kept = Kept::new("/dev/zero");
        assert_eq!(kept.read(&mut Vec::new()), None);
    }
}
