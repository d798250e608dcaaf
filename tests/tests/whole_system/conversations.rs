//! Conversations as people and scripts have them: by short ids, in threads, with answers that are waited for.

use std::process::Stdio;

use serde_json::Value;
use tests::harness::{
    Client, Daemon, LONG, SHORT, Terminal, converge, eventually, holds, paired_daemons,
};

/// The client of an agent.
fn agent(daemon: &Daemon, name: &str) -> Client {
    Client::new(daemon).env("THRUM_AGENT", name)
}

/// Sends a message and answers its id.
#[track_caller]
fn sends(client: &Client, to: &str, text: &str) -> String {
    let sent = client.run(&["send", to, text, "--json"]).exits(0).json();
    sent["event_id"].as_str().unwrap().to_owned()
}

/// What people type for an id.
fn short(id: &str) -> &str {
    &id[id.len() - 6..]
}

/// The members of these names in an array of objects.
fn column<'a>(array: &'a Value, name: &str) -> Vec<&'a str> {
    array.as_array().unwrap().iter().map(|it| it[name].as_str().unwrap_or_default()).collect()
}

#[test]
fn a_conversation_goes_over_two_machines_by_the_ids_that_are_shown() {
    let (laptop, server) = paired_daemons();
    let (planner, coder) = (agent(&laptop, "planner"), agent(&server, "coder"));
    let asked = sends(&planner, "coder", "is the lock order right?");
    let shown = coder.run(&["wait", "--timeout", "20s"]).exits(0).stdout;
    assert!(shown.starts_with(&format!("* {} planner on laptop", short(&asked))), "{shown}");

    // Whoever reads "7QX2AB" types it, in whatever case.
    let replied = coder.run(&["reply", &short(&asked).to_lowercase(), "- yes\n- but slow"]);
    replied.exits(0);
    let answer = planner.run(&["wait", "--timeout", "20s", "--json"]).exits(0).json();
    let answer = &answer["messages"][0];
    assert_eq!(answer["text"], "- yes\n- but slow");
    assert_eq!(answer["reply_to"]["event_id"], asked.as_str());
    assert_eq!(answer["to"], serde_json::json!(["planner@laptop"]), "{answer}");

    let id = answer["event_id"].as_str().unwrap();
    planner.run(&["reply", short(id), "then leave it"]).exits(0);
    converge(LONG, &[&laptop, &server]);
    for (client, machine) in [(&planner, "laptop"), (&coder, "server")] {
        let thread = client.run(&["thread", short(id), "--peek", "--json"]).exits(0).json();
        let texts = column(&thread["messages"], "text");
        assert_eq!(
            texts,
            ["is the lock order right?", "- yes\n- but slow", "then leave it"],
            "{machine}"
        );
        assert_eq!((thread["schema"].as_u64(), thread["left"].as_u64()), (Some(1), Some(0)));
    }
    let shown = coder.run(&["thread", short(&asked)]).exits(0).stdout;
    assert!(shown.contains(&format!("answers {}", short(&asked))), "{shown}");
    // The thread has shown the last one, so it is read.
    coder.run(&["wait", "--timeout", "300ms"]).exits(5);
}

