//! What stands in the log of versions on their way in, and what follows: the version counts, or its
//! person is told that it does not. Done after each write, at each start, and before each look.

use super::bench::{Bench, NotPermitted, need};
use super::refusals::{Refused, Titles};
use super::{Conflict, Vault, VaultError, Why};
use crate::opener::{Entry, EntryError};
use alloy_primitives::B256;
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::vault::{
    RecordRow, RequestState, Shelf, StagedRow, VaultChange, VersionDetails, VersionRow,
};
use medtrail_permit::permits::Basis;

impl Vault {
    /// Settles all shelves on which something is unfinished. Only at the start is it certain that
    /// what has no entry will never have one. What cannot be settled now is left for the next time.
    pub(super) fn settle_all(&self, is_start: bool) -> Result<(), JournalError> {
        for shelf in self.0.shelves.open()? {
            let _one_at_a_time = self.lock(self.0.service.subject_now(shelf));
            let settled = self.settle(shelf);
            let dropped = if is_start { self.drop_unplaced(shelf) } else { Ok(()) };
            let settled = settled.and(dropped).and(self.settle_requests(shelf, is_start));
            match settled {
                Ok(()) => {}
                Err(VaultError::Entry(EntryError::Journal(error))) if error.is_fatal() => {
                    return Err(error);
                }
                Err(error) => tracing::warn!("the vault has something unfinished: {error}"),
            }
        }
        Ok(())
    }

