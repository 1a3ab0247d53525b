//! Tar, as it comes: a head of 512 bytes for each entry, then its bytes, filled up to the next 512.

use async_trait::async_trait;
use egret_runtime::plugin::TaskError;
use egret_runtime::shard::give_way;

use super::super::bytes::ByteStream;
use super::{Archive, Entry};

const BLOCK: usize = 512;

/// Longest name or extended head of an entry.
const NAME_BYTES_MAX: u64 = 1 << 20;

/// Walks over a stream of tar.
pub struct Tar {
    stream: Box<dyn ByteStream>,
    about: Box<str>,
    /// Bytes that were read, from `used` on.
    buffer: Vec<u8>,
    used: usize,
    /// Bytes of the current entry that are still to come, then those that fill it up.
    left: u64,
    fill: u64,
    /// What heads before the entry's own say of it.
    long: Long,
    /// A head that is followed by a name or further facts, still to be read.
    wanted: Option<(u8, u64)>,
}

/// What heads before an entry's own say of it.
#[derive(Default)]
struct Long {
    name: Option<Box<str>>,
    size: Option<u64>,
}

impl Tar {
    /// Reads from a stream; `about` names it in messages.
    pub fn new(stream: Box<dyn ByteStream>, about: &str) -> Self {
        Self {
            stream,
            about: about.into(),
            buffer: Vec::new(),
            used: 0,
            left: 0,
            fill: 0,
            long: Long::default(),
            wanted: None,
        }
    }

    fn broken(&self, why: &str) -> TaskError {
        TaskError::permanent(format!("{}: {why}", self.about))
    }

    fn ready(&self) -> usize {
        self.buffer.len() - self.used
    }

    /// Reads a further piece; `false` at the end.
    async fn more(&mut self) -> Result<bool, TaskError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        Ok(self.stream.fill(&mut self.buffer).await? > 0)
    }

    /// Steps over what is left of the current entry.
    async fn skip(&mut self) -> Result<(), TaskError> {
        while self.left + self.fill > 0 {
            if self.ready() == 0 && !self.more().await? {
                return Err(self.broken("the archive is cut off"));
            }
            let ready = self.ready() as u64;
            let of_entry = ready.min(self.left);
            let of_fill = (ready - of_entry).min(self.fill);
            self.left -= of_entry;
            self.fill -= of_fill;
            self.used += (of_entry + of_fill) as usize;
            give_way().await;
        }
        Ok(())
    }

    /// Reads the name or the facts that a head announced.
    async fn long(&mut self) -> Result<(), TaskError> {
        let Some((kind, size)) = self.wanted else { return Ok(()) };
        if size > NAME_BYTES_MAX {
            return Err(self.broken("a name in the archive is longer than 1 MiB"));
        }
        let whole = (size as usize).next_multiple_of(BLOCK);
        while self.ready() < whole {
            if !self.more().await? {
                return Err(self.broken("the archive is cut off"));
            }
        }
        let text = &self.buffer[self.used..self.used + size as usize];
        match kind {
            b'L' => self.long.name = Some(text_of(text).into()),
            b'x' => self.long.read_pax(text),
            _ => {}
        }
        self.used += whole;
        self.wanted = None;
        Ok(())
    }

    /// The next head; none at the end.
    async fn head(&mut self) -> Result<Option<[u8; BLOCK]>, TaskError> {
        while self.ready() < BLOCK {
            if !self.more().await? {
                return if self.ready() == 0 { Ok(None) } else { Err(self.broken("the archive is cut off")) };
            }
        }
        let mut head = [0; BLOCK];
        head.copy_from_slice(&self.buffer[self.used..self.used + BLOCK]);
        self.used += BLOCK;
        Ok(head.iter().any(|byte| *byte != 0).then_some(head))
    }
}

/// Text up to the first zero byte.
fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A number in octal digits, or in 8 bytes with the top bit set.
fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        let low = bytes.last_chunk::<8>()?;
        let high = bytes.get(1..bytes.len() - 8)?;
        return high.iter().all(|byte| *byte == 0).then(|| u64::from_be_bytes(*low) & (u64::MAX >> 1));
    }
    let text = text_of(bytes);
    let digits = text.trim();
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

