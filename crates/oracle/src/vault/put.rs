//! New versions on their way in: checked, judged, staged, entered, settled.

use super::bench::{Bench, NotPermitted, check_about, is_frozen, keeps_marks, need};
use super::refusals::{Refused, Titles};
use super::{Conflict, Vault, VaultError, Why};
use crate::intake::{Intake, ReportError, Submission};
use crate::sequencer::PlaceError;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::Kind;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::vault::{
    RecordRow, Shelf, StagedRow, VaultChange, VersionDetails, version_of,
};
use medtrail_permit::permits::Basis;
use std::collections::HashSet;

/// A version as it comes in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Put {
    /// The signed report (kind 2), with a `medtrail/version-v1` as details.
    pub submission: Submission,
    /// Its bytes; none for a deletion.
    pub content: Option<Vec<u8>>,
}

/// A version that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Its entry's receipt.
    pub receipt: Receipt,
    /// Which record.
    pub record: B256,
    /// The version.
    pub version: B256,
    /// It was written just now; else it stood there already.
    pub is_new: bool,
}

/// A version that may be entered.
struct Checked {
    submission: Submission,
    content: Option<Vec<u8>>,
    details: VersionDetails,
    organisation: Option<Address>,
    /// Where it will lie.
    shelf_of: B256,
}

/// How far one is.
enum Step {
    Stands(Box<Written>),
    Enters(Box<Checked>),
}

impl Vault {
    /// Writes versions of one person's records, all signed by one key. Each stands or falls by
    /// itself; they get their places together. The same call again changes nothing.
    pub async fn put(&self, puts: Vec<Put>) -> Vec<Result<Written, VaultError>> {
        let count = puts.len();
        let done = self.blocking(move |vault| Ok(vault.put_now(puts))).await;
        let stopped = |_| (0..count).map(|_| Err(PlaceError::Stopped.into())).collect();
        done.unwrap_or_else(stopped)
    }

    fn put_now(&self, puts: Vec<Put>) -> Vec<Result<Written, VaultError>> {
        let trust = self.0.service.trust();
        let mut intake = Intake::new(&trust, self.now_ms());
        let checked: Vec<_> = puts.into_iter().map(|put| self.check(&mut intake, put)).collect();
        let mut signed = checked.iter().flatten().map(|one| &one.submission.report);
        let Some((subject, actor)) = signed.next().map(|one| (one.subject, one.actor)) else {
            return checked.into_iter().map(|one| one.and(Err(VaultError::NotFound))).collect();
        };
        let _one_at_a_time = self.lock(self.0.service.subject_now(subject));
        let parts = self.parts(subject);
        let (mut seen, mut steps) = (HashSet::new(), Vec::new());
        let bench = parts.iter().try_for_each(|part| self.settle(*part));
        let bench = match bench.and_then(|()| self.bench(subject)) {
            Ok(bench) => bench,
            Err(error) => return failed(checked, error),
        };
        for one in checked {
            steps.push(one.and_then(|one| {
                let report = &one.submission.report;
                if (report.subject, report.actor) != (subject, actor) {
                    let rule = "the same in all versions of one request";
                    return Err(VaultError::Field { field: "report.subject", rule });
                }
                if !seen.insert(report.record) {
                    let rule = "another in each version of one request";
                    return Err(VaultError::Field { field: "report.record", rule });
                }
                self.judge_put(&parts, &bench, one)
            }));
        }
        self.stage(&mut steps);
        self.enter_staged(steps)
    }

