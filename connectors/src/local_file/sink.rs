//! The sink: planned from options, one target for each table.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use egret_runtime::config::{OptionTable, Options, Problem, Problems, Severity, nearest};
use egret_runtime::plugin::{
    PlanContext, Plugin, Sink, SinkCommitter, SinkFactory, SinkWriter, TaskContext, TaskError,
};
use egret_runtime::row::{Column, DataType, JavaPattern, TableSchema};

use super::commit::LocalFileCommitter;
use super::names::PartitionExpression;
use super::options::{Checker, FileFormat, SINK_OPTIONS};
use super::patterns::Patterns;
use super::target::{DataSaveMode, STAGING, SchemaSaveMode, prepare, resolve_path};
use super::write::Encoder;
use super::write::delimited::{DelimitedEncoder, DelimitedStyle};
use super::write::json::JsonEncoder;
use super::write::parquet::{ParquetEncoder, compression};
use super::writer::LocalFileWriter;

const TRANSACTION: &str = "${transactionId}";

/// Writes files on this machine.
pub struct LocalFileSink;

impl Plugin for LocalFileSink {
    fn name(&self) -> &'static str {
        "LocalFile"
    }

    fn options(&self) -> OptionTable {
        SINK_OPTIONS
    }

    fn summary(&self) -> &'static str {
        "Writes files on this machine: text, csv, json (an object a line) and parquet, in folders by the values of \
         columns if wanted. Files become visible all at once, by a rename, when a checkpoint or the job completes. Rows \
         of every kind are written alike: files know no updates."
    }
}

impl SinkFactory for LocalFileSink {
    fn plan(
        &self,
        options: Options<'_>,
        inputs: &[Arc<TableSchema>],
        context: &PlanContext,
        warnings: &mut Problems,
    ) -> Result<Arc<dyn Sink>, Problems> {
        let mut checker = Checker::new(options, context);
        let settings = settings(&mut checker, warnings);
        let path = checker.required("path");
        let (Some(settings), Some(path)) = (settings, path) else { return Err(checker.problems) };
        let targets: Vec<Target> =
            inputs.iter().filter_map(|table| target(&mut checker, &settings, &path, table)).collect();
        if !checker.problems.is_empty() {
            return Err(checker.problems);
        }
        Ok(Arc::new(PlannedSink(Arc::new(SinkPlan { settings, targets }))))
    }
}

/// What holds for all tables.
#[derive(Debug)]
pub struct Settings {
    /// Format of the files.
    pub format: FileFormat,
    /// `compress_codec`, spelled as in the table.
    pub codec: &'static str,
    /// Dates, times and datetimes.
    pub patterns: Patterns,
    /// Between fields.
    pub separator: String,
    /// Between rows.
    pub row_delimiter: String,
    /// Whether files begin with the names.
    pub header: bool,
    /// `tmp_path`.
    pub tmp_path: Option<PathBuf>,
    /// `file_name_expression`.
    pub name: String,
    /// `filename_time_format`.
    pub time_format: JavaPattern,
    /// `is_enable_transaction`.
    pub transaction: bool,
    /// `batch_size`.
    pub rows_max: u64,
    schema_mode: SchemaSaveMode,
    data_mode: DataSaveMode,
}

impl Settings {
    /// How file names end: compression and format.
    pub fn suffix(&self) -> String {
        let codec = match self.codec {
            "snappy" => ".snappy",
            "gzip" => ".gz",
            "zstd" => ".zstd",
            "lz4" => ".lz4",
            "brotli" => ".br",
            _ => "",
        };
        format!("{codec}{}", self.format.suffix())
    }
}

/// Where and how one table is written.
pub struct Target {
    /// The folder.
    pub folder: PathBuf,
    /// Where files stand until they are committed.
    pub staging: PathBuf,
    /// Columns in the files: positions in the table.
    pub written: Vec<usize>,
    /// The columns in the files.
    pub columns: Arc<[Column]>,
    schema: SchemaRef,
    /// Columns whose values name the folders: positions in the table.
    pub partition_by: Vec<usize>,
    /// Their names.
    pub partition_keys: Vec<Box<str>>,
    /// Their types.
    pub partition_types: Vec<DataType>,
    /// The folders.
    pub expression: PartitionExpression,
}

/// A planned sink.
pub struct SinkPlan {
    /// What holds for all tables.
    pub settings: Settings,
    /// One for each table.
    pub targets: Vec<Target>,
}

