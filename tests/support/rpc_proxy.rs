//! A line to the chain that can be cut, bent and delayed: a JSON-RPC proxy in front of anvil,
//! which itself always answers at once and truly.
//!
//! Faults come in pairs: [`Fault::Unreachable`] did not happen and fails, [`Fault::LostReply`]
//! happened and fails all the same.

mod replacement;
mod stale;

use crate::json_rpc::{self, RpcFailure};
use reqwest::Client;
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Longest request taken.
const REQUEST_BYTES_MAX: usize = 8 << 20;

/// What happens to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The connection closes before anything is forwarded.
    Unreachable,
    /// The call is forwarded and done; the connection closes without the reply.
    LostReply,
    /// Nothing is forwarded, nothing is answered, the connection stays open.
    Hang,
    /// An HTTP error, with `Retry-After: 1`, in place of an answer.
    Status(u16),
    /// Forwarded and answered, later.
    Delay(Duration),
    /// Forwarded; half of the answer's JSON comes back under a correct `Content-Length`.
    TruncatedJson,
    /// Forwarded; the logs in the answer are left out, as a node does that has lost its index.
    NoLogs,
}

/// One call as it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// JSON-RPC method.
    pub method: String,
    /// Its parameters.
    pub params: Value,
}

struct Rule {
    /// `None` for every method.
    method: Option<String>,
    fault: Fault,
    /// `None` for always.
    left: Option<u32>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    calls: Vec<Call>,
    lag_blocks: u64,
    replacement: Option<replacement::Pool>,
}

struct Shared {
    client: Client,
    upstream: String,
    state: Mutex<State>,
}

/// The proxy, gone when dropped.
pub struct RpcProxy {
    url: String,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

impl RpcProxy {
    /// A faultless proxy in front of the node at `upstream`.
    pub async fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let state = Mutex::default();
        let shared = Arc::new(Shared { client: json_rpc::client(), upstream, state });
        let accepting = tokio::spawn(accept(listener, shared.clone())).abort_handle();
        Self { url, shared, accepting }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Spoils the next call of `method`.
    pub fn spoil_next(&self, method: &str, fault: Fault) {
        self.spoil(Some(method), fault, Some(1));
    }

    /// Spoils every call of `method` until [`Self::heal`].
    pub fn spoil_all(&self, method: &str, fault: Fault) {
        self.spoil(Some(method), fault, None);
    }

    /// Spoils everything until [`Self::heal`].
    pub fn spoil_everything(&self, fault: Fault) {
        self.spoil(None, fault, None);
    }

    fn spoil(&self, method: Option<&str>, fault: Fault, left: Option<u32>) {
        self.state().rules.push(Rule { method: method.map(str::to_owned), fault, left });
    }

    /// Shows the chain as it was so many blocks ago, as a node does that lags.
    pub fn set_lag(&self, blocks: u64) {
        self.state().lag_blocks = blocks;
    }

    /// Ends all faults and the lag.
    pub fn heal(&self) {
        let mut state = self.state();
        state.rules.clear();
        state.lag_blocks = 0;
    }

    /// From now on refuses replacements that geth would refuse and anvil takes: both fees must
    /// grow by a tenth.
    pub fn enforce_replacement_rule(&self) {
        self.state().replacement = Some(replacement::Pool::default());
    }

    /// All calls that came in, oldest first, spoiled ones too.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How often a method was called.
    pub fn count(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|call| call.method == method).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for RpcProxy {
    fn drop(&mut self) {
        // The task owns the connections' tasks: they end with it.
        self.accepting.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    fn note(&self, method: &str, params: &Value) -> Option<Fault> {
        let mut state = self.state();
        state.calls.push(Call { method: method.to_owned(), params: params.clone() });
        let applies = |rule: &Rule| {
            rule.left != Some(0) && rule.method.as_deref().is_none_or(|named| named == method)
        };
        let rule = state.rules.iter_mut().find(|rule| applies(rule))?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        Some(rule.fault)
    }

    async fn upstream(&self, method: &str, params: Value) -> Result<Value, RpcFailure> {
        json_rpc::call(&self.client, &self.upstream, method, params).await
    }

    /// What an unspoiled proxy answers.
    async fn answer(&self, method: &str, params: Value) -> Result<Value, RpcFailure> {
        let lag_blocks = self.state().lag_blocks;
        if lag_blocks > 0 {
            return stale::answer(self, method, params, lag_blocks).await;
        }
        let judged = self.state().replacement.is_some();
        if judged && method == "eth_sendRawTransaction" {
            return replacement::send(self, params).await;
        }
        self.upstream(method, params).await
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// One request, one connection. An error ends the connection: that is all there is to tell.
async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let mut request: Value = serde_json::from_slice(&read_body(&mut stream).await?)?;
    let method = request["method"].as_str().expect("the proxy takes no batches").to_owned();
    let params = request["params"].take();
    let fault = shared.note(&method, &params);
    match fault {
        Some(Fault::Unreachable) => return Ok(()),
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Status(status)) => return write(&mut stream, status, b"").await,
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        _ => {}
    }
    let mut answer = json!({ "jsonrpc": "2.0", "id": request["id"] });
    match shared.answer(&method, params).await {
        Ok(result) => answer["result"] = result,
        Err(RpcFailure::Node { code, message }) => {
            answer["error"] = json!({ "code": code, "message": message });
        }
        Err(RpcFailure::Transport(reason)) => return Err(io::Error::other(reason)),
    }
    match fault {
        Some(Fault::LostReply) => return Ok(()),
        Some(Fault::NoLogs) => leave_logs_out(&mut answer["result"]),
        _ => {}
    }
    let mut body = answer.to_string().into_bytes();
    if fault == Some(Fault::TruncatedJson) {
        body.truncate(body.len() / 2);
    }
    write(&mut stream, 200, &body).await
}

fn leave_logs_out(result: &mut Value) {
    if let Value::Array(logs) = result {
        logs.clear();
    } else if let Some(Value::Array(logs)) = result.get_mut("logs") {
        logs.clear();
    }
}

async fn read_body(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut received = Vec::new();
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let length = content_length(&received[..end])
                .filter(|length| *length <= REQUEST_BYTES_MAX)
                .ok_or(io::ErrorKind::InvalidData)?;
            let mut body = received.split_off(end + 4);
            let arrived = body.len().min(length);
            body.resize(length, 0);
            stream.read_exact(&mut body[arrived..]).await?;
            return Ok(body);
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    value.trim().parse().ok()
}

async fn write(stream: &mut TcpStream, status: u16, body: &[u8]) -> io::Result<()> {
    let retry = if status == 200 { "" } else { "Retry-After: 1\r\n" };
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         {retry}Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    stream.shutdown().await
}
