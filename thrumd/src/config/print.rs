//! Prints the table of settings.

use std::borrow::Cow;

use textwrap::{Options, WordSplitter};

use super::layers::Layers;
use super::settings::{Fallback, SETTINGS, Setting};

/// `--print-config`: each value and where it came from.
pub fn effective(layers: &Layers) -> String {
    let rows: Vec<(&str, String, String)> = SETTINGS
        .iter()
        .map(|setting| {
            let value = layers.get(setting.key);
            let shown = match &value.text {
                None => "(unset)".to_owned(),
                Some(_) if setting.secret() => "(hidden)".to_owned(),
                Some(text) => text.clone(),
            };
            (setting.name, shown, value.origin.to_string())
        })
        .collect();
    let names = rows.iter().map(|row| row.0.len()).max().unwrap_or(0);
    let values = rows.iter().map(|row| row.1.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(n, v, origin)| format!("{n:names$}  {v:values$}  {origin}\n")).collect()
}

/// `--print-default-config`: a `thrumd.toml` in which everything is commented out.
pub fn default_file() -> String {
    let mut text = String::from(
        "# Settings of thrumd. Commented lines are examples and change nothing.\n\
         # Flags and environment variables override this file.\n",
    );
    for setting in SETTINGS {
        text.push('\n');
        for line in wrapped(setting.doc, 96) {
            text.push_str(&format!("# {line}\n"));
        }
        let default = format!("Default: {}.", default_text(setting).replace('`', ""));
        for line in wrapped(&default, 96) {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("#{} = {}\n", setting.name, setting.sample));
    }
    text
}

/// docs/configuration.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Settings of thrumd\n\
         \n\
         Generated from `thrumd/src/config/settings.rs`; a test keeps it up to date.\n\
         \n\
         A flag overrides an environment variable, which overrides `thrumd.toml`, which overrides the\n\
         default. An empty variable counts as unset. `thrumd --print-config` shows every value and where\n\
         it came from, `thrumd --check-config` only checks them, `thrumd --print-default-config` writes a\n\
         `thrumd.toml` to start with. An invalid value or an unknown key ends thrumd with exit code 64\n\
         before anything is opened.\n\
         \n\
         The file is the one named by `--config` or `THRUM_CONFIG`, else `~/.config/thrum/thrumd.toml`\n\
         (with `XDG_CONFIG_HOME`: there), as root and as the system's service `/etc/thrum/thrumd.toml`\n\
         (systemd's `CONFIGURATION_DIRECTORY`). `thrum` reads `state_dir` and `socket` from yours, too, so\n\
         that it finds the daemon. Durations are written as `90s`, `5m` or `2m30s`.\n\
         \n\
         | in thrumd.toml | variable | flag | default |\n\
         | --- | --- | --- | --- |\n",
    );
    for setting in SETTINGS {
        let flag = setting.flag.map_or("none".to_owned(), |flag| format!("`--{flag}`"));
        let (name, env) = (setting.name, setting.env);
        let default = default_text(setting);
        text.push_str(&format!("| `{name}` | `{env}` | {flag} | {default} |\n"));
    }
    for setting in SETTINGS {
        text.push_str(&format!("\n## `{}`\n\n", setting.name));
        for line in wrapped(setting.doc, 100) {
            text.push_str(&format!("{line}\n"));
        }
        let (name, sample) = (setting.name, setting.sample);
        text.push_str(&format!("\n```toml\n{name} = {sample}\n```\n"));
    }
    text
}

fn default_text(setting: &Setting) -> String {
    match setting.fallback {
        Fallback::Value(text) => format!("`{text}`"),
        Fallback::Computed(words) | Fallback::Unset(words) => words.to_owned(),
    }
}

fn wrapped(words: &str, width: usize) -> Vec<Cow<'_, str>> {
    textwrap::wrap(words, Options::new(width).word_splitter(WordSplitter::NoHyphenation))
}
