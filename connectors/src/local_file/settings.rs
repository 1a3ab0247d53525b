//! What the sink's options say, checked.

use std::path::PathBuf;

use egret_runtime::config::{Problem, Problems, Severity};
use egret_runtime::row::JavaPattern;

use super::charset::Charset;
use super::options::{Checker, FileFormat};
use super::patterns::Patterns;
use super::target::{DataSaveMode, SchemaSaveMode};
use super::write::delimited::Quotes;
use super::write::excel::{ExcelStyle, SHEET_ROWS_MAX};
use super::write::orc::OrcCodec;
use super::write::parquet::compression;

const TRANSACTION: &str = "${transactionId}";

/// What holds for all tables.
#[derive(Debug)]
pub struct Settings {
    /// Format of the files.
    pub format: FileFormat,
    /// `compress_codec`: the first of the names that a codec has.
    pub codec: &'static str,
    /// `encoding`, and the name that it was given by.
    pub charset: (Charset, Box<str>),
    /// Dates, times and datetimes.
    pub patterns: Patterns,
    /// Dates, datetimes and times as cells of a sheet show them.
    pub cell_formats: [Box<str>; 3],
    /// Between fields.
    pub separator: String,
    /// Between rows.
    pub row_delimiter: String,
    /// Whether files begin with the names.
    pub header: bool,
    /// Which texts of csv stand in quotes.
    pub quotes: Quotes,
    /// `xml_use_attr_format`
    pub attributes: bool,
    /// `parquet_avro_write_timestamp_as_int96`
    pub int96: bool,
    /// `tmp_path`.
    pub tmp_path: Option<PathBuf>,
    /// `file_name_expression`, before the names of the table are put in.
    pub name: String,
    /// `filename_time_format`.
    pub time_format: JavaPattern,
    /// How file names end: compression and format.
    pub suffix: String,
    /// `is_enable_transaction`.
    pub transaction: bool,
    /// `batch_size`, or no bound.
    pub rows_max: u64,
    /// `single_file_mode`
    pub single_file: bool,
    /// `create_empty_file_when_no_data`
    pub create_empty: bool,
    /// `schema_save_mode`
    pub schema_mode: SchemaSaveMode,
    /// `data_save_mode`
    pub data_mode: DataSaveMode,
}

/// Whether a format holds text, which has an encoding.
pub fn has_encoding(format: FileFormat) -> bool {
    format.is_text() || format == FileFormat::Xml
}

fn warn(checker: &Checker<'_>, option: &str, message: impl Into<String>, warnings: &mut Problems) {
    warnings.push(Problem { severity: Severity::Warning, ..checker.problem(option, message) });
}

