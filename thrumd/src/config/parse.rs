//! Parses the text of single settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use thrum_api::duration::parse_duration;
use thrum_api::limits::PAIRING_TIMEOUT_SECONDS;
use thrum_api::local::TailnetKind;
use tracing_subscriber::filter::Targets;

/// Longest path of a Unix socket in bytes, without the final zero (`sun_path`).
pub const SOCKET_PATH_MAX_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Longest accepted duration, far from any overflow.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

pub(super) fn kind(text: &str) -> Result<TailnetKind, String> {
    match text {
        "tailscaled" => Ok(TailnetKind::Tailscaled),
        "private" => Ok(TailnetKind::Private),
        "loopback" => Ok(TailnetKind::Loopback),
        _ => Err("must be tailscaled, private or loopback".to_owned()),
    }
}

/// Reads a port. Peers remember it and would not find one that each start picks again.
pub(super) fn port(text: &str, tailnet: TailnetKind) -> Result<u16, String> {
    match text.parse() {
        Ok(0) if tailnet != TailnetKind::Loopback => Err("a port is a number from 1 to 65535; 0, \
             which picks another one at each start, is for the loopback tailnet only"
            .to_owned()),
        Ok(port) => Ok(port),
        Err(_) => Err("a port is a number from 1 to 65535".to_owned()),
    }
}

/// Reads where metrics are served. Only `public` allows an address that other machines can reach.
pub(super) fn metrics_listen(text: &str, public: bool) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "must be an IP address and a port, such as 127.0.0.1:9101".to_owned())?;
    if !address.ip().is_loopback() && !public {
        return Err(
            "other machines can reach that address; listen on 127.0.0.1, or allow it with \
             metrics_listen_public = true"
                .to_owned(),
        );
    }
    Ok(address)
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    std::path::absolute(text).map_err(|_| "must be a path".to_owned())
}

pub(super) fn socket(text: &str) -> Result<PathBuf, String> {
    let path = path(text)?;
    let bytes = path.as_os_str().len();
    if bytes > SOCKET_PATH_MAX_BYTES {
        return Err(format!(
            "the path of a Unix socket has at most {SOCKET_PATH_MAX_BYTES} bytes, and this one has \
             {bytes}; set THRUM_SOCKET to a shorter one"
        ));
    }
    Ok(path)
}

pub(super) fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(host) if !host.is_empty() && host.bytes().all(|c| c.is_ascii_graphic()) => {
            Ok(text.to_owned())
        }
        _ => Err("must be a URL that begins with https:// or http://".to_owned()),
    }
}

pub(super) fn filter(text: &str) -> Result<String, String> {
    let wanted = "must be error, warn, info, debug, trace or off, or modules with levels such as \
                  info,thrumd::sync=debug";
    // A word that is not a level would be taken for a module and silence the rest.
    let levels = ["error", "warn", "info", "debug", "trace", "off"];
    let clear = |part: &str| part.contains('=') || levels.contains(&part.to_lowercase().as_str());
    if Targets::from_str(text).is_err() || !text.split(',').all(|part| clear(part.trim())) {
        return Err(wanted.to_owned());
    }
    Ok(text.to_owned())
}

/// Reads `5m`, `90s`, `2m30s`, `1h`, `500ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text.trim())
        .ok()
        .filter(|span| *span <= DURATION_MAX)
        .ok_or_else(|| "must be a time such as 90s, 5m or 2m30s".to_owned())
}

/// Reads a duration within the limits of a pairing session: a code of four digits must not be valid
/// for long.
pub(super) fn pairing_timeout(text: &str) -> Result<Duration, String> {
    let limits = Duration::from_secs(1)..=Duration::from_secs(PAIRING_TIMEOUT_SECONDS);
    duration(text).ok().filter(|span| limits.contains(span)).ok_or_else(|| {
        let longest = crate::clock::format_duration(*limits.end());
        format!("must be a time from 1s to {longest}, such as 90s")
    })
}
