use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use pty_process::{Size, blocking};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::process::signal;
use super::{SHORT, ended_within, uninterrupted};

/// For how long a program may go on after its terminal hung up.
const AFTER_HANGUP: Duration = Duration::from_secs(1);

/// A program in a terminal of its own, whose size the program finds as it is from its first instruction on.
/// Nothing that is typed is shown unless the program shows it. Dropping it hangs up, which the program survives
/// for a second at most.
pub struct Pty {
    pty: blocking::Pty,
    child: Child,
}

/// What a terminal has to tell.
pub enum Drawn {
    /// The program wrote this.
    Bytes(Vec<u8>),
    /// It wrote nothing in the time that it was given.
    Nothing,
    /// Nobody has the terminal open any more.
    End,
}

impl Pty {
    /// Starts the program.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn open(command: Command, columns: u16, rows: u16) -> Self {
        let (pty, inner) = blocking::open().expect("a terminal");
        pty.resize(Size::new(rows, columns)).expect("a size");
        let mut modes = tcgetattr(&inner).expect("a terminal");
        modes.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&inner, OptionalActions::Now, &modes).expect("a terminal");
        let child = blocking::Command::from(command).spawn(inner).expect("a program");
        Self { pty, child }
    }

    /// Presses these keys.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn press(&self, keys: &str) -> io::Result<()> {
        (&self.pty).write_all(keys.as_bytes())
    }

    /// What the program writes next, if it does so in this time.
    ///
    /// # Panics
    /// When the terminal can't be read.
    pub fn drawn_within(&self, limit: Duration) -> Drawn {
        let end = Instant::now() + limit;
        let readable = uninterrupted(|| {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).ok();
            let mut ready = [PollFd::new(&self.pty, PollFlags::IN)];
            Ok(poll(&mut ready, left.as_ref())?)
        });
        if readable.expect("a terminal") == 0 {
            return Drawn::Nothing;
        }
        let mut block = vec![0; 1 << 16];
        match uninterrupted(|| (&self.pty).read(&mut block)) {
            Ok(0) => Drawn::End,
            Ok(count) => {
                block.truncate(count);
                Drawn::Bytes(block)
            }
            // So Linux says that the other end was closed.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Drawn::End,
            Err(error) => panic!("the terminal can't be read: {error}"),
        }
    }

    /// Waits for the end of the program and gives its exit code.
    ///
    /// # Errors
    /// When it goes on, or a signal ended it.
    pub fn exit_code(&mut self) -> Result<i32, String> {
        let Some(status) = ended_within(SHORT, &mut self.child) else {
            return Err("the program still ran".to_owned());
        };
        status.code().ok_or_else(|| format!("signal {:?} ended it", status.signal()))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), Signal::HUP);
            ended_within(AFTER_HANGUP, &mut self.child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Terminal;
    use super::*;

    #[test]
    fn the_size_is_there_from_the_start_and_stays() {
        let mut command = Command::new("sh");
        command.args(["-c", "stty size; stty cols 33; read line; stty size; exit 7"]);
        let mut terminal = Terminal::sized(command, 20, 50);
        terminal.shows("50 20");
        terminal.types("go on");
        let (code, shown) = terminal.ends();
        assert_eq!((code, &*shown.replace('\r', "")), (7, "50 20\n50 33\n"));
    }
}
