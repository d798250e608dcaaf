use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::limit::TOOL_LIMIT;
use crate::harness::{Drawn, Pty, eventually, holds};

/// A terminal that nobody looks at, for tools that run in nothing else: what they draw is taken, and what they
/// ask a terminal is answered. Dropping it hangs up.
pub struct Screen {
    pty: Arc<Pty>,
    drawn: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What tools ask a terminal, and what one answers: where the cursor is, and which kind it is.
const ANSWERS: [(&str, &str); 3] =
    [("\u{1b}[6n", "\u{1b}[1;1R"), ("\u{1b}[c", "\u{1b}[?62;22c"), ("\u{1b}[?u", "\u{1b}[?0u")];
/// How often a screen on which nothing is drawn looks whether it is still wanted.
const LOOK_UP: Duration = Duration::from_millis(50);
const COLUMNS: u16 = 140;
const ROWS: u16 = 50;

impl Screen {
    /// Starts a program.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn open(command: Command) -> Self {
        let pty = Arc::new(Pty::open(command, COLUMNS, ROWS));
        let (drawn, stop) = (Arc::<Mutex<String>>::default(), Arc::<AtomicBool>::default());
        let watched = (Arc::clone(&pty), Arc::clone(&drawn), Arc::clone(&stop));
        let thread = std::thread::spawn(move || watch(&watched.0, &watched.1, &watched.2));
        Self { pty, drawn, stop, thread: Some(thread) }
    }

    /// Types a line: Enter is pressed once the line is drawn, because a tool takes both at once for pasted
    /// text.
    ///
    /// # Panics
    /// When it isn't drawn.
    #[track_caller]
    pub fn types(&mut self, line: &str) {
        let before = self.drawn().len();
        let _ended = self.pty.press(line);
        eventually(TOOL_LIMIT, || {
            let drawn = self.drawn();
            let is_drawn = drawn.get(before..).is_some_and(|new| new.contains(line));
            holds(is_drawn, || format!("{line:?} is not drawn"))
        });
        let _ended = self.pty.press("\r");
    }

    /// What was drawn so far, without colours and places.
    pub fn drawn(&self) -> String {
        self.drawn.lock().map(|drawn| plain(&drawn)).unwrap_or_default()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
        if std::thread::panicking() {
            let drawn = self.drawn();
            let end = drawn.len() - drawn.len().min(4000);
            let end = drawn.ceil_char_boundary(end);
            eprintln!("--- drawn last\n{}\n---", &drawn[end..]);
        }
    }
}

fn watch(pty: &Pty, drawn: &Mutex<String>, stop: &AtomicBool) {
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        let bytes = match pty.drawn_within(LOOK_UP) {
            Drawn::Bytes(bytes) => bytes,
            Drawn::Nothing => continue,
            Drawn::End => return,
        };
        let Ok(mut drawn) = drawn.lock() else { return };
        drawn.push_str(&String::from_utf8_lossy(&bytes));
        let asked: Vec<_> = ANSWERS
            .iter()
            .flat_map(|(question, answer)| {
                let found = drawn[answered..].match_indices(question);
                found.map(|(at, _)| (answered + at + question.len(), *answer))
            })
            .collect();
        drop(drawn);
        for (end, answer) in asked {
            answered = answered.max(end);
            let _gone = pty.press(answer);
        }
    }
}

/// The text without control sequences.
fn plain(drawn: &str) -> String {
    let mut text = String::new();
    let mut rest = drawn.chars();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' => match rest.next() {
                // To its last letter, or to the end of a title.
                Some('[') => drop(rest.find(char::is_ascii_alphabetic)),
                Some(']') => drop(rest.find(|&c| c == '\u{7}' || c == '\u{1b}')),
                _ => {}
            },
            '\r' => text.push('\n'),
            other => text.push(other),
        }
    }
    text
}
