use thrum_api::duration::ago;
use thrum_api::local::{QuarantineClear, QuarantineClearParams, QuarantineList};
use thrum_api::method::Empty;

use super::peers::confirm;
use crate::cli::QuarantineArgs;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::format::{counted, short_id, size};
use crate::render::table::Table;

/// `thrum quarantine`
pub async fn run(args: &QuarantineArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let mut client = context.daemon().await?;
    let list = client.call::<QuarantineList>(&Empty {}).await?;
    let printer = &mut *context.printer;
    if printer.json() && !args.clear {
        return printer.object(&list);
    }
    // Also when everything is clear already: a script must not fail then.
    if !list.entries.is_empty() && !printer.json() {
        let now = clock::now();
        let mut table = Table::new(&["WHEN", "FROM", "POSITION", "SIZE", "REASON"]);
        for entry in &list.entries {
            let from = || short_id(&entry.daemon_id.to_string());
            table.row(vec![
                ago(entry.at, now),
                entry.machine.clone().unwrap_or_else(from),
                entry.sequence.to_string(),
                size(entry.size_bytes),
                entry.reason.clone(),
            ]);
        }
        printer.lines(&table.lines())?;
        if list.more_available {
            printer.note("There are more; these are the oldest.");
        }
    }
    if !args.clear {
        printer.note(match list.entries[..] {
            [] => "No event is in quarantine.",
            _ => {
                "These are not in the log; --json shows how each begins. If you know why, this drops them and \
                 ends the warning: thrum quarantine --clear"
            }
        });
        return Ok(());
    }
    let through = list.entries.last().map_or(0, |last| last.id);
    let what = counted(list.entries.len() as u64, "event");
    if !args.yes && !list.entries.is_empty() {
        confirm(&format!("Drop {what} for good? Nothing else depends on them. [y/N] "), printer)
            .await?;
    }
    let cleared = client.call::<QuarantineClear>(&QuarantineClearParams { through }).await?;
    let text = format!("Dropped {} from quarantine.", counted(cleared.cleared, "event"));
    printer.done(&cleared, &text)
}
