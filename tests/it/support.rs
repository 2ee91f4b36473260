//! The supports themselves: a fault that never happens would make every test above it pass.

use alloy::primitives::{Address, Bytes};
use journeys::RpcFailure;
use journeys::anvil::{ACCOUNTS, Anvil, Mining, Options, SECRETS};
use journeys::medtrail::Running;
use journeys::rpc_proxy::{Fault, RpcProxy};
use medtrail_keys::operator::OperatorKey;
use medtrail_ledger::plan::Attempt;
use medtrail_ledger::ports::{Courier, TxFields};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

const GWEI: u128 = 1_000_000_000;

/// A signed transaction of the first account that does nothing, with these fees in gwei.
fn transaction(anvil: &Anvil, nonce: u64, tip: u128, max_fee: u128) -> Attempt {
    let fields = TxFields {
        chain_id: anvil.chain_id(),
        to: Address::repeat_byte(0x22),
        nonce,
        gas: 50_000,
        tip: tip * GWEI,
        max_fee: max_fee * GWEI,
        data: Bytes::new(),
        at_block: 0,
    };
    OperatorKey::from_bytes(&SECRETS[0]).unwrap().build(&fields).unwrap()
}

/// One JSON-RPC call to any URL: its answer, or why none could be read.
async fn ask(url: &str, method: &str, params: Value) -> Result<Value, reqwest::Error> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().unwrap();
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let response = client.post(url).json(&request).send().await?;
    response.error_for_status()?.json().await
}

#[tokio::test]
async fn nothing_is_mined_until_the_test_says_so() {
    let anvil = Anvil::start().await;
    let sent = transaction(&anvil, 0, 1, 100);
    assert_eq!(anvil.send_raw(&sent.raw).await, Ok(sent.hash));
    assert!(anvil.is_pooled(sent.hash).await);
    assert_eq!(anvil.block_number().await, 0);

    anvil.mine(3).await;
    assert_eq!(anvil.mined_in(sent.hash).await, Some(1));
    assert_eq!((anvil.block_number().await, anvil.finalized_number().await), (3, 1));
    assert_eq!(anvil.nonce(ACCOUNTS[0]).await, 1);
    assert_eq!(anvil.outcomes(ACCOUNTS[0]).await, [true]);
    assert!(anvil.outcomes(ACCOUNTS[1]).await.is_empty());
}

#[tokio::test]
async fn automatic_mining_can_be_switched() {
    let anvil =
        Anvil::start_with(Options { mining: Mining::Automatic, ..Options::default() }).await;
    let sent = transaction(&anvil, 0, 1, 100);
    anvil.send_raw(&sent.raw).await.unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while anvil.mined_in(sent.hash).await.is_none() {
        assert!(Instant::now() < end, "not mined by itself");
    }
    anvil.set_automine(false).await;
    anvil.send_raw(&transaction(&anvil, 1, 1, 100).raw).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(anvil.block_number().await, 1);
}

