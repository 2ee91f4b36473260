//! The prober: asks each source when it is due, and tells what became of it.
//!
//! What it finds is durable before it is entered, with all that the entry will say; the entry's event
//! id is made from the source and the last entry about it, so that it stands once whatever crashes.
//! When a source is due is a time in the directory: a restart forgets no clock and asks nobody twice.
//! Each is asked on a thread of its own, few at once, one at a host: who is slow waits for themself.

use super::seen::{Rules, seen};
use crate::anchorer::Problem;
use crate::behind::{Obstacle, RETRY, warn_once};
use crate::service::Service;
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{
    DirectoryChange, SourceFinding, SourceFound, SourceOwner, SourceRow,
};
use medtrail_ledger::entry::{Kind, details_hash, event_id};
use medtrail_ledger::schema::Report;
use medtrail_ledger::source::{Altered, Found, Lost, Returned, Told, Unanswered, Watched};
use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use tokio::sync::watch;

/// How often the prober looks up.
const PAUSE: Duration = Duration::from_millis(100);
/// Sources that are asked at once.
const FLIGHTS_MAX: usize = 8;
/// Of them those of hosts that did not answer last time: they may take all the time there is.
const DOUBTFUL_MAX: usize = 4;
/// The same of one owner.
const FLIGHTS_OF_OWNER_MAX: usize = 4;
const DOUBTFUL_OF_OWNER_MAX: usize = 2;
/// Hosts that are remembered.
const HOSTS_MAX: usize = 100_000;

/// How asking sources is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Probing {
    /// Sources there are.
    pub sources: u64,
    /// What is in the way.
    pub problem: Option<Problem>,
}

/// A source that is being asked.
struct Flight {
    host: String,
    owner: SourceOwner,
    is_doubtful: bool,
}

/// What one asking brought.
struct Landed {
    id: B256,
    /// The entry that said where to ask.
    told_at: u64,
    answer: Result<B256, Unanswered>,
}

/// The prober. Runs on a thread of its own.
pub(crate) struct Prober {
    service: Service,
    ended: watch::Receiver<bool>,
    landing: Sender<Landed>,
    landed: Receiver<Landed>,
    flights: HashMap<B256, Flight>,
    /// The host of each source, with the entry that says so.
    hosts: HashMap<B256, (u64, String)>,
    /// Hosts that did not answer last time.
    silent: HashSet<String>,
}

impl Prober {
    pub(crate) fn new(service: Service, ended: watch::Receiver<bool>) -> Self {
        let (landing, landed) = channel();
        let (flights, hosts, silent) = (HashMap::new(), HashMap::new(), HashSet::new());
        Self { service, ended, landing, landed, flights, hosts, silent }
    }

    /// Asks until the writer has ended. Who is being asked then is not waited for.
    pub(crate) fn run(mut self) {
        while !*self.ended.borrow() {
            let done = self.take().and_then(|()| self.pay()).and_then(|()| self.launch());
            let failed = done.is_err();
            self.tell(done.err());
            if failed {
                std::thread::sleep(RETRY);
            }
        }
    }

    fn tell(&self, obstacle: Option<Obstacle>) {
        let problem = obstacle.map(|obstacle| obstacle.problem("sources wait to be asked"));
        let mut now = self.service.0.probing.lock().unwrap_or_else(PoisonError::into_inner);
        warn_once(now.problem.as_ref(), problem.as_ref());
        let sources = self.service.0.live.rows().sources.len() as u64;
        *now = Probing { sources, problem };
        drop(now);
        self.service.stop_if_lost();
    }

    fn rules(&self) -> Rules {
        let sources = &self.service.0.sources;
        Rules { every_ms: sources.every_ms, lost_after: sources.lost_after }
    }

    /// Takes in what came back. What cannot be saved is asked again: it is still due.
    fn take(&mut self) -> Result<(), Obstacle> {
        let Ok(first) = self.landed.recv_timeout(PAUSE) else { return Ok(()) };
        let rest: Vec<Landed> = self.landed.try_iter().collect();
        let mut done = Ok(());
        for landed in std::iter::once(first).chain(rest) {
            if let Some(flight) = self.flights.remove(&landed.id) {
                match landed.answer {
                    Ok(_) => self.silent.remove(&flight.host),
                    Err(_) => self.silent.insert(flight.host),
                };
            }
            done = done.and(self.settle(&landed));
        }
        done
    }

    fn settle(&self, landed: &Landed) -> Result<(), Obstacle> {
        let live = &self.service.0.live;
        let _one_at_a_time = live.begin()?;
        let row = live.rows().sources.get(landed.id).cloned();
        // Moved meanwhile: it was asked where it is no more.
        let Some(row) = row.filter(|row| row.told_at == landed.told_at) else { return Ok(()) };
        let kept = self.service.kept_elsewhere(&row)?;
        let subject = self.service.subject_now(row.subject);
        let now_ms = (self.service.0.now_ms)();
        let next = seen(&row, landed.answer, now_ms, self.rules(), subject, kept);
        if let Err(why) = landed.answer {
            tracing::debug!("a source did not answer: {why}");
        }
        Ok(live.apply(vec![DirectoryChange::PutSource(next)])?)
    }

