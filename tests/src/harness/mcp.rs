use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Client, LONG, SHORT, eventually, process};

/// The revision of MCP without a handshake.
pub const MODERN: &str = "2026-07-28";

/// A tool of an agent that has started `thrum mcp`, and writes and reads its JSON lines.
#[derive(Debug)]
pub struct Mcp {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// What came while something else was waited for.
    answers: BTreeMap<i64, Value>,
    told: Vec<Value>,
    last_id: i64,
    /// What each request has in `_meta`.
    meta: Value,
}

impl Mcp {
    /// Starts it with these words after `thrum mcp`.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(client: &Client, words: &[&str]) -> Self {
        let words: Vec<&str> = std::iter::once("mcp").chain(words.iter().copied()).collect();
        let mut child = client
            .command(&words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("thrum starts");
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = channel();
        std::thread::spawn(move || {
            for text in stdout.lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        let (answers, told) = (BTreeMap::new(), Vec::new());
        Self { child, stdin, lines, answers, told, last_id: 0, meta: json!({}) }
    }

    /// Starts it, and greets it as this client does in this revision.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn greeted(client: &Client, words: &[&str], name: &str, revision: &str) -> Self {
        let mut mcp = Self::start(client, words);
        let info = json!({"name": name, "version": "1"});
        if revision == MODERN {
            mcp.meta = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": info,
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            mcp.ask("server/discover", json!({}));
            return mcp;
        }
        let params = json!({"protocolVersion": revision, "capabilities": {}, "clientInfo": info});
        let greeting = mcp.ask("initialize", params);
        assert_eq!(greeting["result"]["protocolVersion"], revision, "{greeting}");
        mcp.notify("notifications/initialized", json!({}));
        mcp
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Adds a member to the `_meta` of each request.
    pub fn add_meta(&mut self, name: &str, value: &str) {
        self.meta[name] = value.into();
    }

    /// Writes a line, whatever it is.
    ///
    /// # Panics
    /// When it has closed its stdin.
    #[track_caller]
    pub fn write(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("an open stdin");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it reads");
    }

    /// Sends a notification.
    #[track_caller]
    pub fn notify(&mut self, method: &str, params: Value) {
        self.write(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    /// Sends a request, and gives its id.
    #[track_caller]
    pub fn send(&mut self, method: &str, mut params: Value) -> i64 {
        self.last_id += 1;
        if self.meta != json!({}) {
            let mut meta = self.meta.clone();
            let own = params["_meta"].as_object().cloned().unwrap_or_default();
            meta.as_object_mut().unwrap().extend(own);
            params["_meta"] = meta;
        }
        let (id, version) = (self.last_id, "2.0");
        let line = json!({"jsonrpc": version, "id": id, "method": method, "params": params});
        self.write(&line.to_string());
        id
    }

    /// Sends the call of a tool.
    #[track_caller]
    pub fn begin(&mut self, tool: &str, arguments: Value) -> i64 {
        self.send("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// The whole answer to a request.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn answer(&mut self, id: i64) -> Value {
        let begin = Instant::now();
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return answer;
            }
            assert!(begin.elapsed() < LONG, "no answer to {id}; what came: {:?}", self.told);
            self.take_line();
        }
    }

    /// The next message that answers nothing.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn next_told(&mut self) -> Value {
        let begin = Instant::now();
        while self.told.is_empty() {
            assert!(begin.elapsed() < LONG, "nothing was told");
            self.take_line();
        }
        self.told.remove(0)
    }

    /// Reads one line, or returns after a second.
    fn take_line(&mut self) {
        let line = match self.lines.recv_timeout(std::time::Duration::from_secs(1)) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return,
            Err(RecvTimeoutError::Disconnected) => panic!("it has closed its stdout"),
        };
        let message: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("a line that is no JSON ({error}): {line}"));
        match message["id"].as_i64() {
            Some(id) => drop(self.answers.insert(id, message)),
            None => self.told.push(message),
        }
    }

    /// Sends a request, and gives its whole answer.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Calls a tool, and gives the JSON that it answers.
    ///
    /// # Panics
    /// When that is an error, or not the whole answer.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.begin(tool, arguments);
        self.done(id)
    }

    /// What a call answers that was sent before.
    ///
    /// # Panics
    /// As [`Mcp::call`].
    #[track_caller]
    pub fn done(&mut self, id: i64) -> Value {
        let (is_error, content) = content(&self.answer(id));
        assert!(!is_error, "{content}");
        content
    }

    /// Calls a tool, and gives the error that it answers to the model.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn fails(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.begin(tool, arguments);
        let (is_error, content) = content(&self.answer(id));
        assert!(is_error, "{content}");
        content["error"].clone()
    }

    /// Sends a signal to it.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Closes its stdin.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it doesn't.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        eventually(SHORT, || {
            self.child.try_wait().unwrap().ok_or_else(|| "thrum mcp still runs".to_owned())
        })
    }
}

impl Drop for Mcp {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether the answer to a call is an error, and its JSON: the text and the structured content are the same, and short.
#[track_caller]
fn content(answer: &Value) -> (bool, Value) {
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(text.len() < 8192, "{} bytes", text.len());
    assert_eq!(result["content"].as_array().unwrap().len(), 1);
    let parsed: Value = serde_json::from_str(text).unwrap();
    assert_eq!(parsed, result["structuredContent"]);
    (result["isError"] == true, parsed)
}
