//! What becomes of an emergency change: who answered, who is reminded, and that nobody answered.
//!
//! All of it is decided anew from the trail's documents and the chain, whenever something may have
//! changed and before anything is told. What a crash leaves undone is done after it: the book says
//! what is due, and the entry that nobody answered has an event id made from the change.

use super::book::is_open;
use crate::behind::RETRY;
use crate::intake::ReportError;
use crate::judge::Obstacle;
use crate::opener::{Entry, EntryError};
use crate::papers::Papers;
use crate::permissions::Permissions;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::consents::ConsentRecord;
use medtrail_ledger::directory::{BindingState, DirectoryChange, EmergencyAnswer, EmergencyRow};
use medtrail_ledger::entry::{Kind, address_of, details_hash, event_id, subject_of};
use medtrail_ledger::inquiry::{LineRef, Unconfirmed};
use medtrail_ledger::schema::Report;
use medtrail_permit::consents;
use medtrail_permit::documents::Document;
use medtrail_permit::papers::Recorded;
use medtrail_permit::permits::{
    Act, Basis, Bound, ChainState, Clock, Pseudonym, Refusal, Verdict, World, clock, permits,
};
use medtrail_permit::signed::PermissionDetails;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long after its time an answer may still be on its way to the disk.
const GRACE_MS: u64 = 1_500;
/// Reminders of one person that are due within this time are one.
const TOGETHER_MS: u64 = 24 * 3_600_000;
/// How long what rests on a block that is not final is left alone.
const FINAL_RETRY: Duration = Duration::from_secs(5);

/// How an emergency change stands now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stood {
    /// It waits for its person's word.
    Waits,
    /// It does not: it was answered, or needs no answer.
    Settled,
    /// Whether it was confirmed hangs on a block that is not final, or on a binding that is not
    /// whole.
    NotFinal,
}

/// When the clocks are looked at again.
pub(crate) struct Ticking {
    paused_until: Instant,
}

impl Default for Ticking {
    fn default() -> Self {
        Self { paused_until: Instant::now() }
    }
}

/// Documents of everybody who may have said something about an act, and its chain.
struct Known {
    papers: Papers,
    /// Where the act is about a pseudonym: that, and what is kept under it.
    pseudonym: Option<(Pseudonym, Papers)>,
    /// Whose chain it is, and what that says.
    chain: Option<(Address, Vec<ConsentRecord>)>,
}

impl Ticking {
    /// Reminds whoever is to be reminded, and tells where nobody answered. None: it is not time to
    /// look again.
    pub(crate) fn tick(&mut self, service: &Service) -> Option<Result<(), Obstacle>> {
        if Instant::now() < self.paused_until {
            return None;
        }
        let now_ms = (service.0.now_ms)();
        let (closed, reminded) = (service.close_overdue(now_ms), service.remind_due(now_ms));
        let done = closed.and_then(|is_open| Ok(reminded? || is_open));
        match &done {
            Ok(false) => {}
            Ok(true) => self.paused_until = Instant::now() + FINAL_RETRY,
            Err(_) => self.paused_until = Instant::now() + RETRY,
        }
        Some(done.map(drop))
    }
}

impl Service {
    /// Emergency changes that wait for an answer, each with its clock running.
    pub fn emergencies_waiting(&self) -> u64 {
        self.0.live.rows().emergencies.waiting() as u64
    }

    /// Notes an emergency change, unless it is noted.
    pub(crate) fn note_emergency(&self, entry: &Entry, act: &Act) -> Result<Stood, Obstacle> {
        let known = self.0.live.rows().emergencies.get(act.commitment).cloned();
        let row = known.unwrap_or_else(|| EmergencyRow {
            id: act.commitment,
            index: entry.index,
            subject: entry.report.subject,
            record: entry.report.record,
            organisation: self.0.live.reporter_of(entry),
            received_ms: entry.place.receivedMs,
            clock: None,
            is_reminded: false,
            answer: None,
            unanswered: None,
        });
        self.reconsider(&row)
    }

    /// Looks at what an entry may have answered: the changes that it names, or those of a pseudonym
    /// that now has somebody who can be asked.
    pub(crate) fn hear_answer(&self, entry: &Entry) -> Result<Stood, Obstacle> {
        let rows = self.named_by(entry);
        let mut stood = Stood::Settled;
        for row in rows {
            if self.reconsider(&row)? == Stood::NotFinal {
                stood = Stood::NotFinal;
            }
        }
        Ok(stood)
    }