#[tokio::test]
async fn two_chains_are_two_chains() {
    let (one, two) = (Anvil::start().await, Anvil::start().await);
    assert_ne!(one.chain_id(), two.chain_id());
    assert_ne!(one.url(), two.url());
    let refused = two.send_raw(&transaction(&one, 0, 1, 100).raw).await;
    assert!(matches!(refused, Err(RpcFailure::Node { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_dropped_chain_is_dead() {
    let anvil = Anvil::start().await;
    let url = anvil.url();
    ask(&url, "eth_chainId", json!([])).await.unwrap();
    drop(anvil);
    assert!(ask(&url, "eth_chainId", json!([])).await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_reorganisation_loses_what_it_is_not_given_and_mines_what_it_is() {
    let anvil = Anvil::start().await;
    let (old, new) = (transaction(&anvil, 0, 1, 100), transaction(&anvil, 0, 2, 200));
    anvil.send_raw(&new.raw).await.unwrap();
    anvil.mine(2).await;
    let before = anvil.block_hash(1).await;

    anvil.reorg(2, std::slice::from_ref(&old.raw)).await;
    assert_ne!(anvil.block_hash(1).await, before);
    assert_eq!(anvil.mined_in(new.hash).await, None);
    assert_eq!(anvil.mined_in(old.hash).await, Some(1));

    anvil.reorg(2, &[]).await;
    assert_eq!(anvil.mined_in(old.hash).await, None);
    assert!(!anvil.is_pooled(old.hash).await, "a lost transaction does not come back by itself");
    assert_eq!((anvil.nonce(ACCOUNTS[0]).await, anvil.block_number().await), (0, 2));
}

#[tokio::test]
async fn a_dropped_transaction_is_never_mined() {
    let anvil = Anvil::start().await;
    let sent = transaction(&anvil, 0, 1, 100);
    anvil.send_raw(&sent.raw).await.unwrap();
    anvil.drop_transaction(sent.hash).await;
    anvil.mine(1).await;
    assert_eq!(anvil.mined_in(sent.hash).await, None);
}

#[tokio::test]
async fn a_full_block_leaves_a_transaction_waiting() {
    let anvil = Anvil::start().await;
    let sent = transaction(&anvil, 0, 1, 100);
    anvil.send_raw(&sent.raw).await.unwrap();
    anvil.mine_full(2).await;
    assert!(anvil.is_pooled(sent.hash).await);
    anvil.mine(1).await;
    assert_eq!(anvil.mined_in(sent.hash).await, Some(3));
}

#[tokio::test]
async fn a_base_fee_can_spike_and_a_moment_come_back() {
    let anvil = Anvil::start().await;
    anvil.mine(1).await;
    let moment = anvil.snapshot().await;
    anvil.set_next_base_fee(500_000_000_000).await;
    anvil.set_balance(ACCOUNTS[0], 7).await;
    anvil.mine(1).await;
    assert_eq!(anvil.base_fee().await, 500_000_000_000);
    let poor = anvil.send_raw(&transaction(&anvil, 0, 1, 1_000).raw).await.unwrap_err();
    assert!(matches!(&poor, RpcFailure::Node { message, .. } if message.contains("funds")));
    anvil.revert(moment).await;
    assert_eq!(anvil.block_number().await, 1);
}

#[tokio::test]
async fn a_restarted_chain_is_the_same_chain_at_the_same_place() {
    let mut anvil = Anvil::start().await;
    let sent = transaction(&anvil, 0, 1, 100);
    anvil.send_raw(&sent.raw).await.unwrap();
    anvil.mine(2).await;
    let (url, block) = (anvil.url(), anvil.block_hash(2).await);

    anvil.stop().await;
    assert!(ask(&url, "eth_chainId", json!([])).await.unwrap_err().is_connect());
    anvil.start_again().await;
    assert_eq!(anvil.url(), url);
    assert_eq!(anvil.block_hash(2).await, block);
    assert_eq!(anvil.mined_in(sent.hash).await, Some(1));
}

#[tokio::test]
async fn an_unspoiled_proxy_is_the_node() {
    let anvil = Anvil::start().await;
    let proxy = RpcProxy::start(anvil.url()).await;
    let answer = ask(proxy.url(), "eth_chainId", json!([])).await.unwrap();
    assert_eq!(answer["result"], format!("{:#x}", anvil.chain_id()));
    let refused = ask(proxy.url(), "eth_noSuchMethod", json!([])).await.unwrap();
    assert!(refused["error"]["code"].is_i64() && refused["result"].is_null());
    assert_eq!(proxy.calls()[0].method, "eth_chainId");
    assert_eq!(proxy.count("eth_noSuchMethod"), 1);
}

#[tokio::test]
async fn a_call_that_did_not_happen_and_one_that_did_look_the_same() {
    let anvil = Anvil::start().await;
    let proxy = RpcProxy::start(anvil.url()).await;
    let sent = transaction(&anvil, 0, 1, 100);
    let send = || ask(proxy.url(), "eth_sendRawTransaction", json!([sent.raw]));

    proxy.spoil_next("eth_sendRawTransaction", Fault::Unreachable);
    let unheard = send().await.unwrap_err();
    assert!(!anvil.is_pooled(sent.hash).await);

    proxy.spoil_next("eth_sendRawTransaction", Fault::LostReply);
    let lost = send().await.unwrap_err();
    assert!(anvil.is_pooled(sent.hash).await);
    assert!(unheard.is_request() && lost.is_request(), "{unheard:?} {lost:?}");

    // Spoiled once: the next call goes through, and the node knows the transaction.
    assert!(send().await.unwrap()["error"]["message"].is_string());
}

#[tokio::test]
async fn each_fault_spoils_its_method_until_healed() {
    let anvil = Anvil::start().await;
    let proxy = RpcProxy::start(anvil.url()).await;
    let chain_id = || ask(proxy.url(), "eth_chainId", json!([]));

    proxy.spoil_all("eth_chainId", Fault::Status(429));
    assert_eq!(chain_id().await.unwrap_err().status().unwrap().as_u16(), 429);
    assert_eq!(chain_id().await.unwrap_err().status().unwrap().as_u16(), 429);
    ask(proxy.url(), "eth_blockNumber", json!([])).await.unwrap();
    proxy.heal();
    chain_id().await.unwrap();

    proxy.spoil_next("eth_chainId", Fault::TruncatedJson);
    assert!(chain_id().await.unwrap_err().is_decode());

    proxy.spoil_next("eth_chainId", Fault::Delay(Duration::from_millis(300)));
    let start = Instant::now();
    chain_id().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));

    proxy.spoil_everything(Fault::Hang);
    assert!(chain_id().await.unwrap_err().is_timeout());
    proxy.heal();
    chain_id().await.unwrap();
}

#[tokio::test]
async fn logs_can_be_left_out() {
    let anvil = Anvil::start().await;
    let proxy = RpcProxy::start(anvil.url()).await;
    // Init code that logs once (PUSH1 0, PUSH1 0, LOG0) and leaves an empty contract.
    let creation = json!([{ "from": ACCOUNTS[1], "data": "0x60006000a0" }]);
    anvil.call("eth_sendTransaction", creation).await.unwrap();
    anvil.mine(1).await;
    let logs = || ask(proxy.url(), "eth_getLogs", json!([{ "fromBlock": "0x0" }]));
    assert_eq!(logs().await.unwrap()["result"].as_array().unwrap().len(), 1);
    proxy.spoil_next("eth_getLogs", Fault::NoLogs);
    assert_eq!(logs().await.unwrap()["result"], json!([]));
}

#[tokio::test]
async fn a_lagging_node_knows_nothing_newer_by_any_name() {
    let anvil = Anvil::start().await;
    let proxy = RpcProxy::start(anvil.url()).await;
    anvil.mine(5).await;
    let sent = transaction(&anvil, 0, 1, 100);
    anvil.send_raw(&sent.raw).await.unwrap();
    anvil.mine(1).await;
    proxy.set_lag(2);

    let url = proxy.url();
    let ask = async |method, params| ask(url, method, params).await.unwrap();
    assert_eq!(ask("eth_blockNumber", json!([])).await["result"], "0x4");
    let latest = ask("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(latest["result"]["number"], "0x4");
    let finalized = ask("eth_getBlockByNumber", json!(["finalized", false])).await;
    assert_eq!(finalized["result"]["number"], "0x2");
    assert!(ask("eth_getBlockByNumber", json!(["0x5", false])).await["result"].is_null());
    assert!(ask("eth_getTransactionReceipt", json!([sent.hash])).await["result"].is_null());
    let count = json!([ACCOUNTS[0], "latest"]);
    assert_eq!(ask("eth_getTransactionCount", count).await["result"], "0x0");
    let newest = json!({ "blockHash": anvil.block_hash(6).await });
    let pinned = ask("eth_getTransactionCount", json!([ACCOUNTS[0], newest])).await;
    assert_eq!(pinned["error"]["message"], "header not found");

    proxy.heal();
    assert_eq!(ask("eth_blockNumber", json!([])).await["result"], "0x6");
}

#[tokio::test]
async fn a_replacement_pays_a_tenth_more_as_geth_wants_it() {
    let anvil = Anvil::start().await;
    let proxy = RpcProxy::start(anvil.url()).await;
    proxy.enforce_replacement_rule();
    let send = async |tip, max_fee| {
        let raw = transaction(&anvil, 0, tip, max_fee).raw;
        ask(proxy.url(), "eth_sendRawTransaction", json!([raw])).await.unwrap()
    };
    assert!(send(100, 1000).await["error"].is_null());
    for too_little in [(110, 1099), (109, 1100), (105, 1050), (100, 2000)] {
        let refused = send(too_little.0, too_little.1).await;
        assert_eq!(refused["error"]["message"], "replacement transaction underpriced");
    }
    assert!(send(110, 1100).await["error"].is_null());
    // The rule is about waiting transactions: once one is mined, the node decides.
    anvil.mine(1).await;
    assert!(send(110, 1101).await["error"]["message"].as_str().unwrap().contains("nonce"));

    // anvil itself takes what geth refuses: that is why the rule is here.
    anvil.send_raw(&transaction(&anvil, 1, 100, 1000).raw).await.unwrap();
    anvil.send_raw(&transaction(&anvil, 1, 50, 1001).raw).await.unwrap();
}

#[test]
fn a_process_is_heard_killed_and_asked_to_end() {
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Running::start_command(command)
    };
    let mut process = shell("echo out; echo err >&2; exec sleep 60");
    assert_eq!(process.wait_for("ou", Duration::from_secs(10)), "out");
    assert_eq!(process.wait_for("err", Duration::from_secs(10)), "err");
    process.kill_9();

    let mut process =
        shell("trap 'echo ending; exit 7' TERM; echo ready; while :; do sleep 0.05; done");
    process.wait_for("ready", Duration::from_secs(10));
    assert_eq!(process.terminate(Duration::from_secs(10)).code(), Some(7));
    process.wait_for("ending", Duration::from_secs(10));
}
