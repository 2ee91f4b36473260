//! For supervisors and operators: alive, ready, and what stands in the way of anchors.

use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use medtrail_ledger::plan::Anchor;
use medtrail_oracle::anchorer::{State, Status};
use medtrail_oracle::service::Service;
use serde_json::{Value, json};

#[get("/healthz")]
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "alive": true }))
}

/// 200 while reports are taken: a chain that is down does not make the log unready, it only delays
/// its anchors, and that is said here. 503 once the writer has stopped.
#[get("/readyz")]
pub(super) async fn readyz(service: Data<Service>) -> HttpResponse {
    let is_ready = service.takes_reports();
    let body = json!({
        "ready": is_ready,
        "entries": service.head().size,
        "queued": service.queued(),
        "anchoring": anchoring(&service.status()),
    });
    match is_ready {
        true => HttpResponse::Ok().json(body),
        false => HttpResponse::ServiceUnavailable().json(body),
    }
}

fn anchoring(status: &Status) -> Value {
    json!({
        "state": word(status.state),
        "lagEntries": status.lag_entries,
        "lagS": status.lag_s,
        "head": status.head.map(|block| block.number),
        "pending": status.pending,
        "mined": status.mined.map(anchor),
        "final": status.settled.map(anchor),
        "problem": status.problem.as_ref().map(|problem| {
            json!({ "what": problem.what, "advice": problem.advice })
        }),
    })
}

fn anchor(anchor: Anchor) -> Value {
    json!({ "number": anchor.number, "size": anchor.size, "timeS": anchor.time_s })
}

/// The state in one word.
pub(crate) fn word(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Idle => "idle",
        State::Sending => "sending",
        State::Waiting => "waiting",
        State::Failing => "failing",
        State::Stopped => "stopped",
    }
}
