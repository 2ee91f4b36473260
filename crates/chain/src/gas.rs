//! Gas that is computed and never estimated: of a batch whose sellers can become the worst after any
//! estimate.

use crate::Chain;
use crate::bindings::{calldata, revert_reason};
use crate::view::pinned;
use alloy::primitives::{Address, Bytes};
use medtrail_ledger::gas::gas_limit;
use medtrail_ledger::plan::{BlockRef, Call};
use medtrail_ledger::ports::{PreflightError, Registry, RegistryError, Target};
use serde_json::json;

/// Gas of one transaction at most, whatever a block holds (EIP-7825).
const GAS_OF_A_TRANSACTION_MAX: u64 = 1 << 24;

impl Chain {
    /// The most gas that one transaction may have now.
    pub async fn gas_max(&self) -> Result<u64, RegistryError> {
        let of_block = self.rpc.block_gas_limit().await?;
        let of_block = of_block
            .ok_or_else(|| RegistryError::Nonsense("the node has no newest block".to_owned()))?;
        Ok(of_block.min(GAS_OF_A_TRANSACTION_MAX))
    }

    /// Tries the call on top of `at` with the gas that it is sent with, which is the answer.
    pub(crate) async fn tried_with(
        &self,
        gas: u64,
        at: BlockRef,
        from: Address,
        call: &Call,
    ) -> Result<u64, PreflightError> {
        let Target { to, data, .. } = self.encode(call);
        let limit = gas_limit(&calldata(call), gas);
        let request = json!({
            "from": from, "to": to, "data": data, "gas": format!("0x{limit:x}"),
        });
        let params = json!([request, pinned(at.hash)]);
        match self.rpc.need::<Bytes>("eth_call", params).await {
            Ok(_) => Ok(limit),
            Err(crate::RpcError::Node { data, .. }) if !data.is_empty() => {
                Err(PreflightError::Reverts(revert_reason(call, &data)))
            }
            Err(error) if error.is_revert() => Err(PreflightError::Reverts(error.to_string())),
            Err(error) => Err(RegistryError::from(error).into()),
        }
    }
}
