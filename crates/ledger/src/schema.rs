//! The EIP-712 structs of the log. One schema for Rust, Solidity and the page: nobody encodes
//! these a second way.

use alloy_primitives::{Address, B256, keccak256};
pub use alloy_sol_types::Eip712Domain;
use alloy_sol_types::{SolStruct, SolValue, sol};

sol! {
    /// What a custodian says happened.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Report {
        bytes32 log;
        bytes32 eventId;
        uint8 kind;
        uint8 action;
        uint64 timeMs;
        bytes32 subject;
        address actor;
        bytes32 record;
        bytes32 fromVersion;
        bytes32 toVersion;
        bytes32 permission;
        bytes32 details;
    }

    /// Where a report stands in its subject's trail.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Place {
        uint64 ordinal;
        bytes32 previous;
        uint64 receivedMs;
        bytes32 salt;
    }

    /// A report in its place: what the log commits to.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Entry {
        Report report;
        Place place;
    }

    /// Many reports under one signature; `root` is the RFC 9162 root over their struct hashes.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct ReportBatch {
        bytes32 root;
        uint64 count;
    }

    /// A head of the log at a time.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Checkpoint {
        bytes32 log;
        uint64 size;
        bytes32 root;
        uint64 timeMs;
    }
}

/// The domain of every document that the AnchorRegistry owns (EIP-712).
pub fn domain(chain_id: u64, registry: Address) -> Eip712Domain {
    alloy_sol_types::eip712_domain! {
        name: "Medtrail",
        version: "1",
        chain_id: chain_id,
        verifying_contract: registry,
    }
}

/// `keccak256(abi.encode(chainid, registry, opener, origin))`: the log's id, which every report
/// names, so that no signature is replayed into another log.
pub fn log_id(chain_id: u64, registry: Address, opener: Address, origin: &str) -> B256 {
    let encoded = (alloy_primitives::U256::from(chain_id), registry, opener, origin.to_owned());
    keccak256(encoded.abi_encode_params())
}

/// A document's id: its EIP-712 digest.
pub fn digest<T: SolStruct>(document: &T, domain: &Eip712Domain) -> B256 {
    document.eip712_signing_hash(domain)
}

impl Report {
    /// Its EIP-712 struct hash.
    pub fn hash(&self) -> B256 {
        self.eip712_hash_struct()
    }
}

impl Place {
    /// Its EIP-712 struct hash: what reporters and contracts see of it.
    pub fn hash(&self) -> B256 {
        self.eip712_hash_struct()
    }
}
