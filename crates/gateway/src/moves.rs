//! A patient whose pseudonym was joined with an address: the report is made anew for that address,
//! under the same number.
//!
//! The log's word is not enough, or it could steer a patient's trail. Followed is what this gateway
//! countersigned, or another key of its organisation: the log must show both signatures, and they
//! are checked here.

use crate::sign::{Document, document};
use crate::state::State;
use alloy_primitives::{Address, B256};
use medtrail_ledger::binding::BindingDetails;
use medtrail_ledger::custodian::{ReportRow, SpoolError};
use medtrail_ledger::entry::subject_of;
use reqwest::Method;
use serde::Deserialize;
use std::sync::Arc;

/// What came of a report whose patient moved.
pub(crate) enum Followed {
    /// It was signed anew.
    Anew,
    /// It can never be.
    Never(String),
    /// Nobody shows that this organisation wanted the move: it waits.
    Unshown(String),
}

/// What bound a pseudonym, as the log has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bound {
    time_ms: u64,
    details: BindingDetails,
}

pub(crate) async fn follow(
    state: &Arc<State>,
    row: ReportRow,
    to: B256,
) -> Result<Followed, SpoolError> {
    let Ok(Document { report, .. }) = serde_json::from_slice(&row.report.document) else {
        return Ok(Followed::Never("its document in the spool cannot be read".to_owned()));
    };
    let pseudonym = report.subject;
    let joined = match state.on_spool(move |state| state.spool.subject_of(pseudonym)).await? {
        Some(joined) => joined,
        None => match shown(state, pseudonym, to).await {
            Err(reason) => return Ok(Followed::Unshown(reason)),
            Ok(subject) => {
                // Kept first: no countersignature leaves for another address from now on.
                let kept =
                    state.on_spool(move |state| state.spool.keep_subject(pseudonym, subject));
                match kept.await {
                    Err(SpoolError::Bound(joined)) => joined,
                    kept => kept.map(|()| subject)?,
                }
            }
        },
    };
    if subject_of(joined) != to {
        return Ok(Followed::Unshown(format!(
            "the log says that {pseudonym} moved to {to}, but here it was joined with {joined}"
        )));
    }
    state.on_spool(move |state| anew(state, &row, to)).await
}

fn anew(state: &State, row: &ReportRow, to: B256) -> Result<Followed, SpoolError> {
    let Ok(Document { mut report, details, .. }) = serde_json::from_slice(&row.report.document)
    else {
        return Ok(Followed::Never("its document in the spool cannot be read".to_owned()));
    };
    report.subject = to;
    match document(state, report, details.get().as_bytes()) {
        Some(document) => state.spool.replace(row.sequence, document).map(|()| Followed::Anew),
        None => Ok(Followed::Never("its details cannot be read".to_owned())),
    }
}

/// The address that both signatures name; else what is missing.
async fn shown(state: &State, pseudonym: B256, to: B256) -> Result<Address, String> {
    let moved = format!("the log says that {pseudonym} moved to {to}");
    let answer = state.call(Method::GET, &format!("/v1/bindings/of/{pseudonym}"), None).await;
    let answer = answer.map_err(|error| {
        format!("{moved}, which was not countersigned here, and shows no binding: {error}")
    })?;
    let bound: Bound = serde_json::from_slice(&answer)
        .map_err(|error| format!("{moved}; its binding cannot be read: {error}"))?;
    check(state, &bound, pseudonym, to).map_err(|reason| format!("{moved}; {reason}"))?;
    Ok(bound.details.document.subject)
}

/// Both signed exactly this, in time, and the second was this organisation.
fn check(state: &State, bound: &Bound, pseudonym: B256, to: B256) -> Result<(), String> {
    let Bound { time_ms, details } = bound;
    if details.document.pseudonym != pseudonym {
        return Err("the binding it shows is another pseudonym's".to_owned());
    }
    if details.subject() != to {
        return Err("the binding it shows is with another address".to_owned());
    }
    details
        .verify(&state.domain, time_ms / 1000)
        .map_err(|error| format!("the binding it shows binds nobody: {error}"))?;
    let custodian = details.document.custodian;
    match state.is_own_key(custodian, *time_ms) {
        true => Ok(()),
        false => Err(format!(
            "the binding it shows is countersigned by {custodian}, which the enrolment does not name \
             as a key of {} at that time. If it is one: medtrail gateway trust",
            state.enrolment.name
        )),
    }
}
