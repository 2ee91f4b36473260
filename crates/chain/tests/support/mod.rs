//! A node of our own, and a key that sends.

use alloy::consensus::{SignableTransaction, TxEip1559};
use alloy::eips::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, TxKind, U256};
use alloy::signers::local::PrivateKeySigner;
use medtrail_chain::{Chain, Contract, Finality, Rpc};
use medtrail_ledger::plan::Attempt;
use medtrail_ledger::ports::{Courier, CourierError, TxFields};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

pub(crate) const CHAIN_ID: u64 = 778_001;
pub(crate) const REGISTRY: Contract = Contract::AnchorRegistry;

/// A node of our own, ended with the test.
pub(crate) struct Anvil {
    process: Child,
    pub(crate) url: String,
}

impl Anvil {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(anvil())
            .args(["--port", "0", "--chain-id", &CHAIN_ID.to_string(), "--slots-in-an-epoch", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("anvil starts");
        let out = process.stdout.take().expect("piped");
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil says where it listens");
        // Read on, or the node stops at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url: format!("http://{address}") }
    }

    pub(crate) fn chain(&self) -> Chain {
        let rpc = Rpc::new(&[&self.url]).unwrap();
        Chain::new(rpc, CHAIN_ID, REGISTRY.address(), Finality::Tag)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing more to do then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The platform's binary itself: npm's launcher would leave the node orphaned when it is killed.
fn anvil() -> PathBuf {
    if let Some(path) = std::env::var_os("MEDTRAIL_ANVIL") {
        return path.into();
    }
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let inside = format!("node_modules/@foundry-rs/anvil-{os}-{arch}/bin/anvil");
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join(&inside))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no {inside}: run `cargo xtask tools`, or set MEDTRAIL_ANVIL"))
}

/// The first account of anvil's public test mnemonic.
pub(crate) struct TestKey(PrivateKeySigner);

impl TestKey {
    pub(crate) fn shared() -> Arc<Self> {
        let key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        Arc::new(Self(key.parse().unwrap()))
    }
}

impl Courier for TestKey {
    fn account(&self) -> Address {
        self.0.address()
    }

    fn build(&self, fields: &TxFields) -> Result<Attempt, CourierError> {
        let mut tx = TxEip1559 {
            chain_id: fields.chain_id,
            nonce: fields.nonce,
            gas_limit: fields.gas,
            max_fee_per_gas: fields.max_fee,
            max_priority_fee_per_gas: fields.tip,
            to: TxKind::Call(fields.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: fields.data.clone(),
        };
        let signature = self.0.sign_transaction_sync(&mut tx).unwrap();
        let signed = tx.into_signed(signature);
        Ok(Attempt {
            hash: *signed.hash(),
            raw: signed.encoded_2718().into(),
            tip: fields.tip,
            max_fee: fields.max_fee,
            built_at_block: fields.at_block,
        })
    }
}
