//! Where the bytes of records are kept: registered and moved by who keeps them, and looked after by
//! the log, which tells the person when they are gone.
//!
//! All of it is entries of kind 7. The clerk of [`inquiries`](crate::inquiries) keeps the register
//! behind the head; the [`prober`] asks. The content decides: what answers with the SHA-256 that was
//! registered is the same data wherever it is, and nothing else is.

mod fold;
pub mod prober;
pub(crate) mod register;
mod seen;

use crate::inquiries::{Noted, PAGE_MAX, Whose, check_word_of};
use crate::intake::{Intake, ReportError, Submission};
use crate::opener::EntryError;
use crate::sequencer::PlaceError;
use crate::service::{Prepared, Service};
use alloy_primitives::B256;
use medtrail_ledger::directory::{SourceOwner, SourceRow, SourceState};
use medtrail_ledger::entry::{Kind, commitment};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::schema::Report;
use medtrail_ledger::source::{
    Elsewhere, Fetcher, Nothing, Registered, SourceError, Told, Whereabouts,
};
use std::sync::Arc;

/// Sources of one person's records.
pub const OF_PERSON_MAX: usize = 256;
/// Sources that one organisation has registered.
pub const OF_ORGANISATION_MAX: usize = 20_000;
/// How often a source is asked, unless configured otherwise, in milliseconds.
pub const EVERY_MS: u64 = 6 * 3_600_000;
/// After how many tries in vain it is lost, unless configured otherwise.
pub const LOST_AFTER: u32 = 4;

/// What looking after sources needs of the world outside.
#[derive(Clone)]
pub struct Sources {
    /// Asks them.
    pub fetcher: Arc<dyn Fetcher>,
    /// The time between two askings, in milliseconds.
    pub every_ms: u64,
    /// After how many tries in vain, one after the other, a source is lost.
    pub lost_after: u32,
}

impl Sources {
    /// Without a way to any of them.
    pub fn nowhere() -> Self {
        Self { fetcher: Arc::new(Nothing), every_ms: EVERY_MS, lost_after: LOST_AFTER }
    }
}

