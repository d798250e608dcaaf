//! The page of `thrum ui` in a real browser: how soon it is there, and how soon it shows what happens.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::bootstrap::{fill, message, setup};
use super::connection::{Connection, Events};
use super::figure::{Figure, Target};
use super::sample::{Sample, mebibytes, tell, words};
use super::size::Size;
use crate::browser::{Browser, InstalledBrowser, Site, Ui};
use crate::harness::{Client, Daemon, LONG, converge, eventually, holds, http, pair, process};

/// How many pages look at once, for the memory of `thrum ui`.
const STREAMS: usize = 10;

/// Runs in the page before its own scripts: notes when a row was there first, and when the last one came.
const WATCH: &str = "
window.__rows = { first: null, last: null, text: '' };
new MutationObserver(() => {
  const rows = document.querySelectorAll('#feed [data-message] .text');
  const text = rows.length ? rows[rows.length - 1].textContent : '';
  if (!text || text === window.__rows.text) return;
  window.__rows.text = text;
  window.__rows.last = Date.now();
  window.__rows.first ??= performance.now();
}).observe(document, { childList: true, subtree: true, characterData: true });
";

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let installed = InstalledBrowser::inside().expect("namespaces of its own");
    let (here, there) = (setup("here").start(), setup("there").start());
    pair(&here, &there);
    fill(&here, 100);
    converge(LONG, &[&here, &there]);
    let mut figures =
        vec![first_paint(&installed, &there, size), live(&installed, &here, &there, size)];
    figures.push(memory(&there));
    drop((here, there));
    figures.push(large(&installed, size));
    figures
}

fn ui(daemon: &Daemon) -> Ui {
    Ui::start(&Client::new(daemon), &["--as", "alice"])
}

/// A browser with the page open, and its rows in it.
fn opened(installed: &InstalledBrowser, ui: &Ui) -> Browser {
    let browser = installed.start();
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH }));
    browser.open(ui.address());
    browser.until(
        "document.querySelector('#live')?.dataset.live === 'yes' && window.__rows?.first > 0",
    );
    browser
}

/// When something was painted first, since the browser began to ask for the page.
fn painted(browser: &Browser) -> Duration {
    eventually(LONG, || {
        let at = browser.try_script(
            "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null;",
            vec![],
        )?;
        milliseconds(&at).ok_or_else(|| "nothing is painted".to_owned())
    })
}

fn milliseconds(value: &Value) -> Option<Duration> {
    value.as_f64().map(|millis| Duration::from_micros((millis * 1e3) as u64))
}

