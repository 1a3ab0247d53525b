//! A stripe, weighed before it is decoded: the library takes memory for as many values as the lengths in a stripe
//! promise, and where there is not as much the process ends. So the streams of the wanted columns are walked first,
//! and as many rows are decoded at once as surely fit.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use egret_runtime::row::{BATCH_ROWS, Column};
use orc_rust::proto::column_encoding::Kind as Encoding;
use orc_rust::proto::stream::Kind as Stream;
use orc_rust::proto::r#type::Kind;
use orc_rust::proto::{self, StripeFooter, StripeInformation, Type};
use prost::Message;

use super::chunks::Chunks;
use super::lengths::{self, Runs};
use super::tail::Tail;

/// Plain bytes of the footer of a stripe at most.
const STRIPE_FOOTER_BYTES_MAX: usize = 8 << 20;

/// Bytes that decoding a batch may take, as far as fewer rows can help.
const BATCH_BYTES_MAX: u64 = 128 << 20;

/// Bytes that decoding one row may take.
const ROW_BYTES_MAX: u64 = 512 << 20;

/// Bytes of the dictionaries of a stripe at most.
const DICTIONARY_BYTES_MAX: u64 = 512 << 20;

/// Bytes of a stripe that are kept unpacked, once they had to be unpacked to be checked.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Rows of a batch that are tried.
const ROWS: [usize; 4] = [BATCH_ROWS, 256, 16, 1];

/// Bytes that a value takes on its way: what the library gathers of it, and the column that it becomes.
const VALUE_BYTES: u64 = 24;
const MOMENT_BYTES: u64 = 48;
const DECIMAL_BYTES: u64 = 64;

/// A stripe in memory.
pub struct Stripe<'a> {
    tail: &'a Tail,
    rows: u64,
    footer: StripeFooter,
    /// The streams of the wanted columns.
    streams: BTreeMap<Key, Bytes>,
    /// Bytes that may still be kept unpacked.
    room: usize,
    /// The wanted columns, each with the number of its type.
    roots: Vec<(u32, &'a str)>,
    /// Those and the columns within them, by number, each with the name of the one it belongs to.
    wanted: BTreeMap<u32, &'a str>,
}

/// A stream: the number of its column, and its kind.
pub type Key = (u32, Stream);

impl<'a> Stripe<'a> {
    /// Reads the footer of a stripe. `bytes` are as long as `about` says.
    ///
    /// # Errors
    /// When it is broken or beyond a bound.
    pub fn open(tail: &'a Tail, about: &StripeInformation, bytes: &Bytes, columns: &[Column]) -> Result<Self, String> {
        let mut data = bytes.clone();
        let footer = data.split_off(bytes.len().saturating_sub(about.footer_length() as usize));
        let in_footer = |why: &dyn std::fmt::Display| format!("its footer: {why}");
        let footer = tail.packing.plain(&footer).all(STRIPE_FOOTER_BYTES_MAX).map_err(|why| in_footer(&why))?;
        let footer = StripeFooter::decode(footer.as_slice()).map_err(|error| in_footer(&error))?;
        if footer.columns.len() < tail.types.len() {
            let (found, expected) = (footer.columns.len(), tail.types.len());
            return Err(format!("its footer tells of {found} of {expected} columns"));
        }
        let wanted = |name: &str| columns.iter().any(|column| column.name.as_ref() == name);
        let root = tail.types.first();
        let children = root.into_iter().flat_map(|root| root.subtypes.iter().zip(&root.field_names));
        let roots: Vec<_> =
            children.filter(|(_, name)| wanted(name)).map(|(child, name)| (*child, name.as_str())).collect();
        let wanted = wanted_types(&tail.types, &roots);
        let streams = streams(&footer, data, &wanted)?;
        Ok(Self { tail, rows: about.number_of_rows(), footer, streams, room: KEPT_BYTES_MAX, roots, wanted })
    }

    /// Rows that it has, if it is not broken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The streams, in their order.
    pub fn keys(&self) -> Vec<Key> {
        self.streams.keys().copied().collect()
    }