/// Reads the options that hold for all tables; `None` when they are not to be used.
pub fn settings(checker: &mut Checker<'_>, warnings: &mut Problems) -> Option<Settings> {
    let format = checker.any_format();
    let patterns = checker.patterns();
    let charset = charset(checker);
    let options = checker.options;
    let codec = codec(checker, format);
    check_int96(checker, format, warnings);
    let transaction = options.boolean("is_enable_transaction").unwrap_or(true);
    if format == FileFormat::Binary && !transaction {
        checker.error("is_enable_transaction", "binary files are written in transactions: leave it true");
    }
    let name = file_name(checker, transaction, warnings);
    let time_format = time_format(checker);
    let separator = separator(checker, format, warnings);
    check_effects(checker, format, warnings);
    let row_delimiter = options.text("row_delimiter").unwrap_or_else(|| "\n".into());
    if row_delimiter.is_empty() && format.is_text() {
        checker.error("row_delimiter", "may not be empty");
    }
    if format == FileFormat::Xml && options.boolean("xml_use_attr_format").is_none() {
        checker.error("xml_use_attr_format", "User must define xml_use_attr_format when file_format_type is xml");
    }
    let suffix = suffix(checker, format, codec?);
    let single_file = options.boolean("single_file_mode") == Some(true);
    Some(Settings {
        format,
        codec: codec?,
        charset: charset?,
        patterns,
        cell_formats: ExcelStyle::formats(
            ["date_format", "datetime_format", "time_format"].map(|name| options.text(name)),
        ),
        separator,
        row_delimiter,
        header: options.boolean("enable_header_write").unwrap_or_default(),
        int96: options.boolean("parquet_avro_write_timestamp_as_int96") == Some(true),
        quotes: match (format, options.word("csv_string_quote_mode")) {
            (FileFormat::Csv, Some("ALL")) => Quotes::All,
            (FileFormat::Csv, Some("NONE")) => Quotes::None,
            (FileFormat::Csv, _) => Quotes::Minimal,
            _ => Quotes::None,
        },
        attributes: options.boolean("xml_use_attr_format").unwrap_or_default(),
        tmp_path: options.text("tmp_path").filter(|path| !path.is_empty()).map(PathBuf::from),
        name,
        time_format: time_format?,
        suffix,
        transaction,
        rows_max: rows_max(checker, format, single_file),
        single_file,
        create_empty: options.boolean("create_empty_file_when_no_data").unwrap_or_default(),
        schema_mode: match options.word("schema_save_mode") {
            Some("RECREATE_SCHEMA") => SchemaSaveMode::Recreate,
            Some("ERROR_WHEN_SCHEMA_NOT_EXIST") => SchemaSaveMode::Demand,
            Some("IGNORE") => SchemaSaveMode::Ignore,
            _ => SchemaSaveMode::CreateIfMissing,
        },
        data_mode: match options.word("data_save_mode") {
            Some("DROP_DATA") => DataSaveMode::Drop,
            Some("ERROR_WHEN_DATA_EXISTS") => DataSaveMode::ErrorWhenExists,
            _ => DataSaveMode::Append,
        },
    })
}

fn charset(checker: &mut Checker<'_>) -> Option<(Charset, Box<str>)> {
    let name = checker.options.text("encoding").unwrap_or_else(|| "UTF-8".into());
    match Charset::of(&name) {
        Ok(charset) => Some((charset, name.into())),
        Err(why) => {
            checker.error("encoding", why);
            None
        }
    }
}

