//! What happens while the page is open is seen in it, and what the person writes there arrives.

use serde_json::Value;
use tests::browser::sealed_in_browser;
use tests::harness::{Client, Daemon, LONG, SHORT, converge, eventually, holds, paired_daemons};

use crate::scene::{agent, has_all_messages, is_fine, is_live, opens, row, sends, ui, works};

/// What an agent gets next.
#[track_caller]
fn gets(agent: &Client) -> Value {
    let got = agent.run(&["wait", "--timeout", "30s", "--json"]).exits(0).json();
    got["messages"][0].clone()
}

/// An agent of this daemon that all of these know.
#[track_caller]
fn known(daemon: &Daemon, name: &str, daemons: &[&Daemon]) -> Client {
    let agent = agent(daemon, name);
    agent.run(&["agent", "register"]).exits(0);
    for daemon in daemons {
        eventually(SHORT, || daemon.has_agent(name));
    }
    agent
}

#[test]
fn messages_both_ways_are_seen_with_how_far_they_get() {
    sealed_in_browser(|installed| {
        let (laptop, server) = paired_daemons();
        let (planner, coder) = (agent(&laptop, "planner"), known(&server, "coder", &[&laptop]));
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        let id = sends(&planner, "coder", "the parser is yours");
        let row = row(&id);
        browser.shows(&format!("{row} .text"), "the parser is yours");
        browser.shows(&format!("{row} .from"), "planner");
        browser.shows(&format!("{row} .to"), "coder");
        browser.shows(&format!("{row} [data-delivery=there]"), "there");
        coder.run(&["inbox"]).exits(0);
        browser.shows(&format!("{row} [data-delivery=read]"), "read");
        coder.run(&["reply", &id, "mine, since today"]).exits(0);
        browser.shows("#feed .text", "mine, since today");
        browser.shows(&format!("{row} [data-delivery=answered]"), "answered");

        // A second page, of another person on the other machine, sees the same.
        let there = crate::scene::ui(&server);
        browser.new_tab();
        opens(&browser, &there);
        for text in ["the parser is yours", "mine, since today"] {
            browser.shows("#feed .text", text);
        }
        sends(&planner, "coder", "and the lexer");
        browser.shows("#feed .text", "and the lexer");
        is_fine(&browser);
    });
}

#[test]
fn what_the_person_sends_and_answers_arrives_at_the_other_machine() {
    sealed_in_browser(|installed| {
        let (laptop, server) = paired_daemons();
        let coder = known(&server, "coder", &[&laptop]);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.fill("#to", "coder");
        browser.fill("#text", "may I look at it?");
        browser.click("#send");
        let got = gets(&coder);
        assert_eq!((&got["text"], &got["from"]), (&"may I look at it?".into(), &"alice".into()));
        browser.until("document.querySelector('#text').value === ''");
        browser.shows("#feed .text", "may I look at it?");

        let id = got["event_id"].as_str().unwrap();
        coder.run(&["reply", id, "yes, tomorrow"]).exits(0);
        browser.shows("#feed [data-unread=yes] .text", "yes, tomorrow");
        browser.until("document.title.includes('1')");
        browser.click_with("#feed [data-unread=yes] [data-action=reply]", "Reply");
        browser.shows("#details[data-kind=conversation] article", "may I look at it?");
        browser.fill("#reply-text", "thank you");
        browser.click("#reply-send");
        let got = gets(&coder);
        assert_eq!((&got["text"], &got["from"]), (&"thank you".into(), &"alice".into()));
        browser.shows("#details article", "thank you");
        let thread = coder.run(&["thread", id, "--json"]).exits(0).json();
        let texts: Vec<_> =
            thread["messages"].as_array().unwrap().iter().map(|it| it["text"].as_str()).collect();
        assert_eq!(texts, ["may I look at it?", "yes, tomorrow", "thank you"].map(Some));
        is_fine(&browser);
    });
}

#[test]
fn a_name_that_nobody_has_is_asked_about_and_the_text_stays() {
    sealed_in_browser(|installed| {
        let (laptop, server) = paired_daemons();
        let coder = known(&server, "coder", &[&laptop]);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.fill("#to", "codr");
        browser.fill("#text", "is it done?");
        browser.click("#send");
        browser.shows("#composer .send-error", "codr");
        browser.until("document.querySelector('#text').value === 'is it done?'");
        browser.click("#composer [data-suggest=coder]");
        browser.until("document.querySelector('#to').value.includes('coder')");
        browser.click("#send");
        let got = gets(&coder);
        assert_eq!(got["text"], "is it done?");
        browser.until("document.querySelector('#text').value === ''");
        // Nothing comes any more: while there is something that thrumd has not indexed, it takes every name.
        let row = row(got["event_id"].as_str().unwrap());
        browser.until(&format!("document.querySelector('{row} [data-delivery=read]') !== null"));

        // It may be one who comes later.
        browser.fill("#to", "codr");
        browser.fill("#text", "for whoever comes");
        browser.click("#send");
        browser.click("#composer [data-action=send-anyway]");
        browser.shows("#feed .text", "for whoever comes");
        assert_eq!(gets(&agent(&server, "codr"))["text"], "for whoever comes");
        is_fine(&browser);
    });
}

