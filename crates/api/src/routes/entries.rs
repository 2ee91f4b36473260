//! `/v1/entries`: receipts and proofs, for whoever shows to know the entry.

use crate::answer::{blocking, document};
use crate::caller::ShownPlace;
use crate::problem::Problem;
use crate::state::State;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, routes};
use medtrail_ledger::proof::spell;

/// The receipt of an entry, under the newest checkpoint.
#[routes]
#[get("/v1/entries/{index}/receipt")]
#[head("/v1/entries/{index}/receipt")]
pub(super) async fn receipt(
    index: Path<String>,
    place: ShownPlace,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let index = parse_index(&index, &state)?;
    let receipt = blocking(move || state.service.receipt(index)).await?;
    match place.opens(receipt.place_hash) {
        true => Ok(document(spell(&receipt))),
        false => Err(Problem::no_such_entry()),
    }
}

/// The proof of an entry, in its one spelling. The place stays hashed: whoever shows only the
/// place hash may be the reporter, who must not learn about the person's other entries. Details
/// are left out: a proof carries its place hash, so whoever was shown one could ask for them here.
#[routes]
#[get("/v1/entries/{index}/proof")]
#[head("/v1/entries/{index}/proof")]
pub(super) async fn proof(
    index: Path<String>,
    place: ShownPlace,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let index = parse_index(&index, &state)?;
    let proof = blocking(move || {
        // Nothing about the entry, not even that it has no anchor, before the place was right.
        if !place.opens(state.service.entry(index)?.place.hash()) {
            return Err(Problem::no_such_entry());
        }
        Ok(state.service.proof(index)?.to_bytes())
    });
    Ok(document(proof.await?))
}

/// An index that is none, or beyond the log, is one more entry that does not exist.
fn parse_index(text: &str, state: &State) -> Result<u64, Problem> {
    let parsed = text.parse().ok().filter(|index| *index < state.service.head().size);
    parsed.ok_or_else(Problem::no_such_entry)
}
