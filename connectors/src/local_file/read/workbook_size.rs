//! How much memory a workbook takes before a library reads it: broken ones tell of billions of cells in a few bytes,
//! and memory that cannot be had ends the whole process.

use memchr::memmem;

/// Bytes of a cell in the library's tables.
const CELL_BYTES: u64 = 32;

/// Cells of the largest sheet that the format knows.
const SHEET_CELLS_MAX: u64 = 65_536 * 256;

/// Sheets of a workbook; more are refused.
const SHEETS_MAX: usize = 4096;

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The number of texts that a table of them, of which this is the start, says it has: room is made for all at once.
pub fn told_texts(start: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"uniqueCount";
    let behind = memmem::find(start, NAME)? + NAME.len();
    let digits: String = start[behind..]
        .iter()
        .skip_while(|byte| !byte.is_ascii_digit())
        .take_while(|byte| byte.is_ascii_digit())
        .map(|byte| char::from(*byte))
        .collect();
    digits.parse().ok()
}

/// The tables of an xls file's sheets, in bytes; `None` when the file is broken or they are too many.
pub fn xls_bytes(file: &[u8]) -> Option<u64> {
    let stream = Compound::open(file)?.stream(&["Workbook", "Book"])?;
    let mut sheets = Vec::new();
    for record in (Records { stream: &stream }) {
        match record {
            (0x85, body) if sheets.len() < SHEETS_MAX => sheets.push(word(body, 0)? as usize),
            (0x85, _) => return None,
            (0x0a, _) => break,
            _ => {}
        }
    }
    let mut cells = 0u64;
    for sheet in sheets {
        cells = cells.saturating_add(cells_of(stream.get(sheet..)?));
    }
    Some(cells.saturating_mul(CELL_BYTES))
}

/// Records of an xls stream: kind and body.
struct Records<'a> {
    stream: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = (short(self.stream, 0)?, usize::from(short(self.stream, 2)?));
        let body = self.stream.get(4..4 + length)?;
        self.stream = &self.stream[4 + length..];
        Some((kind, body))
    }
}

/// Cells of the rectangle that holds all that a sheet has; beyond count if it says that it has more than a sheet can.
fn cells_of(stream: &[u8]) -> u64 {
    let (mut rows, mut columns) = ((u64::MAX, 0), (u64::MAX, 0));
    for (kind, body) in (Records { stream }) {
        match kind {
            0x0a => break,
            // Room for what is told is made, but not used.
            0x200 if told_cells(body) > SHEET_CELLS_MAX => return u64::MAX,
            0x203..=0x205 | 0xd6 | 0x27e | 0xfd | 0x06 | 0xbd => {
                let (Some(row), Some(column)) = (short(body, 0), short(body, 2)) else { continue };
                // One of several cells is as long as they are.
                let more = if kind == 0xbd { body.len() as u64 / 6 } else { 0 };
                rows = (rows.0.min(row.into()), rows.1.max(row.into()));
                columns = (columns.0.min(column.into()), columns.1.max(u64::from(column) + more));
            }
            _ => {}
        }
    }
    if rows.0 > rows.1 { 0 } else { (rows.1 - rows.0 + 1) * (columns.1 - columns.0 + 1) }
}

/// Cells that a sheet says it has; beyond count when its end is before its start, for the library subtracts them.
fn told_cells(body: &[u8]) -> u64 {
    let (first, last, at) = if body.len() == 10 {
        (short(body, 0).map(u64::from), short(body, 2).map(u64::from), 4)
    } else {
        (word(body, 0).map(u64::from), word(body, 4).map(u64::from), 8)
    };
    let (Some(first), Some(last), Some(left), Some(right)) = (first, last, short(body, at), short(body, at + 2)) else {
        return 0;
    };
    let left = if left > 0xff || right < left { 0 } else { left };
    match last.checked_sub(first) {
        _ if last == 0 || right == 0 => 1,
        Some(height) => height * u64::from(right - left),
        None => u64::MAX,
    }
}

/// A compound file: sectors in chains.
struct Compound<'a> {
    file: &'a [u8],
    sector_bytes: usize,
    next: Vec<u32>,
}

