//! A csv file that is the same each time.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::random::Random;

/// The columns of the file, as a schema has them.
pub fn fields() -> Value {
    json!({
        "id": "bigint",
        "name": "string",
        "amount": "double",
        "price": "decimal(10, 2)",
        "day": "date",
        "active": "boolean"
    })
}

/// Writes so many rows to a file in a folder and gives the file further names there.
pub fn write(folder: &Path, rows: u64, names: usize) -> io::Result<()> {
    fs::create_dir(folder)?;
    let first = folder.join("part-0.csv");
    let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(&first)?);
    let (mut random, mut line) = (Random(0x9E37_79B9_7F4A_7C15), String::new());
    for id in 0..rows {
        line.clear();
        row(&mut line, id, &mut random);
        file.write_all(line.as_bytes())?;
    }
    file.into_inner()?.sync_all()?;
    (1..names).try_for_each(|name| fs::hard_link(&first, folder.join(format!("part-{name}.csv"))))
}

fn row(line: &mut String, id: u64, random: &mut Random) {
    let name: String = (0..16).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
    let (amount, price) = (random.below(1_000_000_000) as f64 / 1e3, random.below(10_000_000));
    let (year, month, day) = (2000 + random.below(25), 1 + random.below(12), 1 + random.below(28));
    // Writing to a string does not fail.
    let _ = writeln!(
        line,
        "{id},{name},{amount},{}.{:02},{year}-{month:02}-{day:02},{}",
        price / 100,
        price % 100,
        random.below(2) == 1
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_same_each_time_and_has_a_value_for_each_field() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a", "b"] {
            write(&folder.path().join(name), 100, 3).expect("written");
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("read");
        let text = read("a/part-0.csv");
        assert_eq!((text.as_str(), text.as_str()), (read("a/part-2.csv").as_str(), read("b/part-1.csv").as_str()));
        assert_eq!(text.lines().count(), 100);
        let columns = fields().as_object().map_or(0, serde_json::Map::len);
        assert!(text.lines().all(|line| line.split(',').count() == columns), "{text}");
    }
}
