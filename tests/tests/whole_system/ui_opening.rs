//! How the page of `thrum ui` gets onto the screen, without anybody else seeing its token.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

use rustix::process::Signal;
use serde_json::json;
use tests::harness::{
    Client, Daemon, LONG, SHORT, allow, ended_within, eventually, holds, http, process,
    write_script,
};

/// A `thrum ui` that may open a browser, with what it prints.
struct Opening {
    child: Child,
    stdout: Receiver<String>,
}

impl Opening {
    #[track_caller]
    fn start(client: &Client, words: &[&str]) -> Self {
        Self::of(client.command(&[&["ui", "--as", "alice"], words].concat()))
    }

    #[track_caller]
    fn of(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (send, stdout) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).try_for_each(|line| send.send(line))
        });
        Self { child, stdout }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        self.stdout.recv_timeout(LONG).expect("a line")
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) -> String {
        process::signal(self.child.id(), signal);
        ended_within(SHORT, &mut self.child).expect("it has ended");
        self.stdout.iter().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A browser that only notes what it was started with, and goes on.
struct Browser {
    program: PathBuf,
    noted: PathBuf,
}

impl Browser {
    fn new(folder: &Path, ends: &str) -> Self {
        let (program, noted) = (folder.join("browser"), folder.join("noted"));
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >'{0}.new'\nmv '{0}.new' '{0}'\n{ends}\n",
            noted.display()
        );
        write_script(&program, &script);
        Self { program, noted }
    }

    /// The file that it was told to open.
    #[track_caller]
    fn file(&self) -> PathBuf {
        let noted =
            eventually(SHORT, || fs::read_to_string(&self.noted).map_err(|e| e.to_string()));
        fs::remove_file(&self.noted).unwrap();
        let lines: Vec<_> = noted.lines().collect();
        assert_eq!(lines[..lines.len() - 1], ["--new-window"]);
        PathBuf::from(lines[lines.len() - 1])
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The address in a text: the port and the token.
#[track_caller]
fn address(text: &str) -> (u16, String) {
    let rest = text.split_once("http://127.0.0.1:").unwrap_or_else(|| panic!("{text}")).1;
    let (port, rest) = rest.split_once("/#t=").unwrap_or_else(|| panic!("{text}"));
    (port.parse().unwrap(), rest[..32].to_owned())
}

#[track_caller]
fn exchange(port: u16, token: &str) -> u16 {
    let host = format!("127.0.0.1:{port}");
    let headers = [("host", host.as_str()), ("content-type", "application/json")];
    let body = json!({ "token": token }).to_string();
    let request = http::request("POST", "/session", &headers, body.as_bytes());
    let mut stream = std::net::TcpStream::connect(&host).unwrap();
    http::exchange(&mut stream, &request).unwrap().status
}

#[test]
fn the_browser_opens_a_file_of_the_person_that_goes_once_the_page_was_opened() {
    let daemon = Daemon::start("laptop");
    // It may be the browser itself, which goes on.
    let browser = Browser::new(daemon.folder(), "exec sleep 600");
    let runtime = tempfile::tempdir().unwrap();
    let client = Client::new(&daemon)
        .env("XDG_RUNTIME_DIR", runtime.path().display())
        .env("BROWSER", format!("none:{} --new-window %s", browser.program.display()));
    let mut ui = Opening::start(&client, &[]);
    let line = ui.line();
    assert!(line.starts_with("Thrum is at http://127.0.0.1:"), "{line}");
    assert!(
        line.ends_with(
            "/ (opened in your browser; ends with Ctrl-C or after 30 minutes without a page)"
        ),
        "{line}"
    );
    let file = browser.file();
    assert!(file.starts_with(runtime.path()), "{}", file.display());
    let folder = file.parent().unwrap().to_owned();
    assert_eq!((mode(&file), mode(&folder)), (0o600, 0o700));
    let text = fs::read_to_string(&file).unwrap();
    let (port, token) = address(&text);
    assert!(line.contains(&format!(":{port}/ ")), "{line}");
    // At once: after 10 s it is told that the browser has not asked.
    assert_eq!(exchange(port, &token), 200);
    let public = process::everything_public();
    assert!(public.contains("--new-window"), "the browser is in the list");
    assert!(!public.contains(&token), "the token is there, too");
    eventually(SHORT, || holds(!folder.exists(), || "the file is still there".to_owned()));
    assert_eq!(ui.end(Signal::INT), "");
}

#[test]
fn an_unused_file_goes_with_the_program_however_that_ends() {
    let daemon = Daemon::start("laptop");
    let browser = Browser::new(daemon.folder(), "");
    let client = Client::new(&daemon)
        .env("TMPDIR", daemon.folder().display())
        .env("BROWSER", format!("{} --new-window", browser.program.display()));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut ui = Opening::start(&client, &[]);
        ui.line();
        let file = browser.file();
        assert!(file.starts_with(daemon.folder()) && file.exists());
        ui.end(signal);
        assert!(!file.parent().unwrap().exists(), "{signal:?}");
    }
    let mut ui = Opening::start(&client, &["--idle", "1s"]);
    assert!(ui.line().ends_with("after 1 second without a page)"));
    let file = browser.file();
    assert!(ended_within(SHORT, &mut ui.child).unwrap().success());
    assert!(!file.parent().unwrap().exists());
}

#[test]
fn without_a_browser_the_address_is_told_and_works() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let mut ui = Opening::start(&client, &[]);
    let line = ui.line();
    assert!(line.contains("no browser was found"), "{line}");
    let (port, token) = address(&line);
    assert_eq!(exchange(port, &token), 200);
    let mut ui = Opening::start(&client.clone().env("BROWSER", "/bin/true"), &["--no-open"]);
    let line = ui.line();
    assert!(line.contains("works once") && !line.contains("opened"), "{line}");
    let (port, token) = address(&line);
    assert_eq!(exchange(port, &token), 200);
    let not_a_program = daemon.folder().join("not-a-program");
    fs::write(&not_a_program, [0; 8]).unwrap();
    allow(&not_a_program, 0o755);
    let mut ui = Opening::start(&client.env("BROWSER", not_a_program.display()), &[]);
    let line = ui.line();
    assert!(line.contains("no browser could be started"), "{line}");
    address(&line);
}

