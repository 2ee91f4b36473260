//! Addresses that a person sells under: each joins their own by one document, signed with both keys.
//!
//! Nothing moves. What is reported about an alias stands in its own trail; whoever signs in with the
//! person's own address sees it with theirs, and whoever signs in with the alias sees its part alone.
//! Who the two are is told to nobody else: the documents in the two lines that record it are shown to
//! the person's own address only, since the key of an alias is used in public and may be stolen.

use crate::intake::ReportError;
use crate::opener::Entry;
use crate::service::Service;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use medtrail_ledger::binding::alias::{self, AliasDetails, Language};
use medtrail_ledger::binding::{BindingDocumentError, alias::is_alias};
use medtrail_ledger::directory::{AliasRow, AliasState, BindingRow, BindingState, DirectoryChange};
use medtrail_ledger::entry::{Kind, address_of, details_hash, event_id, subject_of};
use medtrail_ledger::ports::{JournalError, RegistryError, SubjectTag};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::{self, Binding, Report};
use medtrail_permit::consents;
use medtrail_permit::permits::{World, sees};

/// How far ahead a document may expire, in milliseconds: a day. Both keys are at hand.
pub const ALIAS_MS_MAX: u64 = 24 * 3600 * 1000;
/// Aliases of one person: each is one more part that every page of the trail walks.
pub const ALIASES_MAX: usize = 32;

/// An alias that is to join whoever is signed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Joining {
    /// The fresh address.
    pub alias: Address,
    /// Until when the document is good, seconds since 1970.
    pub expires_at_s: u64,
    /// In which language both were read.
    pub language: Language,
    /// By the person's own address.
    pub signature: Bytes,
    /// By the alias.
    pub countersignature: Bytes,
}

/// An alias of a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnAlias {
    /// The address.
    pub alias: Address,
    /// Its entry in the alias's trail, and the one in the person's own; none: on their way.
    pub entries: Option<[u64; 2]>,
}

