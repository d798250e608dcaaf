//! How long ago something was, in the words of status lines.

use thrum_api::Timestamp;

/// `30s ago`, `5m ago`, `2h ago`, `3d ago`, or `never`.
pub fn ago(then: Option<Timestamp>, now: Timestamp) -> String {
    let Some(then) = then else { return "never".to_owned() };
    let seconds = now.millis_since(then) / 1000;
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..86_400 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}
