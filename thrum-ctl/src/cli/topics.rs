//! Help that belongs to no command.

/// A help topic.
pub struct Topic {
    /// Its word after `thrum help`.
    pub name: &'static str,
    /// What it says.
    pub text: &'static str,
}

/// All of them.
pub const ALL: &[Topic] = &[
    Topic { name: "exit-codes", text: EXIT_CODES },
    Topic { name: "environment", text: ENVIRONMENT },
];

const EXIT_CODES: &str = "\
Exit codes. They don't change.

    0  ok; also when the reader of the output went away
    1  refused or failed
    2  the command line is wrong, or does not say who you are
    3  thrumd can't be reached
    4  you may not use thrumd
    5  --timeout passed
    6  `doctor` or `status --check` found a problem
  130  Ctrl-C

With --json a failure is one line on stderr, and stdout stays empty:
  {\"error\":{\"code\":\"not_running\",\"message\":\"...\",\"hint\":\"...\"}}
thrumd is waited for when it answers nobody. After some seconds a line on stderr says so, unless
with -q:
  {\"note\":{\"code\":\"waiting\",\"message\":\"...\",\"hint\":\"...\"}}
";

const ENVIRONMENT: &str = "\
Variables that thrum reads. An option goes before its variable.

  THRUM_AGENT        who you are (--as)
  THRUM_PROJECT      the project in which names are meant (--project)
  THRUM_SOCKET       the socket of thrumd (--socket)
  THRUM_STATE_DIR    the state directory of the daemon that is meant; its socket is thrumd.sock there
  THRUM_CONFIG       the thrumd.toml that names the socket or the state directory, where nothing else does
  THRUM_TS_SOCKET    the socket of tailscaled that `doctor` asks while thrumd is silent
  THRUMD_BIN         the thrumd that `daemon start` and `demo` start
  THRUM_NO_PROGRESS  show no progress bar
  NO_COLOR           no colour (--color)

thrumd has its own: thrumd --print-config shows them, their values and where each came from.
`thrum daemon start` passes its environment on.
";
