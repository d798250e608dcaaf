//! Agents that talk, and a person who looks at them.

use std::process::{Child, Command};
use std::sync::{Mutex, OnceLock};

use serde_json::json;
use tests::browser::{Browser, Ui};
use tests::harness::{Client, Daemon, LONG, SHORT, eventually, holds};
use thrum_api::local::{MessageList, MessageListParams};

/// The client of an agent in the project `test`.
pub(crate) fn agent(daemon: &Daemon, name: &str) -> Client {
    Client::new(daemon).env("THRUM_AGENT", name)
}

/// The page of Alice.
pub(crate) fn ui(daemon: &Daemon) -> Ui {
    Ui::start(&Client::new(daemon), &["--as", "alice"])
}

/// Sends a message to these agents, with spaces between their names, and gives its id.
#[track_caller]
pub(crate) fn sends(client: &Client, to: &str, text: &str) -> String {
    let mut words = vec!["send", "--json", "--anyway"];
    words.extend(to.split(' '));
    words.extend(["--", text]);
    let sent = client.run(&words).exits(0).json();
    sent["event_id"].as_str().expect("an id").to_owned()
}

/// Begins a session of an agent that lasts as long as the test.
#[track_caller]
pub(crate) fn works(client: &Client, words: &[&str]) {
    // That of the test is 1 in its namespace, which no tool has.
    static TOOL: OnceLock<Mutex<Child>> = OnceLock::new();
    let tool = TOOL.get_or_init(|| {
        let tool = Command::new("sleep").arg("3600").spawn().expect("a process");
        Mutex::new(tool)
    });
    let pid = tool.lock().unwrap().id().to_string();
    client.run(&[&["session", "start", "--pid", &pid], words].concat()).exits(0);
}

/// Opens the page and waits until it is live.
#[track_caller]
pub(crate) fn opens(browser: &Browser, ui: &Ui) {
    browser.open(ui.address());
    is_live(browser);
}

/// Waits until the page is live, and its lists are there: nothing moves down any more when somebody clicks.
#[track_caller]
pub(crate) fn is_live(browser: &Browser) {
    browser.until("document.querySelector('#live')?.dataset.live === 'yes'");
    browser.until("document.querySelector('#machines [data-state=this]') !== null");
}

/// Opens what is known of a machine, and waits for the findings. What stands above the machines may grow at any moment,
/// and a click then meets something else.
#[track_caller]
pub(crate) fn opens_machine(browser: &Browser, machine: &str) {
    let shows = "return document.querySelector('#details[open]')?.dataset.kind ?? null;";
    eventually(LONG, || {
        browser.click(&format!("#machines {machine} button"));
        let kind = browser.script(shows, vec![]);
        holds(kind == "machine", || format!("{kind} is shown"))
    });
    browser.until("document.querySelectorAll('#details [data-finding][data-status]').length >= 2");
}

/// Checks that the page did nothing that it should not.
#[track_caller]
pub(crate) fn is_fine(browser: &Browser) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// The selector of a message in the feed.
pub(crate) fn row(id: &str) -> String {
    format!("#feed [data-message=\"{id}\"]")
}

/// Waits until the feed shows the daemon's messages, each once and in the order of its log. There may be at most as many
/// as a page of the list has.
#[track_caller]
pub(crate) fn has_all_messages(browser: &Browser, daemon: &Daemon) {
    let params = MessageListParams { limit: Some(200), ..MessageListParams::default() };
    let mut wanted: Vec<_> = daemon.ask::<MessageList>(params).messages;
    wanted.reverse();
    let wanted: Vec<_> = wanted.iter().map(|it| it.message.event_id.to_string()).collect();
    eventually(SHORT, || {
        let shown = browser.try_script(
            "return [...document.querySelectorAll('#feed [data-message]')].map((it) => it.dataset.message);",
            vec![],
        )?;
        holds(shown == json!(wanted), || format!("{shown}\ninstead of {wanted:?}"))
    });
}
