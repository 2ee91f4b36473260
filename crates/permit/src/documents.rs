//! The documents by which a person allows, takes back, delegates and erases (EIP-712), and their
//! ids. What makes one valid stands in [`check`](crate::check).

use alloy_primitives::{Address, B256};
use alloy_sol_types::{SolStruct, sol};
use medtrail_ledger::schema::{Eip712Domain, digest, domain};
use serde::{Deserialize, Serialize};

sol! {
    /// A standing permission: who may do what with whose data, for what, until when.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Grant {
        string statement;
        address subject;
        address grantee;
        string scopes;
        string purposes;
        uint64 epoch;
        uint64 expiresAt;
        bytes32 salt;
    }

    /// A permission for one change of one record.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct ChangeApproval {
        string statement;
        address subject;
        address custodian;
        bytes32 record;
        bytes32 fromVersion;
        bytes32 toVersion;
        uint64 epoch;
        uint64 expiresAt;
        bytes32 salt;
    }

    /// Takes back one document by its id, also one that nobody has seen yet. Naming the commitment
    /// of an entry that waits for confirmation, it says no to that entry.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Revoke {
        address subject;
        bytes32 permission;
    }

    /// Ends an epoch and all before it: what was signed for one of them is dead.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct RevokeAll {
        address subject;
        uint64 epoch;
    }

    /// Who may move control when the key is lost.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct RecoveryPolicy {
        string statement;
        address subject;
        address[] trustees;
        uint8 needed;
        uint64 delayS;
        uint64 epoch;
    }

    /// Lets another address act for a person.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Delegation {
        string statement;
        address subject;
        address delegate;
        string rights;
        uint64 epoch;
        uint64 expiresAt;
        bytes32 salt;
    }

    /// Who acts for a person without a key. The guardian and the custodian both sign it.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Guardianship {
        string statement;
        bytes32 subject;
        address guardian;
        address custodian;
        string rights;
        string ground;
        uint64 expiresAt;
    }

    /// Asks that what is kept about a person be erased.
    #[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Erase {
        string statement;
        address subject;
        bytes32 log;
        uint64 upToOrdinal;
        uint64 expiresAt;
    }
}

/// A subject as a document names it: an address as it is, of a pseudonym the last 20 bytes.
///
/// A document has room for an address only, and a child has none. The last 20 bytes of a pseudonym
/// are an address that nobody has a key of (to find a pseudonym that ends like a given address
/// takes 2^160 tries), and for an address this is the address itself: one rule for both.
pub fn named(subject: B256) -> Address {
    Address::from_word(subject)
}

/// The registries that own the documents: a document signed for another chain or registry has
/// another id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registries {
    /// The chain.
    pub chain_id: u64,
    /// Owns Grant, ChangeApproval, Revoke, RevokeAll, RecoveryPolicy.
    pub consent_registry: Address,
    /// Owns Delegation, Guardianship, Erase.
    pub anchor_registry: Address,
}

impl Registries {
    fn consent(&self) -> Eip712Domain {
        domain(self.chain_id, self.consent_registry)
    }

    fn anchor(&self) -> Eip712Domain {
        domain(self.chain_id, self.anchor_registry)
    }
}

/// Any document, in JSON as `{"grant": {…}}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Document {
    /// A standing permission.
    Grant(Grant),
    /// A permission for one change.
    ChangeApproval(ChangeApproval),
    /// Takes one back.
    Revoke(Revoke),
    /// Takes all back.
    RevokeAll(RevokeAll),
    /// Who may move control.
    RecoveryPolicy(RecoveryPolicy),
    /// Who may act for a person.
    Delegation(Delegation),
    /// Who acts for a person without a key.
    Guardianship(Guardianship),
    /// Asks for erasure.
    Erase(Erase),
}

impl Document {
    /// Its id: the EIP-712 digest under the registry that owns it. It is what is signed.
    pub fn id(&self, registries: &Registries) -> B256 {
        match self {
            Self::Grant(document) => digest(document, &registries.consent()),
            Self::ChangeApproval(document) => digest(document, &registries.consent()),
            Self::Revoke(document) => digest(document, &registries.consent()),
            Self::RevokeAll(document) => digest(document, &registries.consent()),
            Self::RecoveryPolicy(document) => digest(document, &registries.consent()),
            Self::Delegation(document) => digest(document, &registries.anchor()),
            Self::Guardianship(document) => digest(document, &registries.anchor()),
            Self::Erase(document) => digest(document, &registries.anchor()),
        }
    }

    /// Its EIP-712 struct hash: what a contract is given.
    pub fn struct_hash(&self) -> B256 {
        match self {
            Self::Grant(document) => document.eip712_hash_struct(),
            Self::ChangeApproval(document) => document.eip712_hash_struct(),
            Self::Revoke(document) => document.eip712_hash_struct(),
            Self::RevokeAll(document) => document.eip712_hash_struct(),
            Self::RecoveryPolicy(document) => document.eip712_hash_struct(),
            Self::Delegation(document) => document.eip712_hash_struct(),
            Self::Guardianship(document) => document.eip712_hash_struct(),
            Self::Erase(document) => document.eip712_hash_struct(),
        }
    }

