//! The command line of `thrumd`, and its manual page.

use std::io;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

use crate::config::{Fallback, SETTINGS};

/// The whole command line.
pub fn command() -> Command {
    let action = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let mut command = Command::new("thrumd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("The Thrum service: an event log that replicates to paired machines over a tailnet")
        .after_help(
            "Runs in the foreground and logs on stderr. `thrum daemon start` runs it for you.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Read settings from this file [env: THRUM_CONFIG]"),
        )
        .arg(action("print-config", "Print every setting, its value and where it came from"))
        .arg(action("print-default-config", "Print a thrumd.toml to start with"))
        .arg(action("print-man-page", "Print thrumd(8) in roff").hide(true))
        .arg(action("check-config", "Only check the settings"))
        .arg(action(
            "reset-identity",
            "Take a new identity, after the state directory was copied here from another machine",
        ));
    for (name, help) in [
        ("plan-restore", "Check a backup and print as JSON what restoring it would do"),
        ("restore", "Restore a backup; the present log is kept under another name"),
    ] {
        let file = Arg::new(name).long(name).value_name("FILE");
        command = command.arg(file.value_parser(clap::value_parser!(PathBuf)).help(help));
    }
    for setting in SETTINGS {
        let Some(flag) = setting.flag else { continue };
        let default = match setting.fallback {
            Fallback::Value(text) => format!(" [default: {text}]"),
            Fallback::Computed(_) | Fallback::Unset(_) => String::new(),
        };
        let doc = setting.doc.replace('`', "");
        command = command.arg(
            Arg::new(setting.name)
                .long(flag)
                .value_name(setting.value)
                .help(format!("{doc} [env: {}]{default}", setting.env))
                .help_heading("Settings"),
        );
    }
    command
}

/// thrumd(8), made from the command line, in roff.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn man_page() -> io::Result<Vec<u8>> {
    let man = clap_mangen::Man::new(command());
    // Without a date, so that every build makes the same page.
    let title = concat!(".TH THRUMD 8 \"\" \"Thrum ", env!("CARGO_PKG_VERSION"), "\" Thrum\n");
    let mut page = title.as_bytes().to_vec();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend_from_slice(MORE.as_bytes());
    Ok(page)
}

const MORE: &str = r#".SH SIGNALS
.TP
SIGTERM, SIGINT
Stop in order within 5 seconds; queued events are written. A second one ends thrumd at once.
.TP
SIGHUP
Read the settings again. A new log filter applies at once; the log names the settings that need a
restart. On a terminal SIGHUP stops thrumd, because the terminal is gone.
.SH "EXIT STATUS"
.TP
0
thrumd was stopped.
.TP
1
thrumd could not start.
.TP
64
The settings are invalid: another start does not help.
.TP
65
The database belongs to a newer thrumd, or is damaged, and was not changed.
.TP
70
An internal error ended thrumd.
.SH FILES
.TP
/etc/thrum/thrumd.toml, ~/.config/thrum/thrumd.toml
Settings of the system's service and of a user's own.
.TP
/var/lib/thrum, ~/.local/state/thrum
State: the log, the identity, the paired machines.
.TP
/run/thrum/thrumd.sock
The socket of the system's service, for members of the group thrum.
.SH "SEE ALSO"
.BR thrum (1),
.BR tailscaled (8)
"#;
