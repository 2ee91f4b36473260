//! The contracts' ABI in Rust, from the committed artifacts.

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::{Eip712Domain, GenericContractError, SolCall, SolInterface, eip712_domain};
use medtrail_ledger::plan::{Anchor, Call, LogHead};

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod sol {
    alloy::sol!(
        #[derive(Debug, PartialEq, Eq)]
        AnchorRegistry,
        "../../abi/AnchorRegistry.json"
    );

    alloy::sol!(
        #[derive(Debug, PartialEq, Eq)]
        ConsentRegistry,
        "../../abi/ConsentRegistry.json"
    );
}

/// Apart, because it brings types of the anchor registry of its own.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod market_sol {
    alloy::sol!(
        #[derive(Debug, PartialEq, Eq)]
        DataMarket,
        "../../abi/DataMarket.json"
    );
}

/// Apart for the same reason.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod cohort_sol {
    alloy::sol!(
        #[derive(Debug, PartialEq, Eq)]
        CohortMarket,
        "../../abi/CohortMarket.json"
    );
}

/// Of ERC-20 what a buyer needs who pays in a token.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod token_sol {
    alloy::sol! {
        interface Erc20 {
            function approve(address spender, uint256 amount) external returns (bool);
            function allowance(address owner, address spender) external view returns (uint256);
            function balanceOf(address owner) external view returns (uint256);
        }
    }
}

pub(crate) use cohort_sol::CohortMarket::{self, BYTECODE as COHORT_MARKET};
pub(crate) use cohort_sol::{IAnchorRegistry as cohort_anchors, ICohortMarket as cohort_types};
pub(crate) use market_sol::DataMarket::{self, BYTECODE as DATA_MARKET};
pub(crate) use market_sol::{IAnchorRegistry as market_anchors, IDataMarket as market_types};
use sol::AnchorRegistry::{AnchorRegistryErrors, anchorCall, openCall};
pub(crate) use sol::AnchorRegistry::{
    Anchored, BYTECODE as ANCHOR_REGISTRY, Opened, OperatorRotated, eip712DomainCall, headCall,
    includedCall, livingCall, logInfoCall,
};
pub(crate) use sol::ConsentRegistry::{
    BYTECODE as CONSENT_REGISTRY, ConsentRegistryErrors, ConsentRegistryEvents, ControlMoved,
    EpochStarted, Frozen, Granted, Revoked, UnfreezeStarted, controllerOfCall, epochOfCall,
    freezeOfCall, revokeCall,
};
pub(crate) use sol::IAnchorRegistry as types;
pub(crate) use token_sol::Erc20;

impl From<&Anchor> for types::Anchor {
    fn from(anchor: &Anchor) -> Self {
        let Anchor { number, size, root, time_s } = *anchor;
        Self { number, size, root, timeS: time_s }
    }
}

impl From<&Anchor> for market_anchors::Anchor {
    fn from(anchor: &Anchor) -> Self {
        let Anchor { number, size, root, time_s } = *anchor;
        Self { number, size, root, timeS: time_s }
    }
}

impl From<&Anchor> for cohort_anchors::Anchor {
    fn from(anchor: &Anchor) -> Self {
        let Anchor { number, size, root, time_s } = *anchor;
        Self { number, size, root, timeS: time_s }
    }
}

impl From<types::Head> for LogHead {
    fn from(head: types::Head) -> Self {
        Self {
            operator: head.operator,
            size: head.size.to(),
            time_s: head.timeS.into(),
            count: head.count.to(),
        }
    }
}

/// The ABI-encoded contract call.
pub fn calldata(call: &Call) -> Bytes {
    let encoded = match call {
        Call::Open { origin, cold_key, note_key, anchor_within_s } => openCall {
            origin: origin.clone(),
            coldKey: *cold_key,
            noteKey: *note_key,
            anchorWithinS: *anchor_within_s,
        }
        .abi_encode(),
        Call::Anchor { log, old, size, root, proof } => anchorCall {
            log: *log,
            oldHead: old.into(),
            size: *size,
            root: *root,
            consistencyProof: proof.clone(),
        }
        .abi_encode(),
        Call::Settle { data, .. } | Call::SettleMany { data, .. } => return data.clone(),
    };
    encoded.into()
}

/// The words of whichever of our contracts refuses a transaction of an account's own.
pub(crate) fn reason(data: &[u8]) -> String {
    let known = decoded::<DataMarket::DataMarketErrors>(data)
        .or_else(|| decoded::<CohortMarket::CohortMarketErrors>(data))
        .or_else(|| decoded::<ConsentRegistryErrors>(data));
    known.unwrap_or_else(|| unknown(data))
}

