//! Changes that an organisation asks a person to allow: asked, approved by the person's own
//! document, declined, taken back, or too old; and done once the version stands.

use super::bench::check_about;
use super::{Vault, VaultError};
use crate::intake::{Intake, ReportError, Submission};
use crate::sequencer::PlaceError;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, commitment, details_hash, event_id, subject_of};
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::{
    ASKED, ChangeRequestDetails, DECLINED, EXPIRED, REQUEST_VERSION, RequestRow, RequestState,
    Shelf, VaultChange, WHY_CHARS_MAX, WITHDRAWN, version_of,
};

/// How long an answer may be waited for.
const UNTIL_MS_MAX: u64 = 90 * 24 * 3_600_000;

/// A request as it comes in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// The organisation's signed report (kind 12), with a `medtrail/change-request-v1` as details.
    pub submission: Submission,
    /// The bytes that it proposes; none for a deletion.
    pub content: Option<Vec<u8>>,
}

/// A request, and how it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AskedChange {
    /// The request.
    pub row: RequestRow,
    /// How it stands.
    pub standing: Standing,
    /// The person's approval, by its document's id: what the version names as its permission.
    pub approval: Option<B256>,
}

/// How a request stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It waits for an answer.
    Asked,
    /// The person approved; the organisation may write the version.
    Approved,
    /// The version stands.
    Done,
    /// The person said no.
    Declined,
    /// The organisation took it back.
    Withdrawn,
    /// Nobody answered in time.
    Expired,
}

/// Which of the two looks at requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Whoever signed in with this address, about this subject: the person, or who speaks for them.
    Person {
        /// Who signed in.
        who: Address,
        /// About whom.
        subject: B256,
    },
    /// The organisation that asked.
    Organisation(Address),
}

impl Vault {
    /// Asks a person for a change. The same call again changes nothing.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] where the record has another version by now.
    pub async fn ask(&self, ask: Ask) -> Result<(B256, Receipt), VaultError> {
        self.blocking(move |vault| vault.ask_now(ask)).await
    }

