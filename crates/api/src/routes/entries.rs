//! `/v1/entries`: receipts and proofs, for whoever holds the entry's place hash.
//!
//! The place hash is salted and 32 bytes long: only the subject, the operator and the reporter
//! (from its receipt) know it. Without it, an entry looks like one that does not exist.

use super::blocking;
use crate::problem::Problem;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, get};
use alloy_primitives::B256;
use medtrail_ledger::proof::spell;
use medtrail_oracle::opener::EntryError;
use medtrail_oracle::service::{Service, Shown};
use serde::Deserialize;

/// The header that carries the place hash.
const PLACE: &str = "medtrail-place";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofQuery {
    #[serde(default)]
    details: bool,
}

#[get("/v1/entries/{index}/receipt")]
pub(super) async fn receipt(
    request: HttpRequest,
    index: Path<String>,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let (index, place) = named(&request, &index)?;
    let receipt = blocking(move || {
        known(&service, index, place)?;
        service.receipt(index).map_err(Problem::from)
    });
    Ok(HttpResponse::Ok().content_type("application/json").body(spell(&receipt.await?)))
}

#[get("/v1/entries/{index}/proof")]
pub(super) async fn proof(
    request: HttpRequest,
    index: Path<String>,
    query: Query<ProofQuery>,
    service: Data<Service>,
) -> Result<HttpResponse, Problem> {
    let (index, place) = named(&request, &index)?;
    let shown = Shown { place: false, details: query.details };
    let proof = blocking(move || {
        known(&service, index, place)?;
        service.proof(index, shown).map_err(Problem::from)
    });
    Ok(HttpResponse::Ok().content_type("application/json").body(proof.await?.to_bytes()))
}

fn named(request: &HttpRequest, index: &str) -> Result<(u64, B256), Problem> {
    let place = request.headers().get(PLACE).and_then(|value| value.to_str().ok());
    let place = place.and_then(|value| value.parse().ok()).ok_or_else(Problem::not_found)?;
    Ok((index.parse().map_err(|_| Problem::not_found())?, place))
}

/// Refuses who does not know the place hash, in the words for an entry that does not exist.
fn known(service: &Service, index: u64, place: B256) -> Result<(), Problem> {
    match service.entry(index) {
        Ok(entry) if is_same(&entry.place.hash(), &place) => Ok(()),
        Ok(_) | Err(EntryError::Absent { .. } | EntryError::Erased(_)) => Err(Problem::not_found()),
        Err(error) => Err(error.into()),
    }
}

/// Compares in the same time wherever they differ: a guess must not learn how far it was right.
fn is_same(left: &B256, right: &B256) -> bool {
    left.iter().zip(right.iter()).fold(0, |seen, (left, right)| seen | (left ^ right)) == 0
}
