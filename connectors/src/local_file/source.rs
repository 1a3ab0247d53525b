//! The source: planned from options, split by file.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use egret_runtime::config::{
    OptionTable, Options, Problem, Problems, SchemaContext, Severity, Value, nearest, parse_schema, schema_of,
};
use egret_runtime::file::ReadFile;
use egret_runtime::plugin::{
    FixedSplits, PlanContext, Plugin, Source, SourceFactory, SourceReader, Split, SplitEnumerator, TaskContext,
    TaskError,
};
use egret_runtime::row::{Column, DataType, TablePath, TableSchema};
use egret_runtime::task::TaskProbe;
use regex::Regex;
use std::rc::Rc;

use super::listing::{FoundFile, Wanted, list};
use super::options::{Checker, FileFormat, SOURCE_OPTIONS, TABLE_OPTIONS};
use super::patterns::Patterns;
use super::read::delimited::{DelimitedFormat, DelimitedReader};
use super::read::json::JsonReader;
use super::read::lines::LineInput;
use super::read::parquet::{self, ParquetReader};
use super::read::tokens::Separator;
use super::read::values::ValueRules;
use super::read::{FileReader, Place};
use super::reader::LocalFileReader;

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
        "Reads files of this machine, one by one or whole folders: text, csv, json (an object a line) and parquet. \
         Folders named key=value become columns. Each file is one split; the files are listed, and headers that hold \
         a schema are read, when the job is planned."
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

/// One table that is read.
pub struct FileTable {
    /// What the rows look like: the files' columns, then those of partitions.
    pub schema: Arc<TableSchema>,
    /// The files' columns alone.
    file_schema: Arc<TableSchema>,
    /// The columns that come from folders; the last of `schema`.
    pub partitions: Vec<Box<str>>,
    /// What is read.
    pub files: Vec<FoundFile>,
    format: TableFormat,
    patterns: Patterns,
    line_bytes_max: usize,
}

enum TableFormat {
    Delimited(Arc<DelimitedFormat>),
    Json { skip_rows: u64 },
    Parquet,
}

impl FileTable {
    /// Opens a file at a place.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(
        &self,
        path: &str,
        place: Place,
        probe: &Rc<TaskProbe>,
    ) -> Result<Box<dyn FileReader>, TaskError> {
        let file = ReadFile::open(path).await?;
        let schema = Arc::clone(self.file_schema.arrow());
        let rules = ValueRules { patterns: self.patterns, ..ValueRules::default() };
        let probe = Rc::clone(probe);
        let input = |file: ReadFile| LineInput::new(file.stream(place.offset), place, self.line_bytes_max);
        let columns = Arc::clone(&self.file_schema.columns);
        Ok(match &self.format {
            TableFormat::Delimited(format) => {
                Box::new(DelimitedReader::new(Arc::clone(format), schema, input(file), rules, probe))
            }
            TableFormat::Json { skip_rows } => {
                Box::new(JsonReader::new(columns, schema, *skip_rows, input(file), rules, probe))
            }
            TableFormat::Parquet => Box::new(ParquetReader::new(file, columns, schema, place, probe)?),
        })
    }
}

fn plan_table(options: Options<'_>, context: &PlanContext, warnings: &mut Problems) -> Result<FileTable, Problems> {
    let mut checker = Checker::new(options, context);
    let path = checker.required("path");
    let format = checker.format();
    let patterns = checker.patterns();
    checker.encoding();
    refuse_codecs(&mut checker, format, warnings);
    let wanted = wanted_files(&mut checker);
    let given = given_schema(&mut checker, warnings);
    let cut = given.as_ref().is_some_and(|given| !given.columns.is_empty());
    let separator = separator(&mut checker, format, cut);
    let files = path.as_deref().and_then(|path| found_files(&mut checker, path, &wanted));
    let (Some(path), Some(format), Some(files)) = (path, format, files) else { return Err(checker.problems) };
    let base = file_columns(&mut checker, format, given.as_ref(), &files, &path);
    let Some(columns) = base else { return Err(checker.problems) };
    let wanted = read_columns(&mut checker, &columns, cut || format == FileFormat::Parquet);
    if !checker.problems.is_empty() {
        return Err(checker.problems);
    }
    let table = table_of(given, context);
    let read: Vec<Column> = wanted.iter().map(|index| columns[*index].clone()).collect();
    let partitions = partition_names(options, &files, &read);
    let mut all = read.clone();
    all.extend(partitions.iter().map(|name| Column::new(name, DataType::String)));
    let mut schema = table.with_columns(all);
    schema.partition_keys = partitions.clone();
    let skip_rows = options.count("skip_header_row_number").unwrap_or_default() as u64;
    let format = match format {
        FileFormat::Text | FileFormat::Csv => TableFormat::Delimited(Arc::new(DelimitedFormat {
            separator: separator.unwrap_or(Separator::None),
            columns: columns.into(),
            wanted,
            skip_rows,
        })),
        FileFormat::Json => TableFormat::Json { skip_rows },
        _ => TableFormat::Parquet,
    };
    Ok(FileTable {
        schema: Arc::new(schema),
        file_schema: Arc::new(table.with_columns(read)),
        partitions,
        files,
        format,
        patterns,
        line_bytes_max: options.count("max_line_bytes").unwrap_or(super::read::lines::LINE_BYTES_MAX),
    })
}

