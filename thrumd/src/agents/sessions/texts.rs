//! How long the texts of a session may be.

use super::error::SessionError;

/// Maximum characters of a session's id.
const ID_MAX: usize = 128;
/// Maximum characters of the name of a tool.
const TOOL_MAX: usize = 64;
/// Maximum characters of a question or a task.
const PROSE_MAX: usize = 500;
/// Maximum characters of a folder.
const FOLDER_MAX: usize = 1000;
/// Maximum characters of a branch.
const BRANCH_MAX: usize = 255;

/// The texts of a request.
#[derive(Debug, Default)]
pub struct Texts<'a> {
    pub session: Option<&'a str>,
    pub tool: Option<&'a str>,
    pub question: Option<&'a str>,
    pub task: Option<&'a str>,
    pub folder: Option<&'a str>,
    pub branch: Option<&'a str>,
}

impl Texts<'_> {
    /// Checks their lengths. What they say is kept as it is, escapes and line ends too: clients show these escaped.
    /// An id is typed by people and compared by programs, so it has no control characters.
    pub fn check(&self) -> Result<(), SessionError> {
        let fields = [
            ("session", self.session, ID_MAX),
            ("tool", self.tool, TOOL_MAX),
            ("question", self.question, PROSE_MAX),
            ("task", self.task, PROSE_MAX),
            ("folder", self.folder, FOLDER_MAX),
            ("branch", self.branch, BRANCH_MAX),
        ];
        for (field, text, max) in fields {
            let chars = text.map_or(0, |text| text.chars().count());
            if chars > max {
                return Err(SessionError::TooLong { field, chars, max });
            }
        }
        match self.session {
            Some(id) if id.is_empty() || id.contains(char::is_control) => Err(SessionError::Id),
            _ => Ok(()),
        }
    }
}
