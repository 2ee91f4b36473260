//! A chain of one's own for each test: anvil, from its npm package.

use crate::json_rpc::{self, RpcFailure, quantity, to_quantity};
use alloy::primitives::{Address, B256, Bytes, U256, address, hex};
use reqwest::Client;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Private keys of anvil's first accounts, the same for its fixed mnemonic everywhere; each starts
/// with 10,000 ETH.
pub const SECRETS: [[u8; 32]; 3] = [
    hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    hex!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    hex!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
];
/// Their addresses.
pub const ACCOUNTS: [Address; 3] = [
    address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
];

/// How long anvil may take to listen on a machine that builds at the same time.
const START: Duration = Duration::from_secs(60);
/// How long it may take to write its state.
const STOP: Duration = Duration::from_secs(20);

/// Gas limit of a block.
const BLOCK_GAS: u64 = 30_000_000;

/// When blocks come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mining {
    /// Only by [`Anvil::mine`]. What tests want: nothing happens by itself.
    #[default]
    Explicit,
    /// At once, one block a transaction.
    Automatic,
    /// Every so many seconds.
    EverySeconds(u64),
}

/// How a chain behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// When blocks come.
    pub mining: Mining,
    /// Twice as many blocks above a block make it final.
    pub slots_in_an_epoch: u64,
    /// The first block's time, seconds since 1970; none: now. For waits that a contract demands:
    /// the chain's clock is set forward, and must not run ahead of everybody else's.
    pub genesis_s: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { mining: Mining::Explicit, slots_in_an_epoch: 1, genesis_s: None }
    }
}

/// A running anvil, killed when dropped.
///
/// The chain id is its own: no other chain answers to it, and a transaction for one test is no
/// transaction in another.
pub struct Anvil {
    child: Option<Child>,
    port: u16,
    chain_id: u64,
    options: Options,
    folder: TempDir,
    client: Client,
}

