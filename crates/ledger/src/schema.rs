//! The EIP-712 structs of the log. One schema for Rust, Solidity and the page: nobody encodes
//! these a second way.

use alloy_primitives::{Address, B256, keccak256};
pub use alloy_sol_types::Eip712Domain;
use alloy_sol_types::{SolStruct, SolValue, sol};
use std::sync::LazyLock;

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

    /// A person and an organisation say together that a pseudonym is this person. Both sign it;
    /// `statement` is what the person reads ([`binding::statement`](crate::binding::statement)).
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Binding {
        string statement;
        address subject;
        address custodian;
        bytes32 pseudonym;
        uint64 expiresAt;
    }

    /// A custodian's daily count of what it reported, over `[fromMs, toMs)`.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Coverage {
        bytes32 log;
        address custodian;
        uint64 fromMs;
        uint64 toMs;
        uint64 reports;
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
        static TYPE_HASH: LazyLock<B256> = LazyLock::new(|| Report::default().eip712_type_hash());
        struct_hash(*TYPE_HASH, self)
    }
}

impl Place {
    /// Its EIP-712 struct hash: what reporters and contracts see of it.
    pub fn hash(&self) -> B256 {
        static TYPE_HASH: LazyLock<B256> = LazyLock::new(|| Place::default().eip712_type_hash());
        struct_hash(*TYPE_HASH, self)
    }
}

impl Entry {
    /// The struct hash of an entry from those of its two halves.
    pub(crate) fn hash_of(report_hash: B256, place_hash: B256) -> B256 {
        static TYPE_HASH: LazyLock<B256> = LazyLock::new(|| Entry::default().eip712_type_hash());
        keccak256([*TYPE_HASH, report_hash, place_hash].concat())
    }
}

/// EIP-712's `hashStruct` with the type hashed once: the library hashes the type string, which is
/// longer than most structs, anew for each struct.
fn struct_hash<T: SolStruct>(type_hash: B256, value: &T) -> B256 {
    keccak256([type_hash.as_slice(), &value.eip712_encode_data()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_with_a_remembered_type_are_the_library_s() {
        let report = Report { kind: 3, timeMs: 9, ..Report::default() };
        let place = Place { ordinal: 4, receivedMs: 8, ..Place::default() };
        assert_eq!(report.hash(), report.eip712_hash_struct());
        assert_eq!(place.hash(), place.eip712_hash_struct());
        let whole = Entry { report: report.clone(), place: place.clone() };
        let from_halves = Entry::hash_of(report.hash(), place.hash());
        assert_eq!(from_halves, whole.eip712_hash_struct());
    }
}
