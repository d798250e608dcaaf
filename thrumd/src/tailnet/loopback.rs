//! The loopback kind: 127.0.0.0/8 only, without identities. For tests and the demo.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpStream, lookup_host};
use tokio::sync::watch;

use super::address::{Host, HostPort};
use super::error::TailnetError;
use super::hints::Hints;
use super::tcp;
use super::types::{Caller, Connection, Presence, Target};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The loopback kind.
#[derive(Clone)]
pub struct Loopback {
    // The sender is kept so that a receiver waits for a change forever, without an error that the
    // channel is closed.
    presence: watch::Sender<Presence>,
    hints: Hints,
}

impl Loopback {
    /// Always up, on 127.0.0.1. `hostname` is this machine's name.
    pub fn new(hostname: String) -> Self {
        let addresses = vec![HERE];
        let presence = watch::Sender::new(Presence::Up { addresses, hostname });
        Self { presence, hints: Hints::default() }
    }

    /// The presence, which never changes.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.presence.subscribe()
    }

    /// There are some only in tests: the loopback interface never changes.
    pub fn hints(&self) -> Hints {
        self.hints.clone()
    }

    /// Simulates what a tailnet tells.
    #[cfg(test)]
    pub(crate) fn hint(&self, hint: super::hints::Hint) {
        self.hints.give(hint);
    }

    /// Accepts callers of this machine. Only their address is known.
    ///
    /// # Errors
    /// When the caller is not on this machine.
    pub fn whois(&self, remote: SocketAddr) -> Result<Caller, TailnetError> {
        if !reachable(remote.ip()) {
            return Err(TailnetError::UnknownCaller { remote });
        }
        Ok(Caller { address: remote, node: None })
    }

    /// Connects to 127.0.0.0/8.
    ///
    /// # Errors
    /// When the address is another one, and when nothing listens there.
    pub async fn connect(&self, to: SocketAddr) -> std::io::Result<Connection> {
        if !reachable(to.ip()) {
            let error = TailnetError::NotLoopback { host: to.ip().to_string() };
            return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, error));
        }
        let stream = TcpStream::connect(to).await?;
        tcp::set_options(&stream)?;
        Ok(Box::new(stream))
    }

    /// Returns addresses in 127.0.0.0/8 as they are, and 127.0.0.1, where daemons of this kind listen,
    /// for `localhost`, our own name and any name that the system resolves to this machine.
    ///
    /// # Errors
    /// When it is not an address, the name is unknown, or it means another machine.
    pub async fn resolve(&self, typed: &str) -> Result<Target, TailnetError> {
        let HostPort { host, port } = typed.parse()?;
        let ip = match host {
            Host::Ip(ip) if reachable(ip) => ip,
            Host::Ip(ip) => return Err(TailnetError::NotLoopback { host: ip.to_string() }),
            Host::Name(name) => self.look_up(name, port).await?,
        };
        Ok(Target { addresses: vec![(ip, port).into()], node: None, same_owner: None })
    }

    async fn look_up(&self, name: String, port: u16) -> Result<IpAddr, TailnetError> {
        let ours = match &*self.presence.borrow() {
            Presence::Up { hostname, .. } => hostname.eq_ignore_ascii_case(&name),
            Presence::Waiting { .. } => false,
        };
        if ours || name == "localhost" {
            return Ok(HERE);
        }
        let found = lookup_host((name.as_str(), port))
            .await
            .map(|mut found| found.any(|address| address.ip().to_canonical().is_loopback()));
        let found = found.map_err(|cause| TailnetError::Lookup { host: name.clone(), cause })?;
        // Many systems give their own name 127.0.1.1 or ::1, where nothing listens.
        if found { Ok(HERE) } else { Err(TailnetError::NotLoopback { host: name }) }
    }
}

// Listeners are on 127.0.0.1, so ::1 would only be refused later and less clearly.
fn reachable(ip: IpAddr) -> bool {
    matches!(ip.to_canonical(), IpAddr::V4(v4) if v4.is_loopback())
}