#[test]
fn an_answer_is_waited_for_printed_and_read() {
    let daemon = Daemon::start("laptop");
    let (planner, coder) = (agent(&daemon, "planner"), agent(&daemon, "coder"));
    let asking = planner
        .command(&["send", "coder", "is it safe?", "--wait-reply", "30s", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let got = coder.run(&["wait", "--timeout", "20s", "--json"]).exits(0).json();
    let id = got["messages"][0]["event_id"].as_str().unwrap();
    sends(&coder, "planner", "something else");
    coder.run(&["reply", short(id), "it is"]).exits(0);
    let output = asking.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let answered: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answered["event_id"], id, "{answered}");
    assert_eq!(answered["answer"]["text"], "it is", "{answered}");
    // It was read, and what belongs to no conversation was left.
    let left = planner.run(&["inbox", "--unread", "--json"]).exits(0).json();
    assert_eq!(column(&left["messages"], "text"), ["something else"]);
}

#[test]
fn what_else_is_unread_in_a_conversation_comes_before_the_answer_and_is_no_answer() {
    let daemon = Daemon::start("laptop");
    let (planner, coder) = (agent(&daemon, "planner"), agent(&daemon, "coder"));
    let root = sends(&planner, "coder", "the plan");
    coder.run(&["reply", short(&root), "a first thought"]).exits(0);
    let asking = planner
        .command(&["reply", short(&root), "and?", "--wait-reply", "30s"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = Value::Null;
    eventually(SHORT, || {
        seen = coder.run(&["inbox", "--peek", "--json"]).exits(0).json();
        holds(column(&seen["messages"], "text").contains(&"and?"), || seen.to_string())
    });
    coder.run(&["reply", short(&root), "a second thought"]).exits(0);
    let asked = column(&seen["messages"], "event_id")[1].to_owned();
    coder.run(&["reply", short(&asked), "that is all"]).exits(0);
    let output = asking.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let found: Vec<_> = ["first thought", "second thought", "that is all"]
        .map(|text| printed.find(text).unwrap_or_else(|| panic!("{text}: {printed}")))
        .into();
    assert!(found.is_sorted() && output.status.success(), "{printed}");
    assert_eq!(planner.run(&["inbox", "--count"]).exits(0).stdout, "0\n");
}

#[test]
fn without_an_answer_in_time_the_exit_code_is_5_and_the_message_was_sent() {
    let daemon = Daemon::start("laptop");
    let planner = agent(&daemon, "planner");
    let words = ["send", "--anyway", "coder", "anybody?", "--wait-reply", "300ms"];
    let ran = planner.run(&words).exits(5);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("no answer to") && ran.stderr.contains("thrum sent"), "{ran:?}");
    let mut words = words.to_vec();
    words.push("--json");
    let error = planner.run(&words).exits(5).json_error();
    let id = error["event_id"].as_str().unwrap();
    let got = agent(&daemon, "coder").run(&["inbox", "--peek", "--json"]).exits(0).json();
    assert_eq!(column(&got["messages"], "event_id")[1], id, "{error}");
}

#[test]
fn an_id_is_refused_if_no_message_or_several_have_it() {
    let daemon = Daemon::start("laptop");
    let coder = agent(&daemon, "coder");
    for command in ["show", "thread", "read", "delete", "sent"] {
        let error = coder.run(&[command, "ZZZZZZ", "--json"]).exits(1).json_error();
        assert_eq!(error["code"], "not_found", "{command}: {error}");
    }
    coder.run(&["reply", "ZZZZZZ", "hi"]).exits(1);
    let ids = ["01K00000000000000000000001", "01K00000000000000000A00001"];
    for id in ids {
        coder.run(&["send", "--id", id, "planner", "hello"]).exits(0);
    }
    coder.run(&["show", "00001"]).exits(1);
    coder.run(&["show", "A00001"]).exits(0);
    let events = daemon.events();
    assert_eq!(events.len(), 3, "the agent and what it sent: {events:?}");
}

#[test]
fn a_message_is_shown_read_and_deleted_by_its_short_id() {
    let daemon = Daemon::start("laptop");
    let (planner, coder) = (agent(&daemon, "planner"), agent(&daemon, "coder"));
    coder.run(&["agent", "register", "--about", "writes it"]).exits(0);
    let id = sends(&planner, "coder", "one\ntwo");
    let kept = sends(&planner, "coder", "three");
    let shown = planner.run(&["show", short(&id)]).exits(0).stdout;
    for part in [&id, "planner on laptop", "    one\n    two", "no session"] {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    coder.run(&["read", short(&kept)]).exits(0);
    let unread = || {
        let inbox = coder.run(&["inbox", "--unread", "--peek", "--json"]).exits(0).json();
        inbox["unread"].as_u64()
    };
    assert_eq!(unread(), Some(1));
    // Of others nobody deletes anything.
    coder.run(&["delete", short(&id)]).exits(1);
    planner.run(&["delete", short(&id)]).exits(0);
    assert_eq!(unread(), Some(0));
    let sent = planner.run(&["sent"]).exits(0).stdout;
    let line = sent.lines().find(|line| line.starts_with(short(&id))).unwrap();
    assert!(line.ends_with("deleted"), "{sent}");
    let line = sent.lines().find(|line| line.starts_with(short(&kept))).unwrap();
    assert!(line.contains("(by inbox)"), "{sent}");
}

#[test]
fn a_group_is_one_address_for_its_members() {
    let daemon = Daemon::start("laptop");
    let ann = agent(&daemon, "ann");
    for name in ["ann", "bob", "cy"] {
        agent(&daemon, name).run(&["agent", "register"]).exits(0);
    }
    ann.run(&["group", "add", "@reviewers", "ann", "bob", "cy"]).exits(0);
    ann.run(&["group", "remove", "reviewers", "cy"]).exits(0);
    assert_eq!(ann.run(&["group", "list", "-q"]).exits(0).stdout, "reviewers\n");
    assert_eq!(ann.run(&["group", "list", "reviewers", "-q"]).exits(0).stdout, "ann\nbob\n");
    let listed = ann.run(&["group", "list"]).exits(0).stdout;
    assert_eq!(listed, "@reviewers: ann, bob\n");
    sends(&ann, "@reviewers", "look");
    let count = |name: &str| agent(&daemon, name).run(&["inbox", "--count"]).exits(0).stdout;
    assert_eq!([count("ann"), count("bob"), count("cy")], ["0\n", "1\n", "0\n"]);
}

#[test]
fn a_name_that_is_nearly_one_is_offered_and_sent_to_anyway_if_wanted() {
    let daemon = Daemon::start("laptop");
    agent(&daemon, "reviewer").run(&["agent", "register"]).exits(0);
    let ann = agent(&daemon, "ann");
    let ran = ann.run(&["send", "reviever", "look"]).exits(1);
    assert!(ran.stderr.contains("reviewer") && ran.stderr.contains("--anyway"), "{ran:?}");
    let ran = ann.run(&["send", "reviever", "look", "--anyway"]).exits(0);
    assert!(ran.stderr.contains("To reviever: stored here; nobody has seen"), "{ran:?}");
    let ran = ann.run(&["send", "reviewer", "look"]).exits(0);
    assert!(ran.stderr.contains("No session: it waits in the inbox."), "{ran:?}");
    assert_eq!(ran.stdout, "");
    let ran = ann.run(&["send", "-q", "reviewer", "look"]).exits(0);
    assert!(ran.stdout.trim().len() == 26 && ran.stderr.is_empty(), "the id alone: {ran:?}");
}

#[test]
fn words_are_found_page_by_page() {
    let daemon = Daemon::start("laptop");
    let planner = agent(&daemon, "planner");
    for number in 1..=3 {
        sends(&planner, "coder", &format!("lock order {number} \u{1b}[2J"));
    }
    sends(&planner, "coder", "nothing of it");
    eventually(SHORT, || {
        let ran = planner.run(&["search", "lock", "order"]).exits(0);
        holds(ran.stdout.lines().count() == 3 && !ran.stdout.contains('\u{1b}'), || ran.stdout)
    });
    let page = planner.run(&["search", "lock", "-n", "2", "--json"]).exits(0).json();
    assert_eq!(page["hits"].as_array().unwrap().len(), 2);
    let before = page["next_before"].to_string();
    let page = planner.run(&["search", "lock", "--before", &before]).exits(0).stdout;
    assert!(page.contains("lock order 1") && page.lines().count() == 1, "{page}");
    let none = planner.run(&["search", "lock", "--from", "coder"]).exits(0);
    assert_eq!(none.stdout, "");
}

#[test]
fn who_works_on_what_is_seen_at_80_columns_and_at_20() {
    let daemon = Daemon::start("laptop");
    let (coder, tester) = (agent(&daemon, "coder"), agent(&daemon, "tester"));
    // The process that runs the test lives for as long as it needs.
    let pid = std::process::id().to_string();
    let words = ["session", "start", "--pid", &pid, "--tool", "claude", "--task", "fix auth race"];
    let session = coder.run(&words).exits(0).stdout;
    let words = ["session", "start", "--id", "s2", "--pid", &pid];
    assert_eq!(tester.run(&words).exits(0).stdout, "s2\n");
    let asks = ["session", "update", "--question", "may I push to main, and tell everybody of it?"];
    tester.run(&asks).exits(0);

    let table = coder.run(&["team"]).exits(0).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].starts_with("tester  laptop   needs you  may I push"), "{table}");
    assert!(lines[2].starts_with("coder   laptop   working    fix auth race"), "{table}");
    let team = coder.run(&["team", "--json"]).exits(0).json();
    assert_eq!(column(&team["agents"], "state"), ["needs_you", "working"]);
    assert_eq!(team["agents"][1]["sessions"][0]["id"], session.trim());
    assert_eq!(coder.run(&["team", "-q"]).exits(0).stdout, "tester\ncoder\n");

    for columns in [80, 20] {
        let command = coder.clone().env("NO_COLOR", 1).command(&["team"]);
        let (code, shown) = Terminal::sized(command, columns, 50).ends();
        let widest = shown.lines().map(|line| line.chars().count()).max();
        assert!(code == 0 && widest <= Some(columns.into()), "{widest:?} of {columns}: {shown}");
        assert!(shown.contains("needs you") && shown.contains("may I push"), "{shown}");
    }
    coder.run(&["session", "end", "--id", session.trim()]).exits(0);
    let table = coder.run(&["team"]).exits(0).stdout;
    assert!(table.contains("coder   laptop   gone"), "{table}");
}

#[test]
fn whoami_says_what_the_other_commands_use() {
    let daemon = Daemon::start("laptop");
    let coder = agent(&daemon, "coder").env("THRUM_SESSION", "s1");
    let who = coder.run(&["whoami", "--json"]).exits(0).json();
    for (key, value) in
        [("agent", "coder"), ("project", "test"), ("machine", "laptop"), ("session", "s1")]
    {
        assert_eq!(who[key], value, "{who}");
    }
    let shown = Client::new(&daemon).run(&["whoami"]).exits(0).stdout;
    assert!(shown.starts_with("agent    nobody yet"), "{shown}");
}

#[test]
fn a_name_on_two_machines_is_said_and_one_of_them_can_be_meant() {
    let (laptop, server) = paired_daemons();
    for daemon in [&laptop, &server] {
        agent(daemon, "coder").run(&["agent", "register"]).exits(0);
    }
    converge(LONG, &[&laptop, &server]);
    let planner = agent(&laptop, "planner");
    eventually(SHORT, || {
        let team = planner.run(&["team"]).exits(0).stdout;
        holds(team.contains("server") && team.contains("laptop"), || team)
    });
    let ran = planner.run(&["send", "coder", "both"]).exits(0);
    assert!(ran.stderr.contains("both get it"), "{}", ran.stderr);
    assert!(ran.stderr.contains("coder is on"), "{}", ran.stderr);
    planner.run(&["send", "coder@server", "one"]).exits(0);
    let error = planner.run(&["send", "coder@servr", "one", "--json"]).exits(1).json_error();
    assert!(error["hint"].as_str().unwrap().contains("server"), "{error}");
    let got = agent(&server, "coder");
    eventually(SHORT, || {
        let inbox = got.run(&["inbox", "--peek"]).stdout;
        holds(inbox.contains(": one"), || inbox)
    });
    let here = agent(&laptop, "coder").run(&["inbox", "--peek"]).exits(0).stdout;
    assert!(here.contains(": both") && !here.contains(": one"), "{here}");
}

#[test]
fn what_a_pager_did_not_show_is_not_read() {
    let daemon = Daemon::start("laptop");
    let coder = agent(&daemon, "coder");
    let planner = agent(&daemon, "planner");
    let first = sends(&planner, "coder", "message 0");
    for number in 1..30 {
        planner.run(&["reply", &first, &format!("message {number}")]).exits(0);
    }
    let unread = || coder.run(&["inbox", "--count"]).exits(0).stdout;
    let seen = coder.folder().join("seen");
    let shows = |pager: &str| {
        let paged = coder.clone().env("THRUM_PAGER", pager).env("SEEN", seen.display());
        Terminal::open(paged.env("NO_COLOR", 1).command(&["thread", &first])).ends()
    };
    let (code, shown) = shows("exit 3");
    assert!(code == 1 && shown.contains("the pager"), "{code}: {shown}");
    assert_eq!(unread(), "30\n");
    let (code, shown) = shows("cat >\"$SEEN\"");
    assert!(code == 0 && shown.contains("Marked no message as read"), "{code}: {shown}");
    assert_eq!(unread(), "30\n");
    let text = std::fs::read_to_string(&seen).unwrap();
    assert!(text.lines().count() == 30 && !text.contains('\u{1b}'), "{text}");
    // Without one, all is printed.
    let (code, shown) = shows("no-such-pager");
    assert!(code == 0 && shown.contains("message 0") && shown.contains("message 29"), "{shown}");
    assert_eq!(unread(), "0\n");
}
