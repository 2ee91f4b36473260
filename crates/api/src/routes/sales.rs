//! `/v1/sales`: orders that were paid, for their seller and their buyer.

use super::{cursor, parcel};
use crate::answer::{created, document, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_ledger::directory::{WithdrawalAnswer, WithdrawalRow};
use medtrail_oracle::sales::{Approved, Deleted, SaleView, Sales, SalesError, Side};
use medtrail_permit::sale::{Deletion, Order, SaleApproval};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Where no number is named.
const USUAL: usize = 25;

/// An order that was paid.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PaidOrder {
    /// The document, as it was paid.
    #[schema(value_type = Object)]
    order: Order,
}

/// A seller's yes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewApproval {
    /// The EIP-712 document.
    #[schema(value_type = Object)]
    approval: SaleApproval,
    /// By who acts for the seller, under the market's domain.
    #[schema(value_type = String)]
    signature: Bytes,
}

/// A sale.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OneSale {
    /// `medtrail/sale-view-v1`.
    version: &'static str,
    /// The order's id.
    #[schema(value_type = String)]
    id: B256,
    #[schema(value_type = String)]
    offer: B256,
    #[schema(value_type = Object)]
    order: Order,
    dataset: String,
    /// `seller` or `buyer`.
    role: &'static str,
    /// `seen` (paid, not final), `waiting` (for the seller), `preparing`, `delivered` (the buyer may
    /// download), `settling`, `settled`, `refunded` or `over`.
    state: &'static str,
    /// Why it is not delivered: `documents`, `recipient`, `windows`, `opted-out`, `child`,
    /// `withdrawn`, `not-approved`, `nothing`, `late` or `refunded`.
    refusal: Option<&'static str>,
    is_approved: bool,
    paid_at_s: Option<u64>,
    ended_at_s: Option<u64>,
    revoked_at_s: Option<u64>,
    delivery: Option<Delivery>,
    /// What opens the outer seal, once the chain shows it to everybody.
    #[schema(value_type = Option<String>)]
    key: Option<B256>,
    /// The seller wants what was delivered deleted.
    withdrawal: Option<Withdrawal>,
    /// What of the vault was not what was sold, by reason; told to the seller only.
    #[schema(value_type = Option<Object>)]
    left_out: Option<BTreeMap<String, u64>>,
}

/// A seller wants what was delivered deleted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Withdrawal {
    asked_ms: u64,
    /// Until when the buyer has time.
    due_ms: u64,
    /// `waiting`, `deleted` (the buyer signed so) or `not-answered`.
    state: &'static str,
}

impl From<&WithdrawalRow> for Withdrawal {
    fn from(row: &WithdrawalRow) -> Self {
        let state = answer_word(row.answer_told());
        Self { asked_ms: row.asked_ms, due_ms: row.due_ms, state }
    }
}

pub(super) fn answer_word(answer: WithdrawalAnswer) -> &'static str {
    match answer {
        WithdrawalAnswer::Waiting => "waiting",
        WithdrawalAnswer::Deleted => "deleted",
        WithdrawalAnswer::NotAnswered => "not-answered",
    }
}

/// A delivery.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    /// Its entry.
    index: u64,
    bytes: u64,
    /// SHA-256 of the file.
    #[schema(value_type = String)]
    file: B256,
    /// SHA-256 of the key.
    #[schema(value_type = Option<String>)]
    lock: Option<B256>,
    /// A final anchor covers its entry.
    is_anchored: bool,
}

impl From<SaleView> for OneSale {
    fn from(view: SaleView) -> Self {
        let is_seller = view.side == Side::Seller;
        let delivery = view.delivery.map(|(file, index)| Delivery {
            index,
            bytes: file.bytes,
            file: file.hash,
            lock: view.lock,
            is_anchored: view.is_anchored,
        });
        Self {
            version: "medtrail/sale-view-v1",
            id: view.row.id,
            offer: view.row.offer,
            order: view.order,
            dataset: view.dataset,
            role: if is_seller { "seller" } else { "buyer" },
            state: view.state,
            refusal: view.refusal,
            is_approved: view.is_approved,
            paid_at_s: view.paid_at_s,
            ended_at_s: view.ended_at_s,
            revoked_at_s: view.revoked_at_s,
            delivery,
            key: view.key,
            withdrawal: view.row.withdrawal.as_ref().map(Withdrawal::from),
            left_out: is_seller.then(|| view.row.left_out.into_iter().collect()),
        }
    }
}

