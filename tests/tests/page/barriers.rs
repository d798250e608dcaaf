//! Nothing keeps a person out of the page who sees it otherwise or not at all, as far as axe-core can tell.

use tests::browser::{Browser, Key, sealed_in_browser};
use tests::harness::{SHORT, eventually, paired_daemons};

use crate::scene::{agent, is_fine, opens, opens_machine, row, sends, ui, works};

#[track_caller]
fn has_none(browser: &Browser, when: &str) {
    let mut barriers = browser.barriers();
    // Where the person's own colours are in force, axe-core reads those of the page.
    if when.contains("forced") {
        barriers.retain(|it| !it.contains("color-contrast"));
    }
    assert_eq!(barriers, Vec::<String>::new(), "{when}");
}

#[test]
fn axe_finds_nothing_in_any_view_look_or_width() {
    sealed_in_browser(|installed| {
        let (laptop, mut server) = paired_daemons();
        let (planner, tester) = (agent(&laptop, "planner"), agent(&server, "tester"));
        works(&planner, &["--task", "the parser"]);
        works(&tester, &["--question", "may I push?", "--state", "needs-you"]);
        agent(&server, "coder").run(&["agent", "register"]).exits(0);
        eventually(SHORT, || laptop.has_agent("coder"));
        let first = sends(&planner, "coder", "the parser is yours");
        sends(&planner, "alice", "for you, alice");
        eventually(SHORT, || {
            let ran = agent(&server, "coder").run(&["reply", &first, "mine"]);
            if ran.code == Some(0) { Ok(()) } else { Err(ran.stderr) }
        });
        let (ui, browser) = (ui(&laptop), installed.start());
        browser.open(&format!("{}/", ui.origin()));
        browser.until("document.querySelector('#gate')?.dataset.reason === 'no-token'");
        has_none(&browser, "without a token");
        browser.open("about:blank");
        opens(&browser, &ui);
        browser.shows("#feed .text", "mine");
        let machine = format!("[data-machine={}]", server.id());
        server.stop();
        sends(&planner, "coder", "are you there?");
        browser.shows(&format!("#machines {machine} .state"), "behind");

        for (look, scheme, forced) in
            [("light", "light", "none"), ("dark", "dark", "none"), ("forced", "dark", "active")]
        {
            browser.prefers(&[
                ("prefers-color-scheme", scheme),
                ("forced-colors", forced),
                ("prefers-reduced-motion", "reduce"),
            ]);
            for width in [1280, 360] {
                browser.resize(width, 800);
                let at = |view: &str| format!("{view}, {look}, {width} px");
                has_none(&browser, &at("the feed"));
                browser.click(&format!("{} [data-action=conversation]", row(&first)));
                browser.shows("#details article", "mine");
                has_none(&browser, &at("a conversation"));
                browser.presses(Key::Escape);
                browser.click(&format!("{} [data-delivery]", row(&first)));
                browser.until("document.querySelector('#details [data-recipient]') !== null");
                has_none(&browser, &at("a delivery"));
                browser.presses(Key::Escape);
                browser.fill("#search", "parser");
                browser.presses(Key::Enter);
                browser.shows("#details [data-hit]", "the parser");
                has_none(&browser, &at("what was found"));
                browser.click("#details-close");
                browser.click("#help-open");
                browser.until("document.querySelector('#help').open");
                has_none(&browser, &at("help"));
                browser.presses(Key::Escape);
                browser.until("!document.querySelector('#help').open");
                browser.click("#tab-conversations");
                browser.shows("#conversations [data-thread]", "the parser");
                has_none(&browser, &at("conversations"));
                browser.click("#tab-messages");
                browser.click("#system-events");
                browser.until("document.querySelector('#feed [data-event]') !== null");
                has_none(&browser, &at("events"));
                browser.click("#system-events");
                browser.until("document.querySelector('#feed [data-event]') === null");
            }
            browser.resize(1280, 800);
            opens_machine(&browser, &machine);
            has_none(&browser, &format!("a machine, {look}"));
            browser.click("#details-close");
        }
        is_fine(&browser);
    });
}
