//! What is written into the files of the tools.

use std::path::PathBuf;

use jsonc_parser::cst::CstInputValue;
use thrum_api::local::HookPoint;

/// A file of a tool, and what of it is ours.
pub struct ToolFile {
    /// The file.
    pub path: PathBuf,
    /// What is ours in it.
    pub content: Content,
}

/// What is ours in a file.
pub enum Content {
    /// Entries of a JSON file, which may have comments.
    Json(Vec<Entry>),
    /// A server in Codex's TOML file.
    Toml(TomlTable),
    /// The whole file.
    Whole(Part, &'static str),
    /// A block between two marks in a text.
    Block(Part, String),
}

/// An entry of a JSON file.
pub struct Entry {
    /// The members on the way to it.
    pub path: Vec<&'static str>,
    /// What it is there.
    pub kind: Kind,
    /// What we write.
    pub value: CstInputValue,
    /// What it is for.
    pub part: Part,
}

/// What an entry is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The server under our name.
    Server,
    /// One of the hooks in an array.
    Hook,
    /// A word in an array.
    Word,
    /// A member that the file must have, whatever else is in it.
    Needed,
}

/// A table of a TOML file.
pub struct TomlTable {
    /// Its name.
    pub path: [&'static str; 2],
    /// Its keys, with values as they are written.
    pub values: Vec<(&'static str, String)>,
    /// What it is for.
    pub part: Part,
}

/// What an entry is for, as people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The MCP server.
    Server,
    /// A hook, at this point.
    Hook(HookPoint),
    /// Permission to use the server's tools without a question for each.
    Permission,
    /// Permission to run `thrum` outside of the tool's sandbox.
    OutsideSandbox,
    /// The plugin that does for OpenCode what hooks do for others.
    Plugin,
    /// What a model is told in a text.
    Lines,
    /// Something without a meaning of its own.
    Form,
}

/// The name of a point in commands.
pub const fn point_name(point: HookPoint) -> &'static str {
    match point {
        HookPoint::SessionStart => "session-start",
        HookPoint::Prompt => "prompt",
        HookPoint::Step => "step",
        HookPoint::Stop => "stop",
        HookPoint::Interrupt => "interrupt",
        HookPoint::SessionEnd => "session-end",
    }
}

/// The name of a point for people.
pub const fn point_title(point: HookPoint) -> &'static str {
    match point {
        HookPoint::SessionStart => "session start",
        HookPoint::SessionEnd => "end",
        other => point_name(other),
    }
}

impl Entry {
    /// The MCP server, under our name in an object of servers.
    pub fn server(servers: &'static str, value: CstInputValue) -> Self {
        Self { path: vec![servers, "thrum"], kind: Kind::Server, value, part: Part::Server }
    }

    /// A hook, in the array of an event.
    pub fn hook(point: HookPoint, event: &'static str, value: CstInputValue) -> Self {
        Self { path: vec!["hooks", event], kind: Kind::Hook, value, part: Part::Hook(point) }
    }

    /// A word in an array.
    pub fn word(path: [&'static str; 2], word: &'static str, part: Part) -> Self {
        Self { path: path.to_vec(), kind: Kind::Word, value: word.into(), part }
    }

    /// A member without which the tool does not take the file.
    pub fn needed(name: &'static str, value: CstInputValue) -> Self {
        Self { path: vec![name], kind: Kind::Needed, value, part: Part::Form }
    }

    /// What names it in the record.
    pub fn id(&self) -> String {
        let mut id = self.path.join(".");
        if let (Kind::Word, CstInputValue::String(word)) = (self.kind, &self.value) {
            id.push('=');
            id.push_str(word);
        }
        id
    }
}
