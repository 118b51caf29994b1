//! Gives the terminal back when the program breaks down. A small build aborts then and runs no destructors, so that a
//! prompt that was being edited would leave a terminal that shows nothing.

use std::io::Write as _;
use std::mem::MaybeUninit;

/// Shows the cursor, which a live table hides.
const SHOW_CURSOR: &[u8] = b"\x1b[?25h";

/// Remembers how the terminal is now, and restores that before a panic is reported. Without a terminal it does nothing.
pub fn restore_terminal_on_panic() {
    let Some(settings) = settings_of_input() else {
        return;
    };
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // SAFETY: `settings` is a whole `termios` that the system gave. What it answers does not matter any more.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const settings) };
        let _ = std::io::stderr().write_all(SHOW_CURSOR);
        report(panic);
    }));
}

fn settings_of_input() -> Option<libc::termios> {
    let mut settings = MaybeUninit::uninit();
    // SAFETY: the pointer is to a `termios` that the call may write.
    let answer = unsafe { libc::tcgetattr(libc::STDIN_FILENO, settings.as_mut_ptr()) };
    // SAFETY: it was written if the call succeeded.
    (answer == 0).then(|| unsafe { settings.assume_init() })
}