impl<'a> Compound<'a> {
    fn open(file: &'a [u8]) -> Option<Self> {
        let sector_bytes = match short(file, 30)? {
            9 => 512,
            12 => 4096,
            _ => return None,
        };
        let mut compound = Self { file, sector_bytes, next: Vec::new() };
        let words = |bytes: &[u8]| -> Vec<u32> { (0..bytes.len() / 4).filter_map(|at| word(bytes, at * 4)).collect() };
        let mut tables = words(file.get(76..512)?);
        let mut more = word(file, 68)?;
        for _ in 0..=file.len() / sector_bytes {
            let Some(sector) = compound.sector(more) else { break };
            tables.extend(words(sector));
            more = tables.pop()?;
        }
        for table in tables {
            if let Some(sector) = compound.sector(table) {
                let mut numbers = words(sector);
                compound.next.append(&mut numbers);
            }
        }
        Some(compound)
    }

    fn sector(&self, number: u32) -> Option<&'a [u8]> {
        let start = (number as usize).checked_add(1)?.checked_mul(self.sector_bytes)?;
        let rest = self.file.get(start..).filter(|rest| !rest.is_empty())?;
        Some(&rest[..rest.len().min(self.sector_bytes)])
    }

    fn chain(&self, mut number: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A chain that is longer than the file goes round in a circle.
        while bytes.len() <= self.file.len()
            && let Some(sector) = self.sector(number)
        {
            bytes.extend_from_slice(sector);
            let Some(next) = self.next.get(number as usize) else { break };
            number = *next;
        }
        bytes
    }

    /// The first stream of one of these names.
    fn stream(&self, names: &[&str]) -> Option<Vec<u8>> {
        let folder = self.chain(word(self.file, 48)?);
        let entries: Vec<&[u8]> = folder.chunks_exact(128).collect();
        let name_of = |entry: &[u8]| -> String {
            let units = (0..32).filter_map(|at| short(entry, at * 2)).take_while(|unit| *unit != 0);
            char::decode_utf16(units).map(|symbol| symbol.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        };
        let found = |name: &&str| entries.iter().find(|entry| name_of(entry).eq_ignore_ascii_case(name));
        let entry = names.iter().find_map(found)?;
        let (start, bytes) = (word(entry, 116)?, word(entry, 120)? as usize);
        let mut stream =
            if bytes >= 4096 { self.chain(start) } else { self.small(word(entries.first()?, 116)?, start) };
        stream.truncate(bytes);
        Some(stream)
    }

    /// A small stream: in pieces of 64 bytes of a stream that holds them all.
    fn small(&self, root: u32, mut number: u32) -> Vec<u8> {
        let (pieces, table) = (self.chain(root), self.chain(word(self.file, 60).unwrap_or(u32::MAX)));
        let mut bytes = Vec::new();
        while bytes.len() < 4096
            && let Some(piece) = (number as usize).checked_mul(64).and_then(|start| pieces.get(start..start + 64))
        {
            bytes.extend_from_slice(piece);
            let Some(next) = word(&table, number as usize * 4) else { break };
            number = next;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, body: &[u16]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend((body.len() as u16 * 2).to_le_bytes());
        bytes.extend(body.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes
    }

    #[test]
    fn far_cells_and_told_sizes_are_counted() {
        let number = |row, column| record(0x203, &[row, column, 0, 0, 0, 0, 0]);
        let end = record(0x0a, &[]);
        assert_eq!(cells_of(&[number(1, 1), number(2, 3), end.clone(), number(9, 9)].concat()), 6);
        assert_eq!(cells_of(&[number(0, 0), number(u16::MAX, u16::MAX), end.clone()].concat()), 1 << 32);
        // Rows as two units each, then columns.
        let told = |last: u32, right| record(0x200, &[0, 0, last as u16, (last >> 16) as u16, 0, right, 0]);
        assert_eq!(cells_of(&[told(65_536, 256), end.clone()].concat()), 0);
        assert_eq!(cells_of(&[told(u32::MAX, 256), end].concat()), u64::MAX);
    }

    #[test]
    fn the_number_of_texts_is_found() {
        assert_eq!(told_texts(b"<sst a='1' uniqueCount = '12345'>"), Some(12345));
        assert_eq!(told_texts(b"<sst>"), None);
    }

    #[test]
    fn what_is_no_compound_file_has_no_size() {
        assert_eq!(xls_bytes(b""), None);
        assert_eq!(xls_bytes(&[0xff; 5000]), None);
    }
}
