//! Text of any encoding into UTF-8. What cannot be decoded becomes U+FFFD, as in Java, and is counted.

use std::cell::Cell;
use std::rc::Rc;

use encoding_rs::{CoderResult, Encoding};

use super::super::charset::{ByteOrder, Charset};
use super::bytes::{Decoder, STEP_BYTES, Step};

/// Input of one step.
const INPUT_BYTES: usize = STEP_BYTES / 4;

/// The decoder of an encoding; none where the bytes are UTF-8 already. Malformed input is added to `malformed`.
pub fn decoder(charset: Charset, malformed: &Rc<Cell<u64>>) -> Option<Box<dyn Decoder>> {
    let malformed = Rc::clone(malformed);
    Some(match charset {
        Charset::Utf8 => return None,
        Charset::Ascii => {
            let table = std::array::from_fn(|byte| match u8::try_from(byte) {
                Ok(byte) if byte.is_ascii() => char::from(byte),
                _ => char::REPLACEMENT_CHARACTER,
            });
            Box::new(Table { table, malformed })
        }
        Charset::Iso(encoding) => Box::new(Table { table: Charset::table(encoding), malformed }),
        Charset::Utf16(order) => Box::new(Utf16 { order, decoder: None, malformed }),
        Charset::Utf32(order) => Box::new(Utf32 { order, started: false, malformed }),
        Charset::Other(encoding) => Box::new(Other::new(encoding, malformed)),
    })
}

fn push(output: &mut Vec<u8>, symbol: char) {
    output.extend_from_slice(symbol.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A byte a character.
struct Table {
    table: [char; 256],
    malformed: Rc<Cell<u64>>,
}

impl Decoder for Table {
    fn step(&mut self, input: &[u8], _last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let input = &input[..input.len().min(INPUT_BYTES)];
        if input.is_empty() {
            return Ok(Step::NeedsInput);
        }
        for byte in input {
            let symbol = self.table[usize::from(*byte)];
            if symbol == char::REPLACEMENT_CHARACTER {
                self.malformed.set(self.malformed.get() + 1);
            }
            push(output, symbol);
        }
        Ok(Step::Used(input.len()))
    }
}

/// What the encoding library knows.
struct Other {
    decoder: encoding_rs::Decoder,
    malformed: Rc<Cell<u64>>,
}

impl Other {
    fn new(encoding: &'static Encoding, malformed: Rc<Cell<u64>>) -> Self {
        Self { decoder: encoding.new_decoder_without_bom_handling(), malformed }
    }
}

impl Decoder for Other {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let piece = &input[..input.len().min(INPUT_BYTES)];
        let last = last && piece.len() == input.len();
        if piece.is_empty() && !last {
            return Ok(Step::NeedsInput);
        }
        let before = output.len();
        let room = self.decoder.max_utf8_buffer_length(piece.len()).unwrap_or(STEP_BYTES);
        output.resize(before + room, 0);
        let (result, read, written, replaced) = self.decoder.decode_to_utf8(piece, &mut output[before..], last);
        output.truncate(before + written);
        if replaced {
            // At least one: the library does not count them.
            self.malformed.set(self.malformed.get() + 1);
        }
        if last && result == CoderResult::InputEmpty {
            return Ok(Step::Ended(read));
        }
        Ok(Step::Used(read))
    }
}

/// Two bytes a unit, by a mark or by name.
struct Utf16 {
    order: ByteOrder,
    decoder: Option<Other>,
    malformed: Rc<Cell<u64>>,
}

impl Decoder for Utf16 {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        if let Some(decoder) = &mut self.decoder {
            return decoder.step(input, last, output);
        }
        if input.len() < 2 && !last {
            return Ok(Step::NeedsInput);
        }
        let (encoding, mark) = match (self.order, input) {
            (ByteOrder::Marked, [0xff, 0xfe, ..]) => (encoding_rs::UTF_16LE, 2),
            (ByteOrder::Marked, [0xfe, 0xff, ..]) => (encoding_rs::UTF_16BE, 2),
            (ByteOrder::Marked | ByteOrder::Big, _) => (encoding_rs::UTF_16BE, 0),
            (ByteOrder::Little, _) => (encoding_rs::UTF_16LE, 0),
        };
        self.decoder = Some(Other::new(encoding, Rc::clone(&self.malformed)));
        Ok(Step::Used(mark))
    }
}

/// Four bytes a character.
struct Utf32 {
    order: ByteOrder,
    started: bool,
    malformed: Rc<Cell<u64>>,
}

