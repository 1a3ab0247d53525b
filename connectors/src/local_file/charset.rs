//! Encodings of text by the names that Java gives them (option `encoding`).

use egret_runtime::config::nearest;
use encoding_rs::Encoding;

/// An encoding of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// Seven bits.
    Ascii,
    /// Two bytes a unit.
    Utf16(ByteOrder),
    /// Four bytes a character.
    Utf32(ByteOrder),
    /// A byte a character, as the named encoding has it, save that the bytes 0x80 to 0x9f are control characters: the
    /// names of ISO mean exactly that, while the web takes them for those of Windows.
    Iso(&'static Encoding),
    /// Any other.
    Other(&'static Encoding),
}

/// Which byte of a unit comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// As the mark at the start says; without one the highest.
    Marked,
    /// The highest.
    Big,
    /// The lowest.
    Little,
}

/// Names by which an unknown one is corrected, the usual ones.
const KNOWN: &[&str] = &[
    "UTF-8",
    "US-ASCII",
    "UTF-16",
    "UTF-16LE",
    "UTF-16BE",
    "UTF-32",
    "UTF-32LE",
    "UTF-32BE",
    "GBK",
    "GB2312",
    "GB18030",
    "Big5",
    "Big5-HKSCS",
    "Shift_JIS",
    "windows-31j",
    "EUC-JP",
    "ISO-2022-JP",
    "EUC-KR",
    "ISO-8859-1",
    "ISO-8859-2",
    "ISO-8859-3",
    "ISO-8859-4",
    "ISO-8859-5",
    "ISO-8859-6",
    "ISO-8859-7",
    "ISO-8859-8",
    "ISO-8859-9",
    "ISO-8859-10",
    "ISO-8859-13",
    "ISO-8859-14",
    "ISO-8859-15",
    "ISO-8859-16",
    "TIS-620",
    "windows-874",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "KOI8-R",
    "KOI8-U",
    "IBM866",
    "x-MacRoman",
    "x-MacCyrillic",
];

impl Charset {
    /// The encoding of a name, in any case, with or without the signs in it.
    ///
    /// # Errors
    /// With a text that names near ones when there is none.
    pub fn of(name: &str) -> Result<Self, String> {
        let folded: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|symbol| symbol.to_ascii_lowercase()).collect();
        Self::by_folded(&folded)
            .or_else(|| Encoding::for_label(name.trim().to_ascii_lowercase().replace('_', "-").as_bytes()).map(of_web))
            .ok_or_else(|| {
                let near = nearest(name, KNOWN.iter().copied());
                let near = near
                    .map_or_else(|| format!("known are {}", KNOWN.join(", ")), |near| format!("did you mean {near}?"));
                format!("there is no encoding '{name}': {near}")
            })
    }

    fn by_folded(folded: &str) -> Option<Self> {
        use encoding_rs as web;
        Some(match folded {
            "utf8" | "unicode11utf8" => Self::Utf8,
            "usascii" | "ascii" | "iso646us" | "ascii7" | "ansix341968" | "cp367" | "646" => Self::Ascii,
            "utf16" | "unicode" | "unicodebig" | "ucs2" | "iso10646ucs2" => Self::Utf16(ByteOrder::Marked),
            "utf16be" | "unicodebigunmarked" | "xutf16be" => Self::Utf16(ByteOrder::Big),
            "utf16le" | "unicodelittle" | "unicodelittleunmarked" | "xutf16le" => Self::Utf16(ByteOrder::Little),
            "utf32" | "ucs4" => Self::Utf32(ByteOrder::Marked),
            "utf32be" | "xutf32be" => Self::Utf32(ByteOrder::Big),
            "utf32le" | "xutf32le" => Self::Utf32(ByteOrder::Little),
            "iso88591" | "latin1" | "l1" | "8859" | "88591" | "isolatin1" | "cp819" | "ibm819" | "isoir100" => {
                Self::Iso(web::WINDOWS_1252)
            }
            "iso88599" | "latin5" | "l5" | "88599" | "cp920" | "ibm920" => Self::Iso(web::WINDOWS_1254),
            "iso885911" | "xiso885911" | "tis620" => Self::Iso(web::WINDOWS_874),
            "iso885915" | "latin9" | "88595f" | "885915" => Self::Other(web::ISO_8859_15),
            "iso88598" | "88598" => Self::Other(web::ISO_8859_8),
            "gbk" | "cp936" | "ms936" | "windows936" | "gb2312" | "euccn" | "xeuccn" | "gb23121980" | "gb231280" => {
                Self::Other(web::GBK)
            }
            "gb18030" | "gb180302000" | "gb180302022" => Self::Other(web::GB18030),
            "big5" | "big5hkscs" | "cp950" | "ms950" | "windows950" | "xwindows950" | "big5solaris" => {
                Self::Other(web::BIG5)
            }
            "shiftjis" | "sjis" | "xsjis" | "ms932" | "cp932" | "windows31j" | "cswindows31j" | "ms932ms" => {
                Self::Other(web::SHIFT_JIS)
            }
            "eucjp" | "eucjis" | "xeucjp" | "ujis" => Self::Other(web::EUC_JP),
            "iso2022jp" | "jis" => Self::Other(web::ISO_2022_JP),
            "euckr" | "ksc5601" | "ms949" | "cp949" | "windows949" | "xwindows949" | "ksc56011987" => {
                Self::Other(web::EUC_KR)
            }
            "koi8r" | "koi8" => Self::Other(web::KOI8_R),
            "koi8u" => Self::Other(web::KOI8_U),
            "ibm866" | "cp866" => Self::Other(web::IBM866),
            "ms874" | "windows874" | "xwindows874" => Self::Other(web::WINDOWS_874),
            "macroman" | "xmacroman" => Self::Other(web::MACINTOSH),
            "maccyrillic" | "xmaccyrillic" => Self::Other(web::X_MAC_CYRILLIC),
            _ => return numbered(folded),
        })
    }

    /// The character of each byte of an encoding with one byte a character.
    pub fn table(encoding: &'static Encoding) -> [char; 256] {
        std::array::from_fn(|byte| match u8::try_from(byte) {
            Ok(byte @ (0..=0x9f)) => char::from(byte),
            Ok(byte) => {
                let bytes = [byte];
                let (text, _) = encoding.decode_without_bom_handling(&bytes);
                text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Err(_) => char::REPLACEMENT_CHARACTER,
        })
    }
}

