//! What the panel shows stays right while it is open.

use serde_json::json;
use tests::browser::sealed_in_browser;
use tests::harness::{Daemon, SHORT, event_of, eventually, paired_daemons};
use thrum_api::Draft;
use thrum_api::local::{AppendParams, EventAppend};

use crate::faults::{does, gets_faults};
use crate::scene::{agent, is_fine, is_live, opens, row, sends, ui};

#[test]
fn a_deleted_message_goes_from_an_open_conversation_which_goes_on() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (planner, coder) = (agent(&laptop, "planner"), agent(&laptop, "coder"));
        let first = sends(&planner, "coder", "the parser is yours");
        let answer = coder.run(&["reply", &first, "mine, wrongly", "--json"]).exits(0).json();
        let answer = answer["event_id"].as_str().unwrap();
        let alone = sends(&planner, "coder", "an error");
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);

        // From the list it opens by its last message.
        browser.click("#tab-conversations");
        browser.click(&format!("#conversations [data-thread='{first}'] button"));
        browser.shows("#details article", "mine, wrongly");
        coder.run(&["delete", answer]).exits(0);
        browser.shows_no("#details article", "mine, wrongly");
        coder.run(&["reply", &first, "mine, since today"]).exits(0);
        browser.shows("#details article", "mine, since today");
        browser.shows("#details article", "the parser is yours");

        browser.click("#tab-messages");
        browser.click(&format!("{} .text", row(&alone)));
        browser.shows("#details article", "an error");
        planner.run(&["delete", &alone]).exits(0);
        browser.shows_no("#details article", "an error");
        browser.shows("#details .error", "was deleted by its sender");
        is_fine(&browser);
    });
}

#[test]
fn what_could_not_be_loaded_of_a_conversation_is_loaded_later() {
    sealed_in_browser(|installed| {
        let mut laptop = Daemon::start("laptop");
        let (planner, coder) = (agent(&laptop, "planner"), agent(&laptop, "coder"));
        let first = sends(&planner, "coder", "the parser is yours");
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.shows("#feed .text", "the parser is yours");
        laptop.stop();
        browser.until("document.querySelector('#live').dataset.live === 'no'");
        browser.click(&format!("{} .text", row(&first)));
        browser.shows("#details .error", "thrumd");
        laptop.start_again();
        is_live(&browser);
        browser.shows("#details article", "the parser is yours");
        browser.until("document.querySelector('#details .error').hidden");
        // What it could not load then is not a fault of the page.
        browser.complaints();

        gets_faults(&browser);
        does(&browser, "faults.loses = 'message.thread';");
        coder.run(&["reply", &first, "mine, since today"]).exits(0);
        browser.until("faults.asked.includes('message.thread')");
        does(&browser, "faults.loses = null;");
        browser.shows("#details article", "mine, since today");
        browser.until("document.querySelector('#banner').hidden");
        is_fine(&browser);
    });
}

#[test]
fn an_answer_that_comes_while_one_is_sent_leaves_the_conversation_whole() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (planner, coder) = (agent(&laptop, "planner"), agent(&laptop, "coder"));
        let first = sends(&planner, "coder", "the parser is yours");
        coder.run(&["reply", &first, "mine, since today"]).exits(0);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.click(&format!("{} .text", row(&first)));
        browser.shows("#details article", "mine, since today");
        gets_faults(&browser);
        does(&browser, "faults.holds = 'message.thread';");
        coder.run(&["reply", &first, "it has two parts"]).exits(0);
        browser.until("faults.held.length === 1");
        browser.fill("#reply-text", "thank you");
        browser.click("#reply-send");
        browser.shows("#reply .send-note", "Sent.");
        does(&browser, "faults.release();");
        browser.shows("#details article", "thank you");
        browser.until("document.querySelectorAll('#details article').length === 4");
        is_fine(&browser);
    });
}

/// A conversation with this many answers, and its first message.
fn long_conversation(daemon: &Daemon, answers: usize) -> String {
    let first = sends(&agent(daemon, "planner"), "coder", "the parser is yours");
    let of = json!({ "event_id": first, "origin_daemon": daemon.id() });
    let draft = |number: usize| {
        let body = json!({
            "from": "planner", "to": ["coder"], "text": format!("part {number}."),
            "reply_to": of, "thread": of,
        });
        Draft { event_type: "message.sent".to_owned(), ..event_of(&body) }
    };
    let events = (1..=answers).map(draft).collect();
    daemon.ask::<EventAppend>(AppendParams { events });
    first
}

#[test]
fn a_long_conversation_is_kept_right_above_and_counted_below() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        let first = long_conversation(&laptop, 280);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.click("#tab-conversations");
        browser.click(&format!("#conversations [data-thread='{first}'] button"));
        browser.shows("#details article", "part 280.");
        browser.click_with("#details .more", "From the first message");
        browser.shows("#details .more", "Show later messages (181)");
        browser.shows("#details-title", "Conversation of 281 messages");
        planner.run(&["reply", &first, "part 281."]).exits(0);
        browser.shows("#details .more", "Show later messages (182)");
        browser.shows("#details-title", "Conversation of 282 messages");

        browser.click_with("#details .more", "(182)");
        browser.click_with("#details .more", "(82)");
        browser.until("document.querySelectorAll('#details article').length === 282");
        browser.shows("#details article:first-child [data-delivery]", "coder was not seen yet");
        agent(&laptop, "coder").run(&["reply", &first, "mine, since today"]).exits(0);
        browser.shows("#details article", "mine, since today");
        browser.shows("#details article:first-child [data-delivery]", "answered");
        is_fine(&browser);
    });
}

#[test]
fn how_far_a_message_of_another_machine_got_here_goes_on_in_the_panel() {
    sealed_in_browser(|installed| {
        let (laptop, server) = paired_daemons();
        let coder = agent(&laptop, "coder");
        coder.run(&["agent", "register"]).exits(0);
        eventually(SHORT, || server.has_agent("coder"));
        let planner = agent(&server, "planner");
        let id = sends(&planner, "coder", "the parser is yours");
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.click(&format!("{} [data-delivery]", row(&id)));
        browser.shows("#details .note", "It was sent on server");
        browser.shows("#details [data-recipient=coder][data-state=there]", "there");
        coder.run(&["inbox"]).exits(0);
        browser.shows("#details [data-recipient=coder][data-state=read]", "by inbox");
        planner.run(&["delete", &id]).exits(0);
        browser.shows("#details .note", "It was deleted");
        assert_eq!(browser.count("#details [data-recipient]"), 0);
        is_fine(&browser);
    });
}