impl Anvil {
    /// Starts one that mines only when told, with `latest - 2` final.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts one on a free port.
    pub async fn start_with(options: Options) -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        // Processes and their anvils get ids of their own.
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let chain_id = 1_000_000_000 + u64::from(std::process::id()) * 1_000 + number;
        let folder = tempfile::tempdir().expect("a temporary folder for anvil's state");
        let client = json_rpc::client();
        let mut anvil = Self { child: None, port: 0, chain_id, options, folder, client };
        anvil.launch().await;
        anvil
    }

    /// Its JSON-RPC URL, the same after a restart.
    pub fn url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Its chain id.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Ends it as an operator would, with its state written; [`Self::start_again`] brings it back.
    pub async fn stop(&mut self) {
        let mut child = self.child.take().expect("anvil runs");
        terminate(&child);
        let end = Instant::now() + STOP;
        while child.try_wait().expect("a child can be asked").is_none() {
            if Instant::now() > end {
                let _ = child.kill();
                let _ = child.wait();
                panic!("anvil did not end in {STOP:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it again on its port, with the chain as it was. What waited in its pool is gone.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "stop it first");
        self.launch().await;
    }

    /// Any JSON-RPC call.
    ///
    /// # Errors
    /// The node's error, or none heard.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFailure> {
        json_rpc::call(&self.client, &self.url(), method, params).await
    }

    async fn must(&self, method: &str, params: Value) -> Value {
        match self.call(method, params).await {
            Ok(result) => result,
            Err(failure) => panic!("{method}: {failure:?}"),
        }
    }

    /// Height of the newest block.
    pub async fn block_number(&self) -> u64 {
        quantity(&self.must("eth_blockNumber", json!([])).await).expect("a height")
    }

    /// Height of the newest final block.
    pub async fn finalized_number(&self) -> u64 {
        let block = self.must("eth_getBlockByNumber", json!(["finalized", false])).await;
        quantity(&block["number"]).expect("a final block")
    }

    /// Hash of the block of this height.
    pub async fn block_hash(&self, number: u64) -> B256 {
        let block = self.must("eth_getBlockByNumber", json!([to_quantity(number), false])).await;
        serde_json::from_value(block["hash"].clone()).expect("a block of that height")
    }

    /// The base fee of the newest block, wei per gas.
    pub async fn base_fee(&self) -> u64 {
        let block = self.must("eth_getBlockByNumber", json!(["latest", false])).await;
        quantity(&block["baseFeePerGas"]).expect("a base fee")
    }

    /// Mines so many blocks, one second apart; what waits in the pool goes into the first.
    pub async fn mine(&self, blocks: u64) {
        self.must("anvil_mine", json!([to_quantity(blocks), "0x1"])).await;
    }

    /// Replaces the newest `depth` blocks by as many others. `raws` go into the first of them; all
    /// other transactions of the replaced blocks are gone, and do not return to the pool. If the
    /// block below is a [full](Self::mine_full) one, so are the new ones.
    pub async fn reorg(&self, depth: u64, raws: &[Bytes]) {
        let transactions: Vec<Value> = raws.iter().map(|raw| json!([raw, 0])).collect();
        self.must("anvil_reorg", json!([depth, transactions])).await;
        self.set_block_gas_limit(BLOCK_GAS).await;
    }

    /// Takes a transaction out of the pool.
    pub async fn drop_transaction(&self, hash: B256) {
        let dropped = self.must("anvil_dropTransaction", json!([hash])).await;
        assert_eq!(dropped, json!(hash), "the transaction was not in the pool");
    }

    /// Sets the base fee of the next block. A waiting transaction that cannot pay it is dropped
    /// at that block: anvil, unlike geth, does not keep it.
    pub async fn set_next_base_fee(&self, wei: u64) {
        self.must("anvil_setNextBlockBaseFeePerGas", json!([to_quantity(wei)])).await;
    }

    /// Mines blocks too full for any transaction that waits. The limit is raised again at once:
    /// anvil takes no transaction into its pool that would not fit into a block. It is not lower,
    /// for anvil, unlike geth, runs calls at such a block under the block's limit, too.
    pub async fn mine_full(&self, blocks: u64) {
        self.set_block_gas_limit(45_000).await;
        self.mine(blocks).await;
        self.set_block_gas_limit(BLOCK_GAS).await;
    }

    async fn set_block_gas_limit(&self, gas: u64) {
        self.must("evm_setBlockGasLimit", json!([to_quantity(gas)])).await;
    }

    /// Sets its clock so many seconds forward.
    pub async fn advance_time(&self, seconds: u64) {
        self.must("evm_increaseTime", json!([to_quantity(seconds)])).await;
    }

    /// Blocks come every so many seconds from now on; with zero only by [`Anvil::mine`].
    pub async fn set_interval_s(&self, seconds: u64) {
        self.must("evm_setIntervalMining", json!([seconds])).await;
    }

    /// How many transactions to this account wait for a block.
    pub async fn pooled_to(&self, account: Address) -> usize {
        let pool = self.must("txpool_content", json!([])).await;
        let to = json!(account).as_str().expect("an address").to_lowercase();
        let of_all = pool["pending"].as_object().into_iter().flat_map(|all| all.values());
        let waiting = of_all.filter_map(Value::as_object).flat_map(|all| all.values());
        waiting.filter(|one| one["to"].as_str().is_some_and(|of| of.to_lowercase() == to)).count()
    }

    /// What an account's transactions cost it beside what they moved, and the gas that each used.
    pub async fn fees(&self, of: Address) -> (U256, Vec<u64>) {
        let from = json!(of).as_str().expect("an address").to_lowercase();
        let (mut fees, mut gas) = (U256::ZERO, Vec::new());
        for number in 0..=self.block_number().await {
            let receipts = self.must("eth_getBlockReceipts", json!([to_quantity(number)])).await;
            for receipt in receipts.as_array().into_iter().flatten() {
                if receipt["from"] == from {
                    let of = |name: &str| -> U256 {
                        serde_json::from_value(receipt[name].clone()).expect("a number")
                    };
                    fees += of("gasUsed") * of("effectiveGasPrice");
                    gas.push(of("gasUsed").to());
                }
            }
        }
        (fees, gas)
    }

    /// Puts code where an account is.
    pub async fn set_code(&self, account: Address, code: &Bytes) {
        self.must("anvil_setCode", json!([account, code])).await;
    }

    /// Whether each transaction gets a block at once.
    pub async fn set_automine(&self, on: bool) {
        self.must("evm_setAutomine", json!([on])).await;
    }

    /// From now on a block comes every so many seconds; zero: only by [`Anvil::mine`].
    pub async fn set_block_time(&self, seconds: u64) {
        self.must("evm_setIntervalMining", json!([seconds])).await;
    }

    /// An account's balance, wei.
    pub async fn set_balance(&self, account: Address, wei: u64) {
        self.must("anvil_setBalance", json!([account, to_quantity(wei)])).await;
    }

    /// A transaction of an account whose key the node holds, that must succeed; its receipt.
    pub async fn send(&self, from: Address, to: Option<Address>, data: Bytes, wei: u64) -> Value {
        let transaction = json!({
            "from": from, "to": to, "data": data, "value": to_quantity(wei),
            "gas": to_quantity(2_000_000),
        });
        let hash = self.must("eth_sendTransaction", json!([transaction])).await;
        for _ in 0..1_000 {
            let receipt = self.must("eth_getTransactionReceipt", json!([hash])).await;
            if let Some(status) = receipt["status"].as_str() {
                assert_eq!(status, "0x1", "{receipt}");
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody mined it");
    }

    /// What an account holds in the newest block, wei.
    pub async fn balance(&self, account: Address) -> U256 {
        let held = self.must("eth_getBalance", json!([account, "latest"])).await;
        serde_json::from_value(held).expect("a balance")
    }

    /// An account's nonce after the block of this height.
    pub async fn nonce_at(&self, account: Address, number: u64) -> u64 {
        let at = json!([account, to_quantity(number)]);
        quantity(&self.must("eth_getTransactionCount", at).await).expect("a nonce")
    }

    /// An account's nonce in the newest block.
    pub async fn nonce(&self, account: Address) -> u64 {
        self.nonce_at(account, self.block_number().await).await
    }

    /// Marks this moment, for [`Self::revert`].
    pub async fn snapshot(&self) -> Value {
        self.must("evm_snapshot", json!([])).await
    }

    /// Goes back to a marked moment, once.
    pub async fn revert(&self, snapshot: Value) {
        assert_eq!(self.must("evm_revert", json!([snapshot])).await, json!(true));
    }

    /// Sends a raw transaction.
    ///
    /// # Errors
    /// What the pool said.
    pub async fn send_raw(&self, raw: &Bytes) -> Result<B256, RpcFailure> {
        let hash = self.call("eth_sendRawTransaction", json!([raw])).await?;
        Ok(serde_json::from_value(hash).expect("a transaction hash"))
    }

    /// Height of the block that holds a transaction, if one does.
    pub async fn mined_in(&self, hash: B256) -> Option<u64> {
        quantity(&self.must("eth_getTransactionReceipt", json!([hash])).await["blockNumber"])
    }

    /// Whether each transaction of this account succeeded, in the order of the chain.
    pub async fn outcomes(&self, account: Address) -> Vec<bool> {
        let mut outcomes = Vec::new();
        for number in 0..=self.block_number().await {
            let receipts = self.must("eth_getBlockReceipts", json!([to_quantity(number)])).await;
            let receipts = receipts.as_array().into_iter().flatten();
            let ours = receipts.filter(|receipt| receipt["from"] == json!(account));
            outcomes.extend(ours.map(|receipt| quantity(&receipt["status"]) == Some(1)));
        }
        outcomes
    }

    /// Whether a transaction waits in the pool.
    pub async fn is_pooled(&self, hash: B256) -> bool {
        let found = self.must("eth_getTransactionByHash", json!([hash])).await;
        !found.is_null() && found["blockNumber"].is_null()
    }

    async fn launch(&mut self) {
        let mut command = Command::new(binary());
        command
            // Port 0 lets the system choose: between looking for a free port and taking it, another
            // process could have taken it.
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--chain-id", &self.chain_id.to_string()])
            .args(["--slots-in-an-epoch", &self.options.slots_in_an_epoch.to_string()])
            .arg("--state")
            .arg(self.folder.path().join("state.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(genesis_s) = self.options.genesis_s {
            command.args(["--timestamp", &genesis_s.to_string()]);
        }
        match self.options.mining {
            Mining::Explicit => command.arg("--no-mining"),
            Mining::Automatic => &mut command,
            Mining::EverySeconds(seconds) => command.args(["--block-time", &seconds.to_string()]),
        };
        let child = self.child.insert(command.spawn().expect("anvil starts"));
        self.port = listening_port(child);
        let answered = quantity(&self.must("eth_chainId", json!([])).await);
        assert_eq!(answered, Some(self.chain_id), "another chain answers on anvil's port");
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for the line that names the port, and goes on reading: a full pipe would stop the child.
fn listening_port(child: &mut Child) -> u16 {
    let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let end = Instant::now() + START;
    let mut said = String::new();
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let port = line.strip_prefix("Listening on ").and_then(|at| at.rsplit(':').next());
                if let Some(port) = port {
                    return port.parse().expect("a port");
                }
                said.push_str(&line);
                said.push('\n');
            }
            Err(RecvTimeoutError::Timeout) => panic!("anvil does not listen:\n{said}"),
            Err(RecvTimeoutError::Disconnected) => panic!("anvil ended:\n{said}"),
        }
    }
}

/// SIGTERM, by process id. std can only kill, and a killed anvil writes no state.
fn terminate(child: &Child) {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -TERM {}", child.id());
}

/// The platform's own binary: the npm wrapper, when killed, leaves the real node behind.
fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("MEDTRAIL_ANVIL") {
        return named.into();
    }
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        (os, "x86_64") => format!("{}-amd64", npm_os(os)),
        (os, "aarch64") => format!("{}-arm64", npm_os(os)),
        (os, architecture) => panic!("no anvil for {os} on {architecture}"),
    };
    let place = format!("node_modules/@foundry-rs/anvil-{platform}/bin/anvil");
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join(&place))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no {place} here or above: run `cargo xtask tools`"))
}

fn npm_os(os: &str) -> &str {
    match os {
        "macos" => "darwin",
        other => other,
    }
}
