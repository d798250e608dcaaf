//! Connections that machines keep open.

use std::io::Write as _;
use std::net::TcpStream;

use tests::harness::{Daemon, http};
use thrum_api::Token;
use thrum_api::peer::{PairRequest, PairRequestParams};

/// Pairs a machine that nobody can call. Returns its token.
fn pair_fake(daemon: &Daemon, number: u16) -> Token {
    let (code, id) = (Some(daemon.open_pairing().code), thrumd::ids::daemon());
    let (name, addr) = (format!("fake-{number}"), format!("127.0.0.1:{}", 1 + number));
    let params = PairRequestParams { code, id, name, addr };
    daemon.stranger().call::<PairRequest>(&params).unwrap().token
}

/// Asks something on a connection that is kept. Returns the status of the answer.
fn ask(stream: &mut TcpStream, token: &Token) -> std::io::Result<u16> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"sync.peer_info","params":{}}"#;
    let head = format!(
        "POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        token.expose(),
        body.len()
    );
    stream.write_all((head + body).as_bytes())?;
    Ok(http::read_response(stream)?.status)
}

#[test]
fn machines_that_keep_every_connection_leave_room_for_the_next_one() {
    let daemon = Daemon::start("hub");
    let mut fleet = Vec::new();
    // As many of each as a daemon takes: more than it takes of all.
    for number in 0..20 {
        let token = pair_fake(&daemon, number);
        let mut kept = Vec::new();
        for _ in 0..16 {
            let mut stream = daemon.stranger().connect().unwrap();
            assert_eq!(ask(&mut stream, &token).unwrap(), 200);
            kept.push(stream);
        }
        fleet.push((token, kept));
    }
    for (token, kept) in &mut fleet {
        assert_eq!(ask(kept.last_mut().unwrap(), token).unwrap(), 200, "each has the newest one");
    }
}
