//! Once a day, how many reports the gateway made: signed, so that a missing one can be shown.

use crate::sign::{Document, document};
use crate::state::State;
use alloy_primitives::Bytes;
use medtrail_ledger::custodian::{NewReport, ReportState, SpoolError};
use medtrail_ledger::entry::{Kind, details_hash, event_id};
use medtrail_ledger::schema::{Coverage, Report, digest};
use serde::{Deserialize, Serialize};

/// The version of its details document.
pub(crate) const VERSION: &str = "medtrail/coverage-v1";
const DAY_MS: u64 = 86_400_000;

/// `medtrail/coverage-v1`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CoverageDetails {
    pub(crate) version: String,
    pub(crate) coverage: Coverage,
    /// The first number that is counted.
    pub(crate) from_sequence: u64,
    /// The last one.
    pub(crate) to_sequence: u64,
    /// 65 bytes over the EIP-712 digest of `coverage`.
    pub(crate) signature: Bytes,
}

/// Makes the day's coverage if none was made today (UTC). It counts what was numbered since the one
/// before, that one included: it is found in the spool again, so that no restart counts twice.
///
/// In the task that numbers reports, so that none gets a number meanwhile.
pub(crate) fn when_due(state: &State) -> Result<(), SpoolError> {
    let now_ms = state.now_ms();
    let sequence = state.spool.usage()?.sequence;
    if sequence == 0 {
        return Ok(());
    }
    {
        let today = state.covered_day.load(std::sync::atomic::Ordering::Relaxed);
        if today == now_ms / DAY_MS {
            return Ok(());
        }
    }
    let (from_sequence, from_ms) = last(state, sequence, now_ms)?;
    if from_ms / DAY_MS < now_ms / DAY_MS {
        let coverage = Coverage {
            log: state.log(),
            custodian: state.signer.address(),
            fromMs: from_ms,
            toMs: now_ms,
            reports: sequence + 1 - from_sequence,
        };
        let signature = state.signer.sign(digest(&coverage, &state.domain));
        let details = CoverageDetails {
            version: VERSION.to_owned(),
            coverage,
            from_sequence,
            to_sequence: sequence,
            signature,
        };
        let details = serde_json::to_vec(&details).unwrap_or_default();
        let report = Report {
            log: state.log(),
            eventId: event_id(state.enrolment.organisation, &details),
            kind: Kind::Coverage.number(),
            timeMs: now_ms,
            actor: state.signer.address(),
            details: details_hash(&details),
            ..Report::default()
        };
        if let Some(document) = document(state, report, &details) {
            state.spool.sign(&[], &[NewReport { event: 0, document }])?;
        }
    }
    state.covered_day.store(now_ms / DAY_MS, std::sync::atomic::Ordering::Relaxed);
    Ok(())
}

/// A coverage that counts.
struct Found {
    /// Its own number.
    sequence: u64,
    /// The first that it counts.
    from_sequence: u64,
    to_ms: u64,
}

/// From which number and time on nothing was counted yet. What the log does not have, and what is
/// of a time that has not come, was made while a clock was wrong: it counts as never made.
///
/// One may have been refused only after the next was made, which begins where it ended: what it had
/// counted is counted again.
fn last(state: &State, newest: u64, now_ms: u64) -> Result<(u64, u64), SpoolError> {
    let mut found: Option<Found> = None;
    for sequence in (1..=newest).rev() {
        if found.as_ref().is_some_and(|found| sequence < found.from_sequence) {
            break;
        }
        let Some(row) = state.spool.report(sequence)? else { break };
        if row.report.event != 0 {
            continue;
        }
        let is_refused = matches!(row.state, ReportState::SetAside(_));
        let told = serde_json::from_slice::<Document<'_>>(&row.report.document).ok();
        let told = told.and_then(|document| {
            serde_json::from_str::<CoverageDetails>(document.details.get()).ok()
        });
        match told.filter(|told| !is_refused && told.coverage.toMs <= now_ms) {
            Some(told) => {
                let from_sequence = told.from_sequence;
                let to_ms = told.coverage.toMs;
                found.get_or_insert(Found { sequence, from_sequence, to_ms });
            }
            None => found = None,
        }
    }
    if let Some(Found { sequence, to_ms, .. }) = found {
        return Ok((sequence, to_ms));
    }
    for number in 1.. {
        let Some(event) = state.spool.event(number)? else { break };
        if event.received_ms <= now_ms {
            return Ok((1, event.received_ms));
        }
    }
    Ok((1, now_ms))
}
