//! A hook from its input to its answer.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

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
/// If this variable is set, errors are printed.
const DEBUG: &str = "THRUM_HOOK_DEBUG";

/// A session at a point.
struct Hook {
    point: Point,
    input: Input,
    identity: Identity,
    /// The folder by which the agent is known.
    folder: PathBuf,
}

/// Carries out a hook. It has no result: nobody is there whom a failure could be told.
pub fn run(asked: Asked) {
    let mut printer = Printer::new(asked.global.output());
    let Asked { tool, point, global } = asked;
    let Ok(tool) = tool.parse::<Tool>() else {
        return debug(&mut printer, "this thrum does not know the tool");
    };
    // Where the agent is known; better is known once the input was read.
    let mut folder = std::env::current_dir().unwrap_or_default();
    let what = format!("{} {point}", super::COMMAND);
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
    if std::env::var_os(DEBUG).is_some_and(|value| !value.is_empty()) {
        printer.note(error);
    }
}

fn at_point(
    tool: Tool,
    point: Point,
    context: &Context<'_>,
    folder: &mut PathBuf,
) -> Result<(), Failure> {
    let bytes = stdin::input(io::stdin(), INPUT_TIMEOUT)
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
    let limit = if point == Point::SessionEnd { END_TIMEOUT } else { CALL_TIMEOUT };
    runtime()?.block_on(hook.carry_out(hook_point, &context.endpoints(), limit))?;
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
        limit: Duration,
    ) -> Result<(), Failure> {
        let too_slow = |_| Failure::Error(format!("thrumd did not answer within {limit:?}"));
        let asked = Box::pin(self.ask(point, endpoints));
        let (mut client, text, messages) = timeout(limit, asked).await.map_err(too_slow)??;
        let event = self.input.event.as_deref();
        let answer = text.and_then(|text| answer(self.input.tool, self.point, event, &text));
        let Some(answer) = answer else { return Ok(()) };
        print(&answer)
            .map_err(|error| Failure::Error(format!("can't write the answer: {error}")))?;
        if messages.is_empty() {
            return Ok(());
        }
        if !is_read(io::stdout()).await {
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
        timeout(limit, marking).await.map_err(too_slow)??;
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
