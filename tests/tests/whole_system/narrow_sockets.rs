//! Narrow sockets, as a program in a container uses them: with the real client.

use tests::harness::{Client, Daemon};

#[test]
fn a_client_of_a_narrow_socket_works_in_its_project_and_is_told_what_it_is() {
    let daemon = Daemon::start("laptop");
    let host = Client::new(&daemon).env("THRUM_AGENT", "planner");
    let words = ["socket", "add", "--project", "test", "--as", "coder", "--json"];
    let added = host.run(&words).exits(0).json();
    let socket = added["path"].as_str().unwrap().into();
    let inside = Client::of_socket(socket, daemon.folder().to_owned()).env("THRUM_AGENT", "coder");
    host.run(&["send", "coder", "the parser is yours"]).exits(0);
    let inbox = inside.run(&["inbox"]).exits(0).stdout;
    assert!(inbox.contains("the parser is yours"), "{inbox}");
    inside.run(&["send", "planner", "thanks"]).exits(0);
    let sent = host.run(&["sent", "--json"]).exits(0).json();
    assert_eq!(sent["messages"][0]["read"], 1, "{sent}");
    for refused in [&["peer", "list"][..], &["events"], &["send", "--as", "planner", "coder", "x"]]
    {
        inside.run(refused).exits(4);
    }
    let doctor = inside.run(&["doctor", "--json"]).json();
    let checks = doctor["checks"].as_array().unwrap();
    let of = |id: &str| checks.iter().find(|check| check["id"] == id);
    assert_eq!(of("socket_answers").unwrap()["state"], "ok", "{doctor}");
    assert!(of("service_version").is_none() && of("service_process").is_none(), "{doctor}");
    let text = inside.run(&["doctor"]).stdout;
    assert!(text.contains("narrow socket") && !text.contains("incompatible"), "{text}");
}
