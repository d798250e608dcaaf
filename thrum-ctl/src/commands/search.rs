use thrum_api::local::{MessageSearch, MessageSearchParams};

use crate::cli::SearchArgs;
use crate::clock;
use crate::context::{Context, agent_address};
use crate::error::Error;
use crate::render::message::INDENT;
use crate::render::search;

/// `thrum search`
pub async fn run(args: &SearchArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let params = MessageSearchParams {
        words: args.words.join(" "),
        project: if args.all_projects { None } else { Some(context.project()?) },
        from: args.from.as_deref().map(agent_address).transpose()?,
        since: args.since.map(|since| since.at(clock::now())),
        before: args.before,
        limit: Some(args.limit),
    };
    let found = context.daemon().await?.call::<MessageSearch>(&params).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&found);
    }
    if found.hits.is_empty() {
        printer.note("No message here has these words.");
        return Ok(());
    }
    let now = clock::now();
    let lines: Vec<_> =
        found.hits.iter().map(|hit| search::line(hit, now, args.all_projects)).collect();
    printer.pages(&lines, INDENT)?;
    if let Some(before) = found.next_before {
        printer.note(&format!("Earlier ones: the same with --before {before}"));
    }
    Ok(())
}
