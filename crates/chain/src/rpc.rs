//! JSON-RPC to one node or more: everything is sent to all, read from one at a time.

use crate::pool::{send_error, severity};
use alloy::primitives::{Address, B256, Bytes, TxHash, U64, U256};
use medtrail_ledger::plan::{BlockRef, Header};
use medtrail_ledger::ports::{RegistryError, SendError};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Time to connect. Without it a silent host holds a tick for minutes.
const CONNECT: Duration = Duration::from_secs(3);
/// Time for a whole request.
const REQUEST: Duration = Duration::from_secs(10);
/// Longest answer that is read: a range of 10,000 blocks of our logs is far below it.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The configured nodes.
#[derive(Clone, Debug)]
pub struct Rpc(Arc<Nodes>);

#[derive(Debug)]
struct Nodes {
    client: Client,
    urls: Vec<Url>,
    /// Reads go to this one. Any transport failure moves on, so that the next tick, and not the
    /// rest of this one, is read from another node: half a view from each would fit no chain.
    reading: AtomicUsize,
}

/// Why a node gave no answer, or not the one asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// No URL, or none that can be used.
    #[error("not a JSON-RPC URL: {0}")]
    Url(String),
    /// No connection, no answer in time, or an answer cut short. What was asked may have happened.
    #[error("{0}")]
    Transport(String),
    /// An HTTP error instead of an answer; 429 and 503 mean "later".
    #[error("HTTP status {0}")]
    Status(u16),
    /// A JSON-RPC error.
    #[error("error {code}: {message}")]
    Node {
        /// JSON-RPC error code.
        code: i64,
        /// The node's words.
        message: String,
        /// Revert data of a failed call.
        data: Bytes,
    },
    /// Not an answer to what was asked.
    #[error("unexpected answer to {method}: {detail}")]
    Answer {
        /// The method.
        method: &'static str,
        /// What does not fit.
        detail: String,
    },
}

impl RpcError {
    /// Whether the node was not heard, so that another may be.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Status(_))
    }

    /// Whether a call was executed and refused by the contract.
    pub fn is_revert(&self) -> bool {
        match self {
            Self::Node { code: 3, .. } => true,
            Self::Node { message, data, .. } => {
                !data.is_empty() || message.to_ascii_lowercase().contains("revert")
            }
            _ => false,
        }
    }

    /// Whether a call was executed and came to nothing: it reverted, or broke off. Anything else is a
    /// trouble of the node's, and says nothing about the contract.
    pub(crate) fn is_failed_call(&self) -> bool {
        const BROKEN: [&str; 5] = ["out of gas", "outofgas", "opcode", "stack ", "invalid jump"];
        let Self::Node { message, .. } = self else { return false };
        let message = message.to_ascii_lowercase();
        self.is_revert() || BROKEN.iter().any(|words| message.contains(words))
    }

    /// Whether the node says that it has no such block.
    pub(crate) fn is_unknown_block(&self) -> bool {
        match self {
            // execution-apis: "Unknown block"; geth answers so for `finalized` of a young chain.
            Self::Node { code: -39001, .. } => true,
            Self::Node { message, .. } => {
                let message = message.to_ascii_lowercase();
                message.contains("block") && message.contains("not found")
                    || message.contains("unknown block")
            }
            _ => false,
        }
    }
}

impl From<RpcError> for RegistryError {
    fn from(error: RpcError) -> Self {
        match error {
            RpcError::Transport(_) | RpcError::Status(_) => Self::Unreachable(error.to_string()),
            RpcError::Node { code, message, .. } => Self::Node { code, message },
            RpcError::Url(_) | RpcError::Answer { .. } => Self::Nonsense(error.to_string()),
        }
    }
}

/// What of a block is looked at; nodes of all chains agree on these fields.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RpcHeader {
    number: U64,
    hash: B256,
    parent_hash: B256,
    timestamp: U64,
}

impl From<RpcHeader> for Header {
    fn from(header: RpcHeader) -> Self {
        Self {
            block: BlockRef { number: header.number.to(), hash: header.hash },
            parent: header.parent_hash,
            time_s: header.timestamp.to(),
        }
    }
}

/// What of a receipt is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcReceipt {
    pub(crate) block_number: U64,
    pub(crate) block_hash: B256,
    pub(crate) status: U64,
}

#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default = "Option::default")]
    result: Option<T>,
    error: Option<NodeError>,
}

#[derive(Deserialize)]
struct NodeError {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
}

impl NodeError {
    /// Nodes put revert data into `data` itself or into `data.data`.
    fn into_error(self) -> RpcError {
        let text = self.data.as_str().or_else(|| self.data.get("data").and_then(Value::as_str));
        let data = text.and_then(|hex| hex.parse().ok()).unwrap_or_default();
        RpcError::Node { code: self.code, message: self.message, data }
    }
}

