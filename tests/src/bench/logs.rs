//! `thrum daemon logs -f`: many lines at once against few.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use super::bootstrap::setup;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Client, Daemon};

const MANY: usize = 60_000;
const FEW: usize = 6_000;

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let rounds = if size == Size::Full { 3 } else { 1 };
    let folder = tempfile::tempdir().expect("a folder");
    // Not where the daemon writes.
    let log = folder.path().join("thrumd.log");
    let daemon = setup("alone").env("THRUM_LOG_PATH", log.display()).start();
    let mut following = Following::start(&daemon, &log);
    let (mut of_few, mut of_many) = (Sample::default(), Sample::default());
    for round in 1..=rounds {
        tell(&format!("logs: {MANY} and {FEW} lines, {round} of {rounds}"));
        // The same number of lines on both sides: a look at the log may be up to its interval late.
        of_few.time(|| (0..MANY / FEW).for_each(|_| following.lines(FEW)));
        of_many.time(|| following.lines(MANY));
    }
    vec![Figure::new(
        "logs_follow",
        "thrum daemon logs -f: a line of 60,000 that are written at once, against of 6,000",
        (of_many.median() / of_few.median(), "x"),
        Target::AtMost(1.5),
        format!(
            "{} for {MANY} at once, {} for {FEW} at a time",
            words(of_many.median()),
            words(of_few.median())
        ),
    )]
}

struct Following {
    client: Child,
    printed: BufReader<ChildStdout>,
    log: File,
    count: usize,
}

impl Following {
    fn start(daemon: &Daemon, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("the log");
        let mut command = Client::new(daemon).command(&["daemon", "logs", "-f", "-n", "0"]);
        let mut client = command.stdout(Stdio::piped()).spawn().expect("thrum starts");
        let printed = BufReader::new(client.stdout.take().expect("a pipe"));
        let mut following = Self { client, printed, log, count: 0 };
        // Until it follows: what is written earlier is not printed.
        let (mut line, mut log) = (String::new(), following.log.try_clone().expect("the log"));
        std::thread::scope(|scope| {
            let (found, waiting) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                while waiting.recv_timeout(std::time::Duration::from_millis(50)).is_err() {
                    log.write_all(b"are you there?\n").expect("the log");
                }
            });
            following.printed.read_line(&mut line).expect("a line");
            found.send(()).expect("the writer");
        });
        following.lines(1);
        following
    }

    /// Writes lines to the log and waits until they are printed.
    fn lines(&mut self, count: usize) {
        let mut text = String::new();
        for _ in 0..count {
            self.count += 1;
            text += &format!(
                "2026-11-29T16:09:28.340Z  INFO sync: a line of a usual length about some peer of ours {:08}\n",
                self.count
            );
        }
        self.log.write_all(text.as_bytes()).expect("the log");
        let last = format!("{:08}\n", self.count);
        let mut line = String::new();
        while !line.ends_with(&last) {
            line.clear();
            assert!(self.printed.read_line(&mut line).expect("a line") > 0, "it ended");
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.client.kill());
        drop(self.client.wait());
    }
}
