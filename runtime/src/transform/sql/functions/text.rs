//! Functions on texts. Positions and lengths are in characters (Unicode code points).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Int32Type, Int64Type};

use super::super::bind::{Binder, Refusal};
use super::super::expr::{Expr, Kind};
use super::super::value::{Numbers, RowError, TextBuilder, Texts, number_rows, some, text_rows};
use super::{Args, Function, call};
use crate::row::DataType::{self, BigInt, Int};

pub(super) static FUNCTIONS: &[Function] = &[
    Function { names: &["ASCII"], min: 1, max: 1, usage: "ASCII(text): INT", bind: ascii },
    Function {
        names: &["BIT_LENGTH"],
        min: 1,
        max: 1,
        usage: "BIT_LENGTH(text or bytes): BIGINT",
        bind: |args, _| byte_length(args, 8),
    },
    Function {
        names: &["OCTET_LENGTH"],
        min: 1,
        max: 1,
        usage: "OCTET_LENGTH(text or bytes): BIGINT",
        bind: |args, _| byte_length(args, 1),
    },
    Function { names: &["LENGTH", "CHAR_LENGTH"], min: 1, max: 1, usage: "LENGTH(text): BIGINT", bind: length },
    Function { names: &["CHAR", "CHR"], min: 1, max: 1, usage: "CHAR(code): STRING", bind: char_of },
    Function { names: &["CONCAT"], min: 1, max: usize::MAX, usage: "CONCAT(value, ...): STRING", bind: concat },
    Function {
        names: &["CONCAT_WS"],
        min: 2,
        max: usize::MAX,
        usage: "CONCAT_WS(separator, value, ...): STRING",
        bind: concat_ws,
    },
    Function { names: &["HEXTORAW"], min: 1, max: 1, usage: "HEXTORAW(text): STRING", bind: hextoraw },
    Function { names: &["RAWTOHEX"], min: 1, max: 1, usage: "RAWTOHEX(text or bytes): STRING", bind: rawtohex },
    Function {
        names: &["LOWER", "LCASE"],
        min: 1,
        max: 1,
        usage: "LOWER(text): STRING",
        bind: |args, _| change_case(args, false),
    },
    Function {
        names: &["UPPER", "UCASE"],
        min: 1,
        max: 1,
        usage: "UPPER(text): STRING",
        bind: |args, _| change_case(args, true),
    },
    Function {
        names: &["LPAD"],
        min: 2,
        max: 3,
        usage: "LPAD(text, length[, padding]): STRING",
        bind: |args, _| pad(args, true),
    },
    Function {
        names: &["RPAD"],
        min: 2,
        max: 3,
        usage: "RPAD(text, length[, padding]): STRING",
        bind: |args, _| pad(args, false),
    },
    Function { names: &["REPEAT"], min: 2, max: 2, usage: "REPEAT(text, count): STRING", bind: repeat },
    Function { names: &["SOUNDEX"], min: 1, max: 1, usage: "SOUNDEX(text): STRING", bind: soundex },
    Function { names: &["SPACE"], min: 1, max: 1, usage: "SPACE(count): STRING", bind: space },
    Function {
        names: &["TRANSLATE"],
        min: 3,
        max: 3,
        usage: "TRANSLATE(text, sought, replacements): STRING",
        bind: translate,
    },
];

type Bound = Result<Expr, Refusal>;

/// Bytes that a text may get by repetition: a slip in a query must not take all memory.
const TEXT_BYTES_MAX: usize = 64 << 20;

// --------------------------------------------------------------------------------------------- characters

/// Number of characters.
pub(super) fn count(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// Where the character at a place (from 0) begins; the length of the text for places behind it.
pub(super) fn byte_at(text: &str, place: usize) -> usize {
    if text.is_ascii() {
        return place.min(text.len());
    }
    text.char_indices().nth(place).map_or(text.len(), |(byte, _)| byte)
}

pub(super) fn clamp(number: i64) -> usize {
    usize::try_from(number).unwrap_or(if number < 0 { 0 } else { usize::MAX })
}

// ------------------------------------------------------------------------------------------------- lengths

fn ascii(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("ASCII", vec![args.text()?], Int, false, |call| {
        let texts = Texts::of(&call.args[0]);
        number_rows::<Int32Type>(call.rows, |row| {
            Ok(texts.get(row).and_then(|text| text.chars().next()).map(|letter| letter as i32))
        })
    }))
}

