//! How the page gets onto the person's screen: in a browser of this machine, or of the one at which the person sits.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

/// Where the person's browser is.
#[derive(Debug, PartialEq, Eq)]
pub enum Screen {
    /// Here: this program opens a file.
    Here(Opener),
    /// On another machine, from which the person came over ssh.
    Remote {
        /// The command to run there.
        tunnel: String,
    },
    /// No program that opens a browser was found.
    Nowhere,
}

/// A program that opens a file in a browser.
#[derive(Debug, PartialEq, Eq)]
pub struct Opener {
    program: PathBuf,
    /// `%s` is the file. It is the last one if none of them is.
    args: Vec<String>,
}

/// What is known of this session.
pub struct Session<'a> {
    /// An environment variable; one that is empty counts as absent.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The path of a program.
    pub find: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// The person's login name.
    pub user: Option<&'a str>,
    /// Whether this is macOS, where a screen needs no variable.
    pub macos: bool,
}

impl Session<'_> {
    /// Where the browser is, for a page on this port.
    pub fn screen(&self, port: u16) -> Screen {
        let has = |name| (self.variable)(name).is_some();
        let display = has("DISPLAY") || has("WAYLAND_DISPLAY");
        if let Some(connection) = (self.variable)("SSH_CONNECTION").filter(|_| !display) {
            return Screen::Remote { tunnel: self.tunnel(port, &connection) };
        }
        // Several, of which the first that is there is meant.
        let chosen = (self.variable)("BROWSER").unwrap_or_default();
        let default = match (self.macos, display) {
            (true, _) => "open",
            (false, true) => "xdg-open",
            (false, false) => "",
        };
        let openers = chosen.split(':').chain([default]).filter_map(|it| self.opener(it));
        openers.into_iter().next().map_or(Screen::Nowhere, Screen::Here)
    }

    fn opener(&self, command: &str) -> Option<Opener> {
        let mut words = command.split_whitespace().map(str::to_owned);
        let program = (self.find)(&words.next()?)?;
        Some(Opener { program, args: words.collect() })
    }

    /// The command that leads a port of the machine at which the person sits to the one here. The same port: the page checks
    /// for which it is asked.
    fn tunnel(&self, port: u16, connection: &str) -> String {
        // The client's address and port, then those of this machine, as the client reached it.
        let mut words = connection.split_whitespace().skip(2);
        let machine = words.next().unwrap_or("THIS-MACHINE");
        let user = self.user.map(|user| format!("{user}@")).unwrap_or_default();
        let ssh_port = match words.next() {
            None | Some("22") => String::new(),
            Some(other) => format!("-p {other} "),
        };
        format!("ssh {ssh_port}-L {port}:127.0.0.1:{port} {user}{machine}")
    }
}

impl Opener {
    /// Starts it. It goes on when this program ends, because it may be the browser itself.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn open(&self, file: &Path) -> std::io::Result<Child> {
        let placed = |arg: &String| match arg.as_str() {
            "%s" => file.as_os_str().to_owned(),
            arg => arg.into(),
        };
        let mut command = Command::new(&self.program);
        command.args(self.args.iter().map(placed));
        if !self.args.iter().any(|arg| arg == "%s") {
            command.arg::<&OsStr>(file.as_ref());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C in this terminal is not for it.
        command.process_group(0).spawn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(variables: &[(&str, &str)], programs: &[&str], macos: bool) -> Screen {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let find = |name: &str| programs.contains(&name).then(|| Path::new("/bin").join(name));
        let session = Session { variable: &variable, find: &find, user: Some("alice"), macos };
        session.screen(4173)
    }

    fn here(program: &str, args: &[&str]) -> Screen {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Screen::Here(Opener { program: Path::new("/bin").join(program), args })
    }

    #[test]
    fn the_browser_is_that_of_the_persons_screen() {
        let all = ["xdg-open", "open", "w3m", "chrome"];
        let display = ("DISPLAY", ":0");
        assert_eq!(screen(&[display], &all, false), here("xdg-open", &[]));
        assert_eq!(screen(&[("WAYLAND_DISPLAY", "w")], &all, false), here("xdg-open", &[]));
        assert_eq!(screen(&[], &all, true), here("open", &[]));
        assert_eq!(screen(&[display], &[], false), Screen::Nowhere);
        assert_eq!(screen(&[], &all, false), Screen::Nowhere);
        let browser = ("BROWSER", "firefox:chrome --new %s:w3m");
        assert_eq!(screen(&[browser], &all, false), here("chrome", &["--new", "%s"]));
        assert_eq!(screen(&[display, ("BROWSER", "none")], &all, false), here("xdg-open", &[]));
        let ssh = ("SSH_CONNECTION", "203.0.113.9 50512 192.0.2.7 22");
        let remote = |tunnel: &str| Screen::Remote { tunnel: tunnel.to_owned() };
        let tunnel = "ssh -L 4173:127.0.0.1:4173 alice@192.0.2.7";
        assert_eq!(screen(&[ssh, browser], &all, false), remote(tunnel));
        assert_eq!(screen(&[ssh], &all, true), remote(tunnel));
        assert_eq!(screen(&[ssh, display], &all, false), here("xdg-open", &[]));
        let other = ("SSH_CONNECTION", "2001:db8::1 5 2001:db8::7 2222");
        let tunnel = "ssh -p 2222 -L 4173:127.0.0.1:4173 alice@2001:db8::7";
        assert_eq!(screen(&[other], &all, false), remote(tunnel));
    }
}
