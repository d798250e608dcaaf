//! From a method's name to the room that answers it.

use std::future::Future;

use thrum_api::envelope::{self, Request};
use thrum_api::local::{
    AgentList, AppendResult, EventAppend, EventList, Health, MessageInbox, MessageMarkRead,
    MessageSend, MessageWait, PeerAdd, PeerCancel, PeerCheck, PeerJoin, PeerList, PeerPath,
    PeerPolicy, PeerRemove, PeerResolve, PeerSync, PeerWait, Shutdown, Status,
};
use thrum_api::{Empty, ErrorCode, Method, RpcError};
use tokio_util::sync::CancellationToken;

use super::{Surface, errors, messages, peers, policy, reach, status};

/// Answers one request. `hung_up` is cancelled when the caller has gone: waits end then, anything
/// else goes on to its end.
///
/// None for a notification, which has no answer.
pub async fn answer(
    surface: &Surface,
    body: &[u8],
    hung_up: &CancellationToken,
) -> Option<Vec<u8>> {
    let request = match Request::parse(body) {
        Ok(request) => request,
        Err(error) => return Some(envelope::response::<()>(None, Err(&error))),
    };
    let bytes = match dispatch(surface, &request, hung_up).await {
        Ok(bytes) => bytes,
        Err(error) => envelope::response::<()>(request.id.as_ref(), Err(&error)),
    };
    request.id.is_some().then_some(bytes)
}

macro_rules! methods {
    ($surface:ident, $params:ident, $hung_up:ident; $($method:ident => $answer:expr;)*) => {
        /// Every method that is answered here; a test compares it with the contract.
        #[cfg(test)]
        pub const NAMES: &[&str] = &[$(<$method as Method>::NAME),*];

        async fn dispatch(
            $surface: &Surface,
            request: &Request<'_>,
            $hung_up: &CancellationToken,
        ) -> Result<Vec<u8>, RpcError> {
            match request.method.as_ref() {
                $(<$method as Method>::NAME => {
                    let $params = request.params::<$method>()?;
                    let outcome: Result<<$method as Method>::Result, RpcError> = $answer.await;
                    outcome.map(|result| envelope::response(request.id.as_ref(), Ok(&result)))
                })*
                other => Err(unknown(other)),
            }
        }
    };
}

methods! { surface, params, hung_up;
    Health => { let Empty {} = params; status::health(surface) };
    Status => { let Empty {} = params; status::status(surface) };
    Shutdown => { let Empty {} = params; shutdown(surface) };
    EventAppend => async {
        let outcome = surface.log.append(params.events).await.map_err(errors::log);
        surface.disk.saw(&outcome);
        outcome.map(|appended| AppendResult { appended })
    };
    EventList => async { surface.log.list(params).await.map_err(errors::log) };
    MessageSend => messages::send(surface, params);
    MessageInbox => messages::inbox(surface, params);
    MessageWait => while_wanted(surface, hung_up, messages::wait(surface, params));
    MessageMarkRead => messages::mark_read(surface, params);
    AgentList => messages::agents(surface, params);
    PeerAdd => { let Empty {} = params; peers::add(surface, hung_up) };
    PeerWait => while_wanted(
        surface, hung_up, surface.pairing.wait(params.session, params.seen),
    );
    PeerCancel => async { surface.pairing.cancel(params.session).map(|()| Empty {}) };
    PeerResolve => peers::resolve(surface, params);
    PeerJoin => peers::join(surface, params);
    PeerList => { let Empty {} = params; peers::list(surface) };
    PeerRemove => peers::remove(surface, params);
    PeerSync => peers::sync(surface, params);
    PeerCheck => reach::check(surface, params);
    PeerPath => reach::path(surface, params);
    PeerPolicy => policy::policy(surface, params);
}

fn unknown(method: &str) -> RpcError {
    let name: String = method.chars().take(64).collect();
    RpcError::new(ErrorCode::METHOD_NOT_FOUND, format!("there is no method {name:?} here"))
}

/// A wait ends when its caller hangs up and when the daemon stops.
async fn while_wanted<T>(
    surface: &Surface,
    hung_up: &CancellationToken,
    wait: impl Future<Output = Result<T, RpcError>>,
) -> Result<T, RpcError> {
    let mut stop = surface.stop.subscribe();
    tokio::select! {
        outcome = wait => outcome,
        () = hung_up.cancelled() => Err(errors::stopping()),
        // An error means that the sender is gone, which is the end as well.
        _ = stop.wait_for(|stop| *stop) => Err(errors::stopping()),
    }
}

async fn shutdown(surface: &Surface) -> Result<Empty, RpcError> {
    tracing::info!("asked to stop by a local program");
    surface.stop.send_replace(true);
    Ok(Empty {})
}
