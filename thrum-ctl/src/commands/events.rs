use serde::Serialize;
use serde_json::Value;
use thrum_api::event::{AGENT_JOINED, MESSAGE_SENT};
use thrum_api::local::{EventList, EventListParams, Health};
use thrum_api::method::Empty;
use thrum_api::{ErrorCode, Event, RpcError, Sequence, SequencedEvent, similar_names};

use super::reconnect::reconnect;
use crate::cli::EventsArgs;
use crate::client::Client;
use crate::context::Context;
use crate::error::Error;
use crate::format::short_id;
use crate::printer::{BOLD, DIM, Printer, styled};
use crate::terminal::sanitize;

const PAGE: u64 = 1000;
const LAST: u64 = 20;
const LAST_BEFORE_FOLLOWING: u64 = 10;
const BODY_MAX_CHARS: usize = 120;
/// Indent of wrapped lines. No event begins in this column.
const INDENT: &str = "         ";

/// `thrum events`
pub async fn run(args: &EventsArgs, context: &mut Context<'_>) -> Result<(), Error> {
    // The log belongs to the machine, so the default is all projects.
    let project = context.named_project()?;
    let event_type = args.event_type.clone();
    let mut params = EventListParams { event_type, project, ..Default::default() };
    let mut client = context.daemon().await?;
    let printer = &mut *context.printer;
    params.after = match args.after.map(Sequence) {
        // The stream includes existing events.
        Some(after) if args.follow => after,
        Some(after) => return forwards(&mut client, params, after, args.limit, printer).await,
        None => last(&mut client, params.clone(), args, printer).await?,
    };
    if !args.follow {
        return Ok(());
    }
    let mut left = args.after.and(args.limit).unwrap_or(u64::MAX);
    loop {
        match follow(&mut client, &mut params, &mut left, context.printer).await {
            Err(error) if error.may_pass() => {
                client = reconnect(context, error).await?;
            }
            ended => return ended,
        }
    }
}

/// Prints events as they come, until there are none `left` to print. `params` move on with them.
async fn follow(
    client: &mut Client,
    params: &mut EventListParams,
    left: &mut u64,
    printer: &mut Printer,
) -> Result<(), Error> {
    let mut events = client.events(params).await?;
    while *left > 0 {
        let Some(event) = events.next().await? else {
            let message = "thrumd ended the stream of events: it was stopped or restarted";
            return Err(Error::Refused(RpcError::new(ErrorCode::STOPPING, message)));
        };
        if event.sequence <= params.after {
            return Err(no_progress(params.after));
        }
        print(&event, printer)?;
        params.after = event.sequence;
        *left -= 1;
    }
    Ok(())
}

/// The error of a daemon that answers with what was asked for already.
fn no_progress(after: Sequence) -> Error {
    Error::failed(
        format!(
            "thrumd answers with the same events again: asked for those after {after}, it does not go on"
        ),
        "see which thrumd answers: thrum daemon status",
    )
}

/// Prints the events after a position.
async fn forwards(
    client: &mut Client,
    mut params: EventListParams,
    after: Sequence,
    limit: Option<u64>,
    printer: &mut Printer,
) -> Result<(), Error> {
    params.after = after;
    let wanted = limit.unwrap_or(u64::MAX);
    let mut left = wanted;
    while left > 0 {
        params.limit = u32::try_from(left.min(PAGE)).ok();
        let page = client.call::<EventList>(&params).await?;
        for event in &page.events {
            print(event, printer)?;
            left = left.saturating_sub(1);
        }
        if !page.more_available {
            break;
        }
        if page.next <= params.after {
            return Err(no_progress(params.after));
        }
        params.after = page.next;
    }
    if left == wanted && wanted > 0 {
        // A position of another or a lost log must not look like the end of this one.
        let head = client.call::<Health>(&Empty {}).await?.head_seq;
        if after > head {
            let message = format!("the log ends at {head}, before {after}");
            let error = RpcError::new(ErrorCode::OTHER_LOG, message);
            return Err(Error::Refused(
                error.hint("begin again with --after 0, or leave out --after"),
            ));
        }
        printer.note(&none(&EventListParams { after, ..params }));
    }
    Ok(())
}

