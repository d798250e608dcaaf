//! What a person does with the page: read, look for, look closer, and all of it by keyboard.

use tests::browser::{Key, Ui, sealed_in_browser};
use tests::harness::{
    Client, Daemon, OtherUser, SHORT, allow, eventually, holds, in_sync, paired_daemons, skip,
};

use crate::scene::{agent, is_fine, opens, opens_machine, row, sends, ui, works};

#[test]
fn what_was_read_is_marked_here_and_told_to_the_sender() {
    sealed_in_browser(|installed| {
        let (laptop, server) = paired_daemons();
        let planner = agent(&server, "planner");
        let alice = agent(&laptop, "alice");
        alice.run(&["agent", "register"]).exits(0);
        eventually(SHORT, || server.has_agent("alice"));
        let ids: Vec<_> =
            (0..5).map(|number| sends(&planner, "alice", &format!("number {number}"))).collect();
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.until("document.querySelectorAll('#feed [data-unread=yes]').length === 5");
        browser.until("document.title.includes('5')");
        let unread = || alice.run(&["inbox", "--count"]).exits(0).stdout;
        assert_eq!(unread(), "5\n", "shown is not read");

        browser.click(&format!("{} [data-action=mark-read]", row(&ids[4])));
        browser
            .until(&format!("document.querySelector('{}').dataset.unread === 'no'", row(&ids[4])));
        browser.until("document.title.includes('4')");
        assert_eq!(unread(), "4\n");
        browser.click("#mark-all-read");
        browser.until("!document.querySelector('#feed [data-unread=yes]')");
        browser.until("!/\\d/.test(document.title)");
        assert_eq!(unread(), "0\n");
        eventually(SHORT, || {
            let sent = planner.run(&["sent", "--json"]).exits(0).stdout;
            holds(sent.matches("\"page\"").count() >= 5, || sent)
        });
        // Read elsewhere is read here.
        sends(&planner, "alice", "one more");
        browser.shows("#feed [data-unread=yes] .text", "one more");
        eventually(SHORT, || {
            alice.run(&["inbox"]);
            holds(browser.count("#feed [data-unread=yes]") == 0, || "still unread".to_owned())
        });
        is_fine(&browser);
    });
}

#[test]
fn words_are_found_in_pages_and_the_conversation_opens() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        for number in 0..60 {
            sends(&planner, "coder", &format!("the lock order {number}"));
        }
        let id = sends(&planner, "coder", "a zebra");
        agent(&laptop, "coder").run(&["reply", &id, "where?"]).exits(0);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.fill("#search", "lock");
        browser.presses(Key::Enter);
        browser.until("document.querySelector('#details')?.dataset.kind === 'search'");
        browser.shows("#details [data-hit]", "lock order 59");
        let mut hits = browser.count("#details [data-hit]");
        assert!((10..60).contains(&hits), "{hits}");
        while hits < 60 {
            browser.click("#more-hits");
            browser.until(&format!(
                "document.querySelectorAll('#details [data-hit]').length > {hits}"
            ));
            hits = browser.count("#details [data-hit]");
        }
        assert_eq!(hits, 60);
        browser.shows("#details [data-hit]", "lock order 0");

        browser.fill("#search", "zebra");
        browser.presses(Key::Enter);
        browser.shows("#details [data-hit]", "a zebra");
        browser.click(&format!("#details [data-hit='{id}'] button, #details [data-hit='{id}'] a"));
        browser.until("document.querySelector('#details').dataset.kind === 'conversation'");
        browser.shows("#details article", "where?");

        browser.fill("#search", "nowhere");
        browser.presses(Key::Enter);
        browser.until("document.querySelector('#details').dataset.kind === 'search'");
        browser.until("document.querySelectorAll('#details [data-hit]').length === 0");
        is_fine(&browser);
    });
}

