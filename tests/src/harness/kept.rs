//! A machine that calls a daemon, can't be called itself, and keeps its connection.

use super::pair_request;
use std::io::{self, Write as _};
use std::net::TcpStream;
use thrumd::keys::SecretKey;

use thrum_api::peer::PairRequest;

use super::http::{self, Response};
use super::{Daemon, PeerCaller};

/// A paired machine with at most one connection to the daemon.
#[derive(Debug)]
pub struct KeptCaller {
    caller: PeerCaller,
    token: thrum_api::Token,
    kept: Option<TcpStream>,
}

impl KeptCaller {
    /// Pairs a machine, by a code, and asks once: that makes the pairing complete. `number` makes its name and port.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn pair(daemon: &Daemon, number: u16) -> Self {
        let (code, key) = (Some(daemon.open_pairing().code), SecretKey::generate().unwrap());
        let (name, addr) = (format!("fake-{number}"), format!("127.0.0.1:{}", 1 + number));
        let params = pair_request(daemon, &key, code, &name, &addr);
        let caller = daemon.stranger();
        let token = caller.call::<PairRequest>(&params).expect("to be paired").token;
        let mut machine = Self { caller, token, kept: None };
        assert_eq!(machine.connect().expect("an answer").status, 200);
        machine
    }

    /// Whether its connection is open, as far as it knows.
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Asks over a new connection, which it keeps.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn connect(&mut self) -> io::Result<Response> {
        self.kept = Some(self.caller.connect()?);
        self.ask()
    }

    /// Takes its connection out.
    pub fn take(&mut self) -> Option<TcpStream> {
        self.kept.take()
    }

    /// Asks over the connection that it kept.
    ///
    /// # Errors
    /// When there is none, or it ended.
    pub fn ask(&mut self) -> io::Result<Response> {
        let mut stream = self.kept.take().ok_or(io::ErrorKind::NotConnected)?;
        let response = self.ask_on(&mut stream)?;
        if response.headers.get("connection").is_none_or(|value| value != "close") {
            self.kept = Some(stream);
        }
        Ok(response)
    }

    /// Asks over this connection.
    ///
    /// # Errors
    /// When it ended.
    pub fn ask_on(&self, stream: &mut TcpStream) -> io::Result<Response> {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"sync.peer_info","params":{}}"#;
        let head = format!(
            "POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
            self.token.expose(),
            body.len()
        );
        stream.write_all((head + body).as_bytes())?;
        http::read_response(stream)
    }
}