    /// Settles one shelf. The caller holds the person's lock.
    pub(super) fn settle(&self, shelf_of: B256) -> Result<(), VaultError> {
        let shelf = self.0.shelves.shelf(shelf_of)?;
        let mut placed = Vec::new();
        for staged in shelf.staged {
            let key = self.event_key(staged.actor, staged.subject, staged.event);
            if let Some(index) = self.find(key)? {
                placed.push((index, staged));
            }
        }
        // In the log's order: each builds on what came before it.
        placed.sort_by_key(|(index, _)| *index);
        for (index, staged) in placed {
            match self.0.service.open_row(index) {
                Ok(entry) => {
                    let bench = self.bench(staged.subject)?;
                    self.settle_one(shelf_of, &staged, &entry, &bench)?;
                }
                Err(EntryError::Erased(_)) => self.unstage(shelf_of, staged.event, Vec::new())?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn settle_one(
        &self,
        shelf_of: B256,
        staged: &StagedRow,
        entry: &Entry,
        bench: &Bench<'_>,
    ) -> Result<(), VaultError> {
        let row = self.0.shelves.record(shelf_of, staged.record)?;
        let details = VersionDetails::read(entry.details.as_deref().unwrap_or_default())?;
        match self.judge_version(entry, &details, row.as_ref(), bench) {
            Ok((basis, permission)) => {
                let is_own = basis == Basis::Own;
                self.count(shelf_of, staged, entry, details, row, permission, is_own)
            }
            Err(no) => {
                let organisation = self.0.service.0.live.reporter_of(entry);
                let event = entry.report.hash();
                let report = &entry.report;
                let titles = Titles::of(row.as_ref(), &details, report.toVersion);
                let what = (Refused::Write, titles);
                self.refuse(what, report, Some(entry), organisation, no, event)?;
                self.unstage(shelf_of, staged.event, Vec::new())
            }
        }
    }

    /// Whether a version counts in its place of the log.
    pub(super) fn judge_version(
        &self,
        entry: &Entry,
        details: &VersionDetails,
        row: Option<&RecordRow>,
        bench: &Bench<'_>,
    ) -> Result<(Basis, B256), NotPermitted> {
        let now = row.and_then(RecordRow::about);
        let abouts = std::iter::once(&details.about).chain(now);
        let act = self.act_at(entry, need(abouts, &details.purposes, false));
        let permitted = bench.judge(&act)?;
        let head = row.map_or(B256::ZERO, |row| row.head);
        match entry.report.fromVersion == head {
            true => Ok((permitted.basis, permitted.document.unwrap_or_default())),
            false => {
                let why = Why::Conflict(Conflict::VersionConflict);
                Err(NotPermitted { why, document: None })
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step, of which each is a part")]
    fn count(
        &self,
        shelf_of: B256,
        staged: &StagedRow,
        entry: &Entry,
        details: VersionDetails,
        row: Option<RecordRow>,
        permission: B256,
        is_own: bool,
    ) -> Result<(), VaultError> {
        let mut shelf = self.0.shelves.shelf(shelf_of)?;
        let new = || RecordRow { record: staged.record, head: B256::ZERO, versions: Vec::new() };
        let mut row = row.unwrap_or_else(new);
        row.head = staged.version;
        row.versions.push(VersionRow {
            version: staged.version,
            from: entry.report.fromVersion,
            index: entry.index,
            received_ms: entry.place.receivedMs,
            actor: entry.report.actor,
            permission,
            about: details.about,
            bytes: details.bytes,
            is_kept: !staged.version.is_zero(),
        });
        let mut changes = Vec::new();
        // What a person deletes is gone; what another deletes, if permitted, can be put back.
        let kept = match staged.version.is_zero() && is_own {
            true => 0,
            false => self.0.limits.kept_versions,
        };
        for version in let_go(&mut row, kept) {
            if shelf.staged.iter().all(|other| other.version != version.version) {
                shelf.bytes = shelf.bytes.saturating_sub(version.bytes);
                let (record, version) = (staged.record, version.version);
                changes.push(VaultChange::DropContent { record, version });
            }
        }
        if !shelf.records.contains(&staged.record) {
            shelf.records.push(staged.record);
        }
        changes.extend(self.answered(shelf_of, &mut shelf, entry)?);
        shelf.staged.retain(|other| other.event != staged.event);
        changes.push(VaultChange::PutRecord(row));
        changes.push(VaultChange::PutShelf(shelf));
        Ok(self.0.shelves.save(shelf_of, &changes)?)
    }

    /// Requests for the very change that was made now.
    fn answered(
        &self,
        shelf_of: B256,
        shelf: &mut Shelf,
        entry: &Entry,
    ) -> Result<Vec<VaultChange>, VaultError> {
        let mut changes = Vec::new();
        let report = &entry.report;
        for id in shelf.requests.clone() {
            let Some(mut request) = self.0.shelves.request(shelf_of, id)? else { continue };
            let is_it = request.record == report.record
                && (request.from, request.to) == (report.fromVersion, report.toVersion)
                && request.custodian == report.actor;
            let is_over = matches!(request.state, RequestState::Done { .. });
            let Some(index) = request.state.asked_at().filter(|_| is_it && !is_over) else {
                continue;
            };
            request.state = RequestState::Done { index };
            shelf.waiting.retain(|other| *other != id);
            shelf.bytes = shelf.bytes.saturating_sub(request.bytes);
            changes.push(VaultChange::PutRequest(Box::new(request)));
            changes.push(VaultChange::DropProposed { request: id });
        }
        Ok(changes)
    }

    /// Takes a version that does not count off the shelf, with its bytes where nothing else has
    /// them.
    pub(super) fn unstage(
        &self,
        shelf_of: B256,
        event: B256,
        mut changes: Vec<VaultChange>,
    ) -> Result<(), VaultError> {
        let mut shelf = self.0.shelves.shelf(shelf_of)?;
        let Some(at) = shelf.staged.iter().position(|staged| staged.event == event) else {
            return Ok(());
        };
        let staged = shelf.staged.remove(at);
        let StagedRow { record, version, bytes, .. } = staged;
        let shares = |other: &&mut StagedRow| (other.record, other.version) == (record, version);
        if let Some(other) = shelf.staged.iter_mut().find(shares) {
            other.bytes = other.bytes.max(bytes);
        } else if bytes > 0 {
            let row = self.0.shelves.record(shelf_of, record)?;
            let kept = row.as_ref().and_then(|row| row.version(version));
            if !kept.is_some_and(|kept| kept.is_kept) {
                shelf.bytes = shelf.bytes.saturating_sub(bytes);
                changes.push(VaultChange::DropContent { record, version });
            }
        }
        changes.push(VaultChange::PutShelf(shelf));
        Ok(self.0.shelves.save(shelf_of, &changes)?)
    }

    /// At the start: what has no entry was never acknowledged.
    fn drop_unplaced(&self, shelf_of: B256) -> Result<(), VaultError> {
        for staged in self.0.shelves.shelf(shelf_of)?.staged {
            let key = self.event_key(staged.actor, staged.subject, staged.event);
            if self.find(key)?.is_none() {
                self.unstage(shelf_of, staged.event, Vec::new())?;
            }
        }
        Ok(())
    }
}

/// Marks all but the newest `most` kept versions as let go, each version once, and returns them.
fn let_go(row: &mut RecordRow, most: usize) -> Vec<VersionRow> {
    let mut newest: Vec<B256> = Vec::new();
    let (mut gone, head): (Vec<VersionRow>, B256) = (Vec::new(), row.head);
    for version in row.versions.iter_mut().rev().filter(|version| version.is_kept) {
        let is_known = newest.contains(&version.version);
        if is_known || newest.len() < most || version.version == head {
            if !is_known {
                newest.push(version.version);
            }
            continue;
        }
        version.is_kept = false;
        if !gone.iter().any(|other| other.version == version.version) {
            gone.push(version.clone());
        }
    }
    gone
}
