//! Text of others is text: whatever it says, in whatever name, nothing of it runs and nothing of the page moves.

use serde_json::json;
use tests::browser::{Browser, InstalledBrowser, Key, Ui, sealed_in_browser};
use tests::harness::{Client, Daemon, SHORT, Setup, eventually, holds, in_sync, pair};
use thrum_api::limits::MESSAGE_TEXT_MAX_BYTES;
use thrum_api::local::{AppendParams, EventAppend};

use crate::scene::{agent, is_fine, opens, opens_machine, row, sends, works};

const MARKUP: &str = "<script>window.__ran='script'</script><img src=x onerror=\"window.__ran='img'\">\
    <svg onload=\"window.__ran='svg'\"></svg><a href=\"javascript:window.__ran='link'\">click</a>\
    <style>body{display:none}</style></textarea></title>{{7*7}}${7*7}";
/// As short as a name has to be.
const MARKUP_NAME: &str = "<img src=x onerror='__ran=1'><script>__ran=2</script>";
/// Turns the rest around, hides letters, moves the cursor.
const INVISIBLE: &str =
    "safe \u{202e}gpj.exe \u{2066}iso \u{200b}zero\u{ad}soft \u{1b}[2J\u{7} \u{feff}end";
/// A name of letters alone that is read from the right, as long as a name may be.
const HEBREW: &str = "\u{5d0}\u{5d1}\u{5d2}\u{5d3}";

/// Widths of a phone, of a laptop and of a large screen.
const WIDTHS: [u32; 4] = [360, 768, 1280, 2560];

/// Checks that nothing ran, nothing was built out of text, nothing invisible is left in what is shown, and that the page
/// is no wider than its window.
#[track_caller]
fn holds_still(browser: &Browser, when: &str) {
    assert_eq!(browser.script("return window.__ran ?? null;", vec![]), json!(null), "{when}");
    let built = "#app :is(img, iframe, style, object, embed, [onerror], [onload], a[href^='javascript']), #app script";
    assert_eq!(browser.count(built), 0, "{when}");
    let hidden = browser.script(
        "return document.body.innerText.match(/[\\u202a-\\u202e\\u2066-\\u2069\\u200b\\u001b\\u0007\\ufeff]/u)?.index ?? null;",
        vec![],
    );
    assert_eq!(hidden, json!(null), "{when}: an invisible character is shown as it is");
    is_as_wide_as_its_window(browser, when);
}

/// What sticks out of the window, unless something around it cuts it off.
const OUTSIDE: &str = "
const isOut = (it) => it.getBoundingClientRect().right > innerWidth + 1;
// What is placed absolutely is cut by what it is placed in alone.
const isCut = (it) => {
  let isAbsolute = getComputedStyle(it).position === 'absolute';
  for (let at = it.parentElement; at; at = at.parentElement) {
    const { overflowX, position } = getComputedStyle(at);
    if (isAbsolute && position === 'static') continue;
    if (overflowX !== 'visible' && !isOut(at)) return true;
    isAbsolute = position === 'absolute';
  }
  return false;
};
const outside = [...document.querySelectorAll('#app *')]
  .filter((it) => it.checkVisibility() && isOut(it) && !isCut(it));
return [document.scrollingElement.scrollWidth - innerWidth, outside.slice(0, 3).map((it) => it.outerHTML.slice(0, 300))];";

#[track_caller]
fn is_as_wide_as_its_window(browser: &Browser, when: &str) {
    for width in WIDTHS {
        browser.resize(width, 800);
        // A panel may still be moving to its place.
        eventually(SHORT, || {
            let wide = browser.try_script(OUTSIDE, vec![])?;
            holds(wide == json!([0, []]), || format!("{when}, at {width} px, too wide: {wide}"))
        });
    }
    browser.resize(1280, 800);
}

/// Two machines with names of markup, in a project of markup, with agents of long names.
struct Hostile {
    laptop: Daemon,
    server: Daemon,
    long: String,
}

