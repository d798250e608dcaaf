//! Parser of what people type for a machine: `name`, `name:port`, `ip`, `ip:port`, `[v6]`, `[v6]:port`.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thrum_api::limits::DEFAULT_PORT;

use super::error::TailnetError;

/// A machine's name or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name that has to be looked up, in lower case and without a dot at its end.
    Name(String),
}

/// A machine and a port, as a person typed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The machine.
    pub host: Host,
    /// The port; [`DEFAULT_PORT`] if none was typed.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = TailnetError;

    fn from_str(typed: &str) -> Result<Self, TailnetError> {
        let typed = typed.trim();
        let wrong =
            |reason| TailnetError::Address { typed: typed.chars().take(300).collect(), reason };
        if let Some(rest) = typed.strip_prefix('[') {
            let (inside, after) = rest.split_once(']').ok_or_else(|| wrong("a ] is missing"))?;
            let ip: Ipv6Addr =
                inside.parse().map_err(|_| wrong("the text in [] is not an IPv6 address"))?;
            let port = match after.strip_prefix(':') {
                Some(port) => parse_port(port).ok_or_else(|| wrong(PORT))?,
                None if after.is_empty() => DEFAULT_PORT,
                None => return Err(wrong("only :PORT may follow the ]")),
            };
            return Ok(Self { host: Host::Ip(ip.into()), port });
        }
        // An IPv6 address contains colons, so the whole text is tried first.
        if let Ok(ip) = typed.parse::<IpAddr>() {
            return Ok(Self { host: Host::Ip(ip), port: DEFAULT_PORT });
        }
        let (host, port) = match typed.split_once(':') {
            Some((host, port)) => (host, parse_port(port).ok_or_else(|| wrong(PORT))?),
            None => (typed, DEFAULT_PORT),
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Self { host: Host::Ip(ip), port });
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 253 || !name.chars().all(fits) {
            return Err(wrong("the name has other characters than letters, digits, - and ."));
        }
        Ok(Self { host: Host::Name(name), port })
    }
}

const PORT: &str = "the port is not a number from 1 to 65535";

fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}
