//! `/v1/calls`: what buyers call for from many. The catalogue is everybody's and names nobody but the
//! buyer; whoever wants to sell signs in and is told what to sign for a free place.

use super::sales::{NewDeletion, Withdrawal, answer_word, side_in};
use super::{cursor, parcel};
use crate::answer::{blocking, created, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, delete, post, routes};
use alloy_primitives::{Address, B256, Bytes, hex};
use medtrail_ledger::directory::PartName;
use medtrail_oracle::calls::{Accepted, AskedPart, CallCard, CallView, CallsError, Delivery, Own};
use medtrail_oracle::sales::Deleted;
use medtrail_permit::sale::{Cohort, CohortAcceptance};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

/// A call, or an acceptance, with its statement and the description of a dataset.
const CALL_BYTES_MAX: usize = 96 << 10;
/// Where no number is named.
const USUAL: usize = 25;

/// A call that its buyer opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCall {
    /// The EIP-712 document as it was opened, its price as decimal text.
    #[schema(value_type = Object)]
    cohort: Cohort,
    /// `medtrail/dataset-v1`, byte for byte: `cohort.terms.dataset` is its SHA-256.
    dataset: String,
}

/// A seller's yes to one place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAcceptance {
    /// The EIP-712 document, as `proposed` has it.
    #[schema(value_type = Object)]
    acceptance: CohortAcceptance,
    /// By who acts for the seller, under the cohort market's domain.
    #[schema(value_type = String)]
    signature: Bytes,
    /// Where the seller lives (ISO 3166-1 alpha-2).
    country: String,
}

/// A call.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OneCall {
    /// `medtrail/call-view-v1`.
    version: &'static str,
    #[schema(value_type = String)]
    id: B256,
    #[schema(value_type = Object)]
    cohort: Cohort,
    dataset: String,
    /// Milliseconds since 1970.
    heard_ms: u64,
    /// `heard` (opened, not final), `open` (places can be accepted), `late` (they cannot any more) or
    /// `closed`.
    state: &'static str,
    /// How many places are accepted; told to the buyer only.
    accepted: Option<u64>,
    /// The caller's own, newest last.
    own: Vec<OwnAcceptance>,
    /// What the caller may sign to have a free place; in the answer of `GET /v1/calls/{id}`
    /// only. Another may be faster: ask again then.
    #[schema(value_type = Option<Object>)]
    proposed: Option<CohortAcceptance>,
    /// Told to the buyer only.
    delivery: Option<OneDelivery>,
    /// Parts of the file whose sellers want them deleted, by day; told to the buyer only.
    withdrawals: Vec<PartWithdrawal>,
}

/// A part of the file that its seller wants deleted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PartWithdrawal {
    /// Of the person in the file: their files begin with `person-` and this.
    label: String,
    /// The acceptance's id or, of de-identified data, the hash that stands for it in the manifest. The
    /// `order` of the statement.
    #[schema(value_type = String)]
    part: B256,
    /// The beginning of the day on which it was asked for: the moment could tell by whom.
    asked_ms: u64,
    /// Until when the buyer has time.
    due_ms: u64,
    /// `waiting`, `deleted` (the buyer signed so) or `not-answered`.
    state: &'static str,
}

impl From<AskedPart> for PartWithdrawal {
    fn from(asked: AskedPart) -> Self {
        let AskedPart { name: PartName { label, part }, asked_ms, due_ms, answer } = asked;
        Self { label: hex::encode(label), part, asked_ms, due_ms, state: answer_word(answer) }
    }
}

/// How the delivery of a call stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OneDelivery {
    /// `collecting` (places are accepted), `making` (the file, its entries), `ready` (it may be
    /// downloaded), `settling` (the key is shown), `settled` or `over`.
    state: &'static str,
    /// Why nothing is delivered: `documents`, `recipient`, `windows`, `nobody`, `late` or `closed`.
    refusal: Option<&'static str>,
    /// SHA-256 of the file, from `ready` on.
    #[schema(value_type = Option<String>)]
    file: Option<B256>,
    bytes: Option<u64>,
    /// How many are in the file.
    sellers: u64,
    /// How many are paid, by the final block.
    paid: u32,
    /// SHA-256 of the key, from `ready` on. The key is shown by the contract, never here.
    #[schema(value_type = Option<String>)]
    lock: Option<B256>,
}

