//! The command line: arguments, options, help.

mod backup;
mod daemon;
mod dashes;
mod generate;
mod messages;
mod peers;
mod quarantine;
pub mod topics;
mod usage;

use std::ffi::OsString;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum as _};
use clap_complete::engine::ArgValueCandidates;

use crate::candidates;
use crate::printer::{Color, OutputOptions};

pub use backup::{BackupArgs, RestoreArgs};
pub use daemon::{ConfirmArgs, DaemonCommand, DemoArgs, DoctorArgs, LogsArgs, StatusArgs};
pub use generate::{GenerateCommand, Shell};
pub use messages::{AgentsArgs, EventsArgs, InboxArgs, SendArgs, WaitArgs};
pub use peers::{JoinArgs, PeerCommand, PeerStatusArgs, PolicyArgs, RemoveArgs, Switch, SyncArgs};
pub use quarantine::QuarantineArgs;
pub use usage::message_and_hint;

/// Messages between agents on any of your machines.
#[derive(Debug, Parser)]
#[command(
    name = "thrum",
    version,
    disable_help_subcommand = true,
    before_help = "Examples:\n  \
        thrum daemon start                          start the daemon of this user\n  \
        thrum send --as planner coder \"it's yours\"  send a message to an agent\n  \
        thrum wait --as planner --timeout 10m       wait for the answer\n  \
        thrum peer add                              pair this machine with another\n  \
        thrum status                                show whether everything works",
    after_help = "More: thrum help exit-codes, thrum help environment, thrum help COMMAND"
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Print JSON: one document, or one object per line for streams
    #[arg(long, global = true)]
    pub json: bool,
    /// Your agent name
    #[arg(
        long = "as",
        value_name = "NAME",
        global = true,
        env = "THRUM_AGENT",
        hide_env_values = true,
        add = ArgValueCandidates::new(candidates::agents)
    )]
    pub agent: Option<String>,
    /// The project of the agents and messages [default: origin URL or name of the checkout]
    #[arg(long, value_name = "NAME", global = true, env = "THRUM_PROJECT", hide_env_values = true)]
    pub project: Option<String>,
    /// The socket of thrumd [default: yours, the system's, Homebrew's]
    #[arg(long, value_name = "PATH", global = true, env = "THRUM_SOCKET", hide_env_values = true)]
    pub socket: Option<OsString>,
    /// When to use colour
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help = "When to use colour: always, auto or never"
    )]
    pub color: Color,
    /// Print only the result
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more details
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

impl Global {
    /// How to print.
    pub const fn output(&self) -> OutputOptions {
        let Self { json, color, quiet, verbose, .. } = *self;
        OutputOptions { json, color, quiet, verbose }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the state of this machine: daemon, log, peers, problems
    #[command(before_help = "Examples:\n  \
        thrum status                 everything on one screen\n  \
        thrum status --watch         the same, refreshed every 2 seconds\n  \
        thrum status --check         print nothing; exit code 6 if there is a problem")]
    Status(StatusArgs),
    /// Check every part from the programs to the peers, and show how to repair what is broken
    #[command(before_help = "Examples:\n  \
        thrum doctor                 all checks; exit code 6 if one fails\n  \
        thrum doctor -q              only the failed ones\n  \
        thrum doctor --report        to paste into an issue: no names, addresses or messages")]
    Doctor(DoctorArgs),
    /// Send a message to agents on any machine
    #[command(before_help = "Examples:\n  \
        thrum send coder \"the parser is yours\"\n  \
        thrum send @coder @tester \"done\"      two recipients\n  \
        thrum send --all \"lunch\"              everyone in the project\n  \
        git diff | thrum send coder -         read the message from stdin\n  \
        thrum send coder -- \"--json\"          send a message that looks like an option")]
    Send(SendArgs),
    /// Show your messages and mark them as read
    #[command(before_help = "Examples:\n  \
        thrum inbox                  unread messages, and earlier ones that were read\n  \
        thrum inbox --unread --json  for programs\n  \
        thrum inbox --count -q       the unread count for a shell prompt; empty if thrumd doesn't run")]
    Inbox(InboxArgs),
    /// Wait for the next message from this machine or a peer
    #[command(before_help = "Examples:\n  \
        thrum wait --timeout 10m     exit code 5 if no message came\n  \
        thrum wait --follow          print each as it arrives")]
    Wait(WaitArgs),
    /// List the agents seen on this machine or a peer
    #[command(before_help = "Examples:\n  \
        thrum agents                 agents of this project\n  \
        thrum agents --all-projects")]
    Agents(AgentsArgs),
    /// Print the events in the log
    #[command(before_help = "Examples:\n  \
        thrum events                       the last 20\n  \
        thrum events --follow --json       every new one, one JSON object per line\n  \
        thrum events --after 0 --type message.sent\n  \
        thrum events --project NAME        events of one project, as with THRUM_PROJECT")]
    Events(EventsArgs),
    /// List the events that could not be stored or interpreted, and drop them once you have seen them
    #[command(before_help = "Examples:\n  \
        thrum quarantine             what came from where, and why it is no event\n  \
        thrum quarantine --clear     ends the warning in status and doctor")]
    Quarantine(QuarantineArgs),
    /// Write a backup of everything that this machine's thrumd keeps; it may run
    #[command(before_help = "Examples:\n  \
        thrum backup thrum.backup            the log, the identity and its key, the peers and their tokens\n  \
        thrum backup - | ssh nas 'cat >b'    to stdout")]
    Backup(BackupArgs),
    /// Put a backup in the place of what thrumd keeps; thrumd must be stopped
    #[command(before_help = "Examples:\n  \
        thrum restore thrum.backup --dry-run    check it and show what would change\n  \
        thrum restore thrum.backup              the present log is kept under another name")]
    Restore(RestoreArgs),
    /// Pair with other machines and manage peers
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum peer add                     on this machine: show a code and wait\n  \
        thrum peer join my-laptop:9100     on the other one: type the code"
    )]
    Peer(PeerCommand),
    /// Manage thrumd, with systemd or launchd if it is installed as their service
    #[command(
        subcommand,
        before_help = "Examples:\n  \
        thrum daemon start\n  \
        thrum daemon logs -f"
    )]
    Daemon(DaemonCommand),
    /// Run two daemons, kill one, and show that both logs become equal
    #[command(before_help = "Examples:\n  \
        thrum demo\n  \
        thrum demo --keep            leave both running and show how to use them")]
    Demo(DemoArgs),
    /// Generate files for packages
    #[command(subcommand, hide = true)]
    Generate(GenerateCommand),
    /// Show help for a command or a topic: exit-codes, environment
    #[command(before_help = "Examples:\n  thrum help send\n  thrum help exit-codes")]
    Help {
        /// A command or a topic
        #[arg(value_name = "WORD")]
        words: Vec<String>,
    },
}

