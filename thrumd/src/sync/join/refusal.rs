//! Errors of a join, for the person who runs it.

use thrum_api::duration::rounded;
use thrum_api::peer::reason;
use thrum_api::{DaemonId, ErrorCode, RpcError};

use crate::peer::wrong_capability;
use crate::sync::client::ClientError;
use crate::sync::shared::chain;
use crate::tailnet::TailnetError;

/// How many characters of another machine's error text are shown.
const WORDS_MAX_CHARS: usize = 300;

pub(super) fn is_itself(address: &str) -> RpcError {
    RpcError::new(ErrorCode::REFUSED, format!("{address} is this machine itself"))
        .hint("run `thrum peer join` on the other machine, with this machine's name")
}

/// The host answered with the daemon id of a peer, which is another machine.
pub(super) fn id_taken(address: &str, name: &str, id: DaemonId) -> RpcError {
    RpcError::new(
        ErrorCode::REFUSED,
        format!(
            "{address} answers with the daemon id of {name}, which is another machine of the tailnet; \
             nothing was changed"
        ),
    )
    .hint(format!(
        "if it is that machine, added to the tailnet again: `thrum peer remove {id}`, then join again"
    ))
}

/// The host's answer is not signed by the daemon that it said it is.
pub(super) fn not_proved(address: &str, id: DaemonId) -> RpcError {
    let message = format!("{address} does not prove that it is {id}; nothing was changed");
    RpcError::new(ErrorCode::REFUSED, message).hint(
        "check that this is the machine that you mean; if it was just set up anew, join again",
    )
}

/// The host sees the request come from an address that is not ours.
pub(super) fn in_between(address: &str, observed: &str) -> RpcError {
    let message = format!(
        "{address} sees this machine at {observed}, which is no address of it: something between the two \
         passes requests on; nothing was changed"
    );
    RpcError::new(ErrorCode::REFUSED, message)
        .hint("join the other machine at its own address in the tailnet")
}

/// It can't be known whether the host is the peer that has its daemon id.
pub(super) fn tailnet_down(address: &str, error: &TailnetError) -> RpcError {
    RpcError::new(
        ErrorCode::TAILNET_DOWN,
        format!(
            "nothing was changed, because the tailnet can't be asked at the moment whether {address} is the \
             machine that is paired with its daemon id: {}",
            chain(error)
        ),
    )
    .hint("join again in a moment, in the same way; if it goes on: thrum doctor")
}

pub(super) fn unreachable(address: &str, error: &ClientError) -> RpcError {
    let code = ErrorCode::UNREACHABLE;
    let mut hint = "on that machine run `thrum daemon start`, then `thrum peer add`";
    let what = match error {
        ClientError::Rpc { source, .. } => return other_refusal(address, source),
        // The tailnet's error already names what was typed.
        ClientError::Locate { source, .. } => {
            let hint = source.hint().unwrap_or_else(|| "thrum doctor".to_owned());
            return RpcError::new(code, chain(source)).hint(hint);
        }
        ClientError::NotThere { .. } => {
            let hint = "check the name; `tailscale status` lists the machines of the tailnet";
            return RpcError::new(code, chain(error)).hint(hint);
        }
        ClientError::NotAThrumd { .. } | ClientError::Malformed { .. } => {
            hint = "check host and port: a thrumd listens on port 9100 unless told otherwise";
            "no thrumd answers at"
        }
        ClientError::Connect { .. } | ClientError::ConnectTimeout { .. } => "nobody answers at",
        _ => "can't reach",
    };
    RpcError::new(code, format!("{what} {address}: {}", chain(error))).hint(hint)
}

/// The error for a refusal that is not part of pairing: shows the other machine's own text.
fn other_refusal(address: &str, error: &RpcError) -> RpcError {
    let words: String =
        error.message.chars().filter(|c| !c.is_control()).take(WORDS_MAX_CHARS).collect();
    let hint = match error.code {
        ErrorCode::TOO_MANY_REQUESTS => "wait a moment, then join again",
        ErrorCode::INTERNAL => "see why on that machine: thrum daemon logs -n 50",
        _ => "the two may be of different versions: compare `thrum daemon status` on both",
    };
    RpcError::new(ErrorCode::REFUSED, format!("{address} refused: {words}")).hint(hint)
}

