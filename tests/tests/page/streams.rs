//! The stream of changes of a page, with something between the browser and `thrum ui`, as with `ssh -L`.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::browser::{Browser, Ui, sealed_in_browser};
use tests::harness::{Daemon, SHORT, eventually, holds};

use crate::scene::{agent, has_all_messages, is_fine, is_live, sends, ui};

/// Longer than a page waits for a sign of life, and then for a new stream.
const NOTICED: Duration = Duration::from_secs(150);

/// Passes everything on, and can let streams of changes die without a word.
#[derive(Clone)]
struct Relay {
    own: String,
    ui: String,
    streams: Arc<AtomicUsize>,
    is_dead: Arc<AtomicBool>,
}

impl Relay {
    fn before(ui: &Ui) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            own: listener.local_addr().unwrap().to_string(),
            ui: format!("127.0.0.1:{}", ui.port()),
            streams: Arc::default(),
            is_dead: Arc::default(),
        };
        let serving = relay.clone();
        std::thread::spawn(move || {
            for browser in listener.incoming().map_while(Result::ok) {
                let relay = serving.clone();
                std::thread::spawn(move || relay.pass(browser));
            }
        });
        relay
    }

    fn pass(&self, mut browser: TcpStream) {
        // It may have ended.
        let Ok(mut ui) = TcpStream::connect(&self.ui) else { return };
        let (mut from_ui, mut to_browser) = (ui.try_clone().unwrap(), browser.try_clone().unwrap());
        let is_stream = Arc::new(AtomicBool::new(false));
        let (relay, streams) = (self.clone(), is_stream.clone());
        let back = std::thread::spawn(move || {
            let (mut block, mut is_dead) = ([0; 16 * 1024], false);
            while let Ok(count @ 1..) = from_ui.read(&mut block) {
                let streams = streams.load(Ordering::SeqCst);
                // Once dead, for ever: who wants one asks again.
                is_dead |= streams && relay.is_dead.load(Ordering::SeqCst);
                if !is_dead && to_browser.write_all(&block[..count]).is_err() {
                    break;
                }
            }
            let _closed = to_browser.shutdown(Shutdown::Both);
        });
        let mut block = [0; 16 * 1024];
        while let Ok(count @ 1..) = browser.read(&mut block) {
            // The page is at the relay's address for the browser, and at its own one for `thrum ui`.
            let text = String::from_utf8_lossy(&block[..count]).replace(&self.own, &self.ui);
            if text.starts_with("GET /changes ") && !is_stream.swap(true, Ordering::SeqCst) {
                self.streams.fetch_add(1, Ordering::SeqCst);
            }
            if ui.write_all(text.as_bytes()).is_err() {
                break;
            }
        }
        let _closed = ui.shutdown(Shutdown::Both);
        back.join().unwrap();
        if is_stream.load(Ordering::SeqCst) {
            self.streams.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn opens(&self, browser: &Browser, ui: &Ui) {
        browser.open(&ui.address().replace(&self.ui, &self.own));
        is_live(browser);
    }

    #[track_caller]
    fn has_streams(&self, count: usize) {
        eventually(SHORT, || {
            let now = self.streams.load(Ordering::SeqCst);
            holds(now == count, || format!("{now} streams"))
        });
    }
}

#[test]
fn a_stream_that_dies_without_a_word_is_noticed_and_leaves_no_gap() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (ui, browser) = (ui(&laptop), installed.start());
        let relay = Relay::before(&ui);
        sends(&agent(&laptop, "planner"), "alice", "before");
        relay.opens(&browser, &ui);
        browser.shows("#feed .text", "before");
        relay.is_dead.store(true, Ordering::SeqCst);
        sends(&agent(&laptop, "planner"), "alice", "meanwhile");
        // First it asks for a new one, which is as dead.
        eventually(NOTICED, || {
            let live = browser.attribute("#live", "data-live");
            holds(live.as_deref() == Some("no"), || format!("{live:?}"))
        });
        relay.is_dead.store(false, Ordering::SeqCst);
        eventually(NOTICED, || {
            let live = browser.attribute("#live", "data-live");
            holds(live.as_deref() == Some("yes"), || format!("{live:?}"))
        });
        browser.shows("#feed .text", "meanwhile");
        sends(&agent(&laptop, "planner"), "alice", "after");
        browser.shows("#feed .text", "after");
        has_all_messages(&browser, &laptop);
        relay.has_streams(1);
    });
}

/// Goes to a tab as a person does: the others are hidden.
fn looks_at(browser: &Browser, tab: &str) {
    browser.go_to_tab(tab);
    browser.devtools("Page.bringToFront", json!({}));
}

#[test]
fn tabs_share_one_stream_and_the_next_one_takes_it_over() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (ui, browser) = (ui(&laptop), installed.start());
        let relay = Relay::before(&ui);
        let planner = agent(&laptop, "planner");
        relay.opens(&browser, &ui);
        let first = browser.tab();
        // As a duplicated tab, it has the session.
        browser.script("window.open(location.pathname);", vec![]);
        let second = eventually(SHORT, || {
            let others: Vec<_> = browser.tabs().into_iter().filter(|it| *it != first).collect();
            others.first().cloned().ok_or_else(|| "no other tab".to_owned())
        });
        looks_at(&browser, &second);
        is_live(&browser);
        sends(&planner, "alice", "to both");
        browser.shows("#feed .text", "to both");
        looks_at(&browser, &first);
        browser.shows("#feed .text", "to both");
        relay.has_streams(1);
        is_fine(&browser);
        // The one that reads it leaves the page.
        browser.open("about:blank");
        looks_at(&browser, &second);
        sends(&planner, "alice", "to the one that stays");
        browser.shows("#feed .text", "to the one that stays");
        is_live(&browser);
        relay.has_streams(1);
    });
}
