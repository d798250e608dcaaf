use thrum_api::local::{
    PeerAdd, PeerAddResult, PeerJoin, PeerJoinParams, PeerJoinResult, PeerList,
};
use thrum_api::peer::PairRequestParams;
use thrum_api::{Empty, PairingCode};
use thrumd::keys::SecretKey;

use super::{CallError, Daemon, SHORT, eventually, holds};

/// What a program with this key sends to be paired with a daemon, without or with a code. `addr`: where it says it listens.
///
/// # Panics
/// When the daemon doesn't answer.
#[track_caller]
pub fn pair_request(
    daemon: &Daemon,
    key: &SecretKey,
    code: Option<PairingCode>,
    name: &str,
    addr: &str,
) -> PairRequestParams {
    let names = (name.to_owned(), addr.to_owned());
    let dialled = daemon.peer_address().to_string();
    thrumd::peer::pair_request(key, daemon.id(), code, names, dialled)
}

impl Daemon {
    /// Opens a pairing session, as `thrum peer add` does.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn open_pairing(&self) -> PeerAddResult {
        let session = self.ask::<PeerAdd>(Empty {});
        eventually(SHORT, || {
            let listening = self.status().tailnet.listening;
            holds(!listening.is_empty(), || format!("{} does not listen", self.name()))
        });
        session
    }

    /// Joins another daemon with this code, as `thrum peer join` does.
    ///
    /// # Errors
    /// When it is refused.
    pub fn join(&self, other: &Self, code: &str) -> Result<PeerJoinResult, CallError> {
        let code = code.parse().expect("four digits");
        let address = other.peer_address().to_string();
        self.call::<PeerJoin>(PeerJoinParams { address, code: Some(code) })
    }

    /// Whether no pairing session is open.
    ///
    /// # Errors
    /// Which one is, or that it doesn't answer.
    pub fn has_no_session(&self) -> Result<(), String> {
        let open = self.call::<PeerList>(Empty {}).map_err(|error| error.to_string())?.pairing;
        holds(open.is_none(), || format!("still open: {open:?}"))
    }

    /// Whether it has this peer.
    pub fn has_peer(&self, other: &Self) -> Result<(), String> {
        let peers = self.call::<PeerList>(Empty {}).map_err(|error| error.to_string())?.peers;
        holds(peers.iter().any(|peer| peer.daemon_id == other.id()), || {
            format!("{} is no peer of {}", other.name(), self.name())
        })
    }
}

/// Pairs two daemons by the calls that `thrum peer add` and `thrum peer join` make.
///
/// # Panics
/// When that fails.
#[track_caller]
pub fn pair(accepting: &Daemon, joining: &Daemon) {
    let session = accepting.open_pairing();
    let joined = joining
        .join(accepting, session.code.expose())
        .unwrap_or_else(|error| panic!("{} joins {}: {error}", joining.name(), accepting.name()));
    assert_eq!(joined.daemon_id, accepting.id());
    eventually(SHORT, || accepting.has_peer(joining).and_then(|()| joining.has_peer(accepting)));
}

/// Pairs each daemon with the next one.
///
/// # Panics
/// When that fails.
#[track_caller]
pub fn pair_line(daemons: &[&Daemon]) {
    for two in daemons.windows(2) {
        pair(two[0], two[1]);
    }
}

/// Two daemons, paired: `laptop` and `server`.
///
/// # Panics
/// When that fails.
#[track_caller]
pub fn paired_daemons() -> (Daemon, Daemon) {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    pair(&laptop, &server);
    (laptop, server)
}
