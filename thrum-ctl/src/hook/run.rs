//! A hook from its input to its answer.

use std::io::{self, Write as _};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use thrum_api::ErrorCode;
use thrum_api::event::Route;
use thrum_api::local::{
    HookPoint, MarkReadParams, MessageMarkRead, MessageRef, SessionHook, SessionHookParams,
    SessionMessagesResult,
};
use tokio::time::timeout;

use super::answer::answer;
use super::failure::{Failure, runtime};
use super::input::Input;
use super::point::Point;
use super::quote::{MESSAGES_MAX, Reader, quoted};
use super::{Asked, env_file, listen, notes, prime, stdin};
use crate::client::Client;
use crate::clock;
use crate::context::Context;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::printer::{Printer, is_read};
use crate::project;
use crate::setup::{Identity, Tool, identity};
use crate::tool_process;

/// How long the input may take.
const INPUT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the daemon may take. A tool waits for its hooks.
const CALL_TIMEOUT: Duration = Duration::from_millis(1500);
/// The same at the end of a session, where Claude Code gives all hooks together not much more.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// How long all of it may take: less than tools give a hook before they say that it hangs, also where they give least.
const WHOLE: Duration = Duration::from_secs(4);
const WHOLE_AT_END: Duration = Duration::from_millis(2500);
/// Most characters that are noted of a name that nobody knows.
const NAME_MAX_CHARS: usize = 40;
/// If this variable is set, errors are printed.
const DEBUG: &str = "THRUM_HOOK_DEBUG";
/// If this variable is set, each part of it and all together may take so many seconds: for tests of what hooks do, on
/// machines that are busy.
const PATIENCE: &str = "THRUM_HOOK_PATIENCE_S";

/// When a hook has to be at its end.
#[derive(Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    fn of(point: Point) -> Self {
        let whole = match point {
            Point::Interrupt | Point::SessionEnd => WHOLE_AT_END,
            _ => WHOLE,
        };
        Self(Instant::now() + patient(whole))
    }

    /// How long a part of the hook may take that may take so long at most.
    fn left(self, most: Duration) -> Duration {
        most.min(self.0.saturating_duration_since(Instant::now()))
    }
}

/// This limit, or the one that was asked for.
fn patient(limit: Duration) -> Duration {
    let asked = std::env::var(PATIENCE).ok().and_then(|seconds| seconds.parse().ok());
    asked.map_or(limit, Duration::from_secs)
}

/// A session at a point.
struct Hook {
    point: Point,
    input: Input,
    identity: Identity,
    /// The folder by which the agent is known.
    folder: PathBuf,
}

/// Carries out a hook. It has no result: nobody is there whom a failure could be told. Even a fault in it is silent: a tool
/// may take one for an order to stop.
pub fn run(asked: Asked) {
    guarded(is_debugged(), || carry_out(asked));
}

fn guarded(is_debugged: bool, hook: impl FnOnce()) {
    if !is_debugged {
        std::panic::set_hook(Box::new(|_| {}));
    }
    drop(std::panic::catch_unwind(AssertUnwindSafe(hook)));
}

fn carry_out(asked: Asked) {
    let mut printer = Printer::new(asked.global.output());
    let Asked { tool, point, global } = asked;
    // Where the agent is known; better is known once the input was read.
    let mut folder = std::env::current_dir().unwrap_or_default();
    let Ok(tool) = tool.parse::<Tool>() else {
        let error = "this thrum does not know the tool";
        let named: String = tool.chars().take(NAME_MAX_CHARS).collect();
        notes::failed(Tool::Script, &folder, &format!("{} {named}", super::COMMAND), error);
        return debug(&mut printer, error);
    };
    let named: String = point.chars().take(NAME_MAX_CHARS).collect();
    let what = format!("{} {named}", super::COMMAND);
    let attempt = match point.parse::<Point>() {
        Ok(Point::Listen) => listen::run(tool, &Context::new(global, &mut printer)),
        Ok(point) => at_point(tool, point, &Context::new(global, &mut printer), &mut folder),
        Err(()) => Err(Failure::Error("this thrum does not know the point".to_owned())),
    };
    match attempt {
        Ok(()) => {}
        Err(Failure::Away) => debug(&mut printer, "thrumd can't be reached"),
        Err(Failure::Error(error)) => {
            notes::failed(tool, &folder, &what, &error);
            debug(&mut printer, &error);
        }
    }
}

fn debug(printer: &mut Printer, error: &str) {
    if is_debugged() {
        printer.note(error);
    }
}

fn is_debugged() -> bool {
    std::env::var_os(DEBUG).is_some_and(|value| !value.is_empty())
}

fn at_point(
    tool: Tool,
    point: Point,
    context: &Context<'_>,
    folder: &mut PathBuf,
) -> Result<(), Failure> {
    let deadline = Deadline::of(point);
    let bytes = stdin::input(io::stdin(), deadline.left(patient(INPUT_TIMEOUT)))
        .map_err(|error| Failure::Error(format!("can't read the input: {error}")))?;
    let mut input =
        Input::read(&bytes, tool, point).map_err(|error| Failure::Error(error.to_string()))?;
    drop(bytes);
    if input.is_subagent {
        return Ok(());
    }
    let point = if input.is_complete { point } else { Point::Interrupt };
    let Some(hook_point) = point.hook_point() else { return Ok(()) };
    *folder = project_folder(&input).unwrap_or_else(|| std::mem::take(folder));
    if input.folder.is_none() {
        input.folder = Some(folder.clone());
    }
    let identity = identity(input.tool, folder, context)?;
    let hook = Hook { point, input, identity, folder: folder.clone() };
    if point == Point::SessionStart && hook.input.tool == Tool::ClaudeCode {
        env_file::tell_shell(&hook.identity, &hook.input.session)
            .map_err(|error| Failure::Error(format!("can't tell the shell who it is: {error}")))?;
    }
    runtime()?.block_on(hook.carry_out(hook_point, &context.endpoints(), deadline))?;
    notes::ran(hook.input.tool, &hook.folder, point.name());
    Ok(())
}

