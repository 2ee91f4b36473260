//! The herald: reads behind the head what concerns people who want to be told, tells them, and
//! enters that it did.
//!
//! What is to be told becomes durable together with how far the log was read, so that nothing is
//! lost and nothing stands twice. A parcel is sent, that is noted, its entry (kind 17) is made, and
//! only then it is forgotten. A crash in between sends it again; the entry's event id is that of
//! the parcel, so that there is one.

use super::guardians::Guarded;
use super::urgent::{Soon, soon};
use crate::anchorer::Problem;
use crate::behind::{Obstacle, RETRY, SAVE_ENTRIES, warn_once};
use crate::opener::EntryError;
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{ChannelsRow, DirectoryChange, DueNotice, DueSort};
use medtrail_ledger::entry::{Kind, details_hash, event_id, subject_of};
use medtrail_ledger::notices::{MailText, Parcel, Undelivered};
use medtrail_ledger::ports::{JournalError, RowHeader, SubjectTag};
use medtrail_ledger::schema::Report;
use serde::Serialize;
use serde_json::json;
use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::watch;

/// How often the herald looks up.
const PAUSE: Duration = Duration::from_millis(500);
/// Parcels of one round.
const PARCELS_AT_ONCE: usize = 16;
/// Entries that one mail is about.
const ABOUT_MAX: usize = 500;
/// Parcels of one person that may wait; what comes on top is not told by this channel.
const WAITING_MAX: usize = 1_000;
/// Tries before a parcel is given up, and the longest time between two.
const TRIES_MAX: u32 = 12;
const RETRY_MS_MAX: u64 = 6 * 3_600_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// When in the day (UTC) digests leave.
const DIGEST_MS: u64 = 6 * 3_600_000;

/// How notices are doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heralding {
    /// Parcels that wait.
    pub waiting: u64,
    /// What is in the way.
    pub problem: Option<Problem>,
}

/// `medtrail/notice-v1`: what was sent, by which channel, about which lines. Never what.
#[derive(Serialize)]
struct Notice<'a> {
    version: &'static str,
    channel: &'static str,
    about: &'a [u64],
}

/// The herald. Runs on a thread of its own.
pub(crate) struct Herald {
    service: Service,
    ended: watch::Receiver<bool>,
    next: u64,
    saved: u64,
    guarded: Guarded,
}

impl Herald {
    pub(crate) fn new(
        service: Service,
        ended: watch::Receiver<bool>,
    ) -> Result<Self, JournalError> {
        let next = service.begin_at(service.0.live.noticed(), DirectoryChange::Noticed)?;
        Ok(Self { service, ended, next, saved: next, guarded: Guarded::default() })
    }

    /// Tells until the writer has ended.
    pub(crate) fn run(mut self) {
        while !*self.ended.borrow() {
            let done = self.read().and_then(|()| self.send_due());
            let pause = if done.is_err() { RETRY } else { PAUSE };
            self.tell(done.err());
            std::thread::sleep(pause);
        }
        if let Err(error) = self.save(Vec::new(), self.next) {
            tracing::warn!("how far notices were made is not saved: {error}");
        }
    }

    fn tell(&self, obstacle: Option<Obstacle>) {
        let problem = obstacle.map(|obstacle| obstacle.problem("notices wait"));
        let mut now = self.service.0.heralding.lock().unwrap_or_else(PoisonError::into_inner);
        warn_once(now.problem.as_ref(), problem.as_ref());
        let waiting = self.service.0.live.rows().due.len() as u64;
        *now = Heralding { waiting, problem };
        drop(now);
        self.service.stop_if_lost();
    }

    fn save(&mut self, mut changes: Vec<DirectoryChange>, end: u64) -> Result<(), JournalError> {
        if changes.is_empty() && end == self.saved {
            return Ok(());
        }
        changes.push(DirectoryChange::Noticed(end));
        let live = &self.service.0.live;
        let _one_at_a_time = live.begin()?;
        live.apply(changes)?;
        self.saved = end;
        Ok(())
    }

