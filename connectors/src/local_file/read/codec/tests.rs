use std::io::Write as _;

use super::*;

/// A text that packs well in part, longer than the window of any block.
fn sample() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = Vec::new();
    while text.len() < 400_000 {
        text.extend_from_slice(b"the same words again, ");
        text.extend((0..random.usize(0..40)).map(|_| random.u8(..)));
    }
    text
}

/// What a codec makes of bytes that come in pieces of a size, and how many files it took for plain.
fn decoded(codec: Codec, bytes: &[u8], piece: usize) -> Result<(Vec<u8>, u64), String> {
    let plain = Rc::new(Cell::new(0));
    let mut decoder = codec.decoder("x", &plain);
    let (mut output, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        match decoder.step(&bytes[start..end], end == bytes.len(), &mut output)? {
            Step::Used(used) => start += used,
            Step::Ended(_) => break,
            Step::NeedsInput if end == bytes.len() && start == end => break,
            Step::NeedsInput if end == bytes.len() => return Err("cut off".into()),
            Step::NeedsInput => end = (end + piece).min(bytes.len()),
        }
    }
    Ok((output, plain.get()))
}

fn hadoop(text: &[u8], pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    for block in text.chunks(100_000) {
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        for piece in block.chunks(60_000) {
            let packed = pack(piece);
            out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
            out.extend_from_slice(&packed);
        }
    }
    out
}

fn adler(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1u64, 0u64), |(low, high), byte| {
        let low = (low + u64::from(*byte)) % 65521;
        (low, (high + low) % 65521)
    });
    (high << 16 | low) as u32
}

/// A file of lzop with the checksums that Hadoop's codec writes.
fn lzop(text: &[u8]) -> Vec<u8> {
    let mut out = b"\x89LZO\0\r\n\x1a\n".to_vec();
    out.extend_from_slice(&[0x10, 0x10, 0x20, 0xa0, 0x09, 0x40, 1, 5]);
    out.extend_from_slice(&3u32.to_be_bytes());
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&[4]);
    out.extend_from_slice(b"name");
    out.extend_from_slice(&[0; 4]);
    for block in text.chunks(64 << 10) {
        let packed = lzokay_native::compress(block).expect("packed");
        let packed = if packed.len() < block.len() { packed.as_slice() } else { block };
        for number in [block.len() as u32, packed.len() as u32, adler(block)] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        if packed.len() < block.len() {
            out.extend_from_slice(&adler(packed).to_be_bytes());
        }
        out.extend_from_slice(packed);
    }
    out.extend_from_slice(&[0; 4]);
    out
}

fn lz4(text: &[u8], linked: bool) -> Vec<u8> {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let info = FrameInfo::new()
        .block_mode(if linked { BlockMode::Linked } else { BlockMode::Independent })
        .block_size(BlockSize::Max64KB)
        .block_checksums(linked)
        .content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(text).expect("packed");
    encoder.finish().expect("packed")
}

/// The text packed in every way that each codec knows.
fn packed(text: &[u8]) -> Vec<(Codec, Vec<u8>)> {
    let gzip = |text: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("packed");
        encoder.finish().expect("packed")
    };
    let bzip2 = |text: &[u8]| {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(text).expect("packed");
        encoder.finish().expect("packed")
    };
    let zstd = |text: &[u8]| zstd::encode_all(text, 1).expect("packed");
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(text).expect("packed");
    let mut brotli = Vec::new();
    brotli::CompressorWriter::new(&mut brotli, 4096, 3, 20).write_all(text).expect("packed");
    let mut snappy = snap::write::FrameEncoder::new(Vec::new());
    snappy.write_all(text).expect("packed");
    let (first, rest) = text.split_at(text.len() / 3);
    let twice = |pack: &dyn Fn(&[u8]) -> Vec<u8>| [pack(first), pack(rest)].concat();
    vec![
        (Codec::Gzip, gzip(text)),
        (Codec::Gzip, twice(&gzip)),
        (Codec::Zlib, zlib.finish().expect("packed")),
        (Codec::Bzip2, bzip2(text)),
        (Codec::Bzip2, twice(&bzip2)),
        (Codec::Zstd, zstd(text)),
        (Codec::Zstd, twice(&zstd)),
        (Codec::Brotli, brotli),
        (Codec::Snappy, snappy.into_inner().expect("packed")),
        (Codec::Snappy, hadoop(text, |piece| snap::raw::Encoder::new().compress_vec(piece).expect("packed"))),
        (Codec::Lz4, lz4(text, true)),
        (Codec::Lz4, lz4(text, false)),
        (Codec::Lz4, hadoop(text, lz4_flex::block::compress)),
        (Codec::Lzo, lzop(text)),
        (Codec::Lzo, twice(&lzop)),
    ]
}

#[test]
fn what_was_packed_is_unpacked_wherever_pieces_end() {
    let text = sample();
    for (codec, bytes) in packed(&text) {
        assert!(bytes.len() < text.len(), "{codec:?}");
        for piece in [1000, 4097, usize::MAX >> 1] {
            let (output, plain) = decoded(codec, &bytes, piece).unwrap_or_else(|why| panic!("{codec:?}: {why}"));
            assert!(output == text && plain == 0, "{codec:?} in pieces of {piece}: {} bytes", output.len());
        }
    }
    let short = b"short";
    for (codec, bytes) in packed(short) {
        assert_eq!(decoded(codec, &bytes, 1), Ok((short.to_vec(), 0)), "{codec:?}");
    }
}

#[test]
fn what_is_cut_off_or_changed_is_an_error() {
    let text = sample();
    for (codec, bytes) in packed(&text) {
        // In the middle of something: members and frames that follow each other may end between them.
        let cut = &bytes[..bytes.len() * 9 / 10];
        assert!(decoded(codec, cut, 5000).is_err(), "{codec:?} cut off");
        let mut changed = bytes.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 0x55;
        let output = decoded(codec, &changed, 5000);
        // Brotli and Hadoop's blocks have no checksums: they may go on, with other bytes.
        assert!(output.is_err() || output.is_ok_and(|(output, _)| output != text), "{codec:?} changed");
    }
}

#[test]
fn plain_files_are_read_as_they_are_with_a_warning() {
    for codec in [Codec::Gzip, Codec::Zlib, Codec::Bzip2, Codec::Zstd, Codec::Snappy, Codec::Lz4] {
        assert_eq!(decoded(codec, b"plain text\n", 3), Ok((b"plain text\n".to_vec(), 1)), "{codec:?}");
        assert_eq!(decoded(codec, b"", 3), Ok((Vec::new(), 1)), "{codec:?}");
    }
    for codec in [Codec::Lzo, Codec::Brotli] {
        assert!(decoded(codec, b"plain text\n", 3).is_err(), "{codec:?}");
    }
}

#[test]
fn what_follows_the_last_gzip_member_is_left_alone() {
    let (codec, mut bytes) = packed(b"text").swap_remove(0);
    bytes.extend_from_slice(&[0; 512]);
    assert_eq!(decoded(codec, &bytes, 7), Ok((b"text".to_vec(), 0)));
}

proptest::proptest! {
    #[test]
    fn no_bytes_bring_a_decoder_down(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), at in 0usize..15) {
        let (codec, whole) = packed(b"some text, some text, some text").swap_remove(at);
        let _ = decoded(codec, &bytes, 7);
        let head = whole.len().min(12);
        let _ = decoded(codec, &[&whole[..head], &bytes].concat(), 50);
    }
}
