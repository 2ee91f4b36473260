//! `/v1/subjects/{subject}/chain`: where one record came from and where it went, for its person.

use crate::answer::{blocking, json};
use crate::caller::{Caller, View};
use crate::limits::{CHAIN_DETAILS_BYTES_MAX, CHAIN_LINES_MAX, COUNTED_LINES_MAX, LINES_MAX};
use crate::line::Line;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, routes};
use alloy_primitives::{Address, B256};
use medtrail_fhir::supply::{self, SupplyChain, supply_chain};
use medtrail_ledger::entry::{Kind, commitment};
use medtrail_ledger::proof::Evidence;
use medtrail_oracle::opener::Entry;
use medtrail_oracle::service::Service;
use medtrail_oracle::trail::TrailQuery;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use utoipa::{IntoParams, ToSchema};

/// The version this code writes.
const VERSION: &str = "medtrail/record-chain-v1";

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// The record, as its lines name it: 32 bytes.
    #[param(value_type = String)]
    record: B256,
}

/// A record's way, and the lines that it was read from: whoever does not believe the first makes it
/// anew from the second.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RecordChain {
    /// `medtrail/record-chain-v1`.
    version: &'static str,
    #[schema(value_type = String)]
    subject: B256,
    /// `medtrail/supply-chain-v1`.
    #[schema(value_type = Object)]
    chain: SupplyChain,
    /// The lines of its steps, oldest first.
    lines: Vec<Line>,
    /// All of the trail was looked at; else only the newest of it.
    is_whole: bool,
}

/// The supply chain of one record of one's own: who held it, who passed it on, signed by whom. A
/// record of nobody, or of somebody else, has no steps.
#[utoipa::path(get, path = "/v1/subjects/{subject}/chain", operation_id = "recordChain",
    tag = "trail",
    params(("subject" = String, Path, description = "The address signed in, in 20 or 32 bytes; or who the caller acts for"),
        Asked),
    responses((status = 200, body = RecordChain)))]
#[routes]
#[get("/v1/subjects/{subject}/chain")]
#[head("/v1/subjects/{subject}/chain")]
pub(super) async fn get(
    subject: Path<String>,
    asked: Result<Query<Asked>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let subject = caller.sees(&state, &subject).await?.subject;
    let asked = asked.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let (service, now_ms) = (state.service.clone(), state.now_ms());
    let record = asked.record;
    Ok(json(&blocking(move || chain(&service, subject, record, now_ms)).await?))
}

fn chain(
    service: &Service,
    subject: B256,
    record: B256,
    now_ms: u64,
) -> Result<RecordChain, Problem> {
    let (entries, is_whole) = steps(service, subject)?;
    let listed = service.organisations();
    let named: HashMap<Address, String> = listed
        .into_iter()
        .flat_map(|one| {
            let keys: Vec<Address> = one.keys.iter().map(|key| key.address).collect();
            keys.into_iter().chain([one.id]).map(move |address| (address, one.name.clone()))
        })
        .collect();
    let read: Vec<supply::Entry<'_>> = entries
        .iter()
        .map(|entry| supply::Entry {
            index: entry.index,
            commitment: commitment(&entry.report, &entry.place),
            received_ms: entry.place.receivedMs,
            report: &entry.report,
            details: entry.details.as_deref(),
            is_relayed: entry.evidence == Evidence::Relayed,
            organisation: service.reporter_of(entry),
        })
        .collect();
    let chain = supply_chain(record, &read, &|id| named.get(&id).cloned(), now_ms);
    let of_steps = chain
        .steps
        .iter()
        .flat_map(|step| step.lines.iter().map(|line| line.index).chain(step.not_permitted));
    let shown: BTreeSet<u64> = of_steps.collect();
    let lines = entries.into_iter().filter(|entry| shown.contains(&entry.index));
    let lines = lines.map(|entry| Line::read(service, entry, View::Opened));
    Ok(RecordChain {
        version: VERSION,
        subject,
        chain,
        lines: lines.collect::<Result<_, _>>()?,
        is_whole,
    })
}

/// Changes, hand-overs and refusals of a trail, oldest first, as many as one request may cost; and
/// whether these are all.
fn steps(service: &Service, subject: B256) -> Result<(Vec<Entry>, bool), Problem> {
    let mut query = TrailQuery {
        kinds: vec![Kind::Change, Kind::HandOver, Kind::Refusal],
        limit: LINES_MAX,
        ..TrailQuery::default()
    };
    let (mut entries, mut opened, mut bytes) = (Vec::new(), 0, 0);
    loop {
        let page = service.trail_about(subject, &query)?;
        opened += page.opened.max(1);
        for entry in page.entries {
            bytes += entry.details.as_ref().map_or(0, Vec::len);
            entries.push(entry);
        }
        query.before = page.next;
        let is_whole = page.next.is_none();
        let is_enough = opened >= COUNTED_LINES_MAX
            || entries.len() >= CHAIN_LINES_MAX
            || bytes >= CHAIN_DETAILS_BYTES_MAX;
        if is_whole || is_enough {
            entries.reverse();
            return Ok((entries, is_whole));
        }
    }
}