    /// Its type, as JSON names it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Grant(_) => "grant",
            Self::ChangeApproval(_) => "changeApproval",
            Self::Revoke(_) => "revoke",
            Self::RevokeAll(_) => "revokeAll",
            Self::RecoveryPolicy(_) => "recoveryPolicy",
            Self::Delegation(_) => "delegation",
            Self::Guardianship(_) => "guardianship",
            Self::Erase(_) => "erase",
        }
    }

    /// Whether it gives something, which can be taken back; else it takes back, or asks.
    pub fn gives(&self) -> bool {
        use Document::{ChangeApproval, Delegation, Grant, Guardianship};
        matches!(self, Grant(_) | ChangeApproval(_) | Delegation(_) | Guardianship(_))
    }

    /// What the person reads in it; a revocation has no statement.
    pub fn statement(&self) -> Option<&str> {
        match self {
            Self::Grant(document) => Some(&document.statement),
            Self::ChangeApproval(document) => Some(&document.statement),
            Self::RecoveryPolicy(document) => Some(&document.statement),
            Self::Delegation(document) => Some(&document.statement),
            Self::Guardianship(document) => Some(&document.statement),
            Self::Erase(document) => Some(&document.statement),
            Self::Revoke(_) | Self::RevokeAll(_) => None,
        }
    }

    /// The same document with another statement; a revocation stays as it is.
    pub(crate) fn with_statement(mut self, text: String) -> Self {
        match &mut self {
            Self::Grant(document) => document.statement = text,
            Self::ChangeApproval(document) => document.statement = text,
            Self::RecoveryPolicy(document) => document.statement = text,
            Self::Delegation(document) => document.statement = text,
            Self::Guardianship(document) => document.statement = text,
            Self::Erase(document) => document.statement = text,
            Self::Revoke(_) | Self::RevokeAll(_) => {}
        }
        self
    }

    /// Whom it is about, as [`named`].
    pub fn subject(&self) -> Address {
        match self {
            Self::Grant(document) => document.subject,
            Self::ChangeApproval(document) => document.subject,
            Self::Revoke(document) => document.subject,
            Self::RevokeAll(document) => document.subject,
            Self::RecoveryPolicy(document) => document.subject,
            Self::Delegation(document) => document.subject,
            Self::Guardianship(document) => named(document.subject),
            Self::Erase(document) => document.subject,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Registries = Registries {
        chain_id: 31338,
        consent_registry: Address::repeat_byte(1),
        anchor_registry: Address::repeat_byte(2),
    };

    #[test]
    fn types_are_those_of_the_contracts() {
        let types = [
            Grant::eip712_encode_type(),
            ChangeApproval::eip712_encode_type(),
            Revoke::eip712_encode_type(),
            RevokeAll::eip712_encode_type(),
            RecoveryPolicy::eip712_encode_type(),
            Delegation::eip712_encode_type(),
            Guardianship::eip712_encode_type(),
            Erase::eip712_encode_type(),
        ];
        assert_eq!(
            types,
            [
                "Grant(string statement,address subject,address grantee,string scopes,string purposes,uint64 epoch,uint64 expiresAt,bytes32 salt)",
                "ChangeApproval(string statement,address subject,address custodian,bytes32 record,bytes32 fromVersion,bytes32 toVersion,uint64 epoch,uint64 expiresAt,bytes32 salt)",
                "Revoke(address subject,bytes32 permission)",
                "RevokeAll(address subject,uint64 epoch)",
                "RecoveryPolicy(string statement,address subject,address[] trustees,uint8 needed,uint64 delayS,uint64 epoch)",
                "Delegation(string statement,address subject,address delegate,string rights,uint64 epoch,uint64 expiresAt,bytes32 salt)",
                "Guardianship(string statement,bytes32 subject,address guardian,address custodian,string rights,string ground,uint64 expiresAt)",
                "Erase(string statement,address subject,bytes32 log,uint64 upToOrdinal,uint64 expiresAt)",
            ]
        );
    }

    #[test]
    fn another_chain_or_registry_makes_another_document() {
        let grant = Document::Grant(Grant::default());
        let erase = Document::Erase(Erase::default());
        let far = Registries { chain_id: 1, ..HERE };
        let other = Registries { consent_registry: Address::repeat_byte(3), ..HERE };
        assert_ne!(grant.id(&HERE), grant.id(&far));
        assert_ne!(grant.id(&HERE), grant.id(&other));
        assert_eq!(erase.id(&HERE), erase.id(&other), "another registry owns it");
        assert_ne!(erase.id(&HERE), erase.id(&far));
    }

    #[test]
    fn json_names_the_type_and_knows_every_field() {
        let all = [
            Document::Grant(Grant::default()),
            Document::ChangeApproval(ChangeApproval::default()),
            Document::Revoke(Revoke::default()),
            Document::RevokeAll(RevokeAll::default()),
            Document::RecoveryPolicy(RecoveryPolicy::default()),
            Document::Delegation(Delegation::default()),
            Document::Guardianship(Guardianship::default()),
            Document::Erase(Erase::default()),
        ];
        for document in all {
            let value = serde_json::to_value(&document).unwrap();
            assert!(value[document.word()].is_object(), "{value}");
        }
        let text = r#"{"revoke":{"subject":"0x0101010101010101010101010101010101010101","permission":"0x0202020202020202020202020202020202020202020202020202020202020202"}}"#;
        let document: Document = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&document).unwrap(), text);
        let more = text.replacen("\"subject\"", "\"mood\":1,\"subject\"", 1);
        serde_json::from_str::<Document>(&more).unwrap_err();
        serde_json::from_str::<Document>(&text.replacen("revoke", "pardon", 1)).unwrap_err();
    }

    #[test]
    fn a_pseudonym_is_named_by_its_end_and_an_address_by_itself() {
        let address = Address::repeat_byte(7);
        assert_eq!(named(address.into_word()), address);
        assert_eq!(named(B256::repeat_byte(9)), Address::repeat_byte(9));
    }
}
