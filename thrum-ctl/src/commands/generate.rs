use std::io;
use std::path::Path;

use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use crate::cli::{self, GenerateCommand, Shell, topics};
use crate::complete;
use crate::context::Context;
use crate::error::Error;

/// `thrum generate`
pub fn run(command: &GenerateCommand, context: &mut Context<'_>) -> Result<(), Error> {
    match command {
        GenerateCommand::Man { folder } => pages(folder),
        GenerateCommand::Completions { shell } => {
            let script = script(*shell).map_err(|e| Error::io("can't generate the script", e))?;
            context.printer.line(script.trim_end())
        }
    }
}

fn script(shell: Shell) -> io::Result<String> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => &Bash,
        Shell::Fish => &Fish,
        Shell::Zsh => &Zsh,
    };
    let mut script = Vec::new();
    completer.write_registration(complete::VARIABLE, "thrum", "thrum", "thrum", &mut script)?;
    if shell == Shell::Zsh {
        // When zsh autoloads the file, the file is the body of the function, so its first run must
        // complete, too.
        script.extend_from_slice(
            b"\n[ \"$funcstack[1]\" = _thrum ] && _clap_dynamic_completer_thrum \"$@\"\n",
        );
    }
    Ok(String::from_utf8_lossy(&script).into_owned())
}

fn pages(folder: &Path) -> Result<(), Error> {
    let folder = folder.join("man1");
    let cant = |what: &Path| {
        let what = format!("can't write {}", what.display());
        move |source| Error::io(what, source)
    };
    std::fs::create_dir_all(&folder).map_err(cant(&folder))?;
    let mut command = cli::command();
    command.build();
    for (name, page) in all(&command, "thrum").map_err(cant(&folder))? {
        let path = folder.join(format!("{name}.1"));
        std::fs::write(&path, page).map_err(cant(&path))?;
    }
    Ok(())
}

/// The pages of a command and its subcommands, with names such as `thrum-peer-add`.
fn all(command: &clap::Command, name: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let shown: Vec<&clap::Command> =
        command.get_subcommands().filter(|sub| !sub.is_hide_set()).collect();
    let mut pages = vec![(name.to_owned(), page(command, name, &shown)?)];
    for sub in shown {
        pages.extend(all(sub, &format!("{name}-{}", sub.get_name()))?);
    }
    Ok(pages)
}

fn page(command: &clap::Command, name: &str, subs: &[&clap::Command]) -> io::Result<Vec<u8>> {
    let examples = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    // Examples get a section of their own, and subcommands refer to their pages.
    let bare = command.clone().before_help("").after_help("").display_name(name.to_owned());
    let man = clap_mangen::Man::new(bare);
    // No date, so that builds are reproducible.
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    let mut page = format!(".TH \"{title}\" 1 \"\" \"Thrum {version}\" Thrum\n").into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if !subs.is_empty() {
        page.extend_from_slice(b".SH COMMANDS\n");
        for sub in subs {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            let of = format!("{name}-{}", sub.get_name());
            let line = format!(".TP\n\\fB{}\\fR(1)\n{}\n", roff(&of), roff(&about));
            page.extend_from_slice(line.as_bytes());
        }
    }
    man.render_options_section(&mut page)?;
    literal(&mut page, "EXAMPLES", examples.trim_start_matches("Examples:\n"));
    if name == "thrum" {
        for topic in topics::ALL {
            literal(&mut page, &topic.name.replace('-', " ").to_uppercase(), topic.text);
        }
        page.extend_from_slice(b".SH \"SEE ALSO\"\n.BR thrumd (8)\n");
    } else {
        page.extend_from_slice(b".SH \"SEE ALSO\"\n.BR thrum (1)\n");
    }
    Ok(page)
}

/// A section whose line breaks are kept.
fn literal(page: &mut Vec<u8>, heading: &str, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    page.extend_from_slice(format!(".SH \"{heading}\"\n.nf\n").as_bytes());
    for line in text.trim_end().lines() {
        page.extend_from_slice(roff(line.strip_prefix("  ").unwrap_or(line)).as_bytes());
        page.push(b'\n');
    }
    page.extend_from_slice(b".fi\n");
}

/// Escapes text for roff.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_command_has_a_page() {
        let mut command = cli::command();
        command.build();
        let pages = all(&command, "thrum").unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.contains(&"thrum-peer-add") && names.contains(&"thrum"), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("generate")), "{names:?}");
        let text = String::from_utf8(pages[0].1.clone()).unwrap();
        assert!(text.contains("THRUM_AGENT") && text.contains("thrum\\-send"), "{text}");
    }

    #[test]
    fn completion_scripts_call_the_program() {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            assert!(script(shell).unwrap().contains(complete::VARIABLE), "{shell:?}");
        }
    }
}
