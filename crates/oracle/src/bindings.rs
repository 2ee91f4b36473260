//! How a pseudonym becomes a person's: a code from the desk, a document for the person, both
//! signatures, and two entries.
//!
//! The pseudonym counts as moved once both signatures are durable. From then on no report for it
//! reaches the writer's queue, and the binding's own entry is queued after all that did: it is the
//! last of the pseudonym's trail.

mod steps;
mod tries;

pub(crate) use tries::Tries;

use crate::intake::ReportError;
use crate::opener::EntryError;
use crate::own::NoRandomness;
use crate::service::Service;
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::binding::BindingDocumentError;
use medtrail_ledger::directory::{BindingRow, BindingState, code_hash};
use medtrail_ledger::entry::subject_of;
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::schema::Binding;
use steps::document_of;

/// How far ahead a code may expire, in milliseconds: 7 days.
pub const CODE_MS_MAX: u64 = 7 * 24 * 3600 * 1000;
/// Codes of one organisation that are good at the same time, at most.
pub const CODES_OPEN_MAX: usize = 10_000;
/// Wrong codes from one address within [`TRIES_MS`].
pub const TRIES_MAX: u32 = 10;
/// Addresses of which wrong codes are counted; beyond it counting begins anew.
pub(crate) const TRIERS_MAX: usize = 10_000;
/// For how long wrong codes count, in milliseconds: an hour.
pub const TRIES_MS: u64 = 3600 * 1000;

/// Names a binding: the [`code_hash`] of its code.
pub type BindingId = B256;

/// A binding that waits for its organisation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// Its id, which is the hash of its code.
    pub id: BindingId,
    /// What the person signed.
    pub document: Binding,
    /// The person's signature.
    pub signature: Bytes,
    /// Until when, milliseconds since 1970.
    pub expires_ms: u64,
}

/// A person's binding, done or not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnBinding {
    /// Its id.
    pub id: BindingId,
    /// Whose pseudonym it is.
    pub organisation: Address,
    /// The pseudonym.
    pub pseudonym: B256,
    /// Until when it can be signed, milliseconds since 1970.
    pub expires_ms: u64,
    /// How far it is.
    pub progress: Progress,
}

/// How far a person's binding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The person has to sign.
    ToSign,
    /// The organisation has to countersign.
    ToCountersign,
    /// Both signed; its entries are on their way.
    Entering,
    /// Both entries are in the log.
    Entered([u64; 2]),
    /// Another binding of the pseudonym came first.
    Refused,
}

/// What bound a pseudonym.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// When, milliseconds since 1970.
    pub time_ms: u64,
    /// The `medtrail/binding-v1` document, byte for byte.
    pub details: Vec<u8>,
}