    /// The chunks of a stream: they are to be checked before anything else is done with it.
    pub fn chunks(&self, key: Key) -> Chunks<'_> {
        self.tail.packing.chunks(&self.streams[&key], self.room)
    }

    /// Puts a stream of the same bytes in the place of one.
    pub fn replace(&mut self, key: Key, stream: Vec<u8>) {
        self.room = self.room.saturating_sub(stream.len());
        self.streams.insert(key, stream.into());
    }

    /// What is wrong with a stream.
    pub fn about(&self, key: Key, why: String) -> String {
        of_column(self.wanted[&key.0], why)
    }

    /// The streams of the wanted columns, and a footer that tells of them alone.
    pub fn into_parts(self) -> (Vec<Bytes>, StripeFooter) {
        let about = self.streams.iter().map(|((number, kind), stream)| proto::Stream {
            kind: Some((*kind).into()),
            column: Some(*number),
            length: Some(stream.len() as u64),
        });
        let footer = StripeFooter { streams: about.collect(), encryption: Vec::new(), ..self.footer };
        (self.streams.into_values().collect(), footer)
    }

    /// Rows that can be decoded at once.
    ///
    /// # Errors
    /// When a single row would take too much.
    pub fn batch_rows(&self) -> Result<usize, String> {
        let longest = self.longest_entries()?;
        let mut heaviest = ("", 0);
        for rows in ROWS {
            let mut sum = 0u64;
            heaviest = ("", 0);
            for (root, name) in &self.roots {
                let values = self.rows.min(rows as u64);
                let bytes = self.weight(*root, values, &longest).map_err(|why| of_column(name, why))?;
                sum = sum.saturating_add(bytes);
                if bytes > heaviest.1 {
                    heaviest = (*name, bytes);
                }
            }
            let bound = if rows == 1 { ROW_BYTES_MAX } else { BATCH_BYTES_MAX };
            if sum <= bound {
                return Ok(rows);
            }
        }
        let (name, bytes) = heaviest;
        Err(of_column(name, format!("a row may take {bytes} bytes, and all its columns more than {ROW_BYTES_MAX}")))
    }

    fn encoding(&self, number: u32) -> Encoding {
        self.footer.columns[number as usize].kind()
    }

    /// Bytes that decoding so many values of a column takes at most, wherever they stand in it.
    fn weight(&self, number: u32, values: u64, longest: &BTreeMap<u32, u64>) -> Result<u64, String> {
        let found = &self.tail.types[number as usize];
        let own = values.saturating_mul(VALUE_BYTES);
        let children = |values: u64| -> Result<u64, String> {
            let mut sum = own;
            for child in &found.subtypes {
                sum = sum.saturating_add(self.weight(*child, values, longest)?);
            }
            Ok(sum)
        };
        Ok(match found.kind() {
            Kind::Struct | Kind::Union => children(values)?,
            Kind::List | Kind::Map => children(self.most(number, values)?)?,
            Kind::Binary => own.saturating_add(self.most(number, values)?),
            Kind::String | Kind::Varchar | Kind::Char => own.saturating_add(match longest.get(&number) {
                Some(longest) => values.saturating_mul(*longest),
                None => self.most(number, values)?,
            }),
            Kind::Decimal => values.saturating_mul(DECIMAL_BYTES),
            Kind::Timestamp | Kind::TimestampInstant => values.saturating_mul(MOMENT_BYTES),
            _ => own,
        })
    }

    /// The most that so many lengths of a column that follow each other can add up to.
    fn most(&self, number: u32, values: u64) -> Result<u64, String> {
        let mut window = Window::new(values);
        self.lengths(number, &mut |length, times| {
            window.add(length, times);
            true
        })?;
        Ok(window.most)
    }

    fn lengths(&self, number: u32, visit: &mut impl FnMut(u64, u64) -> bool) -> Result<(), String> {
        let Some(stream) = self.streams.get(&(number, Stream::Length)) else { return Ok(()) };
        let runs = match self.encoding(number) {
            Encoding::Direct | Encoding::Dictionary => Runs::First,
            Encoding::DirectV2 | Encoding::DictionaryV2 => Runs::Second,
        };
        lengths::visit(self.tail.packing.plain(stream), runs, visit)
    }

    /// The longest entry of each dictionary. They are bounded: the library reads them whole and keeps them.
    fn longest_entries(&self) -> Result<BTreeMap<u32, u64>, String> {
        let mut longest = BTreeMap::new();
        let mut sum = 0u64;
        for (&number, name) in &self.wanted {
            let is_text = matches!(self.tail.types[number as usize].kind(), Kind::String | Kind::Varchar | Kind::Char);
            if !is_text || !matches!(self.encoding(number), Encoding::Dictionary | Encoding::DictionaryV2) {
                continue;
            }
            let entries = u64::from(self.footer.columns[number as usize].dictionary_size());
            let (mut left, mut most, mut bytes) = (entries, 0, 0u64);
            let read = self.lengths(number, &mut |length, times| {
                let times = times.min(left);
                left -= times;
                most = length.max(most);
                bytes = bytes.saturating_add(length.saturating_mul(times));
                left > 0
            });
            read.map_err(|why| of_column(name, why))?;
            if left > 0 {
                let found = entries - left;
                let why = format!("its dictionary has {found} entries, and should have {entries}");
                return Err(of_column(name, why));
            }
            sum = sum.saturating_add(bytes).saturating_add(entries.saturating_mul(VALUE_BYTES));
            if sum > DICTIONARY_BYTES_MAX {
                let why = format!("the dictionaries up to it take {sum} bytes, more than {DICTIONARY_BYTES_MAX}");
                return Err(of_column(name, why));
            }
            longest.insert(number, most);
        }
        Ok(longest)
    }
}

