//! `/v1/holds`: what the operator was ordered to keep. Each change is an entry of the log.

use crate::answer::{created, json};
use crate::caller::Caller;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256};
use medtrail_ledger::directory::HoldRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Legal holds.
#[derive(Serialize, ToSchema)]
struct Holds {
    /// Oldest first.
    holds: Vec<Hold>,
}

/// An order to keep what is held about somebody.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Hold {
    #[schema(value_type = String)]
    id: B256,
    /// Whom it concerns: an address, left-padded, or a pseudonym.
    #[schema(value_type = String)]
    subject: B256,
    reason: String,
    ordered_by: String,
    /// Milliseconds since 1970.
    since_ms: u64,
}

impl From<HoldRow> for Hold {
    fn from(row: HoldRow) -> Self {
        let HoldRow { id, subject, reason, ordered_by, since_ms } = row;
        Self { id, subject, reason, ordered_by, since_ms }
    }
}

/// A hold to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct New {
    /// An address in 20 or 32 bytes, or a pseudonym.
    subject: String,
    /// Why, to 500 characters. The person is told when it stands in the way of an erasure.
    reason: String,
    /// Who ordered it.
    ordered_by: String,
}

/// Why a hold is lifted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Lift {
    /// Why, to 500 characters.
    reason: String,
    /// Who ordered that.
    ordered_by: String,
}

/// All holds. For the operator.
#[utoipa::path(get, path = "/v1/holds", operation_id = "holds", tag = "operation",
    responses((status = 200, body = Holds)))]
#[routes]
#[get("/v1/holds")]
#[head("/v1/holds")]
pub(super) async fn list(caller: Caller, state: Data<State>) -> Result<HttpResponse, Problem> {
    caller.operator(&state)?;
    let holds = state.service.holds().into_iter().map(Hold::from).collect();
    Ok(json(&Holds { holds }))
}

/// Holds what is kept about somebody: nothing of it is erased until the hold is lifted. For the
/// operator.
#[utoipa::path(post, path = "/v1/holds", operation_id = "addHold", tag = "operation",
    request_body = New, responses((status = 201, body = Hold)))]
#[post("/v1/holds")]
pub(super) async fn add(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    caller.operator(&state)?;
    let New { subject, reason, ordered_by } = state.bodies.json(&request, payload).await?;
    let address = subject.parse::<Address>().map(|address| address.into_word());
    let subject = address.or_else(|_| subject.parse::<B256>()).map_err(|_| {
        let told = "subject: an address in 20 or 32 bytes, or a pseudonym, as 0x and hexadecimal";
        Problem::new(&problem::INVALID_FIELD, told).at("subject")
    })?;
    let hold = state.service.add_hold(subject, reason, ordered_by).await?;
    Ok(created(&Hold::from(hold)))
}

/// Lifts a hold. For the operator.
#[utoipa::path(post, path = "/v1/holds/{id}/lift", operation_id = "liftHold", tag = "operation",
    params(("id" = String, Path, description = "The hold's id")), request_body = Lift,
    responses((status = 204, description = "It is lifted")))]
#[post("/v1/holds/{id}/lift")]
pub(super) async fn lift(
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    caller.operator(&state)?;
    let Lift { reason, ordered_by } = state.bodies.json(&request, payload).await?;
    let id: B256 = id.parse().map_err(|_| Problem::no_such_hold())?;
    state.service.lift_hold(id, reason, ordered_by).await?;
    Ok(HttpResponse::NoContent().finish())
}
