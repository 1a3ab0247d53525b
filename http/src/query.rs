//! Queries of URLs.

use std::borrow::Cow;

/// Decodes `%41` and `+`; bytes that are no UTF-8 become U+FFFD. `None` where two digits are missing behind a `%`.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                (digit()? * 16 + digit()?) as u8
            }
            plain => plain,
        });
    }
    Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded() {
        assert_eq!(decode("plain").as_deref(), Some("plain"));
        assert_eq!(decode("%E6%B5%8B+a%3db").as_deref(), Some("测 a=b"));
        assert_eq!(decode("%ff").as_deref(), Some("\u{fffd}"));
        for wrong in ["%", "%4", "%zz", "a%+1"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
