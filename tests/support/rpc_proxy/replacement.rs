//! geth's rule for replacing a waiting transaction (`core/txpool/legacypool/list.go`): both fees
//! must be at least a tenth higher. anvil takes any higher fee cap, even with a lower tip, so that
//! a sender that bumps too little would only fail on a real chain.

use super::Shared;
use crate::json_rpc::RpcFailure;
use alloy::consensus::{SignableTransaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, Bytes};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Percent by which geth wants both fees to grow.
const BUMP_PERCENT: u128 = 10;

/// The newest transaction taken for each account and nonce.
#[derive(Default)]
pub(super) struct Pool(HashMap<(Address, u64), Waiting>);

#[derive(Clone, Copy)]
struct Waiting {
    hash: B256,
    tip: u128,
    max_fee: u128,
}

impl Waiting {
    fn yields_to(&self, new: &Self) -> bool {
        let raised = |old: u128, new: u128| new > old && new >= old * (100 + BUMP_PERCENT) / 100;
        raised(self.tip, new.tip) && raised(self.max_fee, new.max_fee)
    }
}

pub(super) async fn send(shared: &Shared, params: Value) -> Result<Value, RpcFailure> {
    let Some((place, new)) = read(&params) else {
        // Not ours to judge: the node says what is wrong with it.
        return shared.upstream("eth_sendRawTransaction", params).await;
    };
    let known = shared.state().replacement.as_ref().and_then(|pool| pool.0.get(&place).copied());
    if let Some(old) = known
        && old.hash != new.hash
        && !old.yields_to(&new)
        && is_waiting(shared, old.hash).await?
    {
        let message = "replacement transaction underpriced".to_owned();
        return Err(RpcFailure::Node { code: -32000, message });
    }
    let taken = shared.upstream("eth_sendRawTransaction", params).await?;
    if let Some(pool) = &mut shared.state().replacement {
        pool.0.insert(place, new);
    }
    Ok(taken)
}

fn read(params: &Value) -> Option<((Address, u64), Waiting)> {
    let raw: Bytes = serde_json::from_value(params.get(0)?.clone()).ok()?;
    let TxEnvelope::Eip1559(signed) = TxEnvelope::decode_2718_exact(&raw).ok()? else {
        return None;
    };
    let digest = signed.tx().signature_hash();
    let sender = signed.signature().recover_address_from_prehash(&digest).ok()?;
    let tx = signed.tx();
    let (tip, max_fee) = (tx.max_priority_fee_per_gas, tx.max_fee_per_gas);
    Some(((sender, tx.nonce), Waiting { hash: *signed.hash(), tip, max_fee }))
}

async fn is_waiting(shared: &Shared, hash: B256) -> Result<bool, RpcFailure> {
    let found = shared.upstream("eth_getTransactionByHash", json!([hash])).await?;
    Ok(!found.is_null() && found["blockNumber"].is_null())
}
