//! Requests of others, passed on as they are.

use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};

use super::Client;
use super::requests::read_body;
use crate::error::Error;

const METHOD: &str = "POST /rpc";

impl Client {
    /// Passes the bytes of a JSON-RPC request on, and answers those of the response. Dropping the future closes the
    /// connection.
    ///
    /// # Errors
    /// When the connection breaks, and when the answer is larger than any.
    pub async fn forward(&mut self, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), Error> {
        let request = Request::post("/rpc").header(CONTENT_TYPE, "application/json");
        let (response, connection) = self.requests.send(request, body, METHOD).await?;
        let status = response.status();
        let body = read_body(response, METHOD).await?;
        self.requests.keep(connection);
        Ok((status, body))
    }
}