    fn check(&self, intake: &mut Intake<'_>, put: Put) -> Result<Checked, VaultError> {
        let fault = |field, rule| Err(VaultError::Field { field, rule });
        let Put { submission, content } = put;
        let report = &submission.report;
        let Some(document) = submission.details.as_deref() else {
            return fault("details", "a medtrail/version-v1");
        };
        let Ok(details) = VersionDetails::read(document) else {
            return fault("details", "a medtrail/version-v1, with its members and no others");
        };
        if report.subject.is_zero() {
            return fault("report.subject", "a person");
        }
        if report.record.is_zero() {
            return fault("report.record", "not zero");
        }
        if report.fromVersion == report.toVersion {
            return fault("report.toVersion", "another than fromVersion");
        }
        let action = match (report.fromVersion.is_zero(), report.toVersion.is_zero()) {
            (true, _) => b'C',
            (_, true) => b'D',
            _ => b'U',
        };
        if report.action != action {
            return fault("report.action", "C from version zero, D to version zero, else U");
        }
        match &content {
            None if !report.toVersion.is_zero() => return fault("content", "the version's bytes"),
            Some(_) if report.toVersion.is_zero() => {
                return fault("content", "none: it is deleted");
            }
            _ => {}
        }
        let bytes = content.as_ref().map_or(0, Vec::len);
        let most = self.0.limits.version_bytes;
        if bytes > most {
            return Err(VaultError::TooLong { bytes, most });
        }
        if details.bytes != bytes as u64 {
            return fault("details.bytes", "how many bytes content has");
        }
        if let Some(content) = &content {
            let (expected, found) = (report.toVersion, version_of(content));
            if expected != found {
                return Err(VaultError::Content { expected, found });
            }
        }
        check_about(&details.about, content.as_deref())?;
        intake.check_in_vault(&submission, Kind::Change)?;
        self.require_unmoved(report.subject)?;
        let organisation = self.organisation_by(report.actor)?;
        Ok(Checked { submission, content, details, organisation, shelf_of: B256::ZERO })
    }

    /// Whether it would count if it were entered now. If not, its person is told.
    fn judge_put(
        &self,
        parts: &[B256],
        bench: &Bench<'_>,
        one: Checked,
    ) -> Result<Step, VaultError> {
        let report = &one.submission.report;
        let (shelf_of, row) = self.locate(parts, report.record)?;
        if let Some(written) = self.known(&one, row.as_ref(), bench)? {
            return Ok(Step::Stands(Box::new(written)));
        }
        let now = row.as_ref().and_then(RecordRow::about);
        let abouts = std::iter::once(&one.details.about).chain(now);
        let act = self.act_now(&one.submission, need(abouts, &one.details.purposes, false));
        let permitted = match bench.judge(&act) {
            Ok(permitted) => permitted,
            Err(no) if one.organisation.is_some() => {
                let event = report.hash();
                let titles = Titles::of(row.as_ref(), &one.details, report.toVersion);
                let what = (Refused::Write, titles);
                self.refuse(what, report, None, one.organisation, no, event)?;
                return Err(no.into());
            }
            // Whoever is nobody here must not write refusals into a person's trail.
            Err(no) if is_frozen(&no) => return Err(no.into()),
            Err(_) => return Err(ReportError::UnknownCustodian(report.actor).into()),
        };
        let head = row.as_ref().map_or(B256::ZERO, |row| row.head);
        if report.fromVersion != head {
            return Err(VaultError::Conflict { current: Some(head) });
        }
        let is_weaker = now.is_some_and(|now| !keeps_marks(now, &one.details.about));
        if is_weaker && permitted.basis != Basis::Own {
            let rule =
                "no weaker than those of the version before: only the person takes marks off";
            return Err(VaultError::Field { field: "details.about.confidentiality", rule });
        }
        if row.is_some_and(|row| row.versions.len() >= self.0.limits.versions) {
            return Err(VaultError::TooMany("versions of this record"));
        }
        Ok(Step::Enters(Box::new(Checked { shelf_of, ..one })))
    }

