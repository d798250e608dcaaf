//! The stream of news. Any of it means "look at `status` again", because its messages differ from
//! version to version and are deltas in the newer ones. Read of it is only what `status` can't tell
//! afterwards: that somebody was away for a moment and is back.

use std::collections::BTreeSet;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use serde::Deserialize;

use super::http::{self, Body, Driver};
use super::{ApiError, Client, TIMEOUT};

/// First message: the state. So that there is one at once.
const INITIAL_STATE: u64 = 1 << 1;
/// Older ones send private keys otherwise.
const NO_PRIVATE_KEYS: u64 = 1 << 4;
/// Peers that came, went or changed. From 1.98; from 1.100 on Linux nothing else tells of them.
const PEER_CHANGES: u64 = 1 << 12;
/// No whole network map with each change where deltas are sent. From 1.100.
const NO_NETMAP: u64 = 1 << 13;
/// Small changes (online, endpoints) as such and not as a whole node. From 1.100.
const PEER_PATCHES: u64 = 1 << 15;

/// What every version takes: older ones ignore bits that they don't know and send the network map.
const MASK: u64 = INITIAL_STATE | NO_PRIVATE_KEYS | PEER_CHANGES | NO_NETMAP | PEER_PATCHES;
/// For one that refuses unknown bits.
const PLAIN_MASK: u64 = INITIAL_STATE | NO_PRIVATE_KEYS;

/// A longer message is not read. The network maps of older versions are.
const MESSAGE_LIMIT: usize = 256 * 1024;

/// What came, in one message or in several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// The control server told us of ourselves: we changed, or were away and are back.
    pub about_us: bool,
    /// Nodes that changed or were away and are online now, by [`super::StatusNode::number`].
    pub back: BTreeSet<i64>,
}

impl News {
    /// Adds later news.
    pub fn add(&mut self, later: Self) {
        self.about_us |= later.about_us;
        self.back.extend(later.back);
    }

    fn read(&mut self, line: &[u8]) {
        // News that we don't understand is news all the same.
        let Ok(message) = serde_json::from_slice::<Message>(line) else { return };
        self.about_us |= message.self_change.is_some();
        let changed = message.peers_changed.into_iter().flatten().map(|it| (it.id, it.online));
        let patched =
            message.peer_changed_patch.into_iter().flatten().map(|it| (it.node_id, it.online));
        let online = changed.chain(patched).filter(|(_, online)| *online == Some(true));
        self.back.extend(online.filter_map(|(number, _)| number));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    self_change: Option<serde::de::IgnoredAny>,
    peers_changed: Option<Vec<Changed>>,
    peer_changed_patch: Option<Vec<Patched>>,
}

#[derive(Deserialize)]
struct Changed {
    #[serde(rename = "ID")]
    id: Option<i64>,
    #[serde(rename = "Online")]
    online: Option<bool>,
}

#[derive(Deserialize)]
struct Patched {
    #[serde(rename = "NodeID")]
    node_id: Option<i64>,
    #[serde(rename = "Online")]
    online: Option<bool>,
}

/// An open stream of news.
#[derive(Debug)]
pub struct Bus {
    body: Incoming,
    // The beginning of a message, one a line. Empty and `skipping` when it is too long.
    line: Vec<u8>,
    skipping: bool,
    _driver: Driver,
}

impl Bus {
    pub(super) async fn open(client: &Client) -> Result<Self, ApiError> {
        let (response, driver) = ask(client, MASK).await?;
        let (response, driver) = match response.status() {
            StatusCode::BAD_REQUEST => ask(client, PLAIN_MASK).await?,
            _ => (response, driver),
        };
        if !response.status().is_success() {
            return Err(http::refusal("watch-ipn-bus", response).await);
        }
        let body = response.into_body();
        Ok(Self { body, line: Vec::new(), skipping: false, _driver: driver })
    }

    /// Waits for news. None when the stream has ended; then nothing comes any more. Dropping the
    /// future loses no news.
    pub async fn news(&mut self) -> Option<News> {
        loop {
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                return Some(self.take(&data));
            }
        }
    }

    fn take(&mut self, data: &[u8]) -> News {
        let mut news = News::default();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let complete = piece.ends_with(b"\n");
            if !self.skipping && self.line.len() + piece.len() <= MESSAGE_LIMIT {
                self.line.extend_from_slice(piece);
                if complete {
                    news.read(&self.line);
                }
            } else {
                self.skipping = true;
            }
            if complete || self.skipping {
                // Idle we hold no buffer.
                self.line = Vec::new();
            }
            self.skipping &= !complete;
        }
        news
    }
}

async fn ask(client: &Client, mask: u64) -> Result<(Response<Incoming>, Driver), ApiError> {
    let what = "watch-ipn-bus";
    let request = Request::get(http::uri(&format!("{what}?mask={mask}")));
    http::within(what, TIMEOUT, http::call(client.endpoint(), what, request, Body::default())).await
}
