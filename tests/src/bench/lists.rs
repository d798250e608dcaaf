use thrum_api::Draft;
use thrum_api::local::{EventList, EventListParams};

use super::bootstrap::{fill, message, setup};
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::Daemon;

const QUIET: &str = "quiet";

/// Lists of a project with three events, and of a type with three, in a short log and in a long one.
pub(super) fn measure(size: Size) -> Vec<Figure> {
    let (short, long) = (1000, if size == Size::Full { 1_000_000 } else { 30_000 });
    let count = size.of(200);
    tell(&format!("events: writing {long} events"));
    let logs = [short, long].map(filled);
    let mut connections = logs.each_ref().map(Connection::open);
    let mut samples = [Sample::default(), Sample::default()];
    tell(&format!("events: {count} lists of each log"));
    for _ in 0..count {
        for (connection, sample) in connections.iter_mut().zip(&mut samples) {
            sample.time(|| list(connection));
        }
    }
    let [few, many] = samples.map(|sample| sample.median());
    vec![Figure::new(
        "events_quiet",
        "events of a quiet project and of a rare type, in a long log against a short one",
        (many / few, "x"),
        Target::AtMost(1.5),
        format!("{} of {long} events, {} of {short}", words(many), words(few)),
    )]
}

/// A log in which the three are far from its end.
fn filled(count: usize) -> Daemon {
    let daemon = setup("listed").start();
    let mut connection = Connection::open(&daemon);
    let quiet =
        Draft { event_type: QUIET.to_owned(), project: Some(QUIET.to_owned()), ..message(0) };
    for _ in 0..3 {
        connection.append(vec![quiet.clone()]);
        fill(&daemon, 300);
    }
    fill(&daemon, count - 3 * 301);
    daemon
}

fn list(connection: &mut Connection) {
    let of_the_project =
        EventListParams { project: Some(QUIET.to_owned()), ..EventListParams::default() };
    let mut params = of_the_project.clone();
    let mut found = 0;
    loop {
        let page = connection.call::<EventList>(&params);
        found += page.events.len();
        params.after = page.next;
        if !page.more_available {
            break;
        }
    }
    assert_eq!(found, 3);
    let newest = EventListParams {
        event_type: Some(QUIET.to_owned()),
        newest: true,
        ..EventListParams::default()
    };
    assert_eq!(connection.call::<EventList>(&newest).events.len(), 3);
}
