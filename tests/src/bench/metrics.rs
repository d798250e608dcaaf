//! A scrape of `/metrics` at a daemon with many peers.

use std::net::SocketAddr;

use super::bootstrap::setup;
use super::crowd::Crowd;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{LONG, Port, Scrape, ask_http, eventually, holds};

/// More than most people have machines.
const MANY: u32 = 300;

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let many = if size == Size::Full { MANY } else { 20 };
    let rounds = size.of(200);
    let port = Port::take();
    let at = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let daemon =
        setup("scraped").env("THRUM_SYNC_INTERVAL", "1h").env("THRUM_METRICS_LISTEN", at).start();
    tell(&format!("metrics: pairing {many} peers"));
    let _crowd = Crowd::join(&daemon, many as usize);
    let page = || ask_http(at, "GET", "/metrics", &[]).map(|page| page.text());
    let text = eventually(LONG, || {
        let text = page().map_err(|error| error.to_string())?;
        let known = Scrape::read(&text).value("thrumd_peers", &[("state", "in_sync")]);
        holds(known >= f64::from(many), || format!("{known} peers are in sync"))?;
        Ok(text)
    });
    tell(&format!("metrics: {rounds} scrapes"));
    let mut scrapes = Sample::default();
    for _ in 0..rounds {
        scrapes.time(page).expect("metrics");
    }
    let millis = scrapes.median() * 1000.0;
    vec![Figure::new(
        "metrics_scrape",
        "a scrape of /metrics with 300 peers",
        (millis, "ms"),
        Target::AtMost(20.0),
        format!("{} and {} KiB with {many} peers", words(scrapes.median()), text.len() / 1024),
    )]
}
