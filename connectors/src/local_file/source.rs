//! The source: planned from options, split by file.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use egret_runtime::config::{
    OptionTable, Options, Problem, Problems, SchemaContext, Severity, Value, nearest, parse_schema, schema_of,
};
use egret_runtime::plugin::{
    FixedSplits, PlanContext, Plugin, Source, SourceFactory, SourceReader, Split, SplitEnumerator, TaskContext,
    TaskError,
};
use egret_runtime::row::{Column, DataType, TablePath, TableSchema};

use super::charset::Charset;
use super::listing::{FoundFile, Wanted, list, whole_name};
use super::options::{Checker, FileFormat, SOURCE_OPTIONS, TABLE_OPTIONS};
use super::read::archive::ArchiveKind;
use super::read::codec::Codec;
use super::read::delimited::DelimitedFormat;
use super::read::excel::{ExcelFormat, WORKBOOK_BYTES_MAX};
use super::read::tokens::Separator;
use super::read::xml::XmlFormat;
use super::read::{Place, binary, convert, orc, parquet};
use super::reader::LocalFileReader;
use super::table::{FileTable, Packing, TableFormat};

/// The column of text files that are read without a schema.
const CONTENT: &str = "content";

/// Reads files of this machine.
pub struct LocalFileSource;

impl Plugin for LocalFileSource {
    fn name(&self) -> &'static str {
        "LocalFile"
    }

    fn options(&self) -> OptionTable {
        SOURCE_OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Reads files of this machine, one by one or whole folders: text, csv, json (an object a line), parquet, orc, \
         excel, xml, and any file as it is (binary); also compressed, in archives, and in other encodings. Folders \
         named key=value become columns. Each file is one split; the files are listed, and headers that hold a schema \
         are read, when the job is planned."
    }
}

