//! One repository is one project, however its origin is written. With real git and ssh.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::harness::{Client, Daemon, SHORT, eventually, holds};

struct Home {
    client: Client,
    _daemon: Daemon,
}

impl Home {
    fn new() -> Self {
        let daemon = Daemon::start("laptop");
        let client = Client::new(&daemon).env("THRUM_AGENT", "coder").env("THRUM_PROJECT", "");
        Self { client, _daemon: daemon }
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.client.folder().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn git(&self, folder: &Path, words: &[&str]) {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder).args(words).env("HOME", self.client.folder());
        let output = git.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A repository in a new folder, with this origin.
    fn repository(&self, name: &str, origin: Option<&str>) -> PathBuf {
        let folder = self.client.folder().join(name);
        std::fs::create_dir(&folder).unwrap();
        self.git(&folder, &["init", "-q"]);
        if let Some(url) = origin {
            self.git(&folder, &["remote", "add", "origin", url]);
        }
        folder
    }

    /// Waits until a folder has this project: `git` and `ssh` that take long count as without an answer.
    #[track_caller]
    fn has_project(&self, folder: &Path, wanted: &str) {
        eventually(SHORT, || {
            let project = self.project(folder);
            holds(project == wanted, || format!("{} is {project}", folder.display()))
        });
    }

    #[track_caller]
    fn project(&self, folder: &Path) -> String {
        let mut send = self.client.command(&["send", "--json", "a", "hello"]);
        let output = send.current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["project"].as_str().unwrap().to_owned()
    }
}

#[test]
fn one_repository_is_one_project_however_its_origin_is_written() {
    let home = Home::new();
    home.write(
        ".gitconfig",
        "[url \"git@github.com:\"]\n\tinsteadOf = gh:\n\
         [url \"https://mirror.example.com/forge/\"]\n\tinsteadOf = https://github.com/\n",
    );
    home.write(
        ".ssh/config",
        "Host github.com-work\n\tHostName github.com\n\
         Host github.com\n\tHostName ssh.github.com\n\tPort 443\n\
         Host gitlab.example.com\n\tHostName gitlab-1.example.net\n\
         Host build\n\tHostName 10.0.0.5\n",
    );
    let origins = [
        "https://github.com/acme/app",
        "git@github.com:Acme/App.git",
        "gh:acme/app",
        "git@github.com-work:acme/app.git",
        "ssh://git@github.com-work/acme/app",
        "ssh://git@ssh.github.com:443/acme/app.git",
    ];
    for (number, origin) in origins.into_iter().enumerate() {
        let folder = home.repository(&format!("clone-{number}"), Some(origin));
        home.has_project(&folder, "github.com/acme/app");
    }
    // As on machines without this configuration.
    let folder = home.repository("by-domain", Some("git@gitlab.example.com:acme/app.git"));
    home.has_project(&folder, "gitlab.example.com/acme/app");
    // An address says less than the name.
    let folder = home.repository("by-address", Some("git@build:acme/app.git"));
    home.has_project(&folder, "build/acme/app");

    let folder = home.repository("included", None);
    home.write("included/origin", "[remote \"origin\"]\n\turl = gh:acme/app\n");
    home.git(&folder, &["config", "include.path", "../origin"]);
    home.has_project(&folder, "github.com/acme/app");

    let folder = home.repository("latin-1", Some("gh:acme/app"));
    let config = std::fs::read(folder.join(".git/config")).unwrap();
    home.write("latin-1/.git/config", [&config[..], b"[user]\n\tname = Ren\xe9\n"].concat());
    home.has_project(&folder, "github.com/acme/app");
}

#[test]
fn worktrees_of_a_repository_without_origin_are_one_project() {
    let home = Home::new();
    let main = home.repository("app", None);
    let author = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    home.git(&main, &[&author[..], &["commit", "-q", "--allow-empty", "-m", "x"]].concat());
    home.git(&main, &["worktree", "add", "-q", "../feature"]);
    home.git(&main, &["clone", "-q", "--bare", ".", "../bare.git"]);
    let bare = home.client.folder().join("bare.git");
    home.git(&bare, &["remote", "remove", "origin"]);
    home.git(&bare, &["worktree", "add", "-q", "../of-bare"]);
    let project = |name: &str| home.project(&home.client.folder().join(name));
    assert_eq!(project("app"), "app");
    assert_eq!(project("feature"), "app");
    assert_eq!(project("of-bare"), "bare");
}

#[test]
fn doctor_names_the_origin_without_its_secrets() {
    let home = Home::new();
    let folder = home.repository("app", Some("https://me:SECRET@github.com/acme/app.git"));
    let mut doctor = home.client.command(&["doctor", "--json"]);
    let output = doctor.current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("github.com/acme/app: the origin is https://github.com/acme/app.git"));
    assert!(!text.contains("SECRET"), "{text}");
}
