//! One table that is read: from a path to the reader of its file, through whatever layers lie between.

use std::rc::Rc;
use std::sync::Arc;

use egret_runtime::file::ReadFile;
use egret_runtime::plugin::TaskError;
use egret_runtime::row::TableSchema;
use egret_runtime::task::TaskProbe;

use super::charset::Charset;
use super::listing::FoundFile;
use super::patterns::Patterns;
use super::read::archive::{ArchiveKind, ArchiveReader};
use super::read::binary::BinaryReader;
use super::read::bytes::{ByteStream, Decoded, Skipped};
use super::read::cells::CellRules;
use super::read::codec::Codec;
use super::read::delimited::{DelimitedFormat, DelimitedReader};
use super::read::excel::{ExcelFormat, ExcelReader};
use super::read::json::JsonReader;
use super::read::lines::LineInput;
use super::read::orc::OrcReader;
use super::read::parquet::ParquetReader;
use super::read::tokens::Separator;
use super::read::values::ValueRules;
use super::read::xml::{XmlFormat, XmlReader};
use super::read::{FileReader, Place, transcode};

/// One table that is read.
pub struct FileTable {
    /// What the rows look like: the files' columns, then those of partitions.
    pub schema: Arc<TableSchema>,
    /// The files' columns alone.
    pub file_schema: Arc<TableSchema>,
    /// The columns that come from folders; the last of `schema`.
    pub partitions: Vec<Box<str>>,
    /// What is read.
    pub files: Vec<FoundFile>,
    /// `path`, without a slash at its end.
    pub root: Box<str>,
    /// How a file is read.
    pub format: TableFormat,
    /// What lies before that.
    pub packing: Packing,
    /// Dates and times.
    pub patterns: Patterns,
    /// `max_line_bytes`.
    pub line_bytes_max: usize,
}

/// What lies between the bytes of a file and those of its format.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// The archive that files are.
    pub archive: Option<ArchiveKind>,
    /// How files, or those in an archive, are compressed.
    pub codec: Option<Codec>,
    /// How text is encoded.
    pub charset: Charset,
}

/// A format with what the config says about it.
pub enum TableFormat {
    /// text and csv.
    Delimited(Arc<DelimitedFormat>),
    /// json.
    Json {
        /// Lines to skip at the start of each file.
        skip_rows: u64,
    },
    /// parquet.
    Parquet,
    /// orc.
    Orc,
    /// excel.
    Excel(Arc<ExcelFormat>),
    /// xml.
    Xml {
        /// Rows and fields.
        format: Arc<XmlFormat>,
        /// What parts the fields of a row within a value.
        separator: Separator,
    },
    /// binary.
    Binary {
        /// Which of its columns are read.
        wanted: Vec<usize>,
    },
}

