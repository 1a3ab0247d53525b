//! The sink: planned from options, one target for each table.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use egret_runtime::config::{OptionTable, Options, Problem, Problems, Severity, nearest};
use egret_runtime::plugin::{
    PlanContext, Plugin, Sink, SinkCommitter, SinkFactory, SinkWriter, TaskContext, TaskError,
};
use egret_runtime::row::{Column, DataType, TableSchema};

use super::commit::LocalFileCommitter;
use super::names::PartitionExpression;
use super::options::{Checker, FileFormat};
use super::settings::{Settings, settings};
use super::sink_options::SINK_OPTIONS;
use super::target::{STAGING, prepare, resolve_path, with_table_names};
use super::write::{binary, excel, orc, xml};
use super::writer::LocalFileWriter;

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
        "Writes files on this machine: text, csv, json (an object a line), parquet, orc, excel, xml and binary, in \
         folders by the values of columns if wanted. Files become visible all at once, by a rename, when a checkpoint \
         or the job completes. Rows of every kind are written alike: files know no updates."
    }
}

impl SinkFactory for LocalFileSink {
    /// Names become pieces of paths, which must not lead elsewhere.
    fn fills_table_words(&self) -> bool {
        true
    }

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
        let mut planner = Planner { checker: &mut checker, settings: &settings, several: inputs.len() > 1, warnings };
        let targets: Vec<Target> = inputs.iter().filter_map(|table| planner.target(&path, table)).collect();
        if !checker.problems.is_empty() {
            return Err(checker.problems);
        }
        Ok(Arc::new(PlannedSink(Arc::new(SinkPlan { settings, targets }))))
    }
}

/// Where and how one table is written.
pub struct Target {
    /// The folder.
    pub folder: PathBuf,
    /// Where files stand until they are committed.
    pub staging: PathBuf,
    /// `file_name_expression` with the names of the table put in.
    pub name: String,
    /// `sheet_name`
    pub sheet: Box<str>,
    /// `xml_root_tag` and `xml_row_tag`
    pub tags: [Box<str>; 2],
    /// Columns in the files: positions in the table.
    pub written: Vec<usize>,
    /// The columns in the files.
    pub columns: Arc<[Column]>,
    /// The columns in the files, as Arrow has them.
    pub schema: SchemaRef,
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

/// Plans the targets.
struct Planner<'a, 'b> {
    checker: &'a mut Checker<'b>,
    settings: &'a Settings,
    /// Whether there are several tables.
    several: bool,
    warnings: &'a mut Problems,
}

impl Planner<'_, '_> {
    fn columns_named(&mut self, option: &str, table: &TableSchema) -> Option<Vec<usize>> {
        let names = self.checker.options.texts(option).filter(|names| !names.is_empty())?;
        let mut found = Vec::new();
        for name in names {
            let in_any_case = || table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(&name));
            match table.index_of(&name).or_else(in_any_case) {
                Some(index) if found.contains(&index) => self.checker.error(option, format!("'{name}' is there twice")),
                Some(index) => found.push(index),
                None => self.missing_column(option, &name, table),
            }
        }
        Some(found)
    }

    /// With several tables a column may be in some of them only.
    fn missing_column(&mut self, option: &str, name: &str, table: &TableSchema) {
        let mut problem = self.checker.problem(option, format!("table {} has no column '{name}'", table.path));
        if self.several && option == "sink_columns" {
            self.warnings.push(Problem { severity: Severity::Warning, ..problem });
            return;
        }
        let near = nearest(name, table.columns.iter().map(|column| column.name.as_ref()));
        problem.help = near.map(|near| format!("did you mean '{near}'?"));
        self.checker.problems.push(problem);
    }

    fn target(&mut self, path: &str, table: &TableSchema) -> Option<Target> {
        let options = self.checker.options;
        let partition_by = self.columns_named("partition_by", table).unwrap_or_default();
        let mut written =
            self.columns_named("sink_columns", table).unwrap_or_else(|| (0..table.columns.len()).collect());
        if options.boolean("is_partition_field_write_in_file") != Some(true) {
            written.retain(|index| !partition_by.contains(index));
        }
        self.check_partitions(&partition_by, table);
        let expression = self.expression(partition_by.len())?;
        let columns: Vec<Column> = written.iter().map(|index| table.columns[*index].clone()).collect();
        self.check_types(table, &columns);
        let sheet = self.sheet(table);
        let tags = ["xml_root_tag", "xml_row_tag"].map(|option| self.tag(option, table));
        let folder = resolve_path(path, &table.path);
        let staging = match &self.settings.tmp_path {
            Some(tmp) => resolve_path(&tmp.to_string_lossy(), &table.path).join("seatunnel"),
            None => folder.join(STAGING),
        };
        let column = |index: &usize| &table.columns[*index];
        Some(Target {
            folder,
            staging,
            name: with_table_names(&self.settings.name, &table.path, true),
            sheet,
            tags,
            schema: Arc::clone(table.with_columns(columns.clone()).arrow()),
            columns: columns.into(),
            written,
            partition_keys: partition_by.iter().map(|index| column(index).name.clone()).collect(),
            partition_types: partition_by.iter().map(|index| column(index).data_type.clone()).collect(),
            partition_by,
            expression,
        })
    }