/// Why nothing was registered or moved. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceRefusal {
    /// The details are no such document.
    #[error(
        "details is a medtrail/source-v1, act `registered` or `moved`, with its members and no others"
    )]
    Form,
    /// A field of them breaks its rule.
    #[error("details: {0}")]
    Field(#[from] SourceError),
    /// The report does not fit.
    #[error("report.{field} must be {rule}")]
    Report {
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// None, or none that whoever signed may move.
    #[error("there is no such source that you may move")]
    NoSuchSource,
    /// It is elsewhere already.
    #[error("the source is not there any more: read where it is now, and move it from there")]
    Elsewhere,
    /// As many sources as there is room for.
    #[error("{OF_PERSON_MAX} sources of one person, {OF_ORGANISATION_MAX} of one organisation")]
    TooMany,
    /// It got no place.
    #[error(transparent)]
    NotTaken(#[from] ReportError),
    /// The disk could not be read.
    #[error(transparent)]
    Entry(#[from] EntryError),
}

/// A source and how it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceView {
    /// The row: places and times.
    pub row: SourceRow,
    /// As it was registered.
    pub registered: Registered,
    /// Where it is now.
    pub at: Whereabouts,
    /// Who keeps it now.
    pub keeper: String,
    /// Who else has the same bytes.
    pub kept: Elsewhere,
}

impl SourceView {
    /// How it stands: `here`, `stale`, `lost`, `moved` or `changed`.
    pub fn state(&self) -> &'static str {
        match self.row.state {
            SourceState::Lost => "lost",
            SourceState::Changed => "changed",
            SourceState::Here | SourceState::Moved if self.row.failed > 0 => "stale",
            SourceState::Moved => "moved",
            SourceState::Here => "here",
        }
    }

    /// Since when, milliseconds since 1970.
    pub fn since_ms(&self) -> u64 {
        match self.state() {
            "stale" => self.row.failing_since_ms.unwrap_or(self.row.since_ms),
            _ => self.row.since_ms,
        }
    }
}

impl Service {
    /// Takes what whoever keeps a source says of it, signed: an organisation, or the person whose
    /// data it is. The same report again is the same entry.
    ///
    /// # Errors
    /// [`SourceRefusal`]; after a [`PlaceError::OutcomeUnknown`] send it again.
    pub async fn tell_source(&self, submission: Submission) -> Result<Noted, SourceRefusal> {
        let (service, size) = (self.clone(), self.head().size);
        let prepared = off_thread(move || service.check_source(submission)).await?;
        let receipt = self.place(vec![Ok(prepared)]).await.pop();
        let receipt = receipt.unwrap_or(Err(PlaceError::Stopped.into()))?;
        let (service, index) = (self.clone(), receipt.index);
        off_thread(move || {
            service.note(index)?;
            let entry = service.entry(index)?;
            let id = match entry.report.permission {
                B256::ZERO => commitment(&entry.report, &entry.place),
                id => id,
            };
            Ok(Noted { id, receipt: service.receipt(index)?, is_new: index >= size })
        })
        .await
    }

    fn check_source(&self, submission: Submission) -> Result<Prepared, SourceRefusal> {
        let report = &submission.report;
        let fault = |field, rule| Err(SourceRefusal::Report { field, rule });
        let details = submission.details.as_deref().ok_or(SourceRefusal::Form)?;
        let told: Told = serde_json::from_slice(details).map_err(|_| SourceRefusal::Form)?;
        told.check()?;
        if report.subject.is_zero() {
            return fault("subject", "a person");
        }
        if report.record.is_zero() {
            return fault("record", "the id of the record that is kept there");
        }
        if report.toVersion.is_zero() {
            return fault("toVersion", "SHA-256 of the bytes that are kept there");
        }
        let trust = self.trust();
        let mut intake = Intake::new(&trust, (self.0.now_ms)());
        let organisation = self.organisation_of(report.actor);
        // The signature before all that tells something about sources.
        match organisation {
            Some(_) => intake.check(&submission)?,
            None => {
                intake.check_in_vault(&submission, Kind::Source)?;
                check_word_of(report, details)?;
            }
        }
        let Some(owner) = self.owner_of(report) else {
            return fault("subject", "that of whoever signs, who is no organisation of this log");
        };
        match &told {
            // What stands already is answered as before, also where no more would fit.
            Told::Registered(_) if self.is_full(report.subject, owner) => {
                if self.standing(report)?.is_none() {
                    return Err(SourceRefusal::TooMany);
                }
            }
            Told::Registered(_) => {}
            Told::Moved(moved) => {
                let row = self.0.live.rows().sources.get(moved.source).cloned();
                let row = row.filter(|row| self.may_move(report, row));
                let row = row.ok_or(SourceRefusal::NoSuchSource)?;
                if report.record != row.record {
                    return fault("record", "the source's");
                }
                if report.toVersion != row.version {
                    return fault("toVersion", "the source's: other bytes are another source");
                }
                let is_there = self.place_of(&row)?.is_some_and(|(at, _)| at == moved.from);
                if !is_there && self.standing(report)?.is_none() {
                    return Err(SourceRefusal::Elsewhere);
                }
            }
        }
        Ok(self.prepare(submission, organisation)?)
    }

    /// Where this event of a signed report stands already.
    fn standing(&self, report: &Report) -> Result<Option<u64>, JournalError> {
        let key = self.0.tags.event_key(report.actor, report.subject, report.eventId);
        self.0.recent.reach(self.head().size)?;
        match self.0.recent.find(key) {
            Some(index) => Ok(Some(index)),
            None => self.0.journal.find(key),
        }
    }

    /// The sources of a person's records, or those that an organisation registered, newest first, and
    /// the `before` of the next page. Blocks.
    ///
    /// # Errors
    /// Where the disk cannot be read.
    pub fn sources(
        &self,
        whose: Whose,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<SourceView>, Option<u64>), EntryError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let parts = self.parts_asked_for(whose);
        let is_wished = |row: &&SourceRow| before.is_none_or(|before| row.index < before);
        let rows: Vec<SourceRow> = {
            let rows = self.0.live.rows();
            match whose {
                Whose::Person(_) | Whose::About(_) => {
                    let found = rows.sources.of_subjects(&parts).filter(is_wished);
                    found.take(limit + 1).cloned().collect()
                }
                Whose::Organisation(id) => {
                    let found = rows.sources.of_owner(SourceOwner::Organisation(id));
                    found.filter(is_wished).take(limit + 1).cloned().collect()
                }
            }
        };
        let has_more = rows.len() > limit;
        let next = rows.get(limit - 1).filter(|_| has_more).map(|row| row.index);
        let views = rows.into_iter().take(limit).filter_map(|row| {
            let view = self.source_view(row);
            view.transpose()
                .filter(|view| view.as_ref().map_or(true, |view| self.is_shown(whose, view)))
        });
        Ok((views.collect::<Result<_, _>>()?, next))
    }

    /// Where a person has moved a source is not told to who kept it before.
    fn is_shown(&self, whose: Whose, view: &SourceView) -> bool {
        let Whose::Organisation(id) = whose else { return true };
        view.row.told_at == view.row.index
            || self
                .open_row(view.row.told_at)
                .is_ok_and(|entry| self.0.live.reporter_of(&entry) == Some(id))
    }

    fn source_view(&self, row: SourceRow) -> Result<Option<SourceView>, EntryError> {
        let (registered, place) = (self.told(row.index)?, self.place_of(&row)?);
        let (Some(Told::Registered(registered)), Some((at, keeper))) = (registered, place) else {
            return Ok(None);
        };
        let kept = self.kept_elsewhere(&row)?;
        Ok(Some(SourceView { row, registered, at, keeper, kept }))
    }

    /// The address of a source; none if it has none, or if that can be read no more.
    fn url_of(&self, row: &SourceRow) -> Result<Option<String>, EntryError> {
        Ok(self.place_of(row)?.and_then(|(at, _)| at.url().map(str::to_owned)))
    }

    /// Who else has the bytes of a source: the vault, or another source that answered with them when
    /// it was asked last.
    fn kept_elsewhere(&self, row: &SourceRow) -> Result<Elsewhere, JournalError> {
        let parts = self.all_parts(row.subject);
        if let Some(shelves) = &self.0.erasing.records {
            for part in &parts {
                let kept = shelves.record(*part, row.record)?;
                let versions = kept.iter().flat_map(|record| &record.versions);
                if versions.into_iter().any(|one| one.is_kept && one.version == row.version) {
                    return Ok(Elsewhere::Here);
                }
            }
        }
        let rows = self.0.live.rows();
        let is_another = |other: &SourceRow| {
            other.id != row.id
                && other.version == row.version
                && other.state == SourceState::Here
                && other.failed == 0
                && other.probed_ms.is_some()
        };
        let found = rows.sources.of_subjects(&parts).any(is_another);
        Ok(if found { Elsewhere::Elsewhere } else { Elsewhere::Nowhere })
    }
}

impl From<JournalError> for SourceRefusal {
    fn from(error: JournalError) -> Self {
        Self::Entry(error.into())
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceRefusal> + Send + 'static,
) -> Result<T, SourceRefusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ReportError::Place(PlaceError::Stopped).into()),
    }
}
