use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thrum_api::DaemonId;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;

use super::journal::Journal;
use super::stderr::Plain;
use crate::message_id;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    /// What was written since the last call.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn plain(buffer: &Buffer) -> impl Subscriber + Send + Sync + use<> {
    let writer = buffer.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .event_format(Plain::default());
    tracing_subscriber::registry().with(layer)
}

/// What is written in the journal's name to a buffer, if there is no journald at `path`.
fn journal(
    path: &Path,
    buffer: &Buffer,
    is_ending: &'static AtomicBool,
) -> impl Subscriber + Send + Sync + use<> {
    let writer = buffer.clone();
    let stderr = move |line: &str| writer.clone().write_all(line.as_bytes()).unwrap();
    tracing_subscriber::registry().with(Journal::new(path, stderr, is_ending))
}

static GOES_ON: AtomicBool = AtomicBool::new(false);

fn on_stderr() -> (Buffer, impl Subscriber + Send + Sync + use<>) {
    let buffer = Buffer::default();
    let subscriber = journal(Path::new("/nonexistent/journal"), &buffer, &GOES_ON);
    (buffer, subscriber)
}

/// A journald, which takes what the test has logged.
struct Journald {
    folder: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Journald {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("socket")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { folder, socket }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }

    /// The lines of the next entry, if there is one.
    fn entry(&self) -> Option<Vec<String>> {
        let mut bytes = vec![0; 100_000];
        let length = self.socket.recv(&mut bytes).ok()?;
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        Some(text.lines().map(str::to_owned).collect())
    }
}

#[test]
fn people_get_the_time_and_the_level() {
    let buffer = Buffer::default();
    let log = || tracing::warn!("disk is {}", "full");
    tracing::subscriber::with_default(plain(&buffer), log);
    let plain = buffer.take();
    let (time, rest) = plain.split_once(' ').unwrap();
    assert_eq!(rest, " WARN disk is full\n");
    assert!(time.ends_with('Z'), "{time}");
}

#[test]
fn the_journal_gets_fields_and_the_text_of_stderr() {
    let (journald, buffer) = (Journald::start(), Buffer::default());
    let id = DaemonId::from_bytes([7; 32]);
    let log = || {
        tracing::warn!(
            about = %id, journal.message_id = message_id::PEER_LOST, journal.peer = %"office",
            sequence = 7, "lost"
        );
        tracing::info!(about = %"100.64.0.7", "a caller");
        tracing::error!("no fields");
    };
    tracing::subscriber::with_default(journal(&journald.path(), &buffer, &GOES_ON), log);
    let common = ["SYSLOG_FACILITY=3", "SYSLOG_IDENTIFIER=thrumd"];
    let wanted = [
        "PRIORITY=4",
        common[0],
        common[1],
        "MESSAGE=lost sequence=7",
        "MESSAGE_ID=85c36ccc1ede43d0ae69235ed68566ea",
        "PEER=office",
        &format!("DAEMON_ID={id}"),
    ];
    assert_eq!(journald.entry().unwrap(), wanted);
    let wanted = ["PRIORITY=6", common[0], common[1], "MESSAGE=a caller", "ADDRESS=100.64.0.7"];
    assert_eq!(journald.entry().unwrap(), wanted);
    let wanted = ["PRIORITY=3", common[0], common[1], "MESSAGE=no fields"];
    assert_eq!(journald.entry().unwrap(), wanted);
    assert_eq!(journald.entry(), None);
    assert_eq!(buffer.take(), "");
    tracing::subscriber::with_default(plain(&buffer), log);
    let shown = buffer.take();
    assert!(shown.starts_with(|c: char| c.is_ascii_digit()) && shown.contains("lost sequence=7\n"));
    assert!(!shown.contains("office"), "the fields of the journal are not shown: {shown}");
}

#[test]
fn what_journald_does_not_take_goes_to_stderr() {
    static IS_ENDING: AtomicBool = AtomicBool::new(false);
    let (mut journald, buffer) = (Journald::start(), Buffer::default());
    tracing::subscriber::with_default(journal(&journald.path(), &buffer, &IS_ENDING), || {
        tracing::warn!("taken");
        assert!(journald.entry().is_some() && buffer.take().is_empty());
        std::fs::remove_file(journald.path()).unwrap();
        tracing::warn!(journal.peer = "office", "no socket");
        assert_eq!(buffer.take(), "<4>no socket\n");
        journald.socket = UnixDatagram::bind(journald.path()).unwrap();
        journald.socket.set_nonblocking(true).unwrap();
        tracing::info!("a new journald");
        assert!(journald.entry().is_some() && buffer.take().is_empty());
        tracing::info!("{}", "x".repeat(4_000_000));
        assert_eq!(buffer.take().len(), 4_000_000 + "<6>\n".len());
        IS_ENDING.store(true, Ordering::Relaxed);
        tracing::error!("the last one");
        assert_eq!(buffer.take(), "<3>the last one\n");
        assert_eq!(journald.entry(), None);
    });
}

#[test]
fn a_journald_that_is_stuck_stops_nobody() {
    let (journald, buffer) = (Journald::start(), Buffer::default());
    let subscriber = journal(&journald.path(), &buffer, &GOES_ON);
    let writing = std::thread::spawn(move || {
        let log = || (0..5_000_u64).for_each(|about| tracing::debug!(about, "nobody reads"));
        tracing::subscriber::with_default(subscriber, log);
    });
    let limit = std::time::Instant::now() + Duration::from_secs(30);
    while !writing.is_finished() {
        assert!(std::time::Instant::now() < limit, "it waits for journald");
        std::thread::sleep(Duration::from_millis(5));
    }
    writing.join().unwrap();
    let taken = std::iter::from_fn(|| journald.entry()).count();
    assert_eq!(buffer.take().lines().count() + taken, 5_000);
}

#[test]
fn nothing_invisible_gets_into_the_log_whoever_wrote_it() {
    let foreign = "a\u{200b}b\u{202e}c\nERROR forged\u{1b}[2J\u{2028}";
    let log = || {
        tracing::warn!(name = foreign, shown = %foreign, journal.peer = foreign, journal.more = %foreign, "peer {foreign}");
    };
    let (buffer, subscriber) = on_stderr();
    tracing::subscriber::with_default(subscriber, log);
    let line = buffer.take();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(!line.trim_end().contains(thrum_api::visible::is_invisible), "{line:?}");
    assert_eq!(line.matches("ERROR forged").count(), 3, "{line}");
    let journald = Journald::start();
    tracing::subscriber::with_default(journal(&journald.path(), &buffer, &GOES_ON), log);
    let entry = journald.entry().unwrap();
    assert_eq!(entry.len(), 6, "{entry:?}");
    assert!(!entry.concat().contains(thrum_api::visible::is_invisible), "{entry:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_machine_is_cut_short_and_hides_no_line_of_another() {
    let (buffer, subscriber) = on_stderr();
    let _logger = tracing::subscriber::set_default(subscriber);
    let flood = |about: u64| {
        (0..1_000).for_each(|_| tracing::warn!(about, "refused"));
        buffer.take()
    };
    let burst = "<4>refused\n".repeat(9)
        + "<4>refused (from here on, lines like this one are written once a minute)\n";
    assert_eq!(flood(1), burst);
    assert_eq!(flood(2), burst);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(flood(1), "<4>refused (and 990 lines like this one were left out)\n");
    (0..1_000).for_each(|_| tracing::debug!("asked for"));
    assert_eq!(buffer.take().lines().count(), 1_000);
}
