//! The one table of settings. `--help`, `--print-config`, `--print-default-config` and
//! docs/configuration.md come from it.

/// Names a setting in code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `state_dir`
    StateDir,
    /// `socket`
    Socket,
    /// `log`
    Log,
    /// `sync`
    Sync,
    /// `hostname`
    Hostname,
    /// `port`
    Port,
    /// `tailnet`
    Tailnet,
    /// `sync_interval`
    SyncInterval,
    /// `sync_recent`
    SyncRecent,
    /// `pairing_timeout`
    PairingTimeout,
    /// `tailscale_socket`
    TailscaleSocket,
    /// `auth_key`
    AuthKey,
    /// `control_url`
    ControlUrl,
    /// `tailscale_state_dir`
    TailscaleStateDir,
    /// `ephemeral`
    Ephemeral,
    /// `machine_id_file`
    MachineIdFile,
    /// `log_path`
    LogPath,
    /// `metrics_listen`
    MetricsListen,
    /// `metrics_listen_public`
    MetricsListenPublic,
}

/// The default of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This value.
    Value(&'static str),
    /// A value that depends on the machine or on other settings; the text describes it.
    Computed(&'static str),
    /// No value; the text describes the effect.
    Unset(&'static str),
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in code.
    pub key: Key,
    /// Its name in `thrumd.toml` and in messages.
    pub name: &'static str,
    /// Its flag without dashes. None for secrets: a command line can be read by everyone.
    pub flag: Option<&'static str>,
    /// Its environment variable.
    pub env: &'static str,
    /// The kind of value, for `--help`.
    pub value: &'static str,
    /// Its default.
    pub fallback: Fallback,
    /// An example value for `thrumd.toml`.
    pub sample: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl Setting {
    /// Whether its value must not be shown.
    pub const fn secret(&self) -> bool {
        matches!(self.key, Key::AuthKey)
    }
}

/// The setting of this key.
pub fn setting(key: Key) -> &'static Setting {
    // The table is in the order of the keys; a test holds it to that.
    &SETTINGS[key as usize]
}

/// Every setting, in the order in which it is shown.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: Key::StateDir,
        name: "state_dir",
        flag: Some("state-dir"),
        env: "THRUM_STATE_DIR",
        value: "DIR",
        fallback: Fallback::Computed(
            "`/var/lib/thrum` as root, else `$XDG_STATE_HOME/thrum` or `~/.local/state/thrum` \
             (macOS: `~/Library/Application Support/thrum`)",
        ),
        sample: "\"/var/lib/thrum\"",
        doc: "The directory of the identity, the log and the peers. Each daemon needs its own.",
    },
    Setting {
        key: Key::Socket,
        name: "socket",
        flag: Some("socket"),
        env: "THRUM_SOCKET",
        value: "PATH",
        fallback: Fallback::Computed("`thrumd.sock` in the state directory"),
        sample: "\"/run/thrum/thrumd.sock\"",
        doc: "The Unix socket for programs on this machine.",
    },
    Setting {
        key: Key::Log,
        name: "log",
        flag: Some("log"),
        env: "THRUM_LOG",
        value: "FILTER",
        fallback: Fallback::Value("info"),
        sample: "\"info,thrumd::sync=debug\"",
        doc: "What is logged on stderr: `error`, `warn`, `info`, `debug`, `trace` or `off`, also for \
              single modules.",
    },
    Setting {
        key: Key::Sync,
        name: "sync",
        flag: Some("sync"),
        env: "THRUM_TS_ENABLED",
        value: "BOOL",
        fallback: Fallback::Unset("off until `thrum peer add` or `thrum peer join` turns it on"),
        sample: "true",
        doc: "Whether this machine syncs with peers. `true` turns it on at start, `false` forbids it.",
    },
    Setting {
        key: Key::Hostname,
        name: "hostname",
        flag: Some("hostname"),
        env: "THRUM_TS_HOSTNAME",
        value: "NAME",
        fallback: Fallback::Computed("the machine's host name"),
        sample: "\"my-laptop\"",
        doc: "The name of this machine.",
    },
    Setting {
        key: Key::Port,
        name: "port",
        flag: Some("port"),
        env: "THRUM_TS_PORT",
        value: "PORT",
        fallback: Fallback::Value("9100"),
        sample: "9100",
        doc: "The TCP port for peers, on tailnet addresses only. 0 picks a free one, for the loopback \
              tailnet only.",
    },
    Setting {
        key: Key::Tailnet,
        name: "tailnet",
        flag: Some("tailnet"),
        env: "THRUM_TAILNET",
        value: "KIND",
        fallback: Fallback::Value("tailscaled"),
        sample: "\"tailscaled\"",
        doc: "How peers are reached: `tailscaled` (this machine's own), `private` (a tailscaled that \
              thrumd runs) or `loopback` (this machine only, no identity: for tests and the demo). \
              If this is not set, an auth key, a control URL, a state directory for tailscaled or \
              `ephemeral = true` selects `private`.",
    },
    Setting {
        key: Key::SyncInterval,
        name: "sync_interval",
        flag: Some("sync-interval"),
        env: "THRUM_SYNC_INTERVAL",
        value: "DURATION",
        fallback: Fallback::Value("5m"),
        sample: "\"5m\"",
        doc: "How often peers are asked for events without a notification from them.",
    },
    Setting {
        key: Key::SyncRecent,
        name: "sync_recent",
        flag: Some("sync-recent"),
        env: "THRUM_SYNC_RECENT",
        value: "DURATION",
        fallback: Fallback::Value("2m"),
        sample: "\"2m\"",
        doc: "Peers that were synced within this time are not asked. At most `sync_interval`: \
              if only one of the two is set, the default of the other follows it where it must.",
    },
    Setting {
        key: Key::PairingTimeout,
        name: "pairing_timeout",
        flag: Some("pairing-timeout"),
        env: "THRUM_PAIRING_TIMEOUT",
        value: "DURATION",
        fallback: Fallback::Value("5m"),
        sample: "\"1m\"",
        doc: "How long a pairing code is valid. At most `5m`, because it has only four digits.",
    },
    Setting {
        key: Key::TailscaleSocket,
        name: "tailscale_socket",
        flag: Some("tailscale-socket"),
        env: "THRUM_TS_SOCKET",
        value: "PATH",
        fallback: Fallback::Unset("where tailscaled puts it on this system"),
        sample: "\"/var/run/tailscale/tailscaled.sock\"",
        doc: "The socket of the machine's tailscaled. For `tailnet = \"tailscaled\"`.",
    },
    Setting {
        key: Key::AuthKey,
        name: "auth_key",
        flag: None,
        env: "THRUM_TS_AUTH_KEY",
        value: "KEY",
        fallback: Fallback::Unset("none"),
        sample: "\"tskey-auth-...\"",
        doc: "Joins the tailnet without a person. For `tailnet = \"private\"`. It has no flag, because \
              every user can read command lines.",
    },
    Setting {
        key: Key::ControlUrl,
        name: "control_url",
        flag: Some("control-url"),
        env: "THRUM_TS_CONTROL_URL",
        value: "URL",
        fallback: Fallback::Unset("Tailscale's own"),
        sample: "\"https://headscale.example.com\"",
        doc: "The tailnet's control server. For `tailnet = \"private\"`.",
    },
    Setting {
        key: Key::TailscaleStateDir,
        name: "tailscale_state_dir",
        flag: Some("tailscale-state-dir"),
        env: "THRUM_TS_STATE_DIR",
        value: "DIR",
        fallback: Fallback::Computed("`tailscale` in the state directory"),
        sample: "\"/var/lib/thrum/tailscale\"",
        doc: "The state directory of the tailscaled that thrumd runs. For `tailnet = \"private\"`.",
    },
    Setting {
        key: Key::Ephemeral,
        name: "ephemeral",
        flag: Some("ephemeral"),
        env: "THRUM_TS_EPHEMERAL",
        value: "BOOL",
        fallback: Fallback::Value("false"),
        sample: "true",
        doc: "The tailnet forgets this machine when thrumd ends. For `tailnet = \"private\"`.",
    },
    Setting {
        key: Key::MachineIdFile,
        name: "machine_id_file",
        flag: Some("machine-id-file"),
        env: "THRUM_MACHINE_ID_FILE",
        value: "PATH",
        fallback: Fallback::Value("/etc/machine-id"),
        sample: "\"/etc/machine-id\"",
        doc: "The file that identifies this machine. It shows that a state directory was copied here \
              from another machine. In a container, a file that outlives the image.",
    },
    Setting {
        key: Key::LogPath,
        name: "log_path",
        flag: Some("log-path"),
        env: "THRUM_LOG_PATH",
        value: "PATH",
        fallback: Fallback::Unset("unknown"),
        sample: "\"/var/log/thrumd.log\"",
        doc: "The file that stderr is written to. thrumd only reports it to `thrum daemon logs`.",
    },
    Setting {
        key: Key::MetricsListen,
        name: "metrics_listen",
        flag: Some("metrics-listen"),
        env: "THRUM_METRICS_LISTEN",
        value: "ADDRESS",
        fallback: Fallback::Unset("off"),
        sample: "\"127.0.0.1:9101\"",
        doc: "Where Prometheus can scrape `/metrics`: address and port, on this machine only. Everyone \
              there can read it. See docs/monitoring.md.",
    },
    Setting {
        key: Key::MetricsListenPublic,
        name: "metrics_listen_public",
        flag: Some("metrics-listen-public"),
        env: "THRUM_METRICS_LISTEN_PUBLIC",
        value: "BOOL",
        fallback: Fallback::Value("false"),
        sample: "true",
        doc: "Allows an address in `metrics_listen` that other machines can reach. Whoever can reach it \
              reads names and states of peers.",
    },
];
