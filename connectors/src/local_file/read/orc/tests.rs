//! Stripes that promise more than they hold. The library took the memory for it: files of some hundred bytes ended the
//! process. And whole files of that kind, as the reader meets them.

use arrow::datatypes::Schema;
use bytes::Bytes;
use egret_runtime::file::block_on;
use egret_runtime::row::{BATCH_ROWS, DataType};
use egret_runtime::task::TaskStats;
use orc_rust::proto::column_encoding::Kind as Encoding;
use orc_rust::proto::stream::Kind as Kinds;
use orc_rust::proto::r#type::Kind;
use orc_rust::proto::{
    self, ColumnEncoding, CompressionKind, Footer, PostScript, StripeFooter, StripeInformation, Type,
};
use proptest::prelude::*;
use prost::Message;

use super::chunks::Packing;
use super::stripe::{Stripe, Window};
use super::tail::Tail;
use super::*;

/// A file of one stripe.
#[derive(Default)]
struct Made {
    types: Vec<Type>,
    columns: Vec<ColumnEncoding>,
    streams: Vec<(u32, Kinds, Vec<u8>)>,
    rows: u64,
}

impl Made {
    /// A file with the column `c`. Types stand behind the types that hold them.
    fn of(rows: u64, types: &[(Kind, &[u32])]) -> Self {
        let mut made = Self { rows, ..Self::default() };
        for (kind, subtypes) in std::iter::once(&(Kind::Struct, &[1][..])).chain(types) {
            let field_names = if made.types.is_empty() { vec!["c".to_owned()] } else { Vec::new() };
            made.types.push(Type {
                kind: Some((*kind).into()),
                subtypes: subtypes.to_vec(),
                field_names,
                ..Type::default()
            });
            made.columns.push(ColumnEncoding { kind: Some(Encoding::DirectV2.into()), ..ColumnEncoding::default() });
        }
        made
    }

    fn stream(mut self, column: u32, kind: Kinds, bytes: &[u8]) -> Self {
        self.streams.push((column, kind, bytes.to_vec()));
        self
    }

    fn dictionary(mut self, column: usize, entries: u32) -> Self {
        self.columns[column] = ColumnEncoding {
            kind: Some(Encoding::DictionaryV2.into()),
            dictionary_size: Some(entries),
            ..ColumnEncoding::default()
        };
        self
    }

    fn stripe(&self) -> (Tail, StripeInformation, Bytes) {
        let streams = self.streams.iter().map(|(column, kind, bytes)| proto::Stream {
            kind: Some((*kind).into()),
            column: Some(*column),
            length: Some(bytes.len() as u64),
        });
        let footer =
            StripeFooter { streams: streams.collect(), columns: self.columns.clone(), ..StripeFooter::default() };
        let mut bytes: Vec<u8> = self.streams.iter().flat_map(|(_, _, bytes)| bytes.clone()).collect();
        let data = bytes.len() as u64;
        let footer = footer.encode_to_vec();
        bytes.extend_from_slice(&footer);
        let about = StripeInformation {
            offset: Some(0),
            data_length: Some(data),
            footer_length: Some(footer.len() as u64),
            number_of_rows: Some(self.rows),
            ..StripeInformation::default()
        };
        let packing = Packing { kind: CompressionKind::None, chunk_bytes: 0 };
        (Tail { packing, types: self.types.clone(), stripes: vec![about.clone()] }, about, bytes.into())
    }

    fn batch_rows(&self) -> Result<usize, String> {
        let (tail, about, bytes) = self.stripe();
        Stripe::open(&tail, &about, &bytes, &[Column::new("c", DataType::Int)])?.batch_rows()
    }

    fn file(&self) -> Vec<u8> {
        let (tail, _, stripe) = self.stripe();
        let mut file = stripe.to_vec();
        let footer = Footer { types: tail.types, stripes: tail.stripes, ..Footer::default() }.encode_to_vec();
        file.extend_from_slice(&footer);
        let postscript = PostScript { footer_length: Some(footer.len() as u64), ..PostScript::default() };
        let postscript = postscript.encode_to_vec();
        file.extend_from_slice(&postscript);
        file.push(postscript.len() as u8);
        file
    }
}

/// 8192 times a length, in runs of 512.
fn lengths(length: u64) -> Vec<u8> {
    let mut run = vec![0xc1, 0xff];
    let mut left = length;
    while left >= 0x80 {
        run.push(left as u8 | 0x80);
        left >>= 7;
    }
    run.extend([left as u8, 0]);
    run.repeat(16)
}

