//! Full disks, programs that don't end, and a child that is not to be trusted.

use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::config::{Config, Flags, HostInfo, Layers};
use crate::tailnet::Settings;

impl Place {
    /// The processes that were started, in order; the script writes them to `pids`.
    fn started(&self) -> Vec<u32> {
        let text = self.read("pids").unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// How many processes there are in the child's directory.
    fn living(&self) -> usize {
        let (all, state) = (std::fs::read_dir("/proc").unwrap(), self.state());
        let there = |link: std::io::Result<PathBuf>| link.is_ok_and(|dir| dir == state);
        all.filter(|entry| there(entry.as_ref().unwrap().path().join("cwd").read_link())).count()
    }
}

#[tokio::test]
async fn before_it_is_begun_nothing_runs_and_nothing_is_written() {
    let place = Place::new("echo $$ >> pids; exec sleep 600");
    let kind = Private::open(place.config()).unwrap();
    let mut presence = kind.presence();
    let news = presence.wait_for(|it| !matches!(it, Presence::Waiting { passing: true, .. }));
    assert!(tokio::time::timeout(Duration::from_millis(300), news).await.is_err());
    assert!(place.started().is_empty());
    assert_eq!(place.read("authkey"), None);
    assert_eq!(kind.problem(), None);
    kind.begin();
    assert!(kind.problem().unwrap().contains("let the policy allow port 9100 alone"));
    kind.begin();
    // Its process id is noted before the script's first line runs.
    until(async || !place.started().is_empty()).await;
    kind.stop().await;
    assert_eq!(place.started().len(), 1);
    // And one that never was is ended as well.
    Private::open(place.config()).unwrap().stop().await;
}

#[tokio::test]
async fn between_two_runs_the_key_is_not_there() {
    let place = Place::new("echo there >> seen < authkey; exit 3");
    let kind = running(place.config());
    says(&kind, "exit code 3").await;
    until(async || place.read("authkey").is_none()).await;
    kind.stop().await;
    let seen = place.read("seen").unwrap();
    assert!(seen.lines().all(|line| line == "there"), "it was not handed the key: {seen:?}");
    assert_eq!(place.read("authkey"), None);
    assert!(!place.read("conf.json").unwrap().contains("authKey"));
}

#[test]
fn without_setpriv_the_child_gets_to_a_directory_whose_way_is_not_its_own() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (place, programs) = (Place::new(""), Place::new("id -u > seen; cat authkey >> seen"));
    let nobody = User { name: "nobody".to_owned(), uid: 65534, gid: 65534 };
    let dir = files::make_dir(&place.state(), Some(&nobody)).unwrap();
    files::write(&dir, &place.config(), Some(&nobody), true).unwrap();
    std::fs::set_permissions(place.dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let recipe = child::Recipe {
        program: programs.dir.path().join("tailscaled"),
        setpriv: None,
        user: Some(nobody),
        opened: Arc::new(files::lock(&dir).unwrap()),
        dir,
        ephemeral: false,
        environment: place.config().environment,
    };
    let ran = recipe.command().output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    assert_eq!(place.read("seen"), Some(format!("65534\n{KEY}")));
}

#[test]
fn a_key_that_was_half_written_is_taken_away_too() {
    let place = Place::new("");
    std::fs::create_dir(place.state()).unwrap();
    std::fs::write(place.state().join("authkey.new"), KEY).unwrap();
    files::write(&place.state(), &place.config(), None, false).unwrap();
    assert_eq!(place.read("authkey.new"), None);
}

#[tokio::test]
async fn a_child_that_can_not_be_noted_is_ended() {
    let place = Place::new("exec sleep 600");
    let config = PrivateConfig { note: place.dir.path().join("none/process"), ..place.config() };
    let kind = running(config);
    says(&kind, "process.new").await;
    assert_eq!(place.living(), 0, "the next would be the second on one state directory");
    kind.stop().await;
    assert_eq!(place.living(), 0);
}

#[tokio::test]
async fn a_disk_that_takes_nothing_does_not_end_a_child_that_is_up() {
    let fake = Fake::start();
    let up = r#"{"TUN":false,"BackendState":"Running","TailscaleIPs":["127.0.0.2"],
        "Self":{"ID":"1","DNSName":"ci-1.tail.test."}}"#;
    fake.set("status", 200, up);
    std::fs::set_permissions(fake.dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Its configuration can't be written a second time.
    let script = format!(
        "echo $$ >> pids; mkdir conf.new; ln -s {} ts.sock; exec sleep 600",
        fake.socket().display()
    );
    let place = Place::new(&script);
    let kind = running(place.config());
    until(async || matches!(*kind.presence().borrow(), Presence::Up { .. })).await;
    until(async || place.read("authkey").is_none()).await;
    // Longer than the pause before another is started; the outcome does not depend on it.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(place.pid().is_some_and(lives), "a healthy child was ended");
    kind.stop().await;
    assert_eq!(place.started().len(), 1);
}

#[test]
fn a_link_that_the_child_puts_in_the_way_is_not_followed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (victim, link, new) =
        (dir.path().join("victim"), dir.path().join("link"), dir.path().join("conf.new"));
    std::fs::write(&victim, "root's").unwrap();
    let user = User { name: "nobody".to_owned(), uid: 65534, gid: 65534 };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                drop(symlink(&victim, &link));
                drop(std::fs::rename(&link, &new));
            }
        });
        for _ in 0..5000 {
            // It fails when the link is there first.
            drop(files::replace(&dir.path().join("conf.json"), b"{}", Some(&user)));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(victim.metadata().unwrap().uid(), 0, "the child was given root's file");
}

#[test]
fn which_process_is_ours_is_not_noted_where_the_child_writes() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let get = |name: &str| match name {
        "THRUM_STATE_DIR" => Some(state.clone().into_os_string()),
        "THRUM_TAILNET" => Some("private".into()),
        _ => None,
    };
    let machine = HostInfo { root: false, home: None, hostname: "box".into() };
    let layers = Layers::collect(&Flags::default(), &get, &machine).unwrap();
    let settings = Settings::of(&Config::parse(&layers).unwrap());
    let Settings::Private(config) = settings else { panic!("{settings:?}") };
    assert!(!config.note.starts_with(&config.state_dir), "{config:?}");
}

#[test]
fn when_a_process_began_is_known_without_proc() {
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let began = child::began_by_ps(child.id()).unwrap();
    // Thu-Nov-26-02:17:59-2026
    assert_eq!(began.split('-').count(), 5, "{began}");
    child.kill().unwrap();
    until_dead(child.id());
    assert_eq!(child::began_by_ps(child.id()), None, "a zombie");
    child.wait().unwrap();
    assert_eq!(child::began_by_ps(child.id()), None);
}

fn until_dead(pid: u32) {
    while lives(pid) {
        std::thread::sleep(Duration::from_millis(5));
    }
}
