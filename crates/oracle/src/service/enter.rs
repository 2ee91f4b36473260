//! Reports on their way in: checked, hashed and encoded on their reporters' threads, given room,
//! queued, and answered.

use super::{Service, blocking, words};
use crate::intake::{Intake, ReportError, Submission};
use crate::opener::{Entry, EntryError};
use crate::room::{Answer, Share};
use crate::row::encode_report;
use crate::sequencer::{Ask, PlaceError, Placed, Waiting};
use alloy_primitives::{Address, B256};
use medtrail_ledger::entry::{Kind, subject_of};
use medtrail_ledger::ports::{EventKey, JournalError, RowHeader};
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::receipt::{self, Receipt};
use medtrail_ledger::schema::Report;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

impl Service {
    /// Takes one report; the receipt comes once it is durable.
    pub async fn report(&self, submission: Submission) -> Result<Receipt, ReportError> {
        let mut outcomes = self.reports(vec![submission]).await;
        outcomes.pop().unwrap_or(Err(ReportError::Place(PlaceError::Stopped)))
    }

    /// Takes many reports; each stands or falls by itself, in order. None is queued unless there
    /// is room for all that passed their checks.
    pub async fn reports(&self, submissions: Vec<Submission>) -> Vec<Result<Receipt, ReportError>> {
        let service = self.clone();
        let count = submissions.len();
        // Signatures cost 30 µs each and the index may wait for the disk: off the async threads.
        let checking = tokio::task::spawn_blocking(move || {
            let (trust, now_ms) = (service.trust(), (service.0.now_ms)());
            let mut intake = Intake::new(&trust, now_ms);
            let mut known = None;
            let check = |one: Submission| {
                intake.check(&one)?;
                if Kind::from_number(one.report.kind) == Kind::Binding {
                    service.require_keeper(&one.report, one.details.as_deref())?;
                }
                let actor = one.report.actor;
                let (_, organisation) = match known {
                    Some(known @ (known_actor, _)) if known_actor == actor => known,
                    _ => *known.insert((actor, service.organisation_of(actor))),
                };
                service.prepare(one, organisation)
            };
            submissions.into_iter().map(check).collect::<Vec<_>>()
        });
        match checking.await {
            Ok(prepared) => self.place(prepared).await,
            Err(_) => (0..count).map(|_| Err(PlaceError::Stopped.into())).collect(),
        }
    }

    /// Enters a report that nobody signed, as the operator's own word; every view says so.
    pub async fn relay(&self, submission: Submission) -> Result<Receipt, ReportError> {
        self.relay_of(None, submission).await
    }

    /// The same for an organisation that has shown who it is: it is heard, and its is the room that
    /// the report takes in the queue.
    pub async fn relay_for(
        &self,
        organisation: Address,
        submission: Submission,
    ) -> Result<Receipt, ReportError> {
        self.relay_of(Some(organisation), submission).await
    }

    async fn relay_of(
        &self,
        organisation: Option<Address>,
        submission: Submission,
    ) -> Result<Receipt, ReportError> {
        let service = self.clone();
        let check = move || service.check_relayed_of(organisation, submission);
        let checking = tokio::task::spawn_blocking(check);
        self.enter(checking.await.unwrap_or_else(|_| Err(PlaceError::Stopped.into()))?).await
    }

    /// The first half of [`Self::relay`], for callers with threads of their own. Blocks.
    pub fn check_relayed(&self, submission: Submission) -> Result<Checked, ReportError> {
        self.check_relayed_of(None, submission)
    }

    fn check_relayed_of(
        &self,
        organisation: Option<Address>,
        submission: Submission,
    ) -> Result<Checked, ReportError> {
        Intake::new(&self.trust(), (self.0.now_ms)()).check_relayed(&submission)?;
        self.prepare(submission, organisation).map(Checked)
    }

    /// The second half: a place in the log, and the receipt once it is durable.
    pub async fn enter(&self, checked: Checked) -> Result<Receipt, ReportError> {
        let mut outcomes = self.place(vec![Ok(checked.0)]).await;
        outcomes.pop().unwrap_or(Err(ReportError::Place(PlaceError::Stopped)))
    }

