//! What the panel shows stays right while it is open.

use tests::browser::sealed_in_browser;
use tests::harness::Daemon;

use crate::scene::{agent, is_fine, opens, row, sends, ui};

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