/// Whoever is signed in, and the sale that the path names.
pub(super) struct Asked {
    pub(super) who: Address,
    pub(super) sales: Sales,
    pub(super) id: B256,
}

impl Asked {
    pub(super) fn of(order: &str, caller: &Caller, state: &State) -> Result<Self, Problem> {
        let who = caller.session()?.address;
        let sales = state.sales()?.clone();
        let id = order.parse().map_err(|_| Problem::no_such_sale())?;
        Ok(Self { who, sales, id })
    }
}

fn told(view: SaleView) -> HttpResponse {
    json(&OneSale::from(view))
}

/// Tells of an order that was paid, before it is found at a final block. 201; 200 if it is known.
#[utoipa::path(post, path = "/v1/sales", operation_id = "tellOrder", tag = "sales",
    request_body = PaidOrder,
    responses((status = 201, body = OneSale), (status = 200, body = OneSale)))]
#[post("/v1/sales")]
pub(super) async fn take(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let sales = state.sales()?;
    state.rates.document(Client::of(&request))?;
    let body: PaidOrder = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let (view, is_new) = sales.take(who, body.order).await?;
    let one = OneSale::from(view);
    Ok(if is_new { created(&one) } else { json(&one) })
}

/// Which sales are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wished {
    /// `seller` or `buyer`; both if left out.
    r#as: Option<String>,
    /// Only those heard of earlier: the `next` of the page before.
    before: Option<String>,
    /// At most, to 100; 25 if left out.
    limit: Option<usize>,
}

/// As which of the two somebody asks.
pub(super) fn side_in(r#as: Option<&str>) -> Result<Option<Side>, Problem> {
    match r#as {
        None => Ok(None),
        Some("seller") => Ok(Some(Side::Seller)),
        Some("buyer") => Ok(Some(Side::Buyer)),
        Some(_) => Err(Problem::new(&problem::INVALID_QUERY, "as is seller or buyer").at("as")),
    }
}

/// Sales, newest first.
#[derive(Serialize, ToSchema)]
struct SaleList {
    /// `medtrail/sales-v1`.
    version: &'static str,
    sales: Vec<OneSale>,
    /// The `before` of the next page.
    next: Option<String>,
}

/// The sales of whoever is signed in, also under the addresses that they sell under.
#[utoipa::path(get, path = "/v1/sales", operation_id = "sales", tag = "sales", params(Wished),
    responses((status = 200, body = SaleList)))]
#[routes]
#[get("/v1/sales")]
#[head("/v1/sales")]
pub(super) async fn list(
    query: Result<Query<Wished>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let wished = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let Wished { r#as, before, limit } = wished.into_inner();
    let side = side_in(r#as.as_deref())?;
    let (before, limit) = (cursor::read(before)?, limit.unwrap_or(USUAL));
    let (views, next) = state.sales()?.sales_of(who, side, before, limit).await?;
    let sales = views.into_iter().map(OneSale::from).collect();
    let next = next.map(cursor::write);
    Ok(json(&SaleList { version: "medtrail/sales-v1", sales, next }))
}

/// A sale, for its seller or its buyer.
#[utoipa::path(get, path = "/v1/sales/{order}", operation_id = "sale", tag = "sales",
    params(("order" = String, Path, description = "The order's id")),
    responses((status = 200, body = OneSale)))]
#[routes]
#[get("/v1/sales/{order}")]
#[head("/v1/sales/{order}")]
pub(super) async fn get(
    order: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    Ok(told(sales.sale(who, id).await?))
}

/// The seller's yes to this order. It is kept, and carried to the contract when it is settled: the
/// seller needs no coin.
#[utoipa::path(post, path = "/v1/sales/{order}/approval", operation_id = "approveSale",
    tag = "sales", params(("order" = String, Path, description = "The order's id")),
    request_body = NewApproval, responses((status = 200, body = OneSale)))]