fn byte_length(mut args: Args, unit: i64) -> Bound {
    let value = args.any()?;
    if value.data_type == DataType::Bytes {
        return Ok(call("OCTET_LENGTH", vec![value], BigInt, false, move |call| {
            let bytes = call.args[0].array.as_binary::<i32>();
            number_rows::<Int64Type>(call.rows, |row| {
                Ok(bytes.is_valid(row).then(|| i64::from(bytes.value_length(row)) * unit))
            })
        }));
    }
    let value = super::as_text(value, "argument 1")?;
    Ok(call("OCTET_LENGTH", vec![value], BigInt, false, move |call| {
        let texts = Texts::of(&call.args[0]);
        number_rows::<Int64Type>(call.rows, |row| Ok(texts.get(row).map(|text| text.len() as i64 * unit)))
    }))
}

fn length(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("LENGTH", vec![args.text()?], BigInt, false, |call| {
        let texts = Texts::of(&call.args[0]);
        number_rows::<Int64Type>(call.rows, |row| Ok(texts.get(row).map(|text| count(text) as i64)))
    }))
}

// -------------------------------------------------------------------------------------------------- joining

/// `||`: null when a part is null. A chain becomes one call.
pub(in super::super) fn concat_operator(left: Expr, right: Expr) -> Bound {
    let right = super::as_text(right, "||")?;
    let parts = match left.kind {
        Kind::Call { name: "||", mut args, .. } => {
            args.push(right);
            args
        }
        kind => {
            let left = Expr { kind, ..left };
            vec![super::as_text(left, "||")?, right]
        }
    };
    Ok(call("||", parts, DataType::String, false, |call| {
        let texts: Vec<Texts<'_>> = call.args.iter().map(Texts::of).collect();
        text_rows(call.rows, bytes_of(&texts, call.rows), |row, out| {
            for text in &texts {
                some!(text.get(row));
            }
            for text in &texts {
                out.push(text.get(row).unwrap_or_default())?;
            }
            Ok(Some(()))
        })
    }))
}

fn bytes_of(texts: &[Texts<'_>], rows: usize) -> usize {
    texts.iter().map(|texts| texts.bytes(rows)).fold(0, usize::saturating_add)
}

/// Nulls are left out.
fn concat(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let mut parts = Vec::new();
    while args.more() {
        parts.push(args.text()?);
    }
    Ok(call("CONCAT", parts, DataType::String, false, |call| {
        let texts: Vec<Texts<'_>> = call.args.iter().map(Texts::of).collect();
        text_rows(call.rows, bytes_of(&texts, call.rows), |row, out| {
            texts.iter().filter_map(|text| text.get(row)).try_for_each(|text| out.push(text)).map(Some)
        })
    }))
}

/// Nulls are left out, a separator of null is empty.
fn concat_ws(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let mut parts = Vec::new();
    while args.more() {
        parts.push(args.text()?);
    }
    Ok(call("CONCAT_WS", parts, DataType::String, false, |call| {
        let texts: Vec<Texts<'_>> = call.args.iter().map(Texts::of).collect();
        text_rows(call.rows, bytes_of(&texts, call.rows), |row, out| {
            let separator = texts[0].get(row).unwrap_or_default();
            let mut first = true;
            for text in texts[1..].iter().filter_map(|text| text.get(row)) {
                if !first {
                    out.push(separator)?;
                }
                first = false;
                out.push(text)?;
            }
            Ok(Some(()))
        })
    }))
}

fn push_repeated(out: &mut TextBuilder, text: &str, times: usize) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let bytes = text.len().saturating_mul(times);
    if bytes > TEXT_BYTES_MAX {
        return Err(format!("a text of {bytes} bytes is too long; at most {TEXT_BYTES_MAX} are allowed"));
    }
    out.room_for(bytes)?;
    (0..times).try_for_each(|_| out.push(text))
}

