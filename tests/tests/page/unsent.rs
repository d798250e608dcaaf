//! What the person has begun to write is not lost, and the focus not either.

use tests::browser::{Browser, Key, sealed_in_browser};
use tests::harness::Daemon;

use crate::scene::{agent, is_fine, opens, row, sends, ui};

/// Begins to answer a message with this text.
#[track_caller]
fn answers(browser: &Browser, id: &str, text: &str) {
    browser.click(&format!("{} [data-action=reply]", row(id)));
    browser.shows("#reply-target", text);
    // The field gets the focus once the conversation is there.
    browser.until("document.activeElement.id === 'reply-text'");
}

#[test]
fn an_answer_that_was_begun_is_there_again_and_told_when_the_session_ends() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        let [first, second] =
            ["the first one", "the second one"].map(|it| sends(&planner, "alice", it));
        let (mut ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        answers(&browser, &first, "the first one");
        browser.types("half an ans");
        // The first one leaves the field, the second one closes.
        browser.presses(Key::Escape);
        browser.until("document.activeElement.id === 'details-title'");
        browser.presses(Key::Escape);
        browser.until("!document.querySelector('#details').open");

        answers(&browser, &second, "the second one");
        browser.until("document.querySelector('#reply-text').value === ''");
        browser.types("another");
        answers(&browser, &first, "the first one");
        browser.until("document.querySelector('#reply-text').value === 'half an ans'");
        browser.types("wer");
        browser.click("#reply-send");
        browser.shows("#feed .text", "half an answer");
        browser.until("document.querySelector('#reply-text').value === ''");
        is_fine(&browser);

        ui.stop();
        browser.until("document.querySelector('#gate').dataset.reason === 'ended'");
        assert_eq!(browser.texts("#unsent-text"), ["another"]);
    });
}

#[test]
fn a_button_that_goes_leaves_the_focus_at_its_message() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let id = sends(&agent(&laptop, "planner"), "alice", "read me");
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.shows(&format!("{}[data-unread=yes] .text", row(&id)), "read me");
        browser.script("document.querySelector('#feed [data-action=mark-read]').focus();", vec![]);
        browser.presses(Key::Enter);
        browser.until("document.querySelector('#feed [data-message]').dataset.unread === 'no'");
        let focused = "document.activeElement.dataset.message";
        browser.until(&format!("{focused} === '{id}'"));
        is_fine(&browser);
    });
}
