//! What the page shows becomes what is, whatever was late or got lost on the way.

use serde_json::json;
use tests::browser::{Browser, Ui, sealed_in_browser};
use tests::harness::{Daemon, event_of};
use thrum_api::local::{AppendParams, EventAppend};

use crate::faults::{does, opens_with_faults};
use crate::scene::{agent, is_fine, opens, row, sends, ui};

/// Writes messages to Alice that are each a conversation, and gives their ids.
#[track_caller]
fn fills(daemon: &Daemon, project: &str, count: usize) -> Vec<String> {
    let draft = |number: usize| {
        let body =
            json!({ "from": "planner", "to": ["alice"], "text": format!("number {number}.") });
        thrum_api::Draft {
            event_type: "message.sent".to_owned(),
            project: Some(project.to_owned()),
            ..event_of(&body)
        }
    };
    let events = (0..count).map(draft).collect();
    let written = daemon.ask::<EventAppend>(AppendParams { events });
    written.appended.iter().map(|it| it.event_id.to_string()).collect()
}

/// How many conversations are shown.
#[track_caller]
fn has_conversations(browser: &Browser, count: usize) {
    browser.until(&format!("document.querySelectorAll('#conversations li').length === {count}"));
}

#[test]
fn who_comes_back_sees_what_came_after_what_was_told_first() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (planner, alice) = (agent(&laptop, "planner"), agent(&laptop, "alice"));
        alice.run(&["inbox"]).exits(0);
        sends(&planner, "alice", "before");
        let (ui, browser) = (ui(&laptop), installed.start());
        opens_with_faults(&browser, &ui);
        browser.shows("#feed .text", "before");
        browser.until("document.title.includes('1')");
        does(&browser, "faults.hide(true);");
        let head = || laptop.status().log.head_seq;
        let before = head();
        alice.run(&["inbox"]).exits(0);
        browser.until("!document.title.includes('1')");
        assert_eq!(head(), before, "what was told of has to be as old as what the page has");
        sends(&planner, "alice", "meanwhile");
        browser.until(&format!("faults.told.read_seq > {before}"));
        does(&browser, "faults.hide(false);");
        browser.shows("#feed .text", "meanwhile");
        is_fine(&browser);
    });
}

#[test]
fn who_comes_back_while_a_hidden_page_asks_waits_no_longer() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        sends(&planner, "alice", "before");
        let (ui, browser) = (ui(&laptop), installed.start());
        opens_with_faults(&browser, &ui);
        browser.shows("#feed .text", "before");
        does(&browser, "faults.hide(true); faults.holds = 'message.inbox';");
        sends(&planner, "alice", "meanwhile");
        browser.until("faults.held.length === 1");
        does(&browser, "faults.hide(false); faults.release();");
        browser.shows("#feed .text", "meanwhile");
        is_fine(&browser);
    });
}

/// Two projects, and a page that shows the first of them.
#[track_caller]
fn shows_one_of_two(laptop: &Daemon, browser: &Browser, ui: &Ui) {
    sends(&agent(laptop, "planner"), "coder", "in test");
    fills(laptop, "other", 50);
    opens_with_faults(browser, ui);
    browser.click("#projects [data-project=test]");
    browser.shows("#feed .text", "in test");
}

#[test]
fn another_project_whose_messages_do_not_come_is_asked_for_again() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (ui, browser) = (ui(&laptop), installed.start());
        shows_one_of_two(&laptop, &browser, &ui);
        does(&browser, "faults.loses = 'message.list';");
        browser.click("#projects [data-project=other]");
        browser.shows_no("#feed .text", "in test");
        browser.shows("#banner", "This may be old");
        does(&browser, "faults.loses = null;");
        browser.shows("#feed .text", "number 49.");
        browser.until("document.querySelector('#banner').hidden");
        assert!(!browser.texts("#feed .text").concat().contains("in test"));
        is_fine(&browser);
    });
}

#[test]
fn system_events_that_do_not_come_are_asked_for_again() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (ui, browser) = (ui(&laptop), installed.start());
        shows_one_of_two(&laptop, &browser, &ui);
        does(&browser, "faults.loses = 'event.list';");
        browser.click("#system-events");
        browser.shows("#banner", "This may be old");
        browser.shows("#feed .text", "in test");
        does(&browser, "faults.loses = null;");
        browser.shows("#feed [data-event]", "planner joined");
        browser.until("document.querySelector('#banner').hidden");
        is_fine(&browser);
    });
}