fn checksum_holds(head: &[u8; BLOCK]) -> bool {
    let sum = |signed: bool| -> i64 {
        head.iter()
            .enumerate()
            .map(|(at, byte)| match at {
                148..156 => i64::from(b' '),
                _ if signed => i64::from(*byte as i8),
                _ => i64::from(*byte),
            })
            .sum()
    };
    let told = number(&head[148..156]).and_then(|told| i64::try_from(told).ok());
    told.is_some_and(|told| told == sum(false) || told == sum(true))
}

impl Long {
    /// Facts of the form `27 path=some/name\n`.
    fn read_pax(&mut self, mut text: &[u8]) {
        while let Some(blank) = text.iter().position(|byte| *byte == b' ') {
            let length = std::str::from_utf8(&text[..blank]).ok().and_then(|digits| digits.parse::<usize>().ok());
            let Some(record) = length.and_then(|length| text.get(blank + 1..length)) else { return };
            let record = record.strip_suffix(b"\n").unwrap_or(record);
            if let Some(name) = record.strip_prefix(b"path=") {
                self.name = Some(String::from_utf8_lossy(name).into());
            } else if let Some(size) = record.strip_prefix(b"size=") {
                self.size = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
            }
            text = &text[length.unwrap_or(text.len())..];
        }
    }
}

#[async_trait(?Send)]
impl Archive for Tar {
    async fn next_entry(&mut self) -> Result<Option<Entry>, TaskError> {
        loop {
            self.skip().await?;
            self.long().await?;
            let Some(head) = self.head().await? else { return Ok(None) };
            if !checksum_holds(&head) {
                return Err(self.broken("is no tar archive, or a broken one"));
            }
            let size = number(&head[124..136]).ok_or_else(|| self.broken("a size in the archive is broken"))?;
            let kind = head[156];
            if matches!(kind, b'L' | b'K' | b'x' | b'g') {
                self.wanted = Some((kind, size));
                continue;
            }
            let long = std::mem::take(&mut self.long);
            let name = long.name.unwrap_or_else(|| {
                let (name, prefix) = (text_of(&head[..100]), text_of(&head[345..500]));
                let has_prefix = head[257..262] == *b"ustar" && !prefix.is_empty();
                if has_prefix { format!("{prefix}/{name}").into() } else { name.into() }
            });
            if kind == b'S' {
                return Err(self.broken(&format!("'{name}' is stored with gaps, which cannot be read")));
            }
            let size = long.size.unwrap_or(size);
            self.left = size;
            self.fill = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
            let is_file = matches!(kind, 0 | b'0' | b'7') && !name.ends_with('/');
            return Ok(Some(Entry { name, has_bytes: is_file && size > 0 }));
        }
    }

    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError> {
        if self.left == 0 {
            return Ok(0);
        }
        if self.ready() == 0 && !self.more().await? {
            return Err(self.broken("the archive is cut off"));
        }
        let bytes = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.ready());
        into.extend_from_slice(&self.buffer[self.used..self.used + bytes]);
        self.used += bytes;
        self.left -= bytes as u64;
        Ok(bytes)
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.stream.close().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        assert_eq!(number(b"0000017\0"), Some(15));
        assert_eq!(number(b" 17 \0\0\0\0"), Some(15));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(1 << 33));
        assert_eq!(number(b"9"), None);
        assert_eq!(number(b"\x80\x01\0\0\0\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn facts_before_an_entry_tell_its_name_and_size() {
        let mut long = Long::default();
        long.read_pax(b"13 mtime=1.5\n18 path=some/name\n16 size=1234567\n");
        assert_eq!((long.name.as_deref(), long.size), (Some("some/name"), Some(1_234_567)));
        // Lengths that lie end the reading.
        for text in
            [&b"99 path=x\n"[..], b"0 path=x\n", b"x path=y\n", b"3 path=x\n", b" ", b"18446744073709551616 a=b\n"]
        {
            let mut long = Long::default();
            long.read_pax(text);
            assert_eq!(long.name, None);
        }
    }
}
