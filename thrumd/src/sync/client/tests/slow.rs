//! Requests over a slow uplink.

use crate::keys::SecretKey;
use crate::peer::pair_request;
use thrum_api::peer::{PairRequest, Paired};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use super::*;

/// More than the buffers of both sides hold: of what is read, some was written since the last piece was.
const PIECE: usize = 8 * 1024 * 1024;

/// A machine that reads a request as it is told, and the request.
struct SlowReader {
    stream: TcpStream,
    asking: JoinHandle<Result<Answer<Paired>, ClientError>>,
}

impl SlowReader {
    async fn start(pieces: usize) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // A size that was set stays as it is.
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let (client, address) = (client(), listener.local_addr().unwrap());
        let (code, id) = (None, crate::testing::daemon());
        let (name, addr) = ("x".repeat(pieces * PIECE), address.to_string());
        let names = (name, addr);
        let params = pair_request(&SecretKey::generate().unwrap(), id, code, names, String::new());
        let asking = tokio::spawn(async move {
            let to = Callee::Stranger("slow");
            client.call::<PairRequest>(to, &[address], &params, Bounds::SMALL).await
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
        // It is sending, and its limits have begun.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        Self { stream, asking }
    }

    async fn read_piece(&mut self) {
        let mut waste = vec![0; PIECE];
        self.stream.read_exact(&mut waste).await.unwrap();
    }

    /// Reads to the end of the request, if it is shorter than a piece.
    async fn read_rest(&mut self) {
        let mut waste = vec![0; PIECE];
        while waste.last() != Some(&b'}') {
            let count = self.stream.read(&mut waste).await.unwrap();
            assert_ne!(count, 0);
            waste.truncate(count);
            if waste.last() != Some(&b'}') {
                waste.resize(PIECE, 0);
            }
        }
    }

    async fn expect_refused(self) {
        let error = self.asking.await.unwrap().unwrap_err();
        assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
    }

    async fn expect_cut_off(self) {
        // Sooner than by the clock of the system.
        let ended = tokio::time::timeout(Duration::from_secs(10), self.asking).await;
        let error = ended.expect("it ends").unwrap().unwrap_err();
        assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");
    }
}

/// Head and body of an answer.
fn refusal() -> (String, &'static str) {
    let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"no"}}"#;
    let head = "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: ";
    (format!("{head}{}\r\n\r\n", body.len()), body)
}

/// Advances the clock of timers without waiting.
async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// How long nothing may move, nearly: the clock goes on by itself as well.
fn pause() -> Duration {
    Bounds::SMALL.idle_after(PIECE) - Duration::from_secs(3)
}

#[tokio::test]
async fn a_request_whose_bytes_move_is_not_cut_off() {
    let mut reader = SlowReader::start(2).await;
    for _ in 0..2 {
        advance(pause()).await;
        reader.read_piece().await;
    }
    // The rest of it: its end is shorter than a piece.
    advance(pause()).await;
    reader.read_rest().await;
    let (head, body) = refusal();
    reader.stream.write_all((head + body).as_bytes()).await.unwrap();
    reader.expect_refused().await;
}

#[tokio::test]
async fn an_answer_to_a_request_that_takes_long_to_arrive_has_its_whole_time() {
    let mut reader = SlowReader::start(1).await;
    reader.read_rest().await;
    // What was written last is on its way for longer than an answer may take.
    advance(Bounds::SMALL.whole + Duration::from_secs(1)).await;
    let (head, body) = refusal();
    reader.stream.write_all(head.as_bytes()).await.unwrap();
    // It is reading the answer.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    reader.stream.write_all(body.as_bytes()).await.unwrap();
    reader.expect_refused().await;
}

#[tokio::test]
async fn a_request_whose_bytes_stop_moving_expect_cut_off() {
    let mut reader = SlowReader::start(2).await;
    advance(pause()).await;
    reader.read_piece().await;
    advance(pause() + Duration::from_secs(4)).await;
    reader.expect_cut_off().await;
}

#[tokio::test]
async fn a_request_that_takes_forever_expect_cut_off() {
    let mut reader = SlowReader::start(6).await;
    for _ in 0..3 {
        advance(pause()).await;
        reader.read_piece().await;
    }
    // Its bytes have moved not long ago.
    advance(pause() * 3 / 4).await;
    reader.expect_cut_off().await;
}
