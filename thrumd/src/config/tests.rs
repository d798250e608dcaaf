use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Cadence, CadenceError, Config, ConfigError, Flags, HostInfo, Key, Layers, SETTINGS};
use super::{SyncMode, print, setting};
use thrum_api::local::TailnetKind;

fn machine(root: bool) -> HostInfo {
    HostInfo { root, home: Some("/home/ann".into()), hostname: "box".into() }
}

fn collect(
    flags: &[(Key, &str)],
    env: &[(&str, &str)],
    file: Option<&Path>,
) -> Result<Layers, ConfigError> {
    let env: BTreeMap<&str, &str> = env.iter().copied().collect();
    let flags = Flags {
        config: file.map(Path::to_owned),
        values: flags.iter().map(|(key, text)| (*key, (*text).to_owned())).collect(),
    };
    Layers::collect(&flags, &|name| env.get(name).map(OsString::from), &machine(false))
}

fn config(env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(&collect(&[], env, None)?)
}

fn refusal(env: &[(&str, &str)]) -> String {
    config(env).map(drop).expect_err("must be refused").to_string()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn the_table_is_in_the_order_of_the_keys_and_repeats_nothing() {
    for (index, entry) in SETTINGS.iter().enumerate() {
        assert_eq!(entry.key as usize, index, "{}", entry.name);
        assert_eq!(setting(entry.key).name, entry.name);
        let same = |other: &&super::Setting| {
            other.name == entry.name || other.env == entry.env || other.flag == entry.flag
        };
        assert_eq!(SETTINGS.iter().filter(same).count(), 1, "{}", entry.name);
    }
}

#[test]
fn without_any_setting_everything_has_its_default() {
    let config = config(&[]).unwrap();
    assert_eq!(config.sync, SyncMode::WhenPaired);
    assert_eq!((config.hostname.as_str(), config.port), ("box", 9100));
    assert_eq!(config.tailnet, TailnetKind::Tailscaled);
    assert_eq!(config.cadence.interval, Duration::from_secs(300));
    assert_eq!(config.cadence.recent, Duration::from_secs(120));
    assert_eq!(config.log, "info");
    assert!(config.socket.starts_with(&config.state_dir));
    assert!(config.tailscale_state_dir.starts_with(&config.state_dir));
    if cfg!(target_os = "linux") {
        assert_eq!(config.state_dir, Path::new("/home/ann/.local/state/thrum"));
    }
}

#[test]
fn the_state_directory_follows_root_xdg_and_home() {
    let none = Flags::default();
    let root = Layers::collect(&none, &|_| None, &machine(true)).unwrap();
    assert_eq!(root.get(Key::StateDir).text.as_deref(), Some("/var/lib/thrum"));
    assert_eq!(root.get(Key::Socket).text.as_deref(), Some("/var/lib/thrum/thrumd.sock"));
    let xdg = config(&[("XDG_STATE_HOME", "/x")]).unwrap();
    assert_eq!(xdg.state_dir, PathBuf::from("/x/thrum"));
    let nobody = HostInfo { home: None, ..machine(false) };
    let error = Layers::collect(&none, &|_| None, &nobody).map(drop).unwrap_err();
    assert!(error.to_string().contains("THRUM_STATE_DIR"), "{error}");
}

#[test]
fn a_flag_wins_over_the_environment_that_over_the_file_that_over_the_default() {
    let file = file("port = 1\nhostname = \"from-file\"\nsync = true\nlog = \"warn\"\n");
    let env = [("THRUM_TS_PORT", "2"), ("THRUM_TS_HOSTNAME", "from-env"), ("THRUM_LOG", "")];
    let layers = collect(&[(Key::Port, "3")], &env, Some(file.path())).unwrap();
    let config = Config::parse(&layers).unwrap();
    assert_eq!((config.port, config.hostname.as_str()), (3, "from-env"));
    assert_eq!((config.sync, config.log.as_str()), (SyncMode::On, "warn"));
    let shown = print::effective(&layers);
    let line = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("port "), "port 3 flag --port");
    assert_eq!(line("hostname "), "hostname from-env environment THRUM_TS_HOSTNAME");
    assert_eq!(line("log "), format!("log warn file {}", file.path().display()));
    assert_eq!(line("sync_interval "), "sync_interval 5m default");
    assert_eq!(line("auth_key "), "auth_key (unset) default");
}

