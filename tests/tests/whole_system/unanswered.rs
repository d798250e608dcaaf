//! Calls whose answer is lost: the daemon did what it was asked, and the client can't know.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tests::harness::{Client, Daemon};

/// A socket in front of a daemon's that closes the connection instead of passing on the answer to a method,
/// this many times.
fn losing_answers(daemon: &Daemon, method: &'static str, times: usize) -> PathBuf {
    let path = daemon.folder().join(format!("{method}-{times}.sock"));
    let listener = UnixListener::bind(&path).unwrap();
    let (behind, left) = (daemon.socket(), Arc::new(AtomicUsize::new(times)));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = UnixStream::connect(&behind) else { continue };
            let left = Arc::clone(&left);
            std::thread::spawn(move || pass_on(&client, &server, method, &left));
        }
    });
    path
}

fn pass_on(client: &UnixStream, server: &UnixStream, method: &str, left: &AtomicUsize) {
    let asked = AtomicBool::new(false);
    let end_both = || {
        for end in [client, server] {
            let _ended_already = end.shutdown(std::net::Shutdown::Both);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            copy(client, server, |request| {
                let is_it = request.windows(method.len()).any(|part| part == method.as_bytes());
                asked.fetch_or(is_it, Ordering::SeqCst);
                true
            });
            end_both();
        });
        copy(server, client, |_| {
            let lose = |left: usize| asked.load(Ordering::SeqCst).then(|| left.checked_sub(1))?;
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_err()
        });
        end_both();
    });
}

/// Copies until the end, or until `passes` says that a block stays here.
fn copy(mut from: &UnixStream, mut to: &UnixStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut block = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut block) {
        if !passes(&block[..count]) || to.write_all(&block[..count]).is_err() {
            return;
        }
    }
}

fn sent(daemon: &Daemon) -> usize {
    daemon.events().iter().filter(|event| event.event.get().contains("message.sent")).count()
}

#[test]
fn a_message_whose_answer_is_lost_is_sent_once() {
    let daemon = Daemon::start("laptop");
    let through = |method, times| {
        Client::of_socket(losing_answers(&daemon, method, times), daemon.folder().to_owned())
    };
    // The agent's first message writes that it joined, too.
    through("message.send", 2).run(&["send", "--as", "a", "b", "hello"]).exits(0);
    assert_eq!(sent(&daemon), 1);
    // To mark messages read twice is the same as once.
    through("message.mark_read", 1).run(&["inbox", "--as", "b"]).exits(0);
    let unread = daemon.thrum(&["inbox", "--as", "b", "--project", "test", "--count"]).exits(0);
    assert_eq!(unread.stdout, "0\n");
}

#[test]
fn a_message_that_nobody_confirms_can_be_sent_again_by_its_id() {
    let daemon = Daemon::start("laptop");
    let socket = losing_answers(&daemon, "message.send", usize::MAX);
    let client = Client::of_socket(socket, daemon.folder().to_owned());
    let error = client.run(&["send", "--as", "a", "b", "hello", "--json"]).exits(3).json_error();
    assert_eq!(error["code"], "unconfirmed");
    assert_eq!(sent(&daemon), 1);
    let hint = error["hint"].as_str().unwrap();
    let id = error["event_id"].as_str().unwrap();
    assert!(hint.contains(&format!("--id {id} ")), "{hint}");

    daemon.thrum(&["send", "--as", "a", "b", "hello", "--id", id]).exits(0);
    assert_eq!(sent(&daemon), 1, "it was sent twice");
    let other = daemon.thrum(&["send", "--as", "a", "b", "something else", "--id", id]).exits(1);
    assert!(other.stderr.contains("already belongs to an event with other content"), "{other:?}");
    daemon.thrum(&["send", "--as", "a", "b", "hello", "--id", "first"]).exits(2);
}