impl Rpc {
    /// Nodes by URL, the preferred one first. At least one; connects to none yet.
    pub fn new(urls: &[impl AsRef<str>]) -> Result<Self, RpcError> {
        let parse = |url: &str| {
            let parsed = Url::parse(url).ok();
            let usable = parsed.filter(|url| matches!(url.scheme(), "http" | "https"));
            usable.ok_or_else(|| RpcError::Url(url.to_owned()))
        };
        let urls: Vec<Url> =
            urls.iter().map(|url| parse(url.as_ref())).collect::<Result<_, _>>()?;
        if urls.is_empty() {
            return Err(RpcError::Url("none is configured".to_owned()));
        }
        // No redirects: a node never sends any, and they could lead anywhere.
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| RpcError::Transport(told(error)))?;
        Ok(Self(Arc::new(Nodes { client, urls, reading: AtomicUsize::new(0) })))
    }

    /// Asks the node that is read from. `Ok(None)` is the answer `null`.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<Option<T>, RpcError> {
        let place = self.0.reading.load(Ordering::Relaxed) % self.0.urls.len();
        let answer = self.0.ask_at(place, method, &params).await;
        if let Err(error) = &answer
            && error.is_unreachable()
        {
            let next = (place + 1) % self.0.urls.len();
            if next != place {
                let host = self.0.urls[next].host_str();
                tracing::warn!(%error, next = host, "node does not answer, reading from the next");
            }
            self.0.reading.store(next, Ordering::Relaxed);
        }
        answer
    }

    /// As [`ask`](Self::ask), where `null` is no answer.
    pub(crate) async fn need<T: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<T, RpcError> {
        let answer = self.ask(method, params).await?;
        answer.ok_or_else(|| RpcError::Answer { method, detail: "null".to_owned() })
    }

    /// The chain id of the node that is read from.
    pub async fn chain_id(&self) -> Result<u64, RpcError> {
        Ok(self.need::<U64>("eth_chainId", json!([])).await?.to())
    }

    /// The canonical block of this height.
    pub(crate) async fn block(&self, number: u64) -> Result<Option<Header>, RpcError> {
        let header = self.block_by(&json!(U64::from(number))).await?;
        match header {
            Some(found) if found.block.number != number => Err(RpcError::Answer {
                method: "eth_getBlockByNumber",
                detail: format!("block {} instead of {number}", found.block.number),
            }),
            answer => Ok(answer),
        }
    }

    /// The block a tag points to (`latest`, `finalized`).
    pub(crate) async fn block_at(&self, tag: &'static str) -> Result<Option<Header>, RpcError> {
        self.block_by(&json!(tag)).await
    }

    async fn block_by(&self, id: &Value) -> Result<Option<Header>, RpcError> {
        match self.ask::<RpcHeader>("eth_getBlockByNumber", json!([id, false])).await {
            Ok(answer) => Ok(answer.map(Header::from)),
            Err(error) if error.is_unknown_block() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The most gas that the newest block takes.
    pub(crate) async fn block_gas_limit(&self) -> Result<Option<u64>, RpcError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Limited {
            gas_limit: U64,
        }
        let params = json!(["latest", false]);
        let answer = self.ask::<Limited>("eth_getBlockByNumber", params).await?;
        Ok(answer.map(|found| found.gas_limit.to()))
    }

    pub(crate) async fn receipt(&self, tx: TxHash) -> Result<Option<RpcReceipt>, RpcError> {
        self.ask("eth_getTransactionReceipt", json!([tx])).await
    }

    /// The account's nonce at a block; `at` is a tag or an EIP-1898 object.
    pub(crate) async fn nonce(&self, account: Address, at: &Value) -> Result<u64, RpcError> {
        Ok(self.need::<U64>("eth_getTransactionCount", json!([account, at])).await?.to())
    }

    pub(crate) async fn balance(&self, account: Address, at: &Value) -> Result<u128, RpcError> {
        Ok(self.need::<U256>("eth_getBalance", json!([account, at])).await?.saturating_to())
    }

    /// What an account holds at the newest block, in wei.
    pub async fn balance_of(&self, account: Address) -> Result<u128, RpcError> {
        self.balance(account, &json!("latest")).await
    }

    /// Whether a contract stands at this address.
    pub async fn has_code(&self, account: Address) -> Result<bool, RpcError> {
        Ok(!self.code(account).await?.is_empty())
    }

    pub(crate) async fn code(&self, account: Address) -> Result<Bytes, RpcError> {
        self.need("eth_getCode", json!([account, "latest"])).await
    }

    /// The base fee of the block after `number`, and the market's priority fee.
    pub(crate) async fn fees(&self, number: u64) -> Result<(u128, u128), RpcError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct History {
            base_fee_per_gas: Vec<U256>,
        }
        let method = "eth_feeHistory";
        let blocks = json!(["0x1", U64::from(number), []]);
        let history: History = self.need(method, blocks).await?;
        let [_, next] = history.base_fee_per_gas[..] else {
            let detail = format!("{} base fees for one block", history.base_fee_per_gas.len());
            return Err(RpcError::Answer { method, detail });
        };
        let tip = self.need::<U256>("eth_maxPriorityFeePerGas", json!([])).await?;
        Ok((next.saturating_to(), tip.saturating_to()))
    }

    /// Hands a transaction to all nodes at once. If none simply takes it, the kindest answer
    /// counts: one node that knows it already is enough.
    pub(crate) async fn broadcast(&self, raw: &Bytes) -> Result<(), SendError> {
        let params = json!([raw]);
        let mut answers = JoinSet::new();
        for place in 0..self.0.urls.len() {
            let (nodes, params) = (self.0.clone(), params.clone());
            answers.spawn(async move {
                let method = "eth_sendRawTransaction";
                nodes.ask_at::<TxHash>(place, method, &params).await
            });
        }
        let mut kindest: Option<SendError> = None;
        while let Some(answer) = answers.join_next().await {
            let error = match answer {
                Ok(Ok(_)) => {
                    // One node has it; the slower ones still get theirs, but nobody waits.
                    answers.detach_all();
                    return Ok(());
                }
                Ok(Err(error)) => send_error(&error),
                Err(lost) => SendError::Unknown(lost.to_string()),
            };
            if kindest.as_ref().is_none_or(|known| severity(&error) < severity(known)) {
                kindest = Some(error);
            }
        }
        Err(kindest.unwrap_or_else(|| SendError::Unknown("no node".to_owned())))
    }
}

