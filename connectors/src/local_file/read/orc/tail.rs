//! The end of an orc file: how it is compressed, its types, and where its stripes are. The library never sees it. It
//! would follow a type that holds itself until the stack ends, and take the memory that any number in it asks for.

use bytes::Bytes;
use orc_rust::proto::{CompressionKind, PostScript, StripeInformation, Type};
use prost::Message;

use super::chunks::{CHUNK_BYTES_MAX, Packing};

/// Bytes of a footer at most, packed or not.
const FOOTER_BYTES_MAX: usize = 16 << 20;

/// Types at most: one for each column, at each level.
const TYPES_MAX: usize = 1 << 14;

/// Stripes at most.
const STRIPES_MAX: usize = 1 << 18;

/// Deepest nesting of types.
const DEPTH_MAX: usize = 64;

/// Plain bytes of a chunk where a file says nothing of them.
const CHUNK_BYTES_DEFAULT: u64 = 256 << 10;

/// The parts of a footer that rows need. Its messages are counted before they are decoded: a few bytes of a broken
/// file may be very many.
#[derive(Clone, PartialEq, Message)]
struct Footer {
    #[prost(bytes = "bytes", repeated, tag = "3")]
    stripes: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    types: Vec<Bytes>,
}

/// What the end of a file tells.
#[derive(Debug)]
pub struct Tail {
    pub packing: Packing,
    pub types: Vec<Type>,
    pub stripes: Vec<StripeInformation>,
}

/// What can be told from the last bytes of a file.
#[derive(Debug)]
pub enum Found {
    Tail(Tail),
    /// So many bytes are needed.
    Needs(u64),
}

impl Tail {
    /// Reads the last bytes of a file of `length` bytes.
    ///
    /// # Errors
    /// When they are no orc, are broken, or are larger than the bounds above.
    pub fn read(last: &[u8], length: u64) -> Result<Found, String> {
        let Some((postscript_bytes, before)) = last.split_last() else { return Err("it is empty".to_owned()) };
        let too_small = || "it is smaller than its footer".to_owned();
        let split = before.len().checked_sub(usize::from(*postscript_bytes)).ok_or_else(too_small)?;
        let (before, postscript) = before.split_at(split);
        let postscript = PostScript::decode(postscript).map_err(|error| format!("its postscript: {error}"))?;
        let packing = packing(&postscript)?;
        let footer_bytes = postscript.footer_length();
        let needed = footer_bytes.saturating_add(u64::from(*postscript_bytes) + 1);
        if needed > length {
            return Err(too_small());
        }
        if footer_bytes > FOOTER_BYTES_MAX as u64 {
            return Err(format!("its footer has {footer_bytes} bytes, more than {FOOTER_BYTES_MAX}"));
        }
        let Some(start) = before.len().checked_sub(footer_bytes as usize) else { return Ok(Found::Needs(needed)) };
        let footer = packing.plain(&before[start..]).all(FOOTER_BYTES_MAX);
        let footer = footer.map_err(|why| format!("its footer: {why}"))?;
        Self::of(packing, footer).map(Found::Tail)
    }

    fn of(packing: Packing, footer: Vec<u8>) -> Result<Self, String> {
        let broken = |error| format!("its footer: {error}");
        let footer = Footer::decode(Bytes::from(footer)).map_err(broken)?;
        for (what, found, most) in
            [("types", footer.types.len(), TYPES_MAX), ("stripes", footer.stripes.len(), STRIPES_MAX)]
        {
            if found > most {
                return Err(format!("it has {found} {what}, more than {most}"));
            }
        }
        let types = footer.types.into_iter().map(Type::decode).collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let stripes = footer.stripes.into_iter().map(StripeInformation::decode).collect::<Result<_, _>>();
        are_a_tree(&types)?;
        Ok(Self { packing, types, stripes: stripes.map_err(broken)? })
    }
}

fn packing(postscript: &PostScript) -> Result<Packing, String> {
    let kind = postscript.compression.unwrap_or_default();
    let kind = CompressionKind::try_from(kind).map_err(|_| format!("its compression {kind} is unknown"))?;
    let chunk_bytes = postscript.compression_block_size.unwrap_or(CHUNK_BYTES_DEFAULT);
    match usize::try_from(chunk_bytes) {
        Ok(chunk_bytes) if chunk_bytes <= CHUNK_BYTES_MAX || kind == CompressionKind::None => {
            Ok(Packing { kind, chunk_bytes })
        }
        _ => Err(format!("its chunks may have {chunk_bytes} bytes, more than {CHUNK_BYTES_MAX}")),
    }
}

