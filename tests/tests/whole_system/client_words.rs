//! What is typed means what it says, and what is answered can be acted on.

use tests::lab::{Client, Daemon, Setup};

/// The texts in an agent's inbox.
fn texts(client: &Client, agent: &str) -> Vec<String> {
    let json = client.run(&["inbox", "--as", agent, "--json"]).exits(0).json();
    let messages = json["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_message_may_begin_with_a_dash() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let wanted =
        ["-hello", "- one\n- two", "--- a/file", "-v is broken", "--hello", "-help needed"];
    for text in wanted {
        client.run(&["--json", "send", "--as=a", "b", text]).exits(0).json();
    }
    assert_eq!(texts(&client, "b"), wanted);
    client.run(&["send", "c", "-1", "--project", "lab", "--as", "a"]).exits(0);
    client.run(&["send", "--as", "a", "c", "--", "--json"]).exits(0);
    assert_eq!(texts(&client, "c"), ["-1", "--json"], "options stand before and after");
    assert!(client.run(&["send", "--help"]).exits(0).stdout.contains("-- \"--"), "help shows how");
}

#[test]
fn a_slip_in_an_option_is_no_message() {
    let daemon = Daemon::start("laptop");
    let ran = daemon.thrum(&["send", "--as", "a", "coder", "done", "--josn"]).exits(2);
    assert!(ran.stderr.contains("'--json'"), "{}", ran.stderr);
    daemon.thrum(&["send", "--as", "a", "--josn", "coder", "done"]).exits(2);
    assert_eq!(daemon.events().len(), 0, "nothing was written");
}

#[test]
fn a_message_without_text_is_a_mistake_of_the_command_line() {
    let daemon = Daemon::start("laptop");
    let ran = daemon.thrum(&["send", "--as", "a", "b", "  \n "]).exits(2);
    assert!(ran.stderr.contains("empty") && !ran.stderr.contains("versions"), "{}", ran.stderr);
}

#[test]
fn a_variable_that_shells_use_to_complete_swallows_no_command() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    for value in ["1", "bash"] {
        client.clone().env("COMPLETE", value).run(&["send", "--as", "a", "b", value]).exits(0);
    }
    assert_eq!(texts(&client, "b"), ["1", "bash"]);
    let script = client.clone().env("COMPLETE", "bash").run(&[]).exits(0).stdout;
    assert!(script.contains("COMPLETE="), "{script}");
    let words = ["--", "thrum", "sta"];
    let offered = client.env("COMPLETE", "fish").run(&words).exits(0).stdout;
    assert!(offered.contains("status"), "{offered}");
}

#[test]
fn a_time_that_is_too_long_is_told_apart_from_none() {
    let daemon = Setup::new("laptop").prepare();
    let ran = Client::new(&daemon).run(&["wait", "--as", "a", "--timeout", "99999d"]).exits(2);
    assert!(ran.stderr.contains("too long") && !ran.stderr.contains("no duration"), "{ran:?}");
}
