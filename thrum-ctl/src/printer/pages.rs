//! Output that may be longer than the screen.

use std::io::Write as _;

use anstream::ColorChoice;

use super::pager::{self, Paged};
use super::{Printer, wrap, write_error};
use crate::error::Error;
use crate::terminal::printable;

impl Printer {
    /// Prints such lines, with a pager if they are more than a terminal has rows. Nobody knows how much of them a pager has
    /// shown.
    ///
    /// # Errors
    /// As [`Printer::line`], and when the pager failed.
    pub fn pages(&mut self, lines: &[String], indent: &str) -> Result<(), Error> {
        let pager = if self.out_is_terminal { pager::command() } else { None };
        let Some(pager) = pager else {
            return lines.iter().try_for_each(|line| self.text(line, indent));
        };
        let (columns, rows) = wrap::size();
        let wrapped: Vec<_> = lines.iter().map(|line| wrap::wrap(line, columns, indent)).collect();
        let text = wrapped.join("\n");
        if text.lines().count() < rows {
            return self.line(&text);
        }
        let mut shown = format!("{}\n", printable(&text));
        if self.out.current_choice() == ColorChoice::Never {
            shown = anstream::adapter::strip_str(&shown).to_string();
        }
        self.out.flush().map_err(write_error)?;
        self.paged = true;
        match pager::show(&pager, &shown)
            .map_err(|error| Error::io("can't use the pager", error))?
        {
            Paged::Shown => Ok(()),
            Paged::NotStarted => {
                self.paged = false;
                self.line(&text)
            }
            Paged::Failed(status) => Err(Error::failed(
                format!("the pager {pager:?} failed ({status})"),
                "choose another one with THRUM_PAGER; empty for none: THRUM_PAGER= thrum ...",
            )),
        }
    }

    /// Whether a pager was used.
    pub const fn paged(&self) -> bool {
        self.paged
    }

    /// The columns of the terminal on stdout; None if it is none, so that nothing has to fit.
    pub fn columns(&self) -> Option<usize> {
        self.out_is_terminal.then(wrap::columns)
    }
}
