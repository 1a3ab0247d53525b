//! The types in the footer of an orc file, looked at before the library follows them: where a type holds itself it
//! would follow them until the stack ends, and the process with it.

use std::io::{self, Read};

use bytes::Bytes;
use orc_rust::compression::{Compression, Decompressor};
use orc_rust::proto::{Footer, PostScript, Type, r#type::Kind};
use orc_rust::reader::ChunkReader;
use orc_rust::reader::metadata::read_metadata;
use prost::Message;

/// Deepest nesting of types.
const DEPTH_MAX: usize = 64;

/// Checks that the types of a file are a tree.
///
/// # Errors
/// When they are none, when the footer cannot be read, or a part of it is not in memory yet.
pub fn check<R: ChunkReader>(file: &R) -> io::Result<()> {
    let Some(behind_postscript) = file.len().checked_sub(1) else {
        // The library has words for an empty file.
        return Ok(());
    };
    let too_small = || io::Error::other("it is smaller than its footer");
    let postscript_bytes = u64::from(file.get_bytes(behind_postscript, 1)?[0]);
    let behind_footer = behind_postscript.checked_sub(postscript_bytes).ok_or_else(too_small)?;
    let postscript = PostScript::decode(file.get_bytes(behind_footer, postscript_bytes)?).map_err(io::Error::other)?;
    let footer_bytes = postscript.footer_length();
    let start = behind_footer.checked_sub(footer_bytes).ok_or_else(too_small)?;
    let stored = file.get_bytes(start, footer_bytes)?;
    let mut footer = Vec::new();
    Decompressor::new(stored, compression_of(&postscript)?, Vec::new()).read_to_end(&mut footer)?;
    let footer = Footer::decode(footer.as_slice()).map_err(io::Error::other)?;
    are_a_tree(&footer.types).map_err(io::Error::other)
}

/// How a file is compressed. The library tells it of files alone, so one is made that has nothing else in it.
fn compression_of(postscript: &PostScript) -> io::Result<Option<Compression>> {
    let root = Type { kind: Some(Kind::Struct.into()), ..Type::default() };
    let footer = Footer { types: vec![root], ..Footer::default() }.encode_to_vec();
    let is_packed = postscript.compression.is_some_and(|kind| kind != 0);
    let mut file = Vec::new();
    if is_packed {
        // The head of a chunk that is stored as it is: its length, and a bit that says so.
        file.extend_from_slice(&((footer.len() as u32) << 1 | 1).to_le_bytes()[..3]);
    }
    file.extend_from_slice(&footer);
    let own = PostScript {
        footer_length: Some(file.len() as u64),
        metadata_length: Some(0),
        compression: postscript.compression,
        compression_block_size: postscript.compression_block_size,
        magic: Some("ORC".to_owned()),
        ..PostScript::default()
    };
    let own = own.encode_to_vec();
    file.extend_from_slice(&own);
    file.push(own.len() as u8);
    let metadata = read_metadata(&mut Bytes::from(file)).map_err(io::Error::other)?;
    Ok(metadata.compression())
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
        let deep: Vec<Vec<u32>> = (1..=DEPTH_MAX as u32).map(|child| vec![child]).chain([vec![]]).collect();
        let deep: Vec<&[u32]> = deep.iter().map(Vec::as_slice).collect();
        assert!(are_a_tree(&types(&deep)).expect_err("too deep").contains("deeper than"));
        assert_eq!(
            are_a_tree(
                &types(&deep[1..])
                    .iter()
                    .map(|of| Type { subtypes: of.subtypes.iter().map(|child| child - 1).collect(), ..Type::default() })
                    .collect::<Vec<_>>()
            ),
            Ok(())
        );
    }

    /// A file whose only column is a list of itself: found by the fuzzer, it ended the process.
    #[test]
    fn a_file_whose_type_holds_itself_is_refused() {
        for (compression, head) in [(0, vec![]), (1, vec![1]), (5, vec![1])] {
            let root = Type {
                kind: Some(Kind::Struct.into()),
                subtypes: vec![1],
                field_names: vec!["a".to_owned()],
                ..Type::default()
            };
            let list = Type { kind: Some(Kind::List.into()), subtypes: vec![1], ..Type::default() };
            let footer = Footer { types: vec![root, list], ..Footer::default() }.encode_to_vec();
            let mut file = Vec::new();
            if !head.is_empty() {
                file.extend_from_slice(&((footer.len() as u32) << 1 | 1).to_le_bytes()[..3]);
            }
            file.extend_from_slice(&footer);
            let postscript = PostScript {
                footer_length: Some(file.len() as u64),
                metadata_length: Some(0),
                compression: Some(compression),
                magic: Some("ORC".to_owned()),
                ..PostScript::default()
            }
            .encode_to_vec();
            file.extend_from_slice(&postscript);
            file.push(postscript.len() as u8);
            let error = check(&Bytes::from(file)).expect_err("no tree");
            assert_eq!(error.to_string(), "its types are no tree: type 1 holds type 1", "{compression}");
        }
    }
}
