//! A zip archive that is written from its start to its end: lengths and checksums stand behind each file.

use std::io::Write as _;

use egret_runtime::plugin::TaskError;
use flate2::Crc;
use flate2::write::DeflateEncoder;

/// Version of the format that is needed to read it: deflate.
const VERSION: u16 = 20;
/// Lengths stand behind the data; names are UTF-8.
const FLAGS: u16 = 0x0808;
const DEFLATE: u16 = 8;
/// 1980-01-01, the first day that the format has.
const DATE: u16 = 0x21;

struct Entry {
    name: &'static str,
    offset: u32,
    crc: u32,
    compressed: u32,
    plain: u32,
}

struct Current {
    name: &'static str,
    offset: u64,
    encoder: DeflateEncoder<Vec<u8>>,
    crc: Crc,
    compressed: u64,
    plain: u64,
}

/// Writes an archive.
#[derive(Default)]
pub struct ZipStream {
    entries: Vec<Entry>,
    current: Option<Current>,
    written: u64,
}

fn too_large() -> TaskError {
    TaskError::permanent("an xlsx file would become larger than 4 GiB: make batch_size smaller")
}

fn small(length: u64) -> Result<u32, TaskError> {
    u32::try_from(length).map_err(|_| too_large())
}

impl ZipStream {
    /// Begins a file; the one before must have ended.
    pub fn begin(&mut self, name: &'static str, out: &mut Vec<u8>) {
        debug_assert!(self.current.is_none(), "one file at a time");
        let encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        self.current = Some(Current { name, offset: self.written, encoder, crc: Crc::new(), compressed: 0, plain: 0 });
        let start = out.len();
        out.extend_from_slice(b"PK\x03\x04");
        write_about(out, name, [0; 3]);
        out.extend_from_slice(&0u16.to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        self.written += (out.len() - start) as u64;
    }

    /// Appends to the file.
    ///
    /// # Errors
    /// When it becomes too large.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TaskError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        current.crc.update(plain);
        current.plain += plain.len() as u64;
        small(current.plain)?;
        current.encoder.write_all(plain).map_err(|error| TaskError::permanent(format!("compressing: {error}")))?;
        Self::drain(current, &mut self.written, out);
        Ok(())
    }

    fn drain(current: &mut Current, written: &mut u64, out: &mut Vec<u8>) {
        let bytes = current.encoder.get_mut();
        current.compressed += bytes.len() as u64;
        *written += bytes.len() as u64;
        out.append(bytes);
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the archive becomes too large.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        current.encoder.try_finish().map_err(|error| TaskError::permanent(format!("compressing: {error}")))?;
        Self::drain(&mut current, &mut self.written, out);
        let entry = Entry {
            name: current.name,
            offset: small(current.offset)?,
            crc: current.crc.sum(),
            compressed: small(current.compressed)?,
            plain: small(current.plain)?,
        };
        out.extend_from_slice(b"PK\x07\x08");
        for number in [entry.crc, entry.compressed, entry.plain] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        self.written += 16;
        self.entries.push(entry);
        Ok(())
    }

    /// A whole file.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn add(&mut self, name: &'static str, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TaskError> {
        self.begin(name, out);
        self.write(plain, out)?;
        self.end(out)
    }

    /// Appends the list of files.
    ///
    /// # Errors
    /// When the archive is too large.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), TaskError> {
        let start = out.len();
        for entry in &self.entries {
            out.extend_from_slice(b"PK\x01\x02");
            out.extend_from_slice(&VERSION.to_le_bytes());
            write_about(out, entry.name, [entry.crc, entry.compressed, entry.plain]);
            // No further fields, no comment, first disk, no attributes.
            out.extend_from_slice(&[0; 12]);
            out.extend_from_slice(&entry.offset.to_le_bytes());
            out.extend_from_slice(entry.name.as_bytes());
        }
        let length = small((out.len() - start) as u64)?;
        out.extend_from_slice(b"PK\x05\x06");
        out.extend_from_slice(&[0; 4]);
        let count = (self.entries.len() as u16).to_le_bytes();
        out.extend_from_slice(&count);
        out.extend_from_slice(&count);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&small(self.written)?.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        Ok(())
    }
}

/// What a file's head and its place in the list share, from the version to the length of the name.
fn write_about(out: &mut Vec<u8>, name: &str, numbers: [u32; 3]) {
    for number in [VERSION, FLAGS, DEFLATE, 0, DATE] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
}