    fn check_partitions(&mut self, partition_by: &[usize], table: &TableSchema) {
        for index in partition_by {
            let column = &table.columns[*index];
            let kind = &column.data_type;
            if matches!(kind, DataType::Array(_) | DataType::Map(_, _) | DataType::Row(_) | DataType::Bytes) {
                let message = format!("column '{}' of type {kind} cannot name folders", column.name);
                self.checker.error("partition_by", message);
            }
        }
    }

    fn expression(&mut self, columns: usize) -> Option<PartitionExpression> {
        let expression = self.checker.options.text("partition_dir_expression").unwrap_or_default();
        // A blank one stands for the default.
        let expression = if expression.trim().is_empty() { "...".into() } else { expression };
        match PartitionExpression::parse(&expression, columns) {
            Ok(expression) => Some(expression),
            Err(_) if columns == 0 => PartitionExpression::parse("", 0).ok(),
            Err(why) => {
                self.checker.error("partition_dir_expression", why);
                None
            }
        }
    }

    fn sheet(&mut self, table: &TableSchema) -> Box<str> {
        let name = self.checker.options.text("sheet_name").unwrap_or_else(|| "Sheet1".into());
        let name = with_table_names(&name, &table.path, false);
        if self.settings.format == FileFormat::Excel
            && let Some(why) = excel::sheet_name_problem(&name)
        {
            self.checker.error("sheet_name", format!("'{name}': {why}"));
        }
        name.into()
    }

    fn tag(&mut self, option: &str, table: &TableSchema) -> Box<str> {
        let name = with_table_names(&self.checker.options.text(option).unwrap_or_default(), &table.path, false);
        if self.settings.format == FileFormat::Xml && !xml::is_name(&name) {
            self.checker.error(option, format!("'{name}' cannot name an element of xml"));
        }
        name.into()
    }

    fn check_types(&mut self, table: &TableSchema, columns: &[Column]) {
        let format = self.settings.format;
        if columns.is_empty() {
            self.checker.error("sink_columns", format!("no column of table {} is left to write", table.path));
        }
        if format == FileFormat::Binary {
            if let Some(why) = binary::problem(table) {
                self.checker.error("file_format_type", why);
            }
            return;
        }
        if format == FileFormat::Excel && columns.len() > excel::SHEET_COLUMNS_MAX {
            let message =
                format!("table {} has {} columns, a sheet {}", table.path, columns.len(), excel::SHEET_COLUMNS_MAX);
            self.checker.error("file_format_type", message);
        }
        for column in columns {
            let bad_name = format == FileFormat::Xml && !xml::is_name(&column.name);
            let why = bad_name.then(|| "its name cannot name an element of xml".to_owned());
            if let Some(why) = why.or_else(|| unwritable(format, &column.data_type)) {
                let message =
                    format!("column '{}' of table {}: {why}: leave it out with sink_columns", column.name, table.path);
                self.checker.error("file_format_type", message);
            }
        }
    }
}

/// Why a format cannot hold values of a type.
fn unwritable(format: FileFormat, data_type: &DataType) -> Option<String> {
    let vector = matches!(
        data_type,
        DataType::FloatVector
            | DataType::BinaryVector
            | DataType::Float16Vector
            | DataType::BFloat16Vector
            | DataType::SparseFloatVector
    );
    let own = match format {
        FileFormat::Text | FileFormat::Csv | FileFormat::Json | FileFormat::Xml | FileFormat::Excel if vector => {
            Some(format!("{data_type} cannot be written as text"))
        }
        FileFormat::Parquet => match data_type {
            DataType::Row(fields) if fields.is_empty() => Some("parquet has no rows without fields".into()),
            _ => None,
        },
        FileFormat::Orc => orc::unwritable(data_type).map(str::to_owned),
        _ => None,
    };
    own.or_else(|| match data_type {
        DataType::Row(fields) => fields.iter().find_map(|field| unwritable(format, &field.data_type)),
        DataType::Array(item) => unwritable(format, item),
        DataType::Map(key, value) => unwritable(format, key).or_else(|| unwritable(format, value)),
        _ => None,
    })
}
