//! What an entry changes in the register of sources: a pure look at the entry, and at those before.

use super::{OF_ORGANISATION_MAX, OF_PERSON_MAX};
use crate::opener::{Entry, EntryError};
use crate::service::Service;
use alloy_primitives::B256;
use medtrail_ledger::directory::{DirectoryChange, SourceOwner, SourceRow, SourceState};
use medtrail_ledger::entry::{address_of, commitment, subject_of};
use medtrail_ledger::inquiry::LineRef;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use medtrail_ledger::source::{Found, Registered, Relocated, Told, Whereabouts};

impl Service {
    /// What the register changes by this entry of kind 7. The same entry again changes nothing more.
    pub(crate) fn fold_source(&self, entry: &Entry) -> Result<Option<DirectoryChange>, EntryError> {
        let Some(details) = entry.details.as_deref() else { return Ok(None) };
        let row = if entry.evidence == Evidence::Relayed {
            // An organisation's word by API key stands in an envelope, and is none of these.
            serde_json::from_slice(details).ok().and_then(|found| self.fold_found(entry, &found))
        } else {
            match serde_json::from_slice(details) {
                Ok(Told::Registered(registered)) => self.fold_registered(entry, &registered),
                Ok(Told::Moved(moved)) => self.fold_moved(entry, &moved)?,
                Err(_) => None,
            }
        };
        Ok(row.map(DirectoryChange::PutSource))
    }

    /// Who says it by this key, about this subject: an organisation, or the person themself.
    pub(super) fn owner_of(&self, report: &Report) -> Option<SourceOwner> {
        match self.0.live.organisation_of(report.actor) {
            Some(id) => Some(SourceOwner::Organisation(id)),
            None => (subject_of(report.actor) == self.subject_now(report.subject))
                .then_some(SourceOwner::Person(report.actor)),
        }
    }

    /// All subject ids of whose trail this is one.
    pub(super) fn all_parts(&self, subject: B256) -> Vec<B256> {
        let now = self.subject_now(subject);
        address_of(now).map_or_else(|| vec![now], |person| self.parts(person))
    }

    /// Whether there is room for one more source.
    pub(super) fn is_full(&self, subject: B256, by: SourceOwner) -> bool {
        let parts = self.all_parts(subject);
        let rows = self.0.live.rows();
        let of_owner = rows.sources.count_of_owner(by);
        let is_organisation = matches!(by, SourceOwner::Organisation(_));
        rows.sources.count_of_subjects(&parts) >= OF_PERSON_MAX
            || (is_organisation && of_owner >= OF_ORGANISATION_MAX)
    }

    fn fold_registered(&self, entry: &Entry, registered: &Registered) -> Option<SourceRow> {
        let report = &entry.report;
        let id = commitment(report, &entry.place);
        let is_whole =
            !(report.subject.is_zero() || report.record.is_zero() || report.toVersion.is_zero())
                && registered.check().is_ok();
        let by = self.owner_of(report).filter(|_| is_whole)?;
        // Read again after a crash, it must not lose what happened since.
        if self.0.live.rows().sources.get(id).is_some() || self.is_full(report.subject, by) {
            return None;
        }
        Some(SourceRow {
            id,
            index: entry.index,
            subject: report.subject,
            record: report.record,
            version: report.toVersion,
            by,
            registered_ms: entry.place.receivedMs,
            told_at: entry.index,
            after: LineRef { index: entry.index, commitment: id },
            has_url: registered.at.url().is_some(),
            state: SourceState::Here,
            since_ms: entry.place.receivedMs,
            failed: 0,
            failing_since_ms: None,
            probed_ms: None,
            due_ms: entry.place.receivedMs,
            owed: None,
        })
    }

    fn fold_moved(
        &self,
        entry: &Entry,
        moved: &Relocated,
    ) -> Result<Option<SourceRow>, EntryError> {
        let report = &entry.report;
        let Some(row) = self.0.live.rows().sources.get(moved.source).cloned() else {
            return Ok(None);
        };
        let is_it = report.permission == row.id
            && row.after.index < entry.index
            && (report.record, report.toVersion) == (row.record, row.version)
            && moved.check().is_ok()
            && self.may_move(report, &row);
        if !is_it || self.place_of(&row)?.is_none_or(|(at, _)| at != moved.from) {
            return Ok(None);
        }
        let at_ms = entry.place.receivedMs;
        Ok(Some(SourceRow {
            told_at: entry.index,
            after: line(entry),
            has_url: moved.to.url().is_some(),
            state: SourceState::Moved,
            since_ms: at_ms,
            failed: 0,
            failing_since_ms: None,
            due_ms: at_ms,
            owed: None,
            ..row
        }))
    }

    /// Whether whoever signed this report may say where the source is: who registered it, and the
    /// person whose data it is.
    pub(super) fn may_move(&self, report: &Report, row: &SourceRow) -> bool {
        let subject = self.subject_now(row.subject);
        let is_theirs = self.subject_now(report.subject) == subject;
        let is_owner = self.owner_of(report) == Some(row.by);
        is_theirs && (is_owner || subject_of(report.actor) == subject)
    }

    /// Where a source is and who keeps it, by the entry that says so; none if that was erased, or is
    /// damaged.
    pub(super) fn place_of(
        &self,
        row: &SourceRow,
    ) -> Result<Option<(Whereabouts, String)>, EntryError> {
        Ok(self.told(row.told_at)?.map(|told| match told {
            Told::Registered(Registered { at, keeper, .. }) => (at, keeper),
            Told::Moved(Relocated { to, keeper, .. }) => (to, keeper),
        }))
    }

    /// What an entry says of a source; none if it was erased, or is damaged.
    pub(super) fn told(&self, index: u64) -> Result<Option<Told>, EntryError> {
        match self.open_row(index) {
            Ok(entry) => Ok(serde_json::from_slice(&entry.details.unwrap_or_default()).ok()),
            Err(EntryError::Erased(_) | EntryError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn fold_found(&self, entry: &Entry, found: &Found) -> Option<SourceRow> {
        let source = found.source();
        let row = self.0.live.rows().sources.get(source.id).cloned()?;
        // What was found before its owner moved it says nothing of where it is now.
        if entry.report.permission != row.id || source.after != row.after {
            return None;
        }
        let state = match found {
            Found::Lost(_) => SourceState::Lost,
            Found::Changed(_) => SourceState::Changed,
            Found::Back(_) => SourceState::Here,
        };
        let since_ms = entry.report.timeMs;
        Some(SourceRow { after: line(entry), state, since_ms, owed: None, ..row })
    }
}

fn line(entry: &Entry) -> LineRef {
    LineRef { index: entry.index, commitment: commitment(&entry.report, &entry.place) }
}
