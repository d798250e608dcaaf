//! `thrum group`

use thrum_api::local::{GroupChange, GroupChangeParams, GroupList, GroupListParams};

use crate::cli::MembersArgs;
use crate::context::{Context, address};
use crate::error::Error;
use crate::format::counted;
use crate::printer::{BOLD, styled};
use crate::terminal::sanitize;

/// Indent of the rest of a group that is longer than the terminal is wide.
const INDENT: &str = "    ";

/// `thrum group add` and, with `removing`, `thrum group remove`
pub async fn change(
    args: &MembersArgs,
    removing: bool,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    // `@name` is a group, which can't be a member: thrumd says so.
    let members = args.members.iter().map(|name| address(name)).collect::<Result<Vec<_>, _>>()?;
    let (add, remove) = if removing { (Vec::new(), members) } else { (members, Vec::new()) };
    let params =
        GroupChangeParams { group: args.group.clone(), project: context.project()?, add, remove };
    let group = context.daemon().await?.call_again::<GroupChange>(&params).await?;
    let members = counted(group.members.len(), "member");
    let text = format!("@{} has {members}.", sanitize(&group.name));
    context.printer.done(&group, &text)
}

/// `thrum group list`
pub async fn list(group: Option<String>, context: &mut Context<'_>) -> Result<(), Error> {
    let is_one = group.is_some();
    let params = GroupListParams { project: context.project()?, group };
    let list = context.daemon().await?.call::<GroupList>(&params).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&list);
    }
    if printer.quiet() {
        let names = list.groups.iter().flat_map(|group| match is_one {
            true => group.members.iter().collect::<Vec<_>>(),
            false => vec![&group.name],
        });
        return names.into_iter().try_for_each(|name| printer.line(&sanitize(name)));
    }
    if list.groups.is_empty() {
        printer.note("No groups yet. To make one: thrum group add GROUP NAME...");
        return Ok(());
    }
    let line = |name: &str, members: &[String]| {
        let name = styled(BOLD, &format!("@{}", sanitize(name)));
        format!("{name}: {}", sanitize(&members.join(", ")))
    };
    let lines: Vec<_> = list.groups.iter().map(|it| line(&it.name, &it.members)).collect();
    printer.pages(&lines, INDENT)
}
