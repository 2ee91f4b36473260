//! `/v1/bindings/aliases`: a fresh address of whoever is signed in joins their own, so that they sell
//! under it and see what is reported about it. Nobody else learns that the two are one person's.

use crate::answer::json;
use crate::caller::Caller;
use crate::client::Client;
use crate::problem::Problem;
use crate::state::State;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, Bytes};
use medtrail_ledger::binding::alias::Language;
use medtrail_oracle::aliases::{Joining, OwnAlias};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An address that is to join, by two signatures over the same `Binding`: `subject` is who is signed
/// in, `custodian` and `pseudonym` are the address that joins, the statement is that of the language.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct NewAlias {
    /// The address that joins.
    #[schema(value_type = String)]
    alias: Address,
    /// `expiresAt` of the document, seconds since 1970; at most a day ahead.
    expires_at: u64,
    /// The language of its statement: `en` (if left out) or `et`.
    #[serde(default)]
    #[schema(value_type = String)]
    language: Language,
    /// By the address that is signed in: 65 bytes, r, s, v (27 or 28).
    #[schema(value_type = String)]
    signature: Bytes,
    /// The same by the address that joins.
    #[schema(value_type = String)]
    countersignature: Bytes,
}

/// One's address for selling.
#[derive(Serialize, ToSchema)]
struct Alias {
    #[schema(value_type = String)]
    alias: Address,
    /// Its line in its own trail, and the one in the trail that it joined; none while they are on
    /// their way.
    entries: Option<[u64; 2]>,
}

/// One's addresses for selling.
#[derive(Serialize, ToSchema)]
struct Aliases {
    /// In the order in which they joined.
    aliases: Vec<Alias>,
}

/// Joins an address to the one that is signed in. The same again is answered alike.
#[utoipa::path(post, path = "/v1/bindings/aliases", operation_id = "joinAlias", tag = "bindings",
    request_body = NewAlias, responses((status = 200, body = Alias)))]
#[post("/v1/bindings/aliases")]
pub(super) async fn join(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let own = caller.session()?.address;
    // Each try asks the chain twice.
    state.rates.document(Client::of(&request))?;
    let body: NewAlias = state.bodies.json(&request, payload).await?;
    let NewAlias { alias, expires_at: expires_at_s, language, signature, countersignature } = body;
    let joining = Joining { alias, expires_at_s, language, signature, countersignature };
    let entries = Some(state.service.join_alias(own, joining).await?);
    Ok(json(&Alias { alias, entries }))
}

/// The addresses that joined the one that is signed in. To each of them this list is empty, as to
/// whoever has none.
#[utoipa::path(get, path = "/v1/bindings/aliases", operation_id = "aliases", tag = "bindings",
    responses((status = 200, body = Aliases)))]
#[routes]
#[get("/v1/bindings/aliases")]
#[head("/v1/bindings/aliases")]
pub(super) async fn list(caller: Caller, state: Data<State>) -> Result<HttpResponse, Problem> {
    let own = caller.session()?.address;
    let shown = |OwnAlias { alias, entries }| Alias { alias, entries };
    let aliases = state.service.aliases(own).into_iter().map(shown).collect();
    Ok(json(&Aliases { aliases }))
}