    /// Has each report take its part of the room; `false` if there is not enough for all.
    fn make_room(&self, prepared: &mut [Result<Prepared, ReportError>]) -> bool {
        let mut known: Option<(Address, Arc<Share>)> = None;
        prepared.iter_mut().flatten().all(|one| {
            let (_, share) = match &mut known {
                Some(known) if known.0 == one.whose => known,
                _ => known.insert((one.whose, self.0.room.share_of(one.whose))),
            };
            let held = share.take(one.waiting.encoded.len());
            held.map(|held| one.waiting.answer.hold(held)).is_some()
        })
    }

    pub(crate) async fn place(
        &self,
        mut prepared: Vec<Result<Prepared, ReportError>>,
    ) -> Vec<Result<Receipt, ReportError>> {
        let passed = prepared.iter().filter(|one| one.is_ok()).count();
        let room = match self.make_room(&mut prepared) {
            true => self.0.queue.try_reserve_many(passed),
            false => Err(mpsc::error::TrySendError::Full(())),
        };
        let mut room = match room {
            Ok(room) => room,
            Err(error) => {
                let told = match error {
                    mpsc::error::TrySendError::Full(()) => PlaceError::Busy,
                    mpsc::error::TrySendError::Closed(()) => PlaceError::Stopped,
                };
                let refuse = |one: Result<_, _>| one.and(Err(ReportError::Place(told.clone())));
                return prepared.into_iter().map(refuse).collect();
            }
        };
        let mut waiting = Vec::with_capacity(prepared.len());
        {
            // Held until all are queued: whoever marks a pseudonym as moved waits for this, and
            // queues the entry that ends its trail after it. So nothing lands behind that entry.
            let moved = self.0.live.moved();
            for one in prepared {
                waiting.push(one.and_then(|prepared| {
                    let permit = room.next().expect("room for each that passed");
                    let Prepared { waiting, sent, organisation, answer, .. } = prepared;
                    let outcome = match moved.get(&waiting.subject) {
                        None => {
                            permit.send(Ask::Place(Box::new(waiting)));
                            Queued::Waits(answer)
                        }
                        Some(moved) if moved.is_settled => {
                            Queued::Moved { event: waiting.header.event, to: moved.to }
                        }
                        // What came before the move may still be on its way, this very report
                        // among it: nobody can say yet what to do.
                        Some(_) => return Err(PlaceError::Busy.into()),
                    };
                    Ok((sent, organisation, outcome))
                }));
            }
        }
        drop(room);
        let mut outcomes = Vec::with_capacity(waiting.len());
        let mut heard = None;
        for one in waiting {
            outcomes.push(match one {
                Err(error) => Err(error),
                Ok((sent, _, Queued::Moved { event: key, to })) => match self.find(key).await {
                    Err(error) => Err(error.into()),
                    Ok(None) => Err(ReportError::Moved { to: subject_of(to) }),
                    Ok(Some(index)) => self.receipt_of(Placed::Known { index }, sent).await,
                },
                Ok((sent, organisation, Queued::Waits(answer))) => match answer.await {
                    Err(_) => Err(PlaceError::OutcomeUnknown.into()),
                    Ok(Err(error)) => Err(error.into()),
                    Ok(Ok(placed)) => {
                        // Only something new is a sign of life: whoever has seen a signed report
                        // may repeat it.
                        let is_new = matches!(placed, Placed::New(_));
                        if let Some(id) = organisation.filter(|id| is_new && heard != Some(*id)) {
                            self.0.live.hear(id, (self.0.now_ms)());
                            heard = Some(id);
                        }
                        self.receipt_of(placed, sent).await
                    }
                },
            });
        }
        outcomes
    }

    /// Where a report stands that was acknowledged before this is called.
    async fn find(&self, event: EventKey) -> Result<Option<u64>, JournalError> {
        let service = self.clone();
        let finding = tokio::task::spawn_blocking(move || {
            service.0.recent.reach(service.head().size)?;
            match service.0.recent.find(event) {
                Some(index) => Ok(Some(index)),
                None => service.0.journal.find(event),
            }
        });
        finding.await.unwrap_or_else(|lost| Err(JournalError::Storage(lost.to_string())))
    }