#[post("/v1/sales/{order}/approval")]
pub(super) async fn approve(
    order: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    state.rates.document(Client::of(&request))?;
    let body: NewApproval = state.bodies.json_up_to(DOCUMENT_BYTES_MAX, &request, payload).await?;
    let NewApproval { approval, signature } = body;
    Ok(told(sales.approve(who, id, Approved { approval, signature }).await?))
}

/// The seller's no: it is never delivered, and the buyer takes the money back after the deadline. On
/// the chain `decline` gives it back at once.
#[utoipa::path(post, path = "/v1/sales/{order}/decline", operation_id = "declineSale",
    tag = "sales", params(("order" = String, Path, description = "The order's id")),
    responses((status = 200, body = OneSale)))]
#[post("/v1/sales/{order}/decline")]
pub(super) async fn decline(
    order: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    Ok(told(sales.decline(who, id).await?))
}

/// The seller wants what was delivered deleted. The buyer is told, and has some time to sign that it
/// is; their silence is a line too.
#[utoipa::path(post, path = "/v1/sales/{order}/withdrawal", operation_id = "withdrawSale",
    tag = "sales", params(("order" = String, Path, description = "The order's id")),
    responses((status = 200, body = OneSale)))]
#[post("/v1/sales/{order}/withdrawal")]
pub(super) async fn withdraw(
    order: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    Ok(told(sales.withdraw_sale(who, id).await?))
}

/// A buyer's word that what was delivered is gone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDeletion {
    /// The EIP-712 document, under the market's domain.
    #[schema(value_type = Object)]
    pub(super) deletion: Deletion,
    /// By the buyer.
    #[schema(value_type = String)]
    pub(super) signature: Bytes,
}

/// The buyer's word that what was delivered is deleted.
#[utoipa::path(post, path = "/v1/sales/{order}/deletion", operation_id = "deletedSale",
    tag = "sales", params(("order" = String, Path, description = "The order's id")),
    request_body = NewDeletion, responses((status = 200, body = OneSale)))]
#[post("/v1/sales/{order}/deletion")]
pub(super) async fn deleted(
    order: Path<String>,
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    state.rates.document(Client::of(&request))?;
    let body: NewDeletion = state.bodies.json(&request, payload).await?;
    let NewDeletion { deletion, signature } = body;
    Ok(told(sales.deleted(who, id, Deleted { deletion, signature }).await?))
}

/// The sealed file, for the buyer, once the log has the line that says it was downloaded. In pieces
/// too (RFC 9110 section 14).
#[utoipa::path(get, path = "/v1/sales/{order}/delivery", operation_id = "download", tag = "sales",
    params(("order" = String, Path, description = "The order's id")),
    responses(
        (status = 200, description = "The file; `ETag` is its SHA-256",
            content_type = "application/octet-stream"),
        (status = 206, description = "The part asked for",
            content_type = "application/octet-stream")))]
#[routes]
#[get("/v1/sales/{order}/delivery")]
pub(super) async fn download(
    order: Path<String>,
    request: HttpRequest,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    let file = sales.download(who, id).await?;
    parcel::answer(&request, &file, move |from, most| {
        let sales: Sales = sales.clone();
        async move {
            let piece = sales.piece(id, from, most).await?;
            // Gone meanwhile: the answer ends short of its length, which tells.
            if piece.is_empty() { Err(SalesError::NoFile) } else { Ok(piece) }
        }
    })
}

/// The proof of the delivery's entry, with its details, for both sides.
#[utoipa::path(get, path = "/v1/sales/{order}/proof", operation_id = "deliveryProof",
    tag = "sales", params(("order" = String, Path, description = "The order's id")),
    responses((status = 200, description = "`medtrail/proof-v1`", body = Object)))]
#[routes]
#[get("/v1/sales/{order}/proof")]
#[head("/v1/sales/{order}/proof")]
pub(super) async fn proof(
    order: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let Asked { who, sales, id } = Asked::of(&order, &caller, &state)?;
    let proof = sales.proof(who, id).await?;
    // Its one spelling: whoever checks it refuses any other.
    Ok(document(proof.to_bytes()))
}
