//! What the operator keeps beside the log: who may report, with which keys, which pseudonym is
//! whose, what people and organisations ask each other, where records are kept, and how far the log was judged. Each change of
//! the first four is an entry of the log too; this is its present state.

use crate::inquiry::LineRef;
use crate::ports::JournalError;
use crate::source::Elsewhere;
use alloy_primitives::{Address, B256, Bytes};
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

/// A signing key of an organisation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyRow {
    /// Its address.
    pub address: Address,
    /// From when it speaks, milliseconds since 1970.
    pub from_ms: u64,
    /// Until when, if it has ended.
    pub until_ms: Option<u64>,
}

/// An organisation that was added while the log ran, or further keys of a configured one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrganisationRow {
    /// Its id, for ever.
    pub id: Address,
    /// Name.
    pub name: String,
    /// Number in a public register.
    pub register_number: Option<String>,
    /// Internet domain.
    pub domain: String,
    /// The address that was named when it was added: no other key may enrol first.
    pub expected_key: Option<Address>,
    /// Signing keys, newest last.
    pub keys: Vec<KeyRow>,
    /// When it was added, milliseconds since 1970.
    pub since_ms: u64,
}

/// A one-time code with which a key joins an organisation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InviteRow {
    /// [`invite_hash`] of its code.
    pub code_hash: B256,
    /// Whom it invites.
    pub organisation: Address,
    /// Until when, milliseconds since 1970.
    pub expires_ms: u64,
    /// The key that used it.
    pub used_by: Option<Address>,
}

/// An API key: its secret is never kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApiKeyRow {
    /// Its public part.
    pub id: String,
    /// Whose it is.
    pub organisation: Address,
    /// [`secret_hash`] of its secret part.
    pub secret_hash: B256,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// When it was revoked.
    pub revoked_ms: Option<u64>,
}

/// A pseudonym on its way to a person, or there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BindingRow {
    /// Its id: [`code_hash`] of the code from the desk.
    pub id: B256,
    /// Whose pseudonym it is.
    pub organisation: Address,
    /// The pseudonym.
    pub pseudonym: B256,
    /// Until when code and document are good, milliseconds since 1970.
    pub expires_ms: u64,
    /// How far it is.
    pub state: BindingState,
}

/// What a binding's document says beside pseudonym and expiry; with them it is made anew, byte
/// for byte.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BindingParties {
    /// The organisation's name when the document was made: it stands in the statement.
    pub name: String,
    /// The key that must countersign.
    pub custodian: Address,
    /// The person who came with the code.
    pub subject: Address,
}

/// How far a binding is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BindingState {
    /// The desk gave its code out, nobody knows by which key: by an API key, or written before
    /// [`Self::IssuedBy`] was. The organisation's newest key countersigns.
    Issued,
    /// A person came with the code; nobody else may from now on.
    Claimed(BindingParties),
    /// The person signed.
    Signed {
        /// Who.
        parties: BindingParties,
        /// The person's signature.
        signature: Bytes,
    },
    /// Both signed. The pseudonym is moved from here on, whether or not its entries are in the log.
    Entering {
        /// Who.
        parties: BindingParties,
        /// The person's signature.
        signature: Bytes,
        /// The organisation's signature.
        countersignature: Bytes,
        /// The time of both entries, milliseconds since 1970.
        time_ms: u64,
    },
    /// Both entries are in the log; the signatures stand there.
    Entered {
        /// Who has the pseudonym's entries now.
        subject: Address,
        /// The last entry of the pseudonym's trail, and the same in the address's.
        entries: [u64; 2],
    },
    /// Another binding of the same pseudonym came first; it was told.
    Refused,
    /// The desk gave its code out by this key, which must countersign: its gateway alone knows the
    /// code. Last, since rows on disk name a state by its place here.
    IssuedBy(Address),
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

/// What somebody asked, and somebody else is to answer: a question about a line, or a claim. Made
/// from the log's entries alone; their texts stay there, under their subject's key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InquiryRow {
    /// The commitment of the entry that opened it.
    pub id: B256,
    /// Where that stands.
    pub index: u64,
    /// Which sort it is.
    pub sort: InquirySort,
    /// In whose trail it stands.
    pub subject: B256,
    /// The organisation: asked, or whose claim it is.
    pub organisation: Address,
    /// When it was asked, milliseconds since 1970.
    pub asked_ms: u64,
    /// The entry that answered it, if one has.
    pub answer: Option<u64>,
    /// The entry that says that nobody answered in time.
    pub unanswered: Option<u64>,
}

/// A sort of inquiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum InquirySort {
    /// A person asks an organisation about a line.
    Question {
        /// Where the line stands.
        line: u64,
        /// Until when an answer is due, milliseconds since 1970.
        due_ms: u64,
        /// A correction is asked for, not a reason.
        is_correction: bool,
    },
    /// A payer says that something was billed for a person.
    Claim,
}

/// A line that was corrected by who had reported it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CorrectionRow {
    /// The line.
    pub line: u64,
    /// The correction.
    pub by: u64,
    /// The line was about somebody else: what it says is not shown any more.
    pub is_wrong_person: bool,
}

/// A person's wish that what is kept about them be erased.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErasureRow {
    /// The id of the signed document.
    pub id: B256,
    /// The person.
    pub subject: Address,
    /// The `medtrail/permission-v1` document: what was signed, with its signature.
    pub signed: Vec<u8>,
    /// The subject ids whose lines go, each with the ordinal of the last one that does; none where
    /// only the records do.
    pub parts: Vec<(B256, u64)>,
    /// The subject ids whose records go.
    pub subjects: Vec<B256>,
    /// When it was asked for, milliseconds since 1970.
    pub asked_ms: u64,
    /// When it is done, milliseconds since 1970.
    pub due_ms: u64,
    /// How far it is.
    pub state: ErasureState,
}

