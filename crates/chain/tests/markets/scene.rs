//! The contracts on a node, and a log whose entries can be anchored.

use crate::support::{Anvil, CHAIN_ID, REGISTRY, TestKey};
use alloy::primitives::{Address, B256, Bytes, U256};
use medtrail_chain::{Chain, Contract, Rpc, calldata, deploy};
use medtrail_ledger::edge::RightEdge;
use medtrail_ledger::plan::{Anchor, Call};
use medtrail_ledger::ports::{Courier, Registry};
use medtrail_ledger::schema::log_id;
use medtrail_ledger::tile::{TileId, TileReader};
use serde_json::{Value, json};
use std::collections::HashMap;

const ORIGIN: &str = "test.example/log";

/// The contracts on a node, and a log that is open.
pub(crate) struct Scene {
    anvil: Anvil,
    pub(crate) chain: Chain,
    pub(crate) operator: Address,
    pub(crate) log: B256,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let (anvil, key) = (Anvil::start(), TestKey::shared());
        let rpc = Rpc::new(&[&anvil.url]).unwrap();
        for contract in Contract::ALL {
            let deployed = deploy(&rpc, key.clone(), contract).await.unwrap();
            assert_eq!(deployed.address, contract.address());
        }
        let (chain, operator) = (anvil.chain(), key.account());
        let opening = Call::Open {
            origin: ORIGIN.to_owned(),
            cold_key: Address::repeat_byte(0xc0),
            note_key: B256::repeat_byte(0xed),
            anchor_within_s: 3600,
        };
        let log = log_id(CHAIN_ID, REGISTRY.address(), operator, ORIGIN);
        let scene = Self { anvil, chain, operator, log };
        scene.send(operator, REGISTRY.address(), calldata(&opening), 0).await.unwrap();
        scene
    }

    pub(crate) async fn rpc(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let client = reqwest::Client::new();
        let answer = client.post(&self.anvil.url).json(&body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// From an account whose key the node holds; what the contract reverts with if it refuses.
    pub(crate) async fn send(
        &self,
        from: Address,
        to: Address,
        data: Bytes,
        value: u64,
    ) -> Result<(), Bytes> {
        let value = U256::from(value);
        let mut transaction = json!({ "from": from, "to": to, "data": data, "value": value });
        let estimate = self.rpc("eth_estimateGas", json!([transaction])).await;
        if let Some(error) = estimate.get("error") {
            let data = error["data"].as_str().unwrap_or_default();
            return Err(data.parse().unwrap_or_default());
        }
        let gas: U256 = serde_json::from_value(estimate["result"].clone()).unwrap();
        transaction["gas"] = json!(gas * U256::from(5) / U256::from(4));
        let answer = self.rpc("eth_sendTransaction", json!([transaction])).await;
        for _ in 0..500 {
            let receipt = self.rpc("eth_getTransactionReceipt", json!([answer["result"]])).await;
            if let Some(status) = receipt["result"]["status"].as_str() {
                assert_eq!(status, "0x1");
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("nobody mined it");
    }

    /// One block a slot: what came before is final afterwards.
    pub(crate) async fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    pub(crate) async fn now_s(&self) -> u64 {
        self.chain.tips().await.unwrap().head.time_s
    }

    pub(crate) async fn balance(&self, of: Address) -> U256 {
        let answer = self.rpc("eth_getBalance", json!([of, "latest"])).await;
        serde_json::from_value(answer["result"].clone()).unwrap()
    }

    /// Anchors a log of these entries alone, its first anchor.
    pub(crate) async fn anchor(&self, entries: &[B256]) -> Tree {
        let mut edge = RightEdge::empty();
        entries.iter().for_each(|entry| edge.append(&entry.0));
        let (size, root) = (edge.size(), B256::from(edge.root()));
        let old = Anchor { number: 0, size: 0, root: B256::ZERO, time_s: 0 };
        let anchoring = Call::Anchor { log: self.log, old, size, root, proof: Vec::new() };
        self.send(self.operator, REGISTRY.address(), calldata(&anchoring), 0).await.unwrap();
        let anchor = Anchor { number: 1, size, root, time_s: self.now_s().await };
        Tree { anchor, tiles: edge.changed_tiles().into_iter().collect() }
    }
}

/// An anchored log.
pub(crate) struct Tree {
    pub(crate) anchor: Anchor,
    tiles: HashMap<TileId, Vec<u8>>,
}

impl Tree {
    /// From an entry to the root.
    pub(crate) fn path(&self, index: u64) -> Vec<B256> {
        let mut reader =
            TileReader::new(|id| Ok::<_, std::io::Error>(self.tiles.get(&id).cloned()));
        let path = reader.inclusion_path(index, self.anchor.size).unwrap();
        path.into_iter().map(B256::from).collect()
    }
}
