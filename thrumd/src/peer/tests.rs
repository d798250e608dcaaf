//! Identity, registry and pairing on real files.

mod files;
mod keys;
mod pairing;
mod rules;
mod succession;

use thrum_api::{DaemonId, Token};

use super::{Peer, Registry};
use crate::tailnet::{Caller, Node};
use crate::{clock, ids};

fn caller(ip: &str) -> Caller {
    Caller { address: format!("{ip}:40000").parse().unwrap(), node: None }
}

fn node(id: &str) -> Caller {
    let node = Node { stable_id: id.into(), name: format!("{id}.ts.net"), owner: None };
    Caller { node: Some(node), ..caller("100.64.0.7") }
}

fn peer(name: &str) -> Peer {
    Peer {
        daemon_id: crate::testing::daemon(),
        name: name.to_owned(),
        address: "127.0.0.1:9101".to_owned(),
        node: None,
        token: ids::token().unwrap(),
        paired_at: clock::now(),
        unconfirmed: false,
        removed_us: false,
        by_policy: None,
        former: Vec::new(),
    }
}

fn token_of(registry: &Registry, id: DaemonId) -> Token {
    registry.get(id).unwrap().token
}
