//! A look at the headers of a parquet file before the library follows them.
//!
//! They are structs in Thrift's compact protocol, and a reader passes over the fields that it does not know. The
//! library takes no byte for a boolean within a list or a map that it passes over, though the protocol has one: six
//! bytes that promise two billion of them keep a core busy for seconds, and a footer has room for thousands of such
//! lists. So headers may promise no more of these than they have bytes, which no true file does. What is wrong in any
//! other way is left for the library to tell.

use parquet::errors::ParquetError;

/// Levels of structs, lists and maps within each other; the library gives up at 64 below a field that it knows.
const LEVELS_MAX: u32 = 96;

/// The field of a page's header that tells how many bytes follow it.
const PAGE_BYTES_FIELD: i64 = 3;

mod wire {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
    pub(super) const UUID: u8 = 13;
}

/// Why a walk ended early.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    /// The bytes are no struct: not for us to judge.
    Malformed,
    /// More booleans than bytes.
    Promises,
}

/// Judges the metadata at the end of a file.
///
/// # Errors
/// When it promises more values than it has bytes.
pub(super) fn check_metadata(bytes: &[u8]) -> Result<(), ParquetError> {
    let mut walk = Walk::new(bytes);
    judge(walk.structure(0).map(|_| ()))
}

/// Judges the headers of the pages of a column, which follow one another.
///
/// # Errors
/// When one promises more values than there are bytes.
pub(super) fn check_pages(bytes: &[u8]) -> Result<(), ParquetError> {
    let mut walk = Walk::new(bytes);
    judge(walk.pages())
}

