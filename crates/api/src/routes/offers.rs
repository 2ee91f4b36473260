//! `/v1/offers`: what people offer. The catalogue is everybody's and tells nobody's address; whoever
//! wants to buy signs in and sees the document.

use super::cursor;
use crate::answer::{created, json};
use crate::caller::Caller;
use crate::client::Client;
use crate::problem::{self, Problem};
use crate::state::State;
use actix_web::web::{Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, post, routes};
use alloy_primitives::{Address, B256, Bytes};
use medtrail_oracle::sales::{Card, OfferState, OfferView, Offered, Wish};
use medtrail_permit::sale::Offer;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An offer with its statement and the description of a dataset.
const OFFER_BYTES_MAX: usize = 96 << 10;
/// Where no number is named.
const USUAL: usize = 25;

/// An offer that its seller signed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOffer {
    /// The EIP-712 document, its price as decimal text.
    #[schema(value_type = Object)]
    offer: Offer,
    /// `medtrail/dataset-v1`, byte for byte: `offer.terms.dataset` is its SHA-256.
    dataset: String,
    /// By who acts for the seller, under the market's domain.
    #[schema(value_type = String)]
    signature: Bytes,
    /// Where the seller lives (ISO 3166-1 alpha-2).
    country: String,
}

/// An offer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OneOffer {
    /// `medtrail/offer-v1`.
    version: &'static str,
    #[schema(value_type = String)]
    id: B256,
    #[schema(value_type = Object)]
    offer: Offer,
    dataset: String,
    #[schema(value_type = String)]
    signature: Bytes,
    /// Told to its seller only.
    country: Option<String>,
    /// Milliseconds since 1970.
    listed_ms: u64,
    /// `open`, `expired`, `cancelled` (on the chain) or `withdrawn` (here).
    state: &'static str,
}

fn told(view: OfferView, is_seller: bool) -> OneOffer {
    let OfferView { row, offer, state } = view;
    OneOffer {
        version: "medtrail/offer-v1",
        id: row.id,
        offer,
        dataset: String::from_utf8_lossy(&row.dataset).into_owned(),
        signature: row.signature,
        country: is_seller.then_some(row.country),
        listed_ms: row.listed_ms,
        state: match state {
            OfferState::Open => "open",
            OfferState::Expired => "expired",
            OfferState::Cancelled => "cancelled",
            OfferState::Withdrawn => "withdrawn",
        },
    }
}

/// Lists an offer. The signature decides whose it is, not the session. 201; 200 if it stands already.
#[utoipa::path(post, path = "/v1/offers", operation_id = "offer", tag = "sales",
    request_body = NewOffer,
    responses((status = 201, body = OneOffer), (status = 200, body = OneOffer)))]
#[post("/v1/offers")]
pub(super) async fn list(
    request: HttpRequest,
    payload: Payload,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    caller.session()?;
    let sales = state.sales()?;
    state.rates.document(Client::of(&request))?;
    let body: NewOffer = state.bodies.json_up_to(OFFER_BYTES_MAX, &request, payload).await?;
    let NewOffer { offer, dataset, signature, country } = body;
    let (view, is_new) = sales.list(Offered { offer, dataset, signature, country }).await?;
    let one = told(view, true);
    Ok(if is_new { created(&one) } else { json(&one) })
}

/// Which offers are looked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wished {
    /// `seller`: those of whoever is signed in, with what stands behind them.
    r#as: Option<String>,
    /// A FHIR type.
    r#type: Option<String>,
    /// `system|code`.
    code: Option<String>,
    /// `signed` or `signed-and-uploaded`.
    origin: Option<String>,
    /// `as-it-is`, `hipaa-safe-harbor-v1` or `shifted-dates-v1`.
    form: Option<String>,
    /// A purpose (HL7 v3 PurposeOfUse).
    purpose: Option<String>,
    /// The `next` of the page before.
    before: Option<String>,
    /// At most, to 100; 25 if left out.
    limit: Option<usize>,
}

