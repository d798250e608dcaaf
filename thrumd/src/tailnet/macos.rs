//! Search for the LocalAPI on macOS.
//!
//! There are three Tailscales: the app from the App Store, the standalone app, and tailscaled as on
//! Linux. The apps listen on a port of 127.0.0.1 with a password, and leave both where a user of
//! the machine finds them. Files are read below a root directory, so that this can be tested anywhere.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::localapi::Endpoint;

/// Folder of the standalone app's port and password, below the root.
const SHARED: &str = "Library/Tailscale";
/// tailscaled's socket there, below the root.
const SOCKET: &str = "var/run/tailscaled.socket";
/// The command line program inside both apps.
const APP_PROGRAM: &str = "/Applications/Tailscale.app/Contents/MacOS/Tailscale";
/// Time limit for lsof and `tailscale`, which answer at once or never.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The LocalAPI of this Mac; tailscaled's socket if nothing else is found.
pub async fn discover() -> Endpoint {
    let root = Path::new("/");
    if let Some(endpoint) = app_store(&open_files().await).or_else(|| standalone(root)) {
        return endpoint;
    }
    let socket = root.join(SOCKET);
    if !socket.exists() {
        for program in ["tailscale", APP_PROGRAM] {
            let printed = output(Command::new(program).args(["debug", "local-creds"])).await;
            if let Some(endpoint) = credentials(&printed) {
                return endpoint;
            }
        }
    }
    Endpoint::Unix(socket)
}

/// The files that the App Store's app holds open; only its user can see them.
async fn open_files() -> String {
    let user = rustix::process::getuid().as_raw();
    let mut lsof = Command::new("lsof");
    lsof.args(["-n", "-a", &format!("-u{user}"), "-c", "IPNExtension", "-F"]);
    output(&mut lsof).await
}

async fn output(command: &mut Command) -> String {
    let run = command.kill_on_drop(true).output();
    match timeout(TIMEOUT, run).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(Err(_)) | Err(_) => String::new(),
    }
}

/// The App Store's app: port and password are in the name of a file that it holds open.
pub fn app_store(open_files: &str) -> Option<Endpoint> {
    open_files.lines().find_map(|line| {
        let (_, name) = line.split_once(".tailscale.ipn.macos/sameuserproof-")?;
        let (port, password) = name.split_once('-')?;
        tcp(port, password)
    })
}

/// The standalone app: the target of a link is the port, and a file that administrators may read has
/// the password.
pub fn standalone(root: &Path) -> Option<Endpoint> {
    let shared = root.join(SHARED);
    let port = std::fs::read_link(shared.join("ipnport")).ok()?;
    let port = port.to_str()?;
    let password = std::fs::read_to_string(shared.join(format!("sameuserproof-{port}"))).ok()?;
    tcp(port, &password)
}

/// Parses the output of `tailscale debug local-creds`: a curl command with the credentials.
pub fn credentials(printed: &str) -> Option<Endpoint> {
    let mut words = printed.split_whitespace();
    let (mut password, mut socket) = (None, None);
    while let Some(word) = words.next() {
        if word == "--unix-socket" {
            socket = words.next();
        } else if let Some(rest) = word.strip_prefix("-u:") {
            password = Some(rest);
        } else if let Some(rest) = word.strip_prefix("http://localhost:") {
            return tcp(rest.split('/').next()?, password?);
        }
    }
    socket.map(|path| Endpoint::Unix(path.into()))
}

fn tcp(port: &str, password: &str) -> Option<Endpoint> {
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let password = password.trim();
    if password.is_empty() {
        return None;
    }
    Some(Endpoint::Tcp { port, password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(port: u16, password: &str) -> Option<Endpoint> {
        Some(Endpoint::Tcp { port, password: password.to_owned() })
    }

    #[test]
    fn the_standalone_app_is_found_by_its_link_and_its_file() {
        let root = tempfile::tempdir().unwrap();
        let shared = root.path().join(SHARED);
        assert_eq!(standalone(root.path()), None);
        std::fs::create_dir_all(&shared).unwrap();
        std::os::unix::fs::symlink("51234", shared.join("ipnport")).unwrap();
        assert_eq!(standalone(root.path()), None, "a link and no password");
        std::fs::write(shared.join("sameuserproof-51234"), "0a1b2c3d4e5f\n").unwrap();
        assert_eq!(standalone(root.path()), endpoint(51234, "0a1b2c3d4e5f"));
        std::fs::write(shared.join("sameuserproof-51234"), "\n").unwrap();
        assert_eq!(standalone(root.path()), None, "an empty password");
    }

    #[test]
    fn the_app_of_the_app_store_is_found_by_the_files_it_holds_open() {
        let open = "p512\ncIPNExtension\nf3\nn/dev/null\nf7\n\
            n/Users/al/Library/Group Containers/W5364U7YZB.io.tailscale.ipn.macos/sameuserproof-60123-ab12cd\n";
        assert_eq!(app_store(open), endpoint(60123, "ab12cd"));
        for other in ["", "n/x/io.tailscale.ipn.macos/sameuserproof-601", "n/sameuserproof-1-a"] {
            assert_eq!(app_store(other), None, "{other:?}");
        }
        assert_eq!(app_store("n/a.tailscale.ipn.macos/sameuserproof-0-ab"), None, "no port");
    }

    #[test]
    fn the_output_of_the_tailscale_command_is_parsed() {
        let app = "curl -u:ab12 http://localhost:4242/localapi/v0/status\n";
        assert_eq!(credentials(app), endpoint(4242, "ab12"));
        let socket =
            "curl --unix-socket /var/run/tailscaled.socket http://local-tailscaled.sock/x\n";
        let unix = Endpoint::Unix("/var/run/tailscaled.socket".into());
        assert_eq!(credentials(socket), Some(unix));
        assert_eq!(credentials("command not found"), None);
    }

    #[test]
    fn a_password_does_not_print_itself() {
        let shown = format!("{:?}", endpoint(4242, "ab12"));
        assert!(shown.contains("4242") && !shown.contains("ab12"), "{shown}");
    }
}
