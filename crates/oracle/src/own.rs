//! Entries that the log itself writes: what the operator did, and what a person must be told.
//!
//! An act and the entry it owes become durable together, in the directory; the entry is in the log
//! soon after, once, whatever crashes in between: its event id is fixed with the act.

use crate::erasure::erasure_in;
use crate::intake::{ReportError, Submission};
use crate::sequencer::{Ask, PlaceError, Placed};
use crate::service::{Prepared, Service};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::{DirectoryChange, PendingEntry};
use medtrail_ledger::entry::{Kind, details_hash, event_id};
use medtrail_ledger::ports::JournalError;
use medtrail_ledger::proof::Evidence;
use medtrail_ledger::schema::Report;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How often an entry is tried before it is left for later.
const TRIES: usize = 25;
/// The pause between two tries.
const TRY_PAUSE: Duration = Duration::from_millis(200);
/// How long what is owed is left alone after the log did not take it.
const UNPAID_PAUSE: Duration = Duration::from_secs(10);

/// `medtrail/operation-v1`: the details of an entry of kind 16.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Operation<'a> {
    pub(crate) version: &'static str,
    /// What was done.
    pub(crate) act: &'static str,
    /// To whom.
    pub(crate) organisation: Address,
    pub(crate) name: &'a str,
    /// Which signing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Address>,
    /// Which API key, by its public part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<&'a str>,
}

impl<'a> Operation<'a> {
    pub(crate) fn new(act: &'static str, organisation: Address, name: &'a str) -> Self {
        let version = "medtrail/operation-v1";
        Self { version, act, organisation, name, key: None, api_key: None }
    }
}

/// The promise of an entry that says that from it on the log judges changes about people without a
/// key. However often it is promised, it is one entry.
pub(crate) fn judges_pseudonyms(now_ms: u64) -> DirectoryChange {
    let details = serde_json::json!({
        "version": "medtrail/operation-v1",
        "act": "pseudonyms-judged",
    });
    DirectoryChange::PutPending(PendingEntry {
        event: event_id(Address::ZERO, b"pseudonyms judged\0"),
        kind: Kind::Operation.number(),
        subject: B256::ZERO,
        time_ms: now_ms,
        details: details.to_string().into_bytes(),
    })
}

impl Service {
    pub(crate) fn operator(&self) -> Address {
        let trust = self.trust();
        trust.operator.keys.last().map_or(Address::ZERO, |key| key.address)
    }

    /// The promise of an entry about an act.
    pub(crate) fn owe_operation(
        &self,
        operation: &Operation<'_>,
        now_ms: u64,
    ) -> Result<DirectoryChange, NoRandomness> {
        let details = serde_json::to_vec(operation).expect("plain data encodes");
        Ok(DirectoryChange::PutPending(PendingEntry {
            event: event_id(self.operator(), &random::<32>()?),
            kind: Kind::Operation.number(),
            subject: B256::ZERO,
            time_ms: now_ms,
            details,
        }))
    }

    /// Enters what is owed. What cannot be entered now stays owed; after a failure nobody tries for
    /// a while, or each act of each caller would hold a thread for as long as the log is busy.
    pub(crate) fn pay(&self) {
        let unpaid_until = || {
            let until = &self.0.live.unpaid_until;
            until.lock().unwrap_or_else(PoisonError::into_inner)
        };
        if unpaid_until().is_some_and(|until| Instant::now() < until) {
            return;
        }
        let owed: Vec<PendingEntry> = self.0.live.rows().pending.values().cloned().collect();
        for entry in owed {
            let PendingEntry { event, kind, subject, time_ms, details } = entry;
            // Its own document says which permission it is about; the promise has no room for it.
            let permission = erasure_in(&details).unwrap_or_default();
            let report = Report {
                eventId: event,
                kind,
                subject,
                timeMs: time_ms,
                permission,
                details: details_hash(&details),
                ..self.own_report()
            };
            let paid = self.enter_own(report, details).map_err(|error| error.to_string());
            let dropped = paid.and_then(|_| {
                let dropped = self.0.live.apply(vec![DirectoryChange::DropPending(event)]);
                dropped.map_err(|error| error.to_string())
            });
            if let Err(error) = dropped {
                tracing::warn!("an entry about an act waits: {error}");
                *unpaid_until() = Some(Instant::now() + UNPAID_PAUSE);
                return;
            }
        }
    }

    /// Where an entry of the log itself stands, of this subject and event. Blocks.
    pub(crate) fn find_own(&self, subject: B256, event: B256) -> Result<Option<u64>, JournalError> {
        // As for all that nobody signed: whichever key the operator has by now.
        let key = self.0.tags.event_key(Address::ZERO, subject, event);
        self.0.recent.reach(self.head().size)?;
        match self.0.recent.find(key) {
            Some(index) => Ok(Some(index)),
            None => self.0.journal.find(key),
        }
    }

