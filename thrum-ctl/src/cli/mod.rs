//! The command line: arguments, options, help.

mod backup;
mod command;
mod conversation;
mod daemon;
mod dashes;
mod generate;
mod hooks;
mod init;
mod mcp;
mod messages;
mod metrics;
mod peers;
mod quarantine;
mod team;
pub mod topics;
mod ui;
mod usage;

use std::ffi::OsString;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum as _};
use clap_complete::engine::ArgValueCandidates;

use crate::candidates;
use crate::printer::{Color, OutputOptions};

pub use backup::{BackupArgs, RestoreArgs};
pub use command::Command;
pub use conversation::{DeleteArgs, ReadArgs, SearchArgs, SentArgs, ShowArgs, ThreadArgs};
pub use daemon::{ConfirmArgs, DaemonCommand, DemoArgs, DoctorArgs, LogsArgs, StatusArgs};
pub use generate::{GenerateCommand, Shell};
pub use hooks::{PrimeArgs, WakeCommand};
pub use init::InitArgs;
pub use messages::{EventsArgs, InboxArgs, ReplyArgs, SendArgs, WaitArgs, WritingArgs};
pub use metrics::MetricsArgs;
pub use peers::{JoinArgs, PeerCommand, PeerStatusArgs, PolicyArgs, RemoveArgs, Switch, SyncArgs};
pub use quarantine::QuarantineArgs;
pub use team::{
    AgentCommand, GroupCommand, MembersArgs, RegisterArgs, SessionCommand, SessionEndArgs,
    SessionStartArgs, SessionUpdateArgs, SocketCommand, TeamArgs,
};
pub use ui::UiArgs;
pub use usage::message_and_hint;

const NAME: &str = "thrum";

/// Messages between agents on any of your machines.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    disable_help_subcommand = true,
    before_help = "Examples:\n  \
        thrum daemon start                          start the daemon of this user\n  \
        thrum send --as planner coder \"it's yours\"  send a message to an agent\n  \
        thrum wait --as planner --timeout 10m       wait for the answer\n  \
        thrum team                                  show who works on what, and who needs you\n  \
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
#[derive(Debug, Default, Clone, Args)]
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
        add = ArgValueCandidates::new(candidates::names)
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

/// A parser of the one command that is named: it takes a third of the time, because the options of every command are
/// not given to all others. None if there is no such command.
fn alone(arguments: &[OsString], whole: &clap::Command) -> Option<clap::Command> {
    let (_, name) = dashes::command_word(arguments, whole)?;
    let named = whole.find_subcommand(name)?.clone();
    let bare = clap::Command::new(NAME).disable_help_subcommand(true);
    Some(Global::augment_args(bare).subcommand(named))
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
    if let Some(alone) = alone(&arguments, &command) {
        command = alone.color(color);
    }
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
    fn a_command_alone_is_parsed_as_among_the_others() {
        for line in [
            "thrum send --help",
            "thrum --json peer jion",
            "thrum peer",
            "thrum send",
            "thrum session update --state asleep",
            "thrum --as x inbox --unread --read",
            "thrum agent register --abuot x",
            "thrum wait --any",
        ] {
            let arguments = words(line);
            let alone = alone(&arguments, &command()).unwrap();
            let text = |parser: clap::Command| {
                let error = parser.try_get_matches_from(&arguments).unwrap_err();
                (error.exit_code(), error.render().to_string())
            };
            assert_eq!(text(alone), text(command()), "{line}");
        }
        assert!(alone(&words("thrum stauts"), &command()).is_none());
        assert!(alone(&words("thrum --version send"), &command()).is_none());
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
