//! From spooled events to signed, numbered reports.
//!
//! Each report is signed for itself, so that it stands alone whatever it is later sent with.

use crate::coverage;
use crate::state::State;
use alloy_primitives::Bytes;
use medtrail_fhir::report::{Part, reports};
use medtrail_ledger::custodian::{EventRow, NewReport, SpoolError};
use medtrail_ledger::schema::{Report, digest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Events of one commit.
const EVENTS_MAX: usize = 256;
/// Bytes of reports after which a commit is full.
const SIGNED_BYTES: usize = 4 << 20;
/// Between two looks where nothing came.
const LOOK: Duration = Duration::from_secs(30);
/// After a failure of the disk, or where there is no room.
const RETRY: Duration = Duration::from_secs(1);

/// A report as it is kept and, alone, sent.
#[derive(Serialize, Deserialize)]
pub(crate) struct Document<'a> {
    pub(crate) report: Report,
    #[serde(borrow)]
    pub(crate) details: Cow<'a, RawValue>,
    pub(crate) signature: Bytes,
}

/// Signs a report; `None` if its details are no JSON, which no event's are.
pub(crate) fn document(state: &State, report: Report, details: &[u8]) -> Option<Bytes> {
    let details: &RawValue = serde_json::from_slice(details).ok()?;
    let signature = state.signer.sign(digest(&report, &state.domain));
    let whole = Document { report, details: Cow::Borrowed(details), signature };
    serde_json::to_vec(&whole).ok().map(Bytes::from)
}

pub(crate) async fn run(state: Arc<State>) {
    loop {
        let done = state.on_spool(|state| {
            coverage::when_due(state)?;
            sign_some(state)
        });
        let wait = match done.await {
            Ok(0) => LOOK,
            Ok(_) => {
                state.signed.notify_one();
                continue;
            }
            Err(SpoolError::NotWaiting(_)) => continue,
            Err(error) => {
                tracing::warn!("signing waits: {error}");
                tokio::select! {
                    () = state.settled.notified() => {}
                    () = state.clock().sleep(RETRY) => {}
                }
                continue;
            }
        };
        state.signed.notify_one();
        tokio::select! {
            () = state.taken.notified() => {}
            () = state.clock().sleep(wait) => {}
        }
    }
}

/// How many events were signed.
fn sign_some(state: &State) -> Result<usize, SpoolError> {
    let events = state.spool.unsigned(EVENTS_MAX)?;
    if events.is_empty() {
        return Ok(0);
    }
    // One event after the other: each may become many times its own bytes.
    let (mut numbers, mut made, mut bytes) = (Vec::new(), Vec::new(), 0);
    for event in &events {
        let reports = reports_of(state, event);
        bytes += reports.iter().map(|report| report.document.len()).sum::<usize>();
        made.extend(reports);
        numbers.push(event.number);
        if bytes >= SIGNED_BYTES {
            break;
        }
    }
    match state.spool.sign(&numbers, &made) {
        // Together they are too much; the first alone may fit.
        Err(SpoolError::Full { .. }) if numbers.len() > 1 => {
            state.spool.sign(&numbers[..1], &reports_of(state, &events[0]))?;
            Ok(1)
        }
        done => done.map(|_| numbers.len()),
    }
}

fn reports_of(state: &State, event: &EventRow) -> Vec<NewReport> {
    let Ok(read) = medtrail_fhir::provenance::read_either(&event.bytes) else {
        // It was read before it was taken; an older version took more than this one.
        state.alarm(format!("event {} cannot be read any more and is not reported", event.number));
        return Vec::new();
    };
    let parts = reports(&read, &event.bytes, &state.reporter());
    let made = parts.into_iter().filter_map(|Part { report, details, .. }| {
        let document = document(state, report, &details)?;
        Some(NewReport { event: event.number, document })
    });
    made.collect()
}
