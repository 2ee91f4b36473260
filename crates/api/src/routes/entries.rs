//! `/v1/entries`: single entries, their receipts and proofs, for whoever may see them.

use crate::answer::{blocking, document, json};
use crate::caller::{Caller, ShownPlace, View};
use crate::line::Line;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, routes};
use medtrail_ledger::proof::{Document, ShownPlace as ProofPlace, spell};
use serde::Deserialize;
use utoipa::IntoParams;

/// An entry: opened for its subject, the place hashed for who reported it.
#[utoipa::path(get, path = "/v1/entries/{index}", operation_id = "entry", tag = "entries",
    params(("index" = u64, Path, description = "Index in the log, from 0")),
    responses((status = 200, body = Line)))]
#[routes]
#[get("/v1/entries/{index}")]
#[head("/v1/entries/{index}")]
pub(super) async fn get(
    index: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let (entry, view) = caller.entry(&state, &index, None).await?;
    Ok(json(&blocking(move || Line::read(&state.service, entry, view)).await?))
}

/// The receipt of an entry, under the newest checkpoint.
#[utoipa::path(get, path = "/v1/entries/{index}/receipt", operation_id = "receipt", tag = "entries",
    params(("index" = u64, Path, description = "Index in the log, from 0"),
        ("Medtrail-Place" = Option<String>, Header, description = "Place hash of its receipt")),
    responses((status = 200, description = "medtrail/receipt-v1",
        content_type = "application/json")))]
#[routes]
#[get("/v1/entries/{index}/receipt")]
#[head("/v1/entries/{index}/receipt")]
pub(super) async fn receipt(
    index: Path<String>,
    caller: Caller,
    place: Option<ShownPlace>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let (entry, _) = caller.entry(&state, &index, place).await?;
    let receipt = blocking(move || state.service.receipt(entry.index)).await?;
    Ok(document(spell(&receipt)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ProofQuery {
    /// Whether to open the place and add the details: for the subject only. Whoever is shown such
    /// a proof sees the details, and where the line stands in the trail.
    #[serde(default)]
    open: bool,
}

/// The proof of an entry, in its one spelling. The place stays hashed and the details are left
/// out, unless the subject asks for them: a proof is made to be shown to others.
#[utoipa::path(get, path = "/v1/entries/{index}/proof", operation_id = "proof", tag = "entries",
    params(("index" = u64, Path, description = "Index in the log, from 0"), ProofQuery,
        ("Medtrail-Place" = Option<String>, Header, description = "Place hash of its receipt")),
    responses((status = 200, description = "medtrail/proof-v1",
        content_type = "application/json")))]
#[routes]
#[get("/v1/entries/{index}/proof")]
#[head("/v1/entries/{index}/proof")]
pub(super) async fn proof(
    index: Path<String>,
    query: Result<Query<ProofQuery>, actix_web::Error>,
    caller: Caller,
    place: Option<ShownPlace>,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    // Nothing about the entry, not even that it has no anchor, before the caller may see it.
    let (entry, view) = caller.entry(&state, &index, place).await?;
    let query = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    if query.open && view != View::Opened {
        return Err(Problem::new(&problem::NOT_PERSON, "only the subject opens a proof").at("open"));
    }
    let is_open = query.open;
    let proof = blocking(move || state.service.proof(entry.index).map(|proof| (proof, entry)));
    let (mut proof, entry) = proof.await?;
    if is_open {
        proof.details = entry.details.as_deref().map(Document::of);
        proof.place = ProofPlace::Open(entry.place);
    }
    Ok(document(proof.to_bytes()))
}