impl Decoder for Utf32 {
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String> {
        let input = &input[..input.len().min(INPUT_BYTES)];
        let (units, rest) = input.as_chunks::<4>();
        if units.is_empty() {
            if !last || rest.is_empty() {
                return Ok(Step::NeedsInput);
            }
            self.malformed.set(self.malformed.get() + 1);
            push(output, char::REPLACEMENT_CHARACTER);
            return Ok(Step::Ended(rest.len()));
        }
        for unit in units {
            let number = match self.order {
                ByteOrder::Little => u32::from_le_bytes(*unit),
                ByteOrder::Big | ByteOrder::Marked => u32::from_be_bytes(*unit),
            };
            if !std::mem::replace(&mut self.started, true) && self.order == ByteOrder::Marked {
                match number {
                    0xfeff => continue,
                    0xfffe_0000 => {
                        self.order = ByteOrder::Little;
                        continue;
                    }
                    _ => {}
                }
            }
            push(
                output,
                char::from_u32(number).unwrap_or_else(|| {
                    self.malformed.set(self.malformed.get() + 1);
                    char::REPLACEMENT_CHARACTER
                }),
            );
        }
        Ok(Step::Used(units.len() * 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of bytes that come in pieces of a size, and how often something was malformed.
    fn decoded(name: &str, bytes: &[u8], piece: usize) -> (String, u64) {
        let malformed = Rc::new(Cell::new(0));
        let mut decoder = decoder(Charset::of(name).expect("a name"), &malformed).expect("a decoder");
        let (mut output, mut start, mut end) = (Vec::new(), 0, 0);
        loop {
            match decoder.step(&bytes[start..end], end == bytes.len(), &mut output).expect("decoded") {
                Step::Used(used) => start += used,
                Step::Ended(used) => {
                    start += used;
                    break;
                }
                Step::NeedsInput if end == bytes.len() => break,
                Step::NeedsInput => end = (end + piece).min(bytes.len()),
            }
        }
        assert_eq!(start, bytes.len());
        (String::from_utf8(output).expect("UTF-8"), malformed.get())
    }

    #[test]
    fn texts_are_decoded_wherever_pieces_end() {
        for (name, bytes, text) in [
            ("GBK", &b"\xc4\xe3\xba\xc3,a"[..], "你好,a"),
            ("GB18030", b"\xc4\xe3\x94\x39\xfe\x30", "你\u{1f60e}"),
            ("Big5", b"\xa7\x41\xa6\x6e", "你好"),
            ("Shift_JIS", b"\x83\x65\x83\x58\xc3", "テスﾃ"),
            ("EUC-KR", b"\xc7\xd1\xb1\xdb", "한글"),
            ("ISO-8859-1", b"\x80\xe9\xff", "\u{80}éÿ"),
            ("ISO-8859-15", b"\xa4", "€"),
            ("windows-1252", b"\x80\xe9", "€é"),
            ("windows-1251", b"\xcf\xf0", "Пр"),
            ("UTF-16", b"\xff\xfea\0\x3d\xd8\x0e\xde", "a\u{1f60e}"),
            ("UTF-16", b"\xfe\xff\0a", "a"),
            ("UTF-16", b"\0a\0b", "ab"),
            ("UTF-16LE", b"a\0b\0", "ab"),
            ("UTF-16BE", b"\0a\0b", "ab"),
            ("UTF-32", b"\0\0\xfe\xff\0\x01\xf6\x0e", "\u{1f60e}"),
            ("UTF-32", b"\xff\xfe\0\0a\0\0\0", "a"),
            ("UTF-32LE", b"a\0\0\0", "a"),
            ("US-ASCII", b"abc", "abc"),
        ] {
            for piece in 1..=bytes.len() {
                assert_eq!(decoded(name, bytes, piece), (text.to_owned(), 0), "{name} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_malformed_is_replaced_and_counted() {
        for (name, bytes, text) in [
            ("GBK", &b"a\xff"[..], "a\u{fffd}"),
            ("US-ASCII", b"a\xe9", "a\u{fffd}"),
            ("UTF-16BE", b"\0a\xd8\0", "a\u{fffd}"),
            ("UTF-32BE", b"\0\0\0a\0\0\xd8\0", "a\u{fffd}"),
            ("UTF-32BE", b"\0\0\0a\0", "a\u{fffd}"),
        ] {
            assert_eq!(decoded(name, bytes, 1), (text.to_owned(), 1), "{name}");
        }
    }
}
