//! Settings: flags over environment over `thrumd.toml` over defaults, parsed once into types that
//! can't hold an invalid value.

mod error;
mod layers;
mod parse;
pub mod print;
mod settings;
mod types;
mod values;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, Origin};
pub use layers::{Env, Flags, HostInfo, Layers, Value};
pub use parse::SOCKET_PATH_MAX_BYTES;
pub use settings::{Fallback, Key, SETTINGS, Setting, setting};
pub use types::{Cadence, CadenceError, Config, SyncMode};