    fn ask_now(&self, ask: Ask) -> Result<(B256, Receipt), VaultError> {
        let Ask { submission, content } = ask;
        let mut row = self.check_ask(&submission, content.as_deref())?;
        let report = &submission.report;
        let _one_at_a_time = self.lock(report.subject);
        let parts = self.parts(report.subject);
        parts.iter().try_for_each(|part| self.settle(*part))?;
        let (shelf_of, record) = self.locate(&parts, report.record)?;
        let key = self.event_key(report.actor, report.subject, report.eventId);
        if let Some(index) = self.find(key)? {
            let entry = self.0.service.open_row(index)?;
            self.settle_requests(shelf_of, false)?;
            return match entry.report.hash() == report.hash() {
                true => Ok((row.id, self.0.service.receipt(index)?)),
                false => Err(ReportError::Conflict { event: report.eventId, index }.into()),
            };
        }
        if report.fromVersion != record.map_or(B256::ZERO, |row| row.head) {
            return Err(VaultError::Conflict { current: None });
        }
        let mut shelf = self.0.shelves.shelf(shelf_of)?;
        let mut changes = self.make_room(shelf_of, &mut shelf, &row)?;
        row.asked_ms = self.now_ms();
        if !shelf.requests.contains(&row.id) {
            shelf.requests.push(row.id);
            shelf.waiting.push(row.id);
            shelf.bytes += row.bytes;
        }
        if shelf.bytes > self.0.limits.person_bytes {
            return Err(VaultError::NoRoom { most: self.0.limits.person_bytes });
        }
        let proposed = content.map(|bytes| VaultChange::PutProposed { request: row.id, bytes });
        changes.extend(proposed);
        changes.push(VaultChange::PutRequest(Box::new(row.clone())));
        changes.push(VaultChange::PutShelf(shelf));
        self.0.shelves.save(shelf_of, &changes)?;
        let prepared = self.0.service.prepare(submission, Some(row.organisation))?;
        let placed = crate::own::wait(self.0.service.place(vec![Ok(prepared)])).pop();
        match placed.unwrap_or(Err(PlaceError::Stopped.into())) {
            Ok(receipt) => {
                row.state = RequestState::Asked { index: receipt.index };
                let id = row.id;
                self.0.shelves.save(shelf_of, &[VaultChange::PutRequest(Box::new(row))])?;
                Ok((id, receipt))
            }
            Err(error @ ReportError::Place(PlaceError::Busy | PlaceError::DiskFull)) => {
                self.forget_request(shelf_of, &row)?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn check_ask(
        &self,
        submission: &Submission,
        content: Option<&[u8]>,
    ) -> Result<RequestRow, VaultError> {
        let fault = |field, rule| Err(VaultError::Field { field, rule });
        let report = &submission.report;
        let details = submission.details.as_deref().unwrap_or_default();
        let Ok(ChangeRequestDetails {
            version,
            act,
            about: Some(about),
            bytes: Some(bytes),
            why: Some(why),
            until_ms: Some(until_ms),
            request: None,
            organisation: None,
        }) = serde_json::from_slice(details)
        else {
            let rule = "a medtrail/change-request-v1 with version, act, about, bytes, why, untilMs";
            return fault("details", rule);
        };
        if version != REQUEST_VERSION || act != ASKED {
            return fault("details.act", "asked, of a medtrail/change-request-v1");
        }
        if report.subject.is_zero() || report.record.is_zero() {
            return fault("report.record", "a person's record");
        }
        if report.fromVersion == report.toVersion {
            return fault("report.toVersion", "another than fromVersion");
        }
        if report.action != 0 {
            return fault("report.action", "0: nothing is changed yet");
        }
        let is_written = (1..=WHY_CHARS_MAX).contains(&why.chars().count());
        if !is_written || why.trim().is_empty() || why.chars().any(|one| one.is_control()) {
            return fault("details.why", "1 to 1000 characters on one line");
        }
        let now_ms = self.now_ms();
        if until_ms <= now_ms || until_ms > now_ms + UNTIL_MS_MAX {
            return fault("details.untilMs", "a time from now on, at most 90 days ahead");
        }
        let found = content.map_or(0, <[u8]>::len);
        let most = self.0.limits.version_bytes;
        if found > most {
            return Err(VaultError::TooLong { bytes: found, most });
        }
        if bytes != found as u64 {
            return fault("details.bytes", "how many bytes content has");
        }
        let (expected, found) = (report.toVersion, content.map_or(B256::ZERO, version_of));
        if expected != found {
            return Err(VaultError::Content { expected, found });
        }
        check_about(&about, content)?;
        let trust = self.0.service.trust();
        Intake::new(&trust, now_ms).check_in_vault(submission, Kind::Question)?;
        let organisation = self.organisation_by(report.actor)?;
        let organisation = organisation.ok_or(ReportError::UnknownCustodian(report.actor))?;
        self.require_unmoved(report.subject)?;
        Ok(RequestRow {
            id: report.eventId,
            subject: report.subject,
            organisation,
            custodian: report.actor,
            record: report.record,
            from: report.fromVersion,
            to: report.toVersion,
            why,
            about,
            bytes,
            asked_ms: now_ms,
            until_ms,
            state: RequestState::Entering,
        })
    }

    /// A pseudonym that was bound is asked about no more: its person's address is.
    pub(super) fn require_unmoved(&self, subject: B256) -> Result<(), VaultError> {
        let moved = self.0.service.0.live.moved().get(&subject).copied();
        match moved {
            Some(moved) if moved.is_settled => {
                Err(ReportError::Moved { to: subject_of(moved.to) }.into())
            }
            Some(_) => Err(PlaceError::Busy.into()),
            None => Ok(()),
        }
    }

    /// Forgets the oldest answered requests where there are too many.
    fn make_room(
        &self,
        shelf_of: B256,
        shelf: &mut Shelf,
        row: &RequestRow,
    ) -> Result<Vec<VaultChange>, VaultError> {
        let mut theirs = 0;
        for id in &shelf.waiting {
            let other = self.0.shelves.request(shelf_of, *id)?;
            theirs +=
                usize::from(other.is_some_and(|other| {
                    other.organisation == row.organisation && other.id != row.id
                }));
        }
        if theirs >= self.0.limits.waiting_requests {
            return Err(VaultError::TooMany("changes of yours that wait for this person's answer"));
        }
        let mut changes = Vec::new();
        while shelf.requests.len() >= self.0.limits.requests {
            let is_answered = |id: &B256| !shelf.waiting.contains(id);
            let Some(at) = shelf.requests.iter().position(is_answered) else {
                return Err(VaultError::TooMany("changes that wait for this person's answer"));
            };
            let id = shelf.requests.remove(at);
            if let Some(old) = self.0.shelves.request(shelf_of, id)? {
                let organisation = old.organisation;
                changes.push(VaultChange::DropRequest { id, organisation });
            }
        }
        Ok(changes)
    }

    fn forget_request(&self, shelf_of: B256, row: &RequestRow) -> Result<(), VaultError> {
        let mut shelf = self.0.shelves.shelf(shelf_of)?;
        shelf.requests.retain(|id| *id != row.id);
        shelf.waiting.retain(|id| *id != row.id);
        shelf.bytes = shelf.bytes.saturating_sub(row.bytes);
        let changes = [
            VaultChange::DropProposed { request: row.id },
            VaultChange::DropRequest { id: row.id, organisation: row.organisation },
            VaultChange::PutShelf(shelf),
        ];
        Ok(self.0.shelves.save(shelf_of, &changes)?)
    }

    /// What became of requests on their way in, and which of the others are too old. Only at the
    /// start is it certain that what has no entry will never have one.
    pub(super) fn settle_requests(&self, shelf_of: B256, is_start: bool) -> Result<(), VaultError> {
        for id in self.0.shelves.shelf(shelf_of)?.waiting {
            let Some(mut row) = self.0.shelves.request(shelf_of, id)? else { continue };
            match row.state {
                RequestState::Entering => {
                    let key = self.event_key(row.custodian, row.subject, row.id);
                    match self.find(key)? {
                        Some(index) => {
                            row.state = RequestState::Asked { index };
                            self.0
                                .shelves
                                .save(shelf_of, &[VaultChange::PutRequest(Box::new(row))])?;
                        }
                        None if is_start => self.forget_request(shelf_of, &row)?,
                        None => {}
                    }
                }
                RequestState::Asked { index } if row.until_ms <= self.now_ms() => {
                    self.end(shelf_of, row, EXPIRED, RequestState::Expired { index })?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The entry of how it ended, and then that it did.
    fn end(
        &self,
        shelf_of: B256,
        mut row: RequestRow,
        act: &str,
        state: RequestState,
    ) -> Result<(), VaultError> {
        let details = ChangeRequestDetails {
            version: REQUEST_VERSION.to_owned(),
            act: act.to_owned(),
            about: None,
            bytes: None,
            why: None,
            until_ms: None,
            request: Some(row.id),
            organisation: Some(row.organisation),
        };
        let details = serde_json::to_vec(&details).expect("plain data encodes");
        let asked = match row.state.asked_at() {
            Some(index) => {
                let entry = self.0.service.open_row(index)?;
                commitment(&entry.report, &entry.place)
            }
            None => B256::ZERO,
        };
        let event = [b"change request\0", act.as_bytes(), b"\0", row.id.as_slice()].concat();
        let report = Report {
            eventId: event_id(Address::ZERO, &event),
            kind: Kind::Question.number(),
            timeMs: self.now_ms(),
            subject: self.0.service.subject_now(row.subject),
            record: row.record,
            fromVersion: row.from,
            toVersion: row.to,
            permission: asked,
            details: details_hash(&details),
            ..self.0.service.own_report()
        };
        self.0.service.enter_own(report, details)?;
        let mut shelf = self.0.shelves.shelf(shelf_of)?;
        if shelf.waiting.contains(&row.id) {
            shelf.waiting.retain(|id| *id != row.id);
            shelf.bytes = shelf.bytes.saturating_sub(row.bytes);
        }
        row.state = state;
        let changes = [
            VaultChange::DropProposed { request: row.id },
            VaultChange::PutRequest(Box::new(row)),
            VaultChange::PutShelf(shelf),
        ];
        Ok(self.0.shelves.save(shelf_of, &changes)?)
    }

    /// The requests that concern somebody, newest first.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] for whoever does not speak for the person.
    pub async fn requests(&self, side: Side) -> Result<Vec<AskedChange>, VaultError> {
        self.blocking(move |vault| {
            let mut found = Vec::new();
            for (shelf_of, id) in vault.ids_of(side)? {
                let row = vault.0.shelves.request(shelf_of, id)?;
                found.extend(row.filter(|row| row.state != RequestState::Entering));
            }
            found.sort_by_key(|row| std::cmp::Reverse((row.asked_ms, row.id)));
            found.into_iter().map(|row| vault.stand(row)).collect()
        })
        .await
    }

    /// One request, for one of the two whom it concerns.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] for everybody else.
    pub async fn request(&self, side: Side, id: B256) -> Result<AskedChange, VaultError> {
        self.blocking(move |vault| vault.stand(vault.one(side, id)?.1)).await
    }

    /// The bytes that a request proposes, while it waits.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] also once it was answered.
    pub async fn proposal(
        &self,
        side: Side,
        id: B256,
    ) -> Result<(RequestRow, Vec<u8>), VaultError> {
        self.blocking(move |vault| {
            let (shelf_of, row) = vault.one(side, id)?;
            let bytes = vault.0.shelves.proposed(shelf_of, id)?.ok_or(VaultError::NotFound)?;
            Ok((row, bytes))
        })
        .await
    }

    /// The person says no, or the organisation takes it back.
    ///
    /// # Errors
    /// [`VaultError::NotWaiting`] if it ended otherwise.
    pub async fn end_request(&self, side: Side, id: B256) -> Result<AskedChange, VaultError> {
        self.blocking(move |vault| {
            let subject = vault.one(side, id)?.1.subject;
            let _one_at_a_time = vault.lock(vault.0.service.subject_now(subject));
            let (shelf_of, row) = vault.one(side, id)?;
            let index = row.state.asked_at().unwrap_or_default();
            let (act, state) = match side {
                Side::Person { .. } => (DECLINED, RequestState::Declined { index }),
                Side::Organisation(_) => (WITHDRAWN, RequestState::Withdrawn { index }),
            };
            match row.state {
                RequestState::Asked { .. } => vault.end(shelf_of, row, act, state)?,
                known if known == state => {}
                _ => return Err(VaultError::NotWaiting),
            }
            vault.stand(vault.one(side, id)?.1)
        })
        .await
    }

    /// Shelf and id of every request that somebody may see.
    fn ids_of(&self, side: Side) -> Result<Vec<(B256, B256)>, VaultError> {
        match side {
            Side::Organisation(organisation) => Ok(self.0.shelves.asked_by(organisation)?),
            Side::Person { who, subject } => {
                let subject = self.0.service.subject_now(subject);
                let is_own = subject_of(who) == subject;
                if !is_own && !self.bench(subject)?.speaks(subject, who) {
                    return Err(VaultError::NotFound);
                }
                let mut ids = Vec::new();
                for part in self.parts(subject) {
                    let requests = self.0.shelves.shelf(part)?.requests;
                    ids.extend(requests.into_iter().map(|id| (part, id)));
                }
                Ok(ids)
            }
        }
    }

    fn one(&self, side: Side, id: B256) -> Result<(B256, RequestRow), VaultError> {
        let mut ids = self.ids_of(side)?.into_iter();
        let (shelf_of, _) = ids.find(|(_, other)| *other == id).ok_or(VaultError::NotFound)?;
        let row = self.0.shelves.request(shelf_of, id)?;
        let is_told = |row: &RequestRow| row.state != RequestState::Entering;
        Ok((shelf_of, row.filter(is_told).ok_or(VaultError::NotFound)?))
    }

    fn stand(&self, row: RequestRow) -> Result<AskedChange, VaultError> {
        let standing = match row.state {
            RequestState::Entering | RequestState::Asked { .. } => Standing::Asked,
            RequestState::Declined { .. } => Standing::Declined,
            RequestState::Withdrawn { .. } => Standing::Withdrawn,
            RequestState::Expired { .. } => Standing::Expired,
            RequestState::Done { .. } => Standing::Done,
        };
        let subject = self.0.service.subject_now(row.subject);
        let approval = match standing {
            Standing::Done | Standing::Withdrawn => None,
            _ => match self.bench(subject) {
                Ok(bench) => bench.approval(subject, row.custodian, row.record, (row.from, row.to)),
                // Whether it was approved on chain only, nobody can say now.
                Err(VaultError::ChainUnreadable(_)) => None,
                Err(error) => return Err(error),
            },
        };
        let standing = if approval.is_some() { Standing::Approved } else { standing };
        Ok(AskedChange { row, standing, approval })
    }
}
