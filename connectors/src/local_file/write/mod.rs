//! Writing rows in each of the formats: into memory, from where a file takes the bytes.

pub mod binary;
pub mod cells;
pub mod compress;
pub mod delimited;
pub mod excel;
pub mod flat;
pub mod int96;
pub mod json;
pub mod layers;
pub mod lzo;
pub mod orc;
pub mod parquet;
pub mod text;
pub mod xml;

use std::sync::Arc;

use arrow::array::RecordBatch;
use egret_runtime::plugin::TaskError;

use super::charset::Charset;
use super::options::FileFormat;
use super::settings::{Settings, has_encoding};
use super::sink::Target;
use compress::Compressor;
use layers::{Compressed, Transcoded};

/// Turns the rows of one file into bytes. Further formats are further implementations.
pub trait Encoder {
    /// Appends rows; answers how many values lost digits, or will not be read back as they were.
    ///
    /// # Errors
    /// When a row cannot be written in the format.
    fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<u64, TaskError>;

    /// Appends what ends the file.
    ///
    /// # Errors
    /// When the file cannot be ended.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError>;

    /// Bytes that the encoder holds back.
    fn held_bytes(&self) -> usize {
        0
    }

    /// Appends what is held back.
    ///
    /// # Errors
    /// When it cannot be written.
    fn release(&mut self, _out: &mut Vec<u8>) -> Result<(), TaskError> {
        Ok(())
    }
}

/// An encoder for a new file of a table.
///
/// # Errors
/// When the format cannot hold the columns.
pub fn encoder(settings: &Settings, target: &Target) -> Result<Box<dyn Encoder>, TaskError> {
    let plain = format_encoder(settings, target)?;
    if !has_encoding(settings.format) {
        return Ok(plain);
    }
    let encoded: Box<dyn Encoder> = match settings.charset.0 {
        Charset::Utf8 => plain,
        charset => Box::new(Transcoded::new(plain, charset, settings.format == FileFormat::Xml)),
    };
    Ok(match Compressor::new(settings.codec)? {
        None => encoded,
        Some(compressor) => Box::new(Compressed::new(encoded, compressor)),
    })
}

fn format_encoder(settings: &Settings, target: &Target) -> Result<Box<dyn Encoder>, TaskError> {
    let columns = Arc::clone(&target.columns);
    let row_delimiter: Box<[u8]> = settings.row_delimiter.as_bytes().into();
    let separator: Box<[u8]> = settings.separator.as_bytes().into();
    let (patterns, codec) = (settings.patterns, settings.codec);
    Ok(match settings.format {
        FileFormat::Text | FileFormat::Csv => {
            let (header, quotes) = (settings.header, settings.quotes);
            let style = delimited::DelimitedStyle { separator, row_delimiter, header, quotes, patterns };
            Box::new(delimited::DelimitedEncoder::new(style, columns))
        }
        FileFormat::Json => Box::new(json::JsonEncoder::new(columns, row_delimiter, patterns)),
        FileFormat::Parquet => {
            let compression =
                parquet::compression(codec).ok_or_else(|| TaskError::permanent(format!("parquet knows no {codec}")))?;
            Box::new(parquet::ParquetEncoder::new(Arc::clone(&target.schema), compression, settings.int96))
        }
        FileFormat::Orc => {
            let codec =
                orc::OrcCodec::of(codec).ok_or_else(|| TaskError::permanent(format!("orc knows no {codec}")))?;
            Box::new(orc::OrcEncoder::new(columns, codec))
        }
        FileFormat::Excel => {
            let (sheet, formats) = (target.sheet.clone(), settings.cell_formats.clone());
            Box::new(excel::ExcelEncoder::new(excel::ExcelStyle { sheet, formats, separator, patterns }, columns))
        }
        FileFormat::Xml => {
            let [root, row] = target.tags.clone();
            let (attributes, encoding) = (settings.attributes, settings.charset.1.clone());
            let style = xml::XmlStyle { root, row, attributes, encoding, separator, patterns };
            Box::new(xml::XmlEncoder::new(style, columns))
        }
        FileFormat::Binary => return Err(TaskError::permanent("binary files are written piece by piece")),
    })
}
