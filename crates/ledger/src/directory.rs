//! What the operator keeps beside the log: who may report, with which keys, which pseudonym is
//! whose, under which further address somebody sells, what people and organisations ask each other,
//! what is to be erased, who is told, where records are kept, what is sold, about whom without a key
//! documents stand, and how far each who follows the log or the chain is. What concerns
//! organisations and pseudonyms is an entry of the log too; this is its present state.

mod aliases;
mod bindings;
mod calls;
mod emergencies;
mod erasures;
mod inquiries;
mod notices;
mod organisations;
mod sales;
mod sources;

pub use aliases::{AliasRow, AliasState};
pub use bindings::{BindingParties, BindingRow, BindingState};
pub use calls::{
    AcceptanceRow, CallDelivery, CallRow, CallState, DeliveredRow, FileKey, PartName,
    PartWithdrawalRow,
};
pub use emergencies::{EmergencyAnswer, EmergencyRow};
pub use erasures::{ErasureRow, ErasureState, HoldRow};
pub use inquiries::{CorrectionRow, InquiryRow, InquirySort};
pub use notices::{ChannelsRow, DueNotice, DueSort, EmailChannel, WebhookChannel};
pub use organisations::{ApiKeyRow, InviteRow, KeyRow, OrganisationRow};
pub use sales::{
    ApprovalRow, MarketCursor, OfferRow, OptOutRow, SaleRow, SaleState, SealedFile,
    WithdrawalAnswer, WithdrawalLine, WithdrawalRow,
};
pub use sources::{SourceFinding, SourceFound, SourceOwner, SourceRow, SourceState};

use crate::ports::JournalError;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The id of an organisation that was named before it had a signing key: the first 20 bytes of
/// `SHA-256("medtrail/organisation" ‖ 0x00 ‖ name)`. Others have the address of their first key.
pub fn organisation_id(name: &str) -> Address {
    Address::from_slice(&hash(b"medtrail/organisation\0", name.as_bytes())[..20])
}

/// What is kept of a code from a custodian's desk: `SHA-256("medtrail/desk-code" ‖ 0x00 ‖ code)`,
/// the code in upper case without blanks and hyphens, since people type it. A code needs 60 random
/// bits or more (12 characters of base 32): its hash leaves the desk.
pub fn code_hash(code: &str) -> B256 {
    let is_kept = |char: &char| !char.is_whitespace() && *char != '-';
    let plain: String = code.chars().filter(is_kept).flat_map(char::to_uppercase).collect();
    hash(b"medtrail/desk-code\0", plain.as_bytes())
}

/// What is kept of an invite's code: `SHA-256("medtrail/invite" ‖ 0x00 ‖ code)`.
pub fn invite_hash(code: &str) -> B256 {
    hash(b"medtrail/invite\0", code.as_bytes())
}

/// What is kept of an API key: SHA-256 of its secret part.
pub fn secret_hash(secret: &str) -> B256 {
    hash(b"", secret.as_bytes())
}

fn hash(label: &[u8], value: &[u8]) -> B256 {
    let whole = Sha256::new().chain_update(label).chain_update(value);
    B256::from(<[u8; 32]>::from(whole.finalize()))
}

/// An entry of the operator that an act promised: it is durable together with the act, and stays
/// until the log has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PendingEntry {
    /// The entry's event id: entering it twice gives one entry.
    pub event: B256,
    /// The entry's kind.
    pub kind: u8,
    /// Its subject; zero for none.
    pub subject: B256,
    /// Its time, milliseconds since 1970.
    pub time_ms: u64,
    /// Its details document.
    pub details: Vec<u8>,
}

/// Everything the directory holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Contents {
    /// By id.
    pub organisations: Vec<OrganisationRow>,
    /// By hash.
    pub invites: Vec<InviteRow>,
    /// By id.
    pub api_keys: Vec<ApiKeyRow>,
    /// By id.
    pub bindings: Vec<BindingRow>,
    /// By event id.
    pub pending: Vec<PendingEntry>,
    /// When each organisation was last heard, milliseconds since 1970, by its id.
    pub heard: Vec<(Address, u64)>,
    /// How many entries, from the first on, were judged; none: nobody has begun to.
    pub judged: Option<u64>,
    /// By where they stand.
    pub inquiries: Vec<InquiryRow>,
    /// By line and correction.
    pub corrections: Vec<CorrectionRow>,
    /// How many entries, from the first on, stand in the two before.
    pub inquired: Option<u64>,
    /// By id.
    pub erasures: Vec<ErasureRow>,
    /// By id.
    pub holds: Vec<HoldRow>,
    /// By person.
    pub channels: Vec<ChannelsRow>,
    /// By id.
    pub due: Vec<DueNotice>,
    /// How many entries, from the first on, were read for notices.
    pub noticed: Option<u64>,
    /// By where they stand.
    pub sources: Vec<SourceRow>,
    /// By where they stand.
    pub emergencies: Vec<EmergencyRow>,
    /// By the address that joined.
    pub aliases: Vec<AliasRow>,
    /// By id.
    pub offers: Vec<OfferRow>,
    /// By id.
    pub sales: Vec<SaleRow>,
    /// By person.
    pub opt_outs: Vec<OptOutRow>,
    /// Up to which final block the market was read; none: nobody has begun to.
    pub traded: Option<MarketCursor>,
    /// Pseudonyms about which a document stands in the log, in their order.
    pub guarded: Vec<B256>,
    /// Of how many entries, from the first on, these are known; none: nobody has looked yet.
    pub guarded_until: Option<u64>,
    /// Calls to many, by id.
    pub calls: Vec<CallRow>,
    /// Of all calls, by id.
    pub acceptances: Vec<AcceptanceRow>,
}

