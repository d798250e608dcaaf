//! Connections that stay open between calls, which is how programs that care talk to the daemon.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use thrum_api::local::{AppendParams, Appended, EventAppend};
use thrum_api::{Draft, Method, Sequence, Token, envelope};

use crate::harness::{Daemon, connect_unix, http, read_some};

const LIMIT: Duration = Duration::from_secs(120);

/// A connection to the local surface of a daemon.
pub(super) struct Connection {
    stream: UnixStream,
}

impl Connection {
    pub(super) fn open(daemon: &Daemon) -> Self {
        let stream = connect_unix(&daemon.socket()).expect("the daemon's socket");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self { stream }
    }

    pub(super) fn call<M: Method>(&mut self, params: &M::Params) -> M::Result {
        let body = envelope::request::<M>(1, params).unwrap();
        let response = round_trip(&mut self.stream, &body).expect("an answer");
        envelope::answer(&response)
            .unwrap_or_else(|error| panic!("{}: {error:?}: {}", M::NAME, text(&response)))
    }

    pub(super) fn append(&mut self, events: Vec<Draft>) -> Vec<Appended> {
        self.call::<EventAppend>(&AppendParams { events }).appended
    }
}

/// The stream of new events of a daemon.
pub(super) struct Events {
    lines: BufReader<UnixStream>,
}

impl Events {
    /// Everything that comes after this position.
    pub(super) fn after(daemon: &Daemon, position: Sequence) -> Self {
        Self::of(daemon, &format!("/events?after={position}"))
    }

    /// The stream of what changes.
    pub(super) fn changes(daemon: &Daemon) -> Self {
        Self::of(daemon, "/changes")
    }

    fn of(daemon: &Daemon, path: &str) -> Self {
        let mut stream = connect_unix(&daemon.socket()).expect("the daemon's socket");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(&http::request("GET", path, &[], b"")).unwrap();
        Self { lines: BufReader::new(stream) }
    }

    /// Waits for the next event; gives its text.
    pub(super) fn next(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).expect("an event");
            assert!(read > 0, "the stream of events ended");
            if let Some(data) = line.strip_prefix("data:") {
                return data.trim().to_owned();
            }
        }
    }
}

/// The smallest HTTP server there can be: what a round trip on loopback costs at least.
pub(super) struct Echo {
    stream: TcpStream,
}

impl Echo {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().unwrap();
        Self::between(listener, || TcpStream::connect(address).expect("a connection"))
    }

    /// A server on this listener, and a client that has this connection to it.
    pub(super) fn between(listener: TcpListener, connect: impl FnOnce() -> TcpStream) -> Self {
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_nodelay(true).unwrap();
            while let Ok(body) = read_request(&mut stream) {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let mut answer = head.into_bytes();
                answer.extend_from_slice(&body);
                stream.write_all(&answer).unwrap();
            }
        });
        let stream = connect();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    pub(super) fn round_trip(&mut self, body: &[u8]) -> usize {
        round_trip(&mut self.stream, body).expect("an answer").len()
    }
}

fn round_trip(stream: &mut (impl Read + Write), body: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(&post(body, None))?;
    read_answer(stream)
}

/// The bytes of a request on a connection that stays open.
pub(super) fn post(body: &[u8], token: Option<&Token>) -> Vec<u8> {
    let authorization = token
        .map_or_else(String::new, |token| format!("authorization: Bearer {}\r\n", token.expose()));
    let mut bytes = format!(
        "POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         {authorization}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The body of the answer to it.
pub(super) fn read_answer(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    http::read_response(stream).map(|response| response.body)
}

fn read_request(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        // One byte at a time would be slow for a baseline: the head of a small request comes whole.
        let mut block = [0; 16 * 1024];
        let read = read_some(stream, &mut block)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = &block[..read];
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        for line in String::from_utf8_lossy(&bytes[..end]).lines() {
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap_or(0);
            }
        }
        let mut body = bytes[end + 4..].to_vec();
        let missing = usize::saturating_sub(length, body.len());
        let mut rest = vec![0; missing];
        stream.read_exact(&mut rest)?;
        body.extend_from_slice(&rest);
        return Ok(body);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(300).collect()
}