    /// Hashes and encodes a checked report and looks for it among the filed ones. `organisation` is
    /// whose word it is.
    pub(crate) fn prepare(
        &self,
        submission: Submission,
        organisation: Option<Address>,
    ) -> Result<Prepared, ReportError> {
        let Submission { report, evidence, details } = &submission;
        let kind = Kind::from_number(report.kind);
        let is_person = !report.subject.is_zero() && !kind.has_no_subject();
        // What nobody signed is the same event whichever key the operator has by now. Its event id
        // was made here, of the organisation that showed who it is.
        let is_relayed = *evidence == Evidence::Relayed;
        let actor = if is_relayed { Address::ZERO } else { report.actor };
        let header = RowHeader {
            subject: self.0.tags.subject_tag(report.subject),
            // The writer counts; any number but zero says that there is a trail to count in.
            ordinal: u64::from(is_person),
            event: self.0.tags.event_key(actor, report.subject, report.eventId),
            record: self.0.tags.record_tag(report.record),
        };
        let filed = self.0.journal.filed()?;
        let known = self.0.journal.find(header.event)?;
        let report_hash = report.hash();
        let (answer, answered) = Answer::new();
        let waiting = Waiting {
            header,
            report_hash,
            subject: report.subject,
            is_salted_by_index: !is_person || kind.is_salted_by_index(),
            is_sealed_by_the_log: !is_person || kind.is_sealed_by_the_log(),
            kind,
            known,
            filed,
            encoded: encode_report(report, evidence, details.as_deref()),
            answer,
        };
        let (event, whose) = (report.eventId, organisation.unwrap_or(report.actor));
        let relayed = is_relayed.then(|| Box::new(submission.report));
        let sent = Sent { report_hash, event, relayed };
        Ok(Prepared { waiting, sent, organisation, whose, answer: answered })
    }

    pub(crate) async fn receipt_of(
        &self,
        placed: Placed,
        sent: Sent,
    ) -> Result<Receipt, ReportError> {
        let index = match placed {
            Placed::Known { index } => index,
            Placed::New(appended) => {
                return Ok(Receipt {
                    version: receipt::VERSION.to_owned(),
                    index: appended.index,
                    report_hash: sent.report_hash,
                    place_hash: appended.place_hash,
                    path: words(appended.path),
                    checkpoint: appended.head.checkpoint.clone(),
                });
            }
        };
        let (service, event) = (self.clone(), sent.event);
        let again = blocking(move || {
            let entry = service.entry(index)?;
            let is_same = sent.is(&entry);
            Ok(is_same.then(|| service.receipt_for(&entry)).transpose()?)
        });
        match again.await {
            Ok(again) => again.ok_or(ReportError::Conflict { event, index }),
            Err(EntryError::Journal(error)) => Err(error.into()),
            Err(EntryError::Erased(index)) => Err(ReportError::Erased { index }),
            Err(other) => Err(JournalError::Damaged(other.to_string()).into()),
        }
    }
}

/// What became of a report at the door of the queue.
enum Queued {
    Waits(oneshot::Receiver<Result<Placed, PlaceError>>),
    /// Its subject is a pseudonym that was bound.
    Moved {
        event: EventKey,
        to: Address,
    },
}

/// A report that was checked, and waits for nothing but its place.
pub struct Checked(Prepared);

/// What the reporter's thread has made of a report.
pub(crate) struct Prepared {
    pub(crate) waiting: Waiting,
    pub(crate) sent: Sent,
    /// Whose word it is, where that is an organisation's.
    organisation: Option<Address>,
    /// Whose room it takes.
    whose: Address,
    pub(crate) answer: oneshot::Receiver<Result<Placed, PlaceError>>,
}

/// By what a report is known again.
pub(crate) struct Sent {
    report_hash: B256,
    event: B256,
    /// What was relayed: the operator may have another key since.
    relayed: Option<Box<Report>>,
}

impl Sent {
    /// Whether the entry is of this very report.
    fn is(self, entry: &Entry) -> bool {
        match self.relayed {
            None => entry.report.hash() == self.report_hash,
            Some(report) => {
                let actor = entry.report.actor;
                entry.evidence == Evidence::Relayed && Report { actor, ..*report } == entry.report
            }
        }
    }
}