/// Why no alias joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AliasError {
    /// A signature, or the document.
    #[error(transparent)]
    Document(#[from] BindingDocumentError),
    /// Too far ahead.
    #[error("expiresAt: at most {} s ahead", ALIAS_MS_MAX / 1000)]
    Expiry,
    /// It joined somebody else. Only who has its key learns it.
    #[error("this address has joined another one already; draw a fresh one")]
    Taken,
    /// The caller's address is an alias itself.
    #[error("you are signed in with an address that you sell under; sign in with your own")]
    OfAlias,
    /// It is more than an address to sell under.
    #[error("this address has others, or organisations, connected to it; draw a fresh one")]
    NotFresh,
    /// Enough.
    #[error("you have {ALIASES_MAX} addresses to sell under, and there can be no more")]
    TooMany,
    /// The chain says that one of the keys has no control of its address any more.
    #[error("control of one of the two addresses has moved to another key")]
    ControlMoved,
    /// Only the chain can say whether both keys have control.
    #[error("the chain, which must tell whether both keys still count, cannot be read now")]
    ChainUnreadable(#[source] RegistryError),
    /// Both signed, and it joined; its entries are not in the log yet. Send it again.
    #[error("it has joined, but the entries are not in the log yet; send it again: {0}")]
    NotEntered(#[source] ReportError),
    /// The disk. It may have happened all the same: send it again.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Service {
    /// Joins an alias to the address of `caller`. Returns its entry in the alias's trail and the one
    /// in the caller's, once both are durable. The same again is answered alike, also after the
    /// document's end.
    ///
    /// # Errors
    /// [`AliasError`].
    pub async fn join_alias(
        &self,
        caller: Address,
        joining: Joining,
    ) -> Result<[u64; 2], AliasError> {
        let (service, asked) = (self.clone(), joining.clone());
        let weighing = tokio::task::spawn_blocking(move || service.weigh_alias(caller, &asked));
        let weighed = weighing.await.map_err(|lost| JournalError::Storage(lost.to_string()))?;
        weighed?;
        self.act(move |service| service.join_now(caller, joining)).await
    }

    /// The aliases of a person, as they joined.
    pub fn aliases(&self, subject: Address) -> Vec<OwnAlias> {
        let rows = self.0.live.rows();
        let own = rows.aliases_of(subject).map(|row| {
            let entries = match row.state {
                AliasState::Entered { entries } => Some(entries),
                AliasState::Entering { .. } => None,
            };
            OwnAlias { alias: row.alias, entries }
        });
        own.collect()
    }

    /// Whose alias a subject id is.
    pub fn joined_to(&self, subject: B256) -> Option<Address> {
        let alias = address_of(subject)?;
        self.0.live.rows().alias(alias).map(|row| row.subject)
    }

    /// Whether what is reported about `subject` is a person's to see: under their own address, a
    /// pseudonym that was bound to it, or an alias that joined it.
    pub fn is_theirs(&self, person: Address, subject: B256) -> bool {
        self.parts(person).contains(&subject) || self.joined_to(subject) == Some(person)
    }

    /// An entry as the person of `subject` is shown it: the document that joins an alias too, but not
    /// to the alias itself.
    pub fn shown_whole(&self, subject: B256, entry: Entry) -> Entry {
        match self.joined_to(subject) {
            None => self.shown_corrected(entry),
            Some(_) => self.shown_corrected(Self::without_joining(entry)),
        }
    }

    /// The same without that document: it tells whose two addresses are.
    fn without_joining(entry: Entry) -> Entry {
        let is_joining =
            is_own_word(&entry, Kind::Binding) && entry.details.as_deref().is_some_and(is_alias);
        if is_joining { Entry { details: None, ..entry } } else { entry }
    }

    /// An entry as others see it who may: without that document, and without which lines a notice was
    /// of. They may be an alias's, and who reported one of them knows its number. Of everybody's
    /// notices: else it would tell who sells.
    pub(crate) fn without_alias(entry: Entry) -> Entry {
        match is_own_word(&entry, Kind::Notice) {
            true => Entry { details: None, ..entry },
            false => Self::without_joining(entry),
        }
    }

    /// By which name whoever sees a person's whole trail listens: no entry has it. Who only acts for
    /// the person must not hear what joins it.
    pub(crate) fn whole_tag(&self, subject: B256) -> SubjectTag {
        let name = [b"medtrail/whole\0", subject.as_slice()].concat();
        self.0.tags.subject_tag(keccak256(name))
    }

    fn document_of_alias(caller: Address, joining: &Joining) -> Binding {
        alias::document(caller, joining.alias, joining.expires_at_s, joining.language)
    }

    /// Both signatures first: whoever has not both keys learns nothing. Then the chain, before anybody
    /// waits for this.
    fn weigh_alias(&self, caller: Address, joining: &Joining) -> Result<(), AliasError> {
        let trust = self.trust();
        let domain = schema::domain(trust.chain_id, trust.registry);
        let document = Self::document_of_alias(caller, joining);
        let (signature, countersignature) = (&joining.signature, &joining.countersignature);
        alias::check_signatures(&document, signature, countersignature, &domain)?;
        if self.joined_to(subject_of(joining.alias)).is_some() {
            return Ok(());
        }
        for address in [caller, joining.alias] {
            let records = self.0.permissions.consents.about(address);
            let records = records.map_err(AliasError::ChainUnreadable)?;
            let world = World {
                registries: self.registries(),
                documents: Vec::new(),
                chain: consents::fold(address, &records),
                pseudonyms: Vec::new(),
                uses: Vec::new(),
                ends: Vec::new(),
                market: None,
                sales: Vec::new(),
            };
            if sees(subject_of(address), address, (self.0.now_ms)(), &world).is_none() {
                return Err(AliasError::ControlMoved);
            }
        }
        Ok(())
    }

    fn join_now(&self, caller: Address, joining: Joining) -> Result<[u64; 2], AliasError> {
        let known = self.0.live.rows().alias(joining.alias).cloned();
        match known {
            Some(row) if row.subject == caller => return self.complete_alias(&row),
            Some(_) => return Err(AliasError::Taken),
            None => {}
        }
        let time_ms = (self.0.now_ms)();
        let document = Self::document_of_alias(caller, &joining);
        alias::check(&document, time_ms / 1000)?;
        if joining.expires_at_s > (time_ms + ALIAS_MS_MAX) / 1000 {
            return Err(AliasError::Expiry);
        }
        self.require_fresh(caller, joining.alias, time_ms)?;
        let trust = self.trust();
        let id = schema::digest(&document, &schema::domain(trust.chain_id, trust.registry));
        let Joining { alias, signature, countersignature, .. } = joining;
        let version = alias::VERSION.to_owned();
        let details = AliasDetails { version, document, signature, countersignature };
        let details = serde_json::to_vec(&details).expect("plain data encodes");
        let state = AliasState::Entering { details, time_ms };
        let row = AliasRow { alias, subject: caller, id, state };
        self.0.live.apply(vec![DirectoryChange::PutAlias(row.clone())])?;
        self.complete_alias(&row)
    }

    /// No chains and no circles: an alias is nothing but an alias, and nobody's but one person's.
    fn require_fresh(
        &self,
        caller: Address,
        alias: Address,
        now_ms: u64,
    ) -> Result<(), AliasError> {
        let rows = self.0.live.rows();
        if rows.alias(caller).is_some() {
            return Err(AliasError::OfAlias);
        }
        let claims = |row: &BindingRow| match &row.state {
            BindingState::Claimed(parties) | BindingState::Signed { parties, .. } => {
                parties.subject == alias && now_ms < row.expires_ms
            }
            _ => false,
        };
        let is_fresh = rows.aliases_of(alias).next().is_none()
            && rows.bindings_of(alias).next().is_none()
            && !rows.open_bindings().any(claims);
        if !is_fresh {
            return Err(AliasError::NotFresh);
        }
        match rows.aliases_of(caller).count() >= ALIASES_MAX {
            true => Err(AliasError::TooMany),
            false => Ok(()),
        }
    }

    /// Enters what both keys signed. A crash before, between and after the two entries leads here
    /// again, and each is entered once: their event ids and times are fixed.
    ///
    /// Neither entry names the document's id: who sees one of the two lines, and guesses the other
    /// address, could make that id anew. The hash of the details cannot be guessed, for both
    /// signatures are in them.
    fn complete_alias(&self, row: &AliasRow) -> Result<[u64; 2], AliasError> {
        let (details, time_ms) = match &row.state {
            AliasState::Entered { entries } => return Ok(*entries),
            AliasState::Entering { details, time_ms } => (details, *time_ms),
        };
        let alias = subject_of(row.alias);
        self.0.recent.join(self.whole_tag(subject_of(row.subject)), self.0.tags.subject_tag(alias));
        let hash = details_hash(details);
        let enter = |whose: Address| {
            let report = Report {
                eventId: event_id(whose, &[b"alias\0", hash.as_slice()].concat()),
                kind: Kind::Binding.number(),
                timeMs: time_ms,
                subject: subject_of(whose),
                details: hash,
                ..self.own_report()
            };
            self.enter_own(report, details.clone()).map_err(AliasError::NotEntered)
        };
        let entries = [enter(row.alias)?, enter(row.subject)?];
        let entered = AliasRow { state: AliasState::Entered { entries }, ..row.clone() };
        self.0.live.apply(vec![DirectoryChange::PutAlias(entered)])?;
        Ok(entries)
    }

    /// Completes what a crash left.
    pub(crate) fn resume_aliases(&self) {
        let rows: Vec<AliasRow> = self.0.live.rows().entering_aliases().cloned().collect();
        for row in rows {
            if let Err(error) = self.complete_alias(&row) {
                tracing::warn!("an address that joined waits for its entries: {error}");
            }
        }
    }
}

fn is_own_word(entry: &Entry, kind: Kind) -> bool {
    Kind::from_number(entry.report.kind) == kind && entry.evidence == Evidence::Relayed
}