#[test]
fn who_needs_the_person_comes_first_and_is_in_the_title() {
    sealed_in_browser(|installed| {
        let (laptop, server) = paired_daemons();
        let (coder, tester) = (agent(&laptop, "coder"), agent(&server, "tester"));
        works(&coder, &["--task", "the parser"]);
        works(&tester, &["--task", "the tests"]);
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        browser.until("document.querySelectorAll('#agents [data-state=working]').length === 2");
        let (title, icon) = (browser.title(), browser.attribute("#favicon", "href"));
        assert!(!title.contains('1'), "{title}");
        tester.run(&["session", "update", "--question", "may I push to main?"]).exits(0);
        browser.shows(
            "#agents li:first-child[data-agent=tester][data-state=needs_you] .question",
            "may I push",
        );
        browser.shows("#summary", "1 agent needs you");
        browser.until("document.title.includes('1')");
        assert_ne!(browser.attribute("#favicon", "href"), icon);
        browser.shows("#announce", "tester");

        tester.run(&["session", "update", "--state", "working"]).exits(0);
        browser.until("!document.querySelector('#agents [data-state=needs_you]')");
        browser.until("!document.title.includes('1')");
        assert_eq!((browser.title(), browser.attribute("#favicon", "href")), (title, icon));
        is_fine(&browser);
    });
}

#[test]
fn a_machine_that_stops_is_behind_with_the_reason_and_comes_back() {
    sealed_in_browser(|installed| {
        let (laptop, mut server) = paired_daemons();
        let (planner, coder) = (agent(&laptop, "planner"), known(&server, "coder", &[&laptop]));
        let (ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        let machine = format!("#machines [data-machine={}]", server.id());
        browser.shows(&format!("{machine}[data-state=in_sync] .state"), "in sync");
        server.stop();
        let ids: Vec<_> =
            ["one", "two", "three"].iter().map(|text| sends(&planner, "coder", text)).collect();
        // By the messages, and by what came with them: who sent them is new.
        browser.shows(&format!("{machine} .state"), " behind");
        browser.until(&format!("document.querySelector('{machine} .why').textContent.length > 10"));
        browser.shows("#summary", "1 behind");
        let counts_what_it_lacks = || {
            let lacks = laptop.status().peers[0].they_lack.expect("it was sent something");
            browser.shows(&format!("{machine} .state"), &format!("{lacks} behind"));
        };
        counts_what_it_lacks();
        // No message: only the machine's line shows them.
        laptop.append(["a fact", "another"]);
        counts_what_it_lacks();
        browser.shows(&format!("{} [data-delivery=stored]", row(&ids[2])), "server");

        server.start_again();
        browser.shows(&format!("{machine}[data-state=in_sync] .state"), "in sync");
        for id in &ids {
            browser.shows(&format!("{} [data-delivery=there]", row(id)), "there");
        }
        browser.until("!document.querySelector('#summary').textContent.includes('behind')");
        coder.run(&["inbox"]).exits(0);
        browser.shows(&format!("{} [data-delivery=read]", row(&ids[0])), "read");
        is_fine(&browser);
    });
}

#[test]
fn a_restart_of_thrumd_is_told_and_leaves_no_gap() {
    sealed_in_browser(|installed| {
        let (mut laptop, server) = paired_daemons();
        let (planner, coder) = (agent(&laptop, "planner"), known(&server, "coder", &[&laptop]));
        let (ui, browser) = (ui(&laptop), installed.start());
        sends(&planner, "coder", "before it opened");
        opens(&browser, &ui);
        browser.shows("#feed .text", "before it opened");
        for round in 0..3 {
            if round == 1 {
                laptop.kill()
            } else {
                laptop.stop();
            }
            browser.until("document.querySelector('#live').dataset.live === 'no'");
            browser.shows("#banner", "Not live since");
            for number in 0..20 {
                sends(&coder, "planner", &format!("meanwhile {round}.{number}"));
            }
            laptop.start_again();
            is_live(&browser);
            browser.shows_no("#banner", "Not live since");
            converge(LONG, &[&laptop, &server]);
            sends(&planner, "coder", &format!("again {round}"));
            browser.shows("#feed .text", &format!("again {round}"));
            has_all_messages(&browser, &laptop);
        }
        // What it could not load then is not a fault of the page.
        browser.complaints();
        sends(&coder, "planner", "the last one");
        browser.shows("#feed .text", "the last one");
        is_fine(&browser);
    });
}

#[test]
fn a_log_that_was_replaced_is_read_from_its_beginning() {
    sealed_in_browser(|installed| {
        let mut laptop = Daemon::start("laptop");
        let planner = agent(&laptop, "planner");
        let (ui, browser) = (ui(&laptop), installed.start());
        for number in 0..10 {
            sends(&planner, "alice", &format!("old {number}"));
        }
        opens(&browser, &ui);
        browser.shows("#feed .text", "old 9");
        laptop.stop();
        laptop.delete_database();
        laptop.start_again();
        sends(&planner, "alice", "new 0");
        browser.shows("#feed .text", "new 0");
        browser.shows_no("#feed .text", "old");
        has_all_messages(&browser, &laptop);
    });
}

#[test]
fn the_end_of_thrum_ui_is_told() {
    sealed_in_browser(|installed| {
        let laptop = Daemon::start("laptop");
        let (mut ui, browser) = (ui(&laptop), installed.start());
        opens(&browser, &ui);
        ui.stop();
        eventually(SHORT, || {
            let told = browser.texts("#banner, #gate[data-reason=ended]").join(" ");
            holds(told.contains("thrum ui"), || told)
        });
    });
}
