//! Prints the figures. `cargo build --profile dist --workspace && target/dist/bench`
//!
//! Runs the `thrumd` and `thrum` beside it, on loopback, in temporary directories. The group
//! `tailnet` runs in namespaces with a real tailnet, and only when it is named; `ui` with a real browser, in the same way.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::process::ExitCode;

use tests::bench::{GROUPS, Group, Needs, Report, Size};

const USAGE: &str = "usage: bench [--json] [--quick] [GROUP...]";
/// Besides 0, 1 for a figure over its limit and 2 for a wrong command line. `tests/run` knows them.
const CANT_BE_HERE: u8 = 3;
/// What a panic ends with, and what we end with when a signal ended what ran sealed.
const CRASHED: u8 = 101;

fn main() -> ExitCode {
    let (mut json, mut size, mut wanted) = (false, Size::Full, Vec::new());
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--json" => json = true,
            "--quick" => size = Size::Quick,
            name if GROUPS.iter().any(|group| group.name == name) => wanted.push(word),
            _ => {
                let names: Vec<_> = GROUPS.iter().map(|group| group.name).collect();
                eprintln!("{USAGE}\ngroups: {}", names.join(", "));
                return ExitCode::from(2);
            }
        }
    }
    let named = |group: &Group| wanted.iter().any(|name| name == group.name);
    #[cfg(target_os = "linux")]
    for (needs, what) in [(Needs::Tailnet, "no tailnet"), (Needs::Browser, "no browser")] {
        if !GROUPS.iter().any(|group| group.needs == needs && named(group)) {
            continue;
        }
        let run_again = match needs {
            Needs::Browser => tests::browser::run_again_sealed(),
            _ => tests::tailnet::run_again_sealed(),
        };
        match run_again {
            Ok(None) => {}
            Ok(Some(status)) => {
                let code = status.code().and_then(|code| u8::try_from(code).ok());
                return ExitCode::from(code.unwrap_or(CRASHED));
            }
            Err(reason) => {
                eprintln!("there can be {what} here: {reason}");
                return ExitCode::from(CANT_BE_HERE);
            }
        }
    }
    let mut report = Report::default();
    for group in GROUPS {
        if named(group) || (wanted.is_empty() && group.needs == Needs::Nothing) {
            report.figures.extend((group.measure)(size));
        }
    }
    if json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("the report is no JSON: {error}"),
        }
    } else {
        print!("{}", report.table());
    }
    if report.ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
