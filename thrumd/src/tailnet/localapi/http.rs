//! The way of a request: one connection, plain HTTP/1.1.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;

use super::{ApiError, Endpoint};

/// Body of a request.
pub(super) type Body = Full<Bytes>;

/// tailscaled answers 403 to any other host, and to anything that looks like a browser's.
const LOCAL_HOST: &str = "local-tailscaled.sock";
/// How much of a refusal's text is worth showing.
const REFUSAL_LIMIT: usize = 1024;

/// Ends the connection's task with the last user of the connection.
#[derive(Debug)]
pub(super) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The path of an endpoint with its query.
pub(super) fn uri(query: &str) -> String {
    format!("/localapi/v0/{query}")
}

/// Sends one request on a connection of its own. The answer's body lives as long as the driver.
pub(super) async fn call(
    endpoint: &Endpoint,
    what: &str,
    request: request::Builder,
    body: Body,
) -> Result<(Response<Incoming>, Driver), ApiError> {
    match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(|e| connect_error(endpoint, e))?;
            exchange(what, TokioIo::new(stream), request, body).await
        }
        Endpoint::Tcp { port, password } => {
            let stream = TcpStream::connect(("127.0.0.1", *port))
                .await
                .map_err(|e| connect_error(endpoint, e))?;
            let request = request.header(AUTHORIZATION, basic(password));
            exchange(what, TokioIo::new(stream), request, body).await
        }
    }
}

async fn exchange<S>(
    what: &str,
    stream: S,
    request: request::Builder,
    body: Body,
) -> Result<(Response<Incoming>, Driver), ApiError>
where
    S: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let broken = |source| ApiError::Broken { what: what.to_owned(), source };
    let request = request
        .header(HOST, LOCAL_HOST)
        .body(body)
        .map_err(|source| ApiError::Request { what: what.to_owned(), source })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
    let task = tokio::spawn(async move {
        // An error of the connection shows in the request that it belongs to.
        drop(connection.with_upgrades().await);
    });
    let driver = Driver(task.abort_handle());
    let response = sender.send_request(request).await.map_err(broken)?;
    Ok((response, driver))
}

fn connect_error(endpoint: &Endpoint, source: io::Error) -> ApiError {
    let at = endpoint.to_string();
    match source.kind() {
        io::ErrorKind::NotFound => ApiError::Absent { at, source },
        io::ErrorKind::ConnectionRefused => ApiError::Dead { at, source },
        io::ErrorKind::PermissionDenied => ApiError::NoPermission { at, source },
        _ => ApiError::Connect { at, source },
    }
}

/// The error that a status other than success stands for.
pub(super) async fn refusal(what: &str, response: Response<Incoming>) -> ApiError {
    let status = response.status();
    let what = what.to_owned();
    let said = match Limited::new(response.into_body(), REFUSAL_LIMIT).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).trim().to_owned(),
        Err(_) => "(no words)".to_owned(),
    };
    // Newer ones wrap some errors in JSON.
    let said = match serde_json::from_str::<super::types::Refusal>(&said) {
        Ok(refusal) if !refusal.error.is_empty() => refusal.error,
        _ => said,
    };
    match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ApiError::Forbidden { what, said },
        StatusCode::NOT_FOUND => ApiError::Unknown { what, said },
        _ => ApiError::Refused { what, status, said },
    }
}

/// The whole body, which must not be larger than `limit` bytes, ready to be parsed where it lies.
pub(super) async fn collect(
    what: &str,
    response: Response<Incoming>,
    limit: usize,
) -> Result<bytes::buf::Reader<impl Buf + use<>>, ApiError> {
    let body = Limited::new(response.into_body(), limit)
        .collect()
        .await
        .map_err(|source| ApiError::Body { what: what.to_owned(), source })?;
    Ok(body.aggregate().reader())
}

/// Gives `work` up after `limit`.
pub(super) async fn within<T>(
    what: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::Late { what: what.to_owned(), after: limit }),
    }
}

/// `Basic` authorisation of the empty user.
fn basic(password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "Basic ".to_owned();
    for group in format!(":{password}").as_bytes().chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_password_goes_with_an_empty_user() {
        assert_eq!(super::basic(""), "Basic Og==");
        assert_eq!(super::basic("a"), "Basic OmE=");
        assert_eq!(super::basic("ab"), "Basic OmFi");
        assert_eq!(super::basic("0123456789abcdef"), "Basic OjAxMjM0NTY3ODlhYmNkZWY=");
    }
}