impl Hostile {
    fn new() -> Self {
        let laptop = Setup::new("laptop").start();
        let server = Setup::new(MARKUP_NAME).start();
        pair(&laptop, &server);
        Self { laptop, server, long: "W".repeat(128) }
    }

    fn client(daemon: &Daemon, name: &str) -> Client {
        agent(daemon, name).env("THRUM_PROJECT", MARKUP_NAME)
    }

    /// The page of a person of that project.
    fn opened(&self, installed: &InstalledBrowser) -> (Ui, Browser) {
        let client = Client::new(&self.laptop).env("THRUM_PROJECT", MARKUP_NAME);
        let ui = Ui::start(&client, &["--as", "alice"]);
        let browser = installed.start();
        opens(&browser, &ui);
        (ui, browser)
    }
}

#[test]
fn markup_and_invisible_characters_in_a_message_are_shown_as_text() {
    sealed_in_browser(|installed| {
        let hostile = Hostile::new();
        let planner = Hostile::client(&hostile.server, "planner");
        let alice = Hostile::client(&hostile.laptop, "alice");
        alice.run(&["agent", "register"]).exits(0);
        let (_ui, browser) = hostile.opened(installed);
        let ids = [MARKUP, INVISIBLE, HEBREW, "javascript:alert(1)"].map(|text| {
            let id = sends(&planner, "alice", text);
            eventually(SHORT, || {
                let shown = browser.texts(&format!("{} .text", row(&id)));
                shown.first().map(drop).ok_or_else(|| format!("{text:?} is not there yet"))
            });
            id
        });
        browser.shows(&format!("{} .text", row(&ids[0])), &MARKUP.replace("  ", " "));
        let shown = &browser.texts(&format!("{} .text", row(&ids[1])))[0];
        for escaped in
            ["\\u{202e}", "\\u{2066}", "\\u{200b}", "\\u{ad}", "\\u{1b}", "\\u{7}", "\\u{feff}"]
        {
            assert!(shown.contains(escaped), "{escaped} in {shown}");
        }
        holds_still(&browser, "in the feed");

        // In each other place that shows a text.
        browser.click(&format!("{} [data-action=conversation]", row(&ids[0])));
        browser.shows("#details article", "<script>");
        holds_still(&browser, "in a conversation");
        browser.fill("#search", "script");
        browser.presses(Key::Enter);
        browser.shows("#details [data-hit]", "<script>");
        holds_still(&browser, "among what was found");
        browser.click("#details-close");
        browser.click("#tab-conversations");
        browser.shows("#conversations [data-thread]", "<script>");
        holds_still(&browser, "in the list of conversations");
        browser.click("#tab-messages");
        browser.click("#system-events");
        browser.shows("#feed [data-event]", "joined");
        holds_still(&browser, "among events");
        is_fine(&browser);
    });
}

