//! `GET /status`: whether reports arrive, for whoever watches over the gateway.

use crate::state::State;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpResponse, http::header::CACHE_CONTROL};
use alloy_primitives::Address;
use medtrail_ledger::custodian::Usage;
use serde::Serialize;

/// A clock this far from the log's is warned of, in milliseconds: at five minutes reports are
/// refused.
const OFFSET_MS_MAX: i64 = 60_000;

pub(crate) fn routes(config: &mut ServiceConfig) {
    config.route("/status", web::get().to(status));
}

#[derive(Serialize)]
struct Told {
    number: u64,
    reason: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    organisation: Named,
    address: Address,
    upstream: String,
    /// Null before the first report was sent.
    reachable: Option<bool>,
    last_receipt_ms: Option<u64>,
    /// Reports that have no receipt yet, those of unsigned events not counted.
    waiting: u64,
    /// The newest of them since the start; `spool.set_aside` counts all.
    set_aside: Vec<Told>,
    /// The oldest of those that wait though the log is there; they are tried again.
    held: Vec<Told>,
    alarms: Vec<String>,
    /// The log's clock less this one.
    clock_offset_ms: Option<i64>,
    /// Addresses that were countersigned for since the start.
    bound: Vec<Address>,
    spool: Usage,
}

#[derive(Serialize)]
struct Named {
    id: Address,
    name: String,
}

async fn status(state: Data<State>) -> HttpResponse {
    let usage = state.clone().into_inner().on_spool(|state| state.spool.usage()).await;
    let spool = match usage {
        Ok(usage) => usage,
        Err(error) => return HttpResponse::ServiceUnavailable().body(error.to_string()),
    };
    let board = state.board().clone();
    let mut alarms: Vec<_> = board.held.alarms();
    alarms.extend(board.alarms);
    if let Some(offset) = board.clock_offset_ms.filter(|offset| offset.abs() > OFFSET_MS_MAX) {
        alarms.push(format!("this clock is {} s off the log's", offset / 1000));
    }
    let told = |(number, reason)| Told { number, reason };
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Status {
        organisation: Named {
            id: state.enrolment.organisation,
            name: state.enrolment.name.clone(),
        },
        address: state.signer.address(),
        upstream: state.upstream.url().to_owned(),
        reachable: board.is_reachable,
        last_receipt_ms: board.last_receipt_ms,
        waiting: spool.waiting,
        set_aside: board.set_aside.into_iter().map(told).collect(),
        held: board.held.listed().into_iter().map(told).collect(),
        alarms,
        clock_offset_ms: board.clock_offset_ms,
        bound: board.bound.into(),
        spool,
    })
}
