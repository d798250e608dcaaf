//! `metrics_listen`: a listener of its own with `GET /metrics` alone, for a Prometheus that scrapes.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thrum_api::local::Problem;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::super::{AdminContext, status};
use super::answer;
use crate::clock;

/// Connections that are served at a time. Others wait in the system's queue.
const CONNECTIONS_MAX: usize = 16;
/// How long a caller may take to send its request.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may last. Each has one request, and Prometheus gives up after 10 s.
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of a request. hyper takes no smaller buffer.
const REQUEST_MAX_BYTES: usize = 8192;
/// How long to wait before the address is tried again.
const BIND_RETRY: Duration = Duration::from_secs(10);
/// How long to wait after the system refused to accept, usually because file descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Serves `/metrics` at `metrics_listen` until the daemon stops, if that is set. An address that can't be used keeps no
/// message from anybody: `status` and the log tell of it, and it is tried again.
pub async fn serve(context: Arc<AdminContext>) {
    let Some(address) = context.config.metrics_listen else { return };
    let serving = async {
        let listener = bind(&context, address).await;
        accept(&context, &listener, address.ip()).await;
    };
    tokio::select! {
        () = context.stop.cancelled() => {}
        () = serving => {}
    }
}

async fn bind(context: &AdminContext, address: SocketAddr) -> TcpListener {
    let mut since = None;
    loop {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            Ok((listener.local_addr()?, listener))
        };
        match bound.await {
            Ok((bound, listener)) => {
                tracing::info!("metrics at http://{bound}/metrics");
                context.metrics_problem.send_replace(None);
                return listener;
            }
            Err(error) => {
                let message = reason(address, &error);
                if since.is_none() {
                    tracing::error!("metrics can't be scraped: {message}; trying again");
                }
                let since = *since.get_or_insert_with(clock::now);
                let next = Some("thrumd --print-config");
                let problem = Problem::new("metrics_listen", message, Some(since), next);
                context.metrics_problem.send_replace(Some(problem));
            }
        }
        sleep(BIND_RETRY).await;
    }
}

fn reason(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is taken by another program; stop it, or set metrics_listen to another port"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{address} is no address of this machine; change metrics_listen")
        }
        io::ErrorKind::PermissionDenied => {
            format!("not permitted to listen on {address}; set metrics_listen to port 1024 or more")
        }
        _ => format!("could not listen on {address} (metrics_listen): {error}"),
    }
}

async fn accept(context: &Arc<AdminContext>, listener: &TcpListener, ip: IpAddr) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let context = Arc::clone(context);
                tokio::spawn(async move {
                    tokio::select! {
                        () = context.stop.cancelled() => {}
                        () = serve_connection(&context, stream, ip) => {}
                    }
                    drop(permit);
                });
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!("can't accept who scrapes metrics for a moment: {error}");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn serve_connection(context: &Arc<AdminContext>, stream: TcpStream, ip: IpAddr) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(respond(context, &request, ip).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_LIMIT)
        // A connection for each scrape: none is idle between two of them.
        .keep_alive(false)
        .max_buf_size(REQUEST_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = timeout(CONNECTION_LIMIT, connection).await {
        tracing::debug!("a connection to metrics_listen ended: {error}");
    }
}

async fn respond(context: &Arc<AdminContext>, request: &Request<Incoming>, ip: IpAddr) -> Response {
    let name = status::hostname(context).unwrap_or_default();
    if !is_meant(request.headers(), ip, &name) {
        let text = "no such host here: ask for the IP address, or for localhost\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    if request.uri().path() != "/metrics" {
        return (StatusCode::NOT_FOUND, "nothing is served here but GET /metrics\n")
            .into_response();
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        let text = "nothing is served here but GET /metrics\n";
        return (StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response();
    }
    let mut response = answer(State(Arc::clone(context)), request.headers().clone()).await;
    let nosniff = header::HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Whether the caller means this host. A page in a browser whose own name was made to lead here (DNS rebinding) has that
/// name in `Host`. `name`: this machine's in the tailnet.
fn is_meant(headers: &HeaderMap, listening: IpAddr, name: &str) -> bool {
    let is_ours = |host: &header::HeaderValue| {
        let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        authority.is_some_and(|authority| {
            let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
            match host.parse::<IpAddr>() {
                Ok(ip) => !listening.is_loopback() || ip.is_loopback() || ip == listening,
                Err(_) if listening.is_loopback() => host == "localhost",
                Err(_) => is_name_of_ours(&host, name),
            }
        })
    };
    headers.get_all(header::HOST).iter().all(is_ours)
}

/// Whether nobody else can have that name lead to this machine: one without a dot is of the network here, as those of
/// containers are, and Tailscale alone gives those that end with `ts.net`.
fn is_name_of_ours(host: &str, name: &str) -> bool {
    match host.split_once('.') {
        None => !host.is_empty(),
        Some((first, rest)) => {
            !name.is_empty() && first.eq_ignore_ascii_case(name) && rest.ends_with(".ts.net")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(hosts: &[&str], listening: &str) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        is_meant(&headers, listening.parse().unwrap(), "Office")
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_not_served() {
        for host in ["127.0.0.1:9101", "localhost:9101", "LOCALHOST", "[::1]:9101", "127.0.0.2"] {
            assert!(meant(&[host], "127.0.0.1"), "{host}");
        }
        let foreign = ["evil.test:9101", "localhost.evil.test", "10.0.0.1:9101", "x@y z", ""];
        for host in foreign {
            assert!(!meant(&[host], "127.0.0.1"), "{host}");
            assert!(!meant(&["localhost", host], "::1"), "{host}");
        }
        let ours =
            ["10.0.0.7:9101", "[fd7a::1]:9101", "192.0.2.1", "localhost:9101", "thrumd:9101"];
        for host in ours.into_iter().chain(["office.tail1234.ts.net:9101"]) {
            assert!(meant(&[host], "10.0.0.7") && meant(&[host], "0.0.0.0"), "{host}");
        }
        for host in ["evil.test:9101", "office.evil.test", "other.tail1234.ts.net", "ts.net", ""] {
            assert!(!meant(&[host], "10.0.0.7"), "{host}");
            assert!(!meant(&["10.0.0.7", host], "::"), "{host}");
        }
        // HTTP/1.0 has none, and browsers always send it.
        assert!(meant(&[], "127.0.0.1"));
    }
}
