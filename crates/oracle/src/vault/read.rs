//! Looking: who may, the entry before the bytes leave, and the bytes.

use super::bench::{need, placed};
use super::refusals::{Refused, Titles};
use super::{Vault, VaultError};
use crate::intake::{Intake, ReportError, Submission};
use crate::own::random;
use crate::sequencer::PlaceError;
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::Receipt;
use medtrail_ledger::schema::Report;
use medtrail_ledger::vault::{About, READ_VERSION, ReadDetails, RecordRow, VersionRow};
use medtrail_permit::permits::{Act, Need};
use serde::Serialize;

/// Who wants to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reader {
    /// Whoever signed in with this address: the person, or who acts for them.
    Person(Address),
    /// An organisation that showed who it is and signs nothing: the log says for it that it read.
    Organisation {
        /// Its id.
        id: Address,
        /// Its name.
        name: String,
    },
    /// Whoever signed this report (kind 1), with a `medtrail/read-v1` as details.
    Signed(Box<Submission>),
}

/// The bytes of a version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// The version.
    pub version: VersionRow,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The receipt of the entry that says it was read.
    pub receipt: Receipt,
}

/// A record that somebody may know of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The subject id under which it is kept.
    pub subject: B256,
    /// The record.
    pub row: RecordRow,
}

/// `medtrail/relayed-v1`, as for every word that the operator passes on.
#[derive(Serialize)]
struct Relayed<'a> {
    version: &'static str,
    organisation: Address,
    name: &'a str,
    document: String,
}

/// A look, before it has its place.
struct Look {
    submission: Submission,
    act: Act,
    organisation: Option<Address>,
    /// A refusal of it is one for each of these.
    event: B256,
    is_own: bool,
}

impl Vault {
    /// The bytes of a version; of the one that counts, if none is named. By when this returns the
    /// log has the entry that says so.
    ///
    /// # Errors
    /// [`VaultError::NotFound`] for what is not there, and for whoever is nobody here;
    /// [`VaultError::Refused`] for an organisation that nobody permitted to read, whether or not it
    /// is there.
    pub async fn read(
        &self,
        reader: Reader,
        subject: B256,
        record: B256,
        version: Option<B256>,
        purposes: Vec<String>,
    ) -> Result<Content, VaultError> {
        self.blocking(move |vault| vault.read_now(&reader, subject, record, version, &purposes))
            .await
    }

    fn read_now(
        &self,
        reader: &Reader,
        subject: B256,
        record: B256,
        version: Option<B256>,
        purposes: &[String],
    ) -> Result<Content, VaultError> {
        let subject = self.somebody(subject)?;
        let (shelf_of, row) = self.located(subject, record)?;
        let asked = row.as_ref().map(|row| version.unwrap_or(row.head));
        let asked = asked.filter(|asked| !asked.is_zero()).unwrap_or_default();
        let about = row.as_ref().and_then(RecordRow::about);
        let look = self.look(reader, subject, record, asked, purposes, about, None)?;
        self.permit(&look)?;
        let found = row.as_ref().and_then(|row| row.version(asked)).filter(|row| row.is_kept);
        let found = found.ok_or(VaultError::NotFound)?.clone();
        // Before the entry: nobody read what the disk does not give.
        let bytes = self.0.shelves.content(shelf_of, record, asked)?.ok_or(VaultError::NotFound)?;
        let receipt = self.enter_look(look)?;
        Ok(Content { version: found, bytes, receipt })
    }

    /// The records that somebody may know of. For the person all of them; for others those that a
    /// permission lets them search, once the log has the entry that says they did.
    ///
    /// # Errors
    /// As for [`Self::read`]: an organisation that may know of none is refused, and so is one that
    /// asks about nobody.
    pub async fn list(
        &self,
        reader: Reader,
        subject: B256,
        purposes: Vec<String>,
    ) -> Result<Vec<Found>, VaultError> {
        self.blocking(move |vault| vault.list_now(&reader, subject, &purposes)).await
    }

