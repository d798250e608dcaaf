use std::time::Duration;

use serde_json::json;
use thrum_api::duration::rounded;
use thrum_api::limits::{DEFAULT_PORT, PAIRING_ATTEMPTS};
use thrum_api::local::{
    PairingUpdate, PeerAdd, PeerAddResult, PeerCancel, PeerCancelParams, PeerJoin, PeerJoinParams,
    PeerList, PeerRemove, PeerRemoveParams, PeerResolve, PeerResolveParams, PeerResolveResult,
    PeerWait, PeerWaitParams,
};
use thrum_api::method::Empty;
use thrum_api::{DaemonId, ErrorCode, PairingCode, RpcError};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::JoinArgs;
use crate::client::Client;
use crate::context::Context;
use crate::error::Error;
use crate::format::tries;
use crate::printer::Printer;
use crate::terminal::{is_interactive, read_line, sanitize};

const AGAIN: &str = "start again with a new code: thrum peer add";

/// How a session ended, if it did not fail.
enum Ended {
    Paired,
    /// A machine gave the right code with the daemon id of a peer, which is another machine.
    IdTaken {
        caller: String,
        daemon_id: DaemonId,
        name: String,
    },
}

/// `thrum peer add`
pub async fn add(context: &mut Context<'_>) -> Result<(), Error> {
    let mut client = context.daemon().await?;
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|source| Error::io("can't listen for Ctrl-C", source))?;
    let printer = &mut *context.printer;
    while let Ended::IdTaken { caller, daemon_id, name } =
        hold_session(&mut client, &mut interrupt, printer).await?
    {
        tokio::select! {
            biased;
            _ = interrupt.recv() => return Err(Error::Cancelled),
            gone = remove_former(&caller, daemon_id, &name, &mut client, printer) => gone?,
        }
    }
    Ok(())
}

/// Opens a session, shows its code and waits until it has ended.
async fn hold_session(
    client: &mut Client,
    interrupt: &mut Signal,
    printer: &mut Printer,
) -> Result<Ended, Error> {
    // Closing the connection is enough: thrumd ends a session without a client within 10 s.
    let opened = tokio::select! {
        biased;
        opened = client.call::<PeerAdd>(&Empty {}) => opened?,
        _ = interrupt.recv() => return Err(Error::Cancelled),
    };
    let session = opened.session;
    let shown_and_waited = async {
        show_code(&opened, printer)?;
        wait(client, session, printer).await
    };
    let waited = tokio::select! {
        waited = shown_and_waited => waited,
        _ = interrupt.recv() => Err(Error::Cancelled),
    };
    if matches!(waited, Err(Error::Cancelled | Error::PipeClosed)) {
        // The connection of the abandoned call is closed. That also ends the session, but this call returns only
        // after the session has ended.
        let params = PeerCancelParams { session };
        let mut other = Client::open(client.path()).await?;
        // An error means that the session has already ended.
        drop(other.call::<PeerCancel>(&params).await);
    }
    waited
}

fn show_code(session: &PeerAddResult, printer: &mut Printer) -> Result<(), Error> {
    if printer.json() {
        return printer.object(&json!({
            "news": "waiting",
            "code": session.code.expose(),
            "join": session.join,
            "timeout_ms": session.timeout_ms,
        }));
    }
    printer.line(&format!("Waiting for connection... Pairing code: {}", session.code.expose()))?;
    printer.note(&format!(
        "On the other machine run: thrum peer join {}\n\
         The code expires after wrong codes from {PAIRING_ATTEMPTS} machines or {}. Cancel with Ctrl-C.",
        sanitize(&session.join),
        rounded(session.timeout_ms)
    ));
    Ok(())
}