fn of_column(name: &str, why: String) -> String {
    format!("column '{name}': {why}")
}

/// Columns and those within them, each with the name of the one it belongs to.
fn wanted_types<'a>(types: &[Type], roots: &[(u32, &'a str)]) -> BTreeMap<u32, &'a str> {
    let mut wanted = BTreeMap::new();
    let mut left = roots.to_vec();
    while let Some((number, name)) = left.pop() {
        left.extend(types[number as usize].subtypes.iter().map(|child| (*child, name)));
        wanted.insert(number, name);
    }
    wanted
}

/// The streams of wanted columns that are read: they stand in the order of the footer, from the start of the stripe.
fn streams(
    footer: &StripeFooter,
    mut data: Bytes,
    wanted: &BTreeMap<u32, &str>,
) -> Result<BTreeMap<Key, Bytes>, String> {
    let is_read = |kind: Stream| {
        matches!(kind, Stream::Present | Stream::Data | Stream::Length | Stream::DictionaryData | Stream::Secondary)
    };
    let mut streams = BTreeMap::new();
    for stream in &footer.streams {
        let length = usize::try_from(stream.length()).ok().filter(|length| *length <= data.len());
        let bytes = data.split_to(length.ok_or("its streams are longer than it is")?);
        if !is_read(stream.kind()) {
            continue;
        }
        let Some(name) = wanted.get(&stream.column()) else { continue };
        match streams.entry((stream.column(), stream.kind())) {
            Entry::Vacant(free) => free.insert(bytes),
            Entry::Occupied(_) => {
                let kind = stream.kind().as_str_name();
                return Err(of_column(name, format!("type {} has two streams of the kind {kind}", stream.column())));
            }
        };
    }
    Ok(streams)
}

/// Finds the largest sum of values that follow each other: over blocks, two neighbours of which hold any such row.
pub struct Window {
    size: u64,
    before: u64,
    block: u64,
    filled: u64,
    /// The sum, or up to twice as much.
    pub most: u64,
}

impl Window {
    /// Of `size` values.
    pub fn new(size: u64) -> Self {
        Self { size, before: 0, block: 0, filled: 0, most: 0 }
    }

    /// Goes on by a value that stands so many times.
    pub fn add(&mut self, value: u64, mut times: u64) {
        while times > 0 && self.size > 0 {
            let taken = times.min(self.size - self.filled);
            self.block = self.block.saturating_add(value.saturating_mul(taken));
            self.filled += taken;
            times -= taken;
            // A row of one value lies in one block.
            let before = if self.size == 1 { 0 } else { self.before };
            self.most = self.most.max(self.block.saturating_add(before));
            if self.filled == self.size {
                (self.before, self.block, self.filled) = (self.block, 0, 0);
            }
        }
    }
}