    /// Enters what the operator did, as an entry of kind 16: once for one event. Blocks.
    ///
    /// # Errors
    /// Where the log does not take it now.
    pub fn enter_operation(
        &self,
        event: B256,
        time_ms: u64,
        details: Vec<u8>,
    ) -> Result<u64, ReportError> {
        let report = Report {
            eventId: event,
            kind: Kind::Operation.number(),
            timeMs: time_ms,
            details: details_hash(&details),
            ..self.own_report()
        };
        self.enter_own(report, details)
    }

    /// Enters a report of the log itself unless its event stands already, with whatever details and
    /// time: of two that do it at once the other's counts. Blocks.
    pub(crate) fn enter_once(&self, report: Report, details: Vec<u8>) -> Result<u64, ReportError> {
        if let Some(index) = self.find_own(report.subject, report.eventId)? {
            return Ok(index);
        }
        match self.enter_own(report, details) {
            Err(ReportError::Conflict { index, .. }) => Ok(index),
            outcome => outcome,
        }
    }

    /// What every entry of the log itself has in common.
    pub(crate) fn own_report(&self) -> Report {
        Report { log: self.trust().log, actor: self.operator(), ..Report::default() }
    }

    /// Enters a report of the log itself and returns its index once it is durable. Entering it
    /// again gives the same index. Blocks, also while the log is busy.
    pub(crate) fn enter_own(&self, report: Report, details: Vec<u8>) -> Result<u64, ReportError> {
        let submission = Submission { report, evidence: Evidence::Relayed, details: Some(details) };
        let mut tries = 0;
        loop {
            let prepared = self.prepare(submission.clone(), None)?;
            match wait(self.enter_prepared(prepared)) {
                Ok(index) => return Ok(index),
                Err(error @ ReportError::Place(PlaceError::Stopped)) => return Err(error),
                // Time does not cure it.
                Err(error @ ReportError::Conflict { .. }) => return Err(error),
                Err(error) if tries == TRIES => return Err(error),
                Err(_) => {
                    tries += 1;
                    std::thread::sleep(TRY_PAUSE);
                }
            }
        }
    }
}

impl Service {
    /// Enters many reports of the log itself, and returns where they stand, in their order: they wait
    /// for the disk together. Those that the log does not take at once are entered one by one, as by
    /// [`Self::enter_own`]. Blocks.
    pub(crate) fn enter_all(&self, all: Vec<(Report, Vec<u8>)>) -> Result<Vec<u64>, ReportError> {
        let mut asked = Vec::with_capacity(all.len());
        for (report, details) in all {
            let (evidence, details) = (Evidence::Relayed, Some(details));
            let submission = Submission { report, evidence, details };
            let Prepared { waiting, sent, answer, .. } = self.prepare(submission.clone(), None)?;
            let queued = wait(self.0.queue.send(Ask::Place(Box::new(waiting))));
            queued.map_err(|_| PlaceError::Stopped)?;
            asked.push((submission, sent, answer));
        }
        let mut found = Vec::with_capacity(asked.len());
        for (submission, sent, answer) in asked {
            let placed = match wait(answer) {
                Ok(Ok(Placed::Known { index })) => Some(index),
                Ok(Ok(placed)) => Some(wait(self.receipt_of(placed, sent))?.index),
                Ok(Err(PlaceError::Stopped)) => return Err(PlaceError::Stopped.into()),
                Ok(Err(_)) | Err(_) => None,
            };
            let Submission { report, details, .. } = submission;
            found.push(match placed {
                Some(index) => index,
                None => self.enter_own(report, details.unwrap_or_default())?,
            });
        }
        Ok(found)
    }

    async fn enter_prepared(&self, prepared: Prepared) -> Result<u64, ReportError> {
        let Prepared { waiting, sent, answer, .. } = prepared;
        let queued = self.0.queue.send(Ask::Place(Box::new(waiting))).await;
        queued.map_err(|_| PlaceError::Stopped)?;
        match answer.await.unwrap_or(Err(PlaceError::OutcomeUnknown))? {
            Placed::Known { index } => Ok(index),
            placed => Ok(self.receipt_of(placed, sent).await?.index),
        }
    }
}

/// Waits on a thread that may block, in a runtime or not.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => return done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

/// The system gave no random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// A document as it was kept, to be written again byte for byte. What is kept as JSON was written by
/// this program, and a damaged row does not open.
pub(crate) fn kept_json(bytes: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    RawValue::from_string(text).expect("kept as JSON")
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}
