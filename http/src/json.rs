//! Writing JSON into a buffer that is used again and again.

use bytes::{Bytes, BytesMut};

/// Memory that a shard's answers take at a time.
const SHARED_BYTES: usize = 32 << 10;

/// Doubles whose text is kept: the rates of one job.
const DOUBLES_KEPT: usize = 4;

/// Builds the bytes of an answer. The memory is used again once the answers cut from it are sent.
#[derive(Debug, Default)]
pub(crate) struct JsonBuffer {
    bytes: BytesMut,
    scratch: String,
    /// The doubles written last, in quotes: a job with one table tells each of its rates twice.
    doubles: [(f64, String); DOUBLES_KEPT],
}

impl JsonBuffer {
    /// A buffer for the answers of one shard.
    pub(crate) fn shared() -> Self {
        // What is cut off here is given back together, so a chunk serves several answers.
        Self { bytes: BytesMut::with_capacity(SHARED_BYTES), ..Self::default() }
    }

    /// Punctuation and other text that is JSON already.
    #[inline]
    pub(crate) fn raw(&mut self, json: &str) -> &mut Self {
        self.bytes.extend_from_slice(json.as_bytes());
        self
    }

    /// Bytes that are JSON already.
    pub(crate) fn raw_bytes(&mut self, json: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(json);
        self
    }

    /// A string with its quotes.
    pub(crate) fn string(&mut self, text: &str) -> &mut Self {
        self.raw("\"");
        self.escaped(text);
        self.raw("\"");
        self
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, value: impl itoa::Integer) -> &mut Self {
        self.raw(itoa::Buffer::new().format(value))
    }

    /// A whole number in quotes (contract A.3: metric values are strings).
    pub(crate) fn quoted_integer(&mut self, value: impl itoa::Integer) -> &mut Self {
        self.raw("\"");
        self.integer(value);
        self.raw("\"");
        self
    }

    /// A double in Java's text form, in quotes (contract A.3).
    pub(crate) fn quoted_double(&mut self, value: f64) -> &mut Self {
        let Self { bytes, doubles, .. } = self;
        let known = doubles.iter().position(|(of, text)| of.to_bits() == value.to_bits() && !text.is_empty());
        let known = known.unwrap_or_else(|| {
            doubles.rotate_right(1);
            let (of, text) = &mut doubles[0];
            *of = value;
            text.clear();
            text.push('"');
            egret_runtime::row::text::write_double(text, value);
            text.push('"');
            0
        });
        bytes.extend_from_slice(doubles[known].1.as_bytes());
        self
    }

    /// A point in time, given in milliseconds, as the wire has it: local, to the second, in quotes (contract A.3).
    pub(crate) fn time(&mut self, millis: i64) -> &mut Self {
        self.scratch.clear();
        crate::localtime::write(&mut self.scratch, millis);
        self.raw("\"");
        self.bytes.extend_from_slice(self.scratch.as_bytes());
        self.raw("\"");
        self
    }

    /// Bytes written since the last [`take`](Self::take).
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What was written since the last call.
    pub(crate) fn take(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }

    /// Makes room for more bytes at once.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// The inside of a string: runs of plain bytes are copied as they are.
    fn escaped(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut plain_from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0..0x20 => b"",
                _ => continue,
            };
            self.bytes.extend_from_slice(&bytes[plain_from..at]);
            plain_from = at + 1;
            if escape.is_empty() {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                self.bytes.extend_from_slice(b"\\u00");
                self.bytes.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            } else {
                self.bytes.extend_from_slice(escape);
            }
        }
        self.bytes.extend_from_slice(&bytes[plain_from..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_string_comes_back_as_it_was(text in any::<String>()) {
            let mut json = JsonBuffer::default();
            let bytes = json.string(&text).take();
            prop_assert_eq!(serde_json::from_slice::<String>(&bytes).expect("valid JSON"), text);
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut json = JsonBuffer::default();
        assert_eq!(
            &json.string("a\u{1}\u{1f}\"\\\n\u{7f}é").take()[..],
            "\"a\\u0001\\u001f\\\"\\\\\\n\u{7f}é\"".as_bytes()
        );
    }

    #[test]
    fn a_double_that_is_told_again_has_the_same_text() {
        let mut json = JsonBuffer::default();
        for round in 0..3 {
            for value in [1.5, -0.0, 0.0, 2.5, 3.5, 1.5, f64::NAN] {
                json.raw(if round > 0 { "," } else { "" }).quoted_double(value);
            }
        }
        let round = r#""1.5","-0.0","0.0","2.5","3.5","1.5","NaN""#;
        let first = round.replace(',', "");
        assert_eq!(json.take(), format!("{first},{round},{round}"));
    }

    #[test]
    fn numbers_are_strings_and_doubles_are_written_as_java_does() {
        let mut json = JsonBuffer::default();
        json.quoted_integer(u64::MAX).raw(",").quoted_double(0.0).raw(",").quoted_double(1e7);
        assert_eq!(&json.take()[..], br#""18446744073709551615","0.0","1.0E7""#);
    }
}
