//! Full disks, and a child that can't be trusted.

use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::config::{Config, Flags, HostInfo, Layers};
use crate::tailnet::Settings;

impl FakeChild {
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
async fn before_the_start_nothing_runs_and_nothing_is_written() {
    let fake_child = FakeChild::new("echo $$ >> pids; exec sleep 600");
    let kind = opened(fake_child.config());
    // Paused time advances only when no task can run. A supervisor that does not wait would have written
    // the key by then.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    tokio::time::resume();
    assert!(matches!(*kind.presence().borrow(), Presence::Waiting { starting: true, .. }));
    assert_eq!(fake_child.read("authkey"), None);
    assert!(fake_child.started().is_empty());
    assert_eq!(kind.problem(), None);
    kind.start();
    assert!(kind.problem().unwrap().contains("let the policy allow port 9100 alone"));
    kind.start();
    until(async || !fake_child.started().is_empty()).await;
    kind.stop().await;
    assert_eq!(fake_child.started().len(), 1);
    // One that was never started stops as well.
    opened(fake_child.config()).stop().await;
}

#[tokio::test]
async fn between_two_runs_the_key_is_removed() {
    let fake_child = FakeChild::new("echo there >> seen < authkey; exit 3");
    let kind = running(fake_child.config());
    reason(&kind, "exit code 3").await;
    until(async || fake_child.read("authkey").is_none()).await;
    kind.stop().await;
    let seen = fake_child.read("seen").unwrap();
    assert!(seen.lines().all(|line| line == "there"), "it was not handed the key: {seen:?}");
    assert_eq!(fake_child.read("authkey"), None);
    assert!(!fake_child.read("conf.json").unwrap().contains("authKey"));
}

#[test]
fn without_setpriv_the_child_enters_a_directory_below_a_closed_one() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (fake_child, programs) =
        (FakeChild::new(""), FakeChild::new("id -u > seen; cat authkey >> seen"));
    let nobody = User { uid: 65534, gid: 65534 };
    let dir = files::make_dir(&fake_child.state(), Some(&nobody)).unwrap();
    files::write(&dir, &fake_child.config(), true).unwrap();
    std::fs::set_permissions(fake_child.dir.path(), std::fs::Permissions::from_mode(0o700))
        .unwrap();
    let spec = child::LaunchSpec {
        program: programs.dir.path().join("tailscaled"),
        setpriv: None,
        user: Some(nobody),
        opened: Arc::new(files::lock(&dir).unwrap()),
        dir,
        ephemeral: false,
        environment: fake_child.config().environment,
    };
    let ran = spec.command().output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    assert_eq!(fake_child.read("seen"), Some(format!("65534\n{KEY}")));
}

#[test]
fn a_key_that_was_half_written_is_removed_too() {
    let fake_child = FakeChild::new("");
    std::fs::create_dir(fake_child.state()).unwrap();
    std::fs::write(fake_child.state().join("authkey.new"), KEY).unwrap();
    files::write(&fake_child.state(), &fake_child.config(), false).unwrap();
    assert_eq!(fake_child.read("authkey.new"), None);
}

#[tokio::test]
async fn a_child_without_a_pid_file_is_killed() {
    let fake_child = FakeChild::new("exec sleep 600");
    let config = PrivateConfig {
        pid_file: StateFile::new(&fake_child.dir.path().join("none"), "process"),
        ..fake_child.config()
    };
    let kind = running(config);
    reason(&kind, "process.new").await;
    assert_eq!(fake_child.living(), 0, "the next would be the second on one state directory");
    kind.stop().await;
    assert_eq!(fake_child.living(), 0);
}

#[tokio::test]
async fn a_full_disk_does_not_end_a_running_child() {
    let fake = fake_tailscaled();
    // Its configuration can't be written again while this directory is there.
    let script = format!(
        "echo $$ >> pids; mkdir conf.json.new; ln -s {} ts.sock; exec sleep 600",
        fake.socket().display()
    );
    let fake_child = FakeChild::new(&script);
    let kind = running(fake_child.config());
    until(async || matches!(*kind.presence().borrow(), Presence::Up { .. })).await;
    until(async || fake_child.read("authkey").is_none()).await;
    // The same child is still supervised: its configuration is written with the next change.
    std::fs::remove_dir(fake_child.state().join("conf.json.new")).unwrap();
    fake.set("status", 200, UP.replace("ci-1", "ci-2"));
    fake.update("{}\n");
    until(async || !fake_child.read("conf.json").unwrap().contains("authKey")).await;
    assert!(fake_child.pid().is_some_and(lives), "a healthy child was ended");
    kind.stop().await;
    assert_eq!(fake_child.started().len(), 1);
}

#[test]
fn a_link_that_the_child_puts_in_the_way_is_not_followed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (victim, link, new) =
        (dir.path().join("victim"), dir.path().join("link"), dir.path().join("conf.json.new"));
    std::fs::write(&victim, "root's").unwrap();
    std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    let file = StateFile::new(dir.path(), "conf.json");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                drop(symlink(&victim, &link));
                drop(std::fs::rename(&link, &new));
            }
        });
        for _ in 0..500 {
            // It fails when the link is there first.
            drop(files::replace(&file, b"{}"));
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(victim.metadata().unwrap().uid(), 0, "the child was given root's file");
}

#[test]
fn the_pid_file_is_out_of_the_child_s_reach() {
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
    assert!(!config.pid_file.path().starts_with(&config.state_dir), "{config:?}");
}

#[test]
fn the_start_time_of_a_process_is_known_without_proc() {
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let time = child::start_time_by_ps(child.id()).unwrap();
    // Thu-Nov-26-02:17:59-2026
    assert_eq!(time.split('-').count(), 5, "{time}");
    child.kill().unwrap();
    until_dead(child.id());
    assert_eq!(child::start_time_by_ps(child.id()), None, "a zombie");
    child.wait().unwrap();
    assert_eq!(child::start_time_by_ps(child.id()), None);
}

fn until_dead(pid: u32) {
    while lives(pid) {
        std::thread::sleep(Duration::from_millis(5));
    }
}
