//! One stripe as a file of its own, for the library: its streams, and footers of ours that tell of nothing else.

use std::io;

use bytes::{Buf, Bytes};
use egret_runtime::row::Column;
use orc_rust::arrow_reader::{ArrowReader, ArrowReaderBuilder};
use orc_rust::projection::ProjectionMask;
use orc_rust::proto::{Footer, PostScript, StripeInformation};
use orc_rust::reader::ChunkReader;
use orc_rust::schema::TimestampPrecision;
use prost::Message;

use super::stripe::Stripe;
use super::tail::Tail;

/// Streams, the footer of their stripe, and the end of a file, each behind those before it.
#[derive(Default)]
pub struct StripeFile {
    pieces: Vec<(u64, Bytes)>,
    length: u64,
}

impl StripeFile {
    fn push(&mut self, piece: impl Into<Bytes>) {
        let piece = piece.into();
        let start = self.length;
        self.length += piece.len() as u64;
        self.pieces.push((start, piece));
    }
}

impl ChunkReader for StripeFile {
    type T = bytes::buf::Reader<Bytes>;

    fn len(&self) -> u64 {
        self.length
    }

    fn get_read(&self, offset: u64) -> io::Result<Self::T> {
        self.get_bytes(offset, self.len().saturating_sub(offset)).map(Buf::reader)
    }

    fn get_bytes(&self, offset: u64, length: u64) -> io::Result<Bytes> {
        let beyond = || io::Error::other("it points beyond its stripe");
        let end = offset.checked_add(length).filter(|end| *end <= self.length).ok_or_else(beyond)?;
        let first = self.pieces.partition_point(|(start, piece)| start + piece.len() as u64 <= offset);
        let within = |(start, piece): &(u64, Bytes)| {
            let from = offset.saturating_sub(*start) as usize;
            let to = end.saturating_sub(*start).min(piece.len() as u64) as usize;
            piece.slice(from.min(to)..to)
        };
        let touched = self.pieces[first..].iter().take_while(|(start, _)| *start < end);
        let mut found: Vec<Bytes> = touched.map(within).filter(|piece| !piece.is_empty()).collect();
        // Only the end of the file is asked for together with what happens to stand before it.
        Ok(if found.len() == 1 { found.swap_remove(0) } else { found.concat::<u8>().into() })
    }
}

/// Prepares to decode a stripe, if there is one.
///
/// # Errors
/// When the library does not know its types.
fn open(tail: &Tail, stripe: Option<Stripe<'_>>) -> Result<ArrowReaderBuilder<StripeFile>, String> {
    let mut file = StripeFile::default();
    let mut footer = Footer { types: tail.types.clone(), ..Footer::default() };
    if let Some(stripe) = stripe {
        let rows = stripe.rows();
        let (streams, stripe_footer) = stripe.into_parts();
        streams.into_iter().for_each(|stream| file.push(stream));
        let data_length = file.length;
        file.push(tail.packing.stored(&stripe_footer.encode_to_vec()));
        footer.stripes.push(StripeInformation {
            data_length: Some(data_length),
            footer_length: Some(file.length - data_length),
            number_of_rows: Some(rows),
            ..StripeInformation::default()
        });
    }
    let mut end = tail.packing.stored(&footer.encode_to_vec());
    let postscript = PostScript {
        footer_length: Some(end.len() as u64),
        metadata_length: Some(0),
        compression: Some(tail.packing.kind.into()),
        compression_block_size: Some(tail.packing.chunk_bytes as u64),
        magic: Some("ORC".to_owned()),
        ..PostScript::default()
    };
    let postscript = postscript.encode_to_vec();
    end.extend_from_slice(&postscript);
    end.push(postscript.len() as u8);
    file.push(end);
    ArrowReaderBuilder::try_new(file).map_err(|error| error.to_string())
}

/// The columns of a file as Arrow has them.
///
/// # Errors
/// When the library does not know its types.
pub fn schema(tail: &Tail) -> Result<arrow::datatypes::SchemaRef, String> {
    Ok(open(tail, None)?.schema())
}

/// Decodes the wanted columns of a stripe, `batch_rows` at a time.
///
/// # Errors
/// When the library does not know its types.
pub fn decoder(
    tail: &Tail,
    stripe: Stripe<'_>,
    columns: &[Column],
    batch_rows: usize,
) -> Result<Box<ArrowReader<StripeFile>>, String> {
    let builder = open(tail, Some(stripe))?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_ref()).collect();
    let projection = ProjectionMask::named_roots(builder.file_metadata().root_data_type(), &names);
    let builder = builder
        .with_batch_size(batch_rows)
        .with_projection(projection)
        .with_timestamp_precision(TimestampPrecision::Microsecond);
    Ok(Box::new(builder.build()))
}