/// The codec, if the format has it.
fn codec(checker: &mut Checker<'_>, format: FileFormat) -> Option<&'static str> {
    let codec = match checker.options.word("compress_codec").unwrap_or("none") {
        "gz" => "gzip",
        "bz2" => "bzip2",
        word => word,
    };
    let (known, all) = match format {
        FileFormat::Text | FileFormat::Csv | FileFormat::Json | FileFormat::Xml => (true, ""),
        FileFormat::Parquet => (compression(codec).is_some(), "none, snappy, gzip, zstd, lz4 and brotli they can"),
        FileFormat::Orc => (OrcCodec::of(codec).is_some(), "none, zlib, snappy, lzo, lz4 and zstd they can"),
        FileFormat::Excel => (codec == "none", "they are compressed already"),
        FileFormat::Binary => (codec == "none", "they are copied as they are"),
    };
    if !known {
        let name = checker.options.word("file_format_type").unwrap_or("csv");
        checker.error("compress_codec", format!("{name} files cannot be compressed with {codec}: {all}"));
    }
    known.then_some(codec)
}

fn suffix(checker: &mut Checker<'_>, format: FileFormat, codec: &str) -> String {
    let codec = match codec {
        "lzo" => ".lzo",
        "snappy" => ".snappy",
        "lz4" => ".lz4",
        "zlib" => ".zlib",
        "gzip" => ".gz",
        "bzip2" => ".bz2",
        "brotli" => ".br",
        "zstd" => ".zstd",
        _ => "",
    };
    let given = checker.options.text("filename_extension").unwrap_or_default();
    if given.contains(['/', '\0']) {
        checker.error("filename_extension", "may not hold '/'");
    }
    match given.trim() {
        "" => format!("{codec}{}", format.suffix()),
        given => format!("{codec}.{}", given.trim_start_matches('.')),
    }
}

fn rows_max(checker: &mut Checker<'_>, format: FileFormat, single_file: bool) -> u64 {
    if single_file {
        return u64::MAX;
    }
    let rows = checker.options.count("batch_size").unwrap_or(1_000_000) as u64;
    if format == FileFormat::Excel && rows >= SHEET_ROWS_MAX {
        let message =
            format!("a sheet has {SHEET_ROWS_MAX} rows, the names among them: at most {} fit", SHEET_ROWS_MAX - 1);
        checker.error("batch_size", message);
    }
    rows
}

fn check_int96(checker: &mut Checker<'_>, format: FileFormat, warnings: &mut Problems) {
    let (times, fixed) = ("parquet_avro_write_timestamp_as_int96", "parquet_avro_write_fixed_as_int96");
    if format == FileFormat::Parquet {
        if checker.options.texts(fixed).is_some_and(|names| !names.is_empty()) {
            let message =
                format!("is not supported: columns of 12 bytes have no type here ({times} is for timestamps)");
            checker.error(fixed, message);
        }
        return;
    }
    for option in [times, fixed].into_iter().filter(|option| checker.options.is_given(option)) {
        warn(checker, option, "has an effect on parquet alone", warnings);
    }
}

/// Warns about options that the format has no use for, and refuses combinations that make no sense.
fn check_effects(checker: &mut Checker<'_>, format: FileFormat, warnings: &mut Problems) {
    let options = checker.options;
    let on = |name: &str| options.boolean(name) == Some(true);
    if on("enable_header_write") && !matches!(format, FileFormat::Text | FileFormat::Csv) {
        warn(checker, "enable_header_write", "has an effect on text and csv alone", warnings);
    }
    if options.is_given("csv_string_quote_mode") && format != FileFormat::Csv {
        warn(checker, "csv_string_quote_mode", "has an effect on csv alone", warnings);
    }
    if format == FileFormat::Binary {
        for option in ["create_empty_file_when_no_data", "single_file_mode"] {
            if on(option) {
                checker.error(option, "binary files are written as they were read: there is none to add or to join");
            }
        }
        for option in ["partition_by", "sink_columns"] {
            if options.texts(option).is_some_and(|names| !names.is_empty()) {
                checker.error(option, "has no meaning for binary: rows hold pieces of files");
            }
        }
    }
}

fn time_format(checker: &mut Checker<'_>) -> Option<JavaPattern> {
    let text = checker.options.text("filename_time_format").unwrap_or_default();
    match JavaPattern::compile(&text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            checker.error("filename_time_format", error.to_string());
            None
        }
    }
}

fn separator(checker: &Checker<'_>, format: FileFormat, warnings: &mut Problems) -> String {
    let given = checker.options.text("field_delimiter").unwrap_or_else(|| "\u{1}".into());
    if format != FileFormat::Csv {
        return given;
    }
    if checker.options.is_given("field_delimiter") && given != "," {
        warn(checker, "field_delimiter", "has no effect: csv files are parted by commas", warnings);
    }
    ",".into()
}

fn file_name(checker: &mut Checker<'_>, transaction: bool, warnings: &mut Problems) -> String {
    let name = checker.options.text("file_name_expression").unwrap_or_default();
    let name = if name.trim().is_empty() { TRANSACTION.to_owned() } else { name };
    if transaction && !name.contains(TRANSACTION) {
        checker.error(
            "file_name_expression",
            "file_name_expression must contains transactionId when is_enable_transaction is true",
        );
    }
    if name.contains('/') || name.contains('\0') || name.starts_with('.') {
        checker.error("file_name_expression", "may neither hold '/' nor begin with '.'");
    }
    let options = checker.options;
    if options.is_given("file_name_expression")
        && options.is_given("custom_filename")
        && options.boolean("custom_filename") == Some(false)
    {
        warn(checker, "custom_filename", "has no effect: file_name_expression is given and used", warnings);
    }
    let partitions = options.texts("partition_by").is_some_and(|names| !names.is_empty());
    match options.is_given("have_partition").then(|| options.boolean("have_partition")).flatten() {
        Some(true) if !partitions => {
            warn(checker, "have_partition", "has no effect: partition_by is not given", warnings);
        }
        Some(false) if partitions => {
            warn(checker, "have_partition", "has no effect: partition_by is given and used", warnings);
        }
        _ => {}
    }
    name
}