/// How far an erasure is. Rows on disk name a state by its place here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ErasureState {
    /// It waits for its day.
    Waiting,
    /// The person took it back.
    Cancelled {
        /// When, milliseconds since 1970.
        at_ms: u64,
    },
    /// The law stood in its way.
    Refused {
        /// When, milliseconds since 1970.
        at_ms: u64,
        /// The `medtrail/erasure-v1` document that says why.
        details: Vec<u8>,
    },
    /// Nothing stands in its way any more: the keys are being destroyed.
    Erasing {
        /// Its time, milliseconds since 1970.
        at_ms: u64,
        /// The epoch of permissions that ends with it, where lines go.
        ends_epoch: Option<u64>,
    },
    /// The keys are destroyed.
    Done {
        /// When, milliseconds since 1970.
        at_ms: u64,
        /// Its entry.
        index: u64,
    },
}

/// An order to keep what is held about somebody.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HoldRow {
    /// Its id.
    pub id: B256,
    /// Whom it concerns.
    pub subject: B256,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub ordered_by: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
}

/// The channels by which a person wants to be told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChannelsRow {
    /// Who.
    pub subject: Address,
    /// Of entries from this one on.
    pub since: u64,
    /// By e-mail.
    pub email: Option<EmailChannel>,
    /// By webhook.
    pub webhook: Option<WebhookChannel>,
    /// When a code was sent last, milliseconds since 1970.
    pub code_sent_ms: u64,
}

/// An e-mail address for notices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EmailChannel {
    /// The address.
    pub address: String,
    /// Once a day; else at once.
    pub is_daily: bool,
    /// Of the mail (BCP 47).
    pub language: String,
    /// Who reads it showed its code.
    pub is_confirmed: bool,
    /// [`secret_hash`] of that code.
    pub code_hash: B256,
    /// When that was drawn, milliseconds since 1970.
    pub code_made_ms: u64,
}

/// A webhook for notices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WebhookChannel {
    /// Where to.
    pub url: String,
    /// The key of its signatures.
    pub secret: Vec<u8>,
}

/// Something that is to be told, until it was and the log has its entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DueNotice {
    /// The event id of its entry.
    pub id: B256,
    /// Whom.
    pub subject: Address,
    /// How.
    pub sort: DueSort,
    /// About these entries.
    pub about: Vec<u64>,
    /// Not before, milliseconds since 1970.
    pub due_ms: u64,
    /// How often it was tried.
    pub tries: u32,
    /// It was sent; its entry is owed.
    pub is_sent: bool,
}

/// How something is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DueSort {
    /// A mail that asks whether its address is right.
    Confirm {
        /// Where to.
        to: String,
        /// Of the mail.
        language: String,
        /// What it holds.
        code: String,
    },
    /// A mail at once.
    Mail,
    /// The mail of a day.
    Digest,
    /// A webhook.
    Webhook,
}

/// A place where a version of a record is kept, as the log's entries tell it, and how asking it goes.
/// Words and addresses stay in the entries, under their subject's key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceRow {
    /// The commitment of the entry that registered it.
    pub id: B256,
    /// Where that stands.
    pub index: u64,
    /// In whose trail.
    pub subject: B256,
    /// Of which record.
    pub record: B256,
    /// SHA-256 of the bytes that are kept there.
    pub version: B256,
    /// Who registered it.
    pub by: SourceOwner,
    /// When, milliseconds since 1970.
    pub registered_ms: u64,
    /// The entry that says where it is now.
    pub told_at: u64,
    /// The last entry about it.
    pub after: LineRef,
    /// It has an address that can be asked.
    pub has_url: bool,
    /// How it stands.
    pub state: SourceState,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// How often in a row it did not answer.
    pub failed: u32,
    /// Since when it does not, milliseconds since 1970.
    pub failing_since_ms: Option<u64>,
    /// When it was asked last, milliseconds since 1970.
    pub probed_ms: Option<u64>,
    /// When it is asked next, milliseconds since 1970.
    pub due_ms: u64,
    /// What was found and is no entry yet.
    pub owed: Option<SourceFinding>,
}

/// Who registered a source.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum SourceOwner {
    /// An organisation, by its id.
    Organisation(Address),
    /// The person whose data it is.
    Person(Address),
}

/// How a source stands, by the entries of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SourceState {
    /// Registered, or found with the same bytes since.
    Here,
    /// Moved, and not yet found there.
    Moved,
    /// It does not answer.
    Lost,
    /// It answers with other bytes.
    Changed,
}

/// What asking a source has found: all that its entry will say, so that it is the same after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceFinding {
    /// What it is now.
    pub what: SourceFound,
    /// When that was found, milliseconds since 1970.
    pub at_ms: u64,
    /// In whose trail it is told.
    pub subject: B256,
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SourceFound {
    /// It does not answer.
    Lost {
        /// Since when, milliseconds since 1970.
        since_ms: u64,
        /// How often it was tried.
        tries: u32,
        /// Who else has it.
        kept: Elsewhere,
    },
    /// It answers with other bytes.
    Changed {
        /// Their SHA-256.
        found: B256,
        /// Who else has what was registered.
        kept: Elsewhere,
    },
    /// It answers with the same bytes again.
    Back {
        /// Since when it was away, milliseconds since 1970.
        since_ms: u64,
    },
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
