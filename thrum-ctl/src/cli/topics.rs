//! Help topics that belong to no command.

/// A help topic.
pub struct Topic {
    /// The word after `thrum help`.
    pub name: &'static str,
    /// The help text.
    pub text: &'static str,
}

/// All topics.
pub const ALL: &[Topic] = &[
    Topic { name: "exit-codes", text: EXIT_CODES },
    Topic { name: "environment", text: ENVIRONMENT },
];

const EXIT_CODES: &str = "\
Exit codes. They are stable.

    0  ok; also when the reader of the output has closed the pipe
    1  refused or failed
    2  the command line is wrong, or lacks your agent name
    3  thrumd can't be reached
    4  you are not allowed to use thrumd, or to do this with it
    5  --timeout or --wait-reply passed
    6  `doctor` or `status --check` found a problem
  130  Ctrl-C

With --json a failure is one line on stderr, and stdout stays empty:
  {\"error\":{\"code\":\"not_running\",\"message\":\"...\",\"hint\":\"...\"}}
That of a message that may have been sent has its \"event_id\", for thrum send --id; also that of one that
was sent and not answered within --wait-reply.
If thrumd does not answer, thrum waits for it. After some seconds it prints a line on stderr, unless
-q is given:
  {\"note\":{\"code\":\"waiting\",\"message\":\"...\",\"hint\":\"...\"}}
";

const ENVIRONMENT: &str = "\
Variables that thrum reads. An option overrides its variable.

  THRUM_AGENT        your agent name (--as)
  THRUM_PROJECT      the project of the agents and messages (--project)
  THRUM_SESSION      the id of your session (--session, --id)
  THRUM_SOCKET       the socket of thrumd (--socket)
  THRUM_STATE_DIR    the state directory of the daemon; its socket is thrumd.sock in it
  THRUM_CONFIG       the thrumd.toml that names the socket or the state directory if nothing above does
  THRUM_TS_SOCKET    the socket of tailscaled that `doctor` asks when thrumd does not answer
  THRUMD_BIN         the thrumd that `daemon start` and `demo` start
  THRUM_NO_PROGRESS  show no progress bar
  THRUM_HOOK_DEBUG   print what goes wrong in `thrum hook`, which is silent otherwise
  THRUM_PAGER        the program that shows output that is longer than the screen; empty for none
  PAGER              the same, if THRUM_PAGER is not set [default: less]
  BROWSER            the browser that `thrum ui` opens, several with colons between them [default: xdg-open]
  NO_COLOR           no colour (--color)

thrumd has its own variables: thrumd --print-config shows them, their values and where each came from.
`thrum daemon start` passes its environment to thrumd.
";