#[test]
fn a_secret_is_never_shown_not_even_when_it_is_wrong() {
    let layers = collect(&[], &[("THRUM_TS_AUTH_KEY", "tskey-1")], None).unwrap();
    assert!(print::effective(&layers).contains("(hidden)"));
    assert!(!print::effective(&layers).contains("tskey-1"));
    let config = Config::parse(&layers).unwrap();
    assert_eq!(config.auth_key.as_ref().unwrap().expose(), "tskey-1");
    assert!(!format!("{config:?}").contains("tskey-1"));
    let refused = refusal(&[("THRUM_TS_AUTH_KEY", "two words")]);
    assert!(refused.contains("(hidden)") && !refused.contains("words\""), "{refused}");
    let broken = file("auth_key = \"tskey-2\n");
    let error = collect(&[], &[], Some(broken.path())).map(drop).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("tskey-2"), "{error:?}");
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn a_bad_value_is_refused_with_the_setting_the_value_and_its_origin() {
    for (name, value, wanted) in [
        ("THRUM_TS_PORT", "70000", "port"),
        ("THRUM_TS_ENABLED", "maybe", "sync"),
        ("THRUM_TAILNET", "wireguard", "tailnet"),
        ("THRUM_SYNC_INTERVAL", "5", "sync_interval"),
        ("THRUM_SYNC_INTERVAL", "-5m", "sync_interval"),
        ("THRUM_SYNC_INTERVAL", "99999999999999999d", "sync_interval"),
        ("THRUM_SYNC_RECENT", "m", "sync_recent"),
        ("THRUM_PAIRING_TIMEOUT", "5m1s", "pairing_timeout"),
        ("THRUM_PAIRING_TIMEOUT", "0s", "pairing_timeout"),
        ("THRUM_TS_HOSTNAME", "a\u{1b}b", "hostname"),
        ("THRUM_LOG", "loud", "log"),
        ("THRUM_LOG", "info,thrumd=loud", "log"),
        ("THRUM_TS_CONTROL_URL", "example.com", "control_url"),
    ] {
        let refused = refusal(&[(name, value)]);
        let shown = format!("{value:?}");
        assert!(refused.starts_with(&format!("{wanted} = {shown}")), "{refused}");
        assert!(refused.contains(&format!("(environment {name})")), "{refused}");
    }
    let long = "/".to_owned() + &"s".repeat(200);
    assert!(refusal(&[("THRUM_SOCKET", &long)]).contains("THRUM_SOCKET"));
    assert!(refusal(&[("THRUM_CONFIG", "/nowhere/thrumd.toml")]).contains("/nowhere/thrumd.toml"));
}

#[test]
fn port_0_is_for_the_loopback_tailnet_only() {
    for kind in ["tailscaled", "private"] {
        let refused = refusal(&[("THRUM_TAILNET", kind), ("THRUM_TS_PORT", "0")]);
        assert!(refused.contains("loopback tailnet only"), "{refused}");
    }
    let env = [("THRUM_TAILNET", "loopback"), ("THRUM_TS_PORT", "0")];
    assert_eq!(config(&env).unwrap().port, 0);
}

#[test]
fn a_peer_must_not_count_as_recent_for_longer_than_an_interval() {
    let refused = refusal(&[("THRUM_SYNC_INTERVAL", "1m"), ("THRUM_SYNC_RECENT", "2m")]);
    assert!(refused.contains("sync_recent") && refused.contains("1m0s"), "{refused}");
    let refused = refusal(&[("THRUM_SYNC_INTERVAL", "0s")]);
    assert!(refused.starts_with("sync_interval = \"0s\" (environment"), "{refused}");
    let minute = Duration::from_secs(60);
    assert!(Cadence::new(minute, minute).is_ok());
    assert_eq!(Cadence::new(Duration::ZERO, Duration::ZERO), Err(CadenceError::Zero));
}