    fn list_now(
        &self,
        reader: &Reader,
        subject: B256,
        purposes: &[String],
    ) -> Result<Vec<Found>, VaultError> {
        let subject = self.somebody(subject)?;
        let mut all = Vec::new();
        {
            let _one_at_a_time = self.lock(subject);
            for part in self.parts(subject) {
                self.settle_if_it_can_be(part)?;
                for record in self.0.shelves.shelf(part)?.records {
                    let row = self.0.shelves.record(part, record)?;
                    all.extend(row.map(|row| Found { subject: part, row }));
                }
            }
        }
        let first = self.look(reader, subject, B256::ZERO, B256::ZERO, purposes, None, Some(0))?;
        if first.is_own {
            return Ok(all);
        }
        let bench = self.bench(subject)?;
        let shown: Vec<Found> = all
            .into_iter()
            .filter(|found| !found.row.head.is_zero())
            .filter(|found| {
                let need = need(found.row.about(), purposes, true);
                bench.judge(&Act { need, ..first.act.clone() }).is_ok()
            })
            .collect();
        if shown.is_empty() {
            self.permit(&first)?;
        }
        // The places are looked at again: what was taken back meanwhile shows nothing.
        let count = Some(shown.len() as u64);
        let look = self.look(reader, subject, B256::ZERO, B256::ZERO, purposes, None, count)?;
        let entry = self.place_look(look.submission.clone(), look.organisation)?;
        let entry = self.0.service.open_row(entry.index)?;
        let bench = self.bench(subject)?;
        let stays = |found: &Found| {
            let need = need(found.row.about(), purposes, true);
            bench.judge(&placed(Act { need, ..look.act.clone() }, &entry)).is_ok()
        };
        Ok(shown.into_iter().filter(stays).collect())
    }

