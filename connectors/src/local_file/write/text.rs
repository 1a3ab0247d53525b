//! Text as bytes of an encoding. Characters that it lacks become `?`, as in Java, and are counted.

use std::borrow::Cow;

use encoding_rs::{EncoderResult, Encoding};
use rustc_hash::FxHashMap;

use super::super::charset::{ByteOrder, Charset};

/// What stands for a character that an encoding lacks.
const UNMAPPABLE: u8 = b'?';

/// Encodes text.
pub enum TextEncoder {
    /// UTF-8.
    Utf8,
    /// One byte for each character below this number.
    Narrow(u32),
    /// Two bytes a unit; whether the high one comes first.
    Utf16 {
        /// Whether the high byte comes first.
        big: bool,
    },
    /// Four bytes a character.
    Utf32 {
        /// Whether the high byte comes first.
        big: bool,
    },
    /// One byte a character, by this table.
    Table(FxHashMap<char, u8>),
    /// One of the Encoding Standard.
    Standard(&'static Encoding),
}

impl TextEncoder {
    /// For an encoding.
    pub fn new(charset: Charset) -> Self {
        match charset {
            Charset::Utf8 => Self::Utf8,
            Charset::Ascii => Self::Narrow(0x80),
            Charset::Utf16(order) => Self::Utf16 { big: order != ByteOrder::Little },
            Charset::Utf32(order) => Self::Utf32 { big: order != ByteOrder::Little },
            Charset::Iso(encoding) => {
                let table = Charset::table(encoding);
                let known = table.iter().zip(0..=u8::MAX).filter(|(symbol, _)| **symbol != char::REPLACEMENT_CHARACTER);
                Self::Table(known.map(|(symbol, byte)| (*symbol, byte)).collect())
            }
            Charset::Other(encoding) => Self::Standard(encoding),
        }
    }

    /// The bytes that a file begins with.
    pub fn mark(charset: Charset) -> &'static [u8] {
        if charset == Charset::Utf16(ByteOrder::Marked) { &[0xfe, 0xff] } else { &[] }
    }

    /// Appends text; answers how many characters the encoding lacks.
    pub fn encode(&self, text: &str, out: &mut Vec<u8>) -> u64 {
        let mut lost = 0;
        self.encode_with(text, out, &mut |_, out| {
            lost += 1;
            out.push(UNMAPPABLE);
        });
        lost
    }

    /// Appends text; `unmappable` writes what stands for a character that the encoding lacks.
    pub fn encode_with(&self, text: &str, out: &mut Vec<u8>, unmappable: &mut dyn FnMut(char, &mut Vec<u8>)) {
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Narrow(limit) => {
                for symbol in text.chars() {
                    if (symbol as u32) < *limit { out.push(symbol as u32 as u8) } else { unmappable(symbol, out) }
                }
            }
            Self::Utf16 { big } => {
                for unit in text.encode_utf16() {
                    out.extend_from_slice(&if *big { unit.to_be_bytes() } else { unit.to_le_bytes() });
                }
            }
            Self::Utf32 { big } => {
                for symbol in text.chars() {
                    let number = symbol as u32;
                    out.extend_from_slice(&if *big { number.to_be_bytes() } else { number.to_le_bytes() });
                }
            }
            Self::Table(bytes) => {
                for symbol in text.chars() {
                    match bytes.get(&symbol) {
                        Some(byte) => out.push(*byte),
                        None => unmappable(symbol, out),
                    }
                }
            }
            Self::Standard(encoding) => encode_standard(encoding, text, out, unmappable),
        }
    }
}

fn encode_standard(
    encoding: &'static Encoding,
    mut text: &str,
    out: &mut Vec<u8>,
    unmappable: &mut dyn FnMut(char, &mut Vec<u8>),
) {
    let mut encoder = encoding.new_encoder();
    loop {
        let most = encoder.max_buffer_length_from_utf8_without_replacement(text.len()).unwrap_or(text.len() * 4 + 16);
        let start = out.len();
        out.resize(start + most, 0);
        let (result, read, written) = encoder.encode_from_utf8_without_replacement(text, &mut out[start..], true);
        out.truncate(start + written);
        text = &text[read..];
        match result {
            EncoderResult::InputEmpty => return,
            EncoderResult::OutputFull => {}
            EncoderResult::Unmappable(symbol) => unmappable(symbol, out),
        }
    }
}

/// Bytes as text; what is no UTF-8 becomes U+FFFD, as when Java makes a text of bytes.
pub fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(name: &str, text: &str) -> (Vec<u8>, u64) {
        let charset = Charset::of(name).expect("an encoding");
        let mut out = TextEncoder::mark(charset).to_vec();
        let lost = TextEncoder::new(charset).encode(text, &mut out);
        (out, lost)
    }

    #[test]
    fn text_is_encoded_as_java_does() {
        for (name, text, bytes) in [
            ("utf-8", "é", &[0xc3, 0xa9][..]),
            ("ISO-8859-1", "é\u{80}", &[0xe9, 0x80]),
            ("ISO-8859-9", "ğ\u{80}", &[0xf0, 0x80]),
            ("windows-1252", "€", &[0x80]),
            ("GBK", "测试", &[0xb2, 0xe2, 0xca, 0xd4]),
            ("gb2312", "测试", &[0xb2, 0xe2, 0xca, 0xd4]),
            ("GB18030", "測€😀", &[0x9c, 0x79, 0xa2, 0xe3, 0x94, 0x39, 0xfc, 0x36]),
            ("Big5", "測", &[0xb4, 0xfa]),
            ("Shift_JIS", "テ", &[0x83, 0x65]),
            ("EUC_JP", "テ", &[0xa5, 0xc6]),
            ("EUC-KR", "한", &[0xc7, 0xd1]),
            ("KOI8-R", "я", &[0xd1]),
            ("UTF-16", "é😀", &[0xfe, 0xff, 0, 0xe9, 0xd8, 0x3d, 0xde, 0]),
            ("UTF-16BE", "é", &[0, 0xe9]),
            ("UTF-16LE", "é", &[0xe9, 0]),
            ("UTF-32", "é", &[0, 0, 0, 0xe9]),
            ("UTF-32LE", "é", &[0xe9, 0, 0, 0]),
        ] {
            assert_eq!(encoded(name, text), (bytes.to_vec(), 0), "{name}");
        }
    }

    #[test]
    fn characters_that_an_encoding_lacks_become_question_marks() {
        assert_eq!(encoded("US-ASCII", "aé😀b"), (b"a??b".to_vec(), 2));
        assert_eq!(encoded("ISO-8859-1", "a€b"), (b"a?b".to_vec(), 1));
        assert_eq!(encoded("gbk", "a😀b"), (b"a?b".to_vec(), 1));
        assert_eq!(encoded("windows-1251", "я測я").1, 1);
    }
}