/// `windows-1250`, `Cp1250`, `ISO-8859-7`, `8859_7` and the like.
fn numbered(folded: &str) -> Option<Charset> {
    let label = if let Some(number) = folded.strip_prefix("windows").or_else(|| folded.strip_prefix("cp")) {
        format!("windows-{number}")
    } else {
        format!("iso-8859-{}", folded.strip_prefix("iso8859").or_else(|| folded.strip_prefix("8859"))?)
    };
    Encoding::for_label(label.as_bytes()).map(Charset::Other)
}

/// What a name of the web means that Java does not know.
fn of_web(encoding: &'static Encoding) -> Charset {
    if encoding == encoding_rs::UTF_8 { Charset::Utf8 } else { Charset::Other(encoding) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_as_java_spells_them() {
        for name in KNOWN {
            assert!(Charset::of(name).is_ok(), "{name}");
        }
        for (name, expected) in [
            ("utf8", Charset::Utf8),
            ("UTF_8", Charset::Utf8),
            ("ASCII", Charset::Ascii),
            ("unicode", Charset::Utf16(ByteOrder::Marked)),
            ("UTF_16LE", Charset::Utf16(ByteOrder::Little)),
            ("gbk", Charset::Other(encoding_rs::GBK)),
            ("GB2312", Charset::Other(encoding_rs::GBK)),
            ("Cp1251", Charset::Other(encoding_rs::WINDOWS_1251)),
            ("latin1", Charset::Iso(encoding_rs::WINDOWS_1252)),
            ("ISO8859_1", Charset::Iso(encoding_rs::WINDOWS_1252)),
            ("windows-1252", Charset::Other(encoding_rs::WINDOWS_1252)),
            ("ISO-8859-2", Charset::Other(encoding_rs::ISO_8859_2)),
            ("MS949", Charset::Other(encoding_rs::EUC_KR)),
        ] {
            assert_eq!(Charset::of(name), Ok(expected), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_near_one() {
        assert_eq!(Charset::of("GKB"), Err("there is no encoding 'GKB': did you mean GBK?".into()));
        assert!(Charset::of("").is_err_and(|error| error.contains("known are UTF-8")));
        assert!(Charset::of("cp037").is_err());
    }

    #[test]
    fn latin_1_is_not_windows_1252() {
        let table = Charset::table(encoding_rs::WINDOWS_1252);
        assert_eq!((table[0x80], table[0xe9], table[0xff]), ('\u{80}', 'é', 'ÿ'));
    }
}
