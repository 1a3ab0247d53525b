//! The bytes of a file as its reader wants them: unpacked, decompressed, transcoded, as they come.

use async_trait::async_trait;
use egret_runtime::file::ReadStream;
use egret_runtime::plugin::TaskError;
use egret_runtime::shard::give_way;

use super::guarded;

/// Bytes that one step of decoding gives at most, give or take a block of the codec.
pub const STEP_BYTES: usize = 256 << 10;

/// Bytes one after the other, in pieces of a bounded size.
#[async_trait(?Send)]
pub trait ByteStream {
    /// Appends the next piece; answers how many bytes it has, 0 at the end. A dropped future loses nothing.
    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError>;

    /// Bytes of a piece, about.
    fn piece_bytes(&self) -> usize {
        STEP_BYTES
    }

    /// Lets go of what is below.
    async fn close(self: Box<Self>) -> Result<(), TaskError>;
}

#[async_trait(?Send)]
impl ByteStream for ReadStream {
    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError> {
        ReadStream::fill(self, into).await
    }

    fn piece_bytes(&self) -> usize {
        self.chunk_bytes()
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        ReadStream::close(*self).await
    }
}

/// Answer of a [`Decoder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes of the input were used; call again.
    Used(usize),
    /// Nothing can be done without more input.
    NeedsInput,
    /// So many bytes were used, and the data ends with them.
    Ended(usize),
}

/// Turns bytes into other bytes, a piece at a time.
pub trait Decoder {
    /// Uses bytes at the start of `input` and appends what they mean, about [`STEP_BYTES`] at most. `last` says that
    /// no input follows. A step that uses nothing and gives nothing says [`Step::NeedsInput`].
    ///
    /// # Errors
    /// With a text when the input breaks the rules of the encoding.
    fn step(&mut self, input: &[u8], last: bool, output: &mut Vec<u8>) -> Result<Step, String>;
}

/// A stream behind a decoder.
pub struct Decoded {
    inner: Box<dyn ByteStream>,
    decoder: Box<dyn Decoder>,
    /// Input that waits, from `used` on.
    input: Vec<u8>,
    used: usize,
    last: bool,
    ended: bool,
    /// For messages: the file.
    about: Box<str>,
}

impl Decoded {
    /// Decodes what `inner` gives; `about` names it in messages.
    pub fn new(inner: Box<dyn ByteStream>, decoder: Box<dyn Decoder>, about: &str) -> Self {
        Self { inner, decoder, input: Vec::new(), used: 0, last: false, ended: false, about: about.into() }
    }

    fn broken(&self, why: &str) -> TaskError {
        TaskError::permanent(format!("{}: {why}", self.about))
    }
}

#[async_trait(?Send)]
impl ByteStream for Decoded {
    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError> {
        let before = into.len();
        while !self.ended {
            let step = guarded(|| self.decoder.step(&self.input[self.used..], self.last, into));
            match step.and_then(|step| step).map_err(|why| self.broken(&why))? {
                Step::Used(bytes) => self.used += bytes,
                Step::Ended(_) => self.ended = true,
                Step::NeedsInput if self.last && self.used == self.input.len() => self.ended = true,
                Step::NeedsInput if self.last => return Err(self.broken("the file is cut off")),
                Step::NeedsInput => {
                    self.input.drain(..self.used);
                    self.used = 0;
                    self.last = self.inner.fill(&mut self.input).await? == 0;
                }
            }
            if into.len() > before {
                break;
            }
            // A decoder may use much and give nothing.
            give_way().await;
        }
        Ok(into.len() - before)
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.inner.close().await
    }
}

/// A stream without its first bytes: how decoding goes on where it stood.
pub struct Skipped {
    inner: Box<dyn ByteStream>,
    left: u64,
}

impl Skipped {
    /// Leaves out so many bytes.
    pub fn by(inner: Box<dyn ByteStream>, bytes: u64) -> Box<dyn ByteStream> {
        if bytes == 0 { inner } else { Box::new(Self { inner, left: bytes }) }
    }
}

#[async_trait(?Send)]
impl ByteStream for Skipped {
    async fn fill(&mut self, into: &mut Vec<u8>) -> Result<usize, TaskError> {
        loop {
            let before = into.len();
            let got = self.inner.fill(into).await?;
            let skip = self.left.min(got as u64);
            self.left -= skip;
            into.drain(before..before + skip as usize);
            if got == 0 || into.len() > before {
                return Ok(into.len() - before);
            }
            give_way().await;
        }
    }

    fn piece_bytes(&self) -> usize {
        self.inner.piece_bytes()
    }

    async fn close(self: Box<Self>) -> Result<(), TaskError> {
        self.inner.close().await
    }
}

/// All bytes of a stream, at most so many.
///
/// # Errors
/// With `limit` as the name of the bound when there are more.
pub async fn read_all(
    stream: &mut dyn ByteStream,
    into: &mut Vec<u8>,
    bytes_max: usize,
    limit: &str,
    about: &str,
) -> Result<(), TaskError> {
    while stream.fill(into).await? > 0 {
        if into.len() > bytes_max {
            return Err(TaskError::permanent(format!("{about}: is larger than {limit} = {bytes_max}")));
        }
        give_way().await;
    }
    Ok(())
}