#[test]
fn each_of_interval_and_recent_can_be_set_alone() {
    let cadence = |variable, text| {
        let cadence = config(&[(variable, text)]).unwrap().cadence;
        (cadence.interval.as_secs(), cadence.recent.as_secs())
    };
    assert_eq!(cadence("THRUM_SYNC_INTERVAL", "1m"), (60, 60));
    assert_eq!(cadence("THRUM_SYNC_INTERVAL", "10m"), (600, 120));
    assert_eq!(cadence("THRUM_SYNC_RECENT", "10m"), (600, 600));
    assert_eq!(cadence("THRUM_SYNC_RECENT", "1m"), (300, 60));
    assert!(refusal(&[("THRUM_SYNC_INTERVAL", "soon")]).contains("sync_interval"));
    assert!(refusal(&[("THRUM_SYNC_RECENT", "soon")]).contains("sync_recent"));
}

#[test]
fn durations_are_sums_of_numbers_with_units() {
    let cadence = |text| config(&[("THRUM_SYNC_INTERVAL", text), ("THRUM_SYNC_RECENT", "1ms")]);
    for (text, millis) in
        [("2m30s", 150_000), ("90s", 90_000), ("1h", 3_600_000), ("500ms", 500), ("1d", 86_400_000)]
    {
        assert_eq!(
            cadence(text).unwrap().cadence.interval,
            Duration::from_millis(millis),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_near_name() {
    for (typed, near) in
        [("prot", "port"), ("sync-recnt", "sync_recent"), ("thrum_ts_port", "port")]
    {
        let file = file(&format!("{typed} = 1\n"));
        let error = collect(&[], &[], Some(file.path())).map(drop).unwrap_err().to_string();
        assert!(error.contains(&format!("did you mean {near:?}?")), "{error}");
    }
    let file = file("[peers]\nx = 1\n");
    let error = collect(&[], &[], Some(file.path())).map(drop).unwrap_err().to_string();
    assert!(error.contains("no setting \"peers\"") && !error.contains("did you mean \"tailn"));
}

#[test]
fn the_default_file_is_what_the_defaults_are() {
    let text = print::default_file();
    let commented = file(&text);
    let layers = collect(&[], &[], Some(commented.path())).unwrap();
    assert_eq!(print::effective(&layers), print::effective(&collect(&[], &[], None).unwrap()));
    // Every sample is a valid value.
    let samples: String = SETTINGS.iter().map(|s| format!("{} = {}\n", s.name, s.sample)).collect();
    let samples = file(&samples);
    Config::parse(&collect(&[], &[], Some(samples.path())).unwrap()).unwrap();
    golden("tests/golden/thrumd.toml", &text);
}

#[test]
fn the_page_on_settings_is_up_to_date() {
    golden("../docs/configuration.md", &print::markdown());
}

/// `THRUM_UPDATE=1 cargo test -p thrumd config` rewrites the files.
fn golden(file: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("THRUM_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, made).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(golden == made, "run THRUM_UPDATE=1 cargo test -p thrumd config: {}", file.display());
}

#[test]
fn the_systems_service_reads_the_folder_that_systemd_names() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("CONFIGURATION_DIRECTORY", dir.path().to_str().unwrap())];
    assert_eq!(config(&env).unwrap().port, 9100, "without a file");
    std::fs::write(dir.path().join("thrumd.toml"), "port = 9101\n").unwrap();
    assert_eq!(config(&env).unwrap().port, 9101);
}

#[test]
fn settings_of_the_private_kind_imply_it_and_this_is_shown() {
    let kind = |env: &[(&str, &str)]| {
        let layers = collect(&[], env, None).unwrap();
        let shown = print::effective(&layers);
        let line = shown.lines().find(|line| line.starts_with("tailnet ")).unwrap();
        let words = line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        (Config::parse(&layers).unwrap().tailnet, words)
    };
    let implied = |by: &str| (TailnetKind::Private, format!("private because {by} is set"));
    assert_eq!(kind(&[("THRUM_TS_AUTH_KEY", "tskey-x")]), implied("auth_key"));
    assert_eq!(kind(&[("THRUM_TS_EPHEMERAL", "true")]), implied("ephemeral"));
    let default = (TailnetKind::Tailscaled, "tailscaled default".to_owned());
    assert_eq!(kind(&[("THRUM_TS_EPHEMERAL", "false")]), default);
    let named = kind(&[("THRUM_TS_AUTH_KEY", "tskey-x"), ("THRUM_TAILNET", "loopback")]);
    assert_eq!(named.0, TailnetKind::Loopback);
}
