//! The task that follows tailscaled: waits for news, looks at `status`, tells what changed.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::super::localapi::{ApiError, BackendState, Bus, Client, News, Status};
use super::super::private::binary;
use super::{LOOPBACK, Nodes, Shared, State, TailscaledConfig, Whose};
use crate::report::Chain;

/// News comes in bursts; the last of one is soon enough.
const SETTLE: Duration = Duration::from_millis(50);
/// No more than this share of the time is spent on looking: one part in so many.
const LOOK_SHARE: u32 = 20;
/// In a large and busy tailnet news is at most this old.
const LONGEST_SETTLE: Duration = Duration::from_secs(5);
/// A restarting tailscaled is back after a tenth of a second.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// An absent one is looked for this often in the end: peers are to be in sync seconds after it is
/// there, and a look at a missing socket costs next to nothing.
const LAST_RETRY: Duration = Duration::from_secs(5);
/// The same where each look starts programs (see [`macos`](super::super::macos)).
const LAST_SEARCH: Duration = Duration::from_secs(30);
/// How soon we look again for an address that the kernel doesn't have yet.
const FIRST_ADDRESS_RETRY: Duration = Duration::from_millis(100);
const LAST_ADDRESS_RETRY: Duration = Duration::from_secs(10);

/// Follows for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pause = FIRST_RETRY;
    if shared.config.whose == Whose::Ours {
        // It is told of when it was started, which may be never.
        shared.again.notified().await;
    }
    loop {
        let client = Client::new(shared.config.endpoint().await);
        shared.api.send_replace(client.clone());
        match client.watch().await {
            Ok(bus) => {
                let (looked, error) = follow(&shared, &client, bus).await;
                tracing::debug!(
                    error = error.map(|e| Chain(&e).to_string()),
                    "tailscaled went away"
                );
                // A restart is over in a moment: who has gone is told if the next attempt fails.
                pause = next_pause(pause, looked, shared.config.is_searched());
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "tailscaled can't be followed");
                shared.publish(state_of(&error, &shared.config));
                pause = next_pause(pause, false, shared.config.is_searched());
            }
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = shared.again.notified() => pause = FIRST_RETRY,
        }
    }
}

/// How long to wait before the next attempt. A stream that opens and an answer that can't be read
/// are no success, or we would ask four times a second for ever.
pub(super) fn next_pause(pause: Duration, looked: bool, searched: bool) -> Duration {
    let last = if searched { LAST_SEARCH } else { LAST_RETRY };
    if looked { FIRST_RETRY } else { (pause * 2).min(last) }
}

/// Follows one stream of news to its end, or to the first look that fails. Answers whether one look
/// succeeded, and why the last did not.
async fn follow(shared: &Shared, client: &Client, bus: Bus) -> (bool, Option<ApiError>) {
    let mut looked = false;
    let error = look_on(shared, client, bus, &mut looked).await;
    (looked, error)
}

async fn look_on(
    shared: &Shared,
    client: &Client,
    mut bus: Bus,
    looked: &mut bool,
) -> Option<ApiError> {
    let mut address_retry = FIRST_ADDRESS_RETRY;
    let mut settle = SETTLE;
    let mut news = News::default();
    loop {
        drain(&mut bus, settle, &mut news).await?;
        let began = Instant::now();
        let status = match client.status(true).await {
            Ok(status) => status,
            Err(error) => {
                shared.publish(state_of(&error, &shared.config));
                return Some(error);
            }
        };
        *looked = true;
        take(shared, status, &std::mem::take(&mut news));
        settle = (began.elapsed() * LOOK_SHARE).clamp(SETTLE, LONGEST_SETTLE);
        let addressless = matches!(*shared.state.borrow(), State::NoAddress { .. });
        if !addressless {
            address_retry = FIRST_ADDRESS_RETRY;
            news.add(bus.news().await?);
            continue;
        }
        // The kernel doesn't tell us, and tailscaled has told already.
        match timeout(address_retry, bus.news()).await {
            Ok(more) => news.add(more?),
            Err(_) => address_retry = (address_retry * 2).min(LAST_ADDRESS_RETRY),
        }
    }
}

/// Lets news come for `span`. None when the stream has ended.
async fn drain(bus: &mut Bus, span: Duration, news: &mut News) -> Option<()> {
    let end = sleep(span);
    tokio::pin!(end);
    loop {
        tokio::select! {
            biased;
            () = &mut end => return Some(()),
            more = bus.news() => news.add(more?),
        }
    }
}

/// Takes a look over and tells what changed.
fn take(shared: &Shared, status: Status, news: &News) {
    let running = status.backend_state == BackendState::Running;
    let state = state_in(&status, may_listen);
    if !running {
        // What is told of the tailnet is not true now; the last good look is kept.
        return shared.publish(state);
    }
    let before = shared.nodes.send_replace(Arc::new(Nodes::read(status)));
    let was_up = matches!(*shared.state.borrow(), State::Up { .. });
    let is_up = matches!(state, State::Up { .. });
    let wanted = shared.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let hint = is_up && (!was_up || shared.nodes().worth_a_try(&before, news, &wanted));
    shared.publish(state);
    if hint {
        shared.hint();
    }
}

/// The state that a status tells. `may_listen` says whether the kernel has an address.
pub(super) fn state_in(status: &Status, may_listen: impl Fn(IpAddr) -> bool) -> State {
    let url = Some(status.auth_url.clone()).filter(|url| !url.is_empty());
    let failure = login_failure(&status.health).map(|said| State::LoginFails { said });
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

/// Why the last login failed, if tailscaled complains of that.
fn login_failure(health: &[String]) -> Option<String> {
    let said = |text: &String| Some(text.split_once("last login error was: ")?.1.to_owned());
    health.iter().find_map(said)
}

/// Whether a listener on this address can be opened now: the interface gets it a moment after
/// tailscaled calls itself running.
fn may_listen(ip: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(ip, 0)).is_ok()
}

/// The state that an error stands for.
fn state_of(error: &ApiError, config: &TailscaledConfig) -> State {
    let ours = config.whose == Whose::Ours;
    match error {
        // Whoever runs it tells what keeps it from running.
        ApiError::Absent { .. } | ApiError::Dead { .. } if ours => State::Starting,
        ApiError::Absent { .. } if config.socket.is_none() && binary::find().is_none() => {
            State::NotInstalled
        }
        ApiError::Absent { at, .. } | ApiError::Dead { at, .. } => {
            State::NotRunning { socket: at.clone() }
        }
        ApiError::NoPermission { .. } | ApiError::Forbidden { .. } => {
            State::NoPermission { what: error.to_string() }
        }
        _ => State::NoAnswer { error: Chain(error).to_string() },
    }
}