/// The EIP-712 domain of what the log's operator and its reporters sign.
pub fn domain(chain_id: u64, registry: Address) -> Eip712Domain {
    eip712_domain! {
        name: "Medtrail",
        version: "1",
        chain_id: chain_id,
        verifying_contract: registry,
    }
}

/// The contract's own words for refusing this call, or the raw bytes.
pub(crate) fn revert_reason(call: &Call, data: &[u8]) -> String {
    match call {
        Call::Settle { .. } => return crate::market::refusal(data),
        Call::SettleMany { .. } => return crate::cohort::refusal(data),
        Call::Open { .. } | Call::Anchor { .. } => {}
    }
    reason_of::<AnchorRegistryErrors>(data)
}

/// A contract's own words for a refusal, or whose else they are.
pub(crate) fn reason_of<E: SolInterface + std::fmt::Debug>(data: &[u8]) -> String {
    decoded::<E>(data).unwrap_or_else(|| unknown(data))
}

fn decoded<E: SolInterface + std::fmt::Debug>(data: &[u8]) -> Option<String> {
    E::abi_decode(data).ok().map(|error| format!("{error:?}"))
}

/// In no contract's own words: those of a token that it calls, or the raw bytes.
fn unknown(data: &[u8]) -> String {
    if data.is_empty() {
        return "without a reason".to_owned();
    }
    match GenericContractError::abi_decode(data) {
        // Escaped: anybody's token says it, and it is shown in a terminal.
        Ok(GenericContractError::Revert(said)) => format!("it says {:?}", said.reason),
        Ok(GenericContractError::Panic(panic)) => format!("it broke: {panic}"),
        Err(_) => format!("with unknown error {}", alloy::hex::encode_prefixed(data)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{B256, keccak256};
    use alloy::sol_types::{SolError, SolEvent};

    #[test]
    fn the_committed_abi_is_the_one_this_code_was_written_for() {
        assert_eq!(openCall::SIGNATURE, "open(string,address,bytes32,uint32)");
        assert_eq!(
            anchorCall::SIGNATURE,
            "anchor(bytes32,(uint64,uint64,bytes32,uint64),uint64,bytes32,bytes32[])"
        );
        assert_eq!(Anchored::SIGNATURE, "Anchored(bytes32,address,uint64,uint64,bytes32,uint64)");
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_whoever_refused() {
        let reason = reason_of::<AnchorRegistryErrors>;
        let said = alloy::sol_types::Revert::from("no\u{1b}[2J").abi_encode();
        assert_eq!(reason(&said), r#"it says "no\u{1b}[2J""#);
        let broke = alloy::sol_types::Panic::from(0x11_u64).abi_encode();
        assert!(reason(&broke).starts_with("it broke: "), "{}", reason(&broke));
        assert_eq!(reason(&[]), "without a reason");
        assert_eq!(reason(&[1, 2]), "with unknown error 0x0102");
    }

    #[test]
    fn a_call_survives_encoding() {
        let old = Anchor { number: 3, size: 70, root: keccak256("old"), time_s: 9 };
        let (log, root) = (keccak256("log"), keccak256("new"));
        let call = Call::Anchor { log, old, size: 99, root, proof: vec![B256::ZERO, root] };
        let decoded = anchorCall::abi_decode(&calldata(&call)).unwrap();
        assert_eq!((decoded.log, decoded.size, decoded.root), (log, 99, root));
        assert_eq!(decoded.oldHead, (&old).into());
        assert_eq!(decoded.consistencyProof, [B256::ZERO, root]);
    }

    #[test]
    fn a_refusal_is_told_in_the_contract_s_words() {
        use alloy::sol_types::SolError;
        let error = sol::AnchorRegistry::LogClosed { log: keccak256("log") }.abi_encode();
        let (log, root) = (keccak256("log"), B256::ZERO);
        let call = Call::Anchor { log, old: Anchor::default(), size: 1, root, proof: vec![] };
        let reason = |data: &[u8]| revert_reason(&call, data);
        assert!(reason(&error).contains("LogClosed"));
        assert_eq!(reason(&[]), "without a reason");
        assert!(reason(&[1, 2, 3, 4]).contains("0x01020304"));
        let (market, order) = (Address::ZERO, log);
        let settling = Call::Settle { market, order, data: Bytes::new() };
        let late = crate::bindings::DataMarket::TooLate {
            order,
            settleUntil: alloy::primitives::U256::ONE,
        };
        assert!(revert_reason(&settling, &late.abi_encode()).contains("TooLate"));
        let many =
            Call::SettleMany { market, call: log, claims: vec![], gas: 0, data: Bytes::new() };
        let nobody = crate::bindings::CohortMarket::NobodyPaid { cohort: log };
        assert!(revert_reason(&many, &nobody.abi_encode()).contains("NobodyPaid"));
    }
}
