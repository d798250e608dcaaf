use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::json;

use crate::cli::BackupArgs;
use crate::client::Client;
use crate::context::Context;
use crate::error::Error;
use crate::format::{counted, size};

const MAKING: &str = "Waiting for thrumd to make and check the backup.";

/// `thrum backup`
pub async fn run(args: &BackupArgs, context: &mut Context<'_>) -> Result<(), Error> {
    if args.file == Path::new("-") {
        return to_stdout(context).await;
    }
    let path = std::path::absolute(&args.file)
        .map_err(|source| Error::io("can't read the current folder", source))?;
    refuse(&path, args.force)?;
    let mut client = context.daemon().await?;
    let writing = write(&mut client, &path, args.force);
    let received = context.printer.note_if_slow(MAKING, writing).await?;
    let (events, bytes) = (received.events, received.bytes);
    let text = format!(
        "Backed up {} ({}) to {}. It holds this daemon's secret key and the peers' tokens: keep it secret.",
        counted(events, "event"),
        size(bytes),
        path.display()
    );
    context.printer.done(&json!({ "file": path, "events": events, "size_bytes": bytes }), &text)
}

/// What can be refused before the work begins.
fn refuse(path: &Path, force: bool) -> Result<(), Error> {
    match path.metadata() {
        Ok(meta) if meta.is_dir() => Err(Error::usage(
            format!("{} is a folder", path.display()),
            "name a file in it: thrum backup FOLDER/thrum.backup",
        )),
        Ok(_) if !force => Err(exists(path)),
        _ => Ok(()),
    }
}

fn exists(path: &Path) -> Error {
    Error::failed(
        format!("{} exists; it was not changed", path.display()),
        "name another file, or add --force to replace it",
    )
}

/// Writes a temporary file beside it and gives that its name when it is whole and on the disk.
async fn write(
    client: &mut Client,
    path: &Path,
    force: bool,
) -> Result<crate::client::Received, Error> {
    let cant = |source| Error::io(format!("can't write {}", path.display()), source);
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Readable by its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(cant)?;
    let received = client.backup(&mut file, cant).await?;
    file.as_file().sync_all().map_err(cant)?;
    let placed = if force { file.persist(path) } else { file.persist_noclobber(path) };
    placed.map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => cant(error.error),
    })?;
    // The name is on the disk only when the folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(cant)?;
    Ok(received)
}

async fn to_stdout(context: &mut Context<'_>) -> Result<(), Error> {
    if context.printer.out_is_terminal() {
        return Err(Error::usage(
            "a backup is not for a terminal",
            "thrum backup FILE, or send stdout somewhere: thrum backup - | ...",
        ));
    }
    let mut client = context.daemon().await?;
    let mut out = io::stdout().lock();
    let cant = |source: io::Error| match source.kind() {
        // The quiet end of a closed pipe would look like a whole backup.
        io::ErrorKind::BrokenPipe => Error::failed(
            "what reads the backup has ended before it was whole",
            "see why it ended; what it has written is no backup",
        ),
        _ => Error::io("can't write the backup to stdout", source),
    };
    let writing = client.backup(&mut out, cant);
    context.printer.note_if_slow(MAKING, writing).await?;
    out.flush().map_err(cant)
}