/// Asks whether a machine that gave the right code is the peer whose daemon id it has, which its node in the tailnet does
/// not show. If so, removes the peer, so that the machine can be paired with another code.
async fn remove_former(
    caller: &str,
    daemon_id: DaemonId,
    name: &str,
    client: &mut Client,
    printer: &mut Printer,
) -> Result<(), Error> {
    let said = format!(
        "{caller} gave the right code with the daemon id of {name}, which is another machine; nothing was changed"
    );
    if printer.json() || !is_interactive() {
        let next = format!(
            "if it is that machine, added to the tailnet again: thrum peer remove {daemon_id}; then {AGAIN}"
        );
        return Err(Error::failed(said, next));
    }
    printer.note(&sanitize(&said));
    printer.ask(&format!(
        "Is it {}, added to the tailnet again? Then that one is removed, and a new code is shown. [y/N] ",
        sanitize(name)
    ));
    let answer = read_line().await?.unwrap_or_default();
    if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Err(Error::failed(
            "not confirmed; nothing was changed",
            format!("somebody may have copied the key of {name}; on that machine: thrum doctor"),
        ));
    }
    let params = PeerRemoveParams { peer: daemon_id.to_string() };
    let removed = client.call::<PeerRemove>(&params).await?;
    printer.note(&format!("Removed {}.", quoted(&removed.name)));
    Ok(())
}