impl From<Delivery> for OneDelivery {
    fn from(delivery: Delivery) -> Self {
        let Delivery { state, refusal, file, sellers, paid, lock } = delivery;
        let (file, bytes) = file.unzip();
        Self { state, refusal, file, bytes, sellers, paid, lock }
    }
}

/// An acceptance, for whoever gave it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OwnAcceptance {
    #[schema(value_type = String)]
    id: B256,
    #[schema(value_type = String)]
    seller: Address,
    place: u32,
    epoch: u64,
    expires_at_s: u64,
    country: String,
    accepted_ms: u64,
    withdrawn_ms: Option<u64>,
    /// `accepted`, `withdrawn`, `delivered` (in the file, not paid yet), `paid` or `ended`.
    state: &'static str,
    /// The key of a file that it is in may have been seen: deletion can be asked for, and nothing be
    /// taken back.
    is_shown: bool,
    /// The seller wants what was delivered of theirs deleted.
    withdrawal: Option<Withdrawal>,
}

impl From<Own> for OwnAcceptance {
    fn from(own: Own) -> Self {
        let Own { row, state, is_shown } = own;
        Self {
            id: row.id,
            seller: row.seller,
            place: row.place,
            epoch: row.epoch,
            expires_at_s: row.expires_at_s,
            country: row.country,
            accepted_ms: row.accepted_ms,
            withdrawn_ms: row.withdrawn_ms,
            state,
            is_shown,
            withdrawal: row.withdrawal.as_ref().map(|one| Withdrawal::from(&one.asked)),
        }
    }
}

impl From<CallView> for OneCall {
    fn from(view: CallView) -> Self {
        Self {
            version: "medtrail/call-view-v1",
            id: view.row.id,
            cohort: view.cohort,
            dataset: String::from_utf8_lossy(&view.row.dataset).into_owned(),
            heard_ms: view.row.heard_ms,
            state: view.state,
            accepted: view.accepted,
            own: view.own.into_iter().map(OwnAcceptance::from).collect(),
            proposed: view.proposed,
            delivery: view.delivery.map(OneDelivery::from),
            withdrawals: view.withdrawals.into_iter().map(PartWithdrawal::from).collect(),
        }
    }
}

fn told((view, is_new): (CallView, bool)) -> HttpResponse {
    let one = OneCall::from(view);
    if is_new { created(&one) } else { json(&one) }
}

/// Lists a call that its buyer opened in the contract. It stands in the catalogue once a final block
/// has its money. 201; 200 if it is known.
#[utoipa::path(post, path = "/v1/calls", operation_id = "call", tag = "sales",
    request_body = NewCall,
    responses((status = 201, body = OneCall), (status = 200, body = OneCall)))]
#[post("/v1/calls")]
pub(super) async fn list(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let calls = state.calls()?;
    state.rates.document(Client::of(&request))?;
    let body: NewCall = state.bodies.json_up_to(CALL_BYTES_MAX, &request, payload).await?;
    Ok(told(calls.list(who, body.cohort, body.dataset).await?))
}

/// Which calls are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wished {
    /// `buyer`: the caller's own; `seller`: those that they accepted.
    r#as: Option<String>,
    /// A FHIR type; of the catalogue only.
    r#type: Option<String>,
    /// The `next` of the page before.
    before: Option<String>,
    /// At most, to 100; 25 if left out.
    limit: Option<usize>,
}

/// A call in the catalogue.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListedCall {
    #[schema(value_type = String)]
    id: B256,
    heard_ms: u64,
    #[schema(value_type = String)]
    buyer: Address,
    /// Of one place, in the token's smallest unit, as decimal text.
    price: String,
    /// Zero: the chain's own coin.
    #[schema(value_type = String)]
    token: Address,
    /// How many are paid at most.
    places: u32,
    /// Until when places can be accepted, seconds since 1970.
    deliver_by_s: u64,
    purpose: String,
    /// FHIR types; `*` is all.
    types: Vec<String>,
    /// `medtrail/dataset-v1`, byte for byte.
    dataset: String,
}

impl From<CallCard> for ListedCall {
    fn from(card: CallCard) -> Self {
        let CallCard { id, heard_ms, cohort, dataset, types } = card;
        Self {
            id,
            heard_ms,
            buyer: cohort.buyer,
            price: cohort.price.to_string(),
            token: cohort.token,
            places: cohort.places,
            deliver_by_s: cohort.deliverBy,
            purpose: cohort.terms.purpose,
            types,
            dataset,
        }
    }
}

