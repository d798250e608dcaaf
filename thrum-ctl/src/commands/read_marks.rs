//! Marks messages as read after they were printed.

use thrum_api::event::Route;
use thrum_api::local::{MarkReadParams, Message, MessageMarkRead, MessageRef};

use crate::client::Client;
use crate::error::Error;
use crate::format::counted;
use crate::printer::Printer;

/// Who reads, and how.
pub struct Reader {
    /// The agent.
    pub agent: String,
    /// The way in which messages are shown to it.
    pub route: Route,
    /// Its session.
    pub session: Option<String>,
}

impl Reader {
    /// Marks messages as read.
    ///
    /// # Errors
    /// As [`Client::call_again`].
    pub async fn mark(&self, client: &mut Client, messages: Vec<MessageRef>) -> Result<(), Error> {
        let params = MarkReadParams {
            agent: self.agent.clone(),
            messages,
            route: Some(self.route),
            session: self.session.clone(),
        };
        client.call_again::<MessageMarkRead>(&params).await.map(|_| ())
    }
}

/// Marks those of the messages as read that are unread, if printing them succeeded and their reader is still
/// there. If it has left, or they were shown by a pager, nobody knows how much it has read, so all of them stay unread.
/// Answers how many it marked.
pub async fn mark_printed(
    printed: Result<(), Error>,
    printer: &mut Printer,
    client: &mut Client,
    reader: &Reader,
    messages: &[Message],
) -> Result<usize, Error> {
    let unread: Vec<_> =
        messages.iter().filter(|message| !message.read).map(MessageRef::from).collect();
    let marked = unread.len();
    if marked == 0 {
        return printed.map(|()| 0);
    }
    if printed.is_ok() && printer.paged() {
        printer.note(
            "Marked no message as read: nobody knows how much of them the pager has shown. \
             To mark them: thrum inbox",
        );
        return Ok(0);
    }
    let delivered = match printed {
        Ok(()) => printer.delivered().await,
        failed => failed,
    };
    if let Err(error) = delivered {
        if matches!(error, Error::PipeClosed) {
            printer
                .note("Marked no message as read: the reader of the output left before the end.");
        }
        return Err(error);
    }
    reader.mark(client, unread).await?;
    Ok(marked)
}

/// The last line of a command that marked messages as read.
pub fn note_marked(printer: &mut Printer, marked: usize, all_projects: bool) {
    if marked == 0 {
        return;
    }
    let mut again = "thrum inbox --read".to_owned();
    if all_projects {
        again.push_str(" --all-projects");
    }
    // The default of `thrum inbox`.
    if marked > 20 {
        again.push_str(&format!(" -n {marked}"));
    }
    let marked = counted(marked, "message");
    printer.note(&format!("Marked {marked} as read; to see again: {again}"));
}
