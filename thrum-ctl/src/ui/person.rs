//! Whose page it is, and which project it shows first.

use thrum_api::names;

use crate::context::{self, Context};
use crate::error::Error;
use crate::project;

/// The agent as which the page sends and reads; None if nobody is known.
///
/// # Errors
/// When the name that was given is none.
pub fn of(context: &Context<'_>, login: Option<&str>) -> Result<Option<String>, Error> {
    let named = context.named_agent()?;
    Ok(named.or_else(|| login.and_then(|login| names::agent(login).ok())))
}

/// The login name of this user.
pub fn login() -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name)
}

/// The project that was named, or that of the checkout around this folder. None elsewhere: then the page shows all.
///
/// # Errors
/// When the name that was given is none.
pub fn project(context: &Context<'_>) -> Result<Option<String>, Error> {
    if let Some(named) = context.named_project()? {
        return Ok(Some(named));
    }
    // One that can't be read, or can't name a project, is none.
    let checkout = std::env::current_dir().ok().and_then(|folder| project::root(&folder));
    Ok(checkout.and_then(|root| context::folder_project(&root).ok()).map(|project| project.name))
}