fn repeat(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("REPEAT", vec![args.text()?, args.integer()?], DataType::String, true, |call| {
        let (texts, counts) = (Texts::of(&call.args[0]), Numbers::<Int64Type>::of(&call.args[1]));
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (text, count) = (some!(texts.get(row)), some!(counts.get(row)));
            push_repeated(out, text, clamp(count)).map(Some)
        })
    }))
}

fn space(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("SPACE", vec![args.integer()?], DataType::String, true, |call| {
        let counts = Numbers::<Int64Type>::of(&call.args[0]);
        text_rows(call.rows, 0, |row, out| push_repeated(out, " ", clamp(some!(counts.get(row)))).map(Some))
    }))
}

fn pad(mut args: Args, on_left: bool) -> Bound {
    let mut parts = vec![args.text()?, args.integer()?];
    if args.more() {
        parts.push(args.text()?);
    }
    Ok(call(if on_left { "LPAD" } else { "RPAD" }, parts, DataType::String, true, move |call| {
        let (texts, lengths) = (Texts::of(&call.args[0]), Numbers::<Int64Type>::of(&call.args[1]));
        let paddings = call.args.get(2).map(Texts::of);
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (text, length) = (some!(texts.get(row)), clamp(some!(lengths.get(row))));
            let have = count(text);
            if have >= length {
                return out.push(&text[..byte_at(text, length)]).map(Some);
            }
            // Only the first character of the padding counts.
            let letter =
                paddings.and_then(|paddings| paddings.get(row)).and_then(|text| text.chars().next()).unwrap_or(' ');
            let mut letter_bytes = [0; 4];
            let padding: &str = letter.encode_utf8(&mut letter_bytes);
            if !on_left {
                out.push(text)?;
            }
            push_repeated(out, padding, length - have)?;
            if on_left {
                out.push(text)?;
            }
            Ok(Some(()))
        })
    }))
}

// ---------------------------------------------------------------------------------------- letter by letter

fn char_of(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("CHAR", vec![args.integer()?], DataType::String, false, |call| {
        let codes = Numbers::<Int64Type>::of(&call.args[0]);
        text_rows(call.rows, call.rows, |row, out| {
            // Java keeps the lower 16 bits; half a surrogate pair is no character and prints as a question mark.
            let code = (some!(codes.get(row)) & 0xFFFF) as u32;
            out.push_char(char::from_u32(code).unwrap_or('?')).map(Some)
        })
    }))
}

fn change_case(mut args: Args, upper: bool) -> Bound {
    let name = if upper { "UPPER" } else { "LOWER" };
    Ok(call(name, vec![args.text()?], DataType::String, false, move |call| {
        let array: &StringArray = call.args[0].array.as_string::<i32>();
        let (first, last) = (array.value_offsets()[0] as usize, array.value_offsets()[array.len()] as usize);
        // ASCII keeps its length: the offsets stay and the bytes change at one go.
        if array.value_data()[first..last].is_ascii() {
            let mut bytes = array.value_data()[first..last].to_vec();
            if upper {
                bytes.make_ascii_uppercase()
            } else {
                bytes.make_ascii_lowercase()
            }
            let start = array.value_offsets()[0];
            let offsets: ScalarBuffer<i32> = array.value_offsets().iter().map(|offset| offset - start).collect();
            return StringArray::try_new(OffsetBuffer::new(offsets), bytes.into(), array.nulls().cloned())
                .map(|array| Arc::new(array) as ArrayRef)
                .map_err(|error| RowError::from_kernel(&error));
        }
        let texts = Texts::of(&call.args[0]);
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let text = some!(texts.get(row));
            out.push(&if upper { text.to_uppercase() } else { text.to_lowercase() }).map(Some)
        })
    }))
}

