//! Gas that is computed and never estimated: of a batch whose sellers can become the worst after any
//! estimate.

use crate::Chain;
use crate::bindings::{calldata, revert_reason};
use crate::view::pinned;
use alloy::primitives::{Address, Bytes};
use medtrail_ledger::plan::{BlockRef, Call};
use medtrail_ledger::ports::{PreflightError, Registry, RegistryError, Target};
use serde_json::json;

/// Gas of one transaction at most, whatever a block holds (EIP-7825).
pub const GAS_OF_A_TRANSACTION_MAX: u64 = 1 << 24;

const TRANSACTION: u64 = 21_000;
const TOKEN: u64 = 4;
const TOKEN_AT_LEAST: u64 = 10;
const TOKENS_OF_A_BYTE: u64 = 4;

/// What a transaction takes by itself that uses `gas` in what it calls (EIP-2028, and the floor of
/// EIP-7623): its gas limit.
pub fn intrinsic_gas(data: &[u8], gas: u64) -> u64 {
    let zeros = data.iter().filter(|byte| **byte == 0).count() as u64;
    let tokens = zeros + (data.len() as u64 - zeros) * TOKENS_OF_A_BYTE;
    let usual = TRANSACTION.saturating_add(tokens * TOKEN).saturating_add(gas);
    usual.max(TRANSACTION + tokens * TOKEN_AT_LEAST)
}

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
        let limit = intrinsic_gas(&calldata(call), gas);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_takes_its_bytes_too_and_never_less_than_the_floor() {
        assert_eq!(intrinsic_gas(&[], 5), 21_005);
        // Ten zeros and ten others: 50 tokens.
        let data = [[0_u8; 10], [1; 10]].concat();
        assert_eq!(intrinsic_gas(&data, 100_000), 121_200);
        assert_eq!(intrinsic_gas(&data, 0), 21_500);
    }
}