/// The catalogue, newest first; or one's own.
#[derive(Serialize, ToSchema)]
struct CallList<T> {
    /// `medtrail/calls-v1`.
    version: &'static str,
    calls: Vec<T>,
    /// The `before` of the next page.
    next: Option<String>,
}

/// What buyers call for now, newest first. With `as` those of whoever is signed in, whole.
#[utoipa::path(get, path = "/v1/calls", operation_id = "calls", tag = "sales", params(Wished),
    security((), ("cookie" = []), ("bearer" = [])),
    responses((status = 200, body = CallList<ListedCall>)))]
#[routes]
#[get("/v1/calls")]
#[head("/v1/calls")]
pub(super) async fn catalogue(
    request: HttpRequest,
    query: Result<Query<Wished>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let wished = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let Wished { r#as, r#type, before, limit } = wished.into_inner();
    let calls = state.calls()?;
    let (before, limit) = (cursor::read(before)?, limit.unwrap_or(USUAL));
    let version = "medtrail/calls-v1";
    if let Some(side) = side_in(r#as.as_deref())? {
        let who = caller.session()?.address;
        let (views, next) = calls.calls_of(who, side, before, limit).await?;
        let calls: Vec<OneCall> = views.into_iter().map(OneCall::from).collect();
        return Ok(json(&CallList { version, calls, next: next.map(cursor::write) }));
    }
    state.rates.ask(Client::of(&request))?;
    let calls = calls.clone();
    let look = move || calls.catalogue(r#type.as_deref(), before, limit);
    let (cards, next) = blocking(look).await?;
    let calls: Vec<ListedCall> = cards.into_iter().map(ListedCall::from).collect();
    Ok(json(&CallList { version, calls, next: next.map(cursor::write) }))
}

fn id_in(text: &str) -> Result<B256, Problem> {
    text.parse().map_err(|_| Problem::no_such_call())
}

/// As whom somebody would accept.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AsWhom {
    /// An address that the caller sells under; their own if left out.
    #[param(value_type = Option<String>)]
    seller: Option<Address>,
}

/// A call, for whoever is signed in, with what they may sign to accept it.
#[utoipa::path(get, path = "/v1/calls/{id}", operation_id = "callById", tag = "sales",
    params(("id" = String, Path, description = "The call's id"), AsWhom),
    responses((status = 200, body = OneCall)))]
#[routes]
#[get("/v1/calls/{id}")]
#[head("/v1/calls/{id}")]
pub(super) async fn get(
    id: Path<String>,
    query: Result<Query<AsWhom>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let calls = state.calls()?;
    let asked = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    Ok(json(&OneCall::from(calls.call(who, id_in(&id)?, asked.seller).await?)))
}

/// Accepts a place. It costs nothing, and the caller's trail has the line when this answers. 201; 200
/// if it is known.
#[utoipa::path(post, path = "/v1/calls/{id}/acceptances", operation_id = "acceptCall",
    tag = "sales", params(("id" = String, Path, description = "The call's id")),
    request_body = NewAcceptance,
    responses((status = 201, body = OneCall), (status = 200, body = OneCall)))]
#[post("/v1/calls/{id}/acceptances")]
pub(super) async fn accept(
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let (calls, id) = (state.calls()?, id_in(&id)?);
    state.rates.document(Client::of(&request))?;
    let body: NewAcceptance = state.bodies.json_up_to(CALL_BYTES_MAX, &request, payload).await?;
    let NewAcceptance { acceptance, signature, country } = body;
    Ok(told(calls.accept(who, id, Accepted { acceptance, signature, country }).await?))
}

/// Takes the caller's acceptance back, until the key of a file with their data may have been seen: a
/// file that is made already is made anew without them. On the chain `revoke` ends it for the contract
/// too.
#[utoipa::path(delete, path = "/v1/calls/{id}/acceptances", operation_id = "withdrawAcceptance",
    tag = "sales", params(("id" = String, Path, description = "The call's id")),
    responses((status = 200, body = OneCall)))]
#[delete("/v1/calls/{id}/acceptances")]
pub(super) async fn withdraw(
    id: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    Ok(json(&OneCall::from(state.calls()?.withdraw(who, id_in(&id)?).await?)))
}

