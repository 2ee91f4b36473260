//! Transactions of an account's own, by somebody who sits there and waits: a buyer who pays, a
//! seller who declines. The operator's are planned by its sender, and are none of these.
//!
//! Invariants:
//! - No key is here: [`prepare`] says what is to be signed, [`send`] takes the signed bytes.
//! - Nothing is prepared while another transaction of the account waits: it may be the same one, sent
//!   by a run that was cut off.
//! - What the contract would refuse is told before anything is signed, in the contract's words.

use crate::Rpc;
use crate::bindings::{Erc20, reason};
use crate::rpc::RpcError;
use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::SolCall;
use medtrail_ledger::plan::Attempt;
use medtrail_ledger::ports::{SendError, TxFields};
use serde_json::{Value, json};
use std::time::Duration;

/// How often and how many times a receipt is asked for: three minutes.
const RECEIPT_POLL: Duration = Duration::from_millis(500);
const RECEIPT_POLLS_MAX: u32 = 360;

/// A call that an account is to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Who pays and signs.
    pub from: Address,
    /// Whom it calls.
    pub to: Address,
    /// With what.
    pub data: Bytes,
    /// Coin that goes along, in wei.
    pub value: U256,
}

/// What is to be signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// All but the coin.
    pub fields: TxFields,
    /// The coin that goes along, in wei.
    pub value: U256,
}

impl Prepared {
    /// What it costs beside the coin that goes along, in wei: at most, since less gas is used and
    /// the base fee is seldom twice what it was.
    pub fn fee_max(&self) -> U256 {
        U256::from(self.fields.gas).saturating_mul(U256::from(self.fields.max_fee))
    }
}

/// Where a transaction stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mined {
    /// Its hash.
    pub tx: B256,
    /// The block.
    pub block: u64,
}

/// Why there is no such transaction on the chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnError {
    /// The chain could not be asked.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The contract refuses; nothing was signed.
    #[error("the contract refuses: {0}")]
    Refused(String),
    /// Another transaction of this account is not mined yet; nothing was signed.
    #[error(
        "a transaction of {account} waits to be mined (nonce {nonce}): wait until it is, then try \
         again"
    )]
    Waiting {
        /// The account.
        account: Address,
        /// Of the one that waits.
        nonce: u64,
    },
    /// The account cannot pay; nothing was signed.
    #[error("{account} holds {holds} wei and needs {needs}: send coin to it, then try again")]
    Poor {
        /// The account.
        account: Address,
        /// What it has.
        holds: U256,
        /// Coin and gas.
        needs: U256,
    },
    /// Gas costs more than was allowed; nothing was signed.
    #[error("the base fee is {base_fee} wei per gas, more than the {cap} that you allow")]
    Fees {
        /// Of the next block.
        base_fee: u128,
        /// What was allowed.
        cap: u128,
    },
    /// No node took it. It may be known all the same.
    #[error("transaction {tx}: {error}")]
    Send {
        /// Its hash.
        tx: B256,
        /// What the node said.
        error: SendError,
    },
    /// It was mined and failed: the gas is paid, nothing else moved.
    #[error("transaction {0} was mined and failed: its gas is paid, nothing else moved")]
    Failed(B256),
    /// Not mined in three minutes. It may still be.
    #[error("transaction {0} is not mined yet. It may still be: run the same command again")]
    NotMined(B256),
}

/// Whether it is an account's turn to make another transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// With this nonce.
    Free(u64),
    /// A transaction of it with this nonce waits to be mined.
    Taken(u64),
}

impl Turn {
    /// A transaction waits.
    pub fn is_taken(self) -> bool {
        matches!(self, Self::Taken(_))
    }
}

/// Whether something of an account waits to be mined, as far as this endpoint knows.
pub async fn turn(rpc: &Rpc, account: Address) -> Result<Turn, RpcError> {
    let mined = rpc.nonce(account, &json!("latest")).await?;
    let known = rpc.nonce(account, &json!("pending")).await?;
    Ok(if known > mined { Turn::Taken(mined) } else { Turn::Free(mined) })
}

