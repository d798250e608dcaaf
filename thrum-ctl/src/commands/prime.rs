use crate::cli::PrimeArgs;
use crate::context::Context;
use crate::error::Error;
use crate::hook::prime::Prime;
use crate::setup::identity;

/// `thrum prime`
pub async fn run(args: &PrimeArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let (agent, project) = match args.tool {
        Some(tool) => {
            let folder = std::env::current_dir()
                .map_err(|source| Error::io("can't read the current folder", source))?;
            let identity = identity(tool, &folder, context)?;
            (identity.agent, identity.project)
        }
        None => (context.agent()?, context.project()?),
    };
    // What was said in this shell for all commands needs no repetition.
    let is_known = std::env::var("THRUM_AGENT").is_ok_and(|name| name == agent);
    let mut client = context.daemon().await?;
    let prime = Prime::ask(&mut client, &agent, &project, is_known).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&prime);
    }
    printer.line(&prime.text())
}
