use std::time::Instant;

use thrum_api::limits::PULL_MAX_EVENTS;

use super::bare::{Bare, Rows};
use super::bootstrap::{fill, message, setup};
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::latency::renumbered;
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::Daemon;

const CONNECTIONS: usize = 8;

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let rounds = size.of(40);
    let block = 50;
    tell(&format!("appends: {rounds} rounds of {block}"));
    let daemon = setup("alone").start();
    fill(&daemon, PULL_MAX_EVENTS);
    let rows = Rows::of(daemon.state());
    let mut database = Bare::new(&rows);
    let mut one = Connection::open(&daemon);
    let mut several: Vec<_> = (0..CONNECTIONS).map(|_| Connection::open(&daemon)).collect();
    let (mut ours, mut bare, mut together) =
        (Sample::default(), Sample::default(), Sample::default());
    let mut number = 0;
    for _ in 0..rounds {
        for _ in 0..block {
            ours.time(|| one.append(vec![message(number)]));
        }
        for _ in 0..block {
            let row = &rows.rows[number % rows.rows.len()..][..1];
            let row = renumbered(row, number);
            bare.time(|| database.commit(&row));
            number += 1;
        }
        together.push(at_once(&mut several, block) / (block * CONNECTIONS) as u32);
    }
    let share = ours.median() / together.median();
    vec![
        Figure::new(
            "append_rate",
            "durable appends on one connection, against bare commits of one row",
            (bare.median() / ours.median(), "x"),
            Target::AtLeast(0.5),
            format!("{} an append, {} a bare commit", words(ours.median()), words(bare.median())),
        ),
        Figure::new(
            "append_group",
            "durable appends on 8 connections, against one",
            (share, "x"),
            Target::AtLeast(2.0),
            format!(
                "{:.0} a second on 8, {:.0} on one",
                1.0 / together.median(),
                1.0 / ours.median()
            ),
        ),
    ]
}

/// Each connection appends so many, all at the same time.
fn at_once(connections: &mut [Connection], each: usize) -> std::time::Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for connection in connections.iter_mut() {
            scope.spawn(move || {
                for number in 0..each {
                    connection.append(vec![message(number)]);
                }
            });
        }
    });
    start.elapsed()
}

/// One append on an open connection, for other figures.
pub(super) fn append_one(connection: &mut Connection, number: usize) {
    connection.append(vec![message(number)]);
}

/// A daemon with nothing in it.
pub(super) fn alone() -> Daemon {
    setup("alone").start()
}
