//! `DES_ENCRYPT` and `DES_DECRYPT`, which the original brings along as functions of users.
//!
//! DES protects nothing any more: they are here for tables that hold such values. CBC with a fixed first block and
//! padding as in PKCS #5, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use des::Des;
use des::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::super::bind::{Binder, Refusal};
use super::super::expr::Expr;
use super::super::value::{Texts, some, text_rows};
use super::{Args, Function, call};
use crate::row::DataType;

/// What the first block is combined with.
const FIRST: [u8; 8] = *b"12345678";
/// Characters that a password needs; only its first eight bytes count.
const PASSWORD_MIN: usize = 8;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        names: &["DES_ENCRYPT"],
        min: 2,
        max: 2,
        usage: "DES_ENCRYPT(password, text): STRING",
        bind: |args, _: &mut Binder<'_>| cipher("DES_ENCRYPT", args, encrypt),
    },
    Function {
        names: &["DES_DECRYPT"],
        min: 2,
        max: 2,
        usage: "DES_DECRYPT(password, text): STRING",
        bind: |args, _: &mut Binder<'_>| cipher("DES_DECRYPT", args, decrypt),
    },
];

fn cipher(
    name: &'static str,
    mut args: Args,
    apply: fn(&Des, &str) -> Result<String, &'static str>,
) -> Result<Expr, Refusal> {
    let parts = vec![args.text()?, args.text()?];
    Ok(call(name, parts, DataType::String, true, move |call| {
        let (passwords, texts) = (Texts::of(&call.args[0]), Texts::of(&call.args[1]));
        let mut last: Option<(&str, Des)> = None;
        text_rows(call.rows, texts.bytes(call.rows), |row, out| {
            let (password, text) = (some!(passwords.get(row)), some!(texts.get(row)));
            if last.as_ref().is_none_or(|(known, _)| *known != password) {
                last = Some((password, key(password)?));
            }
            let Some((_, key)) = &last else { return Ok(None) };
            out.push(&apply(key, text)?)?;
            Ok(Some(()))
        })
    }))
}

fn key(password: &str) -> Result<Des, String> {
    let bytes = password.as_bytes().first_chunk::<8>();
    match bytes {
        Some(bytes) if password.encode_utf16().count() >= PASSWORD_MIN => Ok(Des::new(&Array(*bytes))),
        _ => Err(format!("the password must have at least {PASSWORD_MIN} characters")),
    }
}

fn encrypt(key: &Des, text: &str) -> Result<String, &'static str> {
    let mut bytes = text.as_bytes().to_vec();
    let padding = 8 - bytes.len() % 8;
    bytes.resize(bytes.len() + padding, padding as u8);
    let mut before = FIRST;
    for block in bytes.as_chunks_mut::<8>().0 {
        block.iter_mut().zip(before).for_each(|(byte, before)| *byte ^= before);
        let mut sealed = Array(*block);
        key.encrypt_block(&mut sealed);
        *block = sealed.0;
        before = *block;
    }
    Ok(BASE64.encode(&bytes))
}

fn decrypt(key: &Des, text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "the text was not made by DES_ENCRYPT with this password";
    let mut bytes = BASE64.decode(text).map_err(|_| WRONG)?;
    let (blocks, []) = bytes.as_chunks_mut::<8>() else { return Err(WRONG) };
    let mut before = FIRST;
    for block in blocks {
        let sealed = *block;
        let mut opened = Array(sealed);
        key.decrypt_block(&mut opened);
        *block = opened.0;
        block.iter_mut().zip(before).for_each(|(byte, before)| *byte ^= before);
        before = sealed;
    }
    let padding = usize::from(*bytes.last().ok_or(WRONG)?);
    let length = bytes.len().checked_sub(padding).filter(|_| (1..=8).contains(&padding)).ok_or(WRONG)?;
    if bytes[length..].iter().any(|byte| usize::from(*byte) != padding) {
        return Err(WRONG);
    }
    bytes.truncate(length);
    String::from_utf8(bytes).map_err(|_| WRONG)
}
