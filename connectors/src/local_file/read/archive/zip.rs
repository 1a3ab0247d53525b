//! Zip: the index at the end of the file says where entries are.

use std::rc::Rc;

use async_trait::async_trait;
use egret_runtime::file::ReadFile;
use egret_runtime::plugin::TaskError;
use egret_runtime::task::TaskProbe;

use super::super::bytes::{ByteStream, Decoded, Decoder, Step};
use super::super::codec::{Codec, Deflate, Plain};
use super::super::workbook_size::told_texts;
use super::{Archive, Entry};

/// Bytes in which the end of the index stands: its 22, and the longest comment.
const TAIL_BYTES: u64 = 22 + 0xffff;
/// Largest index.
const INDEX_BYTES_MAX: u64 = 64 << 20;

/// Bytes of an entry in which its first tag stands.
const HEAD_BYTES: usize = 64 << 10;

const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const INDEXED: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// What the index says of an entry.
#[derive(Clone, Debug)]
struct Indexed {
    name: Box<str>,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    plain: u64,
    offset: u64,
}

/// Where the index is, by the end of the file: its first byte, its length. `None` when there is no such end.
fn find_index(tail: &[u8]) -> Option<(u64, u64, Option<u64>)> {
    let at = (0..tail.len().checked_sub(21)?).rev().find(|at| tail[*at..].starts_with(END))?;
    let end = &tail[at..];
    let locator = at.checked_sub(20).map(|before| &tail[before..at]).filter(|bytes| bytes.starts_with(LOCATOR_64));
    Some((u64::from(word(end, 16)?), u64::from(word(end, 12)?), locator.and_then(|bytes| long(bytes, 8))))
}

fn read_index(index: &[u8]) -> Option<Vec<Indexed>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while index.get(at..)?.starts_with(INDEXED) {
        let (name, extra, comment) = (short(index, at + 28)?, short(index, at + 30)?, short(index, at + 32)?);
        let name_at = at + 46;
        let extra_at = name_at + usize::from(name);
        let mut entry = Indexed {
            name: String::from_utf8_lossy(index.get(name_at..extra_at)?).into(),
            flags: short(index, at + 8)?,
            method: short(index, at + 10)?,
            crc: word(index, at + 16)?,
            packed: u64::from(word(index, at + 20)?),
            plain: u64::from(word(index, at + 24)?),
            offset: u64::from(word(index, at + 42)?),
        };
        let behind = extra_at + usize::from(extra);
        entry.widen(index.get(extra_at..behind)?);
        found.push(entry);
        at = behind + usize::from(comment);
    }
    // Where they stand in the file: as a program that reads it from the start meets them.
    found.sort_by_key(|entry| entry.offset);
    Some(found)
}

impl Indexed {
    /// Takes the numbers that do not fit 32 bits from where they stand then.
    fn widen(&mut self, mut extra: &[u8]) {
        while let (Some(kind), Some(length)) = (short(extra, 0), short(extra, 2)) {
            let Some(mut body) = extra.get(4..4 + usize::from(length)) else { return };
            if kind == 1 {
                for number in [&mut self.plain, &mut self.packed, &mut self.offset] {
                    if *number == u64::from(u32::MAX)
                        && let Some(wide) = long(body, 0)
                    {
                        *number = wide;
                        body = &body[8..];
                    }
                }
            }
            extra = &extra[4 + usize::from(length)..];
        }
    }

    fn decoder(&self, path: &str) -> Result<Box<dyn Decoder>, TaskError> {
        let refused = |why: &str| TaskError::permanent(format!("{path}/{}: {why}", self.name));
        if self.flags & 1 != 0 {
            return Err(refused("is encrypted, which cannot be read"));
        }
        let inner: Box<dyn Decoder> = match self.method {
            0 => Box::new(Plain),
            8 => Box::new(Deflate::bare()),
            12 => Codec::Bzip2.decoder(path, &Rc::default()),
            93 => Codec::Zstd.decoder(path, &Rc::default()),
            other => return Err(refused(&format!("is packed by method {other}, which cannot be read"))),
        };
        Ok(Box::new(Checked { inner, crc: flate2::Crc::new(), told: (self.crc, self.plain), found: 0 }))
    }
}

/// Holds what was unpacked against the checksum and the length of the index.
struct Checked {
    inner: Box<dyn Decoder>,
    crc: flate2::Crc,
    told: (u32, u64),
    found: u64,
}

impl Decoder for Checked {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let before = output.len();
        let step = self.inner.step(input, last, output)?;
        self.crc.update(&output[before..]);
        self.found += (output.len() - before) as u64;
        if self.found > self.told.1 {
            return Err("is longer than the archive says".into());
        }
        let ended = matches!(step, Step::Ended(_)) || (step == Step::NeedsInput && last && input.is_empty());
        if ended && (self.crc.sum(), self.found) != self.told {
            return Err("its length or checksum does not match: the archive is broken".into());
        }
        Ok(step)
    }
}

/// Walks over a zip file.
pub struct Zip {
    file: ReadFile,
    path: Box<str>,
    /// The entries that are still to come, the next one last; none before the index is read.
    entries: Option<Vec<Indexed>>,
    current: Option<Box<dyn ByteStream>>,
    probe: Rc<TaskProbe>,
}

impl Zip {
    /// Reads a file.
    pub fn new(file: ReadFile, probe: Rc<TaskProbe>) -> Self {
        let path = file.path().display().to_string().into();
        Self { file, path, entries: None, current: None, probe }
    }

