//! The registry at one block: for the sender, and for whoever verifies a proof.

use crate::Chain;
use crate::bindings::{self, headCall, includedCall, livingCall, logInfoCall};
use crate::rpc::RpcError;
use alloy::primitives::{Address, B256, Bytes, U64};
use alloy::sol_types::SolCall;
use medtrail_ledger::plan::{
    Anchor, AnchorRecord, BlockRef, Call, ChainView, Header, LogHead, Receipt, Watch,
};
use medtrail_ledger::ports::{PreflightError, Registry, RegistryError, Target, Tips};
use serde_json::{Value, json};

/// What counts as final.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finality {
    /// The node's `finalized` block.
    Tag,
    /// A fixed number of blocks, for chains without that tag.
    Depth(u64),
}

/// Which state is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// The newest block: may still be reorganised away.
    Latest,
    /// The newest finalized block.
    Finalized,
    /// The canonical block with this hash.
    Block(B256),
}

/// What the registry says about a log beside its anchors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogInfo {
    /// May replace the operator and close the log.
    pub cold_key: Address,
    /// Ed25519 public key of the log's notes.
    pub note_key: B256,
    /// The operator's promise, seconds from receipt to anchor; 0 promises nothing.
    pub anchor_within_s: u32,
    /// No anchor follows, for ever.
    pub is_closed: bool,
    /// The log that continues a closed one, or zero.
    pub successor: B256,
}

/// State at a finalized block, which never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtFinalized {
    account: Address,
    log: B256,
    block: B256,
    nonce: u64,
    head: LogHead,
}

/// EIP-1898; a block that was reorganised away is an error and not an answer.
pub(crate) fn pinned(hash: B256) -> Value {
    json!({ "blockHash": hash, "requireCanonical": true })
}

/// For a verifier: each answer is about one block, by the caller's choice.
impl Chain {
    /// The registry's head slot of a log; all zero if it was never opened.
    pub async fn log_head(&self, log: B256, at: At) -> Result<LogHead, RegistryError> {
        let at = self.id_of(at).await?;
        Ok(self.read(headCall { log }, &at).await?.into())
    }

    /// What else the registry says about a log; `cold_key` is zero if it was never opened.
    pub async fn log_info(&self, log: B256, at: At) -> Result<LogInfo, RegistryError> {
        let at = self.id_of(at).await?;
        let info = self.read(logInfoCall { log }, &at).await?;
        Ok(LogInfo {
            cold_key: info.coldKey,
            note_key: info.noteKey,
            anchor_within_s: info.anchorWithinS,
            is_closed: info.closed,
            successor: info.successor,
        })
    }

    /// Whether this is one of the log's newest 64 anchors, in every field.
    pub async fn living(&self, log: B256, anchor: &Anchor, at: At) -> Result<bool, RegistryError> {
        let at = self.id_of(at).await?;
        self.read(livingCall { log, anchor_: anchor.into() }, &at).await
    }

    /// Whether the contract itself finds this commitment at this place under a living anchor.
    pub async fn included(
        &self,
        log: B256,
        anchor: &Anchor,
        index: u64,
        commitment: B256,
        path: &[B256],
        at: At,
    ) -> Result<bool, RegistryError> {
        let at = self.id_of(at).await?;
        let proof = path.to_vec();
        self.read(includedCall { log, anchor_: anchor.into(), index, commitment, proof }, &at).await
    }

    /// The log's n-th anchor from its event in `block`, also one that left the ring, and the
    /// operator who made it.
    pub async fn anchor(
        &self,
        log: B256,
        number: u64,
        block: u64,
    ) -> Result<Option<(AnchorRecord, Address)>, RegistryError> {
        let finalized = self.finalized().await?;
        let mut found = self.numbered_anchor(log, number, block..=block).await?;
        if let Some((record, _)) = &mut found {
            record.is_final = record.block.number <= finalized.block.number;
        }
        Ok(found)
    }

    /// The newest finalized block.
    pub async fn finalized(&self) -> Result<Header, RegistryError> {
        Ok(self.both_ends().await?.finalized)
    }

    pub(crate) async fn id_of(&self, at: At) -> Result<Value, RegistryError> {
        Ok(match at {
            At::Latest => json!("latest"),
            At::Finalized => pinned(self.finalized().await?.block.hash),
            At::Block(hash) => pinned(hash),
        })
    }
}

impl Chain {
    pub(crate) async fn both_ends(&self) -> Result<Tips, RegistryError> {
        let (expected, found) = (self.chain_id, self.rpc.chain_id().await?);
        if found != expected {
            return Err(RegistryError::WrongChain { expected, found });
        }
        let latest = self.rpc.block_at("latest").await?;
        let head = latest.ok_or_else(|| RegistryError::Nonsense("no newest block".to_owned()))?;
        let finalized = match self.finality {
            Finality::Tag => self.rpc.block_at("finalized").await?,
            Finality::Depth(depth) => {
                self.rpc.block(head.block.number.saturating_sub(depth)).await?
            }
        };
        let finalized = match finalized {
            Some(header) => header,
            // A young chain has finalized nothing but its beginning.
            None => self.rpc.block(0).await?.ok_or(RegistryError::Moved)?,
        };
        if finalized.block.number > head.block.number {
            return Err(RegistryError::Moved);
        }
        Ok(Tips { head, finalized })
    }

