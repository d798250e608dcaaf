//! A log of 200,000 messages: the page opens at its end, pages back and forth, and stays as small as it is.

use serde_json::{Value, json};
use tests::browser::{Browser, sealed_in_browser};
use tests::harness::{Daemon, LONG, SHORT, Setup, event_of, eventually, holds};
use thrum_api::limits::APPEND_MAX_EVENTS;
use thrum_api::local::{AppendParams, EventAppend, MessageList, MessageListParams};

use crate::scene::{agent, is_fine, opens, sends, ui};

const MESSAGES: usize = 200_000;
/// Rows that are in the page at most, with what comes while one reads.
const ROWS_MAX: u64 = 320;

/// Moves the feed to its beginning or its end, as a wheel does.
const SCROLL: &str = "
let it = document.querySelector('#feed');
while (it && !(it.scrollHeight > it.clientHeight + 1 && getComputedStyle(it).overflowY !== 'visible')) it = it.parentElement;
it ??= document.scrollingElement;
it.scrollTop = arguments[0] === 'up' ? 0 : it.scrollHeight;";

fn filled() -> Daemon {
    let daemon = Setup::new("laptop").env("THRUM_LOG", "warn").start();
    let draft = |number: usize| {
        let body = json!({
            "from": if number.is_multiple_of(2) { "planner" } else { "coder" }, "to": ["reviewer"],
            "text": format!("message {number}: {}", "words of a usual length ".repeat(number % 7)),
        });
        thrum_api::Draft { event_type: "message.sent".to_owned(), ..event_of(&body) }
    };
    for first in (0..MESSAGES).step_by(APPEND_MAX_EVENTS) {
        let events = (first..(first + APPEND_MAX_EVENTS).min(MESSAGES)).map(draft).collect();
        daemon.ask::<EventAppend>(AppendParams { events });
    }
    // Until its views have read the log.
    let params = || MessageListParams { limit: Some(1), ..MessageListParams::default() };
    eventually(LONG * 3, || {
        let page =
            daemon.call_within::<MessageList>(params(), LONG).map_err(|error| error.to_string())?;
        holds(page.read_seq.0 >= MESSAGES as u64, || format!("{} are read", page.read_seq))
    });
    daemon
}

/// The numbers of the messages in the page, which must follow one another.
fn numbers(browser: &Browser) -> Result<(u64, u64, u64), String> {
    let numbers = browser.try_script(
        "return [...document.querySelectorAll('#feed [data-message] .text')]
          .map((it) => Number(/^message (\\d+)/u.exec(it.textContent)?.[1] ?? NaN)).filter((it) => !isNaN(it));",
        vec![],
    )?;
    let numbers: Vec<u64> =
        numbers.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let gap = numbers.windows(2).find(|two| two[0] + 1 != two[1]);
    holds(gap.is_none(), || format!("{gap:?} follow one another"))?;
    let (first, last) = (numbers.first(), numbers.last());
    Ok((*first.ok_or("no message")?, *last.ok_or("no message")?, numbers.len() as u64))
}

/// Scrolls until the page begins before what it began with, or ends after what it ended with.
#[track_caller]
fn pages(browser: &Browser, direction: &str, from: u64) -> u64 {
    eventually(SHORT, || {
        browser.try_script(SCROLL, vec![json!(direction)])?;
        let (first, last, rows) = numbers(browser)?;
        assert!(rows <= ROWS_MAX, "{rows} rows");
        let at = if direction == "up" { first } else { last };
        let moved = if direction == "up" { at < from } else { at > from };
        holds(moved, || format!("still at {at}")).map(|()| at)
    })
}

#[test]
fn two_hundred_thousand_messages_are_paged_through_in_a_page_that_stays_small() {
    sealed_in_browser(|installed| {
        let laptop = filled();
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        let newest = MESSAGES as u64 - 1;
        browser.shows("#feed .text", &format!("message {newest}:"));
        let mut first = eventually(SHORT, || numbers(&browser)).0;
        for _ in 0..10 {
            first = pages(&browser, "up", first);
        }
        let (early, elements) = (browser.heap_bytes(), browser.count("*"));
        for _ in 0..60 {
            first = pages(&browser, "up", first);
        }
        assert!(first < newest - 2_000, "{first}");
        let (late, elements_late) = (browser.heap_bytes(), browser.count("*"));
        println!(
            "heap {early} bytes after 10 pages, {late} after 70; {elements} elements, then {elements_late}"
        );
        assert!(late < early + 4 * 1024 * 1024, "{early} bytes grew to {late}");
        assert!(late < 40 * 1024 * 1024, "{late} bytes");
        assert!(elements_late < elements * 3 / 2, "{elements} elements, then {elements_late}");

        // What comes meanwhile does not move what is read.
        assert_eq!(browser.texts("#new-messages"), ["To the newest"]);
        sends(&agent(&laptop, "planner"), "reviewer", "a new one");
        browser.shows("#new-messages", "New messages below");
        let mut last = numbers(&browser).unwrap().1;
        for _ in 0..5 {
            last = pages(&browser, "down", last);
        }
        browser.click("#new-messages");
        browser.shows("#feed .text", "a new one");
        browser.shows("#feed .text", &format!("message {newest}:"));
        assert!(browser.count("#feed [data-message]") <= ROWS_MAX);
        sends(&agent(&laptop, "planner"), "reviewer", "one more");
        browser.shows("#feed .text", "one more");
        is_fine(&browser);
    });
}
