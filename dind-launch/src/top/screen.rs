//! The terminal: taken for a table that is drawn again and again, and given back as it was.

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use rustix::termios::{tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, Read, Write, stdin, stdout};

/// To the other screen, without a cursor; and back (xterm's control sequences, which all terminals of today have).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// To the upper left; what remains of a line, and below the last.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K\r\n";
const REST: &str = "\x1b[K\x1b[J";

/// Of a terminal that does not know its size.
const USUAL: (usize, usize) = (80, 24);

/// A terminal that shows the table. Whatever ends the program in order gives it back.
#[derive(Debug)]
pub(super) struct Screen {
    before: Termios,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// stdin is none.
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut during = before.clone();
        // Keys come as they are pressed, and are not shown. Those of signals stay.
        during.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        during.special_codes[SpecialCodeIndex::VMIN] = 0;
        during.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Now, &during)?;
        let screen = Self { before };
        write(ENTER)?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(super) fn size() -> (usize, usize) {
        let size = tcgetwinsize(stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(USUAL, |size| (size.ws_col.into(), size.ws_row.into()))
    }

    /// Draws over what was there: a screen that is cleared first flickers.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        write(&format!("{HOME}{}{REST}", lines.join(REST_OF_LINE)))
    }

    /// The keys that were pressed; nothing at the end of the terminal.
    pub(super) fn keys(&self) -> Option<Vec<u8>> {
        let mut keys = vec![0; 64];
        match stdin().lock().read(&mut keys) {
            Ok(length) if length > 0 => keys.truncate(length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => keys.clear(),
            _ => return None,
        }
        Some(keys)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = write(LEAVE);
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