#[test]
fn a_browser_that_fails_is_told_with_the_address() {
    let daemon = Daemon::start("laptop");
    let browser = Browser::new(daemon.folder(), "exit 3");
    let client =
        Client::new(&daemon).env("BROWSER", format!("{} --new-window", browser.program.display()));
    let mut ui = Opening::start(&client, &[]);
    assert!(ui.line().contains("opened in your browser"));
    let line = ui.line();
    assert!(line.contains("could not be opened (exit status: 3)"), "{line}");
    let (port, token) = address(&line);
    let file = browser.file();
    assert_eq!(exchange(port, &token), 200);
    eventually(SHORT, || holds(!file.exists(), || "the file is still there".to_owned()));
}

#[test]
fn a_browser_that_fails_is_told_to_programs_too() {
    let daemon = Daemon::start("laptop");
    let browser = Browser::new(daemon.folder(), "exit 3");
    let client =
        Client::new(&daemon).env("BROWSER", format!("{} --new-window", browser.program.display()));
    let mut command = client.command(&["ui", "--as", "alice", "--json"]);
    let (complaints, stderr) = std::io::pipe().unwrap();
    command.stderr(stderr);
    let mut ui = Opening::of(command);
    let told: serde_json::Value = serde_json::from_str(&ui.line()).unwrap();
    assert_eq!(told["opened"], true);
    let (told, complaint) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(complaints).lines().map_while(Result::ok).try_for_each(|it| told.send(it))
    });
    let line = complaint.recv_timeout(LONG).expect("a line on stderr");
    let failed = serde_json::from_str::<serde_json::Value>(&line).unwrap()["error"].clone();
    let message = failed["message"].as_str().unwrap();
    assert!(message.contains("could not be opened (exit status: 3)"), "{failed}");
    let (port, token) = address(failed["hint"].as_str().unwrap());
    assert_eq!(exchange(port, &token), 200);
    assert_eq!(ui.end(Signal::INT), "");
}

#[test]
fn over_ssh_the_tunnel_is_told() {
    let daemon = Daemon::start("laptop");
    let browser = Browser::new(daemon.folder(), "");
    let client = Client::new(&daemon)
        .env("BROWSER", browser.program.display())
        .env("SSH_CONNECTION", "203.0.113.9 50512 192.0.2.7 22");
    let mut ui = Opening::start(&client, &[]);
    let (first, command, line) = (ui.line(), ui.line(), ui.line());
    assert!(first.contains("machine at which you sit"), "{first}");
    let (port, token) = address(&line);
    let tunnel = format!("ssh -L {port}:127.0.0.1:{port} ");
    assert!(command.trim_start().starts_with(&tunnel), "{command}");
    assert!(command.ends_with("@192.0.2.7"), "{command}");
    assert_eq!(exchange(port, &token), 200);
    assert!(!browser.noted.exists());
    let mut ui = Opening::start(&client, &["--json"]);
    let told: serde_json::Value = serde_json::from_str(&ui.line()).unwrap();
    assert_eq!(told["opened"], false);
    assert!(told["tunnel"].as_str().unwrap().starts_with("ssh -L "), "{told}");
}
