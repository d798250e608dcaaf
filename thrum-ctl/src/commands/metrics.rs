use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::cli::MetricsArgs;
use crate::context::Context;
use crate::error::Error;

/// Families of each program by itself: node_exporter has its own with these names, and refuses two.
const OF_THE_PROCESS: &str = "process_";

/// `thrum metrics`
pub async fn run(args: &MetricsArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let Some(path) = &args.textfile else { return print(context).await };
    if path.extension() != Some(OsStr::new("prom")) {
        return Err(Error::usage(
            format!("the name of {} does not end in .prom", path.display()),
            "node_exporter reads no other files: thrum metrics --textfile FOLDER/thrum.prom",
        ));
    }
    let path = std::path::absolute(path)
        .map_err(|source| Error::io("can't read the current folder", source))?;
    let text = context.daemon().await?.metrics().await?;
    let text = without_process(&text);
    let cant = |source| Error::io(format!("can't write {}", path.display()), source);
    write(&path, &text).map_err(cant)?;
    let content = json!({ "file": path, "size_bytes": text.len() });
    context.printer.done(&content, &format!("Wrote the metrics to {}.", path.display()))
}

async fn print(context: &mut Context<'_>) -> Result<(), Error> {
    if context.printer.json() {
        return Err(Error::usage(
            "metrics are text for Prometheus",
            "leave out --json; thrum status --json tells the state as JSON",
        ));
    }
    let text = context.daemon().await?.metrics().await?;
    context.printer.line(text.trim_end())
}

/// Replaces the file by a whole one: node_exporter may read it at any moment. It is not forced to the disk, because the
/// next run writes it again.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Another program reads it, as another user.
    let readable = Permissions::from_mode(0o644);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(readable)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The text without the families of the process.
fn without_process(text: &str) -> String {
    let is_of_process = |line: &&str| {
        let name = ["# HELP ", "# TYPE "].iter().find_map(|it| line.strip_prefix(it));
        name.unwrap_or(line).starts_with(OF_THE_PROCESS)
    };
    text.lines().filter(|line| !is_of_process(line)).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_exporter_has_figures_of_its_own_process() {
        let text = "# HELP process_open_fds Open.\n# TYPE process_open_fds gauge\nprocess_open_fds 3\n\
                    # HELP thrumd_log_head Last of process_x.\n# TYPE thrumd_log_head gauge\nthrumd_log_head 1\n";
        let left = "# HELP thrumd_log_head Last of process_x.\n# TYPE thrumd_log_head gauge\nthrumd_log_head 1\n";
        assert_eq!(without_process(text), left);
    }
}
