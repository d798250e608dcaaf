//! `thrum ui`: a page in the person's browser.
//!
//! This process serves the page on 127.0.0.1 and asks thrumd over its socket, as every command does. thrumd itself listens to
//! no browser.

mod access;
mod announce;
mod assets;
mod body;
mod forward;
mod headers;
mod idle;
mod json;
mod live;
mod machine;
mod opening;
mod origin;
mod person;
mod redirect;
mod refusal;
mod routes;
mod server;
mod upstream;
mod write_limit;

use std::process::ExitCode;
use std::sync::Arc;

use thrum_api::local::Status;
use thrum_api::method::Empty;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::UiArgs;
use crate::context::Context;
use crate::endpoint::Endpoints;
use crate::error::Error;
use access::Access;
use announce::{Announcement, Ends};
use machine::Machine;
use opening::{Screen, Session};
use routes::Ui;
use upstream::Upstream;

/// The exit code of a program that was ended by a signal is this and the signal's number.
const BY_SIGNAL: i32 = 128;

/// Serves the page until nobody uses it, or a signal ends it.
///
/// # Errors
/// When thrumd can't be reached, the port is taken, or the address can't be printed.
pub async fn run(args: &UiArgs, context: &mut Context<'_>) -> Result<ExitCode, Error> {
    // First: what is made for the browser is removed at the end, however that comes.
    let mut signals = Signals::listen()?;
    tokio::select! {
        code = signals.next() => Ok(code),
        result = serve(args, context) => result,
    }
}

async fn serve(args: &UiArgs, context: &mut Context<'_>) -> Result<ExitCode, Error> {
    let login = person::login();
    let me = person::of(context, login.as_deref())?;
    let project = person::project(context)?;
    let upstream = Upstream::new(daemon(context).await?);
    let (listener, address) = server::listen(args.port).await?;
    let machine = Machine::new(context.choices());
    let ui = Arc::new(Ui::new(address, Access::new()?, me.clone(), project, upstream, machine));
    let (ends, printer) = (Ends::after(args.idle), &mut *context.printer);
    let screen = if args.no_open { None } else { Some(screen(address.0, login.as_deref())) };
    let announcement = Announcement::make(address, &ui.access, screen.as_ref(), ends, printer)?;
    match &me {
        Some(me) => printer.note(&format!("You are {me} there; --as NAME for another name.")),
        None => printer.note(
            "The page is for reading only: your login name is no name of an agent. To send, too: thrum ui --as NAME",
        ),
    }
    let unused = async {
        match ends.limit() {
            Some(limit) => ui.pages.none_for(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = server::serve(listener, routes::router(ui.clone())) => {}
        error = announcement.follow(&ui.access, printer) => return Err(error),
        () = unused => {}
    }
    printer.note(&format!("thrum ui has ended: {ends} without a page."));
    Ok(ExitCode::SUCCESS)
}

/// The thrumd that is there now. The page stays with it, also when it is away and another one runs.
async fn daemon(context: &Context<'_>) -> Result<Endpoints, Error> {
    let mut client = context.daemon().await?;
    // A narrow socket refuses it, and has no page.
    client.call::<Status>(&Empty {}).await?;
    Ok(Endpoints { socket: Some(client.path().to_owned()), ..context.endpoints() })
}

/// Where the person's browser is.
fn screen(port: u16, user: Option<&str>) -> Screen {
    let session = Session {
        variable: &|name| std::env::var(name).ok().filter(|value| !value.is_empty()),
        find: &|program| which::which(program).ok(),
        user,
        macos: cfg!(target_os = "macos"),
    };
    session.screen(port)
}

/// The signals that end the program. Ctrl-C is what a person ends it with.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Error> {
        let listen =
            |kind| signal(kind).map_err(|source| Error::io("can't listen for signals", source));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// The exit code for the next one.
    async fn next(&mut self) -> ExitCode {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hang_up.recv() => SignalKind::hangup(),
        };
        ExitCode::from(u8::try_from(BY_SIGNAL + kind.as_raw_value()).unwrap_or(u8::MAX))
    }
}
