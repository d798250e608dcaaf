//! `thrumd`, in the foreground.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgMatches;
use thrum_api::visible::visible;
use thrumd::cli;
use thrumd::config::{self, Config, ConfigError, Flags, HostInfo, Layers, SETTINGS};
use thrumd::service::{self, Reload};

/// Invalid settings: `EX_USAGE` of sysexits.h, so that a service manager doesn't retry.
const EXIT_CONFIGURATION: u8 = 64;

/// The first descriptor after stdin, stdout and stderr.
const FIRST_INHERITED: i32 = 3;

fn main() -> ExitCode {
    // What was open when it started, such as the socket from systemd, is not for a tailscaled of its own.
    close_fds::set_fds_cloexec(FIRST_INHERITED, &[]);
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let wrong = error.use_stderr();
            // A closed terminal can't show the error.
            drop(error.print());
            return if wrong { ExitCode::from(EXIT_CONFIGURATION) } else { ExitCode::SUCCESS };
        }
    };
    if matches.get_flag("print-default-config") {
        return print(config::print::default_file().as_bytes());
    }
    if matches.get_flag("print-man-page") {
        return cli::man_page().map_or(ExitCode::FAILURE, |page| print(&page));
    }
    let hint = "see `thrumd --print-config` and `thrumd --help`";
    let layers = match layers(&matches) {
        Ok(layers) => layers,
        Err(error) => return fail(&error, EXIT_CONFIGURATION, hint),
    };
    if matches.get_flag("print-config") {
        let printed = print(config::print::effective(&layers).as_bytes());
        return match Config::parse(&layers) {
            Ok(_) => printed,
            Err(error) => fail(&error, EXIT_CONFIGURATION, "correct that setting"),
        };
    }
    let config = match Config::parse(&layers) {
        Ok(config) => config,
        Err(error) => return fail(&error, EXIT_CONFIGURATION, hint),
    };
    if matches.get_flag("check-config") {
        return ExitCode::SUCCESS;
    }
    let state_dir = config.state_dir.clone();
    service::log_to_stderr(&config.log);
    service::exit_on_panic();
    let file = |name| matches.get_one::<PathBuf>(name);
    let ended = if matches.get_flag("reset-identity") {
        service::reset_identity(&config).map(|told| print(told.as_bytes()))
    } else if let Some(file) = file("plan-restore") {
        service::plan_restore(&config, file).map(|told| print(told.as_bytes()))
    } else if let Some(file) = file("restore") {
        service::restore(&config, file).map(|told| print(told.as_bytes()))
    } else {
        let reload = Reload::new(layers, Box::new(move || self::layers(&matches)));
        service::run(config, reload).map(|()| ExitCode::SUCCESS)
    };
    match ended {
        Ok(code) => code,
        Err(error) => fail(&error, error.exit_code(), &error.next(&state_dir).unwrap_or_default()),
    }
}

fn layers(matches: &ArgMatches) -> Result<Layers, ConfigError> {
    let mut flags =
        Flags { config: matches.get_one::<PathBuf>("config").cloned(), ..Flags::default() };
    for setting in SETTINGS.iter().filter(|setting| setting.flag.is_some()) {
        if let Some(text) = matches.get_one::<String>(setting.name) {
            flags.values.insert(setting.key, text.clone());
        }
    }
    Layers::collect(&flags, &|name| std::env::var_os(name), &HostInfo::detect())
}

fn print(text: &[u8]) -> ExitCode {
    match std::io::stdout().lock().write_all(text) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that stops early (`| head`) is not a failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(error: &dyn Error, code: u8, hint: &str) -> ExitCode {
    // The level for the journal, see sd-daemon(3).
    let level = if service::to_journal() { "<3>" } else { "" };
    let mut text = format!("{level}Error: {}\n", visible(&error.to_string()));
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("{level}Caused by: {}\n", visible(&error.to_string())));
        cause = error.source();
    }
    if !hint.is_empty() {
        text.push_str(&format!("{level}Hint: {hint}\n"));
    }
    // A closed stderr can't show the error.
    drop(std::io::stderr().lock().write_all(text.as_bytes()));
    ExitCode::from(code)
}
