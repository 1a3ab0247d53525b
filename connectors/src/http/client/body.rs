//! Bodies of answers as they come: unpacked piece by piece, never beyond their bound.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::RequestError;

/// Packed bytes that are unpacked before the bound is looked at: deflate makes at most 1032 times as many of them.
const STEP_BYTES: usize = 4 << 10;

/// Takes the pieces of one body.
pub(super) struct BodyReader {
    decoder: Decoder,
    bytes_max: usize,
}

enum Decoder {
    Plain(Vec<u8>),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// zlib or bare deflate: servers mean either, the first byte tells.
    DeflateUnknown,
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Deflate(Box<DeflateDecoder<Vec<u8>>>),
}

impl BodyReader {
    /// For a body of this `Content-Encoding`.
    pub fn new(encoding: &str, bytes_max: usize) -> Result<Self, RequestError> {
        let decoder = match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Decoder::Plain(Vec::new()),
            "gzip" | "x-gzip" => Decoder::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            "deflate" => Decoder::DeflateUnknown,
            _ => return Err(RequestError::Encoding(encoding.to_owned())),
        };
        Ok(Self { decoder, bytes_max })
    }

    fn len(&self) -> usize {
        match &self.decoder {
            Decoder::Plain(out) => out.len(),
            Decoder::Gzip(decoder) => decoder.get_ref().len(),
            Decoder::DeflateUnknown => 0,
            Decoder::Zlib(decoder) => decoder.get_ref().len(),
            Decoder::Deflate(decoder) => decoder.get_ref().len(),
        }
    }

    /// Takes a piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), RequestError> {
        if let (Decoder::DeflateUnknown, Some(first)) = (&self.decoder, piece.first()) {
            self.decoder = if first & 15 == 8 {
                Decoder::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
            } else {
                Decoder::Deflate(Box::new(DeflateDecoder::new(Vec::new())))
            };
        }
        for step in piece.chunks(STEP_BYTES) {
            match &mut self.decoder {
                Decoder::Plain(out) => out.write_all(step),
                Decoder::Gzip(decoder) => decoder.write_all(step),
                Decoder::DeflateUnknown => Ok(()),
                Decoder::Zlib(decoder) => decoder.write_all(step),
                Decoder::Deflate(decoder) => decoder.write_all(step),
            }
            .map_err(|error| broken(&error))?;
            if self.len() > self.bytes_max {
                return Err(RequestError::TooLarge(self.bytes_max));
            }
        }
        Ok(())
    }

    /// The whole body.
    pub fn finish(self) -> Result<Vec<u8>, RequestError> {
        let bytes_max = self.bytes_max;
        let body = match self.decoder {
            Decoder::Plain(out) => Ok(out),
            Decoder::Gzip(decoder) => decoder.finish(),
            Decoder::DeflateUnknown => Ok(Vec::new()),
            Decoder::Zlib(decoder) => decoder.finish(),
            Decoder::Deflate(decoder) => decoder.finish(),
        };
        let body = body.map_err(|error| broken(&error))?;
        if body.len() > bytes_max { Err(RequestError::TooLarge(bytes_max)) } else { Ok(body) }
    }
}

fn broken(error: &io::Error) -> RequestError {
    RequestError::Broken(format!("the answer cannot be unpacked: {error}"))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn unpacked(encoding: &str, packed: &[u8], piece: usize, bytes_max: usize) -> Result<Vec<u8>, RequestError> {
        let mut reader = BodyReader::new(encoding, bytes_max)?;
        for piece in packed.chunks(piece.max(1)) {
            reader.push(piece)?;
        }
        reader.finish()
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).expect("in memory");
        encoder.finish().expect("in memory")
    }

    #[test]
    fn a_small_body_that_unpacks_without_end_is_refused_in_time() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(matches!(unpacked("gzip", &bomb, 1000, 1 << 20), Err(RequestError::TooLarge(_))));
        assert!(matches!(unpacked("", &[7; 11], 3, 10), Err(RequestError::TooLarge(10))));
        assert_eq!(unpacked("", &[7; 10], 3, 10).expect("at the bound").len(), 10);
    }

    #[test]
    fn broken_and_unknown_encodings_are_told() {
        let mut packed = gzip(b"abcdefghij");
        assert!(unpacked("gzip", &packed[..packed.len() - 12], 4, 100).is_err());
        packed[0] = 0;
        assert!(unpacked("gzip", &packed, 4, 100).is_err());
        let error = unpacked("br", b"x", 1, 100).expect_err("brotli").to_string();
        assert!(error.contains("'br'"), "{error}");
        assert_eq!(unpacked("deflate", b"", 1, 10).expect("empty"), b"");
    }

    proptest! {
        #[test]
        fn every_encoding_gives_back_what_was_packed(body in proptest::collection::vec(any::<u8>(), 0..3000), piece in 1usize..500) {
            prop_assert_eq!(&unpacked("GZIP", &gzip(&body), piece, 3000).expect("gzip"), &body);
            let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
            zlib.write_all(&body).expect("in memory");
            let zlib = zlib.finish().expect("in memory");
            prop_assert_eq!(&unpacked("deflate", &zlib, piece, 3000).expect("zlib"), &body);
            let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
            bare.write_all(&body).expect("in memory");
            let bare = bare.finish().expect("in memory");
            prop_assert_eq!(&unpacked("deflate", &bare, piece, 3000).expect("deflate"), &body);
        }
    }
}