#[test]
fn system_events_are_shown_when_they_are_asked_for() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        planner.run(&["agent", "register"]).exits(0);
        sends(&planner, "coder", "hello");
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.shows("#feed .text", "hello");
        assert_eq!(browser.count("#feed [data-event]"), 0);
        browser.click("#system-events");
        browser.shows("#feed [data-event]", "planner joined");
        browser.shows("#feed .text", "hello");
        agent(&laptop, "tester").run(&["agent", "register"]).exits(0);
        browser.shows("#feed [data-event]", "tester joined");
        browser.click("#system-events");
        browser.until("!document.querySelector('#feed [data-event]')");
        browser.shows("#feed .text", "hello");
        is_fine(&browser);
    });
}

#[test]
fn a_delivery_is_shown_by_recipient_and_a_machine_by_what_doctor_says() {
    sealed_in_browser(|installed| {
        let (laptop, mut server) = paired_daemons();
        let planner = agent(&laptop, "planner");
        for (daemon, name) in [(&laptop, "reviewer"), (&server, "coder")] {
            agent(daemon, name).run(&["agent", "register"]).exits(0);
            eventually(SHORT, || laptop.has_agent(name));
        }
        in_sync(&[&laptop, &server]);
        let id = server.id();
        server.stop();
        let message = sends(&planner, "reviewer coder", "for both of you");
        agent(&laptop, "reviewer").run(&["inbox"]).exits(0);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.click(&format!("{} [data-delivery]", row(&message)));
        browser.until("document.querySelector('#details')?.dataset.kind === 'delivery'");
        browser.shows("#details [data-recipient=reviewer][data-state=read]", "by inbox");
        browser.shows("#details [data-recipient=coder][data-state=stored]", "server");
        // It goes on while the panel is open.
        server.start_again();
        browser.shows("#details [data-recipient=coder][data-state=there]", "there on server");
        agent(&server, "coder").run(&["inbox"]).exits(0);
        browser.shows("#details [data-recipient=coder][data-state=read]", "by inbox");
        browser.presses(Key::Escape);
        browser.until("!document.querySelector('#details')?.checkVisibility()");

        opens_machine(&browser, &format!("[data-machine={id}]"));
        browser.shows("#details [data-finding][data-status=ok]", "");
        browser.click("#details-close");
        browser.until("!document.querySelector('#details')?.checkVisibility()");
        opens_machine(&browser, "[data-state=this]");
        is_fine(&browser);
    });
}

#[test]
fn projects_and_conversations_are_told_apart() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        let other =
            Client::new(&laptop).env("THRUM_AGENT", "planner").env("THRUM_PROJECT", "other");
        let id = sends(&planner, "coder", "in test");
        agent(&laptop, "coder").run(&["reply", &id, "an answer"]).exits(0);
        sends(&other, "coder", "in other");
        let ui = Ui::start(&Client::new(&laptop), &["--as", "alice"]);
        let browser = installed.start();
        opens(&browser, &ui);
        browser.click("#projects [data-project='']");
        browser.shows("#feed .text", "in test");
        browser.shows("#feed .text", "in other");
        browser.click("#projects [data-project=other]");
        browser.shows_no("#feed .text", "in test");
        browser.shows("#feed .text", "in other");
        sends(&planner, "coder", "in test again");
        sends(&other, "coder", "in other again");
        browser.shows("#feed .text", "in other again");
        assert!(!browser.texts("#feed .text").concat().contains("in test"));
        browser.click("#projects [data-project=test]");
        browser.shows("#feed .text", "in test again");
        browser.click("#tab-conversations");
        browser.shows(&format!("#conversations [data-thread='{id}']"), "in test");
        browser.click(&format!(
            "#conversations [data-thread='{id}'] button, #conversations [data-thread='{id}'] a"
        ));
        browser.shows("#details[data-kind=conversation] article", "an answer");
        // It goes on while it is open.
        planner.run(&["reply", &id, "and one more"]).exits(0);
        browser.shows("#details article", "and one more");
        browser.click("#details-close");
        browser.click("#tab-messages");
        browser.shows("#feed .text", "in test again");
        is_fine(&browser);
    });
}