impl SinkPlan {
    /// An encoder for a new file of a table.
    ///
    /// # Errors
    /// When the format cannot hold the columns.
    pub fn encoder(&self, target: &Target) -> Result<Box<dyn Encoder>, TaskError> {
        let settings = &self.settings;
        let columns = Arc::clone(&target.columns);
        let row_delimiter: Box<[u8]> = settings.row_delimiter.as_bytes().into();
        Ok(match settings.format {
            FileFormat::Text | FileFormat::Csv => {
                let style = DelimitedStyle {
                    separator: settings.separator.as_bytes().into(),
                    row_delimiter,
                    header: settings.header,
                    quotes: settings.format == FileFormat::Csv,
                    patterns: settings.patterns,
                };
                Box::new(DelimitedEncoder::new(style, columns))
            }
            FileFormat::Json => Box::new(JsonEncoder::new(columns, row_delimiter, settings.patterns)),
            FileFormat::Parquet => {
                let compression = compression(settings.codec)
                    .ok_or_else(|| TaskError::permanent(format!("parquet knows no {}", settings.codec)))?;
                Box::new(ParquetEncoder::new(Arc::clone(&target.schema), compression)?)
            }
        })
    }
}

struct PlannedSink(Arc<SinkPlan>);

#[async_trait(?Send)]
impl Sink for PlannedSink {
    async fn prepare_target(&self) -> Result<(), TaskError> {
        for target in &self.0.targets {
            prepare(&target.folder, self.0.settings.schema_mode, self.0.settings.data_mode).await?;
        }
        Ok(())
    }

    fn writer(&self, context: &TaskContext) -> Result<Box<dyn SinkWriter>, TaskError> {
        Ok(Box::new(LocalFileWriter::new(Arc::clone(&self.0), context)))
    }

    fn committer(&self) -> Option<Box<dyn SinkCommitter>> {
        self.0.settings.transaction.then(|| Box::new(LocalFileCommitter) as Box<dyn SinkCommitter>)
    }
}

fn warn(checker: &Checker<'_>, option: &str, message: impl Into<String>, warnings: &mut Problems) {
    warnings.push(Problem { severity: Severity::Warning, ..checker.problem(option, message) });
}