#[test]
fn conversations_of_two_projects_never_mix() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (ui, browser) = (ui(&laptop), installed.start());
        shows_one_of_two(&laptop, &browser, &ui);
        browser.click("#tab-conversations");
        browser.shows("#conversations li", "in test");
        does(&browser, "faults.loses = 'conversation.list';");
        browser.click("#projects [data-project=other]");
        browser.shows_no("#conversations li", "in test");
        browser.shows("#banner", "This may be old");
        does(&browser, "faults.loses = null;");
        browser.shows("#conversations li", "number 49.");
        has_conversations(&browser, 40);
        assert!(!browser.texts("#conversations li").concat().contains("in test"));
        is_fine(&browser);
    });
}

/// Has thrumd say that 20,000 events are not indexed, and answer no more of agents after that.
const BEHIND: &str = "faults.changes.status = (answer) => {
  answer.result.log.head_seq = answer.result.views.read_seq + 20_000;
  return answer;
};
faults.holdsAfter.status = 'agent.list';";

/// Opens the page, and has it told of these changes while events are not indexed.
#[track_caller]
fn shows_indexing(laptop: &Daemon, browser: &Browser, ui: &Ui, flags: &str) {
    sends(&agent(laptop, "planner"), "alice", "before");
    opens_with_faults(browser, ui);
    browser.shows("#feed .text", "before");
    does(browser, &format!("{BEHIND} faults.tell({flags});"));
    browser.shows("#banner", "Messages can be read when all events are indexed");
}

#[test]
fn that_events_are_indexed_is_told_until_agents_can_be_read() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (ui, browser) = (ui(&laptop), installed.start());
        shows_indexing(&laptop, &browser, &ui, "{ status: true, agents: true }");
        browser.until("faults.held.length === 1");
        // No change comes after that.
        does(&browser, "faults.changes = {}; faults.release();");
        browser.until("document.querySelector('#banner').hidden");
        is_fine(&browser);
    });
}

#[test]
fn that_events_are_indexed_is_told_until_the_next_change() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (ui, browser) = (ui(&laptop), installed.start());
        shows_indexing(&laptop, &browser, &ui, "{ status: true, agents: false }");
        does(&browser, "faults.changes = {}; faults.release();");
        does(&browser, "faults.tell({ status: false, agents: false });");
        browser.until("document.querySelector('#banner').hidden");
        is_fine(&browser);
    });
}

#[test]
fn conversations_far_below_go_on_too() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let alice = agent(&laptop, "alice");
        alice.run(&["agent", "register"]).exits(0);
        let ids = fills(&laptop, "test", 130);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.click("#tab-conversations");
        for count in [40, 80, 120] {
            has_conversations(&browser, count);
            if count < 120 {
                browser.click("#more-conversations");
            }
        }
        let conversation = |at: usize| format!("#conversations [data-thread='{}']", ids[at]);
        browser.shows(&conversation(10), "unread");
        alice.run(&["read", &ids[10]]).exits(0);
        browser.shows(&format!("{} [data-delivery=read]", conversation(10)), "read");
        browser.shows_no(&conversation(10), "unread");
        agent(&laptop, "planner").run(&["delete", &ids[11]]).exits(0);
        browser.until(&format!("!document.querySelector(\"{}\")", conversation(11)));
        is_fine(&browser);
    });
}

#[test]
fn more_conversations_come_and_what_is_new_meanwhile_too() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        fills(&laptop, "test", 50);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens_with_faults(&browser, &ui);
        browser.click("#tab-conversations");
        has_conversations(&browser, 40);
        does(&browser, "faults.holds = 'conversation.list';");
        browser.click("#more-conversations");
        browser.until("faults.held.length === 1");
        let id = sends(&agent(&laptop, "planner"), "alice", "the newest");
        // By then it has been asked for conversations, too, or waits for the answer.
        browser.until(&format!("document.querySelector('{}') !== null", row(&id)));
        let asked = "faults.asked.filter((it) => it === 'conversation.list').length";
        let before = browser.script(&format!("return {asked};"), vec![]);
        does(&browser, "faults.held.shift()();");
        browser.until(&format!("{asked} > {before}"));
        does(&browser, "faults.release();");
        has_conversations(&browser, 51);
        browser.shows("#conversations li:first-child", "the newest");
        browser.shows("#conversations li:last-child", "number 0.");
        is_fine(&browser);
    });
}