/// The caller, who sold, wants what was delivered of theirs deleted: paid or not, once the key may have
/// been seen. The buyer is told which part of the file, and has some time to sign that it is; their
/// silence is a line too.
#[utoipa::path(post, path = "/v1/calls/{id}/withdrawal", operation_id = "withdrawPart", tag = "sales",
    params(("id" = String, Path, description = "The call's id")),
    responses((status = 200, body = OneCall)))]
#[post("/v1/calls/{id}/withdrawal")]
pub(super) async fn withdraw_part(
    id: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    Ok(json(&OneCall::from(state.calls()?.withdraw_part(who, id_in(&id)?).await?)))
}

/// The buyer's word that one part of the file is deleted, under the domain of the cohort market; its
/// `order` is the `part`.
#[utoipa::path(post, path = "/v1/calls/{id}/deletion", operation_id = "deletedPart", tag = "sales",
    params(("id" = String, Path, description = "The call's id")),
    request_body = NewDeletion, responses((status = 200, body = OneCall)))]
#[post("/v1/calls/{id}/deletion")]
pub(super) async fn deleted(
    id: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let (calls, id) = (state.calls()?, id_in(&id)?);
    state.rates.document(Client::of(&request))?;
    let NewDeletion { deletion, signature } = state.bodies.json(&request, payload).await?;
    Ok(json(&OneCall::from(calls.deleted(who, id, Deleted { deletion, signature }).await?)))
}

/// The sealed file of a call, for its buyer, once the trail of each seller in it has the line that says
/// so. In pieces too (RFC 9110 section 14).
#[utoipa::path(get, path = "/v1/calls/{id}/delivery", operation_id = "downloadCall", tag = "sales",
    params(("id" = String, Path, description = "The call's id")),
    responses(
        (status = 200, description = "The file; `ETag` is its SHA-256",
            content_type = "application/octet-stream"),
        (status = 206, description = "The part asked for",
            content_type = "application/octet-stream")))]
#[routes]
#[get("/v1/calls/{id}/delivery")]
pub(super) async fn download(
    id: Path<String>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let (calls, id) = (state.calls()?.clone(), id_in(&id)?);
    let given = calls.download(who, id).await?;
    parcel::answer(&request, &given.file, move |from, most| {
        let calls = calls.clone();
        async move {
            let piece = calls.piece(id, given, from, most).await?;
            // Gone meanwhile, since somebody said no: the answer ends short of its length.
            if piece.is_empty() { Err(CallsError::NoFile) } else { Ok(piece) }
        }
    })
}

/// Which proofs are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WishedProofs {
    /// The `next` of the page before.
    before: Option<u64>,
    /// At most, to 100; 25 if left out.
    limit: Option<usize>,
}

/// Proofs of a delivery's entries, by place.
#[derive(Serialize, ToSchema)]
struct ProofList {
    /// `medtrail/call-proofs-v1`.
    version: &'static str,
    /// `medtrail/proof-v1`, each in its one spelling.
    #[schema(value_type = Vec<Object>)]
    proofs: Vec<Box<RawValue>>,
    /// The `before` of the next page.
    #[schema(value_type = Option<String>)]
    next: Option<String>,
}

/// The proofs of the entries of a delivery, one for each seller in the file, with their details, for
/// the call's buyer.
#[utoipa::path(get, path = "/v1/calls/{id}/proofs", operation_id = "callProofs", tag = "sales",
    params(("id" = String, Path, description = "The call's id"), WishedProofs),
    responses((status = 200, body = ProofList)))]
#[routes]
#[get("/v1/calls/{id}/proofs")]
#[head("/v1/calls/{id}/proofs")]
pub(super) async fn proofs(
    id: Path<String>,
    query: Result<Query<WishedProofs>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let calls = state.calls()?;
    let wished = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let WishedProofs { before, limit } = wished.into_inner();
    let (proofs, next) = calls.proofs(who, id_in(&id)?, before, limit.unwrap_or(USUAL)).await?;
    let raw = |proof: Vec<u8>| {
        let text = String::from_utf8(proof).expect("a proof is text");
        RawValue::from_string(text).expect("a proof is JSON")
    };
    let proofs = proofs.iter().map(|proof| raw(proof.to_bytes())).collect();
    let next = next.map(|place| place.to_string());
    Ok(json(&ProofList { version: "medtrail/call-proofs-v1", proofs, next }))
}
