//! Dispatches a request to the module that answers its method.

use std::future::Future;

use thrum_api::envelope::{self, Request};
use thrum_api::local::{
    AgentList, AgentRegister, AgentRemove, AppendResult, ConversationList, EventAppend, EventList,
    GroupChange, GroupList, Health, MessageDelete, MessageDeliveries, MessageFind, MessageInbox,
    MessageList, MessageMarkRead, MessageSearch, MessageSend, MessageSent, MessageShow,
    MessageStatus, MessageThread, MessageWait, PeerAdd, PeerCancel, PeerCheck, PeerFind, PeerJoin,
    PeerList, PeerPath, PeerPolicy, PeerRemove, PeerResolve, PeerSync, PeerWait, QuarantineClear,
    QuarantineList, SessionEnd, SessionHook, SessionMessages, SessionStart, SessionUpdate,
    SessionWake, Shutdown, SocketAdd, SocketList, SocketRemove, Status, WakeSwitch,
};
use thrum_api::{Empty, ErrorCode, Method, RpcError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    AdminContext, agents, connectivity, conversation, delivery, errors, groups, messages, overview,
    peers, policy, quarantine, search, sessions, sockets, status, turns,
};
use crate::agents::LocalConnection;
use crate::large;
use crate::metrics::LocalSurface;

/// Answers one request. `disconnected` is cancelled when the caller has disconnected: waits end
/// then, anything else runs to its end. `connection`: that of the caller, for what lasts as long as it.
///
/// None for a notification, which has no answer.
pub async fn answer(
    context: &AdminContext,
    surface: LocalSurface,
    body: &[u8],
    connection: &LocalConnection,
    disconnected: &CancellationToken,
) -> Option<Vec<u8>> {
    let (requests, received) = (context.metrics.of(surface), Instant::now());
    let request = match large::request(body) {
        Ok(request) => request,
        Err(error) => {
            requests.answered("", Some(error.code), received.elapsed());
            return Some(envelope::response::<()>(None, Err(&error)));
        }
    };
    let outcome = dispatch(context, &request, connection, disconnected).await;
    let error = outcome.as_ref().err().map(|error| error.code);
    requests.answered(&request.method, error, received.elapsed());
    let bytes = match outcome {
        Ok(bytes) => bytes,
        Err(error) => envelope::response::<()>(request.id.as_ref(), Err(&error)),
    };
    request.id.is_some().then_some(bytes)
}

macro_rules! methods {
    ($context:ident, $params:ident, $connection:ident, $disconnected:ident; $($method:ident => $answer:expr;)*) => {
        /// Every method that is answered here; a test compares it with the contract.
        #[cfg(test)]
        pub const NAMES: &[&str] = &[$(<$method as Method>::NAME),*];

        async fn dispatch(
            $context: &AdminContext,
            request: &Request<'_>,
            $connection: &LocalConnection,
            $disconnected: &CancellationToken,
        ) -> Result<Vec<u8>, RpcError> {
            match request.method.as_ref() {
                $(<$method as Method>::NAME => {
                    let $params = large::params::<$method>(request)?;
                    let outcome: Result<<$method as Method>::Result, RpcError> = $answer.await;
                    outcome.map(|result| large::response(request.id.as_ref(), &result))
                })*
                other => Err(unknown(other)),
            }
        }
    };
}

methods! { context, params, connection, disconnected;
    Health => { let Empty {} = params; status::health(context) };
    Status => { let Empty {} = params; status::status(context) };
    Shutdown => { let Empty {} = params; shutdown(context) };
    EventAppend => async {
        let appended = context.log.append(params.events).await.map_err(errors::log)?;
        Ok(AppendResult { appended })
    };
    EventList => async { context.log.list(params).await.map_err(errors::log) };
    QuarantineList => { let Empty {} = params; quarantine::list(context) };
    QuarantineClear => quarantine::clear(context, params);
    MessageSend => messages::send(context, params);
    MessageInbox => messages::inbox(context, params);
    MessageWait => until_abandoned(context, disconnected, messages::wait(context, params, connection));
    MessageMarkRead => messages::mark_read(context, params);
    MessageFind => conversation::find(context, params);
    MessageShow => conversation::show(context, params);
    MessageThread => conversation::thread(context, params);
    MessageStatus => until_abandoned(context, disconnected, delivery::status(context, params));
    MessageSent => delivery::sent(context, params);
    MessageDelete => conversation::delete(context, params);
    MessageList => overview::messages(context, params);
    MessageDeliveries => overview::deliveries(context, params);
    ConversationList => overview::conversations(context, params);
    MessageSearch => search::search(context, params);
    AgentList => agents::list(context, params);
    AgentRegister => agents::register(context, params);
    AgentRemove => agents::remove(context, params);
    SessionStart => sessions::start(context, params, connection);
    SessionUpdate => sessions::update(context, params);
    SessionEnd => sessions::end(context, params);
    SessionHook => turns::hook(context, params, connection);
    SessionMessages => until_abandoned(context, disconnected, turns::messages(context, params, connection));
    SessionWake => until_abandoned(context, disconnected, turns::wake(context, params, connection));
    WakeSwitch => turns::switch(context, params);
    GroupChange => groups::change(context, params);
    GroupList => groups::list(context, params);
    SocketAdd => sockets::add(context, params);
    SocketList => { let Empty {} = params; sockets::list(context) };
    SocketRemove => sockets::remove(context, params);
    PeerAdd => { let Empty {} = params; peers::add(context, disconnected) };
    PeerWait => until_abandoned(
        context, disconnected, context.pairing.wait(params.session, params.seen),
    );
    PeerCancel => async { context.pairing.cancel(params.session).map(|()| Empty {}) };
    PeerResolve => peers::resolve(context, params);
    PeerJoin => peers::join(context, params);
    PeerList => { let Empty {} = params; peers::list(context) };
    PeerFind => async { peers::entry(context, context.find(&params.peer)?).await };
    PeerRemove => peers::remove(context, params);
    PeerSync => peers::sync(context, params);
    PeerCheck => connectivity::check(context, params);
    PeerPath => connectivity::path(context, params);
    PeerPolicy => policy::policy(context, params);
}

fn unknown(method: &str) -> RpcError {
    let name: String = method.chars().take(64).collect();
    RpcError::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method {name:?} here"))
}

/// Ends a wait when its caller disconnects and when the daemon stops.
async fn until_abandoned<T>(
    context: &AdminContext,
    disconnected: &CancellationToken,
    wait: impl Future<Output = Result<T, RpcError>>,
) -> Result<T, RpcError> {
    tokio::select! {
        // The wait first: one that has not begun would not end its pairing session.
        biased;
        outcome = wait => outcome,
        () = disconnected.cancelled() => Err(errors::stopping()),
        () = context.stop.cancelled() => Err(errors::stopping()),
    }
}

async fn shutdown(context: &AdminContext) -> Result<Empty, RpcError> {
    tracing::info!("a local program asked thrumd to stop");
    context.stop.cancel();
    Ok(Empty {})
}
