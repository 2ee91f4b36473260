//! The least JSON-RPC client.

use reqwest::Client;
use serde_json::{Value, json};
use std::time::Duration;

/// Time for one request: a local node answers in milliseconds.
const REQUEST: Duration = Duration::from_secs(20);

/// Why a call brought no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RpcFailure {
    /// No answer, or none that is JSON-RPC.
    Transport(String),
    /// The node's error.
    Node {
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
    },
}

pub(crate) fn client() -> Client {
    Client::builder().timeout(REQUEST).build().expect("a client without options builds")
}

pub(crate) async fn call(
    client: &Client,
    url: &str,
    method: &str,
    params: Value,
) -> Result<Value, RpcFailure> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let transport = |error: reqwest::Error| RpcFailure::Transport(error.to_string());
    let response = client.post(url).json(&request).send().await.map_err(transport)?;
    let mut answer: Value = response.json().await.map_err(transport)?;
    match answer.get("error") {
        Some(error) => Err(RpcFailure::Node {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
        }),
        None => Ok(answer["result"].take()),
    }
}

/// A JSON-RPC quantity.
pub(crate) fn quantity(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

pub(crate) fn to_quantity(number: u64) -> Value {
    format!("{number:#x}").into()
}