    /// Reads what is new. The rows say in clear whose they are: only those of people who want to be
    /// told are opened.
    fn read(&mut self) -> Result<(), Obstacle> {
        let size = self.service.head().size;
        while self.next < size && !*self.ended.borrow() {
            let whose = self.whose();
            if whose.is_empty() {
                self.next = size;
                break;
            }
            self.guarded.refresh(&self.service);
            let rows = self.service.rows_from(self.next, size)?;
            let end = self.next + rows.len() as u64;
            let mut fresh: HashMap<B256, DueNotice> = HashMap::new();
            for (index, row) in rows {
                let Some(tag) = RowHeader::decode(&row).map(|header| header.subject) else {
                    continue;
                };
                let guardians = match self.guarded.by_tag(&tag) {
                    Some(pseudonym) => self.service.guardians_to_tell(pseudonym)?,
                    None => Vec::new(),
                };
                let told = whose.get(&tag).into_iter().flatten().chain(&guardians);
                let told: Vec<&ChannelsRow> = told.filter(|row| index >= row.since).collect();
                if told.is_empty() {
                    continue;
                }
                match self.service.0.opener.open(index, &row) {
                    Ok(entry) => told.into_iter().for_each(|channels| {
                        self.decide(channels, index, soon(&entry), &mut fresh);
                    }),
                    Err(EntryError::Erased(_) | EntryError::Damaged(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let changes: Vec<_> = fresh.into_values().map(DirectoryChange::PutDue).collect();
            if !changes.is_empty() || end - self.saved >= SAVE_ENTRIES {
                self.save(changes, end)?;
            }
            self.next = end;
        }
        if self.next - self.saved >= SAVE_ENTRIES {
            self.save(Vec::new(), self.next)?;
        }
        Ok(())
    }

    /// Who wants to be told, by all tags that their lines have.
    fn whose(&self) -> HashMap<SubjectTag, Vec<ChannelsRow>> {
        let rows: Vec<ChannelsRow> =
            self.service.0.live.rows().channels.values().cloned().collect();
        let mut whose: HashMap<SubjectTag, Vec<ChannelsRow>> = HashMap::new();
        for row in rows {
            // An alias may have channels of its own.
            for subject in self.service.whole_parts(subject_of(row.subject)) {
                let tag = self.service.0.tags.subject_tag(subject);
                whose.entry(tag).or_default().push(row.clone());
            }
        }
        whose
    }

    fn decide(
        &self,
        channels: &ChannelsRow,
        index: u64,
        soon: Soon,
        fresh: &mut HashMap<B256, DueNotice>,
    ) {
        if soon == Soon::Never {
            return;
        }
        let now_ms = (self.service.0.now_ms)();
        let of_person = |due: &&DueNotice| due.subject == channels.subject;
        let waiting = self.service.0.live.rows().due.values().filter(of_person).count();
        if waiting + fresh.values().filter(of_person).count() >= WAITING_MAX {
            return;
        }
        if channels.webhook.is_some() {
            let due = due(channels.subject, DueSort::Webhook, index, now_ms);
            fresh.insert(due.id, due);
        }
        let email = channels.email.as_ref().filter(|email| email.is_confirmed);
        let Some(email) = email.filter(|one| one.is_daily || soon == Soon::AtOnce) else { return };
        let (sort, due_ms) = match email.is_daily {
            true => (DueSort::Digest, next_digest(now_ms)),
            false => (DueSort::Mail, now_ms + self.service.0.notices.gather_ms),
        };
        // One mail for all that comes until it leaves.
        let is_open = |due: &&DueNotice| {
            due.subject == channels.subject
                && due.sort == sort
                && due.tries == 0
                && !due.is_sent
                && due.due_ms > now_ms
                && due.about.len() < ABOUT_MAX
        };
        let open = fresh.values().find(is_open).cloned();
        let open = open.or_else(|| self.service.0.live.rows().due.values().find(is_open).cloned());
        let due = match open {
            Some(open) if open.about.contains(&index) => open,
            Some(mut open) => {
                open.about.push(index);
                open
            }
            None => due(channels.subject, sort, index, due_ms),
        };
        fresh.insert(due.id, due);
    }

    fn send_due(&mut self) -> Result<(), Obstacle> {
        let now_ms = (self.service.0.now_ms)();
        let mut due: Vec<DueNotice> = {
            let rows = self.service.0.live.rows();
            rows.due.values().filter(|due| due.is_sent || due.due_ms <= now_ms).cloned().collect()
        };
        due.sort_by_key(|due| (!due.is_sent, due.due_ms));
        for due in due.into_iter().take(PARCELS_AT_ONCE) {
            if *self.ended.borrow() {
                break;
            }
            self.send(due)?;
        }
        Ok(())
    }

    fn send(&self, mut due: DueNotice) -> Result<(), Obstacle> {
        if !due.is_sent {
            let Some(parcel) = self.parcel(&due) else { return self.forget(due.id) };
            match self.service.0.notices.messenger.send(&parcel) {
                Ok(()) => due.is_sent = true,
                Err(Undelivered::Later(why)) if due.tries + 1 < TRIES_MAX => {
                    tracing::warn!("a notice waits: {why}");
                    let pause = self.service.0.notices.retry_ms << due.tries.min(16);
                    due.due_ms = (self.service.0.now_ms)() + pause.min(RETRY_MS_MAX);
                    due.tries += 1;
                    return self.put(due);
                }
                Err(Undelivered::Later(why) | Undelivered::Never(why)) => {
                    tracing::warn!("a notice is given up: {why}");
                    return self.forget(due.id);
                }
            }
            // From here on it is not sent again, but for a crash before this is durable.
            self.put(due.clone())?;
        }
        self.enter(&due)?;
        self.forget(due.id)
    }

    fn put(&self, due: DueNotice) -> Result<(), Obstacle> {
        let live = &self.service.0.live;
        let _one_at_a_time = live.begin()?;
        Ok(live.apply(vec![DirectoryChange::PutDue(due)])?)
    }

    fn forget(&self, id: B256) -> Result<(), Obstacle> {
        let live = &self.service.0.live;
        let _one_at_a_time = live.begin()?;
        Ok(live.apply(vec![DirectoryChange::DropDue(id)])?)
    }

    /// What is sent, by the channels as they are now; none where the channel has ended.
    fn parcel(&self, due: &DueNotice) -> Option<Parcel> {
        let rows = self.service.0.live.rows();
        let channels = rows.channels.get(&due.subject);
        match &due.sort {
            DueSort::Confirm { to, language, code } => {
                let email = channels?.email.as_ref()?;
                // Another address was named since.
                (email.address == *to && !email.is_confirmed).then(|| Parcel::Mail {
                    to: to.clone(),
                    language: language.clone(),
                    says: MailText::Confirm { code: code.clone() },
                })
            }
            DueSort::Mail | DueSort::Digest => {
                let email = channels?.email.as_ref().filter(|email| email.is_confirmed)?;
                Some(Parcel::Mail {
                    to: email.address.clone(),
                    language: email.language.clone(),
                    says: MailText::Look { subject: due.subject },
                })
            }
            DueSort::Webhook => {
                let webhook = channels?.webhook.as_ref()?;
                let body = json!({
                    "type": "line.recorded",
                    "timestamp": due.due_ms,
                    "data": { "index": due.about.first() },
                });
                Some(Parcel::Webhook {
                    url: webhook.url.clone(),
                    secret: webhook.secret.clone(),
                    id: format!("msg_{:x}", due.id),
                    body: body.to_string().into_bytes(),
                })
            }
        }
    }

    fn enter(&self, due: &DueNotice) -> Result<(), Obstacle> {
        let channel = match due.sort {
            DueSort::Confirm { .. } => return Ok(()),
            DueSort::Mail | DueSort::Digest => "email",
            DueSort::Webhook => "webhook",
        };
        let version = "medtrail/notice-v1";
        let details = serde_json::to_vec(&Notice { version, channel, about: &due.about });
        let details = details.expect("plain data encodes");
        let report = Report {
            eventId: due.id,
            kind: Kind::Notice.number(),
            // Of the parcel, not of this try: entered again it must be the very same.
            timeMs: due.due_ms,
            subject: subject_of(due.subject),
            details: details_hash(&details),
            ..self.service.own_report()
        };
        self.service.enter_own(report, details)?;
        Ok(())
    }
}

impl Service {
    /// What is to be told to a person, by their channels, of lines that wait for their word. Told
    /// once however often it is saved: it has the first line in its id.
    pub(crate) fn reminders(
        &self,
        person: Address,
        about: &[u64],
        now_ms: u64,
    ) -> Vec<DirectoryChange> {
        let rows = self.0.live.rows();
        let Some(channels) = rows.channels.get(&person) else { return Vec::new() };
        let of_person = |due: &&DueNotice| due.subject == person;
        if about.is_empty() || rows.due.values().filter(of_person).count() >= WAITING_MAX {
            return Vec::new();
        }
        let email = channels.email.as_ref().filter(|email| email.is_confirmed);
        let by_mail = email.map(|email| match email.is_daily {
            true => (DueSort::Digest, next_digest(now_ms)),
            false => (DueSort::Mail, now_ms),
        });
        let by_webhook = channels.webhook.as_ref().map(|_| (DueSort::Webhook, now_ms));
        let ways = by_mail.into_iter().chain(by_webhook);
        let due = ways.map(|(sort, due_ms)| {
            let first = about[0].to_be_bytes();
            let word: &[u8] = match sort {
                DueSort::Webhook => b"webhook\0",
                _ => b"mail\0",
            };
            let id = event_id(person, &[b"reminder\0", word, &first].concat());
            let about = about.iter().copied().take(ABOUT_MAX).collect();
            DueNotice { id, subject: person, sort, about, due_ms, tries: 0, is_sent: false }
        });
        due.map(DirectoryChange::PutDue).collect()
    }

    /// How notices are doing.
    pub fn heralding(&self) -> Heralding {
        self.0.heralding.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn due(subject: Address, sort: DueSort, index: u64, due_ms: u64) -> DueNotice {
    let word: &[u8] = match sort {
        DueSort::Webhook => b"webhook\0",
        DueSort::Digest => b"digest\0",
        _ => b"mail\0",
    };
    let id = event_id(subject, &[b"notice\0", word, &index.to_be_bytes()].concat());
    DueNotice { id, subject, sort, about: vec![index], due_ms, tries: 0, is_sent: false }
}

/// The next morning.
fn next_digest(now_ms: u64) -> u64 {
    let today = now_ms - now_ms % DAY_MS + DIGEST_MS;
    if now_ms < today { today } else { today + DAY_MS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_in_the_docs_is_what_is_written() {
        let notice = Notice { version: "medtrail/notice-v1", channel: "email", about: &[51, 52] };
        let text = serde_json::to_string(&notice).unwrap();
        let docs = include_str!("../../../../docs/formats.md");
        assert!(docs.lines().any(|line| line == text), "{text}");
    }

    #[test]
    fn a_digest_leaves_in_the_morning() {
        assert_eq!(next_digest(0), DIGEST_MS);
        assert_eq!(next_digest(DIGEST_MS - 1), DIGEST_MS);
        assert_eq!(next_digest(DIGEST_MS), DAY_MS + DIGEST_MS);
    }
}