    /// One record's list of versions: metadata, for whoever may read it, with an entry as for its
    /// bytes.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn record(
        &self,
        reader: Reader,
        subject: B256,
        record: B256,
        purposes: Vec<String>,
    ) -> Result<Found, VaultError> {
        self.blocking(move |vault| {
            let subject = vault.somebody(subject)?;
            let (shelf_of, row) = vault.located(subject, record)?;
            let about = row.as_ref().and_then(RecordRow::about);
            let head = row.as_ref().map_or(B256::ZERO, |row| row.head);
            let look = vault.look(&reader, subject, record, head, &purposes, about, Some(1))?;
            if !look.is_own {
                vault.permit(&look)?;
            }
            let row = row.ok_or(VaultError::NotFound)?;
            if !look.is_own {
                if row.head.is_zero() {
                    return Err(VaultError::NotFound);
                }
                vault.enter_look(look)?;
            }
            Ok(Found { subject: shelf_of, row })
        })
        .await
    }

    /// As whom a person is known now. The zero subject is nobody.
    fn somebody(&self, subject: B256) -> Result<B256, VaultError> {
        let subject = self.0.service.subject_now(subject);
        if subject.is_zero() { Err(VaultError::NotFound) } else { Ok(subject) }
    }

    fn located(
        &self,
        subject: B256,
        record: B256,
    ) -> Result<(B256, Option<RecordRow>), VaultError> {
        let _one_at_a_time = self.lock(subject);
        let parts = self.parts(subject);
        parts.iter().try_for_each(|part| self.settle_if_it_can_be(*part))?;
        Ok(self.locate(&parts, record)?)
    }

    /// Looking does not wait for what cannot be settled: until it is, it does not count.
    pub(super) fn settle_if_it_can_be(&self, part: B256) -> Result<(), VaultError> {
        match self.settle(part) {
            Ok(()) | Err(VaultError::ChainUnreadable(_) | VaultError::Report(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of what is looked at")]
    fn look(
        &self,
        reader: &Reader,
        subject: B256,
        record: B256,
        version: B256,
        purposes: &[String],
        about: Option<&About>,
        listed: Option<u64>,
    ) -> Result<Look, VaultError> {
        let is_search = listed.is_some();
        let mut needed: Need = need(about, purposes, is_search);
        let relayed = |reader, details: Vec<u8>| -> Result<Submission, VaultError> {
            let report = Report {
                eventId: event_id(reader, &random::<32>()?),
                kind: Kind::Access.number(),
                action: if is_search { b'E' } else { b'R' },
                timeMs: self.now_ms(),
                subject,
                record,
                fromVersion: version,
                toVersion: version,
                details: details_hash(&details),
                ..self.0.service.own_report()
            };
            Ok(Submission { report, evidence: Evidence::Relayed, details: Some(details) })
        };
        let told = |reader: Option<Address>| {
            let version = READ_VERSION.to_owned();
            let details = ReadDetails { version, purposes: purposes.to_vec(), listed, reader };
            serde_json::to_vec(&details).expect("plain data encodes")
        };
        let (submission, organisation) = match reader {
            Reader::Person(address) => (relayed(*address, told(Some(*address)))?, None),
            Reader::Organisation { id, name } => {
                let document = String::from_utf8_lossy(&told(None)).into_owned();
                let version = "medtrail/relayed-v1";
                let details = Relayed { version, organisation: *id, name, document };
                let details = serde_json::to_vec(&details).expect("plain data encodes");
                (relayed(*id, details)?, Some(*id))
            }
            Reader::Signed(submission) => {
                let purposes = self.check_signed_look(submission, subject, record)?;
                needed = need(about, &purposes, is_search);
                let actor = submission.report.actor;
                let organisation = self.organisation_by(actor)?;
                ((**submission).clone(), organisation)
            }
        };
        let mut act = self.act_now(&submission, needed);
        let mut is_own = false;
        match reader {
            Reader::Person(address) => {
                act.signer = Some(*address);
                act.party = vec![*address];
                is_own = subject_of(*address) == subject;
            }
            Reader::Organisation { id, .. } => act.party = vec![*id],
            Reader::Signed(_) => {}
        }
        let event = submission.report.hash();
        Ok(Look { submission, act, organisation, event, is_own })
    }

    fn check_signed_look(
        &self,
        submission: &Submission,
        subject: B256,
        record: B256,
    ) -> Result<Vec<String>, VaultError> {
        let fault = |field, rule| Err(VaultError::Field { field, rule });
        let report = &submission.report;
        if (report.subject, report.record) != (subject, record) {
            return fault("report.record", "the person and the record that are asked for");
        }
        if report.action != b'R' {
            return fault("report.action", "R");
        }
        if report.fromVersion != report.toVersion {
            return fault("report.toVersion", "the same as fromVersion: nothing is changed");
        }
        let details = submission.details.as_deref().unwrap_or_default();
        let details = serde_json::from_slice::<ReadDetails>(details).ok();
        let is_good = |one: &ReadDetails| {
            one.version == READ_VERSION && one.listed.is_none() && one.reader.is_none()
        };
        let Some(details) = details.filter(is_good) else {
            return fault("details", "a medtrail/read-v1 with purposes");
        };
        let trust = self.0.service.trust();
        Intake::new(&trust, self.now_ms()).check_in_vault(submission, Kind::Access)?;
        // A look happens now. An old one, sent again, would show what was read once and is not
        // permitted any more, or show it without a new entry.
        let key = self.event_key(report.actor, report.subject, report.eventId);
        if let Some(index) = self.find(key)? {
            return Err(ReportError::Conflict { event: report.eventId, index }.into());
        }
        Ok(details.purposes)
    }

    /// Whether a look is permitted now; where not, an organisation's is told to the person.
    fn permit(&self, look: &Look) -> Result<(), VaultError> {
        // The person is never kept from looking, also while the chain cannot be read.
        if look.is_own {
            return Ok(());
        }
        let report = &look.submission.report;
        match self.bench(report.subject)?.judge(&look.act) {
            Ok(_) => Ok(()),
            Err(no) if look.organisation.is_some() => {
                let event = look.event;
                let what = (Refused::Read, Titles::default());
                self.refuse(what, report, None, look.organisation, no, event)?;
                Err(no.into())
            }
            Err(_) => Err(VaultError::NotFound),
        }
    }

    /// Enters a look, and looks once more whether it was permitted in its very place.
    fn enter_look(&self, look: Look) -> Result<Receipt, VaultError> {
        let Look { submission, act, organisation, event, is_own } = look;
        let receipt = self.place_look(submission, organisation)?;
        if is_own {
            return Ok(receipt);
        }
        let entry = self.0.service.open_row(receipt.index)?;
        let act = placed(act, &entry);
        match self.bench(entry.report.subject)?.judge(&act) {
            Ok(_) => Ok(receipt),
            Err(no) => {
                let report = &entry.report;
                let what = (Refused::Read, Titles::default());
                self.refuse(what, report, Some(&entry), organisation, no, event)?;
                Err(no.into())
            }
        }
    }

    /// Once: a log that takes nothing now gives no bytes.
    pub(super) fn place_look(
        &self,
        submission: Submission,
        organisation: Option<Address>,
    ) -> Result<Receipt, VaultError> {
        let prepared = self.0.service.prepare(submission, organisation)?;
        let placed = crate::own::wait(self.0.service.place(vec![Ok(prepared)])).pop();
        Ok(placed.unwrap_or(Err(PlaceError::Stopped.into()))?)
    }
}