fn judge(walked: Result<(), Stop>) -> Result<(), ParquetError> {
    match walked {
        Err(Stop::Promises) => {
            Err(ParquetError::General("a header promises more values than it has bytes: the file is broken".into()))
        }
        Ok(()) | Err(Stop::Malformed) => Ok(()),
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Values promised so far that take no byte of their own.
    free: u64,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, free: 0 }
    }

    fn pages(&mut self) -> Result<(), Stop> {
        while self.at < self.bytes.len() {
            let page_bytes = self.structure(0)?.ok_or(Stop::Malformed)?;
            self.skip(u64::try_from(page_bytes).map_err(|_| Stop::Malformed)?)?;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Stop> {
        let byte = *self.bytes.get(self.at).ok_or(Stop::Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, count: u64) -> Result<(), Stop> {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        self.at = end.filter(|end| *end <= self.bytes.len()).ok_or(Stop::Malformed)?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Stop> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Stop::Malformed)
    }

    fn zigzag(&mut self) -> Result<i64, Stop> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Passes over a struct; gives the number in its field [`PAGE_BYTES_FIELD`], if it has one.
    fn structure(&mut self, level: u32) -> Result<Option<i64>, Stop> {
        if level > LEVELS_MAX {
            return Err(Stop::Malformed);
        }
        let (mut id, mut page_bytes) = (0i64, None);
        loop {
            let header = self.byte()?;
            let kind = header & 0x0f;
            if kind == 0 {
                return Ok(page_bytes);
            }
            id = match header >> 4 {
                0 => self.zigzag()?,
                delta => id.saturating_add(i64::from(delta)),
            };
            match kind {
                // A field's own boolean is told by its type.
                wire::TRUE | wire::FALSE => {}
                wire::I32 if id == PAGE_BYTES_FIELD => page_bytes = Some(self.zigzag()?),
                _ => self.value(kind, level + 1)?,
            }
        }
    }

    fn value(&mut self, kind: u8, level: u32) -> Result<(), Stop> {
        match kind {
            wire::TRUE | wire::FALSE => self.promise(1),
            wire::BYTE => self.skip(1),
            wire::I16 | wire::I32 | wire::I64 => self.varint().map(|_| ()),
            wire::DOUBLE => self.skip(8),
            wire::UUID => self.skip(16),
            wire::BINARY => {
                let length = self.varint()?;
                self.skip(length)
            }
            wire::STRUCT => self.structure(level).map(|_| ()),
            wire::LIST | wire::SET => self.list(level),
            wire::MAP => self.map(level),
            _ => Err(Stop::Malformed),
        }
    }

    fn promise(&mut self, values: u64) -> Result<(), Stop> {
        self.free = self.free.saturating_add(values);
        if self.free > self.bytes.len() as u64 { Err(Stop::Promises) } else { Ok(()) }
    }

    fn list(&mut self, level: u32) -> Result<(), Stop> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        self.items(count, &[header & 0x0f], level)
    }

    fn map(&mut self, level: u32) -> Result<(), Stop> {
        let count = self.varint()?;
        if count == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        self.items(count, &[kinds >> 4, kinds & 0x0f], level)
    }

    /// Passes over `count` values, or pairs of them.
    fn items(&mut self, count: u64, kinds: &[u8], level: u32) -> Result<(), Stop> {
        if level > LEVELS_MAX {
            return Err(Stop::Malformed);
        }
        if kinds.iter().all(|kind| matches!(*kind, wire::TRUE | wire::FALSE)) {
            return self.promise(count);
        }
        // Every round takes at least a byte, so this ends with the bytes.
        for _ in 0..count {
            for kind in kinds {
                self.value(*kind, level + 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The unknown field 100 of a struct: a list of `count` items of a type.
    fn list_field(kind: u8, count: u32) -> Vec<u8> {
        let mut bytes = vec![0x09, 0xc8, 0x01, 0xf0 | kind];
        let mut rest = count;
        while rest > 0x7f {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }

    /// A page's header: type, sizes, and what is given; then the page.
    fn page(fields: &[u8], body: &[u8]) -> Vec<u8> {
        let size = body.len() as u8 * 2;
        [&[0x15, 0, 0x15, size, 0x15, size], fields, &[0], body].concat()
    }

    #[test]
    fn booleans_that_are_only_promised_are_refused() {
        for kind in [wire::TRUE, wire::FALSE] {
            let metadata = [list_field(kind, i32::MAX as u32), vec![0]].concat();
            let error = check_metadata(&metadata).expect_err("promises").to_string();
            assert!(error.contains("promises more values than it has bytes"), "{error}");
        }
        let map = [0x0b, 0xc8, 0x01, 0xff, 0xff, 0xff, 0xff, 0x07, 0x12, 0];
        assert!(check_metadata(&map).is_err());
        // Many short ones together, too.
        let many = [list_field(wire::FALSE, 100).repeat(50), vec![0]].concat();
        assert!(check_metadata(&many).is_err());
    }

    #[test]
    fn promises_in_the_header_of_any_page_are_refused() {
        let good = page(&[], b"abcdefgh");
        let bad = page(&list_field(wire::FALSE, 1 << 30), b"x");
        assert!(check_pages(&[good.clone(), good.clone()].concat()).is_ok());
        assert!(check_pages(&[good.clone(), bad, good.clone()].concat()).is_err());
        // What looks like such a list within a page is none.
        let body = list_field(wire::FALSE, 1 << 30);
        assert!(check_pages(&[page(&[], &body), good].concat()).is_ok());
    }

    #[test]
    fn what_a_true_header_may_hold_passes() {
        let few = [list_field(wire::FALSE, 7), vec![0x38, 4], b"text".to_vec(), vec![0]].concat();
        assert_eq!(check_metadata(&few).err().map(|error| error.to_string()), None);
        let nested = [vec![0x1c, 0x15, 2, 0], list_field(wire::I32, 3), vec![2, 4, 6, 0x11, 0]].concat();
        assert!(check_metadata(&nested).is_ok());
        let mut walk = Walk::new(&nested);
        assert_eq!((walk.structure(0), walk.at), (Ok(None), nested.len()));
    }

    #[test]
    fn broken_bytes_are_left_to_the_library_and_end_the_walk() {
        let deep = vec![0x1c; 10_000];
        let lists = [vec![0x19], vec![0x19; 10_000]].concat();
        let cut = list_field(wire::STRUCT, u32::MAX);
        for bytes in [&[][..], &[0xff], &[0x18, 0xff, 0xff, 0xff, 0xff, 0x7f], &deep, &lists, &cut] {
            assert!(check_metadata(bytes).is_ok());
            assert!(check_pages(bytes).is_ok());
        }
        proptest::proptest!(|(bytes: Vec<u8>)| {
            let _ = (check_metadata(&bytes), check_pages(&bytes));
        });
    }
}