    /// What became of the same report before, if it has a place.
    fn known(
        &self,
        one: &Checked,
        row: Option<&RecordRow>,
        bench: &Bench<'_>,
    ) -> Result<Option<Written>, VaultError> {
        let report = &one.submission.report;
        let key = self.event_key(report.actor, report.subject, report.eventId);
        let Some(index) = self.find(key)? else { return Ok(None) };
        let entry = self.0.service.open_row(index)?;
        if entry.report.hash() != report.hash() {
            return Err(ReportError::Conflict { event: report.eventId, index }.into());
        }
        if row.is_some_and(|row| row.versions.iter().any(|version| version.index == index)) {
            let receipt = self.0.service.receipt(index)?;
            let (record, version) = (report.record, report.toVersion);
            return Ok(Some(Written { receipt, record, version, is_new: false }));
        }
        let judged = self.judge_version(&entry, &one.details, row, bench);
        let why = Why::Conflict(Conflict::VersionConflict);
        Err(judged.err().unwrap_or(NotPermitted { why, document: None }).into())
    }

    /// Makes the bytes of all that may be entered durable, together; what finds no room falls.
    fn stage(&self, steps: &mut [Result<Step, VaultError>]) {
        let mut shelves: Vec<(B256, Shelf, Vec<VaultChange>)> = Vec::new();
        for step in steps.iter_mut() {
            let Ok(Step::Enters(one)) = step else { continue };
            let shelf_of = one.shelf_of;
            let at = match shelves.iter().position(|(other, ..)| *other == shelf_of) {
                Some(at) => at,
                None => match self.0.shelves.shelf(shelf_of) {
                    Ok(shelf) => {
                        shelves.push((shelf_of, shelf, Vec::new()));
                        shelves.len() - 1
                    }
                    Err(error) => {
                        *step = Err(error.into());
                        continue;
                    }
                },
            };
            let (_, shelf, changes) = &mut shelves[at];
            if let Err(error) = self.stage_one(shelf, changes, one) {
                *step = Err(error);
            }
        }
        for (shelf_of, shelf, mut changes) in shelves {
            changes.push(VaultChange::PutShelf(shelf));
            let Err(error) = self.0.shelves.save(shelf_of, &changes) else { continue };
            let mut error = Some(VaultError::from(error));
            for step in steps.iter_mut() {
                if matches!(step, Ok(Step::Enters(one)) if one.shelf_of == shelf_of) {
                    *step = Err(error.take().unwrap_or_else(|| PlaceError::DiskFull.into()));
                }
            }
        }
    }

    fn stage_one(
        &self,
        shelf: &mut Shelf,
        changes: &mut Vec<VaultChange>,
        one: &mut Checked,
    ) -> Result<(), VaultError> {
        let report = &one.submission.report;
        let (event, record, version) = (report.eventId, report.record, report.toVersion);
        let new = shelf.staged.iter().filter(|staged| !shelf.records.contains(&staged.record));
        let is_new = !shelf.records.contains(&record);
        if is_new && shelf.records.len() + new.count() >= self.0.limits.records {
            return Err(VaultError::TooMany("records of this person"));
        }
        let row = self.0.shelves.record(one.shelf_of, record)?;
        let is_kept = row.is_some_and(|row| row.version(version).is_some_and(|one| one.is_kept));
        let is_staged = |other: &StagedRow| (other.record, other.version) == (record, version);
        let is_there = is_kept || shelf.staged.iter().any(is_staged);
        let bytes =
            one.content.as_ref().filter(|_| !is_there).map_or(0, |bytes| bytes.len() as u64);
        if shelf.bytes.saturating_add(bytes) > self.0.limits.person_bytes {
            return Err(VaultError::NoRoom { most: self.0.limits.person_bytes });
        }
        if let Some(content) = one.content.take().filter(|_| !is_there) {
            changes.push(VaultChange::PutContent { record, version, bytes: content });
        }
        // Staged before, and its outcome was not known: it is the same.
        if !shelf.staged.iter().any(|staged| staged.event == event) {
            let (actor, subject) = (report.actor, report.subject);
            shelf.bytes += bytes;
            shelf.staged.push(StagedRow { event, actor, subject, record, version, bytes });
        }
        Ok(())
    }

