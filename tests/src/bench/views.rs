use std::path::Path;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection as Database, OpenFlags, params_from_iter};
use thrum_api::limits::APPEND_MAX_EVENTS;
use thrum_api::local::{
    InboxParams, MarkReadParams, MessageInbox, MessageMarkRead, MessageRef, MessageWait, WaitParams,
};

use super::bare::Rows;
use super::bootstrap::{fill, message, setup};
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::{Sample, mebibytes, tell, words};
use super::size::Size;
use crate::harness::{Daemon, event_of};

/// Messages to all that come between two looks at an inbox.
const BURST: usize = 50;

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let mut figures = vec![broadcast(size)];
    figures.extend(digest(size));
    figures
}

/// Messages to all, then an inbox: among 5,000 agents, in turns with 10.
fn broadcast(size: Size) -> Figure {
    let (rounds, many) = (size.of(40), size.of(5_000));
    tell(&format!("views: {rounds} times {BURST} messages to 10 and to {many} agents"));
    let (few, crowd) = (crowd("few", 10), crowd("many", many));
    let (mut to_few, mut to_many) = (Sample::default(), Sample::default());
    let mut written = 0;
    for _ in 0..rounds {
        let messages = (written..written + BURST).map(|number| {
            let text = format!("message {number}");
            draft(
                "message.sent",
                &serde_json::json!({ "from": "planner", "all": true, "text": text }),
            )
        });
        let messages: Vec<_> = messages.collect();
        written += BURST;
        for (daemon, sample) in [(&few, &mut to_few), (&crowd, &mut to_many)] {
            let mut connection = Connection::open(daemon);
            connection.append(messages.clone());
            let unread = sample.time(|| inbox(&mut connection, "agent1").unread);
            assert_eq!(unread, written as u64);
        }
    }
    Figure::new(
        "broadcast",
        "an inbox after messages to all of 5,000 agents, against 10",
        (to_many.median() / to_few.median(), "x"),
        Target::AtMost(1.2),
        format!(
            "after {BURST} messages: {} with {many} agents, {} with 10",
            words(to_many.median()),
            words(to_few.median())
        ),
    )
}

/// A daemon with so many agents.
fn crowd(name: &str, count: usize) -> Daemon {
    let daemon = setup(name).start();
    let mut connection = Connection::open(&daemon);
    let joins: Vec<_> = (1..=count)
        .map(|number| {
            draft("agent.joined", &serde_json::json!({ "agent": format!("agent{number}") }))
        })
        .collect();
    for page in joins.chunks(APPEND_MAX_EVENTS) {
        connection.append(page.to_vec());
    }
    inbox(&mut connection, "agent1");
    daemon
}

fn draft(event_type: &str, body: &serde_json::Value) -> thrum_api::Draft {
    thrum_api::Draft { event_type: event_type.to_owned(), ..event_of(body) }
}

fn inbox(connection: &mut Connection, agent: &str) -> thrum_api::local::InboxResult {
    let project = message(0).project;
    let params = InboxParams { agent: agent.to_owned(), project, ..InboxParams::default() };
    connection.call::<MessageInbox>(&params)
}

/// The views made anew of a log of messages, in turns with bare inserts; and their size.
fn digest(size: Size) -> Vec<Figure> {
    let count = size.of(100_000);
    let rounds = if size == Size::Full { 5 } else { 1 };
    tell(&format!("views: {rounds} times a log of {count} messages"));
    let daemon = setup("digested").start();
    fill(&daemon, count);
    let mut connection = Connection::open(&daemon);
    inbox(&mut connection, "coder");
    let events = Rows::of(daemon.state());
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    let mut inserts = Sample::default();
    for _ in 0..rounds {
        // A daemon whose views were removed makes them anew before it answers.
        for suffix in ["", "-wal", "-shm"] {
            std::fs::remove_file(daemon.state().join(format!("views.db{suffix}"))).unwrap();
        }
        let unread = ours.time(|| inbox(&mut connection, "coder").unread);
        assert_eq!(unread, count as u64);
        let mut copy = Copy::new(daemon.state());
        bare.time(|| {
            read_events(daemon.state());
            inserts.time(|| copy.insert());
        });
    }
    read_all(&mut connection, count);
    let (views, log) = (bytes(&daemon, "views.db"), bytes(&daemon, "log.db"));
    vec![
        Figure::new(
            "digest_rate",
            "views made of a log, against reading its events and bare inserts of the views' rows",
            (bare.median() / ours.median(), "x"),
            Target::AtLeast(0.5),
            format!(
                "{count} messages of {} bytes: {} digested, {} bare, of which {} are inserts",
                events.mean_bytes(),
                words(ours.median()),
                words(bare.median()),
                words(inserts.median())
            ),
        ),
        Figure::new(
            "views_size",
            "views.db of messages that were all read, against log.db",
            (views as f64 / log as f64, "x"),
            Target::AtMost(0.3),
            format!("{:.1} MiB against {:.1} MiB", mebibytes(views), mebibytes(log)),
        ),
    ]
}