    fn named_by(&self, entry: &Entry) -> Vec<EmergencyRow> {
        let subject = entry.report.subject;
        let without_clock = |row: &&EmergencyRow| row.clock.is_none();
        let rows = || self.0.live.rows();
        if Kind::from_number(entry.report.kind) == Kind::Binding {
            let rows = rows();
            return rows
                .emergencies
                .of_subjects(&[subject])
                .filter(without_clock)
                .cloned()
                .collect();
        }
        let details = entry.details.as_deref().unwrap_or_default();
        let Ok(signed) = PermissionDetails::read(details) else { return Vec::new() };
        // Before the rows are locked: both are in the directory.
        let parts = self.parts_about(subject);
        let rows = rows();
        let of_person = rows.emergencies.of_subjects(&parts);
        match &signed.document {
            Document::Revoke(revoke) => {
                let named = rows.emergencies.get(revoke.permission);
                named.filter(|row| parts.contains(&row.subject)).cloned().into_iter().collect()
            }
            Document::ChangeApproval(approval) => {
                let is_named = |row: &&EmergencyRow| row.record == approval.record;
                of_person.filter(is_named).cloned().collect()
            }
            Document::Guardianship(_) => of_person.filter(without_clock).cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Decides anew how an emergency change stands, and notes it durably.
    fn reconsider(&self, row: &EmergencyRow) -> Result<Stood, Obstacle> {
        let entry = match self.open_row(row.index) {
            Ok(entry) => entry,
            Err(EntryError::Erased(_) | EntryError::Damaged(_)) => {
                return self.forget_emergency(row.id);
            }
            Err(error) => return Err(error.into()),
        };
        let Permissions { need, .. } = &self.0.permissions;
        let act = self.act_of(&entry, need(&entry.report, entry.details.as_deref()));
        let Some(known) = self.known_of(entry.report.subject)? else { return Ok(Stood::NotFinal) };
        let records = known.chain.as_ref().map_or(&[][..], |(_, records)| records);
        let world = known.world(self, records);
        let verdict = permits(&act, &world);
        let is_open = consents::kinder(records).is_some_and(|others| {
            others.iter().any(|other| permits(&act, &known.world(self, other)) != verdict)
        });
        if is_open {
            return Ok(Stood::NotFinal);
        }
        let answer = match verdict {
            Verdict::Unconfirmed { .. } => None,
            Verdict::Counts { reason: Basis::Confirmed, .. } => Some(true),
            Verdict::DoesNotCount { reason: Refusal::Contested, .. } => Some(false),
            // Something else decides: nobody need be asked.
            _ => return self.forget_emergency(row.id),
        };
        let clock = clock(&act, &world).map(|Clock { since_ms, until_ms }| (since_ms, until_ms));
        let answer = answer.map(|is_yes| match row.answer {
            Some(before) if before.is_yes == is_yes => before,
            _ => {
                let by = known.decided_by(&act, &verdict);
                EmergencyAnswer {
                    is_yes,
                    index: by.map(|one| one.index),
                    at_ms: by.map_or_else(|| (self.0.now_ms)(), |one| one.received_ms),
                }
            }
        });
        let changed = EmergencyRow { clock, answer, ..row.clone() };
        let is_known = self.0.live.rows().emergencies.get(row.id) == Some(&changed);
        if !is_known {
            self.put_emergencies(vec![DirectoryChange::PutEmergency(changed)])?;
        }
        Ok(if answer.is_some() { Stood::Settled } else { Stood::Waits })
    }

    fn put_emergencies(&self, changes: Vec<DirectoryChange>) -> Result<(), Obstacle> {
        let live = &self.0.live;
        let _one_at_a_time = live.begin()?;
        Ok(live.apply(changes)?)
    }

    fn forget_emergency(&self, id: B256) -> Result<Stood, Obstacle> {
        if self.0.live.rows().emergencies.get(id).is_some() {
            self.put_emergencies(vec![DirectoryChange::DropEmergency(id)])?;
        }
        Ok(Stood::Settled)
    }

    /// Everything that decides an act about a subject; none: its binding is not whole yet.
    fn known_of(&self, subject: B256) -> Result<Option<Known>, Obstacle> {
        let consents = &self.0.permissions.consents;
        if let Some(address) = address_of(subject) {
            let chain = Some((address, consents.about(address)?));
            return Ok(Some(Known { papers: self.papers(subject)?, pseudonym: None, chain }));
        }
        let moved = self.0.live.moved().get(&subject).copied();
        let kept = self.kept(subject)?;
        let own = self.papers(subject)?;
        let Some(moved) = moved else {
            return Ok(Some(Known {
                papers: own.clone(),
                pseudonym: Some((kept, own)),
                chain: None,
            }));
        };
        let Some(bound) = self.bound_by(subject, moved.to)? else { return Ok(None) };
        let kept = Pseudonym { bound: Some(bound), ..kept };
        let chain = Some((moved.to, consents.about(moved.to)?));
        let papers = self.papers(subject_of(moved.to))?;
        Ok(Some(Known { papers, pseudonym: Some((kept, own)), chain }))
    }

    /// Whose a pseudonym became, and when.
    fn bound_by(&self, pseudonym: B256, to: Address) -> Result<Option<Bound>, EntryError> {
        let found = {
            let rows = self.0.live.rows();
            let mut of = rows.bindings_of(to).filter(|row| row.pseudonym == pseudonym);
            of.find_map(|row| match row.state {
                BindingState::Entered { entries: [last, _], .. } => Some(last),
                _ => None,
            })
        };
        let Some(last) = found else { return Ok(None) };
        let received_ms = self.open_row(last)?.place.receivedMs;
        Ok(Some(Bound { subject: to, received_ms }))
    }

    /// Tells of every emergency change that nobody answered about in time; whether some wait for
    /// final blocks. What was acknowledged in time is in the papers that decide.
    fn close_overdue(&self, now_ms: u64) -> Result<bool, Obstacle> {
        let due = self.0.live.rows().emergencies.due_before(now_ms.saturating_sub(GRACE_MS));
        let mut waits = false;
        let mut failed = Failed::default();
        for row in due {
            if !self.takes_reports() {
                break;
            }
            let closed = self.reconsider(&row).and_then(|stood| match stood {
                Stood::Waits => self.tell_unconfirmed(row.id, now_ms).map(|()| stood),
                Stood::Settled | Stood::NotFinal => Ok(stood),
            });
            waits |= failed.unless_all(closed)? == Some(Stood::NotFinal);
        }
        failed.or(waits)
    }

    fn tell_unconfirmed(&self, id: B256, now_ms: u64) -> Result<(), Obstacle> {
        let row = self.0.live.rows().emergencies.get(id).cloned();
        let Some(row) = row.filter(is_open) else { return Ok(()) };
        let Some((since_ms, due_ms)) = row.clock.filter(|(_, until_ms)| *until_ms < now_ms) else {
            return Ok(());
        };
        let event = event_id(Address::ZERO, &[b"unconfirmed\0", id.as_slice()].concat());
        let subject = self.subject_now(row.subject);
        // Told under a pseudonym, it is not told again to whom that became.
        let before = match subject == row.subject {
            true => None,
            false => self.find_own(row.subject, event)?,
        };
        let index = match before {
            Some(index) => index,
            None => {
                let line = LineRef { index: row.index, commitment: id };
                let told = Unconfirmed::new(line, row.organisation, since_ms, due_ms);
                let details = serde_json::to_vec(&told).expect("plain data encodes");
                let report = Report {
                    eventId: event,
                    kind: Kind::Question.number(),
                    // Not now: entered again after a crash it must be the very same.
                    timeMs: due_ms,
                    subject,
                    permission: id,
                    details: details_hash(&details),
                    ..self.own_report()
                };
                match self.enter_own(report, details) {
                    // Told before by other words: the first stands.
                    Err(ReportError::Conflict { index, .. }) => index,
                    entered => entered?,
                }
            }
        };
        let told = EmergencyRow { unanswered: Some(index), ..row };
        self.put_emergencies(vec![DirectoryChange::PutEmergency(told)])
    }

    /// Reminds people of what waits for them, each once, and those of one day together; whether some
    /// wait for final blocks.
    fn remind_due(&self, now_ms: u64) -> Result<bool, Obstacle> {
        let due = self.0.live.rows().emergencies.to_remind_before(now_ms);
        let mut people: Vec<B256> = due.iter().map(|row| self.subject_now(row.subject)).collect();
        people.sort_unstable();
        people.dedup();
        if people.is_empty() {
            return Ok(false);
        }
        let soon = self.0.live.rows().emergencies.to_remind_before(now_ms + TOGETHER_MS);
        let mut of: BTreeMap<B256, Vec<EmergencyRow>> = BTreeMap::new();
        for row in soon {
            of.entry(self.subject_now(row.subject)).or_default().push(row);
        }
        let mut waits = false;
        let mut failed = Failed::default();
        for person in people {
            let (mut about, mut changes) = (Vec::new(), Vec::new());
            for row in of.remove(&person).unwrap_or_default() {
                match failed.unless_all(self.reconsider(&row))? {
                    Some(Stood::Waits) => {}
                    Some(Stood::NotFinal) => {
                        waits = true;
                        continue;
                    }
                    Some(Stood::Settled) | None => continue,
                }
                let row = self.0.live.rows().emergencies.get(row.id).cloned();
                let Some(row) = row.filter(|row| is_open(row) && !row.is_reminded) else {
                    continue;
                };
                // Too late: that nobody answered is about to be told.
                if row.clock.is_some_and(|(_, until_ms)| now_ms < until_ms) {
                    about.push(row.index);
                }
                let reminded = EmergencyRow { is_reminded: true, ..row };
                changes.push(DirectoryChange::PutEmergency(reminded));
            }
            let people = match address_of(person) {
                _ if about.is_empty() => Vec::new(),
                Some(address) => vec![address],
                None => {
                    let told = self.guardians_to_tell(person).map_err(Obstacle::from);
                    let Some(told) = failed.unless_all(told)? else { continue };
                    told.into_iter().map(|channels| channels.subject).collect()
                }
            };
            for one in people {
                changes.extend(self.reminders(one, &about, now_ms));
            }
            if !changes.is_empty() {
                self.put_emergencies(changes)?;
            }
        }
        failed.or(waits)
    }
}

/// The first thing that failed of a round which goes on: one trail that cannot be read must not keep
/// all others waiting.
#[derive(Default)]
struct Failed(Option<Obstacle>);

impl Failed {
    /// What came of one; none: it failed, and the others are tried all the same.
    fn unless_all<T>(&mut self, one: Result<T, Obstacle>) -> Result<Option<T>, Obstacle> {
        match one {
            Ok(done) => Ok(Some(done)),
            Err(obstacle) if obstacle.stops_all() => Err(obstacle),
            Err(obstacle) => {
                self.0.get_or_insert(obstacle);
                Ok(None)
            }
        }
    }

    fn or<T>(self, done: T) -> Result<T, Obstacle> {
        self.0.map_or(Ok(done), Err)
    }
}

impl Known {
    /// The document that decided, if one in the log did: what was said on the chain alone has none.
    fn decided_by(&self, act: &Act, verdict: &Verdict) -> Option<&Recorded> {
        let is_it = |one: &&Recorded| match (verdict, &one.signed.document) {
            (Verdict::Counts { document, .. }, _) => *document == Some(one.id),
            (_, Document::Revoke(revoke)) => revoke.permission == act.commitment,
            _ => false,
        };
        let under = self.pseudonym.iter().flat_map(|(_, own)| own.documents());
        self.papers.documents().iter().chain(under).find(is_it)
    }

    /// All of it, with this state of the chain.
    fn world(&self, service: &Service, records: &[ConsentRecord]) -> World {
        let registries = service.registries();
        let chain = match &self.chain {
            Some((address, _)) => consents::fold(*address, records),
            None => ChainState::default(),
        };
        let mut world = self.papers.world(registries.clone(), chain);
        let Some((pseudonym, own)) = &self.pseudonym else { return world };
        world.pseudonyms = vec![pseudonym.clone()];
        if pseudonym.bound.is_some() {
            // What was said under the pseudonym, and what was said since.
            let own = own.world(registries, ChainState::default());
            world.documents.extend(own.documents);
            world.uses.extend(own.uses);
            world.ends.extend(own.ends);
            world.chain.epochs.extend(own.chain.epochs);
        }
        world
    }
}
