//! Errors of the configuration.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag(&'static str),
    /// The environment.
    Env(&'static str),
    /// `thrumd.toml`.
    File(PathBuf),
    /// Another setting implies it.
    Implied(&'static str),
    /// It is not set.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Implied(by) => write!(f, "because {by} is set"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// An invalid value.
    #[error("{name} = {value:?} ({origin}): {wanted}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Its value; `(hidden)` for a secret.
        value: String,
        /// Where it came from.
        origin: Origin,
        /// What a value must be.
        wanted: String,
    },
    /// A variable that is not UTF-8.
    #[error("{name} in the environment is not UTF-8 text")]
    NotText {
        /// The variable.
        name: &'static str,
    },
    /// The file can't be read.
    #[error("can't read the configuration file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML. The line itself isn't shown: it may contain a secret.
    #[error("{path}, line {line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// An unknown key.
    #[error("{path}: there is no setting {name:?}{}", near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        name: String,
        /// The most similar setting.
        near: Option<&'static str>,
    },
    /// A value in the file that is neither text, number nor boolean.
    #[error("{path}: {name} must be a text, a number, true or false")]
    Type {
        /// The file.
        path: PathBuf,
        /// The setting.
        name: &'static str,
    },
    /// There is no home directory to derive the state directory from.
    #[error(
        "no home directory is known, so there is no default for state_dir; set THRUM_STATE_DIR"
    )]
    NoHome,
}