/// Tries the call on the newest block, and says what is to be signed: a quarter more gas than it
/// took, twice the base fee, both within `fee_cap` wei per gas.
pub async fn prepare(rpc: &Rpc, wish: &Wish, fee_cap: u128) -> Result<Prepared, OwnError> {
    let account = wish.from;
    let nonce = match turn(rpc, account).await? {
        Turn::Free(nonce) => nonce,
        Turn::Taken(nonce) => return Err(OwnError::Waiting { account, nonce }),
    };
    let holds = U256::from(rpc.balance_of(account).await?);
    if holds < wish.value {
        return Err(OwnError::Poor { account, holds, needs: wish.value });
    }
    let head = rpc.block_at("latest").await?.map_or(0, |header| header.block.number);
    let (base_fee, tip) = rpc.fees(head).await?;
    if base_fee > fee_cap {
        return Err(OwnError::Fees { base_fee, cap: fee_cap });
    }
    let max_fee = base_fee.saturating_mul(2).saturating_add(tip).min(fee_cap);
    let request = json!([{
        "from": account, "to": wish.to, "data": wish.data, "value": wish.value,
    }]);
    let gas: U64 = rpc.need("eth_estimateGas", request).await.map_err(|error| match error {
        RpcError::Node { ref data, .. } if !data.is_empty() => OwnError::Refused(reason(data)),
        error if error.is_revert() => OwnError::Refused(error.to_string()),
        error => error.into(),
    })?;
    let fields = TxFields {
        chain_id: rpc.chain_id().await?,
        to: wish.to,
        nonce,
        gas: gas.to::<u64>().saturating_mul(5) / 4,
        tip: tip.min(max_fee),
        max_fee,
        data: wish.data.clone(),
        at_block: head,
    };
    let prepared = Prepared { fields, value: wish.value };
    let needs = wish.value.saturating_add(prepared.fee_max());
    if holds < needs {
        return Err(OwnError::Poor { account, holds, needs });
    }
    Ok(prepared)
}

/// Sends a signed transaction, and waits until it stands in a block. Safe to repeat with the same
/// bytes.
pub async fn send(rpc: &Rpc, signed: &Attempt) -> Result<Mined, OwnError> {
    let tx = signed.hash;
    match rpc.broadcast(&signed.raw).await {
        // Nobody knows whether a node that was not heard has it: the receipt tells.
        Ok(()) | Err(SendError::Unknown(_)) => {}
        Err(error) if error.is_fine() => {}
        Err(error) => return Err(OwnError::Send { tx, error }),
    }
    for _ in 0..RECEIPT_POLLS_MAX {
        match rpc.receipt(tx).await {
            Ok(Some(receipt)) if receipt.status.to::<u64>() == 1 => {
                return Ok(Mined { tx, block: receipt.block_number.to() });
            }
            Ok(Some(_)) => return Err(OwnError::Failed(tx)),
            Err(error) if !error.is_unreachable() => return Err(error.into()),
            // It is on its way: a node that does not answer once is asked again.
            Ok(None) | Err(_) => tokio::time::sleep(RECEIPT_POLL).await,
        }
    }
    Err(OwnError::NotMined(tx))
}

/// The call by which `spender` may take just so much of a token.
pub fn allow(spender: Address, amount: U256) -> Bytes {
    Erc20::approveCall { spender, amount }.abi_encode().into()
}

/// How much of `owner`'s token `spender` may take, and how much there is.
pub async fn token_of(
    rpc: &Rpc,
    token: Address,
    owner: Address,
    spender: Address,
) -> Result<(U256, U256), RpcError> {
    let allowed = Erc20::allowanceCall { owner, spender };
    let held = Erc20::balanceOfCall { owner };
    Ok((ask(rpc, token, allowed).await?, ask(rpc, token, held).await?))
}

async fn ask<C: SolCall<Return = U256>>(rpc: &Rpc, to: Address, call: C) -> Result<U256, RpcError> {
    let data = Bytes::from(call.abi_encode());
    let params: Value = json!([{ "to": to, "data": data }, "latest"]);
    let answer: Bytes = rpc.need("eth_call", params).await?;
    C::abi_decode_returns_validate(&answer).map_err(|error| RpcError::Answer {
        method: "eth_call",
        detail: format!("{to} answers {} like no ERC-20 token: {error}", C::SIGNATURE),
    })
}