    fn enter_staged(
        &self,
        steps: Vec<Result<Step, VaultError>>,
    ) -> Vec<Result<Written, VaultError>> {
        let mut prepared = Vec::new();
        for step in &steps {
            if let Ok(Step::Enters(one)) = step {
                prepared.push(self.0.service.prepare(one.submission.clone(), one.organisation));
            }
        }
        let placed = if prepared.is_empty() {
            Vec::new()
        } else {
            crate::own::wait(self.0.service.place(prepared))
        };
        let mut placed = placed.into_iter();
        let mut outcomes = Vec::new();
        for step in steps {
            outcomes.push(match step {
                Err(error) => Err(error),
                Ok(Step::Stands(written)) => Ok(Ok(*written)),
                Ok(Step::Enters(one)) => match placed.next() {
                    Some(Ok(receipt)) => Ok(Err((one, receipt))),
                    Some(Err(error)) => {
                        let is_open = matches!(
                            error,
                            ReportError::Place(PlaceError::OutcomeUnknown | PlaceError::Stopped)
                                | ReportError::Journal(_)
                        );
                        let event = one.submission.report.eventId;
                        match is_open {
                            true => Err(error.into()),
                            // It has no place and will have none.
                            false => {
                                self.unstage(one.shelf_of, event, Vec::new()).and(Err(error.into()))
                            }
                        }
                    }
                    None => Err(PlaceError::Stopped.into()),
                },
            });
        }
        let mut shelves: Vec<B256> = outcomes
            .iter()
            .filter_map(|one| one.as_ref().ok()?.as_ref().err().map(|(one, _)| one.shelf_of))
            .collect();
        shelves.dedup();
        let settled = shelves.into_iter().try_for_each(|shelf| self.settle(shelf));
        let mut unsettled = settled.err();
        type Placed = Result<Result<Written, (Box<Checked>, Receipt)>, VaultError>;
        let tell = |outcome: Placed| match outcome? {
            Ok(written) => Ok(written),
            Err((one, receipt)) => self.outcome(*one, receipt, &mut unsettled),
        };
        outcomes.into_iter().map(tell).collect()
    }

    /// What came of a version that has its place.
    fn outcome(
        &self,
        one: Checked,
        receipt: Receipt,
        unsettled: &mut Option<VaultError>,
    ) -> Result<Written, VaultError> {
        let report = &one.submission.report;
        let row = self.0.shelves.record(one.shelf_of, report.record)?;
        let counts = |row: &RecordRow| row.versions.iter().any(|row| row.index == receipt.index);
        if row.as_ref().is_some_and(counts) {
            let (record, version) = (report.record, report.toVersion);
            return Ok(Written { receipt, record, version, is_new: true });
        }
        let waits = self.0.shelves.shelf(one.shelf_of)?.staged;
        if waits.iter().any(|staged| staged.event == report.eventId) {
            // Its entry stands, and whether it counts is found out the next time somebody looks.
            return Err(unsettled.take().unwrap_or_else(|| PlaceError::OutcomeUnknown.into()));
        }
        let bench = self.bench(report.subject)?;
        let entry = self.0.service.open_row(receipt.index)?;
        let judged = self.judge_version(&entry, &one.details, row.as_ref(), &bench);
        let why = Why::Conflict(Conflict::VersionConflict);
        Err(judged.err().unwrap_or(NotPermitted { why, document: None }).into())
    }
}

/// All of them fall for one reason; the first has it in its own words.
fn failed(
    checked: Vec<Result<Checked, VaultError>>,
    error: VaultError,
) -> Vec<Result<Written, VaultError>> {
    let mut error = Some(error);
    let tell = |one: Result<Checked, VaultError>| {
        one.and_then(|_| Err(error.take().unwrap_or_else(|| PlaceError::Busy.into())))
    };
    checked.into_iter().map(tell).collect()
}
