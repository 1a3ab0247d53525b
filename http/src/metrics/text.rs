//! The two text forms of metrics.

use std::sync::OnceLock;
use std::time::Duration;

use egret_runtime::metrics::{Buckets, Counted};
use egret_runtime::row::text::write_double;
use memchr::memchr3;

use super::family::{About, Kind, Table};
use super::select::Selection;
use crate::body::Body;

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4, written as the original's library writes it: with a comma behind the last label.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What scrapers tell the form by.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Bytes of a label's value; what is behind them is cut off. A name of a job may be as long as a body.
pub(super) const LABEL_BYTES_MAX: usize = 256;

/// The number of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// Written with all its digits.
    Whole(u64),
    /// Written with as few digits as tell it.
    Double(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<Duration> for Value {
    /// In seconds.
    fn from(value: Duration) -> Self {
        Self::Double(value.as_secs_f64())
    }
}

/// Nanoseconds as seconds.
pub(super) fn nanos(nanos: u64) -> Value {
    Duration::from_nanos(nanos).into()
}

/// Upper bounds of the buckets of a histogram, in nanoseconds; they rise.
pub(super) struct Bounds<const N: usize> {
    nanos: [u64; N],
    /// The same in seconds, as labels have them.
    seconds: OnceLock<[String; N]>,
}

impl<const N: usize> Bounds<N> {
    pub(super) const fn new(nanos: [u64; N]) -> Self {
        Self { nanos, seconds: OnceLock::new() }
    }

    fn seconds(&self) -> &[String; N] {
        let text = |nanos| ryu::Buffer::new().format_finite(Duration::from_nanos(nanos).as_secs_f64()).to_owned();
        self.seconds.get_or_init(|| self.nanos.map(text))
    }
}

/// Bytes of a piece of the text, which is what goes out to a client in one turn.
const PIECE_BYTES: usize = 64 << 10;
/// Room that a text with some of the families begins with.
const SELECTED_BYTES: usize = 4 << 10;
/// What a line takes at most beside its begin and the values of its labels: a number, a bound, names of labels.
const LINE_BYTES: usize = 256;

/// Metrics as they are written. Every sample begins with the label `cluster`.
///
/// What all samples of a family begin with is put together when the family is announced, and what an item's samples
/// share was put together by whoever has the item; so a sample is two copies and a number. The text grows by pieces,
/// which go out as they are: it is never moved.
pub(super) struct Exposition {
    format: Format,
    selection: Selection,
    /// The first label: `{cluster="seatunnel"`.
    cluster: String,
    /// What stands between the labels and the number.
    label_end: &'static str,
    /// The family that was announced last.
    family: Option<&'static About>,
    /// What the lines of this family begin with, by the suffixes of its kind.
    begins: [String; Kind::SUFFIXES_MAX],
    /// Labels of a family's own, for the lines that share them.
    scratch: String,
    written: Body,
    piece: Vec<u8>,
}

impl Exposition {
    /// Nothing yet.
    pub(super) fn new(format: Format, selection: Selection, cluster: &str) -> Self {
        let mut label = String::from("{cluster=\"");
        escape(&mut label, cluster);
        label.push('"');
        Self {
            format,
            cluster: label,
            label_end: if format == Format::Prometheus { ",} " } else { "} " },
            family: None,
            begins: Default::default(),
            scratch: String::new(),
            written: Body::empty(),
            piece: Vec::with_capacity(if selection.is_whole() { PIECE_BYTES } else { SELECTED_BYTES }),
            selection,
        }
    }

    /// Whether any family of a table is asked for.
    pub(super) fn wants<S>(&self, table: &'static Table<S>) -> bool {
        table.families.iter().any(|family| self.wants_family(&family.about))
    }

    pub(super) fn wants_family(&self, family: &About) -> bool {
        self.selection.has(family)
    }

    /// Announces a family, of which samples follow. All are, whether they have samples or not, so that who looks sees
    /// what there may be.
    pub(super) fn announce(&mut self, family: &'static About) {
        let (suffix, kind) = match (self.format, family.kind) {
            (Format::Prometheus, Kind::Info) => (family.kind.suffix(), Kind::Gauge),
            (Format::Prometheus, kind) => (kind.suffix(), kind),
            (Format::OpenMetrics, kind) => ("", kind),
        };
        for (word, rest) in [("# HELP ", family.help), ("# TYPE ", kind.as_str())] {
            self.announcement(word, family.base, suffix, rest);
        }
        if self.format == Format::OpenMetrics && !family.unit.is_empty() {
            self.announcement("# UNIT ", family.base, "", family.unit);
        }
        self.family = Some(family);
        for (begin, suffix) in self.begins.iter_mut().zip(family.kind.suffixes()) {
            begin.clear();
            [family.base, suffix, &self.cluster].into_iter().for_each(|part| begin.push_str(part));
        }
    }

    fn announcement(&mut self, word: &str, base: &str, suffix: &str, rest: &str) {
        self.make_room(LINE_BYTES + base.len() + rest.len());
        [word, base, suffix, " ", rest, "\n"].into_iter().for_each(|part| self.push(part));
    }

    /// The samples of the announced family for an item that has these labels, of [`labels`].
    pub(super) fn samples<'t>(&'t mut self, family: &'static About, shared: &'t str) -> Samples<'t> {
        debug_assert!(self.family.is_some_and(|announced| std::ptr::eq(announced, family)), "{}", family.base);
        Samples { text: self, family, shared }
    }

    /// All of it.
    pub(super) fn end(mut self) -> Body {
        if self.format == Format::OpenMetrics {
            self.push("# EOF\n");
        }
        self.written.push(self.piece.into());
        self.written
    }

    /// Begins a new piece where the last one has no room for so many bytes.
    #[inline]
    fn make_room(&mut self, bytes: usize) {
        if self.piece.capacity() - self.piece.len() < bytes {
            let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES.max(bytes)));
            self.written.push(piece.into());
        }
    }

    #[inline]
    fn push(&mut self, text: &str) {
        self.piece.extend_from_slice(text.as_bytes());
    }
}

