//! The options of LocalFile's source (contract D.4), and what it shares with the sink.

use egret_runtime::config::{OptionKind, OptionSpec, OptionTable, Options, Problem, Problems};
use egret_runtime::plugin::PlanContext;

use super::patterns::{DATE_FORMATS, DatePattern, DateTimePattern, Patterns, TIME_FORMATS, TimePattern};
use super::read::archive::ARCHIVES;
use super::read::codec::CODECS as CODECS_READ;

const FORMATS: &[&str] = &["text", "txt", "csv", "json", "parquet", "orc", "excel", "xlsx", "xls", "xml", "binary"];

pub(super) const FORMAT: OptionSpec =
    OptionSpec::new("file_format_type", OptionKind::OneOf(FORMATS), "Format of the files.").example("csv");
pub(super) const DATE: OptionSpec = OptionSpec::new(
    "date_format",
    OptionKind::Text,
    "Pattern of dates: yyyy-MM-dd, yyyy.MM.dd or yyyy/MM/dd. Reading without it takes any of them.",
)
.example("yyyy/MM/dd");
pub(super) const DATETIME: OptionSpec = OptionSpec::new(
    "datetime_format",
    OptionKind::Text,
    "Pattern of timestamps: a date pattern, a blank or 'T', and a time pattern; or yyyyMMddHHmmss.",
)
.example("\"yyyy-MM-dd HH:mm:ss.SSSSSS\"");
pub(super) const TIME: OptionSpec = OptionSpec::new(
    "time_format",
    OptionKind::Text,
    "Pattern of times: HH:mm:ss, also with .SSS, .SSSSSS or .SSSSSSSSS.",
)
.example("HH:mm:ss");

const SOURCE_PATH: OptionSpec =
    OptionSpec::new("path", OptionKind::Text, "File or folder to read. Folders are read with all below them.")
        .example("\"/data/in\"");
const SCHEMA: OptionSpec = OptionSpec::new(
    "schema",
    OptionKind::Object,
    "Columns. csv, json, excel and xml need it; text without it gives one column `content`; parquet and orc files bring \
     their own, whose types it may change; binary has none.",
)
.example("{ fields { id = bigint, name = string } }");
const READ_COLUMNS: OptionSpec =
    OptionSpec::new("read_columns", OptionKind::TextList, "Columns to read, in this order.").example("[\"id\"]");
const DELIMITER: OptionSpec = OptionSpec::new(
    "field_delimiter",
    OptionKind::Text,
    "What parts the fields of a line (in excel and xml: of a row within a value): a text, or a regular expression. \
     \\001 unless given; for csv a comma.",
)
.aliases(&["delimiter"])
.example("\";\"");
const SKIP: OptionSpec = OptionSpec::new(
    "skip_header_row_number",
    OptionKind::COUNT,
    "Lines (rows of a sheet) to skip at the start of each file, also of each file in an archive. text, csv, json, excel.",
)
.default("0");
const PARSE_PARTITION: OptionSpec = OptionSpec::new(
    "parse_partition_from_path",
    OptionKind::Boolean,
    "Whether folders named key=value become further columns of type string.",
)
.default("true");
const FILTER: OptionSpec = OptionSpec::new(
    "file_filter_pattern",
    OptionKind::Text,
    "Regular expression that the whole name of a file must match for it to be read; the whole path, if it begins with \
     that of `path`.",
)
.example("\"part-.*[.]csv\"");
const READ_PARTITIONS: OptionSpec = OptionSpec::new(
    "read_partitions",
    OptionKind::TextList,
    "Only files whose path contains one of these texts are read.",
)
.example("[\"day=2024-01-01\"]");
const COMPRESS: OptionSpec = OptionSpec::new(
    "compress_codec",
    OptionKind::OneOf(CODECS_READ),
    "Compression of text, csv, json, excel and xml files. A file that does not begin as the codec demands is read as it \
     is, with a warning. Of parquet and orc files it is known from the files.",
)
.default("none")
.example("gzip");
const ARCHIVE: OptionSpec = OptionSpec::new(
    "archive_compress_codec",
    OptionKind::OneOf(ARCHIVES),
    "Archive that text, csv, json, excel and xml files are in: those whose names end as the format's files do are read, \
     one after the other.",
)
.default("none")
.example("zip");
const ENCODING: OptionSpec = OptionSpec::new(
    "encoding",
    OptionKind::Text,
    "Encoding of text, csv, json and xml files, by the name that Java has for it. What cannot be decoded becomes U+FFFD \
     and counts as a warning.",
)
.default("UTF-8")
.example("GBK");
const SHEET: OptionSpec =
    OptionSpec::new("sheet_name", OptionKind::Text, "excel: the sheet to read, the first one unless given.")
        .example("Sheet1");
const XML_ROW: OptionSpec =
    OptionSpec::new("xml_row_tag", OptionKind::Text, "xml, which needs it: name of the elements that are rows.")
        .example("RECORD");
const XML_ATTRIBUTES: OptionSpec = OptionSpec::new(
    "xml_use_attr_format",
    OptionKind::Boolean,
    "xml, which needs it: whether the fields of a row are its attributes; otherwise they are the elements in it.",
)
.example("true");
const LINE_BYTES: OptionSpec = OptionSpec::new(
    "max_line_bytes",
    OptionKind::Integer { min: 1, max: super::read::lines::LINE_BYTES_LIMIT as i64 },
    "Longest line, or row of xml, in bytes, give or take a read of 512 KiB; a longer one fails the job. Not in the \
     reference engine.",
)
.default("16777216");
const WORKBOOK_BYTES: OptionSpec = OptionSpec::new(
    "max_workbook_bytes",
    OptionKind::Integer { min: 1, max: 1 << 40 },
    "excel: largest workbook in bytes, packed and unpacked; a larger one fails the job. Not in the reference engine.",
)
.default("268435456");
const TABLES: OptionSpec = OptionSpec::new(
    "tables_configs",
    OptionKind::ObjectList,
    "Several tables: each entry takes the options that a single table has at the top.",
);

