//! The rows that are copied: ten mixed columns, the same each time.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::Format;

use crate::random::Random;

/// The columns: name, type of a job config, type of DuckDB.
const COLUMNS: [(&str, &str, &str); 10] = [
    ("id", "bigint", "BIGINT"),
    ("quantity", "int", "INTEGER"),
    ("ratio", "double", "DOUBLE"),
    ("price", "decimal(12, 2)", "DECIMAL(12,2)"),
    ("code", "string", "VARCHAR"),
    ("comment", "string", "VARCHAR"),
    ("day", "date", "DATE"),
    ("moment", "timestamp", "TIMESTAMP"),
    ("active", "boolean", "BOOLEAN"),
    ("note", "string", "VARCHAR"),
];

const WORDS: [&str; 16] = [
    "carefully",
    "regular",
    "deposits",
    "sleep",
    "among",
    "the",
    "final",
    "packages",
    "quickly",
    "bold",
    "requests",
    "above",
    "ironic",
    "accounts",
    "wake",
    "furiously",
];

/// The columns as a schema has them.
pub fn fields() -> Value {
    COLUMNS.iter().map(|(name, kind, _)| ((*name).to_owned(), json!(kind))).collect::<serde_json::Map<_, _>>().into()
}

/// The columns as DuckDB's readers want them.
pub fn duck_columns() -> String {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, _, kind)| format!("'{name}': '{kind}'")).collect();
    format!("{{{}}}", columns.join(", "))
}

/// One row.
struct Row {
    id: u64,
    quantity: u64,
    ratio: f64,
    price: u64,
    code: u64,
    words: [u8; 8],
    day: (u64, u64, u64),
    time: (u64, u64, u64, u64),
    active: bool,
    note: Option<u64>,
}

impl Row {
    fn draw(id: u64, random: &mut Random) -> Self {
        Self {
            id,
            quantity: random.below(1_000_000),
            ratio: random.below(1 << 40) as f64 / 1e6,
            price: random.below(100_000_000),
            code: random.below(100_000),
            words: std::array::from_fn(|_| random.below(16) as u8),
            day: (1990 + random.below(35), 1 + random.below(12), 1 + random.below(28)),
            time: (random.below(24), random.below(60), random.below(60), random.below(1_000_000)),
            active: random.below(2) == 1,
            note: (random.below(3) > 0).then(|| random.below(1000)),
        }
    }

    fn write(&self, format: Format, out: &mut Vec<u8>) -> io::Result<()> {
        let Self { id, quantity, ratio, price, code, active, .. } = self;
        let (year, month, day) = self.day;
        let (hour, minute, second, micros) = self.time;
        let (whole, cents) = (price / 100, price % 100);
        let comment = self.words.map(|word| WORDS[usize::from(word)]).join(" ");
        let date = format!("{year}-{month:02}-{day:02}");
        let time = format!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}");
        if format == Format::Json {
            let note = self.note.map_or("null".to_owned(), |note| format!("\"note {note}\""));
            return writeln!(
                out,
                "{{\"id\":{id},\"quantity\":{quantity},\"ratio\":{ratio},\"price\":{whole}.{cents:02},\"code\":\"C{code:05}\",\
                 \"comment\":\"{comment}\",\"day\":\"{date}\",\"moment\":\"{time}\",\"active\":{active},\"note\":{note}}}"
            );
        }
        let note = self.note.map_or(String::new(), |note| format!("note {note}"));
        writeln!(out, "{id},{quantity},{ratio},{whole}.{cents:02},C{code:05},{comment},{date},{time},{active},{note}")
    }
}

/// Writes so many bytes, and the rest of a row, into so many files of a folder; answers rows and bytes.
pub fn write(folder: &Path, format: Format, bytes: u64, files: u64) -> io::Result<(u64, u64)> {
    fs::create_dir(folder)?;
    let (mut random, mut row, mut id, mut written) = (Random(0x9E37_79B9_7F4A_7C15), Vec::new(), 0, 0);
    for number in 0..files {
        let name = format!("part-{number}.{}", format.name());
        let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(folder.join(name))?);
        let end = bytes / files * (number + 1);
        while written < end {
            row.clear();
            Row::draw(id, &mut random).write(format, &mut row)?;
            file.write_all(&row)?;
            id += 1;
            written += row.len() as u64;
        }
        file.into_inner()?.sync_all()?;
    }
    Ok((id, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_the_same_each_time_and_have_a_value_for_each_column() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a", "b"] {
            let (rows, bytes) = write(&folder.path().join(name), Format::Csv, 10_000, 2).expect("written");
            assert!(bytes >= 10_000 && rows > 50, "{rows} {bytes}");
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("read");
        assert_eq!(read("a/part-1.csv"), read("b/part-1.csv"));
        assert!(read("a/part-0.csv").lines().all(|line| line.split(',').count() == COLUMNS.len()));
        write(&folder.path().join("j"), Format::Json, 2_000, 1).expect("written");
        for line in read("j/part-0.json").lines() {
            let row: Value = serde_json::from_str(line).expect("json");
            assert_eq!(row.as_object().map(serde_json::Map::len), Some(COLUMNS.len()));
        }
    }
}
