//! The task that follows tailscaled: waits for an update, reads `status`, publishes what changed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::netmap::NetMap;
use super::shared::{Shared, TailscaledConfig};
use super::state::{Instance, State};
use crate::backoff::ExponentialBackoff;
use crate::report::Chain;
use crate::tailnet::hints::Hint;
use crate::tailnet::localapi::{ApiError, BackendState, BusUpdate, Client, IpnBus, Status};
use crate::tailnet::programs;

/// Where connections arrive in userspace mode.
pub(super) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Updates come in bursts; `status` is read this long after the first of one.
const SETTLE: Duration = Duration::from_millis(50);
/// At most one part in this many of the time is spent on reading `status`.
const REFRESH_SHARE: u32 = 20;
/// In a large and busy tailnet the network map is at most this old.
const LONGEST_SETTLE: Duration = Duration::from_secs(5);
/// A restarting tailscaled is back after a tenth of a second.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// At most 5 s between attempts: peers should be in sync seconds after tailscaled is there, and an attempt
/// on a missing socket costs next to nothing.
const RETRY: ExponentialBackoff = ExponentialBackoff::new(FIRST_RETRY, Duration::from_secs(5), 0);
/// The same where each attempt starts programs (see [`macos`](crate::tailnet::macos)).
const SEARCH_RETRY: ExponentialBackoff =
    ExponentialBackoff::new(FIRST_RETRY, Duration::from_secs(30), 0);
/// Between checks of an address that the kernel doesn't have yet.
const ADDRESS_RETRY: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_millis(100), Duration::from_secs(10), 0);

/// Follows tailscaled forever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut failures = 0;
    if shared.config.instance == Instance::Child {
        // We are notified when it was started, which may be never.
        shared.retry.notified().await;
    }
    loop {
        let client = Client::new(shared.config.endpoint().await);
        shared.api.send_replace(client.clone());
        let mut refreshed = false;
        match client.watch().await {
            Ok(bus) => {
                let error = follow(&shared, &client, bus, &mut refreshed).await;
                // A restart takes a moment. The loss is published if the next attempt fails.
                tracing::debug!(
                    error = error.map(|e| Chain(&e).to_string()),
                    "lost the connection to tailscaled"
                );
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "tailscaled can't be followed");
                shared.publish(state_of(&error, &shared.config));
            }
        }
        let pause = next_pause(&mut failures, refreshed, shared.config.is_searched());
        tokio::select! {
            () = sleep(pause) => {}
            () = shared.retry.notified() => failures = 0,
        }
    }
}

/// How long to wait before the next attempt. A stream that opens without a readable `status` is no
/// success; otherwise we would ask four times a second forever.
pub(super) fn next_pause(failures: &mut u32, refreshed: bool, searched: bool) -> Duration {
    *failures = if refreshed { 0 } else { failures.saturating_add(1) };
    let backoff = if searched { SEARCH_RETRY } else { RETRY };
    backoff.delay(failures.saturating_add(1), 0)
}

/// Follows one stream of updates to its end, or to the first `status` that fails, and returns why that
/// failed. Sets `refreshed` once a `status` was read.
async fn follow(
    shared: &Shared,
    client: &Client,
    mut bus: IpnBus,
    refreshed: &mut bool,
) -> Option<ApiError> {
    let mut address_checks = 1_u32;
    let mut settle = SETTLE;
    let mut update = BusUpdate::default();
    loop {
        drain(&mut bus, settle, &mut update).await?;
        let began = Instant::now();
        let status = match client.status(true).await {
            Ok(status) => status,
            Err(error) => {
                shared.publish(state_of(&error, &shared.config));
                return Some(error);
            }
        };
        *refreshed = true;
        apply(shared, status, &std::mem::take(&mut update));
        settle = (began.elapsed() * REFRESH_SHARE).clamp(SETTLE, LONGEST_SETTLE);
        let addressless = matches!(*shared.state.borrow(), State::NoAddress { .. });
        if !addressless {
            address_checks = 1;
            update.merge(bus.next().await?);
            continue;
        }
        // No notification reports the address: tailscaled is done, and the kernel sends none.
        match timeout(ADDRESS_RETRY.delay(address_checks, 0), bus.next()).await {
            Ok(more) => update.merge(more?),
            Err(_) => address_checks = address_checks.saturating_add(1),
        }
    }
}