/// Writes the samples of one family for one item.
pub(super) struct Samples<'t> {
    text: &'t mut Exposition,
    family: &'static About,
    shared: &'t str,
}

impl Samples<'_> {
    /// The one sample of a family without labels of its own.
    pub(super) fn value(&mut self, value: impl Into<Value>) {
        self.labelled(&[], value);
    }

    /// The same, where there is a value: what the kernel does not tell is not there.
    pub(super) fn known(&mut self, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.value(value);
        }
    }

    /// A sample whose labels have these values, in the order of the family's labels.
    pub(super) fn labelled(&mut self, labels: &[&str], value: impl Into<Value>) {
        debug_assert_ne!(self.family.kind, Kind::Histogram, "{} has buckets", self.family.base);
        debug_assert_eq!(labels.len(), self.family.labels.len(), "{} has other labels", self.family.base);
        if labels.is_empty() {
            return self.line(0, "", None, value.into());
        }
        self.with_labels(labels, |samples, own| samples.line(0, own, None, value.into()));
    }

    /// A histogram of what these buckets hold together, whose labels have these values.
    pub(super) fn histogram<'b, const N: usize>(
        &mut self,
        labels: &[&str],
        bounds: &Bounds<N>,
        buckets: impl IntoIterator<Item = &'b Buckets>,
    ) {
        debug_assert_eq!(self.family.kind, Kind::Histogram, "{} has no buckets", self.family.base);
        debug_assert_eq!(labels.len(), self.family.labels.len(), "{} has other labels", self.family.base);
        let counted = Counted::of(&bounds.nanos, buckets);
        self.with_labels(labels, |samples, own| {
            for (bound, count) in bounds.seconds().iter().zip(counted.at_most()) {
                samples.line(0, own, Some(bound), (*count).into());
            }
            samples.line(0, own, Some("+Inf"), counted.count().into());
            samples.line(1, own, None, counted.count().into());
            samples.line(2, own, None, nanos(counted.sum()));
        });
    }

    /// Renders labels of the family's own, for as many lines as follow.
    fn with_labels(&mut self, values: &[&str], write: impl FnOnce(&mut Self, &str)) {
        let mut own = std::mem::take(&mut self.text.scratch);
        own.clear();
        labels(&mut own, self.family.labels, values);
        write(self, &own);
        self.text.scratch = own;
    }

    /// A line: what the family's lines with that suffix begin with, labels, the number.
    #[inline]
    fn line(&mut self, suffix: usize, own: &str, bound: Option<&str>, value: Value) {
        let text = &mut *self.text;
        text.make_room(text.begins[suffix].len() + self.shared.len() + own.len() + LINE_BYTES);
        let piece = &mut text.piece;
        piece.extend_from_slice(text.begins[suffix].as_bytes());
        piece.extend_from_slice(self.shared.as_bytes());
        piece.extend_from_slice(own.as_bytes());
        if let Some(bound) = bound {
            // A number: nothing to escape.
            for part in [",le=\"", bound, "\""] {
                piece.extend_from_slice(part.as_bytes());
            }
        }
        piece.extend_from_slice(text.label_end.as_bytes());
        write_value(piece, value, self.family.is_original);
        piece.push(b'\n');
    }
}

/// Appends `,name="value"` for each of the names.
pub(super) fn labels(text: &mut String, names: &[&str], values: &[&str]) {
    debug_assert_eq!(names.len(), values.len(), "a value for each of {names:?}");
    names.iter().zip(values).for_each(|(name, value)| label(text, name, value));
}

fn label(text: &mut String, name: &str, value: &str) {
    for piece in [",", name, "=\""] {
        text.push_str(piece);
    }
    escape(text, value);
    text.push('"');
}

/// The inside of a label's value.
fn escape(text: &mut String, value: &str) {
    let mut end = value.len().min(LABEL_BYTES_MAX);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    let mut rest = &value[..end];
    while let Some(place) = memchr3(b'\\', b'"', b'\n', rest.as_bytes()) {
        text.push_str(&rest[..place]);
        text.push_str(match rest.as_bytes()[place] {
            b'\\' => "\\\\",
            b'"' => "\\\"",
            _ => "\\n",
        });
        rest = &rest[place + 1..];
    }
    text.push_str(rest);
}

fn write_value(text: &mut Vec<u8>, value: Value, is_original: bool) {
    let value = match value {
        Value::Whole(value) if !is_original => {
            return text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        }
        Value::Whole(value) => value as f64,
        Value::Double(value) => value,
    };
    if is_original {
        // As a double of Java: `1.0`, `1.0E7`.
        let mut number = String::new();
        write_double(&mut number, value);
        text.extend_from_slice(number.as_bytes());
    } else if value.is_finite() {
        text.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        let word: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"+Inf"
        } else {
            b"-Inf"
        };
        text.extend_from_slice(word);
    }
}

#[cfg(test)]
mod tests;