/// An offer in the catalogue.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListedOffer {
    #[schema(value_type = String)]
    id: B256,
    listed_ms: u64,
    /// In the token's smallest unit, as decimal text.
    price: String,
    /// Zero: the chain's own coin.
    #[schema(value_type = String)]
    token: Address,
    access_s: u64,
    expires_at_s: u64,
    purpose: String,
    /// FHIR types; `*` is all.
    types: Vec<String>,
    /// `medtrail/dataset-v1`, byte for byte.
    dataset: String,
    /// There were at least so many records when it was listed.
    records_at_least: u64,
}

impl From<Card> for ListedOffer {
    fn from(card: Card) -> Self {
        let Card { id, listed_ms, offer, dataset, types, records_at_least } = card;
        Self {
            id,
            listed_ms,
            price: offer.price.to_string(),
            token: offer.token,
            access_s: offer.accessS,
            expires_at_s: offer.expiresAt,
            purpose: offer.terms.purpose,
            types,
            dataset,
            records_at_least,
        }
    }
}

/// The catalogue, newest first; or one's own offers.
#[derive(Serialize, ToSchema)]
struct Offers<T> {
    /// `medtrail/offers-v1`.
    version: &'static str,
    offers: Vec<T>,
    /// The `before` of the next page.
    next: Option<String>,
}

/// What is on sale, newest first, without whose it is. With `as=seller` one's own offers, whole.
#[utoipa::path(get, path = "/v1/offers", operation_id = "offers", tag = "sales", params(Wished),
    security((), ("cookie" = []), ("bearer" = [])),
    responses((status = 200, body = Offers<ListedOffer>)))]
#[routes]
#[get("/v1/offers")]
#[head("/v1/offers")]
pub(super) async fn catalogue(
    request: HttpRequest,
    query: Result<Query<Wished>, actix_web::Error>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let wished = query.map_err(|error| Problem::new(&problem::INVALID_QUERY, error.to_string()))?;
    let Wished { r#as, r#type, code, origin, form, purpose, before, limit } = wished.into_inner();
    let sales = state.sales()?;
    match r#as.as_deref() {
        None => {}
        Some("seller") => {
            let who = caller.session()?.address;
            let own = sales.offers_of(who).await?;
            let offers: Vec<OneOffer> = own.into_iter().map(|view| told(view, true)).collect();
            return Ok(json(&Offers { version: "medtrail/offers-v1", offers, next: None }));
        }
        Some(_) => {
            return Err(Problem::new(&problem::INVALID_QUERY, "as is seller").at("as"));
        }
    }
    state.rates.ask(Client::of(&request))?;
    let before = cursor::read(before)?;
    let limit = limit.unwrap_or(USUAL);
    let wish = Wish { resource: r#type, code, origin, form, purpose, before, limit };
    let sales = sales.clone();
    let (cards, next) = crate::answer::blocking(move || sales.catalogue(&wish)).await?;
    Ok(json(&Offers {
        version: "medtrail/offers-v1",
        offers: cards.into_iter().map(ListedOffer::from).collect(),
        next: next.map(cursor::write),
    }))
}

fn id_in(text: &str) -> Result<B256, Problem> {
    text.parse().map_err(|_| Problem::no_such_offer())
}

/// An offer, whole, for whoever is signed in.
#[utoipa::path(get, path = "/v1/offers/{id}", operation_id = "offerById", tag = "sales",
    params(("id" = String, Path, description = "The offer's id")),
    responses((status = 200, body = OneOffer)))]
#[routes]
#[get("/v1/offers/{id}")]
#[head("/v1/offers/{id}")]
pub(super) async fn get(
    id: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let sales = state.sales()?;
    let view = sales.offer(id_in(&id)?).await?;
    let is_seller = sales.is_party(who, view.row.seller);
    Ok(json(&told(view, is_seller)))
}

/// Takes an offer out of the catalogue: what is paid after this is not delivered. Costs nothing; on
/// the chain `cancelOffer` keeps anybody from paying.
#[utoipa::path(post, path = "/v1/offers/{id}/withdrawal", operation_id = "withdrawOffer",
    tag = "sales", params(("id" = String, Path, description = "The offer's id")),
    responses((status = 200, body = OneOffer)))]
#[post("/v1/offers/{id}/withdrawal")]
pub(super) async fn withdraw(
    id: Path<String>,
    caller: Caller,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let who = caller.session()?.address;
    let view = state.sales()?.withdraw(who, id_in(&id)?).await?;
    Ok(json(&told(view, true)))
}