impl FileTable {
    /// Opens a file at a place.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(
        self: &Arc<Self>,
        path: &str,
        place: Place,
        probe: &Rc<TaskProbe>,
    ) -> Result<Box<dyn FileReader>, TaskError> {
        let file = ReadFile::open(path).await?;
        self.read(file, path, place, probe)
    }

    /// Reads a file that is open, from a place on.
    ///
    /// # Errors
    /// When it cannot be one of the format.
    pub fn read(
        self: &Arc<Self>,
        file: ReadFile,
        path: &str,
        place: Place,
        probe: &Rc<TaskProbe>,
    ) -> Result<Box<dyn FileReader>, TaskError> {
        let schema = Arc::clone(self.file_schema.arrow());
        let columns = Arc::clone(&self.file_schema.columns);
        Ok(match (&self.format, self.packing.archive) {
            (TableFormat::Parquet, _) => Box::new(ParquetReader::new(file, columns, schema, place, Rc::clone(probe))?),
            (TableFormat::Orc, _) => Box::new(OrcReader::new(file, columns, schema, place, Rc::clone(probe))),
            (_, Some(kind)) => Box::new(ArchiveReader::new(self, kind, file, path, place, probe)),
            (_, None) => {
                // Where a place is one of the file's own bytes, reading begins there.
                let start = if self.seeks() { place.offset } else { 0 };
                self.reader(Box::new(file.stream(start)), path, place, probe)
            }
        })
    }

    /// Reads a file of an archive, from its start; `about` names it.
    pub fn entry_reader(
        &self,
        stream: Box<dyn ByteStream>,
        about: &str,
        place: Place,
        probe: &Rc<TaskProbe>,
    ) -> Box<dyn FileReader> {
        let stream = if self.seeks() { Skipped::by(stream, place.offset) } else { stream };
        self.reader(stream, about, place, probe)
    }

    /// Whether an offset of a [`Place`] is one of the bytes of the file.
    fn seeks(&self) -> bool {
        let counts_bytes =
            matches!(self.format, TableFormat::Delimited(_) | TableFormat::Json { .. } | TableFormat::Binary { .. });
        counts_bytes && self.packing.codec.is_none() && self.packing.charset == Charset::Utf8
    }

    fn reader(
        &self,
        stream: Box<dyn ByteStream>,
        about: &str,
        place: Place,
        probe: &Rc<TaskProbe>,
    ) -> Box<dyn FileReader> {
        let schema = Arc::clone(self.file_schema.arrow());
        let values = ValueRules { patterns: self.patterns, ..ValueRules::default() };
        let probe = Rc::clone(probe);
        let stream = match self.packing.codec {
            Some(codec) => {
                let decoder = codec.decoder(about, &values.odd);
                Box::new(Decoded::new(stream, decoder, about)) as Box<dyn ByteStream>
            }
            None => stream,
        };
        let transcode = |stream: Box<dyn ByteStream>, charset: Charset| match transcode::decoder(charset, &values.odd) {
            Some(decoder) => Box::new(Decoded::new(stream, decoder, about)) as Box<dyn ByteStream>,
            None => stream,
        };
        let lines = |stream| {
            let stream = transcode(stream, self.packing.charset);
            let stream = if self.seeks() { stream } else { Skipped::by(stream, place.offset) };
            LineInput::new(stream, about, place, self.line_bytes_max)
        };
        match &self.format {
            TableFormat::Delimited(format) => {
                let input = lines(stream);
                Box::new(DelimitedReader::new(Arc::clone(format), schema, input, values, probe))
            }
            TableFormat::Json { skip_rows } => {
                let columns = Arc::clone(&self.file_schema.columns);
                let input = lines(stream);
                Box::new(JsonReader::new(columns, schema, *skip_rows, input, values, probe))
            }
            TableFormat::Excel(format) => {
                Box::new(ExcelReader::new(stream, Arc::clone(format), schema, about, place, probe))
            }
            TableFormat::Xml { format, separator } => {
                let stream = match self.packing.charset {
                    // What is no UTF-8 is replaced on the way.
                    Charset::Utf8 => transcode(stream, Charset::Other(encoding_rs::UTF_8)),
                    other => transcode(stream, other),
                };
                let rules = CellRules { values, separator: separator.clone() };
                Box::new(XmlReader::new(Arc::clone(format), schema, rules, stream, about, place, probe))
            }
            TableFormat::Binary { wanted } => {
                let relative = self.relative(about);
                Box::new(BinaryReader::new(stream, schema, wanted.clone(), relative, place))
            }
            TableFormat::Parquet | TableFormat::Orc => unreachable!("these read their files by ranges"),
        }
    }

    /// The path of a file below the root; its name when it is the root itself.
    fn relative<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(self.root.as_ref()).map(|rest| rest.trim_start_matches('/')) {
            Some(rest) if !rest.is_empty() => rest,
            _ => path.rsplit('/').next().unwrap_or(path),
        }
    }

    /// Whether a name ends as those of the format do.
    pub fn has_suffix(&self, name: &str) -> bool {
        let suffixes: &[&str] = match &self.format {
            TableFormat::Delimited(format) if matches!(format.separator, Separator::Quoted(_)) => &[".csv"],
            TableFormat::Delimited(_) => &[".txt"],
            TableFormat::Json { .. } => &[".json"],
            TableFormat::Excel(_) => &[".xlsx", ".xls"],
            TableFormat::Xml { .. } => &[".xml"],
            TableFormat::Parquet | TableFormat::Orc | TableFormat::Binary { .. } => &[""],
        };
        let name = name.to_ascii_lowercase();
        suffixes.iter().any(|suffix| name.ends_with(suffix))
    }
}
