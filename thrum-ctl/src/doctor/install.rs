use super::context::CheckContext;
use super::finding::{Finding, Findings, Section};
use crate::command::output;

const OURS: &str = env!("CARGO_PKG_VERSION");

/// Checks that both programs exist and have the same version.
pub async fn check(context: &CheckContext) -> Vec<Finding> {
    let mut found = Findings::of(Section::Install);
    let path = match &context.thrumd {
        Ok(path) => path,
        Err(error) => {
            // If the daemon runs, the program is only missing for the next start.
            let text = format!("this is thrum {OURS}, and {error}");
            let finding = match &context.daemon {
                Ok(_) => found.warn("install_thrumd", text),
                Err(_) => found.fail("install_thrumd", text),
            };
            found.add(finding.next("export THRUMD_BIN=/path/to/thrumd"));
            found.add(found.because("install_version", "install_thrumd", "no thrumd found"));
            return found.all;
        }
    };
    let shown = path.display();
    let version = output(path, &["--version"], &[]).await.filter(|answer| answer.ok);
    let version = version.as_ref().and_then(|answer| answer.stdout.trim().strip_prefix("thrumd "));
    let Some(version) = version else {
        let text = format!("{shown} can't be started, or is not thrumd");
        let next = format!("{shown} --version");
        found.add(found.fail("install_thrumd", text).next(next));
        found.add(found.because("install_version", "install_thrumd", "no working thrumd"));
        return found.all;
    };
    found.add(found.ok("install_thrumd", format!("thrumd is {shown}")));
    let finding = if version == OURS {
        found.ok("install_version", format!("thrum and thrumd are both {OURS}"))
    } else {
        let text = format!("thrum is {OURS} and {shown} is {version}");
        found.warn("install_version", text).next("install both from the same package")
    };
    found.add(finding.fact(format!("thrumd {version}")));
    found.all
}