/// The rows of a file with the column `c`, or the error.
fn read(file: Vec<u8>, data_type: DataType) -> Result<usize, String> {
    let columns: Arc<[Column]> = Arc::new([Column::new("c", data_type)]);
    let fields = columns.iter().map(|column| arrow::datatypes::Field::new("c", column.data_type.arrow(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    block_on(|| async move {
        let probe = Rc::new(TaskProbe::new(Arc::new(TaskStats::new([(1, 1)]))));
        let file = ReadFile::in_memory("a.orc", file.into());
        let mut reader = OrcReader::new(file, columns, schema, Place::default(), probe);
        let mut rows = 0;
        while let Some(batch) = reader.next().await.map_err(|error| error.to_string())? {
            rows += batch.num_rows();
        }
        Ok(rows)
    })
    .expect("an executor")
}

#[test]
fn fewer_rows_are_decoded_at_once_where_values_are_large() {
    let list =
        |length| Made::of(1 << 20, &[(Kind::List, &[2]), (Kind::Int, &[])]).stream(1, Kinds::Length, &lengths(length));
    for (length, rows) in [(0, BATCH_ROWS), (100, BATCH_ROWS), (5_000, 256), (100_000, 16), (5_000_000, 1)] {
        assert_eq!(list(length).batch_rows(), Ok(rows), "lists of {length}");
    }
    let text = |length| Made::of(1 << 20, &[(Kind::String, &[])]).stream(1, Kinds::Length, &lengths(length));
    for (length, rows) in [(1_000, BATCH_ROWS), (200_000, 256), (1 << 20, 16), (100 << 20, 1)] {
        assert_eq!(text(length).batch_rows(), Ok(rows), "texts of {length}");
    }
    // What lists hold counts by what the lists ask for.
    let nested = |length| {
        Made::of(1 << 20, &[(Kind::Map, &[2, 3]), (Kind::Int, &[]), (Kind::Binary, &[])])
            .stream(1, Kinds::Length, &lengths(10))
            .stream(3, Kinds::Length, &lengths(length))
    };
    assert_eq!(nested(50).batch_rows(), Ok(BATCH_ROWS));
    assert_eq!(nested(200_000).batch_rows(), Ok(16));
    // Rows that are not there are not counted.
    assert_eq!(Made { rows: 1, ..list(100_000) }.batch_rows(), Ok(BATCH_ROWS));
    assert_eq!(Made::of(u64::MAX, &[(Kind::Long, &[])]).batch_rows(), Ok(BATCH_ROWS));
}

#[test]
fn rows_that_promise_too_much_are_refused_by_name() {
    let list = Made::of(3, &[(Kind::List, &[2]), (Kind::Int, &[])]).stream(1, Kinds::Length, &lengths(1 << 62));
    let expected = "column 'c': a row may take 18446744073709551615 bytes, and all its columns more than 536870912";
    assert_eq!(list.batch_rows(), Err(expected.to_owned()));
    let error = read(list.file(), DataType::Array(Box::new(DataType::Int))).expect_err("too much");
    assert_eq!(error, format!("reading a.orc as orc: stripe 1: {expected}"));
    let text = Made::of(3, &[(Kind::String, &[])]).stream(1, Kinds::Length, &lengths(1 << 30));
    assert!(text.batch_rows().expect_err("too much").starts_with("column 'c': a row may take 1073741"));
}

#[test]
fn dictionaries_are_bounded_by_their_entries_and_their_bytes() {
    let text = |entries, length| {
        Made::of(1 << 20, &[(Kind::String, &[])]).dictionary(1, entries).stream(1, Kinds::Length, &lengths(length))
    };
    assert_eq!(text(512, 10).batch_rows(), Ok(BATCH_ROWS));
    assert_eq!(text(512, 100_000).batch_rows(), Ok(256));
    let entries = "column 'c': its dictionary has 8192 entries, and should have 4294967295";
    assert_eq!(text(u32::MAX, 10).batch_rows(), Err(entries.to_owned()));
    let bytes = "column 'c': the dictionaries up to it take 1073754112 bytes, more than 536870912";
    assert_eq!(text(512, 2 << 20).batch_rows(), Err(bytes.to_owned()));
    let error = read(text(u32::MAX, 10).file(), DataType::String).expect_err("too many");
    assert_eq!(error, format!("reading a.orc as orc: stripe 1: {entries}"));
}

#[test]
fn streams_lie_within_their_stripe_and_stand_once() {
    let int = || Made::of(3, &[(Kind::Int, &[])]).stream(1, Kinds::Data, &[0x00, 0x02]);
    assert_eq!(read(int().file(), DataType::Int), Ok(3));
    let error = read(int().stream(1, Kinds::Data, &[]).file(), DataType::Int).expect_err("two streams");
    assert!(error.ends_with("stripe 1: column 'c': type 1 has two streams of the kind DATA"), "{error}");
    let (tail, about, bytes) = int().stripe();
    let error = Stripe::open(&tail, &about, &bytes.slice(2..), &[Column::new("c", DataType::Int)]).err();
    assert_eq!(error.as_deref(), Some("its streams are longer than it is"));
    let short = Made { columns: Vec::new(), ..int() };
    assert_eq!(short.batch_rows(), Err("its footer tells of 0 of 2 columns".to_owned()));
    let error = read(Made { rows: 4, ..int() }.file(), DataType::Int).expect_err("three rows");
    assert!(error.starts_with("reading a.orc as orc: "), "{error}");
}

proptest! {
    #[test]
    fn a_window_holds_the_largest_sum_and_no_more_than_twice_it(
        runs in prop::collection::vec((0u64..50, 1u64..20), 1..40), size in 1u64..30,
    ) {
        let mut window = Window::new(size);
        let mut values = Vec::new();
        for (value, times) in runs {
            window.add(value, times);
            values.extend(std::iter::repeat_n(value, times as usize));
        }
        let largest = values.windows(values.len().min(size as usize)).map(|row| row.iter().sum::<u64>()).max();
        let largest = largest.unwrap_or_default();
        prop_assert!((largest..=2 * largest).contains(&window.most), "{} for {largest}", window.most);
    }
}