/// Four hexadecimal digits for each UTF-16 unit.
fn hextoraw(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("HEXTORAW", vec![args.text()?], DataType::String, true, |call| {
        let texts = Texts::of(&call.args[0]);
        let mut units = Vec::new();
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let text = some!(texts.get(row));
            let wrong = || format!("HEXTORAW: '{text}' is not groups of four hexadecimal digits");
            if !text.len().is_multiple_of(4) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            units.clear();
            for group in text.as_bytes().chunks(4) {
                let digits = std::str::from_utf8(group).map_err(|_| wrong())?;
                units.push(u16::from_str_radix(digits, 16).map_err(|_| wrong())?);
            }
            char::decode_utf16(units.iter().copied())
                .try_for_each(|letter| out.push_char(letter.unwrap_or('?')))
                .map(Some)
        })
    }))
}

fn push_hex(out: &mut TextBuilder, number: u32, digits: u32) -> Result<(), String> {
    (0..digits)
        .rev()
        .try_for_each(|place| out.push_char(char::from_digit(number >> (4 * place) & 15, 16).unwrap_or('0')))
}

/// Two digits for each byte, or four for each UTF-16 unit of a text.
fn rawtohex(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let value = args.any()?;
    if value.data_type == DataType::Bytes {
        return Ok(call("RAWTOHEX", vec![value], DataType::String, false, |call| {
            let bytes = call.args[0].array.as_binary::<i32>();
            text_rows(call.rows, bytes.values().len() * 2, |row, out| {
                if bytes.is_null(row) {
                    return Ok(None);
                }
                bytes.value(row).iter().try_for_each(|byte| push_hex(out, u32::from(*byte), 2)).map(Some)
            })
        }));
    }
    let value = super::as_text(value, "argument 1")?;
    Ok(call("RAWTOHEX", vec![value], DataType::String, false, |call| {
        let texts = Texts::of(&call.args[0]);
        text_rows(call.rows, texts.bytes(call.rows) * 4, |row, out| {
            some!(texts.get(row)).encode_utf16().try_for_each(|unit| push_hex(out, u32::from(unit), 4)).map(Some)
        })
    }))
}

/// Letters without a counterpart are removed, as in Oracle.
fn translate(mut args: Args, _: &mut Binder<'_>) -> Bound {
    let parts = vec![args.text()?, args.text()?, args.text()?];
    Ok(call("TRANSLATE", parts, DataType::String, false, |call| {
        let (texts, from, to) = (Texts::of(&call.args[0]), Texts::of(&call.args[1]), Texts::of(&call.args[2]));
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (text, from) = (some!(texts.get(row)), some!(from.get(row)));
            let to = to.get(row).unwrap_or_default();
            for letter in text.chars() {
                match from.chars().position(|sought| sought == letter) {
                    None => out.push_char(letter)?,
                    Some(place) => {
                        if let Some(other) = to.chars().nth(place) {
                            out.push_char(other)?;
                        }
                    }
                }
            }
            Ok(Some(()))
        })
    }))
}

/// The sound classes of A to Z: 0 for letters that separate (vowels), 7 for H and W, which do not.
const SOUNDS: &[u8; 26] = b"01230127022455012623017202";

fn soundex(mut args: Args, _: &mut Binder<'_>) -> Bound {
    Ok(call("SOUNDEX", vec![args.text()?], DataType::String, false, |call| {
        let texts = Texts::of(&call.args[0]);
        text_rows(call.rows, call.rows * 4, |row, out| {
            let mut code = [b'0'; 4];
            let mut length = 0;
            let mut last = b'0';
            for letter in some!(texts.get(row)).bytes().filter(u8::is_ascii_alphabetic) {
                let letter = letter.to_ascii_uppercase();
                let sound = SOUNDS[usize::from(letter - b'A')];
                if length == 0 {
                    code[0] = letter;
                    length = 1;
                    last = sound;
                } else if sound == b'0' {
                    last = b'0';
                } else if sound != b'7' && sound != last {
                    code[length] = sound;
                    last = sound;
                    length += 1;
                    if length == 4 {
                        break;
                    }
                }
            }
            code.iter().try_for_each(|byte| out.push_char(char::from(*byte))).map(Some)
        })
    }))
}
