//! Standard output of commands that print a text and end.

use std::io::{self, ErrorKind, Write as _};

/// Prints a text and gives the exit status: that of the command, or 1 when the text could not be written. A reader
/// that has gone away (`egret plugins | head -1`) has read what it wanted: that is no failure.
pub fn print(text: impl AsRef<[u8]>, exit: u8) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Ok(()) => exit,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit,
        Err(error) => {
            tell!("error: cannot write to standard output: {error}");
            exit.max(1)
        }
    }
}