/// One change of the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DirectoryChange {
    /// Adds or replaces an organisation.
    PutOrganisation(OrganisationRow),
    /// Adds or replaces an invite.
    PutInvite(InviteRow),
    /// Removes an invite by its hash.
    DropInvite(B256),
    /// Adds or replaces an API key.
    PutApiKey(ApiKeyRow),
    /// Adds or replaces a binding.
    PutBinding(BindingRow),
    /// Removes a binding by its id.
    DropBinding(B256),
    /// Adds a promised entry.
    PutPending(PendingEntry),
    /// Removes a promised entry by its event id: the log has it.
    DropPending(B256),
    /// When an organisation was last heard, milliseconds since 1970.
    Heard(Address, u64),
    /// So many entries, from the first on, were judged.
    Judged(u64),
    /// Adds or replaces an inquiry.
    PutInquiry(InquiryRow),
    /// Removes an inquiry by its id: what it asks was erased.
    DropInquiry(B256),
    /// Adds a correction.
    PutCorrection(CorrectionRow),
    /// Inquiries and corrections of so many entries, from the first on, are known.
    Inquired(u64),
    /// Adds or replaces an erasure.
    PutErasure(ErasureRow),
    /// Adds or replaces a hold.
    PutHold(HoldRow),
    /// Removes a hold by its id: it was lifted.
    DropHold(B256),
    /// Adds or replaces the channels of a person.
    PutChannels(ChannelsRow),
    /// Removes the channels of a person.
    DropChannels(Address),
    /// Adds or replaces something that is to be told.
    PutDue(DueNotice),
    /// Removes it by its id.
    DropDue(B256),
    /// So many entries, from the first on, were read for notices.
    Noticed(u64),
    /// Adds or replaces a source.
    PutSource(SourceRow),
    /// Removes a source by its id: what it tells was erased.
    DropSource(B256),
    /// Adds or replaces an emergency change.
    PutEmergency(EmergencyRow),
    /// Removes one by its id: it was erased, or needs no answer any more.
    DropEmergency(B256),
    /// Adds or replaces an alias.
    PutAlias(AliasRow),
    /// Adds or replaces an offer.
    PutOffer(OfferRow),
    /// Adds or replaces a sale.
    PutSale(SaleRow),
    /// Adds or replaces what a person wants.
    PutOptOut(OptOutRow),
    /// The market was read up to this final block.
    Traded(MarketCursor),
    /// Removes an offer by its id: its seller had it erased.
    DropOffer(B256),
    /// Removes a sale by its id: its seller had it erased.
    DropSale(B256),
    /// A document about this pseudonym stands in the log.
    PutGuarded(B256),
    /// None stands there any more: they were erased.
    DropGuarded(B256),
    /// About which pseudonyms documents stand is known of so many entries, from the first on.
    Guarded(u64),
    /// Adds or replaces a call to many.
    PutCall(CallRow),
    /// Removes one by its id: its opening never became final.
    DropCall(B256),
    /// Adds or replaces an acceptance.
    PutAcceptance(AcceptanceRow),
    /// Removes one by its id: its seller had it erased.
    DropAcceptance(B256),
}

/// The directory on disk. Blocking; call it off the async threads.
pub trait Directory: Send + Sync {
    /// Everything as last saved, each list in the order of its keys.
    fn load(&self) -> Result<Contents, JournalError>;
    /// Makes all changes durable together, in order, or none of them.
    fn save(&self, changes: &[DirectoryChange]) -> Result<(), JournalError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_typed_and_no_code_is_an_invite() {
        assert_eq!(code_hash("k7qm-2xvd-9rta"), code_hash(" K7QM 2XVD9RTA "));
        assert_ne!(code_hash("K7QM2XVD9RTA"), code_hash("K7QM2XVD9RTB"));
        assert_ne!(code_hash("A"), invite_hash("A"));
        assert_ne!(invite_hash("a"), invite_hash("A"));
        assert_ne!(organisation_id("Clinic"), organisation_id("clinic"));
    }
}
