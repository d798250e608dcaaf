//! Waiting in tests, and daemons with keys.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use thrum_api::peer::PairRequestParams;
use thrum_api::{DaemonId, Token};

use crate::keys::SecretKey;
use crate::peer::PairingProof;

static KEYS: LazyLock<Mutex<HashMap<DaemonId, Arc<SecretKey>>>> = LazyLock::new(Mutex::default);

/// The id of a new daemon. Its key is known in this process alone.
pub fn daemon() -> DaemonId {
    let key = Arc::new(SecretKey::generate().expect("random bytes"));
    let id = key.id();
    KEYS.lock().insert(id, key);
    id
}

/// The key of a daemon of these tests.
pub fn key_of(daemon: DaemonId) -> Arc<SecretKey> {
    Arc::clone(KEYS.lock().get(&daemon).expect("a daemon of these tests"))
}

/// The result of something that takes a moment.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("in time")
}

/// Waits until a condition holds.
pub async fn until(mut condition: impl AsyncFnMut() -> bool) {
    soon(async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// What a host answers to a daemon that joins it: to this call, with this token.
pub fn host_answer(key: &SecretKey, call: &Value, token: &Token) -> Value {
    let mut answer = match call["method"].as_str() {
        Some("pair.request") => {
            let params: PairRequestParams = serde_json::from_value(call["params"].clone()).unwrap();
            let observed = "127.0.0.1:1";
            let proof = PairingProof {
                joining: params.id,
                accepting: key.id(),
                code: params.code.as_ref(),
                address: observed,
            };
            json!({"result": {
                "status": "paired", "token": token.expose(), "id": key.id(), "name": "host",
                "observed": observed, "signature": proof.sign_answer(key, token),
            }})
        }
        _ => json!({"error": {
            "code": -32001, "message": "no token", "data": {"id": key.id()},
        }}),
    };
    answer["jsonrpc"] = json!("2.0");
    answer["id"] = call["id"].clone();
    answer
}

/// How often a statement ran that a connection keeps prepared.
pub fn statement_runs(connection: &rusqlite::Connection, sql: &str) -> usize {
    status(connection, sql, rusqlite::StatementStatus::Run)
}

/// How many steps SQLite took for all these runs.
pub fn statement_steps(connection: &rusqlite::Connection, sql: &str) -> usize {
    status(connection, sql, rusqlite::StatementStatus::VmStep)
}

fn status(
    connection: &rusqlite::Connection,
    sql: &str,
    status: rusqlite::StatementStatus,
) -> usize {
    let statement = connection.prepare_cached(sql).unwrap();
    usize::try_from(statement.get_status(status)).unwrap()
}