impl SourceFactory for LocalFileSource {
    fn plan(
        &self,
        options: Options<'_>,
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn Source>, Problems> {
        let mut problems = Problems::default();
        let mut tables = Vec::new();
        match options.objects("tables_configs") {
            None => match plan_table(options.with_table(TABLE_OPTIONS), context, warnings) {
                Ok(table) => tables.push(table),
                Err(found) => problems.append(found),
            },
            Some(entries) => {
                for entry in entries {
                    match plan_entry(entry, context, warnings) {
                        Ok(table) => tables.push(table),
                        Err(found) => problems.append(found),
                    }
                }
                if tables.is_empty() && problems.is_empty() {
                    problems.push(context.error("holds no table").of_option("tables_configs"));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let schemas = tables.iter().map(|table| Arc::clone(&table.schema)).collect();
        Ok(Arc::new(PlannedSource { schemas, tables: tables.into_iter().map(Arc::new).collect() }))
    }
}

fn plan_entry(entry: &Value, context: &PlanContext, warnings: &mut Problems) -> Result<FileTable, Problems> {
    let object = entry.as_object().ok_or_else(|| {
        Problems::from(Problem::error(entry.position.clone(), "expected an object").in_block(context.block.clone()))
    })?;
    let options = Options::new(object, TABLE_OPTIONS);
    let mut found = Problems::default();
    options.check(&context.block, &entry.position, &["plugin_name", "plugin_output", "result_table_name"], &mut found);
    let mut errors = Problems::default();
    for problem in found.iter() {
        let target = if problem.severity == Severity::Error { &mut errors } else { &mut *warnings };
        target.push(problem.clone());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut context = context.clone();
    context.position = entry.position.clone();
    plan_table(options, &context, warnings)
}

pub(super) fn plan_table(
    options: Options<'_>,
    context: &PlanContext,
    warnings: &mut Problems,
) -> Result<FileTable, Problems> {
    let mut checker = Checker::new(options, context);
    let path = checker.required("path");
    let format = checker.format();
    let patterns = checker.patterns();
    let packing = packing(&mut checker, format, warnings);
    let xml = xml_options(&mut checker, format);
    let wanted = wanted_files(&mut checker, path.as_deref().unwrap_or_default());
    let given = given_schema(&mut checker, warnings);
    let cut = given.as_ref().is_some_and(|given| !given.columns.is_empty());
    let separator = separator(&mut checker, format, cut);
    let files = path.as_deref().and_then(|path| found_files(&mut checker, path, &wanted));
    let (Some(path), Some(format), Some(files)) = (path, format, files) else { return Err(checker.problems) };
    let base = file_columns(&mut checker, format, given.as_ref(), &files, &path, warnings);
    let Some(columns) = base else { return Err(checker.problems) };
    let brings_schema = matches!(format, FileFormat::Parquet | FileFormat::Orc | FileFormat::Binary);
    let wanted = read_columns(&mut checker, &columns, cut || brings_schema);
    if !checker.problems.is_empty() {
        return Err(checker.problems);
    }
    let table = table_of(given, context);
    let read: Vec<Column> = wanted.iter().map(|index| columns[*index].clone()).collect();
    // A copy of files keeps their paths, so the folders are told already.
    let partitions = if format == FileFormat::Binary { Vec::new() } else { partition_names(options, &files, &read) };
    let mut all = read.clone();
    all.extend(partitions.iter().map(|name| Column::new(name, DataType::String)));
    let mut schema = table.with_columns(all);
    schema.partition_keys = partitions.clone();
    let line_bytes_max = options.count("max_line_bytes").unwrap_or(super::read::lines::LINE_BYTES_MAX);
    let skip_rows = options.count("skip_header_row_number").unwrap_or_default() as u64;
    let separator = separator.unwrap_or(Separator::None);
    let format = match format {
        FileFormat::Text | FileFormat::Csv => {
            TableFormat::Delimited(Arc::new(DelimitedFormat { separator, columns: columns.into(), wanted, skip_rows }))
        }
        FileFormat::Json => TableFormat::Json { skip_rows },
        FileFormat::Parquet => TableFormat::Parquet,
        FileFormat::Orc => TableFormat::Orc,
        FileFormat::Excel => TableFormat::Excel(Arc::new(ExcelFormat {
            sheet: options.text("sheet_name").filter(|name| !name.is_empty()).map(Into::into),
            skip_rows,
            columns: wanted.into_iter().zip(read.iter().cloned()).collect(),
            separator,
            patterns,
            bytes_max: options.count("max_workbook_bytes").unwrap_or(WORKBOOK_BYTES_MAX),
        })),
        FileFormat::Xml => {
            let (row_tag, attributes) = xml.unwrap_or_default();
            let columns = read.as_slice().into();
            let format = Arc::new(XmlFormat { row_tag, attributes, columns, row_bytes_max: line_bytes_max });
            TableFormat::Xml { format, separator }
        }
        FileFormat::Binary => TableFormat::Binary { wanted },
    };
    Ok(FileTable {
        schema: Arc::new(schema),
        file_schema: Arc::new(table.with_columns(read)),
        partitions,
        files,
        root: path.trim_end_matches('/').into(),
        format,
        packing,
        patterns,
        line_bytes_max,
    })
}

/// How files are packed and encoded. Formats that bring their own ways have no use for the options.
fn packing(checker: &mut Checker<'_>, format: Option<FileFormat>, warnings: &mut Problems) -> Packing {
    let mut packing = Packing { archive: None, codec: None, charset: Charset::Utf8 };
    if let Some(name) = checker.options.text("encoding") {
        match Charset::of(&name) {
            Ok(charset) => packing.charset = charset,
            Err(why) => checker.error("encoding", why),
        }
    }
    packing.archive = checker.options.word("archive_compress_codec").and_then(ArchiveKind::of);
    packing.codec = checker.options.word("compress_codec").and_then(Codec::of);
    let why = match format {
        Some(FileFormat::Parquet | FileFormat::Orc) => "has no effect: files of this format tell how they are packed",
        Some(FileFormat::Binary) => "has no effect: binary files are copied as they are",
        _ => return packing,
    };
    for (option, given) in
        [("archive_compress_codec", packing.archive.is_some()), ("compress_codec", packing.codec.is_some())]
    {
        if given {
            warnings.push(Problem { severity: Severity::Warning, ..checker.problem(option, why) });
        }
    }
    Packing { charset: Charset::Utf8, archive: None, codec: None }
}

/// What xml files need to be told.
fn xml_options(checker: &mut Checker<'_>, format: Option<FileFormat>) -> Option<(Box<str>, bool)> {
    if format != Some(FileFormat::Xml) {
        return None;
    }
    let row_tag = checker.required("xml_row_tag");
    let attributes = checker.options.boolean("xml_use_attr_format");
    if attributes.is_none() {
        checker.error("xml_use_attr_format", "is required but not given: true where fields are attributes");
    }
    Some((row_tag?.into(), attributes?))
}

fn wanted_files(checker: &mut Checker<'_>, path: &str) -> Wanted {
    let mut wanted =
        Wanted { partitions: checker.options.texts("read_partitions").unwrap_or_default(), ..Wanted::default() };
    if let Some(pattern) = checker.options.text("file_filter_pattern").filter(|pattern| !pattern.is_empty()) {
        wanted.by_path = pattern.starts_with(path.trim_end_matches('/'));
        match whole_name(&pattern) {
            Ok(pattern) => wanted.name = Some(pattern),
            Err(error) => checker.error("file_filter_pattern", format!("is not a regular expression: {error}")),
        }
    }
    wanted
}

/// The schema of the config; one without columns where the format brings them.
fn given_schema(checker: &mut Checker<'_>, warnings: &mut Problems) -> Option<TableSchema> {
    let schema = schema_of(checker.options.object())?;
    let default_path = default_path(checker.context);
    let context = SchemaContext { plugin: "LocalFile", block: &checker.context.block, default_path: &default_path };
    match parse_schema(&schema, &context, warnings) {
        Ok(given) => Some(given),
        Err(problems) => {
            checker.problems.append(problems);
            None
        }
    }
}

fn separator(checker: &mut Checker<'_>, format: Option<FileFormat>, cut: bool) -> Option<Separator> {
    let option = checker.options.text("field_delimiter");
    match format? {
        FileFormat::Text if !cut => Some(Separator::None),
        FileFormat::Text | FileFormat::Excel | FileFormat::Xml => {
            match Separator::of(option.as_deref().unwrap_or("\u{1}")) {
                Ok(separator) => Some(separator),
                Err(error) => {
                    checker.error("field_delimiter", format!("is not a regular expression: {error}"));
                    None
                }
            }
        }
        FileFormat::Csv => match Separator::of(option.as_deref().unwrap_or(",")) {
            Ok(Separator::Byte(byte)) if byte != b'"' => Some(Separator::Quoted(byte)),
            _ => {
                checker.error("field_delimiter", "must be a single character of ASCII, other than '\"', for csv");
                None
            }
        },
        FileFormat::Json | FileFormat::Parquet | FileFormat::Orc | FileFormat::Binary => None,
    }
}

fn found_files(checker: &mut Checker<'_>, path: &str, wanted: &Wanted) -> Option<Vec<FoundFile>> {
    match list(Path::new(path), wanted) {
        Ok(files) => Some(files),
        Err((at, error)) => {
            let error = egret_runtime::file::failure("reading", &at, &error);
            checker.error("path", error.to_string());
            None
        }
    }
}

/// The columns that files hold, in the order of delimited ones.
fn file_columns(
    checker: &mut Checker<'_>,
    format: FileFormat,
    given: Option<&TableSchema>,
    files: &[FoundFile],
    path: &str,
    warnings: &mut Problems,
) -> Option<Vec<Column>> {
    let content = || vec![Column::new(CONTENT, DataType::String)];
    match format {
        FileFormat::Binary => Some(binary::columns()),
        FileFormat::Text => Some(match given {
            Some(given) if !given.columns.is_empty() => given.columns.to_vec(),
            _ => content(),
        }),
        FileFormat::Csv | FileFormat::Json | FileFormat::Excel | FileFormat::Xml => match given {
            None => {
                checker.error("schema", "is required for this format but not given");
                None
            }
            Some(given) if given.columns.is_empty() && !files.is_empty() => {
                checker.error("schema", "names no columns: give them as fields or columns");
                None
            }
            Some(given) => Some(given.columns.to_vec()),
        },
        FileFormat::Parquet | FileFormat::Orc => match (files.first(), given) {
            (Some(first), given) => header_columns(checker, format, first, given, warnings),
            (None, Some(given)) if !given.columns.is_empty() => Some(given.columns.to_vec()),
            (None, _) => {
                // As in the reference engine: a table of one column, and no rows.
                let message = format!("there is no file below {path} to read the columns from, nor a schema");
                warnings.push(Problem { severity: Severity::Warning, ..checker.problem("path", message) });
                Some(content())
            }
        },
    }
}

/// The columns of a file that brings its own, each with the type of the schema where the file's can be read so, and
/// those of the schema that only other files can have.
fn header_columns(
    checker: &mut Checker<'_>,
    format: FileFormat,
    file: &FoundFile,
    given: Option<&TableSchema>,
    warnings: &mut Problems,
) -> Option<Vec<Column>> {
    let path = Path::new(file.path.as_ref());
    let found = if format == FileFormat::Orc { orc::columns_of(path) } else { parquet::columns_of(path) };
    let mut columns = match found {
        Ok(columns) => columns,
        Err(error) => {
            checker.error("path", error.to_string());
            return None;
        }
    };
    let Some(given) = given else { return Some(columns) };
    let mut odd = |message: String| {
        warnings.push(Problem { severity: Severity::Warning, ..checker.problem("schema", message) });
    };
    for column in &mut columns {
        let Some(wanted) = given.columns.iter().find(|wanted| wanted.name == column.name) else { continue };
        if convert::can_convert(&column.data_type, &wanted.data_type) {
            *column = wanted.clone();
        } else {
            odd(format!(
                "column '{}' stays {}, as in the files: that cannot be read as {}",
                column.name, column.data_type, wanted.data_type
            ));
        }
    }
    for wanted in given.columns.iter() {
        if !columns.iter().any(|column| column.name == wanted.name) {
            odd(format!("column '{}' is not in {}: it is null in the rows of such files", wanted.name, file.path));
            columns.push(wanted.clone());
        }
    }
    Some(columns)
}

fn read_columns(checker: &mut Checker<'_>, columns: &[Column], known: bool) -> Vec<usize> {
    let names = checker.options.texts("read_columns").filter(|names| !names.is_empty());
    let Some(names) = names else { return (0..columns.len()).collect() };
    if !known {
        checker.error("read_columns", "needs a schema");
        return Vec::new();
    }
    let mut wanted = Vec::new();
    for name in names {
        match columns.iter().position(|column| column.name.as_ref() == name) {
            Some(index) if wanted.contains(&index) => checker.error("read_columns", format!("'{name}' is there twice")),
            Some(index) => wanted.push(index),
            None => {
                let message = format!("there is no column '{name}'");
                let near = nearest(&name, columns.iter().map(|column| column.name.as_ref()));
                let mut problem = checker.problem("read_columns", message);
                problem.help = near.map(|near| format!("did you mean '{near}'?"));
                checker.problems.push(problem);
            }
        }
    }
    wanted
}

/// Keys of folders in the order in which the files name them; those that a column has already stay out.
fn partition_names(options: Options<'_>, files: &[FoundFile], columns: &[Column]) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    if options.boolean("parse_partition_from_path") == Some(false) {
        return names;
    }
    for (key, _) in files.iter().flat_map(|file| &file.partitions) {
        if !names.contains(key) && !columns.iter().any(|column| column.name == *key) {
            names.push(key.clone());
        }
    }
    names
}

fn table_of(given: Option<TableSchema>, context: &PlanContext) -> TableSchema {
    given.unwrap_or_else(|| TableSchema::new(default_path(context), Vec::new()))
}

fn default_path(context: &PlanContext) -> TablePath {
    match &context.output {
        Some(name) => TablePath::parse(name, false).unwrap_or_else(|| TablePath::bare(name)),
        None => TablePath { database: Some("default".into()), schema: Some("default".into()), table: "default".into() },
    }
}

struct PlannedSource {
    schemas: Vec<Arc<TableSchema>>,
    tables: Vec<Arc<FileTable>>,
}

impl Source for PlannedSource {
    fn tables(&self) -> &[Arc<TableSchema>] {
        &self.schemas
    }

    fn enumerate(&self, readers: usize) -> Result<Box<dyn SplitEnumerator>, TaskError> {
        let many = self.tables.len() > 1;
        let splits = self.tables.iter().enumerate().flat_map(|(index, table)| {
            table.files.iter().map(move |file| {
                // Two tables may read the same file.
                let id = if many { format!("{index}:{}", file.path) } else { file.path.to_string() };
                Split { id: id.into(), state: SplitState { table: index as u16, place: Place::default() }.encode() }
            })
        });
        Ok(Box::new(FixedSplits::new(readers, splits, |_, split| java_hash(&split.id))))
    }

    fn reader(&self, context: &TaskContext) -> Result<Box<dyn SourceReader>, TaskError> {
        Ok(Box::new(LocalFileReader::new(self.tables.clone(), Rc::clone(&context.probe))))
    }
}

/// Java's `String.hashCode`, without its sign: the reference engine deals files to readers by it.
fn java_hash(text: &str) -> usize {
    let hash = text.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash & 0x7fff_ffff) as usize
}

/// State of a split, 23 bytes, little endian: version (1 byte, 2), index of the table (2), place (8), lines before it
/// (8), number of the file in an archive (4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitState {
    /// Which of the source's tables.
    pub table: u16,
    /// Where to go on.
    pub place: Place,
}

impl SplitState {
    const VERSION: u8 = 2;

    /// As bytes.
    pub fn encode(self) -> Bytes {
        let mut bytes = Vec::with_capacity(23);
        bytes.push(Self::VERSION);
        bytes.extend_from_slice(&self.table.to_le_bytes());
        bytes.extend_from_slice(&self.place.offset.to_le_bytes());
        bytes.extend_from_slice(&self.place.line.to_le_bytes());
        bytes.extend_from_slice(&self.place.entry.to_le_bytes());
        bytes.into()
    }

    /// From bytes; `None` when they are none of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 23] = bytes.try_into().ok()?;
        let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        (bytes[0] == Self::VERSION).then_some(())?;
        let table = u16::from_le_bytes([bytes[1], bytes[2]]);
        let entry = u32::from_le_bytes(*bytes.last_chunk()?);
        Some(Self { table, place: Place { offset: long(3)?, line: long(11)?, entry } })
    }
}