/// Children stand behind their parents, and each has one (the order of the format's specification).
fn are_a_tree(types: &[Type]) -> Result<(), String> {
    let mut depths = vec![0; types.len()];
    for (index, parent) in types.iter().enumerate() {
        let depth = depths[index] + 1;
        for child in &parent.subtypes {
            let found = depths.get_mut(*child as usize).filter(|depth| **depth == 0 && *child as usize > index);
            let Some(found) = found else {
                return Err(format!("its types are no tree: type {index} holds type {child}"));
            };
            *found = depth;
        }
        if depth > DEPTH_MAX {
            return Err(format!("its types are nested deeper than {DEPTH_MAX}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use orc_rust::proto::{self, r#type::Kind};

    use super::*;

    fn types(children: &[&[u32]]) -> Vec<Type> {
        let of = |children: &&[u32]| Type { subtypes: children.to_vec(), ..Type::default() };
        children.iter().map(of).collect()
    }

    #[test]
    fn a_type_that_holds_itself_or_another_twice_is_no_tree() {
        assert_eq!(are_a_tree(&types(&[&[1, 2], &[], &[3], &[]])), Ok(()));
        assert_eq!(are_a_tree(&[]), Ok(()));
        for broken in
            [&[&[0][..]][..], &[&[1], &[1]], &[&[1], &[2], &[1]], &[&[1, 1], &[]], &[&[1, 2], &[2], &[]], &[&[7]]]
        {
            assert!(are_a_tree(&types(broken)).expect_err("no tree").contains("no tree"), "{broken:?}");
        }
        let chain = |length: u32| {
            let of = |child: u32| Type { subtypes: vec![child], ..Type::default() };
            (1..=length).map(of).chain([Type::default()]).collect::<Vec<_>>()
        };
        assert!(are_a_tree(&chain(DEPTH_MAX as u32)).expect_err("too deep").contains("deeper than"));
        assert_eq!(are_a_tree(&chain(DEPTH_MAX as u32 - 1)), Ok(()));
    }

    fn end(footer: &proto::Footer, compression: i32, chunk_bytes: Option<u64>) -> Vec<u8> {
        let packing = Packing {
            kind: CompressionKind::try_from(compression).unwrap_or(CompressionKind::None),
            chunk_bytes: CHUNK_BYTES_MAX,
        };
        let mut file = packing.stored(&footer.encode_to_vec());
        let postscript = PostScript {
            footer_length: Some(file.len() as u64),
            compression: Some(compression),
            compression_block_size: chunk_bytes,
            magic: Some("ORC".to_owned()),
            ..PostScript::default()
        };
        let postscript = postscript.encode_to_vec();
        file.extend_from_slice(&postscript);
        file.push(postscript.len() as u8);
        file
    }

    fn refused(file: &[u8]) -> String {
        Tail::read(file, file.len() as u64).expect_err("a broken file")
    }

    /// A file whose only column is a list of itself: found by the fuzzer, it ended the process.
    #[test]
    fn a_file_whose_type_holds_itself_is_refused() {
        let root = Type {
            kind: Some(Kind::Struct.into()),
            subtypes: vec![1],
            field_names: vec!["a".to_owned()],
            ..Type::default()
        };
        let list = Type { kind: Some(Kind::List.into()), subtypes: vec![1], ..Type::default() };
        let footer = proto::Footer { types: vec![root, list], ..proto::Footer::default() };
        for compression in [0, 1, 5] {
            let error = refused(&end(&footer, compression, None));
            assert_eq!(error, "its types are no tree: type 1 holds type 1", "{compression}");
        }
    }

    /// The library took as much memory for a chunk of lz4: found by the fuzzer.
    #[test]
    fn sizes_of_chunks_beyond_the_format_are_refused() {
        let footer = proto::Footer { types: types(&[&[]]), ..proto::Footer::default() };
        for (compression, bytes, is_read) in
            [(4, 1 << 23, true), (4, (1 << 23) + 1, false), (1, u64::MAX, false), (0, u64::MAX, true)]
        {
            let file = end(&footer, compression, Some(bytes));
            assert_eq!(Tail::read(&file, file.len() as u64).is_ok(), is_read, "{compression} {bytes}");
        }
        assert_eq!(refused(&end(&footer, 4, Some(9 << 20))), "its chunks may have 9437184 bytes, more than 8388608");
        assert_eq!(refused(&end(&footer, 6, None)), "its compression 6 is unknown");
    }

    #[test]
    fn a_footer_is_asked_for_and_bounded() {
        let footer = proto::Footer { types: vec![Type::default(); 3000], ..proto::Footer::default() };
        let file = end(&footer, 0, None);
        let length = file.len() as u64;
        let Ok(Found::Needs(bytes)) = Tail::read(&file[file.len() - 100..], length) else { panic!("it was all there") };
        assert!(bytes > 6000 && bytes <= length);
        let Ok(Found::Tail(tail)) = Tail::read(&file[file.len() - bytes as usize..], length) else { panic!("no tail") };
        assert_eq!(tail.types.len(), 3000);
        assert_eq!(refused(&file[10..]), "it is smaller than its footer");
        let many = proto::Footer { types: vec![Type::default(); TYPES_MAX + 1], ..proto::Footer::default() };
        assert_eq!(refused(&end(&many, 0, None)), "it has 16385 types, more than 16384");
        let many = vec![StripeInformation::default(); STRIPES_MAX + 1];
        let many = proto::Footer { stripes: many, ..proto::Footer::default() };
        assert_eq!(refused(&end(&many, 0, None)), "it has 262145 stripes, more than 262144");
        let large = proto::Footer { software_version: Some("x".repeat(17 << 20)), ..proto::Footer::default() };
        for compression in [0, 1] {
            assert!(refused(&end(&large, compression, None)).starts_with("its footer has 1782"), "{compression}");
        }
    }
}