/// The note for an empty result.
fn none(params: &EventListParams) -> String {
    let mut text = "No events".to_owned();
    if let Some(event_type) = &params.event_type {
        text.push_str(&format!(" of type {event_type}"));
    }
    if let Some(project) = &params.project {
        text.push_str(&format!(" of project {project}"));
    }
    if params.after > Sequence::ZERO {
        text.push_str(&format!(" after {}", params.after));
    }
    let typed = params.event_type.as_deref().unwrap_or_default();
    match similar_names(typed, [AGENT_JOINED, MESSAGE_SENT]).first().filter(|near| **near != typed)
    {
        Some(near) => format!("{text}; did you mean {near}?"),
        None => format!("{text}."),
    }
}

/// Prints the last events, and returns the position after which new ones follow.
async fn last(
    client: &mut Client,
    mut params: EventListParams,
    args: &EventsArgs,
    printer: &mut Printer,
) -> Result<Sequence, Error> {
    let default = if args.follow { LAST_BEFORE_FOLLOWING } else { LAST };
    let limit = args.limit.unwrap_or(default);
    // The head is read first, so that an event written between the two calls is in the list.
    let head = client.call::<Health>(&Empty {}).await?.head_seq;
    if limit == 0 {
        return Ok(head);
    }
    if limit > PAGE {
        return Err(Error::usage(
            format!("--limit {limit} is too large: without --after it is at most {PAGE}"),
            "print the whole log: --after 0",
        ));
    }
    params.newest = true;
    params.limit = u32::try_from(limit).ok();
    let page = client.call::<EventList>(&params).await?;
    for event in &page.events {
        print(event, printer)?;
    }
    if page.events.is_empty() && !args.follow {
        printer.note(&none(&params));
    }
    Ok(page.events.last().map_or(head, |event| event.sequence.max(head)))
}

fn print(event: &SequencedEvent, printer: &mut Printer) -> Result<(), Error> {
    if printer.json() {
        return printer.object(&Line { sequence: event.sequence, event: &event.event });
    }
    printer.text(&describe(event), INDENT)
}

#[derive(Serialize)]
struct Line<'a> {
    sequence: Sequence,
    event: &'a serde_json::value::RawValue,
}

/// An event on one line: position, time, type, origin, project, summary.
fn describe(event: &SequencedEvent) -> String {
    let Ok(view) = serde_json::from_str::<Event>(event.event.get()) else {
        return format!("{:>7}  (unknown format: see --json)", event.sequence);
    };
    let header = &view.header;
    let origin = short_id(&header.origin_daemon.to_string());
    let project = header.project.as_deref().unwrap_or("-");
    let position = format!("{:>7}  {}", event.sequence, header.timestamp);
    format!(
        "{}  {}  {}",
        styled(DIM, &position),
        styled(BOLD, &sanitize(&header.event_type)),
        sanitize(&format!("{origin}  {project}  {}", summary(&header.event_type, &view.body)))
    )
}

fn summary(event_type: &str, body: &Value) -> String {
    let member = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    let text = match event_type {
        MESSAGE_SENT => {
            let names = body
                .get("to")
                .and_then(Value::as_array)
                .map(|names| names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","));
            let to =
                names.filter(|names| !names.is_empty()).unwrap_or_else(|| "everyone".to_owned());
            format!("{} -> {to}: {}", member("from"), member("text"))
        }
        AGENT_JOINED => member("agent"),
        _ => body.to_string(),
    };
    match text.char_indices().nth(BODY_MAX_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    fn event(event_type: &str, body: Value) -> SequencedEvent {
        serde_json::from_value(json!({"sequence": 7, "event": {
            "event_id": "01K00000000000000000000000",
            "origin_daemon": "d_01K0000000000000000000000000000000000000000000000000",
            "origin_epoch": "01K00000000000000000000000",
            "origin_sequence": 3,
            "hlc": "0192f3a1b2c3-0004",
            "timestamp": "2026-11-24T16:00:00.123Z",
            "type": event_type,
            "project": "app",
            "body": body,
        }}))
        .unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let body = json!({"from": "a", "to": ["b", "c"], "text": "one\ntwo\u{1b}[2J"});
        assert_eq!(
            strip_str(&describe(&event(MESSAGE_SENT, body))).to_string(),
            "      7  2026-11-24T16:00:00.123Z  message.sent  d_01K..00  app  \
             a -> b,c: one\\ntwo\\u{1b}[2J"
        );
        let long = describe(&event("x", json!({"k": "ü".repeat(500)})));
        assert!(long.ends_with("..."), "{long}");
    }
}