async fn wait(client: &mut Client, session: u64, printer: &mut Printer) -> Result<Ended, Error> {
    let mut seen = 0;
    loop {
        let news = client.call::<PeerWait>(&PeerWaitParams { session, seen }).await?;
        seen += 1;
        if printer.json()
            && matches!(news, PairingUpdate::WrongCode { .. } | PairingUpdate::Paired { .. })
        {
            printer.object(&news)?;
        }
        match news {
            PairingUpdate::WrongCode { caller, retries_left, .. } => {
                if !printer.json() {
                    let caller = sanitize(&caller);
                    printer.note(&match retries_left {
                        0 => format!(
                            "Wrong code from {caller}. No more codes of it are read in this session: \
                             cancel with Ctrl-C and {AGAIN}"
                        ),
                        left => format!("Wrong code from {caller}; it has {} left.", tries(left)),
                    });
                }
            }
            PairingUpdate::Paired { name, address, replaced, .. } => {
                let with = format!("{} ({})", quoted(&name), sanitize(&address));
                return paired(&with, &replaced, printer).map(|()| Ended::Paired);
            }
            PairingUpdate::Locked { caller } => {
                return Err(Error::failed(
                    format!(
                        "locked after wrong codes from {PAIRING_ATTEMPTS} machines, the last from {caller}"
                    ),
                    format!("the code was mistyped or guessed; {AGAIN}"),
                ));
            }
            PairingUpdate::IdTaken { caller, daemon_id, name } => {
                return Ok(Ended::IdTaken { caller, daemon_id, name });
            }
            PairingUpdate::Expired => {
                return Err(Error::failed("the pairing session has expired", AGAIN));
            }
            PairingUpdate::Cancelled => {
                return Err(Error::failed("another client cancelled the pairing session", AGAIN));
            }
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", sanitize(name))
}

fn paired(with: &str, replaced: &[DaemonId], printer: &mut Printer) -> Result<(), Error> {
    if printer.json() {
        return Ok(());
    }
    printer.line(&format!("Paired with {with}. Syncing started."))?;
    for old in replaced {
        printer.note(&format!(
            "It takes the place of {old}, the same machine before it was set up anew. That one is no longer \
             a peer; its messages stay, and `thrum team --all` lists its agents."
        ));
    }
    printer.note("Next: thrum send NAME \"MESSAGE\"; to see the state: thrum peer status");
    Ok(())
}

/// `thrum peer join`
pub async fn join(args: &JoinArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let mut client = context.daemon().await?;
    let params = PeerResolveParams { address: args.address.clone() };
    let host = client.call::<PeerResolve>(&params).await?;
    introduce(&args.address, &host, &mut client, context.printer).await?;
    let joined = loop {
        let code = match host.by_policy {
            Some(true) => None,
            _ => Some(ask_code(host.by_policy, context.printer).await?),
        };
        let params = PeerJoinParams { address: args.address.clone(), code };
        match client.call::<PeerJoin>(&params).await {
            Err(Error::Refused(error)) => {
                let Some(wait) = may_try_again(&error) else { return Err(Error::Refused(error)) };
                context.printer.note(&sanitize(&error.message));
                tokio::time::sleep(wait).await;
            }
            result => break result?,
        }
    };
    if context.printer.json() {
        return context.printer.object(&joined);
    }
    paired(&quoted(&joined.name), &joined.replaced, context.printer)
}

/// How long to wait before the next code, if a person is at the terminal and may try again soon.
fn may_try_again(error: &RpcError) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(60);
    let number = |key| error.member(key).and_then(serde_json::Value::as_u64);
    let wait = Duration::from_millis(number("wait_ms").unwrap_or_default());
    let again = match error.code {
        ErrorCode::WRONG_CODE => number("attempts_left").is_some_and(|left| left > 0),
        ErrorCode::PAIRING_WAIT => true,
        _ => false,
    };
    (again && wait <= LONGEST && is_interactive()).then_some(wait)
}

/// Shows who owns the address before the code is asked for, because the code is sent there.
async fn introduce(
    asked: &str,
    host: &PeerResolveResult,
    client: &mut Client,
    printer: &mut Printer,
) -> Result<(), Error> {
    let mut text = match &host.node_name {
        Some(node) => {
            let asked = asked.strip_suffix(&format!(":{DEFAULT_PORT}")).unwrap_or(asked);
            format!("{} is {}", sanitize(asked), sanitize(node))
        }
        None => format!("{} is at {}", sanitize(asked), sanitize(&host.address)),
    };
    if let Some(owner) = &host.owner {
        text.push_str(&format!(", owned by {}", sanitize(owner)));
    }
    match host.same_owner {
        Some(true) => text.push_str(" (same user as this machine)"),
        Some(false) => text.push_str(" (not this machine's user)"),
        None => {}
    }
    printer.note(&text);
    match host.by_policy {
        Some(true) => printer.note("The tailnet's policy allows this machine to pair with it without a code."),
        Some(false) => printer.note(
            "It accepts pairing by policy, but the tailnet's policy does not grant it to this machine.",
        ),
        None => {}
    }
    let peers = client.call::<PeerList>(&Empty {}).await?.peers;
    if let Some(peer) = peers.iter().find(|peer| peer.address == host.address) {
        let name = quoted(&peer.name);
        printer.note(&match host.by_policy {
            Some(true) => format!("It is already paired as {name}. The token is replaced."),
            _ => format!(
                "It is already paired as {name}. A new code replaces the token and keeps what was \
                 synced. Ctrl-C changes nothing."
            ),
        });
    }
    Ok(())
}

/// Reads the code from the terminal or stdin. It is no argument, because all users can see those.
async fn ask_code(by_policy: Option<bool>, printer: &mut Printer) -> Result<PairingCode, Error> {
    const HINT: &str = "`thrum peer add` shows the code on the other machine";
    loop {
        if is_interactive() {
            printer.ask("Enter pairing code: ");
        }
        let Some(line) = read_line().await? else {
            return Err(match by_policy {
                Some(_) => Error::usage(
                    "the tailnet's policy does not let this machine pair without a code, and there \
                     was none on stdin",
                    "grant it to this machine's tag or user: docs/tailscale.md, \"Pairing by policy\"",
                ),
                None => Error::usage("there was no pairing code on stdin", HINT),
            });
        };
        match line.trim().parse() {
            Ok(code) => return Ok(code),
            // A typing mistake must not cost one of three attempts.
            Err(error) if is_interactive() => {
                printer.note(&format!("Not a pairing code: {error}."))
            }
            Err(error) => {
                return Err(Error::usage(format!("stdin has no pairing code: {error}"), HINT));
            }
        }
    }
}