fn read_all(connection: &mut Connection, count: usize) {
    let agent = "coder".to_owned();
    let mut read = 0;
    while read < count {
        let limit = Some(1000);
        let project = message(0).project;
        let timeout_ms = 60_000;
        let wait = WaitParams {
            agent: agent.clone(),
            project,
            timeout_ms,
            limit,
            ..WaitParams::default()
        };
        let messages = connection.call::<MessageWait>(&wait).messages;
        let messages: Vec<_> = messages.iter().map(MessageRef::from).collect();
        read += messages.len();
        let params = MarkReadParams { agent: agent.clone(), messages, ..MarkReadParams::default() };
        connection.call::<MessageMarkRead>(&params);
    }
}

fn open(path: &Path) -> Database {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Database::open_with_flags(path, flags).expect("a database of the daemon");
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    database
}

/// The size of a database with what is in its WAL, when that is moved into it.
fn bytes(daemon: &Daemon, name: &str) -> u64 {
    let database = open(&daemon.state().join(name));
    let pragma =
        |name| database.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    (pragma("page_count") * pragma("page_size")).try_into().unwrap()
}

/// The least that has to be done with the events of a log: they are read, and their JSON is parsed once.
fn read_events(state: &Path) {
    let log = open(&state.join("log.db"));
    let mut events = log.prepare("SELECT body FROM events ORDER BY sequence").unwrap();
    let mut rows = events.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let json = row.get_ref(0).unwrap().as_blob().unwrap();
        serde_json::from_slice::<serde::de::IgnoredAny>(json).unwrap();
    }
}

/// A database with the tables of the views and their rows, as they are.
struct Copy {
    database: Database,
    tables: Vec<(String, Vec<Vec<Value>>)>,
    _folder: tempfile::TempDir,
}

impl Copy {
    fn new(state: &Path) -> Self {
        let views = open(&state.join("views.db"));
        let folder = tempfile::Builder::new().prefix("thrum-bare-").tempdir().unwrap();
        let database = Database::open(folder.path().join("views.db")).unwrap();
        // As in thrumd/src/agents/schema.rs.
        database
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = NORMAL;
                 PRAGMA cache_size = -512;
                 PRAGMA journal_size_limit = 4194304;",
            )
            .unwrap();
        let mut schema = views
            .prepare(
                "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC",
            )
            .unwrap();
        let schema = schema
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .collect::<rusqlite::Result<Vec<(String, String, String)>>>()
            .unwrap();
        let mut tables = Vec::new();
        for (kind, name, sql) in schema {
            database.execute_batch(&sql).unwrap();
            if kind == "table" {
                let rows = rows(&views, &name);
                tables.push((name, rows));
            }
        }
        Self { database, tables, _folder: folder }
    }

    /// Inserts all rows in one transaction.
    fn insert(&mut self) {
        let transaction = self.database.transaction().unwrap();
        for (table, rows) in &self.tables {
            let Some(first) = rows.first() else { continue };
            let holes = vec!["?"; first.len()].join(", ");
            let insert = format!("INSERT INTO {table} VALUES ({holes})");
            let mut insert = transaction.prepare(&insert).unwrap();
            for row in rows {
                insert.execute(params_from_iter(row)).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}

fn rows(database: &Database, table: &str) -> Vec<Vec<Value>> {
    let mut query = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = query.column_count();
    query
        .query_map([], |row| (0..columns).map(|column| row.get(column)).collect())
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap()
}