fn settings(checker: &mut Checker<'_>, warnings: &mut Problems) -> Option<Settings> {
    let format = checker.format();
    let patterns = checker.patterns();
    checker.encoding();
    let options = checker.options;
    let codec = options.word("compress_codec").unwrap_or("none");
    check_codec(checker, format, codec);
    if options.boolean("parquet_avro_write_timestamp_as_int96") == Some(true) {
        checker.error("parquet_avro_write_timestamp_as_int96", "writing INT96 is not supported");
    }
    if options.texts("parquet_avro_write_fixed_as_int96").is_some_and(|names| !names.is_empty()) {
        checker.error("parquet_avro_write_fixed_as_int96", "writing INT96 is not supported");
    }
    let transaction = options.boolean("is_enable_transaction").unwrap_or(true);
    let name = file_name(checker, transaction, warnings);
    let time_format = match JavaPattern::compile(&options.text("filename_time_format").unwrap_or_default()) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            checker.error("filename_time_format", error.to_string());
            None
        }
    };
    let (format, time_format) = (format?, time_format?);
    let separator = separator(checker, format, warnings);
    if format == FileFormat::Parquet && options.boolean("enable_header_write") == Some(true) {
        warn(checker, "enable_header_write", "has no effect on parquet", warnings);
    }
    let row_delimiter = options.text("row_delimiter").unwrap_or_else(|| "\n".into());
    if row_delimiter.is_empty() && format.is_text() {
        checker.error("row_delimiter", "may not be empty");
    }
    Some(Settings {
        format,
        codec,
        patterns,
        separator,
        row_delimiter,
        header: options.boolean("enable_header_write").unwrap_or_default(),
        tmp_path: options.text("tmp_path").filter(|path| !path.is_empty()).map(PathBuf::from),
        name,
        time_format,
        transaction,
        rows_max: options.count("batch_size").unwrap_or(1_000_000) as u64,
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

fn check_codec(checker: &mut Checker<'_>, format: Option<FileFormat>, codec: &str) {
    match format {
        Some(FileFormat::Parquet) if compression(codec).is_none() => checker.error(
            "compress_codec",
            format!(
                "parquet files cannot be compressed with {codec}: none, snappy, gzip, zstd, lz4 and brotli they can"
            ),
        ),
        Some(format) if format.is_text() && codec != "none" => {
            checker.error("compress_codec", format!("writing files compressed with {codec} is not supported yet"));
        }
        _ => {}
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
    let name = if name.is_empty() { TRANSACTION.to_owned() } else { name };
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

fn columns_named(checker: &mut Checker<'_>, option: &str, table: &TableSchema) -> Option<Vec<usize>> {
    let names = checker.options.texts(option).filter(|names| !names.is_empty())?;
    let mut found = Vec::new();
    for name in names {
        match table.index_of(&name) {
            Some(index) if found.contains(&index) => checker.error(option, format!("'{name}' is there twice")),
            Some(index) => found.push(index),
            None => {
                let mut problem = checker.problem(option, format!("table {} has no column '{name}'", table.path));
                let near = nearest(&name, table.columns.iter().map(|column| column.name.as_ref()));
                problem.help = near.map(|near| format!("did you mean '{near}'?"));
                checker.problems.push(problem);
            }
        }
    }
    Some(found)
}

fn target(checker: &mut Checker<'_>, settings: &Settings, path: &str, table: &TableSchema) -> Option<Target> {
    let options = checker.options;
    let partition_by = columns_named(checker, "partition_by", table).unwrap_or_default();
    let mut written =
        columns_named(checker, "sink_columns", table).unwrap_or_else(|| (0..table.columns.len()).collect());
    if options.boolean("is_partition_field_write_in_file") != Some(true) {
        written.retain(|index| !partition_by.contains(index));
    }
    for index in &partition_by {
        let column = &table.columns[*index];
        if matches!(column.data_type, DataType::Array(_) | DataType::Map(_, _) | DataType::Row(_) | DataType::Bytes) {
            let message = format!("column '{}' of type {} cannot name folders", column.name, column.data_type);
            checker.error("partition_by", message);
        }
    }
    let expression = options.text("partition_dir_expression").unwrap_or_default();
    let expression = match PartitionExpression::parse(&expression, partition_by.len()) {
        Ok(expression) => expression,
        Err(_) if partition_by.is_empty() => PartitionExpression::parse("", 0).ok()?,
        Err(why) => {
            checker.error("partition_dir_expression", why);
            return None;
        }
    };
    let columns: Vec<Column> = written.iter().map(|index| table.columns[*index].clone()).collect();
    check_types(checker, settings.format, table, &columns);
    let folder = resolve_path(path, &table.path);
    let staging = match &settings.tmp_path {
        Some(tmp) => tmp.join("seatunnel"),
        None => folder.join(STAGING),
    };
    let column = |index: &usize| &table.columns[*index];
    Some(Target {
        folder,
        staging,
        schema: Arc::clone(table.with_columns(columns.clone()).arrow()),
        columns: columns.into(),
        written,
        partition_keys: partition_by.iter().map(|index| column(index).name.clone()).collect(),
        partition_types: partition_by.iter().map(|index| column(index).data_type.clone()).collect(),
        partition_by,
        expression,
    })
}

fn check_types(checker: &mut Checker<'_>, format: FileFormat, table: &TableSchema, columns: &[Column]) {
    if columns.is_empty() {
        checker.error("sink_columns", format!("no column of table {} is left to write", table.path));
    }
    for column in columns {
        if let Some(why) = unwritable(format, &column.data_type) {
            let message =
                format!("column '{}' of table {}: {why}: leave it out with sink_columns", column.name, table.path);
            checker.error("file_format_type", message);
        }
    }
}

/// Why a format cannot hold values of a type.
fn unwritable(format: FileFormat, data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::FloatVector
        | DataType::BinaryVector
        | DataType::Float16Vector
        | DataType::BFloat16Vector
        | DataType::SparseFloatVector
            if format.is_text() =>
        {
            Some(format!("{data_type} cannot be written as text"))
        }
        DataType::Row(fields) if fields.is_empty() && format == FileFormat::Parquet => {
            Some("parquet has no rows without fields".into())
        }
        DataType::Row(fields) => fields.iter().find_map(|field| unwritable(format, &field.data_type)),
        DataType::Array(item) => unwritable(format, item),
        DataType::Map(key, value) => unwritable(format, key).or_else(|| unwritable(format, value)),
        _ => None,
    }
}
