use super::context::CheckContext;
use super::finding::{Finding, Section};
use thrum_api::local::{Check, CheckState};

/// Adds every problem of `status` that no check showed: one of a newer thrumd, or one that arose
/// meanwhile.
pub fn add(context: &CheckContext, all: &mut Vec<Finding>) {
    let Some(status) = context.status() else { return };
    for problem in &status.problems {
        let shown = |found: &Finding| {
            found.check.id == problem.id && !matches!(found.check.state, CheckState::Ok)
        };
        if all.iter().any(shown) {
            continue;
        }
        let check = Check {
            id: problem.id.clone(),
            state: CheckState::Fail,
            message: problem.message.clone(),
            // This is `thrum doctor`.
            next: problem.next.clone().filter(|next| next != "thrum doctor"),
            because: None,
        };
        let last = all.iter().rposition(|found| found.section <= Section::Service);
        all.insert(last.map_or(0, |index| index + 1), Finding::of(Section::Service, check));
    }
}
