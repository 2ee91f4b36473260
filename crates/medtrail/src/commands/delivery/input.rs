//! What a delivery is checked by, read with limits. Errors name the file or flag and say what to do.

use super::Inputs;
use crate::commands::PassphraseArgs;
use crate::exit::Failure;
use alloy_primitives::B256;
use medtrail_chain::{Contract, Rpc};
use medtrail_keys::file;
use medtrail_ledger::proof::{PROOF_BYTES_MAX, Proof};
use medtrail_ledger::trust::TrustFile;
use medtrail_market::identity::{self, IDENTITY_BYTES_MAX};
use medtrail_market::seal::{BuyerKey, LockKey};
use medtrail_market::verify::Ordered;
use medtrail_permit::dataset::{DATASET_BYTES_MAX, Dataset};
use medtrail_permit::sale::{Market, Order};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of an order: its statement is the longest part.
pub(in crate::commands) const ORDER_BYTES_MAX: usize = 64 << 10;

/// A delivery and what it is checked by.
pub(in crate::commands) struct Given {
    pub(in crate::commands) path: PathBuf,
    pub(in crate::commands) proof: Proof,
    pub(in crate::commands) proof_bytes: Vec<u8>,
    /// The details of the entry; empty if the proof has none.
    pub(in crate::commands) details: Vec<u8>,
    pub(in crate::commands) order: Order,
    /// What was sold, if it was given.
    pub(in crate::commands) dataset: Option<Dataset>,
    pub(in crate::commands) market: Market,
    pub(in crate::commands) trust: Option<TrustFile>,
    pub(in crate::commands) key: Option<LockKey>,
    /// All keys of the identity file; none: none was named.
    pub(in crate::commands) buyers: Vec<BuyerKey>,
}

impl Given {
    pub(in crate::commands) async fn read(
        inputs: &Inputs,
        identity: Option<&Path>,
    ) -> Result<(Self, Option<Rpc>), Failure> {
        let proof_bytes = read(&inputs.proof, PROOF_BYTES_MAX)?;
        let proof = Proof::parse(&proof_bytes).map_err(named(&inputs.proof))?;
        let order = read_order(&inputs.order)?;
        let trust = inputs.trust.as_deref().map(crate::commands::verify::read_trust).transpose()?;
        let key = inputs.key.as_deref().map(LockKey::parse).transpose();
        let key = key.map_err(|error| Failure::new(format!("--key: {error}")))?;
        let buyers = match identity {
            Some(path) => read_identity(path, &inputs.passphrase)?,
            None => Vec::new(),
        };
        let rpc = inputs.rpc.as_ref().map(|url| Rpc::new(&[url])).transpose()?;
        let chain_id = chain_id(inputs, trust.as_ref(), rpc.as_ref()).await?;
        // Opened once already, so that a name that cannot be read is told before anything is asked.
        File::open(&inputs.file).map_err(named(&inputs.file))?;
        let data_market = inputs.market.unwrap_or_else(|| Contract::DataMarket.address());
        let details = proof.details.as_ref().and_then(|details| details.bytes());
        let given = Self {
            path: inputs.file.clone(),
            details: details.unwrap_or_default(),
            proof,
            proof_bytes,
            order,
            dataset: inputs.dataset.as_deref().map(read_dataset).transpose()?,
            market: Market { chain_id, data_market },
            trust,
            key,
            buyers,
        };
        Ok((given, rpc))
    }

    /// The order's id.
    pub(in crate::commands) fn id(&self) -> B256 {
        self.order.id(&self.market)
    }

    pub(in crate::commands) fn ordered(&self) -> Ordered {
        Ordered {
            log: self.order.offer.log,
            order: self.id(),
            seller: self.order.offer.seller,
            dataset: self.order.offer.terms.dataset,
        }
    }

    /// The key that the order names, among those of the identity file.
    pub(in crate::commands) fn buyer(&self) -> Option<&BuyerKey> {
        self.buyers.iter().find(|key| key.recipient() == self.order.recipient)
    }
}

/// The order's id depends on the chain, and the proof's word for it is what is to be checked.
async fn chain_id(
    inputs: &Inputs,
    trust: Option<&TrustFile>,
    rpc: Option<&Rpc>,
) -> Result<u64, Failure> {
    let mut said = Vec::new();
    if let (Some(rpc), Some(url)) = (rpc, &inputs.rpc) {
        let asked = rpc.chain_id().await;
        let asked =
            asked.map_err(|error| Failure::new(format!("{url}: {}", Failure::from(error))))?;
        said.push(("--rpc", asked));
    }
    said.extend(trust.map(|trust| ("--trust", trust.chain_id)));
    said.extend(inputs.chain_id.map(|id| ("--chain-id", id)));
    let Some((first, id)) = said.first().copied() else {
        return Err(Failure::new(
            "an order's id depends on the chain: give --rpc URL, --trust FILE or --chain-id NUMBER",
        ));
    };
    match said.iter().find(|(_, other)| *other != id) {
        None => Ok(id),
        Some((flag, other)) => Err(Failure::new(format!(
            "{first} is of chain {id}, {flag} of chain {other}: give those of one chain"
        ))),
    }
}

/// Reads no more than shows that it is too much.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
    read.map_err(named(path))?;
    if bytes.len() > limit {
        return Err(Failure::new(format!("{}: more than {limit} bytes", path.display())));
    }
    Ok(bytes)
}

pub(in crate::commands) fn read_order(path: &Path) -> Result<Order, Failure> {
    order_in(path, &read(path, ORDER_BYTES_MAX)?)
}

/// The order in the bytes of this file.
pub(in crate::commands) fn order_in(path: &Path, bytes: &[u8]) -> Result<Order, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let path = path.display();
        let error = crate::render::harmless(&error.to_string());
        Failure::new(format!("{path}: no order: {error}. Give the order's JSON as it was paid."))
    })
}

pub(super) fn read_dataset(path: &Path) -> Result<Dataset, Failure> {
    Dataset::parse(&read(path, DATASET_BYTES_MAX)?).map_err(named(path))
}

/// The keys of an identity file.
pub(in crate::commands) fn read_identity(
    path: &Path,
    passphrase: &PassphraseArgs,
) -> Result<Vec<BuyerKey>, Failure> {
    let bytes = file::read(path, IDENTITY_BYTES_MAX)?;
    let bytes = match identity::is_locked(&bytes) {
        false => bytes,
        true => identity::unlocked(&bytes, &passphrase.read()?).map_err(named(path))?,
    };
    identity::keys(&bytes).map_err(named(path))
}

fn named<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Failure + '_ {
    move |error| {
        let error = crate::render::harmless(&error.to_string());
        Failure::new(format!("{}: {error}", path.display()))
    }
}