/// Options of the source.
pub const SOURCE_OPTIONS: OptionTable = &[
    SOURCE_PATH,
    FORMAT,
    SCHEMA,
    READ_COLUMNS,
    DELIMITER,
    SKIP,
    PARSE_PARTITION,
    FILTER,
    READ_PARTITIONS,
    COMPRESS,
    ARCHIVE,
    ENCODING,
    DATE,
    DATETIME,
    TIME,
    SHEET,
    XML_ROW,
    XML_ATTRIBUTES,
    LINE_BYTES,
    WORKBOOK_BYTES,
    TABLES,
];

/// Options of one table to read, at the top or in an entry of `tables_configs`: all but that list, the last.
pub const TABLE_OPTIONS: OptionTable = match SOURCE_OPTIONS.split_last() {
    Some((_tables, table)) => table,
    None => &[],
};

/// The formats that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Lines cut at a separator.
    Text,
    /// Lines cut at commas, with quotes.
    Csv,
    /// An object a line.
    Json,
    /// Apache Parquet.
    Parquet,
    /// Apache ORC.
    Orc,
    /// Workbooks, xlsx and xls.
    Excel,
    /// An element a row.
    Xml,
    /// Whole files, as they are.
    Binary,
}

impl FileFormat {
    /// What file names end with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Text => ".txt",
            Self::Csv => ".csv",
            Self::Json => ".json",
            Self::Parquet => ".parquet",
            Self::Orc => ".orc",
            Self::Excel => ".xlsx",
            Self::Xml => ".xml",
            Self::Binary => "",
        }
    }

    /// Whether files hold lines of text.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Csv | Self::Json)
    }
}

/// Finds problems in options and tells where they are.
pub struct Checker<'a> {
    /// The options.
    pub options: Options<'a>,
    /// The block that they are in.
    pub context: &'a PlanContext,
    /// The errors so far.
    pub problems: Problems,
}

impl<'a> Checker<'a> {
    /// Begins without errors.
    pub fn new(options: Options<'a>, context: &'a PlanContext) -> Self {
        Self { options, context, problems: Problems::default() }
    }

    /// A problem of an option, placed at its value.
    pub fn problem(&self, option: &str, message: impl Into<String>) -> Problem {
        let mut problem = self.context.error(message).of_option(option);
        if let Some(value) = self.options.value(option) {
            problem.position = Some(value.position.clone());
        }
        problem
    }

    /// Adds a problem of an option.
    pub fn error(&mut self, option: &str, message: impl Into<String>) {
        let problem = self.problem(option, message);
        self.problems.push(problem);
    }

    /// The text of an option that must be given.
    pub fn required(&mut self, option: &str) -> Option<String> {
        let text = self.options.text(option).filter(|text| !text.is_empty());
        if text.is_none() {
            self.error(option, "is required but not given");
        }
        text
    }

    /// The format.
    pub fn format(&mut self) -> Option<FileFormat> {
        let Some(word) = self.options.word("file_format_type") else {
            self.error(
                "file_format_type",
                format!("is required but not given: expected one of {}", FORMATS.join(", ")),
            );
            return None;
        };
        Some(match word {
            "csv" => FileFormat::Csv,
            "json" => FileFormat::Json,
            "parquet" => FileFormat::Parquet,
            "orc" => FileFormat::Orc,
            "excel" | "xlsx" | "xls" => FileFormat::Excel,
            "xml" => FileFormat::Xml,
            "binary" => FileFormat::Binary,
            _ => FileFormat::Text,
        })
    }

    /// The format of files to write.
    pub fn any_format(&self) -> FileFormat {
        match self.options.word("file_format_type") {
            Some("text" | "txt") => FileFormat::Text,
            Some("json") => FileFormat::Json,
            Some("parquet") => FileFormat::Parquet,
            Some("orc") => FileFormat::Orc,
            Some("excel" | "xlsx" | "xls") => FileFormat::Excel,
            Some("xml") => FileFormat::Xml,
            Some("binary") => FileFormat::Binary,
            _ => FileFormat::Csv,
        }
    }

    /// The patterns of dates, times and datetimes.
    pub fn patterns(&mut self) -> Patterns {
        Patterns {
            date: self.pattern("date_format", DatePattern::of, &DATE_FORMATS.join(", ")),
            time: self.pattern("time_format", TimePattern::of, &TIME_FORMATS.join(", ")),
            datetime: self.pattern(
                "datetime_format",
                DateTimePattern::of,
                "yyyy-MM-dd HH:mm:ss and the like with '.' or '/' in the date, 'T' (in quotes) for the blank, a \
                 fraction .SSS, .SSSSSS or .SSSSSSSSS; or yyyyMMddHHmmss",
            ),
        }
    }

    fn pattern<T>(&mut self, option: &str, of: impl Fn(&str) -> Option<T>, expected: &str) -> Option<T> {
        let text = self.options.text(option)?;
        let pattern = of(&text);
        if pattern.is_none() {
            self.error(option, format!("'{text}' is not a pattern that files may have: expected one of {expected}"));
        }
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_says_what_it_means_and_is_there_once() {
        for table in [SOURCE_OPTIONS, super::super::sink_options::SINK_OPTIONS] {
            for (index, spec) in table.iter().enumerate() {
                assert!(!spec.meaning.is_empty(), "{}", spec.name);
                assert!(table[..index].iter().all(|other| other.name != spec.name), "{}", spec.name);
            }
        }
    }
}
