//! The terminal while `egret top` owns it.

use std::io::{self, IsTerminal as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

/// The other screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the top left; clear to the end of the line; clear what is below.
const HOME: &str = "\x1b[H";
const LINE_END: &str = "\x1b[K\r\n";
const REST: &str = "\x1b[J";

/// What a person pressed, as far as it matters.
const KEYS_OF_END: [u8; 3] = [b'q', b'Q', 3];

/// A terminal that gives keys at once. Dropping it gives it back as it was, also when a panic does.
pub struct Terminal {
    before: libc::termios,
}

impl Terminal {
    /// Takes the terminal; `None` when input or output is none.
    pub fn take() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(None);
        }
        let mut before = MaybeUninit::uninit();
        // SAFETY: the kernel fills in the structure that the pointer is valid for.
        if unsafe { libc::tcgetattr(libc::STDIN_FILENO, before.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it is filled in.
        let before = unsafe { before.assume_init() };
        let mut now = before;
        // Keys come one by one and are not shown; Ctrl-C comes as a key, so that the terminal is given back first.
        now.c_lflag &= !(libc::ICANON | libc::ECHO | libc::ISIG);
        set(&now)?;
        let terminal = Self { before };
        write(ENTER)?;
        Ok(Some(terminal))
    }

    /// Rows and columns.
    pub fn size(&self) -> (usize, usize) {
        let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the kernel fills in the structure that the pointer is valid for.
        let done = unsafe { libc::ioctl(io::stdout().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
        match (done, size.ws_row, size.ws_col) {
            (0, 1.., 1..) => (size.ws_row.into(), size.ws_col.into()),
            _ => (24, 80),
        }
    }

    /// Shows a text, as much of it as fits.
    pub fn show(&self, text: &str) -> io::Result<()> {
        let (rows, columns) = self.size();
        let mut screen = String::from(HOME);
        for (at, line) in text.lines().take(rows).enumerate() {
            if at > 0 {
                screen.push_str(LINE_END);
            }
            screen.extend(line.chars().take(columns));
        }
        screen.push_str("\x1b[K");
        screen.push_str(REST);
        write(&screen)
    }

    /// Waits for a key that ends the view; false when the time is over first, or `stopped` says so.
    pub fn wait_for_end(&self, pause: Duration, stopped: impl Fn() -> bool) -> io::Result<bool> {
        const STEP: Duration = Duration::from_millis(100);
        let deadline = Instant::now() + pause;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if stopped() {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            let wait = i32::try_from(left.min(STEP).as_millis()).unwrap_or(100).max(1);
            let mut input = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
            // SAFETY: one pollfd of this function.
            if unsafe { libc::poll(&raw mut input, 1, wait) } < 1 {
                continue;
            }
            let mut keys = [0u8; 64];
            // SAFETY: the buffer is writable for its length.
            let read = unsafe { libc::read(libc::STDIN_FILENO, keys.as_mut_ptr().cast(), keys.len()) };
            // The end of the input is the end of the person.
            let Ok(read @ 1..) = usize::try_from(read) else { return Ok(true) };
            if keys[..read].iter().any(|key| KEYS_OF_END.contains(key)) {
                return Ok(true);
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // There is nobody to tell that the terminal is gone.
        let _ = write(LEAVE);
        let _ = set(&self.before);
    }
}

fn set(state: &libc::termios) -> io::Result<()> {
    // SAFETY: the structure is valid for the duration of the call.
    match unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSAFLUSH, state) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