/// Why nothing was bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindingError {
    /// Only organisations with a signing key can identify anybody.
    #[error("no organisation with a signing key of its own has the id {0}")]
    NotSigning(Address),
    /// Not a pseudonym.
    #[error("pseudonym: an address, or zero, cannot be bound")]
    Pseudonym,
    /// It is another organisation's.
    #[error("pseudonym: its entries were not reported by this organisation")]
    Foreign,
    /// Too far ahead, or over.
    #[error("expiresMs: in the future, at most {CODE_MS_MAX} ms ahead")]
    Expiry,
    /// The same code was given out for something else.
    #[error("codeHash: this code was given out before; draw another one")]
    CodeTaken,
    /// The organisation's desk gives out too many.
    #[error("{CODES_OPEN_MAX} codes of this organisation are open; wait until some expire")]
    TooManyCodes,
    /// The pseudonym is somebody's. They were told.
    #[error("this pseudonym is bound already; its person was told of this")]
    AlreadyBound,
    /// No such code.
    #[error("no such code; check it, or ask at the desk for a new one")]
    Code,
    /// Too many wrong codes.
    #[error("too many wrong codes; try again in an hour")]
    TooManyTries,
    /// An alias has nothing connected to it: an organisation would learn under what its person sells.
    #[error("you are signed in with an address that you sell under; sign in with your own")]
    Alias,
    /// Its time is over.
    #[error("this code has expired; ask at the desk for a new one")]
    Expired,
    /// Somebody else came with it first.
    #[error("this code was used by somebody else; tell the desk, and ask for a new one")]
    CodeUsed,
    /// No such binding of the caller's.
    #[error("you have no such binding, or it is not at this step")]
    Unknown,
    /// The signature or the document.
    #[error(transparent)]
    Document(#[from] BindingDocumentError),
    /// Both signed, and the pseudonym is moved; the entries are not in the log yet. Countersign
    /// again.
    #[error("both signed, but the entries are not in the log yet; countersign again: {0}")]
    NotEntered(#[source] ReportError),
    /// No random bytes.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The disk. It may have happened all the same: the step can be repeated.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Service {
    /// Where a subject's entries go now: follows a binding.
    pub fn subject_now(&self, subject: B256) -> B256 {
        let moved = self.0.live.moved();
        moved.get(&subject).map_or(subject, |moved| subject_of(moved.to))
    }

    /// Notes that the desk of `organisation` gave out a code for the person behind `pseudonym`.
    /// Only its hash ([`code_hash`]) is known here. The same call again changes nothing. `by` is
    /// the signing key that says so, if one does: it alone can countersign, for no other gateway
    /// of the organisation knows the code.
    ///
    /// # Errors
    /// [`BindingError::NotSigning`], [`BindingError::Pseudonym`], [`BindingError::Foreign`],
    /// [`BindingError::Expiry`], [`BindingError::CodeTaken`], [`BindingError::TooManyCodes`],
    /// [`BindingError::AlreadyBound`].
    pub async fn issue_code(
        &self,
        organisation: Address,
        by: Option<Address>,
        pseudonym: B256,
        code_hash: B256,
        expires_ms: u64,
    ) -> Result<(), BindingError> {
        let state = by.map_or(BindingState::Issued, BindingState::IssuedBy);
        let id = code_hash;
        let row = BindingRow { id, organisation, pseudonym, expires_ms, state };
        self.act(move |service| service.issue_code_now(row)).await
    }

    /// The document that `subject`, who came with this code, is to sign. From now on the code is
    /// theirs alone. Blocks.
    ///
    /// # Errors
    /// [`BindingError::Code`], [`BindingError::TooManyTries`], [`BindingError::Expired`],
    /// [`BindingError::CodeUsed`], [`BindingError::AlreadyBound`], [`BindingError::Alias`].
    pub fn binding_for(
        &self,
        subject: Address,
        code: &str,
    ) -> Result<(BindingId, Binding), BindingError> {
        let _one_at_a_time = self.0.live.begin()?;
        let outcome = self.claim_now(subject, code_hash(code));
        self.pay();
        outcome
    }

    /// Takes the person's signature (65 bytes).
    ///
    /// # Errors
    /// [`BindingError::Unknown`], [`BindingError::Document`].
    pub async fn sign_binding(
        &self,
        caller: Address,
        id: BindingId,
        signature: Bytes,
    ) -> Result<(), BindingError> {
        self.act(move |service| service.sign_now(caller, id, signature)).await
    }

    /// The bindings that wait for this organisation's signature, or whose entries do.
    pub fn pending_bindings(&self, organisation: Address) -> Vec<Pending> {
        let now_ms = (self.0.now_ms)();
        let rows = self.0.live.rows();
        let own = rows.open_bindings().filter(|row| row.organisation == organisation);
        own.filter_map(|row| match &row.state {
            BindingState::Signed { parties, signature } if now_ms < row.expires_ms => {
                Some((row, parties, signature))
            }
            BindingState::Entering { parties, signature, .. } => Some((row, parties, signature)),
            _ => None,
        })
        .map(|(row, parties, signature)| Pending {
            id: row.id,
            document: document_of(row, parties),
            signature: signature.clone(),
            expires_ms: row.expires_ms,
        })
        .collect()
    }

    /// The details document by which a pseudonym of this organisation moved, byte for byte, and its
    /// entry's time: both signatures stand in it, so that each of the organisation's gateways can
    /// see for itself whether to follow. Blocks.
    ///
    /// # Errors
    /// [`BindingError::Unknown`] alike for a pseudonym that is not bound, is another
    /// organisation's, or whose content was erased.
    pub fn binding_of(
        &self,
        organisation: Address,
        pseudonym: B256,
    ) -> Result<Bound, BindingError> {
        let moved = self.0.live.moved().get(&pseudonym).copied().ok_or(BindingError::Unknown)?;
        let last = {
            let rows = self.0.live.rows();
            let mut rows = rows.bindings_of(moved.to);
            let row =
                rows.find(|row| (row.organisation, row.pseudonym) == (organisation, pseudonym));
            match row.map(|row| &row.state) {
                Some(BindingState::Entered { entries: [last, _], .. }) => *last,
                _ => return Err(BindingError::Unknown),
            }
        };
        match self.entry(last) {
            Ok(entry) => {
                let details = entry.details.ok_or(BindingError::Unknown)?;
                Ok(Bound { time_ms: entry.report.timeMs, details })
            }
            Err(EntryError::Journal(error)) => Err(error.into()),
            Err(_) => Err(BindingError::Unknown),
        }
    }

    /// A person's own bindings.
    pub fn own_bindings(&self, subject: Address) -> Vec<OwnBinding> {
        let rows = self.0.live.rows();
        let is_open = |row: &&BindingRow| !matches!(row.state, BindingState::Entering { .. });
        let rows = rows.bindings_of(subject).chain(rows.open_bindings().filter(is_open));
        let own = rows.filter_map(|row| {
            let (whose, progress) = match &row.state {
                BindingState::Issued | BindingState::IssuedBy(_) | BindingState::Refused => {
                    return None;
                }
                BindingState::Claimed(parties) => (parties.subject, Progress::ToSign),
                BindingState::Signed { parties, .. } => (parties.subject, Progress::ToCountersign),
                BindingState::Entering { parties, .. } => (parties.subject, Progress::Entering),
                BindingState::Entered { subject, entries } => {
                    (*subject, Progress::Entered(*entries))
                }
            };
            let (id, organisation, pseudonym) = (row.id, row.organisation, row.pseudonym);
            let own =
                OwnBinding { id, organisation, pseudonym, expires_ms: row.expires_ms, progress };
            (whose == subject).then_some(own)
        });
        own.collect()
    }

    /// Takes the organisation's signature over the same document, and enters the binding: the last
    /// entry of the pseudonym's trail, and the same in the address's. Returns their indexes, once
    /// they are durable. May be repeated until it succeeds, and after.
    ///
    /// # Errors
    /// [`BindingError::Unknown`], [`BindingError::Expired`], [`BindingError::Document`],
    /// [`BindingError::AlreadyBound`], [`BindingError::NotEntered`].
    pub async fn countersign(
        &self,
        organisation: Address,
        id: BindingId,
        signature: Bytes,
    ) -> Result<[u64; 2], BindingError> {
        self.act(move |service| service.countersign_now(organisation, id, signature)).await
    }
}