/// The error for a refused `pair.request`, with our own text for each known reason.
pub(super) fn refused(address: &str, error: &ClientError) -> RpcError {
    let Some(rpc) = error.rpc() else { return unreachable(address, error) };
    let number = |key| rpc.member(key).and_then(serde_json::Value::as_u64);
    let (left, wait_ms) = (number("attempts_left"), number("wait_ms"));
    let wait = wait_ms.map(rounded).unwrap_or_default();
    let add = "on the other machine run `thrum peer add`, then join with the code that it shows";
    let (message, hint) = match rpc.code {
        ErrorCode::NO_PAIRING_SESSION => match code_needed(address, rpc) {
            Some(message) => (message, add),
            None => (format!("nobody is pairing at {address}"), add),
        },
        ErrorCode::WRONG_CODE => match left {
            Some(0) => (
                format!(
                    "wrong code for {address}; it takes no more of this machine, and none in {wait}"
                ),
                add,
            ),
            Some(1) => {
                (format!("wrong code for {address}; 1 try left, in {wait}"), "read the code again")
            }
            Some(n) => (format!("wrong code for {address}; {n} tries left"), "read the code again"),
            None => (format!("wrong code for {address}"), "read the code again"),
        },
        ErrorCode::PAIRING_WAIT => (
            format!(
                "{address} takes no code of this machine now, because the last one was wrong; wait {wait}"
            ),
            "a code that comes earlier is not looked at, and begins this time anew",
        ),
        ErrorCode::PAIRING_LOCKED => (
            format!(
                "{address} accepts no more codes: too many were wrong, or another machine joined"
            ),
            add,
        ),
        ErrorCode::ID_TAKEN => (
            format!(
                "{address} refused this machine: its daemon id is paired there as another machine of the \
                 tailnet"
            ),
            "if that was this machine, before it was added to the tailnet again: on the other machine run \
             `thrum peer remove` for it, then `thrum peer add`, and join again",
        ),
        ErrorCode::TAILNET_DOWN => (
            format!(
                "{address} can't ask the tailnet at the moment whether this is the machine that is paired there \
                 with this daemon id; nothing was changed"
            ),
            "join again in a moment, in the same way; if it goes on: `thrum doctor` on the other machine",
        ),
        ErrorCode::NOT_PROVED => (
            format!(
                "{address} does not accept the proof of this machine's id: it is another daemon than a moment ago, \
                 or does not know itself under that address"
            ),
            "join again, at the address of the machine in the tailnet",
        ),
        ErrorCode::PAIRING_EXPIRED => (format!("the code of {address} is too old"), add),
        _ => return unreachable(address, error),
    };
    let refused = RpcError::new(rpc.code, message).hint(hint);
    let members = [("attempts_left", left), ("wait_ms", wait_ms)];
    members.into_iter().fold(refused, |refused, (key, number)| match number {
        Some(number) => refused.with(key, number),
        None => refused,
    })
}

/// Why the tailnet's policy did not replace the code.
fn code_needed(address: &str, refused: &RpcError) -> Option<String> {
    let text = |key| refused.member(key).and_then(serde_json::Value::as_str);
    match text("reason")? {
        reason::POLICY_OFF => Some(format!(
            "{address} asks for a code: nobody allowed pairing by the tailnet's policy there"
        )),
        reason::NOT_GRANTED => {
            let capability = text("capability").filter(|it| wrong_capability(it).is_none());
            let capability = capability.unwrap_or("the capability that it asks for");
            Some(format!(
                "{address} asks for a code: the tailnet's policy does not grant this machine \
                 {capability} towards it"
            ))
        }
        reason::OTHER_NODE => Some(format!(
            "{address} asks for a code: this daemon is paired there as another machine of the tailnet"
        )),
        reason::OTHER_ID => Some(format!(
            "{address} asks for a code: this machine is paired there as another daemon, with a code, or \
             that daemon still answers"
        )),
        reason::TOO_MANY => Some(format!(
            "{address} asks for a code: this machine was paired there without one as another daemon less \
             than a minute ago, or as many"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(error: &RpcError) -> (String, String) {
        let hint = error.member("hint").and_then(serde_json::Value::as_str).unwrap();
        (error.message.clone(), hint.to_owned())
    }

    #[test]
    fn an_unknown_name_is_named_once_with_a_hint_that_fits_the_tailnet() {
        let of = |source| {
            let error = ClientError::Locate { peer: "ofice".to_owned(), source };
            shown(&unreachable("ofice", &error))
        };
        let cause = std::io::Error::other("name not known");
        let (message, hint) = of(TailnetError::Lookup { host: "ofice".to_owned(), cause });
        assert_eq!(message, "could not look up \"ofice\": name not known");
        assert_eq!(hint, "check the spelling, or type its address");
        let no_such_name = |near| TailnetError::NoSuchName {
            name: "ofice".to_owned(),
            tailnet: "tail1.ts.net".to_owned(),
            similar: near,
        };
        let (message, hint) = of(no_such_name(vec!["office".to_owned()]));
        assert_eq!(message, "no machine of the tailnet tail1.ts.net is called \"ofice\"");
        assert_eq!(hint, "did you mean office?");
        assert!(of(no_such_name(Vec::new())).1.contains("tailscale status"));
    }

    #[test]
    fn a_refusal_that_pairing_does_not_know_is_told_in_the_other_sides_words() {
        let source =
            RpcError::new(ErrorCode::INVALID_PARAMS, "params of pair.request: no \u{1b}[2Jaddr");
        let address = "127.0.0.1:9100".parse().unwrap();
        let error = ClientError::Rpc { address, method: "pair.request", source };
        let refused = refused("office", &error);
        assert_eq!(refused.code, ErrorCode::REFUSED);
        let (message, hint) = shown(&refused);
        assert_eq!(message, "office refused: params of pair.request: no [2Jaddr");
        assert!(hint.contains("versions"), "{hint}");
    }
}