/// Collects updates for `span`. None when the stream has ended.
async fn drain(bus: &mut IpnBus, span: Duration, update: &mut BusUpdate) -> Option<()> {
    let end = sleep(span);
    tokio::pin!(end);
    loop {
        tokio::select! {
            biased;
            () = &mut end => return Some(()),
            more = bus.next() => update.merge(more?),
        }
    }
}

/// Applies a `status` and publishes what changed.
fn apply(shared: &Shared, status: Status, update: &BusUpdate) {
    let running = status.backend_state == BackendState::Running;
    let state = state_in(&status, may_listen);
    if !running {
        // Its other members are not valid in this state; the last network map is kept.
        return shared.publish(state);
    }
    let before = shared.netmap.send_replace(Arc::new(NetMap::read(status)));
    let was_up = matches!(*shared.state.borrow(), State::Up { .. });
    let is_up = matches!(state, State::Up { .. });
    let located = shared.located.lock().clone();
    let hint = match was_up {
        true => shared.netmap().hint(&before, update, &located),
        false => Some(Hint::OurNetwork),
    };
    shared.publish(state);
    if let Some(hint) = hint.filter(|_| is_up) {
        shared.hints.give(hint);
    }
}

/// The state in a `status`. `may_listen` says whether the kernel has an address.
pub(super) fn state_in(status: &Status, may_listen: impl Fn(IpAddr) -> bool) -> State {
    let url = Some(status.auth_url.clone()).filter(|url| !url.is_empty());
    let failure = login_failure(&status.health).map(|message| State::LoginFailed { message });
    match &status.backend_state {
        BackendState::NoState => failure.unwrap_or(State::Starting),
        BackendState::Starting => State::Starting,
        BackendState::NeedsLogin if status.me.expired => State::KeyExpired { url },
        BackendState::NeedsLogin if url.is_some() => State::LoggedOut { url },
        BackendState::NeedsLogin => failure.unwrap_or(State::LoggedOut { url }),
        BackendState::NeedsMachineAuth => State::NeedsApproval,
        BackendState::Stopped => State::Stopped,
        BackendState::InUseOtherUser => State::InUse,
        BackendState::Other(word) => State::Unknown(word.clone()),
        BackendState::Running => running(status, may_listen),
    }
}

fn running(status: &Status, may_listen: impl Fn(IpAddr) -> bool) -> State {
    let name = status.me.dns_name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let addresses = match status.tailscale_ips.is_empty() {
        false => &status.tailscale_ips,
        true => &status.me.tailscale_ips,
    };
    let Some(first) = addresses.first() else { return State::Starting };
    let hostname = if name.is_empty() { first.to_string() } else { name };
    if status.tun == Some(false) {
        return State::Up { addresses: vec![LOOPBACK], hostname };
    }
    let ours: Vec<_> = addresses.iter().copied().filter(|ip| may_listen(*ip)).collect();
    match ours.is_empty() {
        true => State::NoAddress { addresses: addresses.clone() },
        false => State::Up { addresses: ours, hostname },
    }
}

/// Why the last login failed, if tailscaled's health warnings say so.
fn login_failure(health: &[String]) -> Option<String> {
    let message = |text: &String| Some(text.split_once("last login error was: ")?.1.to_owned());
    health.iter().find_map(message)
}

/// Whether a listener on this address can be opened now. The interface gets the address a moment
/// after tailscaled says that it is running.
fn may_listen(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// The state that an error means.
fn state_of(error: &ApiError, config: &TailscaledConfig) -> State {
    let ours = config.instance == Instance::Child;
    match error {
        // The supervisor of the child publishes what keeps it from running.
        ApiError::NoSocket { .. } | ApiError::NotListening { .. } if ours => State::Starting,
        ApiError::NoSocket { .. }
            if config.socket.is_none() && programs::tailscaled().is_none() =>
        {
            State::NotInstalled
        }
        ApiError::NoSocket { at, .. } | ApiError::NotListening { at, .. } => {
            State::NotRunning { socket: at.clone() }
        }
        ApiError::NoPermission { .. } | ApiError::Forbidden { .. } => {
            State::NoPermission { what: error.to_string() }
        }
        _ => State::NoAnswer { error: Chain(error).to_string() },
    }
}
