use std::io::Write as _;

/// Says why a test can't run on this machine. With `CI=true` that is a failure, so that nothing is
/// skipped forever without anyone noticing.
///
/// # Panics
/// With `CI=true`.
#[track_caller]
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "skipped: {reason}");
    // Not by a macro, whose output is captured and shown only when a test fails.
    let _closed = writeln!(std::io::stderr(), "skipped: {reason}");
}