#[test]
fn markup_in_each_name_is_shown_as_text() {
    sealed_in_browser(|installed| {
        let hostile = Hostile::new();
        let server = &hostile.server;
        for name in [hostile.long.as_str(), &HEBREW.repeat(32), "tester"] {
            let asking = Hostile::client(server, name);
            asking.run(&["agent", "register", "--about", MARKUP]).exits(0);
            works(
                &asking,
                &[
                    "--id",
                    name,
                    "--tool",
                    MARKUP_NAME,
                    "--task",
                    MARKUP,
                    "--branch",
                    MARKUP_NAME,
                    "--folder",
                    MARKUP_NAME,
                    "--state",
                    "needs-you",
                    "--question",
                    MARKUP,
                ],
            );
        }
        // As long as they may be: with no place to break, and with many.
        let many = format!("{} {INVISIBLE} {}", "X".repeat(240), "y ".repeat(90));
        let odd = Hostile::client(server, "odd");
        works(&odd, &["--id", "odd", "--task", &many, "--state", "needs-you", "--question", &many]);
        Hostile::client(server, "tester")
            .run(&["group", "add", &"g".repeat(128), "tester", &hostile.long])
            .exits(0);
        // What no program of ours would write.
        let body = json!({ "anything": MARKUP, "agent": MARKUP, "deep": { "er": INVISIBLE } });
        for kind in [
            "test.note",
            "agent.joined",
            "agent.sessions",
            "group.changed",
            "message.deleted",
            "message.receipts",
        ] {
            let draft = thrum_api::Draft {
                event_id: None,
                event_type: kind.to_owned(),
                project: Some(MARKUP_NAME.to_owned()),
                body: serde_json::value::to_raw_value(&body).unwrap(),
            };
            server.ask::<EventAppend>(AppendParams { events: vec![draft] });
        }
        in_sync(&[&hostile.laptop, server]);
        let message = sends(
            &Hostile::client(&hostile.laptop, &hostile.long),
            &format!("{} {}", hostile.long, HEBREW.repeat(32)),
            "to long names",
        );
        let (_ui, browser) = hostile.opened(installed);
        browser.shows("#agents [data-agent=tester] .question", "<script>");
        browser.shows("#machines", "<img src=x");
        browser.shows("#projects", "<img src=x");
        browser.shows("#feed .text", "to long names");
        holds_still(&browser, "on the left");

        browser.click("#agents [data-agent=tester] button");
        browser.until("document.querySelector('#details')?.dataset.kind === 'agent'");
        browser.shows("#details", "<img src=x");
        holds_still(&browser, "at an agent");
        browser.click("#details-close");
        opens_machine(&browser, &format!("[data-machine={}]", server.id()));
        browser.shows("#details #details-title", "<img src=x");
        holds_still(&browser, "at a machine");
        browser.click("#details-close");
        browser.click(&format!("{} [data-delivery]", row(&message)));
        browser.until("document.querySelectorAll('#details [data-recipient]').length >= 2");
        holds_still(&browser, "at a delivery");
        browser.click("#details-close");
        browser.click("#system-events");
        browser.shows("#feed [data-type='test.note']", "<script>");
        holds_still(&browser, "among events");
        is_fine(&browser);
    });
}

#[test]
fn a_text_that_is_as_long_as_one_may_be_is_cut_until_it_is_asked_for() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        let ui = Ui::start(&Client::new(&laptop), &["--as", "alice"]);
        let browser = installed.start();
        opens(&browser, &ui);
        let texts = [
            "W".repeat(MESSAGE_TEXT_MAX_BYTES),
            "l\n".repeat(MESSAGE_TEXT_MAX_BYTES / 2 - 1) + "x",
            // Each of them is escaped to several.
            "\u{202e}".repeat(MESSAGE_TEXT_MAX_BYTES / 3),
            // A tower of accents.
            "a".to_owned() + &"\u{301}".repeat(MESSAGE_TEXT_MAX_BYTES / 2 - 1),
        ];
        for text in &texts {
            let sent = planner.run_with(&["send", "--anyway", "--json", "alice", "-"], text);
            let id = sent.exits(0).json()["event_id"].as_str().unwrap().to_owned();
            browser.until(&format!(
                "document.querySelector('{} .text')?.textContent.length > 10",
                row(&id)
            ));
            let length = |selector: &str| {
                let length = browser.script(
                    "return document.querySelector(arguments[0]).textContent.length;",
                    vec![json!(selector)],
                );
                length.as_u64().unwrap() as usize
            };
            let shown = length(&format!("{} .text", row(&id)));
            assert!(shown < 20_000, "{shown} characters at once");
            holds_still(&browser, "with a long text that is cut");
            browser.click(&format!("{} [data-action=show-all]", row(&id)));
            let all = text.chars().count();
            browser.until(&format!(
                "document.querySelector('{} .text').textContent.length >= {all}",
                row(&id)
            ));
            holds_still(&browser, "with a long text");
        }
        is_fine(&browser);
    });
}
