//! Options of the TCP connections between peers.

use std::io;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// A connection on which nothing came for this long is probed.
const PROBE_AFTER: Duration = Duration::from_secs(20);
/// Between two probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// Probes without an answer that end the connection.
const PROBES: u32 = 3;
/// The same in milliseconds where the kernel can do it: what was sent and is not confirmed after this time, data
/// or a probe, ends the connection.
#[cfg(target_os = "linux")]
const UNCONFIRMED_MS: u32 = 40_000;

/// Makes the kernel watch the connection: it ends within 50 s of the other machine's disappearance, and nothing here
/// has to wake up for that. Nothing that is sent waits for more (Nagle's algorithm), because requests are small and
/// waited for.
///
/// # Errors
/// When the kernel refuses an option.
pub fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(stream, UNCONFIRMED_MS)?;
    Ok(())
}
