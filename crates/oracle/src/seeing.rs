//! Who may see a person's trail without being that person: a delegate or a guardian with the right
//! SEE, and the key that control of an address moved to.
//!
//! Nothing is shown before the trail has a line that says who looks; one a day is enough.

use crate::intake::ReportError;
use crate::opener::EntryError;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, address_of, details_hash, event_id, subject_of};
use medtrail_ledger::ports::{JournalError, RegistryError};
use medtrail_ledger::schema::Report;
use medtrail_permit::consents;
use medtrail_permit::documents::Document;
use medtrail_permit::guardianship_end::{EndError, GuardianshipEnd};
use medtrail_permit::papers::Recorded;
use medtrail_permit::permits::{ChainState, Seeing, World, sees};
use serde::Serialize;

/// The version of the details of a line that says who looked.
const VERSION: &str = "medtrail/look-v1";
const DAY_MS: u64 = 86_400_000;

#[derive(Serialize)]
struct LookDetails {
    version: &'static str,
    reader: Address,
}

/// Why nobody can say whether somebody may see a trail, or why nothing may be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeeingError {
    /// Somebody is named to act for the person, and only the chain can tell whether they still do.
    #[error("the chain, which must tell whether you still act for this person, cannot be read now")]
    ChainUnreadable(#[source] RegistryError),
    /// The disk.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The line that says so got no place: then nothing may be shown.
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl From<JournalError> for SeeingError {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

impl Service {
    /// By what `who` may see now what the person of `subject` may see; none: by nothing. Of a
    /// pseudonym that was bound nobody sees anything under its name any more: the person has a key,
    /// and says themself who may look. Blocks.
    ///
    /// # Errors
    /// [`SeeingError::ChainUnreadable`] only for somebody who is named in the trail.
    pub fn may_see(&self, who: Address, subject: B256) -> Result<Option<Seeing>, SeeingError> {
        if subject.is_zero() || self.0.live.moved().contains_key(&subject) {
            return Ok(None);
        }
        if subject == subject_of(who) {
            return Ok(Some(Seeing { document: None, until_ms: u64::MAX }));
        }
        let papers = self.papers(subject)?;
        let names = |recorded: &Recorded| match &recorded.signed.document {
            Document::Delegation(delegation) => delegation.delegate == who,
            Document::Guardianship(guardianship) => guardianship.guardian == who,
            _ => false,
        };
        let is_named = papers.documents().iter().any(names);
        let (chain, pseudonyms) = match address_of(subject) {
            Some(address) => match self.0.permissions.consents.about(address) {
                Ok(records) => (consents::fold(address, &records), Vec::new()),
                Err(error) if is_named => return Err(SeeingError::ChainUnreadable(error)),
                Err(_) => return Ok(None),
            },
            None if is_named => (ChainState::default(), vec![self.kept(subject)?]),
            None => return Ok(None),
        };
        let world = World { pseudonyms, ..papers.world(self.registries(), chain) };
        let seeing = sees(subject, who, (self.0.now_ms)(), &world);
        // A binding may have come meanwhile.
        let is_moved = self.0.live.moved().contains_key(&subject);
        Ok(seeing.filter(|_| !is_moved))
    }

    /// Whether control of an address has moved to another key for good: then whoever holds the old
    /// key, perhaps who stole it, is not its person any more. Blocks.
    ///
    /// # Errors
    /// The chain cannot be read: nobody knows.
    pub fn has_lost_control(&self, address: Address) -> Result<bool, RegistryError> {
        let records = self.0.permissions.consents.about(address)?;
        let moves = consents::fold(address, &records).controllers;
        let newest = moves.iter().rev().find(|moved| moved.is_final);
        Ok(newest.is_some_and(|moved| moved.controller != address))
    }

    /// Enters that somebody who is not the person looks into their trail, once a day and looker;
    /// durable when this returns. Blocks.
    ///
    /// # Errors
    /// [`SeeingError`]: then nothing may be shown.
    pub fn note_look(&self, who: Address, subject: B256) -> Result<(), SeeingError> {
        let time_ms = (self.0.now_ms)();
        let day = time_ms / DAY_MS;
        let id = [b"look\0", subject.as_slice(), &day.to_be_bytes()].concat();
        let event = event_id(who, &id);
        let details = LookDetails { version: VERSION, reader: who };
        let details = serde_json::to_vec(&details).expect("plain data encodes");
        let report = Report {
            eventId: event,
            kind: Kind::Access.number(),
            action: b'R',
            timeMs: time_ms,
            subject,
            details: details_hash(&details),
            ..self.own_report()
        };
        self.enter_once(report, details)?;
        Ok(())
    }

    /// Whether a signed report that ends a guardianship is by who keeps that pseudonym, of one that
    /// stands in its trail.
    pub(crate) fn require_keeper(
        &self,
        report: &Report,
        details: Option<&[u8]>,
    ) -> Result<(), ReportError> {
        let end = GuardianshipEnd::read(report, details.unwrap_or_default())?;
        let unreadable = |error| match error {
            EntryError::Journal(error) => ReportError::Journal(error),
            other => JournalError::Damaged(other.to_string()).into(),
        };
        let kept = self.kept(report.subject).map_err(unreadable)?;
        let papers = self.papers(report.subject).map_err(unreadable)?;
        let is_it = |recorded: &Recorded| {
            recorded.id == end.guardianship
                && matches!(recorded.signed.document, Document::Guardianship(_))
        };
        let may = kept.keepers.contains(&report.actor) && papers.documents().iter().any(is_it);
        if may { Ok(()) } else { Err(EndError::Unknown.into()) }
    }
}
