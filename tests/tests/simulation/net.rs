//! What travels, and what becomes of it on the way.

use std::collections::BTreeSet;

use thrum_api::peer::{Notified, NotifyParams, PairRequestParams, PullPage, PullParams};
use thrum_api::{DaemonId, RpcError, Token};

use crate::choices::Choices;
use crate::world::{Micros, millis, seconds};

#[derive(Debug, Clone)]
pub enum Request {
    Pull(PullParams),
    Notify(Box<NotifyParams>),
    PeerInfo,
    Pair(PairRequestParams),
}

/// A request with its token.
#[derive(Debug, Clone)]
pub struct Message {
    pub token: Option<Token>,
    pub request: Request,
}

#[derive(Debug)]
pub enum Reply {
    Page(Box<PullPage>),
    Notified(Notified),
    PeerInfo(DaemonId),
    Paired(Token),
    Refused(RpcError),
    /// Nobody listens there.
    ConnectionRefused,
}

/// How bad the day is.
#[derive(Debug, Clone)]
pub struct Net {
    pub delay: Micros,
    pub loss: u64,
    pub repeat: u64,
    /// Directions in which nothing gets through.
    pub cut: BTreeSet<(usize, usize)>,
}

impl Net {
    pub fn quiet() -> Self {
        Self { delay: millis(2), loss: 0, repeat: 0, cut: BTreeSet::new() }
    }

    pub fn bad(choices: &mut Choices) -> Self {
        Self {
            delay: choices.of(&[millis(2), millis(40), millis(700), seconds(6)]),
            loss: choices.of(&[0, 0, 3, 20]),
            repeat: choices.of(&[0, 0, 10]),
            cut: BTreeSet::new(),
        }
    }

    /// When the copies of a message arrive; none if it is lost.
    pub fn arrivals(&self, from: usize, to: usize, choices: &mut Choices) -> Vec<Micros> {
        if self.cut.contains(&(from, to)) || choices.percent(self.loss) {
            return Vec::new();
        }
        let mut arrivals = vec![millis(1) + choices.up_to(self.delay)];
        if choices.percent(self.repeat) {
            arrivals.push(millis(1) + choices.up_to(self.delay));
        }
        arrivals
    }
}