/// The folder by which an agent is known. The one in which its shell is may change from step to step.
fn project_folder(input: &Input) -> Option<PathBuf> {
    let variable = match input.tool {
        Tool::ClaudeCode => "CLAUDE_PROJECT_DIR",
        Tool::Gemini => "GEMINI_PROJECT_DIR",
        _ => return input.folder.clone(),
    };
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.filter(|folder| folder.is_absolute()).or_else(|| input.folder.clone())
}

impl Hook {
    async fn carry_out(
        &self,
        point: HookPoint,
        endpoints: &Endpoints,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        let most =
            patient(if self.point == Point::SessionEnd { END_TIMEOUT } else { CALL_TIMEOUT });
        let too_slow =
            |limit: Duration| Failure::Error(format!("thrumd did not answer within {limit:.1?}"));
        let limit = deadline.left(most);
        let asked = Box::pin(self.ask(point, endpoints));
        let (mut client, text, messages) =
            timeout(limit, asked).await.map_err(|_| too_slow(limit))??;
        let event = self.input.event.as_deref();
        let answer = text.and_then(|text| answer(self.input.tool, self.point, event, &text));
        let Some(answer) = answer else { return Ok(()) };
        print(&answer)
            .map_err(|error| Failure::Error(format!("can't write the answer: {error}")))?;
        if messages.is_empty() {
            return Ok(());
        }
        if !timeout(deadline.left(Duration::MAX), is_read(io::stdout())).await.unwrap_or(false) {
            return Err(Failure::Error("the tool has not read the answer".to_owned()));
        }
        let marks = MarkReadParams {
            agent: self.identity.agent.clone(),
            messages,
            route: Some(Route::Hook),
            session: Some(self.input.session.clone()),
        };
        // On the same connection: for others the messages are still on their way.
        let marking = Box::pin(client.call::<MessageMarkRead>(&marks));
        let limit = deadline.left(most);
        timeout(limit, marking).await.map_err(|_| too_slow(limit))??;
        Ok(())
    }

    /// The text for the model, and the messages in it.
    async fn ask(
        &self,
        point: HookPoint,
        endpoints: &Endpoints,
    ) -> Result<(Client, Option<String>, Vec<MessageRef>), Failure> {
        let mut client = Client::find_at_once(endpoints).await?;
        let result = self.tell(&mut client, point).await?;
        if point == HookPoint::SessionStart {
            let shell = self.is_known_to_shell();
            let text = prime::of(&mut client, &self.identity, shell).await?;
            return Ok((client, Some(text), Vec::new()));
        }
        let Identity { agent, .. } = &self.identity;
        let reader = Reader { agent, is_known_to_shell: self.is_known_to_shell() };
        let text = quoted(reader, &result, clock::now());
        let shown = result.messages.iter().take(MESSAGES_MAX).map(MessageRef::from).collect();
        Ok((client, text, shown))
    }

    /// Tells the daemon of the point.
    async fn tell(
        &self,
        client: &mut Client,
        point: HookPoint,
    ) -> Result<SessionMessagesResult, Error> {
        let folder = self.input.folder.as_deref();
        let mut params = SessionHookParams {
            agent: self.identity.agent.clone(),
            project: self.identity.project.clone(),
            session: self.input.session.clone(),
            point,
            tool: Some(self.input.tool.name().to_owned()),
            pid: tool_process::find(self.input.tool),
            folder: folder.map(|folder| folder.display().to_string()),
            branch: folder.and_then(project::branch),
            work: self.input.work,
            limit: u32::try_from(MESSAGES_MAX).ok(),
        };
        match client.call::<SessionHook>(&params).await {
            // A narrow socket takes no process: that of a container has another id for the daemon.
            Err(Error::Refused(error))
                if error.code == ErrorCode::NOT_PERMITTED && params.pid.is_some() =>
            {
                params.pid = None;
                client.call::<SessionHook>(&params).await
            }
            answer => answer,
        }
    }

    /// Whether `thrum` knows in the shell of the tool who it is.
    fn is_known_to_shell(&self) -> bool {
        let named = std::env::var("THRUM_AGENT").is_ok_and(|name| name == self.identity.agent);
        named || self.input.tool == Tool::ClaudeCode
    }
}

fn print(answer: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(answer.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_in_a_hook_ends_it_and_nothing_else() {
        // The other tests of this process go on to tell of their own faults.
        guarded(true, || panic!("seen in the output of this test"));
    }

    #[test]
    fn all_of_a_hook_ends_before_its_tool_gives_it_up() {
        for (point, given) in [
            (Point::SessionStart, 5),
            (Point::Prompt, 5),
            (Point::Step, 5),
            (Point::Stop, 5),
            // Of Codex.
            (Point::Interrupt, 3),
            (Point::SessionEnd, 3),
        ] {
            let deadline = Deadline::of(point);
            let all = deadline.left(Duration::MAX);
            assert!(all < Duration::from_secs(given), "{}: {all:?}", point.name());
            assert!(all > INPUT_TIMEOUT, "time for thrumd after an input that never ends");
            assert!(deadline.left(CALL_TIMEOUT) <= CALL_TIMEOUT);
        }
        assert_eq!(Deadline(Instant::now()).left(CALL_TIMEOUT), Duration::ZERO);
    }
}