/// The page, in turns with its HTML and its style alone from the smallest server there can be.
fn first_paint(installed: &InstalledBrowser, daemon: &Daemon, size: Size) -> Figure {
    let rounds = size.of(60);
    tell(&format!("ui: first paint, {rounds} times"));
    let ui = ui(daemon);
    let bare = bare_shell(&ui);
    let (browser, other) = (opened(installed, &ui), installed.start());
    let (mut ours, mut shell, mut rows) = (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..rounds {
        browser.reload();
        ours.push(painted(&browser));
        browser.until("window.__rows?.first > 0");
        let first = browser.script("return window.__rows.first;", vec![]);
        rows.push(milliseconds(&first).expect("a time"));
        other.open(&bare.at("127.0.0.1"));
        shell.push(painted(&other));
    }
    Figure::new(
        "ui_first_paint",
        "first paint of the page, against its HTML and style alone from a bare server",
        (ours.median() / shell.median(), "x"),
        Target::None,
        format!(
            "{} against {}; {} until the first rows",
            words(ours.median()),
            words(shell.median()),
            words(rows.median())
        ),
    )
}

/// The shell without its scripts, which would show it.
fn bare_shell(ui: &Ui) -> Site {
    let page = get(ui, "/");
    let mut html = String::new();
    let mut rest = page.as_str();
    while let Some((before, after)) = rest.split_once("<script") {
        html.push_str(before);
        rest = after.split_once("</script>").map_or("", |(_, rest)| rest);
    }
    html.push_str(rest);
    let html = html.replace("<div id=\"app\" hidden>", "<div id=\"app\">");
    let mut files = BTreeMap::new();
    for word in html.split('"').filter(|word| word.starts_with("/assets/")) {
        let kind = if word.ends_with(".css") { "text/css" } else { "image/svg+xml" };
        files.insert(word.to_owned(), (kind.to_owned(), get(ui, word)));
    }
    assert!(files.keys().any(|path| path.ends_with(".css")), "a style in {html}");
    Site::with_files(&html, files)
}

fn get(ui: &Ui, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", ui.port())).unwrap();
    let host = format!("127.0.0.1:{}", ui.port());
    let answer = http::exchange(&mut stream, &http::request("GET", path, &[("host", &host)], b""));
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

/// A message that was sent here, from its place in the log there until it is in the page there.
fn live(installed: &InstalledBrowser, here: &Daemon, there: &Daemon, size: Size) -> Figure {
    let count = size.of(200);
    tell(&format!("ui: {count} messages, one after the other"));
    let ui = ui(there);
    let browser = opened(installed, &ui);
    let mut connection = Connection::open(here);
    let mut stream = Events::after(there, there.health().head_seq);
    let mut sample = Sample::default();
    for number in 0..count {
        let number = 1_000_000 + number;
        connection.append(vec![message(number)]);
        let event = stream.next();
        let arrived = wall_clock();
        let text = message_text(number);
        assert!(event.contains(&text), "another event came: {event}");
        let shown = eventually(LONG, || {
            let rows = browser.try_script("return window.__rows;", vec![])?;
            holds(rows["text"] == text.as_str(), || rows["text"].to_string())?;
            milliseconds(&rows["last"]).ok_or_else(|| rows.to_string())
        });
        sample.push(shown.saturating_sub(arrived));
    }
    Figure::new(
        "ui_live",
        "an event of another machine, from this one's log until it is in the page, 99 of 100",
        (sample.quantile(0.99) * 1e3, "ms"),
        Target::AtMost(100.0),
        format!(
            "median {}, longest {}; the clock of the page has whole milliseconds",
            words(sample.median()),
            words(sample.quantile(1.0))
        ),
    )
}

/// Since 1970, as the page counts as well.
fn wall_clock() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn message_text(number: usize) -> String {
    super::bootstrap::body(number)["text"].as_str().expect("a text").to_owned()
}

/// What `thrum ui` keeps in memory while pages look.
fn memory(daemon: &Daemon) -> Figure {
    tell(&format!("ui: memory with {STREAMS} pages"));
    let ui = ui(daemon);
    let host = format!("127.0.0.1:{}", ui.port());
    let token = json!({ "token": ui.token() }).to_string();
    let headers = [("host", host.as_str()), ("content-type", "application/json")];
    let mut stream = TcpStream::connect(("127.0.0.1", ui.port())).unwrap();
    let request = http::request("POST", "/session", &headers, token.as_bytes());
    let session = http::exchange(&mut stream, &request).expect("a session").json();
    let bearer = format!("Bearer {}", session["bearer"].as_str().expect("a key"));
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = TcpStream::connect(("127.0.0.1", ui.port())).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let headers = [("host", host.as_str()), ("authorization", bearer.as_str())];
        stream.write_all(&http::request("GET", "/changes", &headers, b"")).unwrap();
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while !line.contains("\"change\"") {
            line.clear();
            assert!(lines.read_line(&mut line).expect("a line") > 0, "the stream ended");
        }
        streams.push(lines);
    }
    // They hear of something, too.
    let mut connection = Connection::open(daemon);
    for number in 0..50 {
        connection.append(vec![message(number)]);
    }
    for lines in &mut streams {
        let mut line = String::new();
        while !line.contains("\"change\"") {
            line.clear();
            assert!(lines.read_line(&mut line).expect("a line") > 0, "the stream ended");
        }
    }
    Figure::new(
        "ui_memory",
        "resident memory of thrum ui with 10 pages",
        (mebibytes(process::resident_bytes(ui.pid())), "MiB"),
        Target::AtMost(16.0),
        format!("{:.1} MiB at most so far", mebibytes(process::peak_bytes(ui.pid()))),
    )
}

/// The first rows of a log of 200,000 messages.
fn large(installed: &InstalledBrowser, size: Size) -> Figure {
    let (count, rounds) = (size.of(200_000), size.of(60));
    tell(&format!("ui: {count} messages, opened {rounds} times"));
    let daemon = setup("large").start();
    fill(&daemon, count);
    let ui = ui(&daemon);
    let browser = opened(installed, &ui);
    let mut sample = Sample::default();
    for _ in 0..rounds {
        browser.reload();
        browser.until("window.__rows?.first > 0");
        let first = browser.script("return window.__rows.first;", vec![]);
        sample.push(milliseconds(&first).expect("a time"));
    }
    Figure::new(
        "ui_large",
        "the page of a log of 200,000 messages, from its address to its first rows",
        (sample.median() * 1e3, "ms"),
        Target::AtMost(1000.0),
        format!("{count} messages: longest {}", words(sample.quantile(1.0))),
    )
}