    pub(crate) async fn chain_view(&self, watch: &Watch) -> Result<ChainView, RegistryError> {
        let Tips { head: newest, finalized } = self.both_ends().await?;
        let (head, finalized) = (newest.block, finalized.block);
        let at = pinned(head.hash);
        let nonce_head = self.rpc.nonce(watch.account, &at).await?;
        let balance = self.rpc.balance(watch.account, &at).await?;
        let log_head = self.read(headCall { log: watch.log }, &at).await?.into();
        let settled = self.at_finalized(watch, finalized).await?;
        let (base_fee, market_tip) = self.rpc.fees(head.number).await?;
        let mut receipts = Vec::new();
        for tx in &watch.attempts {
            receipts.extend(self.receipt(*tx, head).await?);
        }
        // If the head is still where it was, everything read meanwhile stands in its chain.
        match self.rpc.block(head.number).await? {
            Some(still) if still.block == head => {}
            _ => return Err(RegistryError::Moved),
        }
        Ok(ChainView {
            head,
            head_time_s: newest.time_s,
            finalized,
            nonce_head,
            nonce_finalized: settled.nonce,
            balance,
            base_fee,
            market_tip,
            log_head,
            log_finalized: settled.head,
            receipts,
        })
    }

    async fn at_finalized(
        &self,
        watch: &Watch,
        block: BlockRef,
    ) -> Result<AtFinalized, RegistryError> {
        let (account, log) = (watch.account, watch.log);
        let known = *self.at_finalized.lock().expect("nothing panics while it is held");
        if let Some(known) = known
            && (known.account, known.log, known.block) == (account, log, block.hash)
        {
            return Ok(known);
        }
        let at = pinned(block.hash);
        let nonce = self.rpc.nonce(account, &at).await?;
        // The contract may be younger than what is final.
        let head = match self.try_read(self.registry, headCall { log }, &at).await? {
            Some(head) => head.into(),
            None => LogHead::default(),
        };
        let read = AtFinalized { account, log, block: block.hash, nonce, head };
        *self.at_finalized.lock().expect("nothing panics while it is held") = Some(read);
        Ok(read)
    }

    /// A receipt, and whether its block is an ancestor of `head`: nodes go on answering with
    /// receipts of blocks that were reorganised away.
    async fn receipt(&self, tx: B256, head: BlockRef) -> Result<Option<Receipt>, RegistryError> {
        let Some(found) = self.rpc.receipt(tx).await? else { return Ok(None) };
        let block = BlockRef { number: found.block_number.to(), hash: found.block_hash };
        let is_canonical = block == head
            || block.number < head.number
                && self.rpc.block(block.number).await?.is_some_and(|header| header.block == block);
        let succeeded = found.status == U64::ONE;
        Ok(Some(Receipt { tx, block, is_canonical, succeeded }))
    }

    /// Tries the call on top of `at`, and adds a quarter to its gas: the ring's slot may turn from
    /// a used to a new one before it is mined, and unused gas is not paid.
    pub(crate) async fn gas_limit(
        &self,
        at: BlockRef,
        from: Address,
        call: &Call,
    ) -> Result<u64, PreflightError> {
        let Target { to, data, .. } = self.encode(call);
        let request = json!({ "from": from, "to": to, "data": data });
        let params = json!([request, pinned(at.hash)]);
        match self.rpc.need::<U64>("eth_estimateGas", params).await {
            Ok(gas) => Ok(gas.to::<u64>().saturating_mul(5) / 4),
            Err(RpcError::Node { data, message, .. }) if !data.is_empty() => {
                let reason = bindings::revert_reason(call, &data);
                tracing::debug!(message, "the contract refused a call");
                Err(PreflightError::Reverts(reason))
            }
            Err(error) if error.is_revert() => Err(PreflightError::Reverts(error.to_string())),
            Err(error) => Err(RegistryError::from(error).into()),
        }
    }

    async fn read<C: SolCall>(&self, call: C, at: &Value) -> Result<C::Return, RegistryError> {
        self.read_from(self.registry, call, at).await
    }

    /// What the contract at `to` answers.
    pub(crate) async fn read_from<C: SolCall>(
        &self,
        to: Address,
        call: C,
        at: &Value,
    ) -> Result<C::Return, RegistryError> {
        self.try_read(to, call, at)
            .await?
            .ok_or_else(|| RegistryError::Nonsense(format!("no contract at {to}")))
    }

    /// A view function's answer, or `None` if there is no contract at that block.
    pub(crate) async fn try_read<C: SolCall>(
        &self,
        to: Address,
        call: C,
        at: &Value,
    ) -> Result<Option<C::Return>, RegistryError> {
        let data = Bytes::from(call.abi_encode());
        let params = json!([{ "to": to, "data": data }, at]);
        let answer: Bytes = self.rpc.need("eth_call", params).await?;
        if answer.is_empty() {
            return Ok(None);
        }
        let decoded = C::abi_decode_returns_validate(&answer);
        decoded.map(Some).map_err(|error| {
            RegistryError::Nonsense(format!("{} answered {answer}: {error}", C::SIGNATURE))
        })
    }
}