    fn broken(&self, why: &str) -> TaskError {
        TaskError::permanent(format!("{}: {why}", self.path))
    }

    /// A file that is no archive holds no entries, as for the reference engine, but that is told.
    async fn index(&self) -> Result<Vec<Indexed>, TaskError> {
        let tail_bytes = self.file.len().min(TAIL_BYTES);
        let head = self.file.read_at(0, self.file.len().min(4) as usize).await?;
        if !head.starts_with(LOCAL) && !head.starts_with(END) {
            tracing::warn!(file = %self.path, "is no zip archive: nothing is read from it");
            self.probe.warn(1);
            return Ok(Vec::new());
        }
        let tail = self.file.read_at(self.file.len() - tail_bytes, tail_bytes as usize).await?;
        let (mut start, mut bytes, wide) =
            find_index(&tail).ok_or_else(|| self.broken("the zip archive is cut off: its index is missing"))?;
        if let Some(wide) = wide {
            let end = self.file.read_at(wide, 56).await?;
            if let (true, Some(length), Some(first)) = (end.starts_with(END_64), long(&end, 40), long(&end, 48)) {
                (start, bytes) = (first, length);
            }
        }
        if bytes > INDEX_BYTES_MAX {
            return Err(self.broken("the index of the zip archive is larger than 64 MiB"));
        }
        let index = self.file.read_at(start, bytes as usize).await?;
        let mut entries = read_index(&index).ok_or_else(|| self.broken("the index of the zip archive is broken"))?;
        entries.reverse();
        Ok(entries)
    }
}

#[async_trait(?Send)]
impl Archive for Zip {
    async fn next_entry(&mut self) -> Result<Option<Entry>, TaskError> {
        self.current = None;
        if self.entries.is_none() {
            self.entries = Some(self.index().await?);
        }
        let Some(entry) = self.entries.as_ref().and_then(|entries| entries.last()).cloned() else { return Ok(None) };
        let has_bytes = !entry.name.ends_with('/') && entry.plain > 0;
        if has_bytes {
            let head = self.file.read_at(entry.offset, 30).await?;
            let skip = short(&head, 26).zip(short(&head, 28)).filter(|_| head.starts_with(LOCAL));
            let (name, extra) =
                skip.ok_or_else(|| self.broken("an entry of the zip archive is not where it should be"))?;
            let start = entry.offset + 30 + u64::from(name) + u64::from(extra);
            let raw = self.file.part(start..start.saturating_add(entry.packed));
            let about = format!("{}/{}", self.path, entry.name);
            // An entry that cannot be unpacked matters only if it is wanted.
            self.current = Some(match entry.decoder(&self.path) {
                Ok(decoder) => Box::new(Decoded::new(Box::new(raw), decoder, &about)),
                Err(error) => Box::new(Refused(error.to_string())),
            });
        }
        if let Some(entries) = &mut self.entries {
            entries.pop();
        }
        Ok(Some(Entry { name: entry.name, has_bytes }))
    }

    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError> {
        match &mut self.current {
            Some(current) => current.fill(into).await,
            None => Ok(0),
        }
    }

    async fn close(mut self: Box<Self>) -> Result<(), TaskError> {
        self.current = None;
        self.file.close().await
    }
}

/// An entry that cannot be read.
struct Refused(String);

#[async_trait(?Send)]
impl ByteStream for Refused {
    async fn fill(&mut self, _into: &mut Vec<u8>) -> Result<usize, TaskError> {
        Err(TaskError::permanent(self.0.clone()))
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Unpacks all entries of a workbook in memory to count their bytes, `bytes_max` at most; `None` beyond that, when it is
/// no zip file, or when it says that it has more texts than bytes. The library that reads it takes any amount.
pub fn inflated_bytes(file: &[u8], bytes_max: u64) -> Option<u64> {
    let tail = &file[file.len().saturating_sub(TAIL_BYTES as usize)..];
    let (start, bytes, _) = find_index(tail)?;
    let start = usize::try_from(start).ok()?;
    let index = file.get(start..start.checked_add(usize::try_from(bytes).ok()?)?)?;
    let (mut total, mut piece) = (0u64, Vec::new());
    for entry in read_index(index)? {
        let at = usize::try_from(entry.offset).ok()?;
        let head = file.get(at..at.checked_add(30)?)?;
        let begin = at + 30 + usize::from(short(head, 26)?) + usize::from(short(head, 28)?);
        let absurd = |start: &[u8]| told_texts(start).is_some_and(|texts| texts > bytes_max / 24);
        if entry.method != 8 {
            total = total.saturating_add(entry.plain.max(entry.packed));
            let start = file.get(begin..)?;
            if absurd(&start[..start.len().min(HEAD_BYTES)]) {
                return None;
            }
            continue;
        }
        let before = total;
        // Not only as far as the index says: others may not heed it.
        let (mut inflate, mut input) = (Deflate::bare(), file.get(begin..)?);
        loop {
            piece.clear();
            let step = inflate.step(input, true, &mut piece).ok();
            let is_start = total == before;
            total += piece.len() as u64;
            if is_start && absurd(&piece[..piece.len().min(HEAD_BYTES)]) {
                return None;
            }
            match step {
                _ if total > bytes_max => return None,
                Some(Step::Used(used)) => input = &input[used..],
                _ => break,
            }
        }
    }
    (total <= bytes_max).then_some(total)
}
