//! What is known when an act is judged: documents, chain, people. All of it is given; nothing is
//! asked for.

use crate::documents::Registries;
use crate::sale::{Market, Order};
use crate::signed::Signed;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// All that is known. Lists need no order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct World {
    /// Whose documents count.
    pub registries: Registries,
    /// Documents that the log holds or the chain knows.
    pub documents: Vec<Held>,
    /// What the consent registry says.
    pub chain: ChainState,
    /// Pseudonyms: who keeps them, and whom they were bound to.
    pub pseudonyms: Vec<Pseudonym>,
    /// Where approvals were used up.
    pub uses: Vec<Use>,
    /// Guardianships that an organisation ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<End>,
    /// The market whose orders may be permissions; none: no order is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// Sales that the log tells of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sales: Vec<Sold>,
}

/// A sale that the log tells of, and how the market shows its order: settled as of `finalized`,
/// revoked as of `latest`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sold {
    /// The document.
    pub order: Order,
    /// The exact text of the description of the dataset.
    pub dataset: String,
    /// When it was settled; none: the market has not said so, or gave the money back.
    pub settled: Option<Granted>,
    /// When the seller ended the access: on the market, or by asking in the log that what was
    /// delivered be deleted.
    pub revoked_s: Option<u64>,
}

/// A document, and when the log recorded it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Held {
    /// The document.
    pub signed: Signed,
    /// `receivedMs` of its entry of kind 4; none: no entry records it, it stands on chain only. A
    /// signature without an entry counts nowhere: nobody could say since when.
    pub received_ms: Option<u64>,
}

/// The consent registry. Grants and new controllers as of `finalized`, revocations, epochs and
/// freezes as of `latest`: what takes away acts at once, what gives waits until no reorganisation
/// takes it back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChainState {
    /// Per subject and document.
    pub standings: Vec<Standing>,
    /// Epochs that began.
    pub epochs: Vec<Epoch>,
    /// Moves of control.
    pub controllers: Vec<Controller>,
    /// Freezes.
    pub freezes: Vec<Freeze>,
}

impl ChainState {
    /// Who acts for a subject by the newest move of control, final or not.
    pub fn controller_of(&self, subject: Address) -> Address {
        let moves = self.controllers.iter().filter(|moved| moved.subject == subject);
        moves.max_by_key(|moved| moved.at_s).map_or(subject, |moved| moved.controller)
    }
}

/// `standing(subject, id)`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Standing {
    /// Under whose name it stands: the registry has checked that their controller said so.
    pub subject: Address,
    /// The document's id.
    pub id: B256,
    /// When it was granted.
    pub granted: Option<Granted>,
    /// When it was revoked.
    pub revoked_s: Option<u64>,
}

/// A grant on chain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Granted {
    /// Its block's time.
    pub at_s: u64,
    /// Its block is final.
    pub is_final: bool,
}

/// An epoch of a subject began (`revokeAll`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Epoch {
    /// Whose.
    pub subject: Address,
    /// Its number.
    pub epoch: u64,
    /// Its block's time.
    pub at_s: u64,
}

/// Control of a subject moved.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Controller {
    /// Whose.
    pub subject: Address,
    /// To whom.
    pub controller: Address,
    /// Its block's time.
    pub at_s: u64,
    /// Its block is final: until then the old key is void and the new one not yet good.
    pub is_final: bool,
}

/// A subject gave no permissions for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freeze {
    /// Whose.
    pub subject: Address,
    /// Since when.
    pub from_s: u64,
    /// Until when, as of `finalized`; none: it lasts.
    pub until_s: Option<u64>,
}

/// A person whom a custodian knows by a pseudonym.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pseudonym {
    /// The pseudonym.
    pub pseudonym: B256,
    /// Keys with which the custodian that keeps it signs, or has signed: only it can say who is a
    /// guardian, and who is none any more.
    pub keepers: Vec<Address>,
    /// Whose it became.
    pub bound: Option<Bound>,
}

/// A signed report that ends a guardianship. It counts if a key of who keeps the pseudonym signed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct End {
    /// The guardianship's id.
    pub guardianship: B256,
    /// Whose signature of the report was verified.
    pub by: Address,
    /// `receivedMs` of its entry.
    pub received_ms: u64,
}

/// A binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bound {
    /// The address.
    pub subject: Address,
    /// `receivedMs` of the entry that binds.
    pub received_ms: u64,
}

/// An approval is used up by the first entry of the log that names it and that it covers
/// ([`covers_change`](super::covers_change)), whether that counted or not; one that no entry names,
/// by the entry that it confirmed. An entry that it does not cover cannot use it up: else anybody
/// who learnt its id could.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Use {
    /// The approval's id.
    pub approval: B256,
    /// The entry's place in the log.
    pub index: u64,
}
