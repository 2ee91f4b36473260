//! For supervisors and operators: alive, ready, and what stands in the way of anchors and judging.

use crate::answer::{blocking, json};
use crate::problem::Problem;
use crate::state::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::Data;
use actix_web::{HttpResponse, routes};
use medtrail_ledger::plan::Anchor;
use medtrail_oracle::anchorer::{Problem as Obstacle, State as Anchoring, Status};
use medtrail_oracle::calls::Calls;
use medtrail_oracle::judge::Judging;
use medtrail_oracle::sales::Sales;
use medtrail_oracle::sequencer::UNFILED_ENTRIES_MAX;
use serde_json::{Value, json as value};

/// 200 as long as the process answers at all.
#[utoipa::path(get, path = "/healthz", operation_id = "alive", tag = "operation",
    responses((status = 200, description = "Alive", content_type = "application/json")))]
#[routes]
#[get("/healthz")]
#[head("/healthz")]
pub(super) async fn healthz() -> HttpResponse {
    json(&value!({ "alive": true }))
}

/// 200 while reports are taken: a chain that is down does not make the log unready, it only delays
/// its anchors, and that is said here. 503 once the writer has stopped, or waits for the filer.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "operation", responses(
    (status = 200, description = "Reports are taken", content_type = "application/json"),
    (status = 503, description = "They are not", content_type = "application/json")))]
#[routes]
#[get("/readyz")]
#[head("/readyz")]
pub(super) async fn readyz(state: Data<State>) -> Result<HttpResponse, Problem> {
    let service = state.service.clone();
    let filed = blocking(move || service.filed()).await?;
    let entries = state.service.head().size;
    let unfiled = entries.saturating_sub(filed);
    let problem = if !state.service.takes_reports() {
        Some((
            "the log has stopped taking reports",
            "restart it; its last lines say why it stopped",
        ))
    } else if unfiled >= UNFILED_ENTRIES_MAX {
        Some(("too many entries wait to be filed", "wait; if they grow no fewer, check the disk"))
    } else {
        None
    };
    let (clerking, heralding) = (state.service.clerking(), state.service.heralding());
    let eraser = state.service.eraser();
    let selling = state.extras.sales.as_ref().map(Sales::selling);
    let called = state.extras.calls.as_ref().map(Calls::called);
    let mut answer = json(&value!({
        "ready": problem.is_none(),
        "problem": problem.map(|(what, advice)| value!({ "what": what, "advice": advice })),
        "entries": entries,
        "unfiled": unfiled,
        "queued": state.service.queued(),
        "anchoring": anchoring(&state.service.status()),
        "judging": judging(&state.service.judging()),
        "questions": value!({ "open": clerking.open, "problem": problem_of(&clerking.problem) }),
        "notices": value!({
            "waiting": heralding.waiting, "problem": problem_of(&heralding.problem),
        }),
        "erasures": value!({ "waiting": eraser.waiting, "problem": problem_of(&eraser.problem) }),
        "sales": selling.map(|selling| {
            value!({ "open": selling.open, "problem": problem_of(&selling.problem) })
        }),
        "calls": called.map(|called| {
            value!({ "open": called.open, "problem": problem_of(&called.problem) })
        }),
    }));
    if problem.is_some() {
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    Ok(answer)
}

fn anchoring(status: &Status) -> Value {
    value!({
        "state": word(status.state),
        "lagEntries": status.lag_entries,
        "lagS": status.lag_s,
        "head": status.head.map(|block| block.number),
        "pending": status.pending,
        "mined": status.mined.map(anchor),
        "final": status.settled.map(anchor),
        "problem": problem_of(&status.problem),
    })
}

/// Changes that wait to be judged: nobody's report waits for that.
fn judging(judging: &Judging) -> Value {
    value!({ "waiting": judging.waiting, "problem": problem_of(&judging.problem) })
}

fn problem_of(problem: &Option<Obstacle>) -> Option<Value> {
    problem.as_ref().map(|one| value!({ "what": one.what, "advice": one.advice }))
}

fn anchor(anchor: Anchor) -> Value {
    value!({ "number": anchor.number, "size": anchor.size, "timeS": anchor.time_s })
}

/// The state in one word.
pub(crate) fn word(state: Anchoring) -> &'static str {
    match state {
        Anchoring::Starting => "starting",
        Anchoring::Idle => "idle",
        Anchoring::Sending => "sending",
        Anchoring::Waiting => "waiting",
        Anchoring::Failing => "failing",
        Anchoring::Stopped => "stopped",
    }
}
