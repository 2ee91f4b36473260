//! `/v1/corrections`: who reported a line says that it was wrong. The line stays.

use super::said::{Noted, Said};
use crate::caller::Caller;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post};
use alloy_primitives::{B256, Bytes};
use medtrail_ledger::inquiry::{Correction, LineRef, Mended, Mistake};
use medtrail_ledger::schema::Report;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A correction: with an API key the plain fields; else `report`, `details`, `signature`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCorrection)]
struct Corrected {
    /// The line.
    index: Option<u64>,
    /// Why, at most 2,000 characters.
    reason: Option<String>,
    /// Of the texts (BCP 47).
    language: Option<String>,
    /// `[{"field", "was"?, "is"}]`: what was told wrong.
    #[schema(value_type = Option<Vec<Object>>)]
    fields: Option<Vec<Mended>>,
    /// `didNotHappen`, or `wrongPerson`: then the line's details are not shown to this person any
    /// more, and you report it for the right one.
    #[schema(value_type = Option<String>)]
    mistake: Option<Mistake>,
    /// Kind 13; `permission` is the line's commitment, `subject` its person's.
    #[schema(value_type = Option<Object>)]
    report: Option<Report>,
    /// `medtrail/correction-v1`.
    #[schema(value_type = Option<Object>)]
    details: Option<Box<RawValue>>,
    /// 65 bytes, by a key of the organisation.
    #[schema(value_type = Option<String>)]
    signature: Option<Bytes>,
}

/// Corrects a line that one reported, or that was relayed for one. The signed report may go to
/// `POST /v1/reports` as well. 201; 200 if this very correction stands already.
#[utoipa::path(post, path = "/v1/corrections", operation_id = "correct", tag = "corrections",
    request_body = Corrected,
    responses((status = 201, body = Noted), (status = 200, body = Noted)))]
#[post("/v1/corrections")]
pub(super) async fn correct(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let organisation = caller.organisation(&state)?;
    let body = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let Corrected { index, reason, language, fields, mistake, report, details, signature } = body;
    let is_plain = index.is_some() || reason.is_some() || language.is_some();
    let is_plain = is_plain || fields.is_some() || mistake.is_some();
    if let Said::Signed(submission) = Said::of(report, details, signature, is_plain)? {
        return Ok(Noted::answer(state.service.correct_signed(organisation, *submission).await?));
    }
    let missing = |field: &str| {
        Problem::new(&problem::INVALID_FIELD, format!("{field} is missing")).at(field)
    };
    let index = index.ok_or_else(|| missing("index"))?;
    let reason = reason.ok_or_else(|| missing("reason"))?;
    Said::require_api_key(&caller)?;
    // Its commitment is filled in where the line is looked up.
    let line = LineRef { index, commitment: B256::ZERO };
    let mut correction = Correction::new(line, reason);
    (correction.language, correction.mistake) = (language, mistake);
    correction.fields = fields.unwrap_or_default();
    Ok(Noted::answer(state.service.correct(organisation, correction).await?))
}