/// Reads `--json` and `--color` before the command line is parsed, so that a parse error is printed accordingly.
pub fn early_options(arguments: &[OsString]) -> OutputOptions {
    let mut early = OutputOptions::default();
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        let color = match word {
            "--" => break,
            "--json" => {
                early.json = true;
                continue;
            }
            "--color" => words.next(),
            _ => word.strip_prefix("--color="),
        };
        if let Some(color) = color.and_then(|text| Color::from_str(text, false).ok()) {
            early.color = color;
        }
    }
    early
}

/// The help layout: examples before arguments.
const TEMPLATE: &str =
    "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// The parser of the whole command line, with one help layout for all commands.
pub fn command() -> clap::Command {
    fn with_template(command: clap::Command) -> clap::Command {
        command.help_template(TEMPLATE).mut_subcommands(with_template)
    }
    with_template(Cli::command())
}

/// Parses the arguments.
///
/// # Errors
/// When they are invalid, and when they ask for help or the version.
pub fn parse(arguments: &[OsString], color: Color) -> Result<Cli, clap::Error> {
    let color = match color {
        Color::Always => clap::ColorChoice::Always,
        Color::Auto => clap::ColorChoice::Auto,
        Color::Never => clap::ColorChoice::Never,
    };
    let mut command = command().color(color);
    let arguments = dashes::escape_message(arguments, &command);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn all_help_matches_the_snapshot() {
        fn collect(command: &mut clap::Command, path: &str, all: &mut String) {
            let help = command.render_help().to_string();
            all.push_str(&format!("======== {path}\n{}\n\n", help.trim_end()));
            for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
                let path = format!("{path} {}", sub.get_name());
                collect(sub, &path, all);
            }
        }
        let mut all = String::new();
        let mut command = command().term_width(100);
        command.build();
        collect(&mut command, "thrum", &mut all);
        for topic in topics::ALL {
            all.push_str(&format!("======== thrum help {}\n{}\n", topic.name, topic.text));
        }
        let all: Vec<&str> = all.lines().map(str::trim_end).collect();
        insta::assert_snapshot!("help", all.join("\n"));
    }

    #[test]
    fn a_mistyped_command_suggests_the_similar_one() {
        let error = parse(&words("thrum stauts"), Color::Auto).unwrap_err();
        assert!(error.to_string().contains("'status'"), "{error}");
        let error = parse(&words("thrum peer jion x"), Color::Auto).unwrap_err();
        assert!(error.to_string().contains("'join'"), "{error}");
    }

    #[test]
    fn global_options_are_allowed_anywhere() {
        let cli = parse(&words("thrum --json send --as me coder hello --project p"), Color::Auto);
        let global = cli.unwrap().global;
        assert!(global.json);
        assert_eq!((global.agent.as_deref(), global.project.as_deref()), (Some("me"), Some("p")));
    }

    #[test]
    fn json_and_color_are_read_even_if_the_rest_is_invalid() {
        assert!(early_options(&words("thrum stauts --json")).json);
        assert!(!early_options(&words("thrum send a -- --json")).json);
        assert_eq!(early_options(&words("thrum --color=never x")).color, Color::Never);
        assert_eq!(early_options(&words("thrum --color always")).color, Color::Always);
    }
}
