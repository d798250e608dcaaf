//! A real `thrum ui`, spoken to over raw sockets: tests must be able to send what no browser would.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use thrum_api::Method;

use super::http::{self, Response};
use super::{Client, LONG, SHORT, ended_within, eventually, process};

/// A `thrum ui`. It is ended with the value.
#[derive(Debug)]
pub struct Ui {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The port of the page.
    pub port: u16,
    /// The token of its address.
    pub token: String,
    bearer: String,
}

impl Ui {
    /// The words with which it tells its address to programs.
    pub const WORDS: [&str; 3] = ["ui", "--no-open", "--json"];

    /// Starts one with these words besides `ui --no-open`, and exchanges its token.
    ///
    /// # Panics
    /// When it doesn't start.
    #[track_caller]
    pub fn start(client: &Client, words: &[&str]) -> Self {
        Self::untouched(client, words).enter()
    }

    /// The same, with its token unused.
    ///
    /// # Panics
    /// When it doesn't start.
    #[track_caller]
    pub fn untouched(client: &Client, words: &[&str]) -> Self {
        Self::of(client.command(&[&Self::WORDS, words].concat()))
    }

    /// What this command starts, which has [`Ui::WORDS`].
    ///
    /// # Panics
    /// When it doesn't start.
    #[track_caller]
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{command:?} said {line:?} ({error})"));
        let url = told["url"].as_str().unwrap().to_owned();
        let (base, token) = url.split_once("/#t=").unwrap();
        let port = base.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
        Self { child, stdout, port, token: token.to_owned(), bearer: String::new() }
    }

    /// Exchanges its token.
    ///
    /// # Panics
    /// When it is not taken.
    #[track_caller]
    pub fn enter(mut self) -> Self {
        self.bearer = self.session(&self.token).json()["bearer"].as_str().unwrap().to_owned();
        self
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to it. What does not come within a minute is an error.
    ///
    /// # Panics
    /// When nobody listens.
    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Sends bytes and reads the answer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn exchange(&self, bytes: &[u8]) -> Response {
        http::exchange(&mut self.connect(), bytes).unwrap()
    }

    /// Sends a request with these headers besides `Host`.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let host = format!("127.0.0.1:{}", self.port);
        let host = [("host", host.as_str())];
        let own = headers.iter().any(|(name, _)| *name == "host");
        let headers = [if own { &[] } else { &host[..] }, headers].concat();
        self.exchange(&http::request(method, path, &headers, body))
    }

    /// The value of `Authorization` with the bearer.
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.bearer)
    }

    /// Posts JSON as the page does.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        let authorization = self.authorization();
        let headers =
            [("content-type", "application/json"), ("authorization", authorization.as_str())];
        self.ask("POST", path, &headers, body.to_string().as_bytes())
    }

    /// Gives a token.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn session(&self, token: &str) -> Response {
        let body = json!({ "token": token }).to_string();
        self.ask("POST", "/session", &[("content-type", "application/json")], body.as_bytes())
    }

    /// Calls a method as the page does, and answers the whole response.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn call<M: Method>(&self, params: &Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": M::NAME, "params": params });
        let response = self.post("/rpc", &request);
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    /// Follows the changes.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn changes(&self) -> Changes {
        self.try_changes().unwrap_or_else(|refused| panic!("{}", refused.text()))
    }

    /// The same; the answer if it is refused.
    ///
    /// # Errors
    /// When it is.
    ///
    /// # Panics
    /// When there is no answer.
    #[track_caller]
    pub fn try_changes(&self) -> Result<Changes, Response> {
        use std::io::Write as _;
        let mut stream = self.connect();
        let head = format!(
            "GET /changes HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: {}\r\n\r\n",
            self.port,
            self.authorization()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        // The head alone is looked at: a stream has no end.
        if !reader.fill_buf().unwrap().starts_with(b"HTTP/1.1 200 ") {
            return Err(http::read_response(&mut reader).unwrap());
        }
        while !http::read_line(&mut reader).unwrap().is_empty() {}
        Ok(Changes { reader, buffer: String::new() })
    }

    /// Sends it a signal, and waits for its end.
    ///
    /// # Panics
    /// When it goes on.
    #[track_caller]
    pub fn end(&mut self, signal: rustix::process::Signal) -> ExitStatus {
        process::signal(self.pid(), signal);
        self.ended()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it goes on.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        ended_within(SHORT, &mut self.child).expect("thrum ui has ended")
    }

    /// What it has printed after its first line. It must have ended.
    ///
    /// # Panics
    /// When that can't be read.
    pub fn printed(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The changes that a page follows. The connection is closed with the value.
#[derive(Debug)]
pub struct Changes {
    reader: BufReader<TcpStream>,
    buffer: String,
}

impl Changes {
    /// The next line that is not empty, as JSON.
    ///
    /// # Panics
    /// When none comes in time, or the stream ends.
    #[track_caller]
    pub fn line(&mut self) -> Value {
        let begun = Instant::now();
        loop {
            if let Some((line, rest)) = self.buffer.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.buffer = rest;
                if !line.is_empty() {
                    return serde_json::from_str(&line).unwrap();
                }
                // Empty ones come for ever.
                assert!(begun.elapsed() < LONG, "nothing but signs of life");
                continue;
            }
            let size = http::read_line(&mut self.reader).unwrap();
            let size = usize::from_str_radix(&size, 16).unwrap();
            assert_ne!(size, 0, "the stream has ended");
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).unwrap();
            chunk.truncate(size);
            self.buffer.push_str(&String::from_utf8(chunk).unwrap());
        }
    }

    /// The next line that this function takes, as JSON.
    ///
    /// # Panics
    /// When none comes in time.
    #[track_caller]
    pub fn find(&mut self, takes: impl Fn(&Value) -> bool) -> Value {
        eventually(SHORT, || {
            let line = self.line();
            if takes(&line) { Ok(line) } else { Err(line.to_string()) }
        })
    }
}
