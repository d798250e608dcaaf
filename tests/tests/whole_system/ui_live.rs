//! What a page of `thrum ui` is told of changes, also while thrumd is away.

use std::time::Duration;

use serde_json::{Value, json};
use tests::harness::{Changes, Client, Daemon, SHORT, Setup, Ui, eventually, holds, process};
use thrum_api::local::{MessageList, Status};

/// The first line of a stream: everything has changed.
#[track_caller]
fn everything(changes: &mut Changes) -> Value {
    let change = changes.line()["change"].clone();
    for what in ["status", "agents", "deliveries"] {
        assert_eq!(change[what], true, "{change}");
    }
    change
}

#[track_caller]
fn texts(ui: &Ui, after: &Value) -> Vec<String> {
    let list = ui.call::<MessageList>(&json!({ "after": after }))["result"].clone();
    let messages = list["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_page_is_told_of_changes_and_of_those_while_thrumd_was_away() {
    let mut daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let ui = Ui::start(&client, &[]);
    let (mut page, mut other) = (ui.changes(), ui.changes());
    let begin = everything(&mut page)["read_seq"].clone();
    client.run(&["send", "--as", "a", "b", "before"]).exits(0);
    let is_news = |line: &Value| line["change"]["read_seq"].as_u64() > begin.as_u64();
    page.find(is_news);
    assert_eq!(texts(&ui, &begin), ["before"]);
    daemon.stop();
    let away = page.find(|line| line["away"].is_object())["away"].clone();
    assert!(away["why"].as_str().is_some_and(|why| !why.is_empty()), "{away}");
    // Then why, and what to do, as every command says it.
    let known = page.find(|line| line["away"]["why"].as_str().unwrap().contains("not running"));
    assert_eq!(known["away"]["since"], away["since"]);
    assert!(known["away"]["hint"].as_str().unwrap().contains("thrum daemon start"), "{known}");
    daemon.start_again();
    client.run(&["send", "--as", "a", "b", "after"]).exits(0);
    page.find(|line| line["change"]["status"] == true && line["change"]["agents"] == true);
    eventually(SHORT, || {
        let now = texts(&ui, &begin);
        holds(now == ["before", "after"], || format!("{now:?}"))
    });
    other.find(|line| line["away"].is_object());
    other.find(|line| line["change"].is_object());
}

#[test]
fn a_killed_daemon_is_found_again() {
    let mut daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    let mut page = ui.changes();
    everything(&mut page);
    for _ in 0..2 {
        daemon.kill();
        page.find(|line| line["away"].is_object());
        daemon.start_again();
        page.find(|line| line["change"]["status"] == true);
    }
}

#[test]
fn a_page_that_comes_while_thrumd_is_away_is_told_why_at_once() {
    let mut daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    daemon.stop();
    let mut page = ui.changes();
    let away = page.line();
    assert!(away["away"]["why"].as_str().unwrap().contains("thrumd is not running"), "{away}");
    daemon.start_again();
    let change = page.find(|line| line["change"].is_object());
    assert_eq!(change["change"]["status"], true);
}

#[test]
fn another_log_behind_the_socket_is_another_epoch() {
    let mut daemon = Setup::new("laptop").start();
    let ui = Ui::start(&Client::new(&daemon), &[]);
    let mut page = ui.changes();
    let epoch = everything(&mut page)["epoch"].clone();
    daemon.stop();
    daemon.delete_database();
    daemon.start_again();
    page.find(|line| line["change"].is_object() && line["change"]["epoch"] != epoch);
}

#[test]
fn nothing_runs_while_nothing_happens() {
    let daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    let mut pages: Vec<_> = (0..10).map(|_| ui.changes()).collect();
    pages.iter_mut().for_each(|page| drop(everything(page)));
    assert!(ui.call::<Status>(&json!({}))["result"].is_object());
    // An interval without signs of life: each page has one every 20 s.
    eventually(Duration::from_secs(60), || {
        let before = process::Effort::of(ui.pid());
        std::thread::sleep(Duration::from_secs(2));
        let wakes = process::Effort::of(ui.pid()).wakes_since(&before);
        holds(wakes == 0, || format!("{wakes} wake-ups in 2 s"))
    });
}
