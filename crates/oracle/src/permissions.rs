//! Permissions in the log: what a person signed becomes an entry of their trail, carried by anybody.
//!
//! The entry is the log's own, the word in it the person's: their signature stands in its details.
//! Whoever carries it learns where it stands and nothing else of the trail.

use crate::erasure::Obstacle;
use crate::intake::{ReportError, Submission};
use crate::opener::EntryError;
use crate::papers::Papers;
use crate::sequencer::PlaceError;
use crate::service::{Checked, Service};
use alloy_primitives::{Address, B256};
use medtrail_ledger::consents::{ConsentEvent, ConsentRecord};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::ports::{Consents, JournalError, RegistryError};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_ledger::signature::SignatureError;
use medtrail_ledger::trust::Key;
use medtrail_permit::check::{DocumentError, check};
use medtrail_permit::consents;
use medtrail_permit::documents::{Document, named};
use medtrail_permit::papers::Recorded;
use medtrail_permit::permits::{
    self, ChainState, Need, Pseudonym, Refusal, State, World, may_record,
};
use medtrail_permit::signed::{PermissionDetails, Signed};
use std::sync::Arc;

/// Documents of one trail that give something, at most. They are all looked at whenever a change is
/// judged.
pub const DOCUMENTS_MAX: usize = 4096;
/// The same of those that take something back; more, so that who gave can always take back.
pub const REVOCATIONS_MAX: usize = 2 * DOCUMENTS_MAX;

/// What permissions need of the world outside.
#[derive(Clone)]
pub struct Permissions {
    /// The consent registry.
    pub consents: Arc<dyn Consents>,
    /// What an act needs a permission for, from its report and its details document.
    pub need: fn(&Report, Option<&[u8]>) -> Need,
}

impl Permissions {
    /// Without a chain, and with nothing known of what an act needs. For tools and tests.
    pub fn of_the_log_alone() -> Self {
        Self { consents: Arc::new(Nowhere), need: |_, _| Need::default() }
    }
}

/// A registry that nobody has written to.
struct Nowhere;

impl Consents for Nowhere {
    fn registry(&self) -> Address {
        Address::ZERO
    }

    fn about(&self, _: Address) -> Result<Vec<ConsentRecord>, RegistryError> {
        Ok(Vec::new())
    }
}

/// A document in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entered {
    /// Its id.
    pub id: B256,
    /// Its entry's receipt, the place hashed.
    pub receipt: Receipt,
    /// It was entered just now; else it stood there already.
    pub is_new: bool,
}

