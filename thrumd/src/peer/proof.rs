//! What both sides of a pairing sign, to prove that they have the keys of their ids.
//!
//! Each signs what it sees: the code, both ids, and the address at which it sees the other one. So a signature is of no use
//! to a third machine, neither with another daemon nor as a go-between.

use std::net::IpAddr;

use thrum_api::peer::PairRequestParams;
use thrum_api::proof::Signature;
use thrum_api::{DaemonId, PairingCode, Token};

use crate::keys::{self, BadSignature, SecretKey};
use crate::tailnet::Presence;

const REQUEST: &[u8] = b"thrum/1 pair.request";
const ANSWER: &[u8] = b"thrum/1 pair.request answer";

/// A pairing that one side proves to the other.
#[derive(Debug, Clone, Copy)]
pub struct PairingProof<'a> {
    /// The daemon that asks.
    pub joining: DaemonId,
    /// The daemon that is asked.
    pub accepting: DaemonId,
    /// None when pairing by policy.
    pub code: Option<&'a PairingCode>,
    /// `ip:port` of the other side, as the side that signs sees it.
    pub address: &'a str,
}

impl PairingProof<'_> {
    /// The joining side's signature.
    pub fn sign_request(&self, key: &SecretKey) -> Signature {
        key.sign(&self.message(REQUEST, None))
    }

    /// Verifies the joining side's signature.
    ///
    /// # Errors
    /// When it has not signed this.
    pub fn verify_request(&self, signature: &Signature) -> Result<(), BadSignature> {
        keys::verify(self.joining.to_bytes(), &self.message(REQUEST, None), signature)
    }

    /// The accepting side's signature, with the token that it gives.
    pub fn sign_answer(&self, key: &SecretKey, token: &Token) -> Signature {
        key.sign(&self.message(ANSWER, Some(token)))
    }

    /// Verifies the accepting side's signature.
    ///
    /// # Errors
    /// When it has not signed this.
    pub fn verify_answer(&self, token: &Token, signature: &Signature) -> Result<(), BadSignature> {
        keys::verify(self.accepting.to_bytes(), &self.message(ANSWER, Some(token)), signature)
    }

    /// The label, both ids, and each text behind its length in four bytes.
    fn message(&self, label: &[u8], token: Option<&Token>) -> Vec<u8> {
        let mut message = label.to_vec();
        message.extend(self.joining.to_bytes());
        message.extend(self.accepting.to_bytes());
        let code = self.code.map_or("", PairingCode::expose);
        for text in [Some(code), Some(self.address), token.map(Token::expose)].into_iter().flatten()
        {
            message.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            message.extend(text.as_bytes());
        }
        message
    }
}

/// The params of a `pair.request` that this key signs. `dialled`: the address at which `host` is reached, `ip:port`; `addr`:
/// where the caller listens.
pub fn pair_request(
    key: &SecretKey,
    host: DaemonId,
    code: Option<PairingCode>,
    (name, addr): (String, String),
    dialled: String,
) -> PairRequestParams {
    let (joining, accepting) = (key.id(), host);
    let proof = PairingProof { joining, accepting, code: code.as_ref(), address: &dialled };
    let signature = proof.sign_request(key);
    PairRequestParams { code, id: joining, name, addr, host, dialled, signature }
}

/// Whether the other side sees this machine at this address (`ip:port`), and not one between the two. Behind a tailscaled
/// without a network interface this machine listens on loopback alone, and can't tell.
pub(crate) fn is_ours(address: &str, presence: &Presence) -> bool {
    let ip = |address: &str| address.parse::<std::net::SocketAddr>().ok().map(|it| it.ip());
    let Some(seen) = ip(address).map(|ip| ip.to_canonical()) else { return false };
    match presence {
        Presence::Up { addresses, .. } => {
            let is_it = |own: &IpAddr| own.to_canonical() == seen;
            let has_loopback_alone = addresses.iter().all(IpAddr::is_loopback);
            addresses.iter().any(is_it) || (has_loopback_alone && may_be_of_tailnet(seen))
        }
        Presence::Waiting { .. } => true,
    }
}

/// Whether it is loopback, or in the ranges from which Tailscale gives addresses (100.64.0.0/10, fd7a:115c:a1e0::/48).
fn may_be_of_tailnet(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || matches!(ip.octets(), [100, 64..=127, ..]),
        IpAddr::V6(ip) => ip.is_loopback() || matches!(ip.segments(), [0xfd7a, 0x115c, 0xa1e0, ..]),
    }
}

/// Whether the accepting side sees the request come from this machine. Behind a tailscaled without a network interface,
/// every request comes to it from loopback; then it is its check of the address that was dialled that shows a go-between.
pub(crate) fn may_be_ours(observed: &str, presence: &Presence) -> bool {
    let is_loopback =
        observed.parse::<std::net::SocketAddr>().is_ok_and(|it| it.ip().is_loopback());
    is_loopback || is_ours(observed, presence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_of_one_pairing_and_one_side() {
        let [joining, accepting, other] = [(); 3].map(|()| SecretKey::generate().unwrap());
        let (code, wrong): (PairingCode, PairingCode) =
            ("1234".parse().unwrap(), "1235".parse().unwrap());
        let tokens = [crate::ids::token().unwrap(), crate::ids::token().unwrap()];
        let proof = PairingProof {
            joining: joining.id(),
            accepting: accepting.id(),
            code: Some(&code),
            address: "100.64.0.1:9100",
        };
        let changed = [
            PairingProof { joining: other.id(), ..proof },
            PairingProof { accepting: other.id(), ..proof },
            PairingProof { code: Some(&wrong), ..proof },
            PairingProof { code: None, ..proof },
            PairingProof { address: "100.64.0.2:9100", ..proof },
        ];
        let request = proof.sign_request(&joining);
        assert!(proof.verify_request(&request).is_ok());
        assert!(proof.verify_request(&proof.sign_request(&other)).is_err());
        assert!(changed.iter().all(|it| it.verify_request(&request).is_err()));
        let answer = proof.sign_answer(&accepting, &tokens[0]);
        assert!(proof.verify_answer(&tokens[0], &answer).is_ok());
        assert!(proof.verify_answer(&tokens[1], &answer).is_err());
        assert!(changed.iter().all(|it| it.verify_answer(&tokens[0], &answer).is_err()));
        assert!(proof.verify_request(&proof.sign_answer(&joining, &tokens[0])).is_err());
    }

    #[test]
    fn an_address_is_ours_if_the_tailnet_gave_it_to_us() {
        let up = |addresses: &[&str]| Presence::Up {
            addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
            hostname: "laptop".to_owned(),
        };
        let tailnet = up(&["100.64.0.1", "fd7a::1"]);
        for ours in ["100.64.0.1:9100", "[::ffff:100.64.0.1]:5", "[fd7a::1]:9100"] {
            assert!(is_ours(ours, &tailnet), "{ours}");
        }
        for other in ["100.64.0.2:9100", "127.0.0.1:9100", "office:9100", ""] {
            assert!(!is_ours(other, &tailnet), "{other}");
        }
        for may_be in ["127.0.0.7:9100", "100.64.0.2:9100", "[fd7a:115c:a1e0::2]:9100"] {
            assert!(is_ours(may_be, &up(&["127.0.0.1"])), "{may_be}");
        }
        assert!(!is_ours("192.0.2.7:9100", &up(&["127.0.0.1"])));
        let observed = ["100.64.0.1:4000", "127.0.0.1:4000", "100.64.0.2:4000", "office:4000"];
        assert_eq!(observed.map(|it| may_be_ours(it, &tailnet)), [true, true, false, false]);
    }
}
