//! A terminal: a pseudoterminal pair whose other side is read into a screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};

/// A program in a terminal; killed when dropped.
pub struct Terminal {
    child: Child,
    master: File,
    screen: Arc<(Mutex<Screen>, Condvar)>,
}

struct Screen {
    parser: vt100::Parser,
    /// Nobody has the terminal open any more.
    ended: bool,
}

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

impl Terminal {
    pub fn start(mut command: Command) -> Self {
        let (master, slave) = pair();
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        command
            .env("TERM", "xterm-256color")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio());
        // SAFETY: both calls may be made between fork and exec: they make the terminal that of a new session.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        drop(slave);
        let screen = Arc::new((
            Mutex::new(Screen {
                parser: vt100::Parser::new(size(ROWS), size(COLUMNS), 1_000),
                ended: false,
            }),
            Condvar::new(),
        ));
        let reader = master.try_clone().unwrap();
        let shared = Arc::clone(&screen);
        let answers = master.try_clone().unwrap();
        std::thread::spawn(move || read(reader, answers, &shared));
        Self {
            child,
            master,
            screen,
        }
    }

    pub fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the screen is as wanted. What it was instead stands in the panic.
    pub fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let (lock, changed) = &*self.screen;
        let mut screen = lock.lock().unwrap();
        loop {
            let contents = screen.parser.screen().contents();
            if wanted(&contents) {
                return;
            }
            assert!(
                !screen.ended,
                "{what} did not come before the end:\n{contents}"
            );
            let (next, timeout) = changed.wait_timeout(screen, PATIENCE).unwrap();
            screen = next;
            assert!(!timeout.timed_out(), "{what} did not come:\n{contents}");
        }
    }

    pub fn wait_for(&self, text: &str) {
        self.wait(text, |contents| contents.contains(text));
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        self.screen
            .0
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(size(rows), size(columns));
        set_size(&self.master, rows, columns);
    }

    pub fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

fn size(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

// Only against waiting for ever: nothing is said about how long anything takes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(mut reader: File, mut answers: File, shared: &(Mutex<Screen>, Condvar)) {
    let mut buffer = [0_u8; 4096];
    loop {
        let count = reader.read(&mut buffer).unwrap_or(0);
        let mut screen = shared.0.lock().unwrap();
        screen.ended = count == 0;
        screen.parser.process(&buffer[..count]);
        // A terminal tells where its cursor is when it is asked.
        if buffer[..count].windows(4).any(|bytes| bytes == b"\x1b[6n") {
            let (row, column) = screen.parser.screen().cursor_position();
            let _ = write!(answers, "\x1b[{};{}R", row + 1, column + 1);
        }
        shared.1.notify_all();
        if count == 0 {
            return;
        }
    }
}

fn pair() -> (File, OwnedFd) {
    let (mut master, mut slave) = (0, 0);
    // SAFETY: both places are written before they are read; the null pointers ask for what the system has by default.
    let made = unsafe {
        libc::openpty(
            &raw mut master,
            &raw mut slave,
            std::ptr::null_mut(),
            std::ptr::null(),
            std::ptr::null(),
        )
    };
    assert_eq!(made, 0);
    // SAFETY: the call above made both and nobody else has them.
    let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
    set_size(&master, ROWS, COLUMNS);
    (master, slave)
}

fn set_size(master: &File, rows: u16, columns: u16) {
    use std::os::fd::AsRawFd as _;
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the call reads the structure that it is given.
    assert_eq!(
        unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) },
        0
    );
}