/// Why a document was not recorded. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PermissionError {
    /// It permits nothing that a log acts on.
    #[error("a {0} is not recorded in a log")]
    Type(&'static str),
    /// It is not valid by itself.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A person with an address has no guardian.
    #[error("subject is no pseudonym, or another one: only a person without a key has a guardian")]
    NotAPseudonym,
    /// The pseudonym is somebody's who has a key.
    #[error("subject is a pseudonym that was connected to a person, who now speaks for themself")]
    Moved,
    /// A second signature that nothing needs.
    #[error("only a guardianship is countersigned")]
    Countersigned,
    /// The signature is none.
    #[error("signature: {0}")]
    Signature(#[source] SignatureError),
    /// The countersignature is none.
    #[error("countersignature: {0}")]
    Countersignature(#[source] SignatureError),
    /// Who signed does not act for this person, or may not say this.
    #[error("{}", told(.0))]
    Refused(Refusal),
    /// Whether who signed acts for this person stands on the chain, which cannot be read now.
    #[error("the chain, which must tell whether this counts, cannot be read just now")]
    ChainUnreadable(#[source] RegistryError),
    /// It was signed for another log.
    #[error("log is another one: this document asks another log to erase")]
    OtherLog,
    /// It had to be recorded earlier.
    #[error("expiresAt is over: it had to be recorded before; sign it anew")]
    Expired,
    /// One is waiting already.
    #[error("another erasure of this person is waiting; cancel it first")]
    ErasureWaits,
    /// The trail has another last line than the document names.
    #[error(
        "upToOrdinal is {asked}, and the last line of this trail is {last} now: an erasure goes up \
         to the last line when it is asked for; sign it for {last}"
    )]
    Lines {
        /// The last line.
        last: u64,
        /// The one that was named.
        asked: u64,
    },
    /// The law keeps it; an entry says so.
    #[error("nothing is erased now: {obstacle}")]
    ErasureRefused {
        /// The entry that says so.
        index: u64,
        /// Why.
        obstacle: Obstacle,
    },
    /// The trail has as many as are looked at.
    #[error("this trail holds as many documents as a log takes of one person")]
    TooMany,
    /// It got no place.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The trail could not be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

impl From<JournalError> for PermissionError {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

fn told(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotSigned => {
            "it is not signed, and the consent registry does not show it as granted"
        }
        Refusal::NotFinal => "what it rests on stands on the chain, but not in a final block yet",
        Refusal::Frozen => "this person's permissions are frozen: nothing can be given now",
        Refusal::ControlMoved => "the key that signed it does not act for this person any more",
        Refusal::NoRight => "whoever signed it acts for this person, but may not say this",
        _ => {
            "it was signed by nobody who acts for this person, or for another chain or registry, \
             or another text"
        }
    }
}

/// A person's permissions, as the log and the chain know them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overview {
    /// Who acts for the person now.
    pub controller: Address,
    /// The epoch that a permission must name now.
    pub epoch: u64,
    /// All that was given, newest first, each once.
    pub given: Vec<GivenDocument>,
    /// Whether the chain could be read: if not, all this is by the log alone.
    pub is_chain_read: bool,
}

/// A document that gives something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GivenDocument {
    /// Its id.
    pub id: B256,
    /// Its first entry.
    pub index: u64,
    /// When the log received that, milliseconds since 1970.
    pub received_ms: u64,
    /// The document.
    pub signed: Signed,
    /// How it stands now.
    pub state: State,
    /// What the registry says of it; none: nothing, or it could not be read.
    pub on_chain: Option<OnChain>,
}

/// What the consent registry has recorded of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnChain {
    /// When it was granted there, seconds since 1970.
    pub granted_at_s: Option<u64>,
    /// When it was revoked there.
    pub revoked_at_s: Option<u64>,
    /// No reorganisation takes any of it back.
    pub is_final: bool,
}

impl Service {
    /// Records what a person signed in their trail. Sending it again gives the same entry.
    ///
    /// # Errors
    /// [`PermissionError`]; after a [`PlaceError::OutcomeUnknown`] send it again.
    pub async fn record(&self, signed: Signed) -> Result<Entered, PermissionError> {
        self.record_about(signed, None).await
    }

    /// The same for a document that names a person without a key, which it can do by the last 20
    /// bytes only: `pseudonym` is the whole.
    ///
    /// # Errors
    /// [`PermissionError::NotAPseudonym`] if it is none, or another's; else as for [`Self::record`].
    pub async fn record_about(
        &self,
        signed: Signed,
        pseudonym: Option<B256>,
    ) -> Result<Entered, PermissionError> {
        if matches!(signed.document, Document::Erase(_)) {
            return self.ask_erasure(signed).await;
        }
        let revoked = match &signed.document {
            Document::Revoke(revoke) => Some(revoke.permission),
            _ => None,
        };
        let entered = self.record_one(signed, pseudonym).await?;
        if let Some(id) = revoked {
            self.cancel_revoked(id).await;
        }
        Ok(entered)
    }

    async fn record_one(
        &self,
        signed: Signed,
        pseudonym: Option<B256>,
    ) -> Result<Entered, PermissionError> {
        let (service, size) = (self.clone(), self.head().size);
        let check = move || service.check_document(signed, pseudonym);
        let checking = tokio::task::spawn_blocking(check);
        let stopped = |_| Err(ReportError::Place(PlaceError::Stopped).into());
        let (id, checked) = match checking.await.unwrap_or_else(stopped)? {
            Looked::Stands(known) => return Ok(known),
            Looked::Fits(id, checked) => (id, checked),
        };
        match self.enter(checked).await {
            Ok(receipt) => Ok(Entered { id, is_new: receipt.index >= size, receipt }),
            // Somebody else carried it at the same time; the moment in the report is another.
            Err(ReportError::Conflict { index, .. }) => {
                let service = self.clone();
                let again = tokio::task::spawn_blocking(move || service.receipt(index));
                let stopped = |_| Err(JournalError::Storage("a thread ended".to_owned()).into());
                let receipt = again.await.unwrap_or_else(stopped)?;
                Ok(Entered { id, is_new: false, receipt })
            }
            Err(ReportError::Moved { .. }) => Err(PermissionError::Moved),
            Err(error) => Err(error.into()),
        }
    }