impl Nodes {
    async fn ask_at<T: DeserializeOwned>(
        &self,
        place: usize,
        method: &'static str,
        params: &Value,
    ) -> Result<Option<T>, RpcError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let transport = |error| RpcError::Transport(told(error));
        let sent = self.client.post(self.urls[place].clone()).json(&request).send().await;
        let mut response = sent.map_err(transport)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let detail = format!("more than {ANSWER_BYTES_MAX} bytes");
                return Err(RpcError::Answer { method, detail });
            }
            body.extend_from_slice(&chunk);
        }
        // Some nodes send JSON-RPC errors under an HTTP error status.
        match serde_json::from_slice::<Answer<T>>(&body) {
            Ok(Answer { error: Some(error), .. }) => Err(error.into_error()),
            _ if !status.is_success() => Err(RpcError::Status(status.as_u16())),
            Ok(Answer { result, .. }) => Ok(result),
            // Cut short by whoever stands between: what was asked may have happened.
            Err(error) if error.is_eof() => Err(RpcError::Transport(error.to_string())),
            Err(error) => Err(RpcError::Answer { method, detail: error.to_string() }),
        }
    }
}

/// The whole chain of causes, without the URL: it often holds an access token.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_must_be_http_and_there_must_be_one() {
        assert!(Rpc::new(&["http://127.0.0.1:8545", "https://node.example/key"]).is_ok());
        assert!(matches!(Rpc::new(&["ws://127.0.0.1:8545"]), Err(RpcError::Url(_))));
        assert!(matches!(Rpc::new(&["localhost"]), Err(RpcError::Url(_))));
        assert!(matches!(Rpc::new(&[] as &[&str]), Err(RpcError::Url(_))));
    }

    #[test]
    fn a_call_that_broke_off_is_no_trouble_of_the_node() {
        let of = |code, message: &str| RpcError::Node {
            code,
            message: message.to_owned(),
            data: Bytes::new(),
        };
        for message in [
            "out of gas",
            "EVM error OutOfGas",
            "invalid opcode: INVALID",
            "invalid jump destination",
        ] {
            assert!(of(-32000, message).is_failed_call(), "{message}");
        }
        for (code, message) in [
            (-32005, "daily request count exceeded"),
            (-32000, "header not found"),
            (-32603, "Internal error"),
            (-32000, "missing trie node"),
        ] {
            assert!(!of(code, message).is_failed_call(), "{message}");
        }
        assert!(!RpcError::Transport("out of gas".to_owned()).is_failed_call());
    }

    #[test]
    fn revert_data_is_found_in_both_of_its_places() {
        for text in [
            r#"{"code":3,"message":"execution reverted","data":"0xdeadbeef"}"#,
            r#"{"code":-32000,"message":"reverted","data":{"data":"0xdeadbeef"}}"#,
        ] {
            let error = serde_json::from_str::<NodeError>(text).unwrap().into_error();
            assert!(error.is_revert() && error.is_failed_call());
            let RpcError::Node { data, .. } = error else { panic!("not a node's error") };
            assert_eq!(data[..], [0xde, 0xad, 0xbe, 0xef]);
        }
    }
}
