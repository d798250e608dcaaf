//! The server: what rmcp asks it.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ProgressToken, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{Peer, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use tokio::sync::Semaphore;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use super::answer::{Done, Failure, result};
use super::arguments::Arguments;
use super::begin::Beginning;
use super::caller::Caller;
use super::calls::{reading, sending, status, team};
use super::in_flight::{InFlight, Mark};
use super::{tools, words};
use crate::setup::Tool;

/// Most calls that are carried out at once, each with a connection to the daemon. Others wait for their turn.
const CALLS_MAX: usize = 8;
/// Most calls that wait for messages at once.
const WAITS_MAX: usize = 8;
/// How often a client that wants to know is told that a wait goes on.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(20);
/// What Codex calls the session in what it adds to a call.
const CODEX_SESSION: &str = "threadId";

/// The server of one tool.
pub struct Server {
    beginning: Arc<Beginning>,
    in_flight: InFlight,
    calls: Semaphore,
    waits: Semaphore,
    ended: CancellationToken,
}

impl Server {
    /// `ended` is cancelled when nobody reads answers any more.
    pub fn new(beginning: Arc<Beginning>, in_flight: InFlight, ended: CancellationToken) -> Self {
        let (calls, waits) = (Semaphore::new(CALLS_MAX), Semaphore::new(WAITS_MAX));
        Self { beginning, in_flight, calls, waits, ended }
    }

    async fn call(
        &self,
        tool: &'static str,
        arguments: &mut Arguments,
        context: &RequestContext<RoleServer>,
    ) -> Result<(Done, Option<Mark>), Failure> {
        let client = context.client_info().map(|info| info.name);
        let caller = self.beginning.caller(client).await?;
        let named = named(caller, context);
        if tool == tools::WAIT {
            let limit = reading::limit(arguments)?;
            let Ok(_permit) = self.waits.try_acquire() else {
                return Err(Failure::new(
                    "too_many_waits",
                    format!("{WAITS_MAX} calls wait for messages already"),
                    "wait for one of them, or cancel it",
                ));
            };
            let waiting = reading::wait(caller, named, limit);
            return while_told(waiting, limit, context).await;
        }
        let Ok(_permit) = self.calls.acquire().await else {
            return Err(Failure::new("stopping", "the server ends", "start the tool again"));
        };
        let done = match tool {
            tools::SEND => sending::send(caller, arguments).await,
            tools::REPLY => sending::reply(caller, arguments).await,
            tools::LIST => team::list(caller, arguments).await,
            tools::STATUS => status::set(caller, named, arguments).await,
            _ => return reading::check(caller, named, arguments).await,
        };
        done.map(|done| (done, None))
    }
}

/// The session, as the tool names it in a call.
fn named(caller: &Caller, context: &RequestContext<RoleServer>) -> Option<String> {
    if caller.who.tool != Tool::Codex {
        return None;
    }
    let id = context.meta.get(CODEX_SESSION)?.as_str()?;
    Some(id.to_owned()).filter(|id| !id.is_empty())
}

/// Waits, and tells the client from time to time that it still does, if it wants to know.
async fn while_told<T>(
    waiting: impl Future<Output = T>,
    limit: Duration,
    context: &RequestContext<RoleServer>,
) -> T {
    let telling = async {
        if let Some(token) = context.meta.get_progress_token() {
            tell(&context.peer, token, limit).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        biased;
        answer = waiting => answer,
        never = telling => never,
    }
}

/// Tells how long a wait has taken, until the client is gone.
async fn tell(peer: &Peer<RoleServer>, token: ProgressToken, limit: Duration) {
    let begin = Instant::now();
    let mut ticks = interval_at(begin + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        let waited = begin.elapsed().as_secs_f64().floor();
        let told = ProgressNotificationParam::new(token.clone(), waited)
            .with_total(limit.as_secs_f64())
            .with_message("no message yet");
        if peer.notify_progress(told).await.is_err() {
            return;
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_instructions(words::INSTRUCTIONS);
        info.server_info = Implementation::new("thrum", env!("CARGO_PKG_VERSION"));
        info
    }

    async fn on_initialized(&self, context: rmcp::service::NotificationContext<RoleServer>) {
        let client = context.peer.peer_info().map(|info| info.client_info.name.clone());
        self.beginning.met(client);
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.beginning.met(context.client_info().map(|info| info.name));
        Ok(ListToolsResult::with_all_items(tools::list()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let all =
            [tools::SEND, tools::CHECK, tools::REPLY, tools::WAIT, tools::LIST, tools::STATUS];
        let Some(tool) = all.into_iter().find(|tool| *tool == request.name) else {
            let name: String = request.name.chars().take(64).collect();
            let message = format!("there is no tool {name:?}; there are: {}", all.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let mut arguments = Arguments::new(tool, request.arguments);
        // In both cases nobody gets the answer: what is under way is dropped, with its connection.
        let answer = tokio::select! {
            biased;
            answer = self.call(tool, &mut arguments, &context) => answer,
            () = context.ct.cancelled() => Err(cancelled()),
            () = self.ended.cancelled(), if tool == tools::WAIT => Err(cancelled()),
        };
        let answer = answer.map(|(mut done, mark)| {
            arguments.tell_ignored(&mut done);
            if let Some(mark) = mark {
                self.in_flight.when_written(&context.id, mark);
            }
            done
        });
        Ok(result(answer).into())
    }
}

fn cancelled() -> Failure {
    Failure::new("cancelled", "the call was cancelled", "call it again")
}
