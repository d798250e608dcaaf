//! Wrong codes of strangers, and many callers at once.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;
use tests::harness::pair_request;
use thrumd::keys::SecretKey;

use tests::harness::{CallError, Daemon, SHORT, eventually, holds};
use thrum_api::local::PeerList;
use thrum_api::peer::{PairRequest, Paired};
use thrum_api::{Empty, ErrorCode};

use crate::pairing::{no_peers, wrong};

/// A request for a pairing as another daemon, from this address of the loopback network.
pub(crate) fn guess(at: &Daemon, from: u8, code: &str) -> Result<Paired, CallError> {
    let key = SecretKey::from_seed(&[from; 32]);
    let params = pair_request(at, &key, code.parse().ok(), "stranger", "x:9100");
    at.stranger().at(Ipv4Addr::new(127, 0, 0, from)).call::<PairRequest>(&params)
}

#[test]
fn wrong_codes_of_three_machines_lock_the_session() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    let code = laptop.open_pairing().code;
    for from in [2, 3] {
        let error = guess(&laptop, from, &wrong(code.expose())).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::WRONG_CODE), "{error}");
    }
    let third = guess(&laptop, 4, &wrong(code.expose())).unwrap_err();
    assert_eq!(third.code(), Some(ErrorCode::PAIRING_LOCKED), "{third}");
    let right = server.join(&laptop, code.expose()).unwrap_err();
    assert_eq!(right.code(), Some(ErrorCode::PAIRING_LOCKED), "{right}");
    no_peers(&laptop).and_then(|()| no_peers(&server)).unwrap();
}

#[test]
fn a_stranger_that_sends_wrong_codes_all_the_time_keeps_nobody_from_pairing() {
    let laptop = Daemon::start("laptop");
    // The code of the open session, so that the stranger never guesses it by chance.
    let (shown, stop) = (Mutex::new(None::<String>), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if let Some(code) = &*shown.lock().unwrap() {
                    guess(&laptop, 9, &wrong(code)).unwrap_err();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        // Also when the test fails, or the scope would never end.
        let _stops = Stops(&stop);
        for _ in 0..4 {
            let server = Daemon::start("server");
            let code = {
                let mut shown = shown.lock().unwrap();
                let code = laptop.open_pairing().code;
                *shown = Some(code.expose().to_owned());
                code
            };
            eventually(SHORT, || {
                let refused = guess(&laptop, 9, &wrong(code.expose())).unwrap_err().code();
                holds(refused == Some(ErrorCode::PAIRING_WAIT), || format!("{refused:?}"))
            });
            server.join(&laptop, code.expose()).unwrap();
        }
    });
    assert_eq!(laptop.ask::<PeerList>(Empty {}).peers.len(), 4);
}

struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What these callers are answered that give these codes at once.
fn at_once(laptop: &Daemon, codes: &[String]) -> Vec<Result<Paired, CallError>> {
    let all = Barrier::new(codes.len());
    std::thread::scope(|scope| {
        let callers: Vec<_> = (10..)
            .zip(codes)
            .map(|(from, code)| {
                let all = &all;
                scope.spawn(move || {
                    all.wait();
                    guess(laptop, from, code)
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

#[test]
fn of_twelve_machines_with_the_right_code_at_once_one_gets_a_token() {
    for _ in 0..4 {
        let laptop = Daemon::start("laptop");
        let code = laptop.open_pairing().code.expose().to_owned();
        let answers = at_once(&laptop, &vec![code; 12]);
        let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert_eq!(refused.len(), 11, "{answers:?}");
        assert!(
            refused.iter().all(|it| it.code() == Some(ErrorCode::PAIRING_LOCKED)),
            "{refused:?}"
        );
        no_peers(&laptop).unwrap();
    }
}

#[test]
fn of_machines_with_right_and_wrong_codes_at_once_at_most_one_gets_a_token() {
    for _ in 0..4 {
        let laptop = Daemon::start("laptop");
        let right = laptop.open_pairing().code.expose().to_owned();
        let codes: Vec<String> =
            [right.clone(), wrong(&right)].into_iter().cycle().take(24).collect();
        let answers = at_once(&laptop, &codes);
        let got = |code: &str| {
            let of_code = codes.iter().zip(&answers).filter(|(given, _)| *given == code);
            of_code.filter(|(_, answer)| answer.is_ok()).count()
        };
        // None, if three wrong ones came first and locked the session.
        assert!(got(&right) <= 1 && got(&wrong(&right)) == 0, "{answers:?}");
        let locked = || guess(&laptop, 200, &right).unwrap_err().code();
        assert_eq!(locked(), Some(ErrorCode::PAIRING_LOCKED));
        no_peers(&laptop).unwrap();
    }
}

#[test]
fn of_twelve_daemons_that_join_at_once_one_is_paired_on_both_sides() {
    let laptop = Daemon::start("laptop");
    let servers: Vec<Daemon> = (0..12).map(|n| Daemon::start(&format!("server-{n}"))).collect();
    let code = laptop.open_pairing().code;
    let joined: Vec<bool> = std::thread::scope(|scope| {
        let join = |server| {
            let (laptop, code) = (&laptop, &code);
            scope.spawn(move || Daemon::join(server, laptop, code.expose()).is_ok())
        };
        let joins: Vec<_> = servers.iter().map(join).collect();
        joins.into_iter().map(|join| join.join().unwrap()).collect()
    });
    assert_eq!(joined.iter().filter(|joined| **joined).count(), 1, "{joined:?}");
    for (server, joined) in servers.iter().zip(joined) {
        assert_eq!(laptop.has_peer(server).is_ok(), joined, "{}", server.name());
        assert_eq!(server.has_peer(&laptop).is_ok(), joined, "{}", server.name());
    }
}
