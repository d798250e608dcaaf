//! The pipe: what goes over it is rmcp's work; what has to happen before and after is done here.

use std::io;
use std::sync::Arc;

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, GetMeta as _, JsonRpcMessage,
    ProtocolVersion, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{ErrorData, RoleServer};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::in_flight::InFlight;
use super::stdio::{Reader, Writer};

/// Most refusals that are being written.
const REFUSALS_MAX: usize = 1024;

/// A transport over stdin and stdout.
pub struct Wire {
    inner: AsyncRwTransport<RoleServer, Reader, Writer>,
    in_flight: InFlight,
    marking: TaskTracker,
    refusals: Arc<Semaphore>,
    ended: CancellationToken,
    is_open: bool,
}

impl Wire {
    /// Over these two. `marking` has the tasks that mark messages as read; `ended` is cancelled when the input ends.
    pub fn new(
        (reader, writer): (Reader, Writer),
        in_flight: InFlight,
        marking: TaskTracker,
        ended: CancellationToken,
    ) -> Self {
        let inner = AsyncRwTransport::new_server(reader, writer);
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        Self { inner, in_flight, marking, refusals, ended, is_open: false }
    }

    /// Whether rmcp is to see a message. Before the session is open, it takes anything but a request for a broken client, and
    /// ends; a client may well cancel its first probe then.
    fn admits(&mut self, message: &ClientJsonRpcMessage) -> bool {
        if let (false, JsonRpcMessage::Request(request)) = (self.is_open, message) {
            self.is_open = opens(&request.request);
            return true;
        }
        self.is_open
    }

    /// Answers that there are too many requests, without waiting for the client. One that doesn't read gets no more answers.
    fn refuse(&mut self, id: RequestId) {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else { return };
        let error = ErrorData::internal_error(
            "too many requests are not answered yet: wait for some of them",
            None,
        );
        let sent = self.inner.send(JsonRpcMessage::error(error, Some(id)));
        drop(tokio::spawn(async move {
            drop(sent.await);
            drop(permit);
        }));
    }
}

/// Whether a request opens the session, as rmcp decides it.
fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => {
            let meta = other.get_meta();
            let version = meta.protocol_version();
            meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                && version.is_some_and(|it| ProtocolVersion::KNOWN_VERSIONS.contains(&it))
        }
    }
}

impl Transport<RoleServer> for Wire {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
        };
        let answered = answered.cloned();
        let (in_flight, marking) = (self.in_flight.clone(), self.marking.clone());
        // Taken now: a request that is cancelled while its answer is being written has been answered.
        let mark = answered.as_ref().and_then(|id| in_flight.end(id));
        let sent = self.inner.send(message);
        async move {
            sent.await?;
            if let Some(mark) = mark {
                drop(marking.spawn(mark.mark()));
            }
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let Some(message) = self.inner.receive().await else {
                self.ended.cancel();
                return None;
            };
            if !self.admits(&message) {
                continue;
            }
            match &message {
                JsonRpcMessage::Request(request) if self.in_flight.is_full() => {
                    self.refuse(request.id.clone());
                    continue;
                }
                JsonRpcMessage::Request(request) => self.in_flight.begin(&request.id),
                JsonRpcMessage::Notification(notification) => {
                    if let ClientNotification::CancelledNotification(cancelled) =
                        &notification.notification
                        && let Some(id) = &cancelled.params.request_id
                    {
                        // Its messages are not marked, and go back.
                        drop(self.in_flight.end(id));
                    }
                }
                JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
            }
            return Some(message);
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.inner.close().await
    }
}