    /// Enters what was found.
    fn pay(&mut self) -> Result<(), Obstacle> {
        let owed = self.service.0.live.rows().sources.owed();
        for row in owed {
            if *self.ended.borrow() {
                break;
            }
            if let Some(finding) = row.owed {
                self.enter(&row, finding)?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, row: &SourceRow, finding: SourceFinding) -> Result<(), Obstacle> {
        let registered = self.service.told(row.index)?;
        let place = self.service.place_of(row)?;
        let (Some(Told::Registered(registered)), Some((_, keeper))) = (registered, place) else {
            return self.forget(row.id);
        };
        let title = registered.title;
        let source = Watched { id: row.id, after: row.after, title, keeper };
        let (word, found): (&[u8], _) = match finding.what {
            SourceFound::Lost { since_ms, tries, kept } => {
                (b"lost\0", Found::Lost(Lost::new(source, since_ms, tries, kept)))
            }
            SourceFound::Changed { found, kept } => {
                (b"changed\0", Found::Changed(Altered::new(source, found, kept)))
            }
            SourceFound::Back { since_ms } => {
                (b"back\0", Found::Back(Returned::new(source, since_ms)))
            }
        };
        let details = serde_json::to_vec(&found).expect("plain data encodes");
        let event = [b"source\0", word, row.after.commitment.as_slice()].concat();
        let event = event_id(Address::ZERO, &event);
        // A binding between two tries moves the trail: what was entered before it stands there.
        let index = match self.service.find_own(finding.subject, event)? {
            Some(index) => index,
            None => {
                let report = Report {
                    eventId: event,
                    kind: Kind::Source.number(),
                    timeMs: finding.at_ms,
                    subject: self.service.subject_now(finding.subject),
                    record: row.record,
                    toVersion: row.version,
                    permission: row.id,
                    details: details_hash(&details),
                    ..self.service.own_report()
                };
                self.service.enter_own(report, details)?
            }
        };
        self.service.note(index)?;
        Ok(())
    }

    /// Nobody can read any more what was registered.
    fn forget(&mut self, id: B256) -> Result<(), Obstacle> {
        self.hosts.remove(&id);
        let live = &self.service.0.live;
        let _one_at_a_time = live.begin()?;
        Ok(live.apply(vec![DirectoryChange::DropSource(id)])?)
    }

    fn launch(&mut self) -> Result<(), Obstacle> {
        let now_ms = (self.service.0.now_ms)();
        // The clock was set back, or the time between two askings made shorter.
        let never_ms = now_ms.saturating_add(self.rules().every_ms.saturating_mul(2));
        let due = self.service.0.live.rows().sources.due(now_ms, never_ms);
        for row in due {
            if *self.ended.borrow() || self.flights.len() >= FLIGHTS_MAX {
                break;
            }
            if self.flights.contains_key(&row.id) {
                continue;
            }
            let host = match self.hosts.get(&row.id) {
                Some((told_at, host)) if *told_at == row.told_at => host.clone(),
                _ => match self.service.url_of(&row)? {
                    Some(url) => self.remember(&row, &url),
                    None => {
                        self.forget(row.id)?;
                        continue;
                    }
                },
            };
            let is_doubtful = row.failed > 0 || self.silent.contains(&host);
            if !self.has_room(&host, row.by, is_doubtful) {
                continue;
            }
            // Read anew: what was erased since is not asked for.
            match self.service.url_of(&row)? {
                Some(url) => {
                    self.ask(&row, url)?;
                    self.flights.insert(row.id, Flight { host, owner: row.by, is_doubtful });
                }
                None => self.forget(row.id)?,
            }
        }
        Ok(())
    }

    fn remember(&mut self, row: &SourceRow, url: &str) -> String {
        if self.hosts.len() >= HOSTS_MAX {
            self.hosts.clear();
            self.silent.clear();
        }
        let host = host_of(url);
        self.hosts.insert(row.id, (row.told_at, host.clone()));
        host
    }

    fn has_room(&self, host: &str, owner: SourceOwner, is_doubtful: bool) -> bool {
        let count = |is: &dyn Fn(&&Flight) -> bool| self.flights.values().filter(|f| is(f)).count();
        count(&|flight| flight.host == host) == 0
            && count(&|flight| flight.owner == owner) < FLIGHTS_OF_OWNER_MAX
            && !(is_doubtful
                && (count(&|flight| flight.is_doubtful) >= DOUBTFUL_MAX
                    || count(&|flight| flight.is_doubtful && flight.owner == owner)
                        >= DOUBTFUL_OF_OWNER_MAX))
    }

    fn ask(&self, row: &SourceRow, url: String) -> Result<(), Obstacle> {
        let (id, told_at, answer) = (row.id, row.told_at, Err(Unanswered::Unreached));
        let landing = Landing { to: self.landing.clone(), id, told_at, answer };
        let fetcher = self.service.0.sources.fetcher.clone();
        std::thread::Builder::new().name("source".into()).spawn(move || {
            let mut landing = landing;
            landing.answer = fetcher.fetch(&url);
        })?;
        Ok(())
    }
}

/// Tells the answer when it is dropped: also where the asking panics, or this source would be in
/// flight for ever.
struct Landing {
    to: Sender<Landed>,
    id: B256,
    told_at: u64,
    answer: Result<B256, Unanswered>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let Self { id, told_at, answer, .. } = *self;
        // Nobody waits for it once the log has ended.
        let _ = self.to.send(Landed { id, told_at, answer });
    }
}

/// Scheme, name and port, by which one host is told from another.
fn host_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    rest.split(['/', '?', '#', '\\']).next().unwrap_or_default().to_ascii_lowercase()
}

impl Service {
    /// How asking sources is doing.
    pub fn probing(&self) -> Probing {
        self.0.probing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
