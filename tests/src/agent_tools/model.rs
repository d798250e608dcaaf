use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::asked::{Asked, summary};
use super::dialect::{Dialect, Reply, Shown};
use super::limit::TOOL_LIMIT;
use crate::harness::http;

/// A model service on loopback that the test plays: each question waits until the test answers it. It speaks what the tools
/// speak, and needs no account.
///
/// What tools ask beside the conversation, such as a title for it, offers the model no tools. That is answered at once.
pub struct FakeModel {
    address: SocketAddr,
    asked: Receiver<Asked>,
    open: Arc<Open>,
    stop: Arc<AtomicBool>,
}

/// What goes on between two questions.
#[derive(Debug, Default)]
struct Open {
    /// What was shown last.
    shown: Mutex<Vec<Shown>>,
    /// What is answered next, whatever is asked.
    after: Mutex<Option<Reply>>,
}

impl FakeModel {
    /// Starts one.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (questions, asked) = sync_channel(64);
        let (open, stop) = (Arc::<Open>::default(), Arc::<AtomicBool>::default());
        let (kept, stopped) = (Arc::clone(&open), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (questions, kept) = (questions.clone(), Arc::clone(&kept));
                std::thread::spawn(move || {
                    // Until the tool hangs up.
                    let _ended = serve(stream, &questions, &kept);
                });
            }
        });
        Self { address, asked, open, stop }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the next question.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn asked(&self) -> Asked {
        self.asked.recv_timeout(TOOL_LIMIT).unwrap_or_else(|_| panic!("the model was not asked"))
    }

    /// A question that waits, if there is one.
    pub fn question(&self) -> Option<Asked> {
        self.asked.try_recv().ok()
    }

    /// Checks that no question waits.
    ///
    /// # Panics
    /// When one does.
    #[track_caller]
    pub fn is_not_asked(&self) {
        if let Some(asked) = self.question() {
            panic!("the model was asked:\n{}", asked.summary());
        }
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let shown = self.open.shown.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!(
                "--- what the model at {} was shown last\n{}---",
                self.url(),
                summary(&shown)
            );
        }
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        let _woken = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, questions: &SyncSender<Asked>, open: &Open) -> io::Result<()> {
    loop {
        let (head, rest) = http::read_head(&mut stream)?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = http::parse_headers(lines);
        let (method, path) = first.split_once(' ').unwrap_or_default();
        let path = path.split([' ', '?']).next().unwrap_or_default();
        if method != "POST" {
            let list = json!({"object": "list", "data": [], "models": []}).to_string();
            let body = if method == "HEAD" { "" } else { &list };
            write_answer(&mut stream, "application/json", body)?;
            continue;
        }
        let mut reader = rest.as_slice().chain(&mut stream);
        let body = http::read_sized(&mut reader, &headers)?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (kind, text) = answer(path, &body, questions, open);
        write_answer(&mut stream, kind, &text)?;
    }
}

fn answer(
    path: &str,
    body: &Value,
    questions: &SyncSender<Asked>,
    open: &Open,
) -> (&'static str, String) {
    let Some(dialect) = Dialect::of(path) else {
        let counts = json!({"input_tokens": 100, "totalTokens": 100});
        return ("application/json", counts.to_string());
    };
    let (tools, shown) = (dialect.tools(body), dialect.shown(body));
    if tools.is_empty() || dialect.wants_json(body) {
        return dialect.answer(path, body, &Reply::aside());
    }
    let mut after = open.after.lock().unwrap_or_else(PoisonError::into_inner).take();
    if after.is_none() {
        open.shown.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&shown);
        let (reply, answer) = channel();
        let offered = tools.clone();
        let _test_is_over = questions.send(Asked { shown, tools: offered, reply });
        after = answer.recv().ok();
    }
    let reply = after.unwrap_or_else(|| Reply::Say("Done.".to_owned()));
    let (reply, after) = reply.in_full(&tools);
    *open.after.lock().unwrap_or_else(PoisonError::into_inner) = after;
    dialect.answer(path, body, &reply)
}

fn write_answer(stream: &mut TcpStream, kind: &str, body: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}", body.len());
    write!(stream, "{head}\r\n\r\n{body}")?;
    stream.flush()
}