    /// What a person has given, and how each of it stands. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn overview(&self, subject: Address) -> Result<Overview, EntryError> {
        self.overview_about(subject_of(subject))
    }

    /// The same of any subject id: of a pseudonym it is what was given for a person without a key.
    /// Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn overview_about(&self, whole: B256) -> Result<Overview, EntryError> {
        let subject = named(whole);
        let papers = self.papers(whole)?;
        let now_ms = (self.0.now_ms)();
        let is_address = subject_of(subject) == whole;
        let read = match is_address {
            true => self.0.permissions.consents.about(subject),
            // A pseudonym has nothing on chain.
            false => Ok(Vec::new()),
        };
        let is_chain_read = read.is_ok();
        let records = read.unwrap_or_default();
        let mut world = papers.world(self.registries(), consents::fold(subject, &records));
        if !is_address {
            world.pseudonyms = vec![self.kept(whole)?];
        }
        let states = permits::states(whole, now_ms, &world);
        let mut given: Vec<GivenDocument> = states
            .into_iter()
            .filter_map(|(id, state)| {
                let Recorded { index, received_ms, signed, .. } =
                    papers.documents().iter().find(|recorded| recorded.id == id)?.clone();
                let on_chain = on_chain(id, &records);
                Some(GivenDocument { id, index, received_ms, signed, state, on_chain })
            })
            .collect();
        given.reverse();
        Ok(Overview {
            controller: world.chain.controller_of(subject),
            // After the last one nothing can be given: a number that no document can name well.
            epoch: permits::epoch(whole, now_ms, &world).unwrap_or(u64::MAX),
            given,
            is_chain_read,
        })
    }

    fn check_document(
        &self,
        signed: Signed,
        pseudonym: Option<B256>,
    ) -> Result<Looked, PermissionError> {
        let document = &signed.document;
        if matches!(document, Document::RecoveryPolicy(_)) {
            return Err(PermissionError::Type(document.word()));
        }
        let signer = self.require_valid(&signed)?;
        let is_guardianship = matches!(document, Document::Guardianship(_));
        let registries = self.registries();
        let subject = match document {
            Document::Guardianship(guardian) => guardian.subject,
            other => match pseudonym {
                Some(whole) if named(whole) != other.subject() => {
                    return Err(PermissionError::NotAPseudonym);
                }
                Some(whole) => whole,
                None => subject_of(other.subject()),
            },
        };
        if (is_guardianship || pseudonym.is_some()) && subject.0[..12] == [0; 12] {
            return Err(PermissionError::NotAPseudonym);
        }
        if self.0.live.moved().contains_key(&subject) {
            return Err(PermissionError::Moved);
        }
        let id = document.id(&registries);
        let papers = self.papers(subject)?;
        let is_it =
            |known: &&Recorded| known.id == id && known.signed.signer(&registries) == Ok(signer);
        if let Some(known) = papers.documents().iter().find(is_it) {
            let receipt = self.receipt(known.index)?;
            return Ok(Looked::Stands(Entered { id, receipt, is_new: false }));
        }
        let is_alike = |known: &&Recorded| known.signed.document.gives() == document.gives();
        let most = if document.gives() { DOCUMENTS_MAX } else { REVOCATIONS_MAX };
        if papers.documents().iter().filter(is_alike).count() >= most {
            return Err(PermissionError::TooMany);
        }
        self.require_voice(&signed, subject, &papers)?;
        let report = Report {
            eventId: event_id(
                signer.unwrap_or_default(),
                &[b"permission\0", id.as_slice()].concat(),
            ),
            kind: Kind::Permission.number(),
            action: if document.gives() { b'C' } else { b'D' },
            timeMs: (self.0.now_ms)(),
            subject,
            permission: id,
            ..self.own_report()
        };
        let details = serde_json::to_vec(&PermissionDetails::of(signed));
        let details = details.expect("plain data encodes");
        let report = Report { details: details_hash(&details), ..report };
        let submission = Submission { report, evidence: Evidence::Relayed, details: Some(details) };
        Ok(Looked::Fits(id, self.check_relayed(submission)?))
    }

    /// Whether a document and its signatures are any; who signed it, if anybody did.
    pub(crate) fn require_valid(
        &self,
        signed: &Signed,
    ) -> Result<Option<Address>, PermissionError> {
        let document = &signed.document;
        check(document)?;
        if signed.countersignature.is_some() && !matches!(document, Document::Guardianship(_)) {
            return Err(PermissionError::Countersigned);
        }
        let registries = self.registries();
        let signer = signed.signer(&registries).map_err(PermissionError::Signature)?;
        signed.countersigner(&registries).map_err(PermissionError::Countersignature)?;
        Ok(signer)
    }

    /// Whether who signed may say it. The chain is asked last, and where it is silent, what needs it
    /// waits: control may have moved either way, but what an old key signs counts nowhere.
    pub(crate) fn require_voice(
        &self,
        signed: &Signed,
        subject: B256,
        papers: &Papers,
    ) -> Result<(), PermissionError> {
        let address = signed.document.subject();
        let now_ms = (self.0.now_ms)();
        let is_pseudonym = subject != subject_of(address);
        let read = match is_pseudonym {
            // A pseudonym has nothing on chain.
            true => Ok(Vec::new()),
            false => self.0.permissions.consents.about(address),
        };
        let mut world = papers.world(self.registries(), ChainState::default());
        if is_pseudonym {
            world.pseudonyms = vec![self.kept_now(subject)?];
        }
        match read {
            Ok(records) => {
                let chain = consents::fold(address, &records);
                let world = World { chain, ..world };
                may_record(signed, subject, now_ms, &world).map_err(PermissionError::Refused)
            }
            Err(error) => may_record(signed, subject, now_ms, &world)
                .map_err(|_| PermissionError::ChainUnreadable(error)),
        }
    }

    /// A pseudonym and the keys with which who keeps it may say something now.
    fn kept_now(&self, pseudonym: B256) -> Result<Pseudonym, EntryError> {
        let now_ms = (self.0.now_ms)();
        self.kept_by(pseudonym, |key| key.speaks_at(now_ms))
    }

    /// A pseudonym and the keys of who keeps it, those too that it has no more: whether a key might
    /// speak was asked when its word was recorded. Else a change of keys would end guardianships,
    /// and bring back one that an older key had ended.
    pub(crate) fn kept(&self, pseudonym: B256) -> Result<Pseudonym, EntryError> {
        self.kept_by(pseudonym, |_| true)
    }

    /// Who keeps a pseudonym is whose word its first entry is. One without entries is nobody's yet.
    fn kept_by(
        &self,
        pseudonym: B256,
        is_wanted: impl Fn(&Key) -> bool,
    ) -> Result<Pseudonym, EntryError> {
        let first = self.part(pseudonym)?.first()?;
        let first = first.map(|index| self.open_row(index)).transpose()?;
        let keeper = first.and_then(|entry| self.0.live.reporter_of(&entry));
        let keys = keeper.and_then(|id| self.listed(id)).map_or_else(Vec::new, |one| one.keys);
        let keepers = keys.iter().filter(|key| is_wanted(key)).map(|key| key.address);
        Ok(Pseudonym { pseudonym, keepers: keepers.collect(), bound: None })
    }
}

/// What a look at a document found.
enum Looked {
    /// It is in the log.
    Stands(Entered),
    /// It may be recorded, and waits for its place.
    Fits(B256, Checked),
}

fn on_chain(id: B256, records: &[ConsentRecord]) -> Option<OnChain> {
    let mut found = OnChain { granted_at_s: None, revoked_at_s: None, is_final: true };
    for record in records {
        match record.event {
            ConsentEvent::Granted { permission, at_s } if permission == id => {
                found.granted_at_s = Some(at_s);
            }
            ConsentEvent::Revoked { permission, at_s } if permission == id => {
                found.revoked_at_s = Some(at_s);
            }
            _ => continue,
        }
        found.is_final &= record.is_final;
    }
    (found.granted_at_s.is_some() || found.revoked_at_s.is_some()).then_some(found)
}
