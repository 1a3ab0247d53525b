//! DuckDB beside it: a script for a Python that has it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Copy, Format, table};

/// `copy SQL`: runs it with one thread, prints the seconds that it took. `same A B`: prints what two scans tell of all
/// their rows, one a line.
const SCRIPT: &str = r#"
import sys, time
import duckdb

connection = duckdb.connect()
connection.execute("SET threads = 1")
connection.execute("SET preserve_insertion_order = true")
if sys.argv[1] == "version":
    print(duckdb.__version__)
elif sys.argv[1] == "copy":
    start = time.perf_counter()
    connection.execute(sys.argv[2])
    print(time.perf_counter() - start)
else:
    for scan in sys.argv[2:]:
        print(connection.execute(
            "SELECT count(*), sum(id), sum(quantity), sum(ratio::DECIMAL(20,6)), sum(price), count(distinct code), "
            "sum(length(comment)), min(day), max(day), min(moment), max(moment), count(*) FILTER (active), count(note), "
            "sum(length(note)) FROM " + scan).fetchall())
"#;

/// A Python that has DuckDB.
pub struct Duck {
    python: PathBuf,
    script: PathBuf,
}

impl Duck {
    /// Writes the script into a folder.
    pub fn new(python: &Path, folder: &Path) -> io::Result<Self> {
        let script = folder.join("duck.py");
        fs::write(&script, SCRIPT)?;
        Ok(Self { python: python.to_owned(), script })
    }

    /// Runs the script.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).args(arguments);
        command
    }
}

/// How DuckDB reads files of a format, of the columns that we know.
pub fn scan(format: Format, pattern: &str) -> String {
    let columns = table::duck_columns();
    match format {
        Format::Csv => format!(
            "read_csv('{pattern}', auto_detect=false, header=false, delim=',', quote='\"', escape='\"', columns={columns})"
        ),
        Format::Json => format!("read_json('{pattern}', format='newline_delimited', columns={columns})"),
        Format::Parquet => format!("read_parquet('{pattern}')"),
    }
}

/// The statement of a copy.
pub fn statement(copy: Copy, from: &str, to: &str, codec: &str) -> String {
    let options = match copy.to() {
        Format::Parquet => format!("FORMAT parquet, COMPRESSION {codec}, ROW_GROUP_SIZE {}", super::ROW_GROUP_ROWS),
        _ => "FORMAT json".to_owned(),
    };
    format!("COPY (SELECT * FROM {}) TO '{to}' ({options})", scan(copy.from(), from))
}