fn refuse_codecs(checker: &mut Checker<'_>, format: Option<FileFormat>, warnings: &mut Problems) {
    if let Some(archive) = checker.options.word("archive_compress_codec").filter(|word| *word != "none") {
        checker.error("archive_compress_codec", format!("reading {archive} archives is not supported yet"));
    }
    let Some(codec) = checker.options.word("compress_codec").filter(|word| *word != "none") else { return };
    if format == Some(FileFormat::Parquet) {
        let message = "has no effect: parquet files tell how they are compressed";
        warnings.push(Problem { severity: Severity::Warning, ..checker.problem("compress_codec", message) });
    } else {
        checker.error("compress_codec", format!("reading files compressed with {codec} is not supported yet"));
    }
}

fn wanted_files(checker: &mut Checker<'_>) -> Wanted {
    let mut wanted = Wanted { name: None, partitions: checker.options.texts("read_partitions").unwrap_or_default() };
    if let Some(pattern) = checker.options.text("file_filter_pattern").filter(|pattern| !pattern.is_empty()) {
        match Regex::new(&format!("^(?:{pattern})$")) {
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
        FileFormat::Text => match Separator::of(option.as_deref().unwrap_or("\u{1}")) {
            Ok(separator) => Some(separator),
            Err(error) => {
                checker.error("field_delimiter", format!("is not a regular expression: {error}"));
                None
            }
        },
        FileFormat::Csv => match Separator::of(option.as_deref().unwrap_or(",")) {
            Ok(Separator::Byte(byte)) if byte != b'"' => Some(Separator::Quoted(byte)),
            _ => {
                checker.error("field_delimiter", "must be a single character of ASCII, other than '\"', for csv");
                None
            }
        },
        _ => None,
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
) -> Option<Vec<Column>> {
    match (given, format) {
        (Some(given), FileFormat::Parquet | FileFormat::Text) if given.columns.is_empty() => {}
        (Some(given), _) => return Some(given.columns.to_vec()),
        (None, FileFormat::Csv | FileFormat::Json) => {
            checker.error("schema", "is required for this format but not given");
            return None;
        }
        (None, _) => {}
    }
    if format == FileFormat::Text {
        return Some(vec![Column::new(CONTENT, DataType::String)]);
    }
    let Some(first) = files.first() else {
        checker.error("path", format!("there is no file below {path} to read the schema from: give a schema"));
        return None;
    };
    match parquet::columns_of(Path::new(first.path.as_ref())) {
        Ok(columns) => Some(columns),
        Err(error) => {
            checker.error("path", error.to_string());
            None
        }
    }
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

/// State of a split, 19 bytes, little endian: version (1 byte, 1), index of the table (2), place (8), lines before it
/// (8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitState {
    /// Which of the source's tables.
    pub table: u16,
    /// Where to go on.
    pub place: Place,
}

impl SplitState {
    const VERSION: u8 = 1;

    /// As bytes.
    pub fn encode(self) -> Bytes {
        let mut bytes = Vec::with_capacity(19);
        bytes.push(Self::VERSION);
        bytes.extend_from_slice(&self.table.to_le_bytes());
        bytes.extend_from_slice(&self.place.offset.to_le_bytes());
        bytes.extend_from_slice(&self.place.line.to_le_bytes());
        bytes.into()
    }

    /// From bytes; `None` when they are none of this version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 19] = bytes.try_into().ok()?;
        let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        (bytes[0] == Self::VERSION).then_some(())?;
        let table = u16::from_le_bytes([bytes[1], bytes[2]]);
        Some(Self { table, place: Place { offset: long(3)?, line: long(11)? } })
    }
}