#[test]
fn all_of_it_goes_by_keyboard() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        works(&agent(&laptop, "coder"), &[]);
        let ids: Vec<_> =
            (0..5).map(|number| sends(&planner, "alice", &format!("number {number}"))).collect();
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.shows("#feed .text", "number 4");
        let focused = "document.activeElement.closest('[data-message]')?.dataset.message";

        browser.types("?");
        browser.until("document.querySelector('#help').open");
        browser.presses(Key::Escape);
        browser.until("!document.querySelector('#help').open");

        // To a message, and on to its neighbours.
        browser.types("k");
        browser.until(&format!("{focused} !== undefined"));
        for _ in 0..10 {
            browser.types("j");
        }
        browser.until(&format!("{focused} === '{}'", ids[4]));
        browser.types("k");
        browser.until(&format!("{focused} === '{}'", ids[3]));
        // A message that comes does not take the focus away.
        sends(&planner, "alice", "number 5");
        browser.shows("#feed .text", "number 5");
        browser.until(&format!("{focused} === '{}'", ids[3]));

        browser.presses(Key::Enter);
        browser.until("document.querySelector('#details').dataset.kind === 'conversation'");
        browser.presses(Key::Escape);
        browser.until("!document.querySelector('#details')?.checkVisibility()");
        browser.until(&format!("{focused} === '{}'", ids[3]));
        browser.types("r");
        browser.until("document.activeElement.id === 'reply-text'");
        browser.types("an answer, with / and ? and r in it");
        browser.presses(Key::CtrlEnter);
        browser.shows("#details article", "an answer, with / and ? and r in it");
        browser.presses(Key::Escape);

        browser.types("/");
        browser.until("document.activeElement.id === 'search'");
        browser.types("number");
        browser.presses(Key::Enter);
        browser.shows("#details [data-hit]", "number 5");
        browser.presses(Key::Escape);
        browser.until("!document.querySelector('#details')?.checkVisibility()");

        // Each control can be reached: the composer is one of them.
        let mut seen = Vec::new();
        for _ in 0..200 {
            browser.presses(Key::Tab);
            let at = browser.script("const it = document.activeElement; return it.id || it.dataset.action || it.tagName;", vec![]);
            let at = at.as_str().unwrap_or_default().to_owned();
            seen.push(at.clone());
            if at == "send" {
                break;
            }
        }
        assert!(seen.iter().any(|it| it == "to") && seen.iter().any(|it| it == "text"), "{seen:?}");
        browser.script("document.querySelector('#to').focus();", vec![]);
        browser.types("coder");
        browser.presses(Key::Escape);
        browser.script("document.querySelector('#text').focus();", vec![]);
        browser.types("by keyboard alone");
        browser.presses(Key::CtrlEnter);
        browser.shows("#feed .text", "by keyboard alone");
        is_fine(&browser);
    });
}

#[test]
fn without_a_name_the_page_is_for_reading() {
    sealed_in_browser(|installed| {
        let user = match OtherUser::new() {
            Ok(user) => user,
            Err(reason) => return skip(&reason),
        };
        let laptop = Daemon::start("laptop");
        let id = sends(&agent(&laptop, "planner"), "coder", "read me");
        allow(laptop.folder(), 0o755);
        allow(laptop.state(), 0o755);
        allow(&laptop.socket(), 0o666);
        let mut command = user.nameless_thrum(&Ui::WORDS);
        command.env("THRUM_SOCKET", laptop.socket()).env("THRUM_CONFIG", "/dev/null");
        let ui = Ui::of(command);
        let browser = installed.start();
        opens(&browser, &ui);
        browser.shows("#feed .text", "read me");
        browser.shows("#read-only", "--as");
        browser.click(&format!("{} .text", row(&id)));
        browser.shows("#details article", "read me");
        assert_eq!(
            browser.count("#feed [data-action=reply], #feed [data-action=mark-read]:not([hidden])"),
            0
        );
        is_fine(&browser);
    });
}
