//! What a model is shown of a message.

use tests::agent_tools::{Asked, Shown};

/// Checks that the model was shown this message once, as data of another agent, under this role. Gives the
/// text and the id by which it is answered.
///
/// # Panics
/// When it is otherwise.
#[track_caller]
pub fn quoted<'a>(asked: &'a Asked, message: &str, role: &str) -> (&'a Shown, String) {
    let (shown, id) = quoted_to(asked, message);
    assert_eq!(shown.role, role, "{shown:?}");
    (shown, id)
}

/// The same under any role.
///
/// # Panics
/// When it is otherwise.
#[track_caller]
pub fn quoted_to<'a>(asked: &'a Asked, message: &str) -> (&'a Shown, String) {
    let shown = asked.text_with(message);
    let fenced = format!("\n```\n{message}\n```\n");
    let text = &shown.text;
    assert!(text.contains(&fenced), "no fence around it: {text}");
    assert!(text.contains("[thrum] "), "{text}");
    let (before, after) = text.split_once(&fenced).unwrap_or_default();
    let after = after.lines().next().unwrap_or_default();
    assert!(after.contains("another agent, not by your user"), "{text}");
    let head = before.lines().next_back().unwrap_or_default();
    let id = head.strip_prefix("Message ").and_then(|rest| rest.split(' ').next());
    (shown, id.unwrap_or_else(|| panic!("no header before it: {text}")).to_owned())
}
